"""The fast forms of convolutions: values and gradients are those of the library's operators. Files stay the same."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from pose_gan.config import ModelConfig
from pose_gan.layers import forms
from pose_gan.layers.forms import use_fast_forms
from pose_gan.layers.strided import convolve, convolve_transposed
from pose_gan.networks import build_discriminator, build_generator


def numbers(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def results(function, *inputs: tf.Tensor) -> list[np.ndarray]:
    """The value of a function, and its gradients for an upstream of random numbers."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(*inputs)
    return [value.numpy(), *(each.numpy() for each in tape.gradient(value, inputs, numbers(*value.shape, seed=9)))]


@pytest.mark.parametrize("size", [(4, 4), (9, 5), (8, 7), (17, 10)])
def test_strided_products_are_convolutions(size):
    large, kernel = numbers(3, *size, 5), numbers(4, 4, 5, 6, seed=1)
    ours, theirs = results(convolve, large, kernel), results(lambda x, k: tf.nn.conv2d(x, k, 2, "VALID"), large, kernel)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


def test_strided_products_are_transposes_of_each_other():
    kernel, large, small = numbers(4, 4, 5, 6, seed=1), numbers(2, 8, 10, 5), numbers(2, 3, 4, 6, seed=2)
    ours = results(convolve_transposed, small, kernel)
    theirs = results(lambda x, k: tf.nn.conv2d_transpose(x, k, (2, 8, 10, 5), 2, "VALID"), small, kernel)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)
    forth = tf.reduce_sum(convolve(large, kernel) * small)
    back = tf.reduce_sum(large * convolve_transposed(small, kernel))
    np.testing.assert_allclose(forth, back, rtol=1e-5)


def operators(model: keras.Model) -> dict[str, int]:
    """How often the graph of a model has each operator that multiplies."""
    inputs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs]
    graph = tf.function(lambda *values: model(list(values))).get_concrete_function(*inputs).graph.as_graph_def()
    kinds = [node.op for node in graph.node] + [node.op for one in graph.library.function for node in one.node_def]
    return {kind: kinds.count(kind) for kind in ("Conv2D", "Conv2DBackpropInput", "MatMul")}


@pytest.mark.parametrize(
    ("build", "changed"),
    [
        (build_generator, 2 * 3),  # levels 3 to 5 of two streams
        (build_discriminator, 3),  # the last blocks
    ],
)
def test_a_network_computes_the_same_by_other_operators(build, changed, monkeypatch, tmp_path):
    monkeypatch.setattr(forms, "LARGE_KERNEL", 0)
    model = build(ModelConfig(image_size=(64, 64), width=0.0625))
    values = [numbers(2, *tensor.shape[1:], seed=seed) for seed, tensor in enumerate(model.inputs)]
    poses = [np.random.default_rng(3).integers(0, 64, (2, 18, 2)).astype("float32") for _ in range(2)]
    values = [tf.constant(poses.pop()) if value.shape[-1] == 2 else value for value in values]

    def run() -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            out = model(values)
        return [out, *tape.gradient(out, model.trainable_variables, numbers(*out.shape, seed=9))]

    before, graph, described = run(), operators(model), model.to_json()
    use_fast_forms(model)
    after, faster = run(), operators(model)
    assert graph["Conv2D"] - faster["Conv2D"] == changed
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * float(np.abs(a).max()))
    assert json.loads(model.to_json()) == json.loads(described)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert operators(loaded) == graph
    np.testing.assert_allclose(loaded(values), before[0], rtol=1e-6, atol=1e-6)


def test_small_kernels_keep_their_operator():
    model = build_generator(ModelConfig(image_size=(64, 64), width=0.0625))
    graph = operators(model)
    use_fast_forms(model)
    assert operators(model) == graph


def test_half_precision_keeps_its_operators(monkeypatch):
    monkeypatch.setattr(forms, "LARGE_KERNEL", 0)
    features = keras.Input((8, 8, 4))
    dtypes = ("float32", "mixed_bfloat16")
    layers = [keras.layers.Conv2D(3, 4, strides=2, padding="same", dtype=dtype) for dtype in dtypes]
    model = keras.Model(features, [layer(features) for layer in layers])
    use_fast_forms(model)
    assert operators(model)["Conv2D"] == 1
