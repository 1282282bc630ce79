"""Faster forms of the networks' layers on the CPU. Files and weights know nothing of them.

The library's operators are fast, with these exceptions. Convolutions with a large kernel and a small map move the
kernel through memory. Gradients of kernels are slow on large maps, and where there are few channels. Normalisations
pass over their maps many times.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from pose_gan.layers import strided
from pose_gan.layers.instance_normalization import InstanceNormalization, normalize_fused
from pose_gan.layers.narrow import convolve_to_few
from pose_gan.layers.strided import KERNEL, ON_EVEN, STRIDE
from pose_gan.layers.up_conv import UpConv2D, up_by_patches

SMALL_MAP, MEDIUM_MAP = 64, 256  # pixels
LARGE_MAP = 2**20  # numbers per image; the gradient of the kernel is computed by phases
LARGE_KERNEL, VERY_LARGE_KERNEL = 2**20, 2**23  # numbers; a smaller kernel stays in the processor's cache
FEW = 4  # channels
Form = Callable[..., tf.Tensor]


def use_fast_forms(model: keras.Model, training: bool = False) -> None:
    """From now on, layers of the model compute in other forms where these are faster.

    Values and gradients stay the same but for rounding. On a machine with GPUs nothing changes.

    Args:
        model: a generator or a discriminator; models that share its layers get the forms too.
        training: whether the model will be trained, so that several images are computed together, and gradients.
    """
    if tf.config.list_physical_devices("GPU"):
        return
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            use_fast_forms(layer, training)
        elif layer.compute_dtype != "float32":
            continue  # the library adds up half precision in float32, sums of tensors do not
        elif type(layer) is keras.layers.Conv2D and (form := _form(layer, training)):
            layer.convolution_op = form  # Keras' hook: what `call` computes before bias and activation
        elif training and isinstance(layer, UpConv2D) and (form := _up_form(layer)):
            layer.transposed_convolution_op = form
        elif training and type(layer) is keras.layers.LeakyReLU and layer.negative_slope > 0:
            layer.call = _leaky_relu(float(layer.negative_slope))
        elif isinstance(layer, InstanceNormalization) and layer.mode == "instance":
            layer.normalize = normalize_fused


def _form(layer: keras.layers.Conv2D, training: bool) -> Form | None:
    """The form of a convolution; None: Keras' own."""
    if layer.data_format != "channels_last" or layer.groups > 1 or layer.dilation_rate != (1, 1):
        return None
    large, small, kernel = layer.input.shape[1:], layer.output.shape[1:3], layer.kernel
    if layer.strides == (1, 1) and layer.padding == "same":
        side = layer.kernel_size[0]
        is_narrow = training and layer.filters <= FEW and layer.kernel_size == (side, side) and side % 2 == 1
        return _by(convolve_to_few) if is_narrow else None
    if (layer.kernel_size, layer.strides) != ((KERNEL,) * 2, (STRIDE,) * 2) or None in small:
        return None
    is_even = not any(side % STRIDE for side in large[:2])  # else the border is on one side only
    if layer.padding == "same" and not is_even:
        return None
    if math.prod(small) <= SMALL_MAP and math.prod(kernel.shape) >= LARGE_KERNEL:
        return _by(strided.convolve, ON_EVEN if layer.padding == "same" else 0)
    return _by(strided.halve) if training and layer.padding == "same" and math.prod(large) >= LARGE_MAP else None


def _up_form(layer: UpConv2D) -> Form | None:
    """The form of a transposed convolution in training; None: its own."""
    places, large = layer.input.shape[1:3], layer.output.shape[1:]
    if None in places:
        return None
    if math.prod(large) >= LARGE_MAP:
        return _by(strided.double)
    if math.prod(places) <= SMALL_MAP:
        return None
    pays = math.prod(places) <= MEDIUM_MAP and math.prod(layer.kernel.shape) >= VERY_LARGE_KERNEL
    return up_by_patches if pays else layer.by_library


def _leaky_relu(slope: float) -> Form:
    """The activation, whose gradient is computed from its result, so that its input need not be kept."""

    @tf.custom_gradient
    def activate(inputs: tf.Tensor):
        result = tf.nn.leaky_relu(inputs, slope)
        return result, lambda upstream: tf.raw_ops.LeakyReluGrad(gradients=upstream, features=result, alpha=slope)

    return activate


def _by(function: Callable[..., tf.Tensor], *options: int) -> Form:
    """The function as a form: Keras gives it the layer's variable, which it takes as a tensor."""
    return lambda features, kernel: function(features, tf.convert_to_tensor(kernel), *options)
