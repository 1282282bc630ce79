"""Normalisation of one sample by its own statistics."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pose_gan.config import NORMALISATIONS
from pose_gan.layers.base import one_of, register


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
            # The slope of the root is infinite at 0; no gradient flows through it if the input is constant.
            deviation = tf.where(variance > 0, tf.sqrt(tf.where(variance > 0, variance, 1.0)), 0.0)
            scale = 1.0 / (deviation + (1e-3 if self.epsilon is None else self.epsilon))
        scale *= tf.convert_to_tensor(self.gamma)
        return tf.cast((values - mean) * scale + tf.convert_to_tensor(self.beta), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode, "epsilon": self.epsilon}
