"""The deformable skip connection (paper, Eq. 3–4)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pose_gan.config import INTERPOLATIONS, WARP_AGGREGATIONS
from pose_gan.layers import warp
from pose_gan.layers.base import one_of, register

METHODS = ("sparse", "dense")


@register
class DeformableSkip(keras.layers.Layer):
    """Moves each body part's features by its own affine transform and merges them (paper, Eq. 3–4).

    `d(F) = max_h (warp_h(F) · M_h)`, where M_h are the masks of the parts in the target pose. The zeros
    outside of the masks take part in the maximum, so d(F) ≥ 0 wherever at least one part is absent. `avg`
    divides the sum by the number of masks that cover the pixel, and gives 0 where no mask does.

    Args:
        aggregation: `max` (Eq. 4) or `avg`.
        interpolation: `bilinear` or `nearest`.
        image_size: (height, width) of the transforms and masks, pixels; None: those of the features.
        method: `sparse` (fast) or `dense` (without sparse ops, for exporters and compilers that do not
            support them). Both give the same values and gradients.

    Call arguments:
        inputs: list `[features, transforms]` or `[features, transforms, masks]`:
            features `(B, h, w, C)`; transforms `(B, P, 8)`, target → source, (x, y) at the resolution
            of `image_size`, whose last two numbers (projective) must be 0; masks
            `(B, P, H, W)`, 0 or 1, at the resolution of `image_size`. Without masks, every part covers the
            whole image.

    Returns: `(B, h, w, C)`, the dtype of the features.

    Resolution: with the strides r = W // w and s = H // h of the layers before, pixel (x, y) of the features lies
        at (r·x, s·y) of the image, without a half-pixel shift, and transforms are adapted to this scale: where
        r = s, translations are divided by it. Masks are sampled at rows `floor(i·H/h)` and columns `floor(j·W/w)`,
        which is `[::s, ::r]` where the sides of the image are multiples of those of the features.

    Gradients flow to the features only, and are exact.

    Example:
        transforms = pose_gan.geometry.part_transforms(source_keypoints, target_keypoints)
        masks = pose_gan.geometry.part_masks(target_keypoints, (128, 64))
        moved = DeformableSkip(image_size=(128, 64))([features, transforms, masks])

    Deviation: Eq. 3 cuts each part out of the source with the mask of the source pose, and then moves it:
        `warp_h(F · M_h)`. Here, as in the release, all features are moved, and the part is cut out with the mask of
        the target pose. The release samples with nearest neighbours, and the gradient of the op that it uses is
        inexact.
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
        self.aggregation = one_of("aggregation", aggregation, WARP_AGGREGATIONS)
        self.interpolation = one_of("interpolation", interpolation, INTERPOLATIONS)
        self.image_size = None if image_size is None else (int(image_size[0]), int(image_size[1]))
        self.method = one_of("method", method, METHODS)
        self.supports_jit = method == "dense"  # for Keras; XLA has no sparse products
        self.autocast = False  # transforms are in pixels; half precision would shift them

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
        # S⁻¹AS, where S = diag(r, s) leads from the features to the image. Multiplied, not divided: in a graph,
        # constant folding may change the last digit of a division, and this digit decides ties of nearest neighbours.
        r, s = width // size[1], height // size[0]
        transforms *= tf.constant([1, s / r, 1 / r, r / s, 1, 1 / s, 1, 1], tf.float32)
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
