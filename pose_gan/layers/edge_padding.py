"""The continuation of images to a size that the networks can halve."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pose_gan.layers.base import register


@register
class EdgePadding2D(keras.layers.Layer):
    """Continues an image below and to the right, where its last row and its last column are repeated.

    Pixels keep their coordinates, since nothing is added above them or to their left. A constant colour would put an
    edge into the image that the networks see.

    Args:
        image_size: (height, width) of the result, pixels.

    Call arguments: image `(B, h, w, C)` with static h and w, at most `image_size`.
    Returns: `(B, H, W, C)`, the dtype of the image; the image lies in `[:, :h, :w]`.
    Raises: ValueError: the image is larger than `image_size`.
    Source: none. The paper and the release have no such sizes.
    """

    def __init__(self, image_size: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_size = (int(image_size[0]), int(image_size[1]))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        rows, columns = self._missing(inputs.shape)
        if rows:
            inputs = tf.concat([inputs, tf.tile(inputs[:, -1:], [1, rows, 1, 1])], axis=1)
        if columns:
            inputs = tf.concat([inputs, tf.tile(inputs[:, :, -1:], [1, 1, columns, 1])], axis=2)
        return inputs

    def _missing(self, shape: tuple[int | None, ...]) -> tuple[int, int]:
        """The number of rows and of columns to add to an image of this shape."""
        height, width = shape[1:3]
        if height is None or width is None or height > self.image_size[0] or width > self.image_size[1]:
            raise ValueError(f"an image of {(height, width)} pixels cannot be continued to {self.image_size}")
        return self.image_size[0] - height, self.image_size[1] - width

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        self._missing(input_shape)
        return (input_shape[0], *self.image_size, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "image_size": self.image_size}
