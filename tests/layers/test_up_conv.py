"""The decoder's transposed convolution equals Keras' own: values, gradients, weights, files."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from pose_gan.layers.up_conv import UpConv2D


def plain(filters: int) -> keras.layers.Layer:
    return keras.layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)


@pytest.mark.parametrize(
    "size", [(1, 1), (4, 2), (3, 5), (16, 8), (12, 12)]
)  # the last is above SMALL_MAP: Keras' own operator
def test_it_is_a_transposed_convolution(size):
    random = np.random.default_rng(0)
    features = tf.constant(random.normal(size=(2, *size, 6)), tf.float32)
    upstream = tf.constant(random.normal(size=(2, 2 * size[0], 2 * size[1], 5)), tf.float32)
    ours, theirs = UpConv2D(5), plain(5)
    results = []
    for layer in (ours, theirs):
        layer.build(features.shape)
        layer.set_weights(ours.get_weights())
        with tf.GradientTape() as tape:
            tape.watch(features)
            out = layer(features)
        results.append([out, *tape.gradient(out, [features, layer.trainable_variables[0]], upstream)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


def test_it_runs_in_a_graph_of_unknown_batch():
    layer = UpConv2D(3)
    layer.build((None, 4, 4, 2))
    graph = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec((None, 4, 4, 2))])
    for count in (1, 3, 0):
        assert graph(tf.zeros((count, 4, 4, 2))).shape == (count, 8, 8, 3)


def test_it_survives_a_file(tmp_path):
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, UpConv2D(3)(inputs))
    model.save(tmp_path / "m.keras")
    features = tf.random.normal((2, 4, 4, 2))
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "m.keras")(features), model(features), atol=1e-6)
