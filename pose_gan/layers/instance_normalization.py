"""Normalisation of one sample by its own statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from pose_gan.config import NORMALISATIONS
from pose_gan.layers.base import one_of, register

FUSED_NUMBERS = 2**17  # per image; on smaller maps, the operators of an image each cost more than they save
FUSED_IMAGES = 32
Normalize = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, float], tf.Tensor]


@register
class InstanceNormalization(keras.layers.Layer):
    """Normalisation of one sample by its own statistics, in two modes.

    `instance`: statistics over height and width, with a gain and a bias for each channel (the paper, after
    Ulyanov et al. 2016): `(x − mean) / sqrt(var + ε) · gamma + beta`, ε = 1e-5.
    `release`: statistics over height, width and channels together, with one scalar gain and bias, and ε outside of
    the root: `(x − mean) / (std + ε) · gamma + beta`, ε = 1e-3. The authors' checkpoints need it.

    Args:
        mode: `instance` or `release`.
        epsilon: ε; None: the value of the mode.

    Call arguments: features `(B, H, W, C)`. Returns the same shape and dtype; statistics are float32.
    Source: paper, Section 5.
    Deviation: none from the paper with `instance` (it does not give ε). The release normalises as `release` does.
    """

    def __init__(self, mode: str = "instance", epsilon: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = one_of("mode", mode, NORMALISATIONS)
        self.epsilon = epsilon

        self.normalize: Normalize = normalize_channels

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (input_shape[-1],) if self.mode == "instance" else ()
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones", autocast=False)
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", autocast=False)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        values = tf.cast(inputs, tf.float32)
        gain, bias = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if self.mode == "instance":
            out = self.normalize(values, gain, bias, 1e-5 if self.epsilon is None else self.epsilon)
        else:
            out = _normalize_together(values, gain, bias, 1e-3 if self.epsilon is None else self.epsilon)
        return tf.cast(out, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode, "epsilon": self.epsilon}


def normalize_channels(values: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Statistics of each image and channel. values float32 `(B, H, W, C)`; gain, bias `(C,)`."""
    mean, variance = tf.nn.moments(values, [1, 2], keepdims=True)
    return (values - mean) * (tf.math.rsqrt(variance + epsilon) * gain) + bias


def normalize_fused(values: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor, epsilon: float) -> tf.Tensor:
    """The same by TensorFlow's batch normalisation, each image as a batch of its own: fewer passes over large maps.

    Batches of unknown size, and small maps, are left to `normalize_channels`.
    """
    count, numbers = values.shape[0], values.shape[1:].num_elements()
    if not count or count > FUSED_IMAGES or numbers is None or numbers < FUSED_NUMBERS:
        return normalize_channels(values, gain, bias, epsilon)
    none = tf.zeros([0])  # statistics are computed, not given
    images = [
        tf.raw_ops.FusedBatchNormV3(x=image, scale=gain, offset=bias, mean=none, variance=none, epsilon=epsilon).y
        for image in tf.split(values, count)
    ]
    return tf.concat(images, axis=0)


def _normalize_together(values: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor, epsilon: float) -> tf.Tensor:
    """The release's statistics, of each image over all its channels. gain, bias: scalars."""
    mean, variance = tf.nn.moments(values, [1, 2, 3], keepdims=True)
    # The slope of the root is infinite at 0; no gradient flows through it if the input is constant.
    deviation = tf.where(variance > 0, tf.sqrt(tf.where(variance > 0, variance, 1.0)), 0.0)
    return (values - mean) * (1.0 / (deviation + epsilon) * gain) + bias
