"""The predicted affine transform of `--warp_skip stn`."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pose_gan.config import COMPATS
from pose_gan.layers import warp
from pose_gan.layers.base import one_of, register


@register
class SpatialTransformer(keras.layers.Layer):
    """Samples features through one predicted affine transform (`--warp_skip stn`; Jaderberg et al. 2015).

    Args:
        compat: `paper` or `release`. With `release`, −1 and 1 are the outer borders in the source but pixel centres in
            the output, so that the identity magnifies by one pixel; and only places with all four neighbours get a
            value.

    Call arguments:
        inputs: list `[features (B, h, w, C), theta (B, 6)]`; theta maps output positions to input positions,
            (x, y) in [-1, 1] from the centre of the first pixel to the centre of the last.

    Returns: `(B, h, w, C)`, bilinear, 0 outside of the image. Gradients flow to features and theta.
    Source: the authors' release; the paper has no such variant.
    Deviation: the release samples as with `compat="release"`. With `paper`, −1 and 1 are pixel centres on both sides,
        so that the identity changes nothing, and places beside the image blend with 0.
    """

    def __init__(self, compat: str = "paper", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compat = one_of("compat", compat, COMPATS)
        self.autocast = False

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        features, theta = inputs[0], tf.cast(inputs[1], tf.float32)
        height, width = features.shape[1], features.shape[2]
        release = self.compat == "release"
        x_scale, y_scale = max(width - 1, 1) / 2, max(height - 1, 1) / 2
        to_x, to_y = (width / 2, height / 2) if release else (x_scale, y_scale)
        t0, t1, t2, t3, t4, t5 = tf.unstack(theta, axis=-1)
        # to [-1, 1]: x_n = x / x_scale - 1; back to pixels: x' = (x_n' + 1) · to_x; the same for y
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
