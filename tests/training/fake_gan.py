"""A stand-in for `GAN` whose losses are known and whose weights tell which data it has seen, in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pose_gan.config import RunConfig
from pose_gan.model_files.run_folder import latest_checkpoint
from pose_gan.programs import train
from pose_gan.training import trainer
from pose_gan.training.distribution import ONE_DEVICE, Distribution


class FakeGAN:
    """Counts its steps. An update mixes the mean of each image of its batches into a weight, so order matters.

    Attributes:
        loss_of: step → value of the loss `l1`; tests replace it.
        before_step: called with the number of the step that begins; tests replace it.
    """

    loss_of: Callable[[int], float] = float
    before_step: Callable[[int], Any] = lambda step: None
    batches_per_iteration = 2

    def __init__(self, config: RunConfig, distribution: Distribution = ONE_DEVICE) -> None:
        height, width = config.model.image_size
        image = keras.Input((height, width, 3), name="source_image")
        poses = [
            keras.Input((config.model.skeleton.num_joints, 2), name=f"{side}_keypoints")
            for side in ("source", "target")
        ]
        initial = keras.initializers.GlorotUniform(seed=config.train.seed)
        output = keras.layers.Conv2D(3, 1, kernel_initializer=initial, activation="tanh", name="colours")(image)
        self.generator = keras.Model([image, *poses], output, name="generator")
        score = keras.layers.Conv2D(1, 1, kernel_initializer=initial)(image)
        self.discriminator = keras.Model(image, score, name="discriminator")
        self.steps = keras.Variable(0, dtype="int64", trainable=False)

    @property
    def variables(self) -> dict[str, Sequence[keras.Variable]]:
        return {
            "generator": self.generator.variables,
            "discriminator": self.discriminator.variables,
            "steps": [self.steps],
        }

    def models(self) -> tuple[keras.Model, keras.Model]:
        return self.generator, self.discriminator

    def train_step(self, batches: Sequence[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        step = int(self.steps.numpy()) + 1
        type(self).before_step(step)
        assert len(batches) == self.batches_per_iteration
        for batch in batches:
            for image in batch["target_image"].numpy():
                for weight in self.generator.weights:
                    weight.assign(0.5 * weight + image.mean(dtype=np.float64))
        self.steps.assign(step)
        return {"l1": tf.constant(type(self).loss_of(step), tf.float32)}

    def generate(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        return self.generator([batch[tensor.name] for tensor in self.generator.inputs])

    def validation_step(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss `brightness` is the mean of the target images. What is generated is the source."""
        return batch["source_image"], {"brightness": tf.reduce_mean(batch["target_image"])}


def main(arguments: Sequence[str]) -> None:
    """The program `pose-gan train`, with a `FakeGAN`."""
    trainer.GAN = FakeGAN
    train.main(arguments)


def flags(tiny_data: Any, *more: str) -> list[str]:
    """A run of two iterations an epoch on the tiny data set."""
    height, width = tiny_data.image_size
    data = ["--dataset", "tiny", "--images_dir", str(tiny_data.root), "--annotations_dir", str(tiny_data.root)]
    model = ["--image_size", f"{height}x{width}", "--width", "0.02", "--batch_size", "2"]
    return [*data, *model, "--iterations_per_epoch", "2", *more]


def variables(run: Path) -> dict[str, np.ndarray]:
    """The arrays of a run's newest checkpoint."""
    checkpoint = latest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    with np.load(checkpoint / "variables.npz") as arrays:
        return dict(arrays)


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """Whether two checkpoints hold the same arrays, to the last bit."""
    return set(a) == set(b) and all(np.array_equal(a[key], b[key]) for key in a)
