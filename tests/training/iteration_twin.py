"""A slow, obvious twin of one training iteration, written from Eq. 5–10 of the paper.

It runs op by op, with a plain Adam in NumPy and a pass through the discriminator for every image it judges. From the
package it takes what other tests guard: the two networks and the frozen ones (VGG-19, the pose estimator).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from pose_gan.config import RunConfig, TrainConfig
from pose_gan.networks import build_discriminator, build_generator
from pose_gan.training.features import VGGFeatures, load_pose_maps
from pose_gan.training.gan import GAN

Batch = dict[str, tf.Tensor]
EPSILON = 1e-8  # the release's: the default of Keras 2.0.8
FAR = 1e4


class PlainAdam:
    """Adam (Kingma and Ba 2015, with the step size of the end of their Section 2): float64.

    It begins where `slots`, the optimizer variables of a `GAN`, stand: at zero before the first update.
    """

    def __init__(self, model: keras.Model, train: TrainConfig, slots: Sequence[keras.Variable]) -> None:
        self.model, self.rate, self.beta_1, self.beta_2 = model, train.learning_rate, train.beta_1, train.beta_2
        self.count, self.weights = updates(slots), [numbers(weight) for weight in model.trainable_variables]
        self.momentum, self.velocity = moments(slots, "momentum"), moments(slots, "velocity")

    def descend(self, tape: tf.GradientTape, loss: tf.Tensor) -> None:
        self.count += 1
        size = self.rate * np.sqrt(1 - self.beta_2**self.count) / (1 - self.beta_1**self.count)
        variables = self.model.trainable_variables
        for i, gradient in enumerate(map(numbers, tape.gradient(loss, variables))):
            self.momentum[i] = self.beta_1 * self.momentum[i] + (1 - self.beta_1) * gradient
            self.velocity[i] = self.beta_2 * self.velocity[i] + (1 - self.beta_2) * gradient**2
            self.weights[i] = self.weights[i] - size * self.momentum[i] / (np.sqrt(self.velocity[i]) + EPSILON)
            variables[i].assign(self.weights[i])


class IterationTwin:
    """Begins where a `GAN` stands: the same weights, moments and states of dropout, in networks of its own."""

    def __init__(self, gan: GAN) -> None:
        self.config = config = gan.config
        self.generator, self.discriminator = build_generator(config.model), build_discriminator(config.model)
        for ours, theirs in ((self.generator, gan.generator), (self.discriminator, gan.discriminator)):
            for copy, variable in zip(ours.variables, theirs.variables, strict=True):
                copy.assign(variable)
        self.generator_adam, self.discriminator_adam = (
            PlainAdam(model, config.train, gan.variables[f"{model.name}_optimizer"])
            for model in (self.generator, self.discriminator)
        )
        self.compared, self.pose_maps = frozen_networks(config)

    def iterate(self, batches: list[Batch]) -> dict[str, float]:
        """One iteration: `training_ratio` updates of D, then one of G. Returns the losses."""
        loss, train = self.config.loss, self.config.train
        if loss.gan_penalty_weight == 0:
            (batch,) = batches
            return self.update_generator(batch)
        if not train.shared_forward:
            *pairs, last = batches
            assert len(pairs) == 2 * train.training_ratio
            for real, fake in zip(pairs[0::2], pairs[1::2], strict=True):
                judged = self.update_discriminator(real, fake, self.draw(fake))
            return judged | self.update_generator(last)
        *earlier, last = batches
        assert len(earlier) == train.training_ratio - 1
        for batch in earlier:
            self.update_discriminator(batch, batch, self.draw(batch))
        return self.update_generator(last, teach=True)

    def update_discriminator(self, real: Batch, fake: Batch, images: tf.Tensor) -> dict[str, float]:
        """max_D log D(x_a, H_a, x_b, H_b) + log(1 − D(x_a, H_a, x̂, H_b)), as the minimum of its negative (Eq. 5)."""
        images = tf.constant(images.numpy())  # no gradient leads back to G
        with tf.GradientTape() as tape:
            loss = -mean_log(self.judge(real, real["target_image"])) - mean_log(1 - self.judge(fake, images))
        self.discriminator_adam.descend(tape, loss)
        return {"discriminator": float(loss)}

    def update_generator(self, batch: Batch, teach: bool = False) -> dict[str, float]:
        """min_G (Eq. 10). With `teach`, D learns from the same images before it judges them for G."""
        report: dict[str, float] = {}
        with tf.GradientTape() as tape:
            images = self.draw(batch)
            if teach:
                report |= self.update_discriminator(batch, batch, images)
            losses = self.generator_losses(batch, images)
        self.generator_adam.descend(tape, losses["generator"])
        return report | {name: float(value) for name, value in losses.items()}

    def validate(self, batch: Batch) -> dict[str, float]:
        """The generator's losses on images without dropout; nothing is updated."""
        losses = self.generator_losses(batch, self.draw(batch, dropout=False))
        return {name: float(value) for name, value in losses.items()}

    def generator_losses(self, batch: Batch, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Each loss, and `generator`: their sum, each with its weight."""
        loss, shown = self.config.loss, batch["target_image"]
        drawn, target = tf.cast(images, tf.float64), tf.cast(shown, tf.float64)
        pairs = list(zip(self.compared(drawn), self.compared(target), strict=True))
        found: dict[str, tuple[float, tf.Tensor]] = {}
        if loss.gan_penalty_weight:
            found["adversarial"] = loss.gan_penalty_weight, -mean_log(self.judge(batch, images))
        if loss.l1_penalty_weight and loss.nn_loss_area_size == 1:
            found["l1"] = loss.l1_penalty_weight, tf.add_n([tf.reduce_mean(tf.abs(a - b)) for a, b in pairs])
        elif loss.l1_penalty_weight:
            values = [nearest_neighbours(a, b, loss.nn_loss_area_size) for a, b in pairs]
            found["nearest_neighbour"] = loss.l1_penalty_weight, tf.add_n(values)
        if loss.tv_penalty_weight:
            found["total_variation"] = loss.tv_penalty_weight, total_variation(drawn)
        if self.pose_maps is not None:
            difference = tf.cast(self.pose_maps(images) - self.pose_maps(shown), tf.float64)
            found["structure"] = loss.lstruct_penalty_weight, tf.reduce_mean(difference**2)
        total = tf.add_n([weight * value for weight, value in found.values()])
        return {name: value for name, (_, value) in found.items()} | {"generator": total}

    def draw(self, batch: Batch, dropout: bool = True) -> tf.Tensor:
        """x̂ = G(z, x_a, H_a, H_b); z is dropout."""
        return self.generator([batch[tensor.name] for tensor in self.generator.inputs], training=dropout)

    def judge(self, batch: Batch, images: tf.Tensor) -> tf.Tensor:
        """D(x_a, H_a, images, H_b), a probability in every cell: float64."""
        shown = {**batch, "target_image": images}
        return tf.cast(self.discriminator([shown[tensor.name] for tensor in self.discriminator.inputs]), tf.float64)


def mean_log(probability: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.math.log(probability))


def nearest_neighbours(drawn: tf.Tensor, target: tf.Tensor, side: int) -> tf.Tensor:
    """Eq. 7, the mean over pixels as in the release: every shift of the target, then the smallest distance."""
    reach, height, width = side // 2, *drawn.shape[1:3]
    around = tf.pad(target, [[0, 0], [reach, reach], [reach, reach], [0, 0]], constant_values=FAR)
    distances = [
        tf.reduce_sum(tf.abs(drawn - around[:, y : y + height, x : x + width]), axis=-1)
        for y, x in itertools.product(range(side), repeat=2)
    ]
    return tf.reduce_mean(tf.reduce_min(tf.stack(distances), axis=0))


def total_variation(images: tf.Tensor) -> tf.Tensor:
    """The release's: Σ (Δy² + Δx²)^1.25, without the last row and column."""
    squares = [(tf.roll(images, -1, axis=axis) - images) ** 2 for axis in (1, 2)]
    return tf.reduce_sum(tf.add_n(squares)[:, :-1, :-1] ** 1.25)


def frozen_networks(config: RunConfig):
    """What the reconstruction loss compares, and what the structure loss does: functions of images."""
    loss, size = config.loss, config.model.image_size
    vgg = VGGFeatures(loss.content_layers, loss.vgg_weights) if loss.content_layers else None
    pose_maps = load_pose_maps(loss.pose_estimator, size) if loss.pose_estimator else None
    return (lambda images: [images] if vgg is None else [tf.cast(f, tf.float64) for f in vgg(images)]), pose_maps


def moments(slots: Sequence[keras.Variable], kind: str) -> list[np.ndarray]:
    """`momentum` or `velocity`, one for each weight: moving means of the gradients and of their squares."""
    return [numbers(slot) for slot in slots if slot.name.endswith(f"_{kind}")]


def updates(slots: Sequence[keras.Variable]) -> int:
    """The number of updates made so far."""
    return max(int(numbers(slot)) for slot in slots if slot.name == "iteration")


def numbers(values) -> np.ndarray:
    return np.asarray(tf.convert_to_tensor(values), np.float64)
