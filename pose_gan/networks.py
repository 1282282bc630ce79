"""The generator and the discriminators (paper, Sections 3 and 5), as functional Keras models.

Their inputs are images and keypoints; heat maps, masks and transforms are computed inside.

Images may have any size of 64 pixels and more per side, but the generator halves its maps five times (six times if a
side is above 128). If it cannot, it works on a canvas: the next larger size that it can halve. Source and background
are continued to the canvas by their last row and column. Heat maps (or the stick-man, with lines for the canvas's
width), masks and transforms are computed for the canvas; as it begins at the same pixel as the image, keypoints stay as
they are. The image is cut out of the result. So the network at 256×176 is the network at 256×192 with continued images,
and has the same weights. The discriminator's canvas has even sides, so that its first convolution sees the last row and
column (with compat `release` it has no canvas, and does not see those of odd sizes).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pose_gan.config import ModelConfig
from pose_gan.layers import (
    DeformableSkip,
    EdgePadding2D,
    InstanceNormalization,
    PartGeometry,
    PoseMaps,
    SpatialTransformer,
    UniformTransform,
)
from pose_gan.layers.forms import use_fast_forms
from pose_gan.layers.up_conv import UpConv2D

WARPED_SKIPS = 4  # the first ones of the appearance stream; deeper maps are too small to move
DROPOUT_BLOCKS = 3
DISCRIMINATOR_BLOCKS = (128, 256, 512)
STN_UNITS = (64, 32)
Tensor = keras.KerasTensor


def build_generator(config: ModelConfig) -> keras.Model:
    """The generator G: a U-Net whose skip connections move the features with the body (paper, Fig. 2).

    Args:
        config: variant, size and width.
    Returns: a model named `generator` with the inputs
        `source_image` float32 `(B, H, W, 3)` in [-1, 1], `source_keypoints` and
        `target_keypoints` `(B, J, 2)`, (y, x) in pixels, −1 where missing, and, with `use_bg`,
        `background` `(B, H, W, 3)` in [-1, 1]; the output is `(B, H, W, 3)` in [-1, 1].
    Deviation: the first encoder layer is a plain convolution, as in the release. The paper lists it with a
        normalisation (C N). The paper and the release have only sizes that can be halved, which need no canvas.
    """
    encoder, decoder = filters(config)
    canvas = _canvas(config, 2 ** (len(encoder) - 1))
    source_image, source_pose, target_pose = _inputs(config)
    background = [_image_input("background", config)] if config.use_bg else []
    appearance = [_on(canvas, source_image)]
    if config.use_input_pose:
        appearance.append(_pose_maps("source_pose", canvas)(source_pose))
    pose = [_pose_maps("target_pose", canvas)(target_pose), *(_on(canvas, image) for image in background)]
    if config.warp_skip == "none":
        skips = _encode(appearance + pose, encoder, canvas, "encoder")
    else:
        moved = _move(_encode(appearance, encoder, canvas, "appearance"), source_pose, target_pose, canvas)
        still = _encode(pose, encoder, canvas, "pose")
        skips = [
            layers.Concatenate(name=f"skip_{level}")([a, b])
            for level, (a, b) in enumerate(zip(moved, still, strict=True))
        ]
    image = _decode(skips[::-1], decoder, config)
    return keras.Model([source_image, source_pose, target_pose, *background], image, name="generator")


def build_discriminator(config: ModelConfig) -> keras.Model:
    """The discriminator D(x_a, H_a, y, H_b): it judges whether y is a photograph of the person of x_a in pose H_b.

    Args:
        config: `disc_type` chooses `call`, `sim` or `warp`.
    Returns: a model named `discriminator` with the inputs `source_image`, `target_image`
        `(B, H, W, 3)` in [-1, 1], `source_keypoints`, `target_keypoints` `(B, J, 2)` and, with `use_bg`,
        `background`; the output is float32 `(B, cells)`, the probability of a real image in every
        output cell (3 cells at 128×64, 49 at 256×256; 1 for `sim`).
    Deviation: the last convolution has a bias, as convolutions without a normalisation have. The release's has none,
        and neither has ours with compat `release`.
    """
    canvas = _canvas(config, 1 if config.compat == "release" else 2)
    source_image, source_keypoints, target_keypoints = _inputs(config)
    target_image = _image_input("target_image", config)
    background = [_image_input("background", config)] if config.use_bg else []
    source = [_on(canvas, source_image)]
    if config.use_input_pose:
        source.append(_pose_maps("source_pose", canvas)(source_keypoints))
    target = [_on(canvas, target_image), _pose_maps("target_pose", canvas)(target_keypoints)]
    target += [_on(canvas, image) for image in background]
    if config.disc_type == "sim":
        logits = _similarity(source, target, config)
    else:
        if config.disc_type == "call":
            features = _first_discriminator_layer("joint", config)(_concatenate(source + target))
        else:
            seen = _first_discriminator_layer("source", config)(_concatenate(source))
            shown = _first_discriminator_layer("target", config)(_concatenate(target))
            features = _concatenate([shown, _by_parts(canvas, source_keypoints, target_keypoints)(seen, "skip")])
        features = _last_discriminator_layer(_discriminator_blocks(features, config), config)
        logits = layers.Flatten(name="logits", dtype="float32")(features)
    scores = layers.Activation("sigmoid", name="scores", dtype="float32")(logits)
    inputs = [source_image, target_image, source_keypoints, target_keypoints, *background]
    return keras.Model(inputs, scores, name="discriminator")


def logits_model(discriminator: keras.Model) -> keras.Model:
    """The same discriminator without its final sigmoid; both models share their weights."""
    return keras.Model(discriminator.inputs, discriminator.get_layer("scores").input, name="discriminator_logits")


def generator_config(generator: keras.Model) -> ModelConfig:
    """The settings from which `build_generator` made a generator, found in its layers.

    `disc_type` cannot be found there and has its default.

    Args:
        generator: a model made by `build_generator`.
    Raises: ValueError: `build_generator` did not make the model.
    """
    found = {kind: [layer for layer in generator.layers if isinstance(layer, kind)] for kind in _TELLING_LAYERS}
    if not found[PoseMaps] or not found[InstanceNormalization]:
        raise ValueError(f"{generator.name!r} is not a generator that build_generator made")
    pose = found[PoseMaps][0]
    skips = [name for kind, name in _SKIP_KINDS.items() if found[kind]]
    moved = found[DeformableSkip][0] if found[DeformableSkip] else None
    first = next(layer for layer in generator.layers if layer.name in ("appearance_0", "encoder_0"))
    return ModelConfig(
        image_size=next(tensor.shape[1:3] for tensor in generator.inputs if tensor.name == "source_image"),
        warp_skip=skips[0] if skips else "none",
        pose_rep_type=pose.representation,
        use_input_pose=any(layer.name == "source_pose" for layer in found[PoseMaps]),
        use_bg=any(tensor.name == "background" for tensor in generator.inputs),
        norm=found[InstanceNormalization][0].mode,
        compat=pose.compat,
        width=first.filters / 64,
        sigma=pose.sigma,
        skeleton=pose.skeleton,
        **({"warp_agg": moved.aggregation, "warp_interpolation": moved.interpolation} if moved else {}),
    )


_SKIP_KINDS = {PartGeometry: "mask", UniformTransform: "full", SpatialTransformer: "stn"}
_TELLING_LAYERS = (PoseMaps, InstanceNormalization, DeformableSkip, *_SKIP_KINDS)


def _inputs(config: ModelConfig) -> tuple[Tensor, Tensor, Tensor]:
    poses = [
        keras.Input((config.skeleton.num_joints, 2), name=name, dtype="float32")
        for name in ("source_keypoints", "target_keypoints")
    ]
    return _image_input("source_image", config), poses[0], poses[1]


def _image_input(name: str, config: ModelConfig) -> Tensor:
    return keras.Input((*config.image_size, 3), name=name, dtype="float32")


def _canvas(config: ModelConfig, multiple: int) -> ModelConfig:
    """The settings of the network on the next larger image whose sides are multiples of `multiple`."""
    height, width = (-(-side // multiple) * multiple for side in config.image_size)
    return dataclasses.replace(config, image_size=(height, width))


def _on(canvas: ModelConfig, image: Tensor) -> Tensor:
    """An input image, continued to the size of the canvas."""
    if tuple(image.shape[1:3]) == canvas.image_size:
        return image
    return EdgePadding2D(canvas.image_size, name=f"{image.name}_on_canvas")(image)


def filters(config: ModelConfig) -> tuple[list[int], list[int]]:
    """Channels of the encoder's and of the decoder's layers; images above 128 px get one more block."""
    deep = [512] if max(config.image_size) > 128 else []
    encoder, decoder = [64, 128, 256, 512, 512, 512, *deep], [512, 512, 512, *deep, 256, 128]
    return [config.channels(n) for n in encoder], [config.channels(n) for n in decoder]


def _pose_maps(name: str, config: ModelConfig) -> PoseMaps:
    return PoseMaps(config.image_size, config.skeleton, config.pose_rep_type, config.sigma, config.compat, name=name)


def _concatenate(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else layers.Concatenate()(list(tensors))


def _encode(inputs: list[Tensor], filters: list[int], config: ModelConfig, name: str) -> list[Tensor]:
    """One encoder stream. Returns its feature maps at every resolution, the finest first."""
    out = layers.Conv2D(filters[0], 3, padding="same", name=f"{name}_0")(_concatenate(inputs))
    maps = [out]
    for level, count in enumerate(filters[1:], start=1):
        out = layers.LeakyReLU(0.2)(out)
        out = layers.Conv2D(count, 4, strides=2, padding="same", use_bias=False, name=f"{name}_{level}")(out)
        if level < len(filters) - 1:
            out = InstanceNormalization(config.norm, name=f"{name}_norm_{level}")(out)
        maps.append(out)
    return maps


def _decode(skips: list[Tensor], filters: list[int], config: ModelConfig) -> Tensor:
    """The decoder. `skips` come from coarse to fine, one more than `filters`; the last one enters the final layer.

    The image is cut out of the canvas before the activation, which computes in float32 under every dtype policy.
    """
    out = None
    for level, (skip, count) in enumerate(zip(skips[:-1], filters, strict=True)):
        out = layers.ReLU()(skip if out is None else layers.Concatenate()([out, skip]))
        out = UpConv2D(count, name=f"decoder_{level}")(out)
        out = InstanceNormalization(config.norm, name=f"decoder_norm_{level}")(out)
        if level < DROPOUT_BLOCKS:
            out = layers.Dropout(0.5)(out)
    out = layers.ReLU()(layers.Concatenate()([out, skips[-1]]))
    out = layers.Conv2D(3, 3, padding="same", name="decoder_image")(out)
    below, right = out.shape[1] - config.image_size[0], out.shape[2] - config.image_size[1]
    if below or right:
        out = layers.Cropping2D(((0, below), (0, right)), name="image_from_canvas")(out)
    return layers.Activation("tanh", dtype="float32", name="image")(out)


def _move(maps: list[Tensor], source_pose: Tensor, target_pose: Tensor, config: ModelConfig) -> list[Tensor]:
    """The feature maps of the appearance stream; the first ones are moved into the target pose."""
    if config.warp_skip == "stn":
        move = _by_predicted_transform(config, source_pose, target_pose)
    elif config.warp_skip == "full":
        layer = UniformTransform(config.image_size, config.skeleton, config.compat, name="geometry")
        move = _by_transforms(config, [layer([source_pose, target_pose])])
    else:
        move = _by_parts(config, source_pose, target_pose)
    return [move(out, f"deformable_skip_{i}") for i, out in enumerate(maps[:WARPED_SKIPS])] + maps[WARPED_SKIPS:]


def _by_parts(config: ModelConfig, source_pose: Tensor, target_pose: Tensor):
    layer = PartGeometry(config.image_size, config.skeleton, config.compat, name="geometry")
    return _by_transforms(config, list(layer([source_pose, target_pose])))


def _by_transforms(config: ModelConfig, geometry: list[Tensor]):
    """A function (features, layer name) → moved features; `geometry` is computed once and shared."""

    def move(features: Tensor, name: str) -> Tensor:
        layer = DeformableSkip(config.warp_agg, config.warp_interpolation, config.image_size, name=name)
        return layer([features, *geometry])

    return move


def _by_predicted_transform(config: ModelConfig, source_pose: Tensor, target_pose: Tensor):
    """As `_by_transforms`, with one transform that is predicted from both poses' keypoints; at first the identity."""
    numbers = layers.Concatenate()([layers.Flatten()(source_pose), layers.Flatten()(target_pose)])
    for count in STN_UNITS:
        numbers = layers.LeakyReLU(0.2)(layers.Dense(count, dtype="float32", name=f"stn_{count}")(numbers))
    identity = keras.initializers.Constant(np.array([1, 0, 0, 0, 1, 0], "float32"))
    theta = layers.Dense(
        6, kernel_initializer="zeros", bias_initializer=identity, dtype="float32", name="stn_transform"
    )(numbers)
    return lambda features, name: SpatialTransformer(config.compat, name=name)([features, theta])


def _first_discriminator_layer(name: str, config: ModelConfig) -> layers.Conv2D:
    return layers.Conv2D(config.channels(64), 4, strides=2, padding="valid", name=name)


def _discriminator_blocks(out: Tensor, config: ModelConfig) -> Tensor:
    for count in DISCRIMINATOR_BLOCKS:
        out = layers.ZeroPadding2D(1)(layers.LeakyReLU(0.2)(out))
        convolution = layers.Conv2D(config.channels(count), 4, strides=2, use_bias=False, name=f"block_{count}")
        out = InstanceNormalization(config.norm, name=f"block_norm_{count}")(convolution(out))
    return out


def _last_discriminator_layer(out: Tensor, config: ModelConfig) -> Tensor:
    out = layers.ZeroPadding2D(1)(layers.LeakyReLU(0.2)(out))
    return layers.Conv2D(1, 4, strides=2, use_bias=config.compat == "paper", name="block_1")(out)


def _similarity(source: list[Tensor], target: list[Tensor], config: ModelConfig) -> Tensor:
    """`sim`: both images go through one tower, then through one dense layer."""
    images = [keras.Input(tensor.shape[1:]) for tensor in target]
    out = _first_discriminator_layer("tower_input", config)(_concatenate(images))
    out = _discriminator_blocks(out, config)
    tower = keras.Model(images, out, name="tower")
    out = layers.LeakyReLU(0.2)(layers.Concatenate()([tower(target), tower(source)]))
    return layers.Dense(1, dtype="float32", name="logits")(layers.Flatten()(out))


def compiled(generator: keras.Model, dropout: bool = False) -> Callable[[dict[str, Any]], tf.Tensor]:
    """The generator as a graph: batch (input name → values) → images. It is traced once for all batch sizes.

    On a CPU, the generator computes in the forms of `layers.forms` from now on; its files stay as they are.
    """
    use_fast_forms(generator)
    inputs = {tensor.name: tensor for tensor in generator.inputs}
    signature = {name: tf.TensorSpec(tensor.shape, tensor.dtype) for name, tensor in inputs.items()}
    graph = tf.function(lambda values: generator(values, training=dropout), input_signature=[signature])
    return lambda batch: graph({name: batch[name] for name in inputs})
