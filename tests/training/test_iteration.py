"""A whole training iteration against its slow twin, and what the twin takes for granted."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from iteration_twin import IterationTwin, PlainAdam, moments, numbers, updates
from makers import SIZE, config, inputs, people

from pose_gan.config import LossConfig, RunConfig, TrainConfig
from pose_gan.networks import build_generator
from pose_gan.poses.drawing import draw_skeleton
from pose_gan.training.gan import GAN

# No two settings are equal, and none is a default.
ADAM = {"learning_rate": 1e-3, "beta_1": 0.4, "beta_2": 0.9}


def make(loss: LossConfig, warp_skip: str = "none", **train) -> GAN:
    return GAN(RunConfig(model=config(width=0.02, warp_skip=warp_skip), loss=loss, train=TrainConfig(**ADAM, **train)))


def batches(gan: GAN, first: int = 0) -> list[dict[str, tf.Tensor]]:
    """Those of one iteration, all different."""
    seeds = range(first, first + gan.batches_per_iteration)
    return [inputs(gan.generator, seed=seed) | inputs(gan.discriminator, seed=seed + 100) for seed in seeds]


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The norm of the difference as a share of the norm of `theirs`."""
    return float(np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), 1e-30))


def assert_same_state(gan: GAN, network: str, model: keras.Model, adam: PlainAdam, start: list[np.ndarray]) -> None:
    """Gradients, weights and dropout states of a network are the twin's, to the rounding of float32."""
    slots = gan.variables[f"{network}_optimizer"]
    assert updates(slots) == adam.count
    for kind in ("momentum", "velocity"):
        for ours, theirs in zip(moments(slots, kind), getattr(adam, kind), strict=True):
            assert distance(ours, theirs) < 0.01
    ours = [numbers(variable) for variable in gan.variables[network] if variable.trainable]
    for weights, theirs, before in zip(ours, adam.weights, start, strict=True):
        assert distance(weights - before, theirs - before) < 0.02
    for state, theirs in zip(gan.variables[network], model.variables, strict=True):
        if not state.trainable:
            np.testing.assert_array_equal(state, theirs)


def assert_same_losses(ours: dict[str, tf.Tensor], theirs: dict[str, float]) -> None:
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert float(ours[name]) == pytest.approx(value, rel=1e-4), name


def assert_iterates_as_its_twin(gan: GAN) -> None:
    """Two iterations and a validation."""
    twin = IterationTwin(gan)
    networks = {"generator": twin.generator_adam, "discriminator": twin.discriminator_adam}
    start = {name: list(adam.weights) for name, adam in networks.items()}
    for number in range(2):
        batch = batches(gan, 10 * number)
        assert_same_losses(gan.train_step(batch), twin.iterate(batch))
    for name, adam in networks.items():
        assert_same_state(gan, name, adam.model, adam, start[name])
    assert_same_losses(gan.validation_step(batch[0])[1], twin.validate(batch[0]))


def test_the_settings_of_adam_are_the_papers_unless_given():
    train = TrainConfig()
    assert (train.learning_rate, train.beta_1, train.beta_2) == (2e-4, 0.5, 0.999)


@pytest.mark.parametrize("ratio", [1, 2])
@pytest.mark.parametrize("shared", [True, False])
def test_two_iterations_equal_the_twins(shared, ratio):
    """Eq. 5, 6 and 10; the weight of the adversarial loss is the generator's alone."""
    loss = LossConfig(gan_penalty_weight=2.5, l1_penalty_weight=10)
    assert_iterates_as_its_twin(make(loss, shared_forward=shared, training_ratio=ratio))


def test_two_iterations_with_moved_features_equal_the_twins():
    assert_iterates_as_its_twin(make(LossConfig(gan_penalty_weight=0.5, l1_penalty_weight=10), warp_skip="mask"))


def test_two_iterations_with_every_loss_equal_the_twins(tmp_path):
    """Eq. 7–9 on two VGG layers, total variation, and an estimator that sees blurred images."""
    image = keras.Input((*SIZE, 3))
    keras.Model(image, keras.layers.AveragePooling2D(4)(keras.layers.Concatenate()([image] * 6))).save(
        tmp_path / "estimator.keras"
    )
    loss = LossConfig(
        gan_penalty_weight=2,
        l1_penalty_weight=0.01,
        nn_loss_area_size=3,
        content_loss_layer="block1_conv1, block1_conv2",
        tv_penalty_weight=1e-4,
        lstruct_penalty_weight=300,
        pose_estimator=str(tmp_path / "estimator.keras"),
        vgg_weights="random",
    )
    assert_iterates_as_its_twin(make(loss))


@pytest.mark.parametrize("weight", [10.0, 1e-6])
def test_without_the_adversarial_loss_two_iterations_equal_the_twins(weight):
    """One batch an iteration, whatever the ratio. Adam's ε shows where gradients are small."""
    gan = make(LossConfig(gan_penalty_weight=0, l1_penalty_weight=weight), training_ratio=4)
    before = [numbers(variable) for variable in gan.variables["discriminator"]]
    assert_iterates_as_its_twin(gan)
    for ours, theirs in zip(gan.variables["discriminator"], before, strict=True):
        np.testing.assert_array_equal(numbers(ours), theirs)


def flat(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays])


@pytest.mark.parametrize(("precision", "warp_skip"), [("mixed_bfloat16", "mask"), ("mixed_float16", "none")])
def test_mixed_precision_follows_the_float32_twin(precision, warp_skip):
    """Losses to the format's precision, gradients of the same size and direction; float32 weights and files.

    At first, float16's loss scale comes down to where gradients are finite; until then nothing is updated.
    """
    gan = make(LossConfig(nn_loss_area_size=3), warp_skip=warp_skip, precision=precision)
    assert gan.generator.get_layer("decoder_1").compute_dtype == precision.removeprefix("mixed_")
    start = [numbers(weight) for weight in gan.generator.trainable_variables]
    batch, iterations = [pictures(2, seed=0)], 0
    while updates(gan.variables["generator_optimizer"]) < 2:
        gan.train_step(batch)
        iterations += 1
        assert iterations < 15
    twin = IterationTwin(gan)
    report, expected = gan.train_step(batch), twin.iterate(batch)
    assert float(report["nearest_neighbour"]) == pytest.approx(expected["nearest_neighbour"], rel=0.05)
    assert float(report["discriminator"]) == pytest.approx(expected["discriminator"], rel=0.5)
    for name, adam in (("generator", twin.generator_adam), ("discriminator", twin.discriminator_adam)):
        ours, theirs = flat(moments(gan.variables[f"{name}_optimizer"], "momentum")), flat(adam.momentum)
        assert updates(gan.variables[f"{name}_optimizer"]) == adam.count
        sizes = np.linalg.norm(ours), np.linalg.norm(theirs)
        assert 0.5 < sizes[0] / sizes[1] < 2
        assert np.vdot(ours, theirs) > 0.7 * sizes[0] * sizes[1]
    for weights, before in zip(gan.generator.trainable_variables, start, strict=True):
        assert weights.dtype == "float32"
        assert np.any(numbers(weights) != before)
    saved, _ = gan.models()
    assert {layer.compute_dtype for layer in saved.layers} == {"float32"}
    values = [batch[0][tensor.name] for tensor in saved.inputs]
    np.testing.assert_allclose(saved(values), gan.generator(values), atol=0.15)


# What the twin takes for granted ------------------------------------------------------------------


def test_dropout_halves_what_the_first_three_decoder_blocks_give_and_nothing_else():
    """Compared with what enters the next layer; off, nothing is dropped."""
    generator = build_generator(config())
    before = [generator.get_layer(f"decoder_norm_{block}").output for block in range(5)]
    after = [
        generator.get_layer(name).input for name in (*(f"decoder_{block}" for block in range(1, 5)), "decoder_image")
    ]
    probe = keras.Model(generator.inputs, [*before, *after])
    batch = inputs(generator, count=8)
    for training in (True, False):
        seen = probe([batch[tensor.name] for tensor in generator.inputs], training=training)
        for block, (given, taken) in enumerate(zip(seen[:5], seen[5:], strict=True)):
            given = np.maximum(given, 0)
            share = np.asarray(taken)[..., : given.shape[-1]][given > 0] / given[given > 0]
            if training and block < 3:
                np.testing.assert_allclose(share[share > 0], 2, rtol=1e-6)
                assert np.mean(share > 0) == pytest.approx(0.5, abs=0.05), block
            else:
                np.testing.assert_array_equal(share, 1)


def test_training_drops_out_and_validation_and_samples_do_not():
    gan = make(LossConfig())
    (batch,) = batches(gan)
    values = [batch[tensor.name] for tensor in gan.generator.inputs]
    plain = gan.generator(values, training=False).numpy()
    for image in (gan.validation_step(batch)[0], gan.validation_step(batch)[0], gan.generate(batch)):
        np.testing.assert_allclose(image, plain, atol=1e-5)
    assert np.abs(gan.generator(values, training=True) - plain).max() > 0.01


def pictures(count: int, seed: int) -> dict[str, tf.Tensor]:
    """Pairs that look a little like photographs: soft colours, and a stick-man in either pose."""
    random = np.random.default_rng(seed)
    colours = tf.image.resize(random.uniform(-1, 1, (count, 6, 4, 3)), SIZE, "bicubic").numpy()
    pair = {}
    for number, side in enumerate(("source", "target")):
        poses = people(count, SIZE, seed=2 * seed + number, missing=0)
        lines = np.stack([draw_skeleton(pose, SIZE) for pose in poses]).astype("float32") / 127.5 - 1
        image = np.where(lines.max(axis=-1, keepdims=True) > -1, lines, np.clip(colours, -1, 1))
        pair |= {f"{side}_image": tf.constant(image, tf.float32), f"{side}_keypoints": tf.constant(poses, tf.float32)}
    return pair


def test_the_discriminator_learns_to_score_real_images_above_generated_ones():
    gan, batch = make(LossConfig(), training_ratio=2), pictures(4, seed=0)
    for _ in range(10):
        gan.train_step([batch] * gan.batches_per_iteration)
    drawn = {**batch, "target_image": gan.generate(batch)}
    real_scores, drawn_scores = (
        gan.discriminator([shown[tensor.name] for tensor in gan.discriminator.inputs]).numpy()
        for shown in (batch, drawn)
    )
    assert real_scores.min() > 0.6
    assert drawn_scores.max() < 0.4
