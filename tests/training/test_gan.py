"""The networks and losses of a training; `test_iteration.py` compares whole iterations with their twin."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from iteration_twin import numbers
from makers import SIZE, config, inputs

from pose_gan.config import LossConfig, RunConfig, TrainConfig
from pose_gan.errors import InputError
from pose_gan.networks import build_discriminator, build_generator
from pose_gan.training.features import VGGFeatures
from pose_gan.training.gan import GAN


def make(loss: LossConfig | None = None, train: TrainConfig | None = None, **model) -> GAN:
    return GAN(RunConfig(model=config(**model), loss=loss or LossConfig(), train=train or TrainConfig()))


def batch_for(gan: GAN, seed: int = 0) -> dict[str, tf.Tensor]:
    return inputs(gan.generator, seed=seed) | inputs(gan.discriminator, seed=seed + 100)


@pytest.mark.parametrize(("ratio", "shared", "expected"), [(1, True, 1), (3, True, 3), (1, False, 3), (2, False, 5)])
def test_batches_per_iteration(ratio, shared, expected):
    train = TrainConfig(training_ratio=ratio, shared_forward=shared)
    assert make(train=train).batches_per_iteration == expected
    assert make(LossConfig(gan_penalty_weight=0), train).batches_per_iteration == 1


def test_the_structure_loss_looks_through_the_estimator(tmp_path):
    """An estimator whose maps are the image itself makes it the mean squared pixel difference, halved twice."""
    image = keras.Input((*SIZE, 3))
    maps = keras.layers.Concatenate()([image] * 7)
    keras.Model(image, maps).save(tmp_path / "estimator.keras")
    gan = make(
        LossConfig(lstruct_penalty_weight=1, pose_estimator=str(tmp_path / "estimator.keras"), gan_penalty_weight=0)
    )
    batch = batch_for(gan)
    generated, terms = gan.validation_step(batch)
    expected = np.mean(np.square(generated - batch["target_image"])) / 4
    np.testing.assert_allclose(terms["structure"], expected, rtol=1e-5)
    keras.Model(image, keras.layers.Concatenate()([image] * 2)).save(tmp_path / "few.keras")
    with pytest.raises(InputError, match="gives 6 maps; the skeleton has 18 joints"):
        make(LossConfig(lstruct_penalty_weight=1, pose_estimator=str(tmp_path / "few.keras")))


def test_vgg_input_is_what_keras_preprocesses():
    """[-1, 1] RGB → 0..255, BGR, means subtracted: against keras.applications' own function."""
    images = tf.random.uniform((1, *SIZE, 3), -1, 1, seed=1)
    ours = VGGFeatures(["block1_conv1"], "random")
    expected = ours.model(keras.applications.vgg19.preprocess_input((images.numpy() + 1) * 127.5))
    np.testing.assert_allclose(ours(images)[0], expected, rtol=1e-3, atol=1e-2)


def test_vgg_weights_come_from_a_file_and_nothing_falls_back(tmp_path):
    seeded = VGGFeatures(["block1_conv2"], "random")
    model = keras.applications.VGG19(include_top=False, weights=None, input_shape=(*SIZE, 3))
    weights = [w * 0 + 0.01 for w in model.get_weights()]
    model.set_weights(weights)
    model.save_weights(tmp_path / "vgg19.weights.h5")
    given = VGGFeatures(["block1_conv2"], str(tmp_path / "vgg19.weights.h5"))
    assert np.all(given.model.get_weights()[0] == weights[0])
    assert np.any(seeded.model.get_weights()[0] != weights[0])
    with pytest.raises(InputError, match="no such file"):
        VGGFeatures(["block1_conv2"], str(tmp_path / "absent.h5"))
    (tmp_path / "broken.h5").write_text("x")
    with pytest.raises(InputError, match=r"broken\.h5: not a weights file of VGG-19"):
        VGGFeatures(["block1_conv2"], str(tmp_path / "broken.h5"))
    with pytest.raises(InputError, match="VGG-19 has no layer 'block9'; allowed: none, block1_conv1"):
        VGGFeatures(["block9"], "random")


def test_imagenet_weights_that_cannot_be_fetched_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def offline(*args, **kwargs):
        if kwargs.get("weights") == "imagenet":
            raise OSError("no route to host")
        return real(*args, **kwargs)

    real = keras.applications.VGG19
    monkeypatch.setattr(keras.applications, "VGG19", offline)
    with pytest.raises(InputError, match=r"no route to host.*put it there, or give its path with --vgg_weights PATH"):
        VGGFeatures(["block1_conv2"], "imagenet")


def test_training_towards_one_pair_draws_it():
    """A small network learns a single pair by heart: the L1 loss falls to a fraction."""
    gan = make(LossConfig(gan_penalty_weight=0.1), TrainConfig(learning_rate=2e-3), warp_skip="none")
    one = {key: value[:1] for key, value in batch_for(gan).items()}
    one["target_image"] = tf.image.resize(tf.image.resize(one["target_image"], (6, 4)), SIZE)
    first = float(gan.train_step([one])["l1"])
    for _ in range(60):
        last = float(gan.train_step([one])["l1"])
    assert last < 0.5 * first


# What is the caller's -----------------------------------------------------------------------------


def draw_from_everywhere() -> list[float]:
    """The next random number of each generator that a caller may have seeded."""
    return [random.random(), np.random.random(), float(tf.random.uniform(())), float(keras.random.uniform(()))]  # noqa: NPY002


def test_the_callers_random_numbers_and_precision_are_left_alone():
    loss = LossConfig(gan_penalty_weight=0, content_loss_layer="block1_conv1", vgg_weights="random")
    keras.utils.set_random_seed(5)
    expected = [draw_from_everywhere() for _ in range(3)]
    keras.utils.set_random_seed(5)
    got = [draw_from_everywhere()]
    gan = make(loss, TrainConfig(precision="mixed_bfloat16"))
    got.append(draw_from_everywhere())
    gan.train_step([batch_for(gan)])
    gan.models()
    got.append(draw_from_everywhere())
    assert got == expected
    assert keras.config.dtype_policy().name == "float32"


def test_the_callers_random_numbers_and_precision_come_back_after_an_error(monkeypatch):
    def fail(config):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise MemoryError("no room")

    monkeypatch.setattr("pose_gan.training.gan.build_discriminator", fail)
    before = random.getstate()
    with pytest.raises(MemoryError, match="no room"):
        make(train=TrainConfig(precision="mixed_bfloat16"))
    assert random.getstate() == before
    assert keras.config.dtype_policy().name == "float32"


def test_the_seed_alone_says_how_a_run_begins():
    """Weights and dropout, whatever the caller drew before; they are those of Keras' own seed."""

    def start(seed: int) -> list[np.ndarray]:
        gan = make(train=TrainConfig(seed=seed))
        return [numbers(variable) for variable in (*gan.variables["generator"], *gan.variables["discriminator"])]

    keras.utils.set_random_seed(1)
    first = start(3)
    keras.utils.set_random_seed(2)
    for ours, again in zip(first, start(3), strict=True):
        np.testing.assert_array_equal(ours, again)
    keras.utils.set_random_seed(3)
    networks = build_generator(config()), build_discriminator(config())
    for ours, theirs in zip(first, [v for network in networks for v in network.variables], strict=True):
        np.testing.assert_array_equal(ours, numbers(theirs))
    assert any(np.any(ours != other) for ours, other in zip(first, start(4), strict=True))


def test_the_discriminator_ends_with_a_bias_but_in_the_releases_networks():
    last = {compat: make(compat=compat).discriminator.get_layer("block_1").weights for compat in ("paper", "release")}
    assert {compat: [tuple(weight.shape) for weight in weights] for compat, weights in last.items()} == {
        "paper": [(4, 4, 64, 1), (1,)],
        "release": [(4, 4, 64, 1)],
    }
