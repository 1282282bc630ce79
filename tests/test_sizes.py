"""Images of any size: the networks on a larger canvas, the same by hand, and how far missing parts are moved."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from makers import config

from pose_gan import load_generator
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.layers import DeformableSkip, EdgePadding2D, PartGeometry, UniformTransform
from pose_gan.model_files.release_layout import layout_of
from pose_gan.model_files.saving import describe, save_model
from pose_gan.networks import build_discriminator, build_generator, generator_config

ODD, CANVAS = (101, 70), (128, 96)  # an image, and the next size that the generator can halve five times
VARIANTS = (
    {},
    {"warp_skip": "full", "warp_agg": "avg", "use_bg": True},
    {"warp_skip": "stn"},
    {"warp_skip": "none", "use_input_pose": False},
    {"pose_rep_type": "stickman"},
    {"compat": "release"},
)


def network(build, image_size, **values) -> keras.Model:
    keras.utils.set_random_seed(5)
    return build(config(image_size=image_size, **values))


def batch_for(model: keras.Model, image_size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Photographs of this size, and poses inside of it with missing joints."""
    random, batch = np.random.default_rng(6), {}
    for tensor in model.inputs:
        if tensor.name.endswith("keypoints"):
            pose = random.uniform(0, np.array(image_size) - 1, (2, 18, 2))
            pose[random.random((2, 18)) < 0.15] = -1
            batch[tensor.name] = pose.astype(np.float32)
        else:
            batch[tensor.name] = random.uniform(-1, 1, (2, *image_size, 3)).astype(np.float32)
    return batch


def by_hand(batch: dict[str, np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """The same batch with images that are continued by their last row and column; poses stay as they are."""

    def padded(value: np.ndarray) -> np.ndarray:
        below, right = (a - b for a, b in zip(size, value.shape[1:3], strict=True))
        return np.pad(value, [(0, 0), (0, below), (0, right), (0, 0)], "edge")

    return {name: padded(value) if value.ndim == 4 else value for name, value in batch.items()}


def run(model: keras.Model, batch: dict[str, np.ndarray]) -> np.ndarray:
    return np.asarray(model([tf.constant(batch[tensor.name]) for tensor in model.inputs]))


def padding_layers(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if isinstance(layer, EdgePadding2D | keras.layers.Cropping2D)]


@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_the_generator_is_the_one_of_the_canvas_cut_out(values):
    small, large = (network(build_generator, size, **values) for size in (ODD, CANVAS))
    batch = batch_for(small, ODD)
    image = run(small, batch)
    assert image.shape == (2, *ODD, 3)
    np.testing.assert_allclose(image, run(large, by_hand(batch, CANVAS))[:, : ODD[0], : ODD[1]], atol=1e-6)
    assert padding_layers(small)
    assert not padding_layers(large)


@pytest.mark.parametrize(
    ("size", "canvas"),
    [((64, 65), (64, 96)), ((129, 64), (192, 64)), ((256, 176), (256, 192))],
)
def test_the_canvas_is_the_next_size_that_can_be_halved(size, canvas):
    small, large = (network(build_generator, each, warp_skip="none") for each in (size, canvas))
    assert [w.shape for w in small.weights] == [w.shape for w in large.weights]
    assert not padding_layers(large)
    batch = batch_for(small, size)
    np.testing.assert_allclose(
        run(small, batch), run(large, by_hand(batch, canvas))[:, : size[0], : size[1]], atol=1e-6
    )


@pytest.mark.parametrize("disc_type", ["call", "sim", "warp"])
def test_the_discriminator_sees_the_last_row_and_column(disc_type):
    size, even = (67, 71), (68, 72)
    small, large = (network(build_discriminator, each, disc_type=disc_type) for each in (size, even))
    batch = batch_for(small, size)
    np.testing.assert_allclose(run(small, batch), run(large, by_hand(batch, even)), atol=1e-6)
    tensors = {name: tf.constant(value) for name, value in batch.items()}
    image = tensors["target_image"]
    with tf.GradientTape() as tape:
        tape.watch(image)
        scores = small([tensors[tensor.name] for tensor in small.inputs])
    gradient = np.abs(np.asarray(tape.gradient(scores, image))).max(axis=(0, 3))
    assert (gradient[-1] > 0).any()
    assert (gradient[:, -1] > 0).any()
    assert not padding_layers(network(build_discriminator, (100, 70), disc_type=disc_type))


def test_the_release_s_discriminator_has_no_canvas():
    """As its checkpoints have it: the number of cells decides the size of the last layer of `sim`."""
    values = {"image_size": (69, 134), "disc_type": "sim", "compat": "release"}
    discriminator = network(build_discriminator, **values)
    assert padding_layers(discriminator) == []
    logits = layout_of("discriminator", config(**values))[-1]
    assert [weight.shape for weight in discriminator.get_layer("logits").weights] == logits.shapes


@pytest.mark.parametrize("size", [(64, 64), (128, 64), (96, 128), (192, 64), (256, 256)])
def test_sizes_that_can_be_halved_need_no_canvas(size):
    for build in (build_generator, build_discriminator):
        assert padding_layers(network(build, size, warp_skip="none")) == []


def test_one_set_of_weights_serves_every_size_of_a_depth():
    weights = network(build_generator, (256, 256), warp_skip="none").get_weights()
    for size in ((256, 176), (1080, 721)):
        network(build_generator, size, warp_skip="none").set_weights(weights)


def test_every_weight_learns_through_both_canvases():
    generator, discriminator = (network(build, ODD) for build in (build_generator, build_discriminator))
    values = {k: tf.constant(v) for k, v in (batch_for(generator, ODD) | batch_for(discriminator, ODD)).items()}
    with tf.GradientTape() as tape:
        values["target_image"] = generator([values[t.name] for t in generator.inputs], training=True)
        loss = tf.reduce_mean(discriminator([values[t.name] for t in discriminator.inputs]))
    gradients = tape.gradient(loss, generator.trainable_variables)
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)


def test_the_image_stays_float32_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        generator = network(build_generator, ODD, warp_skip="none")
    finally:
        keras.config.set_dtype_policy("float32")
    image = run(generator, batch_for(generator, ODD))
    assert image.dtype == np.float32
    assert image.shape == (2, *ODD, 3)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_generator_of_an_odd_size_round_trips(suffix, tmp_path):
    generator = network(build_generator, ODD, use_bg=True)
    assert generator_config(generator) == describe(generator).model == config(image_size=ODD, use_bg=True)
    save_model(generator, tmp_path / f"generator{suffix}")
    loaded = load_generator(tmp_path / f"generator{suffix}")
    assert describe(loaded).model == describe(generator).model
    batch = batch_for(generator, ODD)
    np.testing.assert_allclose(run(loaded, batch), run(generator, batch), atol=1e-6)


def test_sizes_that_are_refused():
    for size in ((63, 64), (64, 63), (0, 100), (-64, 64)):
        with pytest.raises(
            InputError, match=rf"image_size {size[0]}x{size[1]}: both sides must have 64 pixels or more"
        ):
            ModelConfig(image_size=size)
    ModelConfig(image_size=(1080, 1920))
    ModelConfig(image_size=(960, 960), compat="release")
    with pytest.raises(
        InputError, match=r"image_size 961x64: both sides must have 64 to 960 pixels with compat release"
    ):
        ModelConfig(image_size=(961, 64), compat="release")


# ------------------------------------------------------------------------------- missing parts


def poses() -> tuple[np.ndarray, np.ndarray]:
    """A source pose without any joint, and a whole target pose, in an image of 1500×1200 pixels."""
    target = np.random.default_rng(7).integers(0, 1200, (1, 18, 2)).astype(np.float32)
    return np.full_like(target, -1), target


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("method", ["sparse", "dense"])
def test_a_missing_part_leaves_an_image_of_1500_pixels(method, interpolation):
    """At any resolution, nothing of it is seen: features of ones become zeros."""
    size = (1500, 1200)
    transform = UniformTransform(size)(list(poses()))
    for stride in (10, 30):
        features = np.ones((1, size[0] // stride, size[1] // stride, 1), np.float32)
        skip = DeformableSkip(interpolation=interpolation, image_size=size, method=method)
        np.testing.assert_array_equal(np.asarray(skip([features, transform])), 0)


def test_how_far_missing_parts_are_moved():
    def shift(image_size, **values) -> np.ndarray:
        transforms, _ = PartGeometry(image_size, **values)(list(poses()))
        return np.unique(np.asarray(transforms)[..., [2, 5]])

    np.testing.assert_array_equal(shift((128, 64)), [1000])
    np.testing.assert_array_equal(shift((500, 500)), [1000])
    assert shift((1500, 1200)) > 1500
    assert shift((1200, 1500)) > 1500
    np.testing.assert_array_equal(shift((960, 960), compat="release"), [1000])
