"""The continuation of images below and to the right."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from pose_gan.layers import EdgePadding2D


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, height, width, 3)).astype(np.float32)


@pytest.mark.parametrize("size", [(5, 4), (5, 7), (9, 4), (12, 7)])
def test_it_equals_numpy_s_edge_padding(size):
    pixels = image(5, 4)
    padded = np.asarray(EdgePadding2D(size)(pixels))
    np.testing.assert_array_equal(padded, np.pad(pixels, [(0, 0), (0, size[0] - 5), (0, size[1] - 4), (0, 0)], "edge"))


def test_its_gradient_is_the_transposed_padding():
    """⟨u, pad(x)⟩ = ⟨padᵀ(u), x⟩: every copy's gradient goes to the pixel from which it came."""
    pixels = tf.constant(image(5, 4))
    upstream = tf.constant(image(8, 7))
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        value = tf.reduce_sum(EdgePadding2D((8, 7))(pixels) * upstream)
    expected = np.zeros((2, 5, 4, 3))
    for y, x in np.ndindex(8, 7):
        expected[:, min(y, 4), min(x, 3)] += upstream[:, y, x]
    np.testing.assert_allclose(np.asarray(tape.gradient(value, pixels)), expected, atol=1e-5)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_save_and_load_in_a_model(suffix, tmp_path):
    symbolic = keras.Input((5, 4, 3))
    model = keras.Model(symbolic, EdgePadding2D((8, 7))(symbolic))
    assert model.output_shape == (None, 8, 7, 3)
    model.save(tmp_path / f"model{suffix}")
    loaded = keras.saving.load_model(tmp_path / f"model{suffix}", compile=False)
    np.testing.assert_array_equal(np.asarray(loaded(image(5, 4))), np.asarray(model(image(5, 4))))


@pytest.mark.parametrize("size", [(4, 9), (9, 3)])
def test_a_larger_image_is_refused(size):
    with pytest.raises(ValueError, match=r"an image of \(5, 4\) pixels cannot be continued to"):
        EdgePadding2D(size)(image(5, 4))
