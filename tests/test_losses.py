"""`pose_gan.losses` against the NumPy twins, finite differences and invariances."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import twins

from pose_gan.losses import (
    discriminator_adversarial_loss,
    generator_adversarial_loss,
    nearest_neighbour_loss,
    total_variation,
)


def nearest(generated: np.ndarray, target: np.ndarray, **options) -> float:
    return float(nearest_neighbour_loss(tf.constant(generated), tf.constant(target), **options))


def features(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("window", [1, 3, 5, 9])
@pytest.mark.parametrize("shape", [(2, 7, 5, 3), (1, 6, 8, 1), (3, 2, 3, 4)])
def test_nearest_neighbour_loss_equals_twin(shape, window, reduction):
    generated, target = features(shape, 0), features(shape, 1)
    ours = nearest_neighbour_loss(tf.constant(generated), tf.constant(target), window=window, reduction=reduction)
    assert ours.shape == ()
    assert ours.dtype == tf.float32
    assert float(ours) == pytest.approx(twins.nearest_neighbour_loss(generated, target, window, reduction), rel=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("window", [1, 3, 5])
def test_nearest_neighbour_gradient(window, reduction):
    shape = (2, 4, 3, 2)
    generated, target = features(shape, 2), features(shape, 3)
    values = tf.constant(generated), tf.constant(target)
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = 3 * nearest_neighbour_loss(*values, window=window, reduction=reduction)
    gradient = tape.gradient(loss, values[0])
    numeric = twins.finite_differences(
        lambda g: 3 * twins.nearest_neighbour_loss(g, target, window, reduction), generated.astype(np.float64)
    )
    np.testing.assert_allclose(np.asarray(gradient), numeric, atol=1e-5)
    assert np.abs(numeric).min() > 0


def test_window_one_is_the_l1_distance():
    generated, target = features((2, 6, 5, 4), 4), features((2, 6, 5, 4), 5)
    expected = np.abs(generated - target).sum(axis=-1)
    assert nearest(generated, target, window=1) == pytest.approx(expected.mean(), rel=1e-5)
    assert nearest(generated, target, window=1, reduction="sum") == pytest.approx(expected.sum() / 2, rel=1e-5)


def test_outside_of_the_image_is_never_chosen():
    zeros, ones = np.zeros((1, 5, 4, 2), np.float32), np.full((1, 5, 4, 2), 1e6, np.float32)
    assert nearest(zeros, ones, window=5) == pytest.approx(2e6)
    far = np.full((1, 5, 4, 2), -2e4, np.float32)  # a padding of −1e4 would be nearer
    assert nearest(far, far + 1.5e4, window=3) == pytest.approx(3e4)


@pytest.mark.parametrize(("dy", "dx"), [(0, 1), (-1, 0), (1, -1)])
def test_a_shift_inside_the_window_costs_nothing_in_the_interior(dy, dx):
    image = features((1, 12, 10, 3), 6)
    shifted = np.roll(image, (dy, dx), axis=(1, 2))
    generated, target = tf.constant(image), tf.constant(shifted)
    with tf.GradientTape() as tape:
        tape.watch(generated)
        loss = nearest_neighbour_loss(generated, target, window=3, reduction="sum")
    border = 12 * 10 - 11 * 9 if dy and dx else 12 if dx else 10
    assert float(loss) <= border * np.abs(image).sum(axis=-1).max() * 2
    assert not np.asarray(tape.gradient(loss, generated))[:, 1:-1, 1:-1].any()
    assert float(loss) < 0.3 * nearest(image, shifted, window=1, reduction="sum")


def test_larger_windows_cost_less_and_equal_images_nothing():
    generated, target = features((1, 9, 7, 3), 7), features((1, 9, 7, 3), 8)
    losses = [nearest(generated, target, window=window) for window in (1, 3, 5, 7)]
    assert losses == sorted(losses, reverse=True)
    assert nearest(generated, generated, window=5) == 0


@pytest.mark.parametrize("jit_compile", [False, True])
def test_nearest_neighbour_loss_in_a_graph_of_unknown_batch(jit_compile):
    generated, target = features((3, 6, 5, 4), 9), features((3, 6, 5, 4), 10)
    spec = tf.TensorSpec((None, 6, 5, 4), tf.float32)

    def loss_and_gradient(g, t):
        with tf.GradientTape() as tape:
            tape.watch(g)
            loss = nearest_neighbour_loss(g, t, window=3)
        return loss, tape.gradient(loss, g)

    graph = tf.function(loss_and_gradient, input_signature=[spec, spec], jit_compile=jit_compile)
    for ours, expected in zip(
        graph(generated, target), loss_and_gradient(tf.constant(generated), tf.constant(target)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(expected), atol=1e-6)


@pytest.mark.parametrize("window", [0, 2, 4, -3])
def test_even_window_is_refused(window):
    with pytest.raises(ValueError, match=f"odd.*{window}"):
        nearest(features((1, 4, 4, 1), 0), features((1, 4, 4, 1), 1), window=window)


def test_other_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="median"):
        nearest(features((1, 4, 4, 1), 0), features((1, 4, 4, 1), 1), reduction="median")
    with pytest.raises(ValueError, match="shape"):
        nearest_neighbour_loss(tf.zeros((1, 4, 4, 1)), tf.zeros((1, 4, 5, 1)))


def test_total_variation_equals_twin():
    """A sum over the batch, as in the release."""
    images = features((2, 6, 5, 3), 11)
    assert float(total_variation(images)) == pytest.approx(twins.total_variation(images), rel=1e-5)
    one, two = (float(total_variation(images[i : i + 1])) for i in range(2))
    assert float(total_variation(images)) == pytest.approx(one + two, rel=1e-5)


def test_total_variation_by_hand():
    ramp = np.broadcast_to(np.arange(5, dtype=np.float32)[None, None, :, None] * 2, (1, 4, 5, 1))
    assert float(total_variation(ramp)) == pytest.approx(3 * 4 * (2**2) ** 1.25)  # 3 rows and 4 columns have both
    corner = np.zeros((1, 4, 4, 1), np.float32)
    corner[0, 0, -1] = 1  # seen from its left only
    assert float(total_variation(corner)) == pytest.approx(1)
    corner[0, 0, -1], corner[0, -1, -1] = 0, 1  # below and right of no pixel that counts
    assert float(total_variation(corner)) == 0


def test_total_variation_gradient():
    def gradient_at(images: np.ndarray) -> np.ndarray:
        values = tf.constant(images, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = total_variation(values)
        return np.asarray(tape.gradient(loss, values))

    images = features((2, 4, 3, 2), 14)
    images[0, :2, :2] = 0.5  # flat places are what a generator's images begin with
    numeric = twins.finite_differences(twins.total_variation, images.astype(np.float64))
    np.testing.assert_allclose(gradient_at(images), numeric, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(gradient_at(np.ones((1, 4, 4, 3))), 0)


@pytest.mark.parametrize("shape", [(4, 3), (2, 49), (3, 1)])
def test_adversarial_losses_equal_the_sigmoid_form(shape):
    real, fake = features(shape, 12), features(shape, 13)  # where 1e-7 inside of the log is small
    p_real, p_fake = (1 / (1 + np.exp(-logits.astype(np.float64))) for logits in (real, fake))
    generator = -np.log(p_fake + 1e-7).mean()
    discriminator = -np.log(p_real + 1e-7).mean() - np.log(1 - p_fake + 1e-7).mean()
    assert float(generator_adversarial_loss(fake)) == pytest.approx(generator, abs=2e-6)
    assert float(discriminator_adversarial_loss(real, fake)) == pytest.approx(discriminator, abs=2e-6)


def test_adversarial_losses_of_certain_discriminators():
    sure, zero = tf.constant([[300.0, 300.0]]), tf.zeros((1, 2))
    assert float(generator_adversarial_loss(zero)) == pytest.approx(np.log(2), rel=1e-6)
    assert float(discriminator_adversarial_loss(zero, zero)) == pytest.approx(2 * np.log(2), rel=1e-6)
    assert float(generator_adversarial_loss(-sure)) == pytest.approx(300)
    assert float(generator_adversarial_loss(sure)) == 0
    assert float(discriminator_adversarial_loss(sure, -sure)) == 0
    with tf.GradientTape() as tape:
        tape.watch(sure)
        loss = generator_adversarial_loss(-sure)
    np.testing.assert_allclose(np.asarray(tape.gradient(loss, sure)), 0.5, rtol=1e-6)
