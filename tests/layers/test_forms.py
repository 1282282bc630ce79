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
from pose_gan.layers.instance_normalization import InstanceNormalization, normalize_channels, normalize_fused
from pose_gan.layers.narrow import convolve_to_few
from pose_gan.layers.strided import convolve, convolve_transposed, double, halve
from pose_gan.layers.up_conv import UpConv2D
from pose_gan.networks import build_discriminator, build_generator


def numbers(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def results(function, *inputs: tf.Tensor) -> list[np.ndarray]:
    """The value of a function, and its gradients for an upstream of random numbers."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(*inputs)
    return [value.numpy(), *(each.numpy() for each in tape.gradient(value, inputs, numbers(*value.shape, seed=9)))]


def assert_same(ours, theirs, *inputs: tf.Tensor, rtol: float = 1e-5) -> None:
    for a, b in zip(results(ours, *inputs), results(theirs, *inputs), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * float(np.abs(b).max()))


@pytest.mark.parametrize("size", [(4, 4), (9, 5), (8, 7), (17, 10)])
@pytest.mark.parametrize("border", [0, 1])
def test_strided_products_are_convolutions(size, border):
    def padded(x, kernel):
        return tf.nn.conv2d(tf.pad(x, [[0, 0], [border] * 2, [border] * 2, [0, 0]]), kernel, 2, "VALID")

    large, kernel = numbers(3, *size, 5), numbers(4, 4, 5, 6, seed=1)
    assert_same(lambda x, k: convolve(x, k, border), padded, large, kernel)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)])
def test_gradients_by_phases_are_those_of_convolutions(size):
    large, small = numbers(3, 2 * size[0], 2 * size[1], 5), numbers(3, *size, 6, seed=2)
    kernel = numbers(4, 4, 5, 6, seed=1)
    assert_same(halve, lambda x, k: tf.nn.conv2d(x, k, 2, "SAME"), large, kernel)
    assert_same(double, lambda x, k: tf.nn.conv2d_transpose(x, k, large.shape, 2, "SAME"), small, kernel)
    assert_same(lambda x, k: convolve_transposed(x, k, 1), double, small, kernel)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_gradients_of_a_convolution_to_few_channels(side):
    features, kernel = numbers(2, 7, 6, 5), numbers(side, side, 5, 3, seed=1)
    assert_same(convolve_to_few, lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"), features, kernel)


@pytest.mark.parametrize("count", [1, 3])
def test_fused_normalisation(count, monkeypatch):
    """Some channels are far from 0, and one is constant."""
    monkeypatch.setattr("pose_gan.layers.instance_normalization.FUSED_NUMBERS", 0)
    values = numbers(count, 9, 7, 4) + tf.constant([0.0, 100.0, -3.0, 0.0])
    values *= [1.0, 1.0, 10.0, 0.0]
    gain, bias = numbers(4, seed=1), numbers(4, seed=2)
    assert_same(
        lambda x, g, b: normalize_fused(x, g, b, 1e-5),
        lambda x, g, b: normalize_channels(x, g, b, 1e-5),
        *(values, gain, bias),
        rtol=2e-4,
    )


def test_fused_normalisation_of_batches_of_any_size(monkeypatch):
    monkeypatch.setattr("pose_gan.layers.instance_normalization.FUSED_NUMBERS", 0)
    layer = InstanceNormalization()
    layer.build((None, 8, 8, 3))
    layer.normalize = normalize_fused
    graph = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec((None, 8, 8, 3))])
    for count in (0, 1, 40):
        np.testing.assert_allclose(graph(numbers(count, 8, 8, 3)), layer(numbers(count, 8, 8, 3)), atol=1e-5)


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


def inputs_of(model: keras.Model) -> list[tf.Tensor]:
    """Two images of 64×64 and two poses, at random."""
    random = np.random.default_rng(3)
    poses = iter(tf.constant(random.integers(0, 64, (2, 18, 2)), tf.float32) for _ in model.inputs)
    shapes = [tensor.shape[1:] for tensor in model.inputs]
    return [next(poses) if shape[-1] == 2 else numbers(2, *shape, seed=n) for n, shape in enumerate(shapes)]


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
    values = inputs_of(model)

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


@pytest.mark.parametrize("build", [build_generator, build_discriminator])
def test_a_network_is_trained_with_the_same_gradients(build, monkeypatch):
    """Every form that there is for training, each one on some layer, whatever pays."""
    for name in ("LARGE_KERNEL", "VERY_LARGE_KERNEL"):
        monkeypatch.setattr(forms, name, 0)
    monkeypatch.setattr(forms, "LARGE_MAP", 2**14)
    monkeypatch.setattr("pose_gan.layers.instance_normalization.FUSED_NUMBERS", 2**9)
    model = build(ModelConfig(image_size=(64, 64), width=0.0625))
    values = inputs_of(model)

    def run() -> tuple[list[np.ndarray], set[str]]:
        with tf.GradientTape() as tape:
            out = model(values)
        gradients = tape.gradient(out, model.trainable_variables, numbers(*out.shape, seed=9))
        graph = tf.function(lambda *inputs: model(list(inputs))).get_concrete_function(*values).graph
        return [out, *gradients], {operation.type for operation in graph.get_operations()}

    before, _ = run()
    use_fast_forms(model, training=True)
    after, kinds = run()
    assert "FusedBatchNormV3" in kinds
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * float(np.abs(a).max()))


def test_forms_of_the_decoder_in_training(monkeypatch):
    """By patches on the smallest maps and, with very large kernels, on small ones; by phases where they end large."""
    features = [keras.Input((side, side, 16)) for side in (8, 16, 32)]
    layers = [UpConv2D(4) for _ in features]
    model = keras.Model(features, [layer(x) for layer, x in zip(layers, features, strict=True)])

    def products() -> list[str]:
        """The operators that each layer multiplies with for its output and its gradients."""
        found = []
        for layer, x in zip(layers, features, strict=True):

            def gradients(values: tf.Tensor, layer=layer) -> list[tf.Tensor]:
                with tf.GradientTape() as tape:
                    tape.watch(values)
                    out = layer(values)
                return [out, *tape.gradient(out, [values, layer.kernel.value])]

            graph = tf.function(gradients).get_concrete_function(tf.zeros((2, *x.shape[1:]))).graph
            kinds = {operation.type for operation in graph.get_operations()}
            phases, patches = "SpaceToDepth" in kinds, "ExtractImagePatches" in kinds
            found.append("phases" if phases else "patches" if patches else "library")
        return found

    monkeypatch.setattr(forms, "LARGE_MAP", 64 * 64 * 4)
    assert products() == ["patches", "library", "library"]
    use_fast_forms(model)
    assert products() == ["patches", "library", "library"]
    use_fast_forms(model, training=True)
    assert products() == ["patches", "library", "phases"]
    monkeypatch.setattr(forms, "VERY_LARGE_KERNEL", 0)
    use_fast_forms(model, training=True)
    assert products() == ["patches", "patches", "phases"]


def test_a_leaky_activation_keeps_only_its_result():
    features = keras.Input((3,))
    model = keras.Model(features, keras.layers.LeakyReLU(0.2)(features))
    values = tf.constant([[-2.0, 0.0, 3.0]])
    expected, described = results(model, values), model.to_json()
    use_fast_forms(model, training=True)
    for a, b in zip(results(model, values), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.to_json() == described


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
