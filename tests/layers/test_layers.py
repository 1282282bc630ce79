"""`pose_gan.layers` against the NumPy twins: values, gradients, files, graphs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import twins

from pose_gan import geometry
from pose_gan.layers import DeformableSkip, InstanceNormalization, SpatialTransformer

METHODS = ["sparse", "dense"]


def skip_layer(aggregation: str, interpolation: str, image_size: tuple[int, int], method: str) -> DeformableSkip:
    return DeformableSkip(aggregation=aggregation, interpolation=interpolation, image_size=image_size, method=method)


def scene(
    image_size: tuple[int, int], feature_size: tuple[int, int], parts: int = 4, batch: int = 2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random features, transforms about the identity (some far out of the image) and overlapping masks."""
    random = np.random.default_rng(seed)
    height, width = image_size
    features = random.normal(size=(batch, *feature_size, 3)).astype(np.float32)
    transforms = np.zeros((batch, parts, 8), np.float32)
    transforms[..., :6] = [1, 0, 0, 0, 1, 0]
    transforms[..., :6] += random.normal(size=(batch, parts, 6)) * [0.3, 0.3, width / 5, 0.3, 0.3, height / 5]
    transforms[0, -1] = twins.NO_TRANSFORM
    masks = np.zeros((batch, parts, height, width), np.float32)
    for b, p in np.ndindex(batch, parts):
        top, left = random.integers(0, height // 2), random.integers(0, width // 2)
        masks[b, p, top : top + 2 * height // 3, left : left + 2 * width // 3] = 1
    masks[:, 0] = 1
    masks[:, 0, :, : width // 4] = 0
    return features, transforms, masks


def gradient_of(layer: Any, inputs: list[np.ndarray], upstream: np.ndarray, training: bool) -> np.ndarray:
    features = tf.constant(inputs[0])
    with tf.GradientTape() as tape:
        tape.watch(features)
        total = tf.reduce_sum(layer([features, *inputs[1:]], training=training) * upstream)
    gradient = tape.gradient(total, features)
    assert gradient is not None
    return np.asarray(gradient)


# DeformableSkip -----------------------------------------------------------------------------------

GEOMETRIES = [
    *[((12, 8), (12, 8)), ((24, 12), (12, 6)), ((32, 24), (8, 6)), ((10, 10), (4, 4)), ((13, 9), (4, 3))],
    *[((24, 12), (6, 6)), ((12, 24), (6, 6)), ((16, 9), (5, 9))],  # height and width have other ratios
    ((16, 24), (7, 11)),  # after a convolution 4×4 with stride 2 that does not pad, as in the discriminator
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("aggregation", ["max", "avg"])
@pytest.mark.parametrize(("image_size", "feature_size"), GEOMETRIES)
def test_deformable_skip_equals_twin(image_size, feature_size, aggregation, interpolation, masked, method):
    features, transforms, masks = scene(image_size, feature_size)
    inputs = [features, transforms, masks] if masked else [features, transforms]
    layer = skip_layer(aggregation, interpolation, image_size, method)
    twin = twins.deformable_skip(
        features, transforms, masks if masked else None, image_size, aggregation, interpolation
    )
    upstream = np.random.default_rng(1).normal(size=features.shape).astype(np.float32)
    expected = twins.deformable_skip_gradient(
        features, transforms, masks if masked else None, upstream, image_size, aggregation, interpolation
    )
    assert np.abs(twin).max() > 0.5
    for training in (False, True):
        ours = layer(inputs, training=training)
        assert ours.shape == features.shape
        assert ours.dtype == tf.float32
        np.testing.assert_allclose(np.asarray(ours), twin, atol=1e-5)
        np.testing.assert_allclose(gradient_of(layer, inputs, upstream, training), expected, atol=1e-5)


def test_adjoint_twin_is_the_derivative_of_the_twin():
    image_size = (8, 6)
    features, transforms, masks = scene(image_size, (4, 3), batch=1)
    features = features.astype(np.float64)
    upstream = np.random.default_rng(2).normal(size=features.shape)
    for aggregation in ("max", "avg"):
        numeric = twins.finite_differences(
            lambda f, how=aggregation: (twins.deformable_skip(f, transforms, masks, image_size, how) * upstream).sum(),
            features,
        )
        adjoint = twins.deformable_skip_gradient(features, transforms, masks, upstream, image_size, aggregation)
        np.testing.assert_allclose(adjoint, numeric, atol=1e-7)
        assert np.abs(numeric).max() > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_deformable_skip_on_real_geometry(method):
    random = np.random.default_rng(3)
    image_size, feature_size = (128, 64), (32, 16)
    source, target = (random.integers(0, (128, 64), (2, 18, 2)) for _ in range(2))
    transforms = np.asarray(geometry.part_transforms(source, target))
    masks = np.asarray(geometry.part_masks(target, image_size))
    features = random.normal(size=(2, *feature_size, 4)).astype(np.float32)
    upstream = random.normal(size=features.shape).astype(np.float32)
    layer = skip_layer("max", "bilinear", image_size, method)
    ours = np.asarray(layer([features, transforms, masks], training=True))
    np.testing.assert_allclose(ours, twins.deformable_skip(features, transforms, masks, image_size), atol=1e-4)
    expected = twins.deformable_skip_gradient(features, transforms, masks, upstream, image_size)
    for training in (False, True):
        got = gradient_of(layer, [features, transforms, masks], upstream, training)
        np.testing.assert_allclose(got, expected, atol=2e-4)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_zeros_outside_masks_take_part_in_the_maximum(method, training):
    features = -np.ones((1, 4, 4, 2), np.float32)
    identity = np.tile(np.array([1, 0, 0, 0, 1, 0, 0, 0], np.float32), (1, 2, 1))
    masks = np.ones((1, 2, 4, 4), np.float32)
    masks[:, 1, :, 2:] = 0
    for aggregation, right in (("max", 0), ("avg", -1)):
        ours = np.asarray(
            skip_layer(aggregation, "bilinear", (4, 4), method)([features, identity, masks], training=training)
        )
        np.testing.assert_array_equal(ours[:, :, :2], -1)  # all parts are present
        np.testing.assert_array_equal(ours[:, :, 2:], right)


@pytest.mark.parametrize("batch", [2, 0])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("aggregation", ["max", "avg"])
@pytest.mark.parametrize("method", METHODS)
def test_no_part_anywhere(method, aggregation, training, batch):
    features, transforms, masks = (array[:batch] for array in scene((8, 8), (4, 4)))
    inputs = [features, transforms, np.zeros_like(masks)]
    layer = skip_layer(aggregation, "bilinear", (8, 8), method)
    np.testing.assert_array_equal(np.asarray(layer(inputs, training=training)), np.zeros_like(features))
    np.testing.assert_array_equal(gradient_of(layer, inputs, features, training), np.zeros_like(features))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_equal_parts_share_one_gradient(method, training):
    features = np.random.default_rng(4).uniform(0.5, 1, (1, 5, 4, 2)).astype(np.float32)
    identity = np.tile(np.array([1, 0, 0, 0, 1, 0, 0, 0], np.float32), (1, 3, 1))
    masks = np.ones((1, 3, 5, 4), np.float32)
    masks[:, 2, :3] = 0
    layer = skip_layer("max", "bilinear", (5, 4), method)
    np.testing.assert_array_equal(np.asarray(layer([features, identity, masks], training=training)), features)
    upstream = np.random.default_rng(5).normal(size=features.shape).astype(np.float32)
    got = gradient_of(layer, [features, identity, masks], upstream, training)
    np.testing.assert_allclose(got, upstream, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_nearest_rounds_ties_away_from_zero(method):
    features = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5, 1)
    transforms = np.array([[[1, 0, shift, 0, 1, 0, 0, 0]] for shift in (0.5, -0.5, 1.5)], np.float32)
    layer = skip_layer("max", "nearest", (1, 5), method)
    ours = np.asarray(layer([np.repeat(features, 3, axis=0), transforms]))[:, 0, :, 0]
    np.testing.assert_array_equal(ours, [[2, 3, 4, 5, 0], [0, 2, 3, 4, 5], [3, 4, 5, 0, 0]])


@pytest.mark.parametrize("method", METHODS)
def test_whole_pixel_shift_at_a_lower_resolution(method):
    features = np.random.default_rng(6).uniform(1, 2, (1, 8, 4, 2)).astype(np.float32)
    transforms = np.array([[[1, 0, 4, 0, 1, -8, 0, 0]]], np.float32)  # one and two feature pixels
    ours = np.asarray(skip_layer("max", "bilinear", (32, 16), method)([features, transforms]))
    np.testing.assert_allclose(ours[:, 2:, :3], features[:, :-2, 1:], atol=1e-6)
    assert not ours[:, :2].any()
    assert not ours[:, :, 3].any()


@pytest.mark.parametrize("method", METHODS)
def test_features_of_another_shape_than_the_image(method):
    """Columns lie two pixels of the image apart, and rows one. The transform exchanges x and y in the image."""
    features = np.random.default_rng(6).uniform(1, 2, (1, 8, 4, 2)).astype(np.float32)
    exchange = np.array([[[0, 1, 0, 1, 0, 0, 0, 0]]], np.float32)
    ours = np.asarray(skip_layer("max", "bilinear", (8, 8), method)([features, exchange]))[0]
    for i, j in np.ndindex(8, 4):  # image (x, y) = (2j, i) → (i, 2j), which is column i/2 of row 2j
        left, right = features[0, 2 * j, i // 2], features[0, 2 * j, i // 2 + 1] if i < 6 else 0
        np.testing.assert_allclose(ours[i, j], (left + right) / 2 if i % 2 else left, atol=1e-6)


@pytest.mark.parametrize("size", [(9, 8), (8, 9)])
def test_features_larger_than_the_image_are_refused(size):
    with pytest.raises(
        ValueError, match=rf"features of \({size[0]}, {size[1]}\) pixels do not fit image_size \(8, 8\)"
    ):
        DeformableSkip(image_size=(8, 8))([np.zeros((1, *size, 3), np.float32), np.zeros((1, 2, 8), np.float32)])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("aggregation", ["max", "avg"])
@pytest.mark.parametrize("method", METHODS)
def test_deformable_skip_in_a_graph_of_unknown_batch(method, aggregation, training):
    image_size = (16, 12)
    inputs = list(scene(image_size, (8, 6), batch=3))
    layer = skip_layer(aggregation, "bilinear", image_size, method)
    specs = [tf.TensorSpec((None, *array.shape[1:]), tf.float32) for array in inputs]

    @tf.function(input_signature=specs)
    def moved(features, transforms, masks):
        with tf.GradientTape() as tape:
            tape.watch(features)
            output = layer([features, transforms, masks], training=training)
            total = tf.reduce_sum(tf.square(output))
        return output, tape.gradient(total, features)

    twin = twins.deformable_skip(inputs[0], inputs[1], inputs[2], image_size, aggregation)
    adjoint = twins.deformable_skip_gradient(inputs[0], inputs[1], inputs[2], 2 * twin, image_size, aggregation)
    for batch in (3, 1):
        output, gradient = moved(*(array[:batch] for array in inputs))
        np.testing.assert_allclose(np.asarray(output), twin[:batch], atol=1e-5)
        np.testing.assert_allclose(np.asarray(gradient), adjoint[:batch], atol=3e-5)


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
@pytest.mark.parametrize("method", METHODS)
def test_deformable_skip_in_half_precision_keeps_pixels(method, dtype):
    image_size = (16, 12)
    features, transforms, masks = scene(image_size, (8, 6))
    features = np.asarray(tf.cast(tf.cast(features, dtype), tf.float32))
    layer = skip_layer("max", "bilinear", image_size, method)
    ours = layer([tf.cast(features, dtype), transforms, masks], training=True)
    assert ours.dtype == dtype
    np.testing.assert_allclose(
        np.asarray(tf.cast(ours, tf.float32)),
        twins.deformable_skip(features, transforms, masks, image_size),
        rtol=1e-2,
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [({"aggregation": "mean"}, "mean"), ({"interpolation": "cubic"}, "cubic"), ({"aggregation": ""}, "avg")],
)
def test_deformable_skip_refuses_unknown_options(options, message):
    with pytest.raises(ValueError, match=message):
        DeformableSkip(image_size=(8, 8), **options)


# Layers in files ----------------------------------------------------------------------------------


def layers_with_inputs() -> dict[str, tuple[Any, list[np.ndarray]]]:
    """Every layer in more than its default form, with inputs."""
    features, transforms, masks = scene((16, 12), (8, 6))
    theta = np.tile(np.array([1, 0.1, 0.2, -0.1, 0.9, 0], np.float32), (2, 1))
    layers = {
        f"skip_{method}": (skip_layer("avg", "nearest", (16, 12), method), [features, transforms, masks])
        for method in METHODS
    }
    return {
        **layers,
        "skip": (DeformableSkip(image_size=(16, 12)), [features, transforms, masks]),
        "skip_without_masks": (DeformableSkip(image_size=(16, 12)), [features, transforms]),
        "spatial_transformer": (SpatialTransformer(), [features, theta]),
        "instance": (InstanceNormalization(mode="instance", epsilon=0.01), [features]),
        "release": (InstanceNormalization(mode="release"), [features]),
    }


LAYER_NAMES = list(layers_with_inputs())


def call(layer: Any, inputs: list[Any]) -> Any:
    return layer(inputs if len(inputs) > 1 else inputs[0])


@pytest.mark.parametrize("name", LAYER_NAMES)
def test_config_round_trip(name):
    layer, inputs = layers_with_inputs()[name]
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer)
    assert copy is not layer
    assert copy.get_config() == layer.get_config()
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    np.testing.assert_array_equal(np.asarray(call(copy, inputs)), np.asarray(call(layer, inputs)))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", LAYER_NAMES)
def test_save_and_load_in_a_model(name, suffix, tmp_path):
    layer, inputs = layers_with_inputs()[name]
    symbolic = [keras.Input(array.shape[1:]) for array in inputs]
    model = keras.Model(symbolic, call(layer, symbolic))
    assert model.output_shape == (None, *inputs[0].shape[1:])
    random = np.random.default_rng(7)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    expected = np.asarray(model(inputs))
    np.testing.assert_allclose(expected, np.asarray(call(layer, inputs)), atol=1e-6)
    model.save(tmp_path / f"model{suffix}")
    loaded = keras.saving.load_model(tmp_path / f"model{suffix}", compile=False)
    np.testing.assert_allclose(np.asarray(loaded(inputs)), expected, atol=1e-6)


@pytest.mark.parametrize("name", LAYER_NAMES)
def test_exported_model_equals(name, tmp_path):
    layer, inputs = layers_with_inputs()[name]
    symbolic = [keras.Input(array.shape[1:]) for array in inputs]
    model = keras.Model(symbolic, call(layer, symbolic))
    model.export(tmp_path / "exported", verbose=False)
    loaded: Any = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(np.asarray(loaded.serve(inputs)), np.asarray(model(inputs)), atol=2e-5)


@pytest.mark.parametrize("name", LAYER_NAMES)
def test_a_fit_step(name):
    """Keras' own training takes the step that the eager gradient asks for: weights − rate · gradient."""
    layer, inputs = layers_with_inputs()[name]
    symbolic = [keras.Input(array.shape[1:]) for array in inputs]
    features = keras.layers.Conv2D(3, 1)(symbolic[0])
    model = keras.Model(symbolic, call(layer, [features, *symbolic[1:]]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(inputs, training=True) - inputs[0]))
    gradients = tape.gradient(loss, model.trainable_variables)
    expected = [value - 0.5 * np.asarray(g) for value, g in zip(model.get_weights(), gradients, strict=True)]
    assert np.abs(np.asarray(gradients[0])).max() > 1e-3
    model.compile(keras.optimizers.SGD(0.5), "mse")
    history = model.fit(inputs, inputs[0], verbose=0)  # type: ignore[arg-type]
    np.testing.assert_allclose(history.history["loss"], [float(loss)], rtol=1e-5)
    for got, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


# InstanceNormalization ----------------------------------------------------------------------------


def norm_layer(mode: str, epsilon: float | None, shape: tuple[int, ...]) -> tuple[Any, np.ndarray, np.ndarray]:
    """A built layer with random gain and bias."""
    random = np.random.default_rng(8)
    layer = InstanceNormalization(mode=mode, epsilon=epsilon)
    layer.build(shape)
    weights = layer.get_weights()
    assert [weight.shape for weight in weights] == [(shape[-1],)] * 2 if mode == "instance" else [()] * 2
    gamma, beta = random.normal(1, 0.5, weights[0].shape), random.normal(0, 1, weights[1].shape)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    return layer, gamma, beta


@pytest.mark.parametrize("epsilon", [None, 0.3])
@pytest.mark.parametrize("mode", ["instance", "release"])
def test_instance_normalization_equals_twin(mode, epsilon):
    random = np.random.default_rng(9)
    images = random.normal(random.normal(size=5) * 3, [0.003, 0.1, 1, 5, 2], (3, 7, 6, 5)).astype(np.float32)
    layer, gamma, beta = norm_layer(mode, epsilon, images.shape)
    np.testing.assert_allclose(
        np.asarray(layer(images)), twins.instance_norm(images, gamma, beta, mode, epsilon), atol=1e-4
    )
    constant = np.full((1, 4, 4, 5), 2.5, np.float32)
    ours = np.asarray(layer(constant))
    np.testing.assert_allclose(ours, np.broadcast_to(beta, constant.shape), atol=1e-4)


@pytest.mark.parametrize("mode", ["instance", "release"])
def test_instance_normalization_gradient(mode):
    random = np.random.default_rng(10)
    images, upstream = random.normal(1, 2, (2, 3, 4, 3)), random.normal(size=(2, 3, 4, 3))
    layer, gamma, beta = norm_layer(mode, None, images.shape)
    values = tf.constant(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(layer(values) * tf.constant(upstream, tf.float32))
    gradients = tape.gradient(total, [values, *layer.trainable_variables])

    def loss(x: np.ndarray, g: np.ndarray, b: np.ndarray) -> float:
        return float((twins.instance_norm(x, g, b, mode) * upstream).sum())

    expected = [
        twins.finite_differences(lambda x: loss(x, gamma, beta), images),
        twins.finite_differences(lambda g: loss(images, g, beta), np.asarray(gamma)),
        twins.finite_differences(lambda b: loss(images, gamma, b), np.asarray(beta)),
    ]
    for got, numeric in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), numeric, atol=1e-4)


@pytest.mark.parametrize("mode", ["instance", "release"])
def test_instance_normalization_of_a_constant_has_a_finite_gradient(mode):
    values = tf.ones((1, 4, 4, 2))
    layer = InstanceNormalization(mode=mode)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(tf.square(layer(values) - 1))
    assert np.isfinite(np.asarray(tape.gradient(total, values))).all()


def test_instance_normalization_refuses_an_unknown_mode():
    with pytest.raises(ValueError, match="batch"):
        InstanceNormalization(mode="batch")


# SpatialTransformer -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(7, 5), (8, 8), (4, 9)])
def test_spatial_transformer_equals_twin(size):
    random = np.random.default_rng(11)
    features = random.normal(size=(4, *size, 3)).astype(np.float32)
    theta = np.tile(np.array([1, 0, 0, 0, 1, 0]), (4, 1)) + random.normal(0, 0.4, (4, 6))
    ours = np.asarray(SpatialTransformer()([features, theta.astype(np.float32)]))
    np.testing.assert_allclose(ours, twins.spatial_transformer(features, theta), atol=2e-5)


def test_spatial_transformer_by_hand():
    features = np.random.default_rng(12).normal(size=(4, 6, 5, 2)).astype(np.float32)
    identity, mirror, far = [1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, 1, 0], [1, 0, 9, 0, 1, 0]
    right = [1, 0, 2 / (5 - 1), 0, 1, 0]  # reads one pixel to the right
    ours = np.asarray(SpatialTransformer()([features, np.array([identity, mirror, far, right], np.float32)]))
    np.testing.assert_allclose(ours[0], features[0], atol=1e-5)
    np.testing.assert_allclose(ours[1], features[1, :, ::-1], atol=1e-5)
    assert not ours[2].any()
    np.testing.assert_allclose(ours[3, :, :-1], features[3, :, 1:], atol=1e-5)
    np.testing.assert_allclose(ours[3, :, -1], 0, atol=1e-5)


def test_spatial_transformer_gradients():
    random = np.random.default_rng(13)
    features, upstream = random.normal(size=(2, 5, 4, 2)), random.normal(size=(2, 5, 4, 2))
    theta = np.tile(np.array([0.9, 0, 0, 0, 0.9, 0]), (2, 1)) + random.normal(0, 0.1, (2, 6))
    layer, inputs = SpatialTransformer(), [tf.constant(features, tf.float32), tf.constant(theta, tf.float32)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(layer(inputs) * tf.constant(upstream, tf.float32))
    got_features, got_theta = tape.gradient(total, inputs)

    def loss(f: np.ndarray, t: np.ndarray) -> float:
        return float((twins.spatial_transformer(f, t) * upstream).sum())

    numeric = twins.finite_differences(lambda f: loss(f, theta), features)
    np.testing.assert_allclose(np.asarray(got_features), numeric, atol=1e-4)
    numeric = twins.finite_differences(lambda t: loss(features, t), theta)
    np.testing.assert_allclose(np.asarray(got_theta), numeric, rtol=1e-3, atol=1e-3)


def test_keras_does_not_hand_sparse_skips_to_xla():
    """Where `jit_compile` is left to Keras it asks the layers, on a GPU above all."""
    assert not DeformableSkip().supports_jit
    assert DeformableSkip(method="dense").supports_jit
