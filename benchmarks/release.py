"""The training iteration with the operators of the authors' release, in the TensorFlow that is installed.

A copy of the features is moved for each body part, the NN loss stacks a copy of the target for each shift, convolutions
are the library's, and Adam is Keras'.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras
import tensorflow as tf

from benchmarks import nn_loss, skip
from benchmarks.inputs import SIZE
from pose_gan import losses, networks
from pose_gan.config import RunConfig
from pose_gan.training import gan as training
from pose_gan.training.gan import GAN


def release_gan(config: RunConfig) -> GAN:
    """A training like the package's; its losses are the same but for rounding.

    Args: config: settings of preset `full`; with `shared_forward=False`, images are generated for each update, as in
        the release.
    """
    with _release_operators():
        gan = GAN(config)
    step = gan.train_step

    def train_step(batches: Any) -> Any:
        with _release_operators():  # they are looked up when the graph is traced
            return step(batches)

    gan.train_step = train_step
    return gan


@contextlib.contextmanager
def _release_operators() -> Iterator[None]:
    def up(count: int, name: str) -> keras.layers.Layer:
        return keras.layers.Conv2DTranspose(count, 4, strides=2, padding="same", use_bias=False, name=name)

    def stacked(generated: tf.Tensor, target: tf.Tensor, window: int, reduction: str) -> tf.Tensor:
        return nn_loss.stacked_loss(generated, tf.stop_gradient(target), window)

    with contextlib.ExitStack() as patches:
        for module, name, value in (
            (networks, "DeformableSkip", _ReleaseSkip),
            (networks, "UpConv2D", up),
            (losses, "nearest_neighbour_loss", stacked),
            (training, "FusedAdam", keras.optimizers.Adam),
            (training, "use_fast_forms", lambda model, training: None),
        ):
            patches.enter_context(mock.patch.object(module, name, value))
        yield


class _ReleaseSkip(keras.layers.Layer):
    """`skip.plain_skip` as a layer that is made as the package's is."""

    def __init__(self, aggregation: str, interpolation: str, image_size: SIZE, name: str) -> None:
        super().__init__(name=name)

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        return skip.plain_skip(*inputs)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return input_shape[0]
