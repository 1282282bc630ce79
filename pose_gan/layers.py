"""The method's own Keras layers. All are registered: models that use them load after `import pose_gan`."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pose_gan import geometry, warp
from pose_gan.config import COMPATS, INTERPOLATIONS, NORMALISATIONS, POSE_REPRESENTATIONS, WARP_AGGREGATIONS
from pose_gan.skeleton import COCO18, Skeleton

register = keras.saving.register_keras_serializable(package="pose_gan")
METHODS = ("sparse", "dense")


@register
class DeformableSkip(keras.layers.Layer):
    """Moves each body part's features by its own affine transform and merges them (paper, Eq. 3–4).

    `d(F) = max_h (warp_h(F) · M_h)`. The zeros outside of the masks take part in the maximum, so
    that d(F) ≥ 0 wherever some part is absent. `avg` divides the sum by the number of masks that
    cover the pixel, 0 where there is none.

    Args:
        aggregation: `max` (Eq. 4) or `avg`.
        interpolation: `bilinear` or `nearest`.
        image_size: (height, width) of the transforms and masks, pixels; None: those of the features.
        method: `sparse` (fast) or `dense` (no sparse ops: for exporters and compilers that lack
            them). Equal in value and gradient.

    Call arguments:
        inputs: list `[features, transforms]` or `[features, transforms, masks]`:
            features `(B, h, w, C)`; transforms `(B, P, 8)`, target → source, (x, y) at the resolution
            of `image_size`, of which the last two numbers (projective) must be 0; masks
            `(B, P, H, W)`, 0 or 1, at the resolution of `image_size`; without masks every part covers everything.

    Returns: `(B, h, w, C)`, the dtype of the features.

    The resolution: with r = H // h, translations are divided by r and masks are sampled
    at rows `floor(i·H/h)`, which is `[::r, ::r]`; no half-pixel shift.

    Gradients flow to the features only: they are exact.

    Example:
        transforms = pose_gan.geometry.part_transforms(source_keypoints, target_keypoints)
        masks = pose_gan.geometry.part_masks(target_keypoints, (128, 64))
        moved = DeformableSkip(image_size=(128, 64))([features, transforms, masks])

    Deviation: the release samples with nearest neighbours and, through its op, has an inexact gradient.
    """

    def __init__(
        self,
        aggregation: str = "max",
        interpolation: str = "bilinear",
        image_size: tuple[int, int] | None = None,
        method: str = "sparse",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.aggregation = _one_of("aggregation", aggregation, WARP_AGGREGATIONS)
        self.interpolation = _one_of("interpolation", interpolation, INTERPOLATIONS)
        self.image_size = None if image_size is None else (int(image_size[0]), int(image_size[1]))
        self.method = _one_of("method", method, METHODS)
        self.supports_jit = method == "dense"  # XLA has no sparse products; Keras asks
        self.autocast = False  # transforms are pixels: half precision would move them

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        features, transforms = inputs[0], tf.stop_gradient(tf.cast(inputs[1], tf.float32))
        size = (features.shape[1], features.shape[2])
        height, width = self.image_size or size
        if None in size or size[0] > height or size[1] > width:
            raise ValueError(f"features of {size} pixels do not fit image_size {(height, width)}")
        parts = transforms.shape[1]
        if len(inputs) > 2:
            masks = tf.stop_gradient(tf.cast(warp.resize_masks(inputs[2], size), tf.float32))
        else:
            masks = tf.ones([tf.shape(features)[0], parts, *size], tf.float32)
        # not a division: in a graph, constant folding changes its last digit, which decides ties of nearest neighbours
        x_scale, y_scale = 1 / (width // size[1]), 1 / (height // size[0])
        transforms *= tf.constant([1, 1, x_scale, 1, 1, y_scale, 1, 1], tf.float32)
        form = warp.warp_sparse if self.method == "sparse" else warp.warp_dense
        moved = form(tf.cast(features, tf.float32), transforms, masks, self.aggregation, self.interpolation)
        return tf.cast(moved, features.dtype)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "aggregation": self.aggregation,
            "interpolation": self.interpolation,
            "image_size": self.image_size,
            "method": self.method,
        }


@register
class SpatialTransformer(keras.layers.Layer):
    """Samples features through one predicted affine transform (`--warp_skip stn`; Jaderberg et al. 2015).

    Args:
        compat: `paper`, or `release`: there −1 and 1 are the outer borders in the source but pixel centres in the
            output, so that the identity magnifies by one pixel; and only places that have all four neighbours give a
            value.

    Call arguments:
        inputs: list `[features (B, h, w, C), theta (B, 6)]`; theta maps output to input positions,
            (x, y) in [-1, 1] from the centre of the first pixel to the centre of the last.

    Returns: `(B, h, w, C)`, bilinear, 0 outside of the image. Gradients flow to features and theta.
    """

    def __init__(self, compat: str = "paper", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compat = _one_of("compat", compat, COMPATS)
        self.autocast = False

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        features, theta = inputs[0], tf.cast(inputs[1], tf.float32)
        height, width = features.shape[1], features.shape[2]
        release = self.compat == "release"
        x_scale, y_scale = max(width - 1, 1) / 2, max(height - 1, 1) / 2
        to_x, to_y = (width / 2, height / 2) if release else (x_scale, y_scale)
        t0, t1, t2, t3, t4, t5 = tf.unstack(theta, axis=-1)
        # x_n = x / x_scale - 1 in, x' = (x_n' + 1) · to_x out; the same for y
        rows = [
            t0 * (to_x / x_scale),
            t1 * (to_x / y_scale),
            (t2 - t0 - t1 + 1) * to_x,
            t3 * (to_y / x_scale),
            t4 * (to_y / y_scale),
            (t5 - t3 - t4 + 1) * to_y,
        ]
        transform = tf.stack([*rows, tf.zeros_like(t0), tf.zeros_like(t0)], axis=-1)[:, None]
        if release:
            mask = warp.has_neighbours(transform, (height, width))
        else:
            mask = tf.ones([tf.shape(features)[0], 1, height, width], tf.float32)
        moved = warp.warp_dense(tf.cast(features, tf.float32), transform, mask, "max", "bilinear")
        return tf.cast(moved, features.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "compat": self.compat}

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return tuple(input_shape[0])


@register
class InstanceNormalization(keras.layers.Layer):
    """Normalisation of one sample by its own statistics, in two modes.

    `instance`: over height and width, a gain and a bias for each channel (the paper, after Ulyanov
    et al. 2016): `(x − mean) / sqrt(var + ε) · gamma + beta`, ε = 1e-5.
    `release`: over height, width and channels together, one scalar gain and bias, with ε outside of the root:
    `(x − mean) / (std + ε) · gamma + beta`, ε = 1e-3. The authors' checkpoints need it.

    Args:
        mode: `instance` or `release`.
        epsilon: None: the mode's own.

    Call arguments: features `(B, H, W, C)`. Returns the same shape and dtype; statistics are float32.
    """

    def __init__(self, mode: str = "instance", epsilon: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = _one_of("mode", mode, NORMALISATIONS)
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (input_shape[-1],) if self.mode == "instance" else ()
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones", autocast=False)
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", autocast=False)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        values = tf.cast(inputs, tf.float32)
        axes = [1, 2] if self.mode == "instance" else [1, 2, 3]
        mean, variance = tf.nn.moments(values, axes, keepdims=True)
        if self.mode == "instance":
            scale = tf.math.rsqrt(variance + (1e-5 if self.epsilon is None else self.epsilon))
        else:
            # the root's slope is infinite at 0; a constant input has no gradient through it
            deviation = tf.where(variance > 0, tf.sqrt(tf.where(variance > 0, variance, 1.0)), 0.0)
            scale = 1.0 / (deviation + (1e-3 if self.epsilon is None else self.epsilon))
        scale *= tf.convert_to_tensor(self.gamma)
        return tf.cast((values - mean) * scale + tf.convert_to_tensor(self.beta), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode, "epsilon": self.epsilon}


class PoseLayer(keras.layers.Layer):
    """Base of layers that take keypoints `(B, J, 2)`, (y, x) in pixels: float32 under every policy.

    Args:
        image_size: (height, width) in pixels.
        skeleton: a `Skeleton` or its `to_dict()`.
        compat: `paper` or `release`; see `pose_gan.geometry`.
        precision: `float64`, or `float32` for exporters that lack it.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        skeleton: Skeleton | dict[str, Any] = COCO18,
        compat: str = "paper",
        precision: str = "float64",
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.skeleton = Skeleton.from_dict(skeleton) if isinstance(skeleton, dict) else skeleton
        self.compat = _one_of("compat", compat, COMPATS)
        self.precision = _one_of("precision", precision, ("float64", "float32"))
        self.number = tf.dtypes.as_dtype(self.precision)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "image_size": self.image_size,
            "skeleton": self.skeleton.to_dict(),
            "compat": self.compat,
            "precision": self.precision,
        }


@register
class PoseMaps(PoseLayer):
    """Keypoints `(B, J, 2)` → the picture of a pose that the networks see: `(B, H, W, channels)`.

    Args:
        image_size: (height, width) in pixels.
        skeleton: a `Skeleton` or its `to_dict()`.
        representation: `hm` (one heat map a joint, Eq. 1) or `stickman` (three channels).
        sigma: of the heat maps, pixels.
        compat: `paper` or `release`; see `pose_gan.geometry`.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        skeleton: Skeleton | dict[str, Any] = COCO18,
        representation: str = "hm",
        sigma: float = 6.0,
        compat: str = "paper",
        **kwargs: Any,
    ) -> None:
        super().__init__(image_size, skeleton, compat, **kwargs)
        self.representation = _one_of("representation", representation, POSE_REPRESENTATIONS)
        self.sigma = sigma

    def call(self, keypoints: tf.Tensor) -> tf.Tensor:
        if self.representation == "hm":
            return geometry.heatmaps(keypoints, self.image_size, self.sigma, self.skeleton, self.compat, self.number)
        return geometry.stickman(keypoints, self.image_size, self.skeleton, self.compat, self.number)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        channels = self.skeleton.num_joints if self.representation == "hm" else 3
        return (input_shape[0], *self.image_size, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "representation": self.representation, "sigma": self.sigma}


@register
class PartGeometry(PoseLayer):
    """Source and target keypoints, each `(B, J, 2)` → part transforms `(B, P, 8)` and masks `(B, P, H, W)`.

    The masks lie in the target pose. Call with the list `[source_keypoints, target_keypoints]`.

    Args:
        image_size: (height, width) in pixels.
        skeleton: a `Skeleton` or its `to_dict()`.
        compat: `paper` or `release`; see `pose_gan.geometry`.
        precision: `float64`, or `float32` for exporters that lack it.
    """

    def call(self, inputs: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        source, target = inputs
        transforms = geometry.part_transforms(source, target, self.skeleton, self.compat, self.number)
        return transforms, geometry.part_masks(target, self.image_size, self.skeleton, self.compat, self.number)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[tuple[int | None, ...], ...]:
        batch, parts = input_shape[0][0], self.skeleton.num_parts
        return (batch, parts, 8), (batch, parts, *self.image_size)


@register
class UniformTransform(PoseLayer):
    """Source and target keypoints → one transform `(B, 1, 8)` for the whole body (`--warp_skip full`).

    Args:
        image_size: (height, width) in pixels.
        skeleton: a `Skeleton` or its `to_dict()`.
        compat: `paper` or `release`; see `pose_gan.geometry`.
        precision: `float64`, or `float32` for exporters that lack it.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        source, target = inputs
        return geometry.uniform_transform(source, target, self.skeleton, self.compat, self.number)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (input_shape[0][0], 1, 8)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{name} {value!r} is not known; allowed: {', '.join(allowed)}")
    return value
