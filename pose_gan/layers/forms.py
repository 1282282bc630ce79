"""Faster forms of the networks' convolutions on the CPU. Files and weights know nothing of them.

The library's operators are fast on large maps with many channels. Two kinds of convolutions of these networks are not
so: those with a large kernel and a small map, and the last one of the generator, which has three outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from pose_gan.layers.strided import KERNEL, STRIDE, convolve

SMALL_MAP = 64  # pixels of the output
LARGE_KERNEL = 2**20  # numbers; a smaller kernel stays in the processor's cache
FEW = 4  # channels of the output
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
    if sizes == ((3, 3), (1, 1)) and layer.padding == "same" and layer.filters <= FEW and None not in places:
        return _to_few
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


def _to_few(features: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return convolve_to_few(features, tf.convert_to_tensor(kernel))


@tf.custom_gradient
def convolve_to_few(features: tf.Tensor, kernel: tf.Tensor):
    """A 3×3 convolution with a border of zeros, as one product of each pixel with all taps and a sum of moved results.

    Args: features `(B, H, W, C)`; kernel `(3, 3, C, F)` with few outputs F. Returns `(B, H, W, F)`.
    """
    height, width, channels = features.shape[1:]
    filters, taps = kernel.shape[3], [(y, x) for y in range(3) for x in range(3)]
    matrix = tf.reshape(tf.transpose(kernel, [2, 0, 1, 3]), [channels, -1])
    products = tf.reshape(tf.matmul(tf.reshape(features, [-1, channels]), matrix), [-1, height, width, 9 * filters])
    products = tf.pad(products, [[0, 0], [1, 1], [1, 1], [0, 0]])

    def tap(y: int, x: int) -> tf.Tensor:
        start = (3 * y + x) * filters
        return products[:, y : y + height, x : x + width, start : start + filters]

    def gradient(upstream: tf.Tensor):
        turned = tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2])
        of_kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=features, filter_sizes=kernel.shape, out_backprop=upstream, strides=[1] * 4, padding="SAME"
        )
        return tf.nn.conv2d(upstream, turned, 1, "SAME"), of_kernel

    return tf.add_n([tap(y, x) for y, x in taps]), gradient
