"""Adam that passes over memory once."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

EPSILON = 1e-8
"""ε of both Adam optimizers of the training, as in the release, where it was Keras' default; Keras 3 has 1e-7."""


@keras.saving.register_keras_serializable(package="pose_gan")
class FusedAdam(keras.optimizers.Adam):
    """`keras.optimizers.Adam` with TensorFlow's fused kernel: the same update in one op per variable.

    Keras' own update consists of a dozen element-wise ops over the weights and both moments, which take a
    tenth of a training iteration on CPU. This class needs dense gradients and does not support AMSGrad.

    Args: those of `keras.optimizers.Adam`.
    Raises: ValueError: `amsgrad` is true, or Keras does not know an argument.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.amsgrad:
            raise ValueError(
                "FusedAdam(amsgrad=True): TensorFlow's fused kernel has no AMSGrad; only amsgrad=False is allowed. "
                "Use keras.optimizers.Adam(amsgrad=True)"
            )

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: Any) -> None:
        step = tf.cast(self.iterations + 1, tf.float32)
        moments = self._momentums, self._velocities
        first, second = (slots[self._get_variable_index(variable)] for slots in moments)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first.value.handle,
            v=second.value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, tf.float32), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, tf.float32), step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )
