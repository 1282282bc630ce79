"""One training iteration: what is updated, with which batches, towards what."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from makers import SIZE, config, inputs

from pose_gan import losses
from pose_gan.config import LossConfig, RunConfig, TrainConfig
from pose_gan.errors import InputError
from pose_gan.training.features import VGGFeatures
from pose_gan.training.gan import GAN


def make(loss: LossConfig | None = None, train: TrainConfig | None = None, **model) -> GAN:
    return GAN(RunConfig(model=config(**model), loss=loss or LossConfig(), train=train or TrainConfig()))


def batch_for(gan: GAN, seed: int = 0) -> dict[str, tf.Tensor]:
    return inputs(gan.generator, seed=seed) | inputs(gan.discriminator, seed=seed + 100)


def snapshot(model: keras.Model) -> list[np.ndarray]:
    return [np.array(weight) for weight in model.trainable_variables]


@pytest.mark.parametrize(("ratio", "shared", "expected"), [(1, True, 1), (3, True, 3), (1, False, 3), (2, False, 5)])
def test_batches_per_iteration(ratio, shared, expected):
    gan = make(train=TrainConfig(training_ratio=ratio, shared_forward=shared))
    assert gan.batches_per_iteration == expected
    before = snapshot(gan.generator), snapshot(gan.discriminator)
    report = gan.train_step([batch_for(gan, seed) for seed in range(expected)])
    assert {"discriminator", "adversarial", "l1", "generator"} == set(report)
    for old, model in zip(before, (gan.generator, gan.discriminator), strict=True):
        assert all(np.any(a != b) for a, b in zip(old, snapshot(model), strict=True))


def test_without_adversarial_loss_the_discriminator_rests():
    gan = make(LossConfig(gan_penalty_weight=0), TrainConfig(training_ratio=4))
    assert gan.batches_per_iteration == 1
    before = snapshot(gan.discriminator)
    report = gan.train_step([batch_for(gan)])
    assert set(report) == {"l1", "generator"}
    assert all(np.array_equal(a, b) for a, b in zip(before, snapshot(gan.discriminator), strict=True))


def test_the_total_is_the_weighted_sum_and_each_term_its_formula():
    """Recomputed from the images: Eq. 10 with every loss switched on."""
    loss = LossConfig(
        gan_penalty_weight=2,
        l1_penalty_weight=0.5,
        nn_loss_area_size=3,
        content_loss_layer="block1_conv2, block2_conv1",
        tv_penalty_weight=0.1,
        vgg_weights="random",
    )
    gan = make(loss)
    batch = batch_for(gan)
    image, terms = gan.validation_step(batch)
    vgg = VGGFeatures(["block1_conv2", "block2_conv1"], "random", SIZE)
    nearest = [
        losses.nearest_neighbour_loss(ours, theirs, 3)
        for ours, theirs in zip(vgg(image), vgg(batch["target_image"]), strict=True)
    ]
    score = gan.discriminator([{**batch, "target_image": image}[t.name] for t in gan.discriminator.inputs])
    np.testing.assert_allclose(terms["nearest_neighbour"], sum(nearest), rtol=1e-4)
    np.testing.assert_allclose(terms["adversarial"], -np.log(score.numpy() + 1e-7).mean(), rtol=1e-4)
    np.testing.assert_allclose(terms["total_variation"], losses.total_variation(image), rtol=1e-5)
    total = 2 * terms["adversarial"] + 0.5 * terms["nearest_neighbour"] + 0.1 * terms["total_variation"]
    np.testing.assert_allclose(terms["generator"], total, rtol=1e-5)


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
    keras.Model(image, maps[..., :5]).save(tmp_path / "few.keras")
    with pytest.raises(InputError, match="gives 5 maps; the skeleton has 18 joints"):
        make(LossConfig(lstruct_penalty_weight=1, pose_estimator=str(tmp_path / "few.keras")))


def test_vgg_input_is_what_keras_preprocesses():
    """[-1, 1] RGB → 0..255, BGR, means subtracted: against keras.applications' own function."""
    images = tf.random.uniform((1, *SIZE, 3), -1, 1, seed=1)
    ours = VGGFeatures(["block1_conv1"], "random", SIZE)
    expected = ours.model(keras.applications.vgg19.preprocess_input((images.numpy() + 1) * 127.5))
    np.testing.assert_allclose(ours(images)[0], expected, rtol=1e-3, atol=1e-2)


def test_vgg_weights_come_from_a_file_and_nothing_falls_back(tmp_path):
    random = VGGFeatures(["block1_conv2"], "random", SIZE)
    model = keras.applications.VGG19(include_top=False, weights=None, input_shape=(*SIZE, 3))
    weights = [w * 0 + 0.01 for w in model.get_weights()]
    model.set_weights(weights)
    model.save_weights(tmp_path / "vgg19.weights.h5")
    given = VGGFeatures(["block1_conv2"], str(tmp_path / "vgg19.weights.h5"), SIZE)
    assert np.all(given.model.get_weights()[0] == weights[0])
    assert np.any(random.model.get_weights()[0] != weights[0])
    with pytest.raises(InputError, match="no such file"):
        VGGFeatures(["block1_conv2"], str(tmp_path / "absent.h5"), SIZE)
    (tmp_path / "broken.h5").write_text("x")
    with pytest.raises(InputError, match=r"broken\.h5: not a weights file of VGG-19"):
        VGGFeatures(["block1_conv2"], str(tmp_path / "broken.h5"), SIZE)
    with pytest.raises(InputError, match="VGG-19 has no layer 'block9'; allowed: none, block1_conv1"):
        VGGFeatures(["block9"], "random", SIZE)


def test_imagenet_weights_that_cannot_be_fetched_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def offline(*args, **kwargs):
        if kwargs.get("weights") == "imagenet":
            raise OSError("no route to host")
        return real(*args, **kwargs)

    real = keras.applications.VGG19
    monkeypatch.setattr(keras.applications, "VGG19", offline)
    with pytest.raises(InputError, match=r"no route to host.*put it there, or give its path with --vgg_weights PATH"):
        VGGFeatures(["block1_conv2"], "imagenet", SIZE)


def test_training_towards_one_pair_draws_it():
    """A small network learns a single pair by heart: the L1 loss falls to a fraction."""
    gan = make(LossConfig(gan_penalty_weight=0.1), TrainConfig(learning_rate=2e-3))
    one = {key: value[:1] for key, value in batch_for(gan).items()}
    one["target_image"] = tf.image.resize(tf.image.resize(one["target_image"], (6, 4)), SIZE)
    first = float(gan.train_step([one])["l1"])
    for _ in range(60):
        last = float(gan.train_step([one])["l1"])
    assert last < 0.5 * first


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_float32_weights_and_saves_float32_networks(precision):
    gan = make(LossConfig(nn_loss_area_size=3), TrainConfig(precision=precision))
    assert gan.generator.get_layer("decoder_1").compute_dtype == precision.removeprefix("mixed_")
    before, batch = snapshot(gan.generator), batch_for(gan)
    for _ in range(3):
        report = gan.train_step([batch])
    assert all(np.isfinite(value) for value in report.values())
    assert all(np.any(a != b) for a, b in zip(before, snapshot(gan.generator), strict=True))
    generator, _ = gan.models()
    assert {layer.compute_dtype for layer in generator.layers} == {"float32"}
    assert {weight.dtype for weight in generator.trainable_variables} == {"float32"}
    values = [batch[t.name] for t in generator.inputs]
    np.testing.assert_allclose(generator(values), gan.generator(values), atol=0.15)
    plain = make(LossConfig(nn_loss_area_size=3))
    np.testing.assert_allclose(plain.train_step([batch])["nearest_neighbour"], gan_first(precision, batch), rtol=0.05)


def gan_first(precision: str, batch: dict[str, tf.Tensor]) -> float:
    """The first NN loss of a run in this precision; with the default seed it begins as every other run."""
    gan = make(LossConfig(nn_loss_area_size=3), TrainConfig(precision=precision))
    return float(gan.train_step([batch])["nearest_neighbour"])
