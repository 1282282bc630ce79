"""The decoder's transposed convolution, in the form that is fastest for the size of the feature map."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pose_gan.layers.base import register
from pose_gan.layers.strided import KERNEL, ON_EVEN, STRIDE, convolve_transposed

SMALL_MAP = 128  # pixels; on larger maps the library's own operator is as fast or faster


@register
class UpConv2D(keras.layers.Conv2DTranspose):
    """A transposed convolution 4×4 with stride 2, without a bias: it doubles height and width.

    Weights and values are those of `keras.layers.Conv2DTranspose(filters, 4, strides=2,
    padding="same", use_bias=False)`. On maps of up to 128 pixels, where moving the large kernel through
    memory limits the library's operator, the layer computes one matrix product and an overlap-add. This is
    1.3 to 4 times faster on CPU, gradients included (see `benchmarks/`).

    Args:
        filters: channels of the output.

    Call arguments: features `(B, h, w, C)` with static h and w. Returns `(B, 2h, 2w, filters)`.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        fixed = {"kernel_size": KERNEL, "strides": STRIDE, "padding": "same", "use_bias": False}
        super().__init__(filters, **{**kwargs, **fixed})

    def transposed_convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """What `call` computes; a hook, as `convolution_op` is one of Keras' convolutions."""
        places = inputs.shape[1:3]
        is_small = None not in places and places[0] * places[1] <= SMALL_MAP
        return up_by_patches(inputs, kernel) if is_small else self.by_library(inputs, kernel)

    def by_library(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """The library's operator. It takes the layer's own kernel."""
        return super().call(inputs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.transposed_convolution_op(inputs, self.kernel)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("kernel_size", "strides", "padding", "use_bias"):
            del config[name]
        return config


def up_by_patches(features: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution of the layer as one matrix product and an overlap-add."""
    return convolve_transposed(features, tf.convert_to_tensor(kernel), ON_EVEN)
