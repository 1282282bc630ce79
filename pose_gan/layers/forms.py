"""Faster forms of the networks' convolutions on the CPU. Files and weights know nothing of them.

The library's operators are fast on large maps with many channels. Convolutions with a large kernel and a small map are
not so.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from pose_gan.layers.strided import KERNEL, STRIDE, convolve

SMALL_MAP = 64  # pixels of the output
LARGE_KERNEL = 2**20  # numbers; a smaller kernel stays in the processor's cache
Form = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def use_fast_forms(model: keras.Model) -> None:
    """From now on, convolutions of the model compute by matrix products where this is faster.

    Values and gradients stay the same but for rounding. On a machine with GPUs nothing changes.

    Args:
        model: a generator or a discriminator; models that share its layers get the forms too.
    """
    if tf.config.list_physical_devices("GPU"):
        return
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            use_fast_forms(layer)
        elif type(layer) is keras.layers.Conv2D and (form := _form(layer)):
            layer.convolution_op = form  # Keras' hook: what `call` computes before bias and activation


def _form(layer: keras.layers.Conv2D) -> Form | None:
    """The form of a layer; None: Keras' own."""
    if layer.data_format != "channels_last" or layer.groups > 1 or layer.dilation_rate != (1, 1):
        return None
    if layer.compute_dtype != "float32":  # the library adds up half precision in float32, sums of tensors do not
        return None
    sizes, places = (layer.kernel_size, layer.strides), layer.output.shape[1:3]
    is_small = None not in places and places[0] * places[1] <= SMALL_MAP
    if sizes != ((KERNEL,) * 2, (STRIDE,) * 2) or not is_small or math.prod(layer.kernel.shape) < LARGE_KERNEL:
        return None
    if layer.padding == "valid":
        return _without_border
    is_even = not any(side % STRIDE for side in layer.input.shape[1:3])  # else the border is on one side only
    return _with_border if is_even else None


def _without_border(features: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return convolve(features, tf.convert_to_tensor(kernel))


def _with_border(features: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return convolve(tf.pad(features, [[0, 0], [1, 1], [1, 1], [0, 0]]), tf.convert_to_tensor(kernel))
