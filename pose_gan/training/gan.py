"""The two networks, their losses and their updates: one training iteration (paper, Section 4)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from pose_gan import losses
from pose_gan.config import RunConfig
from pose_gan.layers.forms import use_fast_forms
from pose_gan.networks import build_discriminator, build_generator, logits_model
from pose_gan.training.distribution import ONE_DEVICE, Distribution
from pose_gan.training.features import VGGFeatures, load_pose_maps
from pose_gan.training.optimizer import EPSILON, FusedAdam
from pose_gan.training.seeding import masks_by_replica, seeded

Batch = dict[str, tf.Tensor]


class GAN:
    """Generator, discriminator, optimizers, and the compiled steps that train them.

    Args:
        config: model, loss and training settings; `config.train.seed` seeds weights and dropout, whatever random
            numbers the caller draws. The caller's random generators are left as they are.
        distribution: the devices.

    Attributes:
        generator, discriminator: the networks.
        batches_per_iteration: number of batches that `train_step` takes.

    Deviation: by default, one batch and the same generated images serve both updates. The release takes new
        batches and new images for every update; `shared_forward=False` does so too.
    """

    def __init__(self, config: RunConfig, distribution: Distribution = ONE_DEVICE) -> None:
        self.config, self._replicas = config, distribution.replicas
        self._adversarial = config.loss.gan_penalty_weight > 0
        with distribution.scope():
            self._build()
        self.train_step = distribution.compiled(self._train_step)
        self.validation_step = tf.function(self._validation_step)
        self.generate = tf.function(self._generate)

    @property
    def batches_per_iteration(self) -> int:
        if not self._adversarial:
            return 1
        ratio = self.config.train.training_ratio
        return ratio if self.config.train.shared_forward else 2 * ratio + 1

    @property
    def variables(self) -> dict[str, Sequence[keras.Variable]]:
        """Everything that training changes: weights, random states of dropout, optimizer slots."""
        return {
            "generator": self.generator.variables,
            "discriminator": self.discriminator.variables,
            "generator_optimizer": self._generator_optimizer.variables,
            "discriminator_optimizer": self._discriminator_optimizer.variables,
        }

    def models(self) -> tuple[keras.Model, keras.Model]:
        """Generator and discriminator in the form to save: float32, whatever precision they were trained in."""
        if self.config.train.precision == "float32":
            return self.generator, self.discriminator
        with seeded(self.config.train.seed):
            copies = build_generator(self.config.model), build_discriminator(self.config.model)
        for copy, model in zip(copies, (self.generator, self.discriminator), strict=True):
            copy.set_weights(model.get_weights())
        return copies

    def _build(self) -> None:
        config = self.config
        layers = config.loss.content_layers
        estimator = config.loss.pose_estimator if config.loss.lstruct_penalty_weight else None
        with seeded(config.train.seed):
            with _precision(config.train.precision):
                self.generator = build_generator(config.model)
                self.discriminator = build_discriminator(config.model)
                for model in (self.generator, self.discriminator):
                    use_fast_forms(model, training=True)
                self._logits = logits_model(self.discriminator)
                self._features = VGGFeatures(layers, config.loss.vgg_weights) if layers else None
            self._pose_maps = (
                load_pose_maps(estimator, config.model.image_size, config.model.skeleton) if estimator else None
            )
        if self._replicas > 1:
            masks_by_replica(self.generator)
        self._generator_optimizer = self._optimizer(self.generator)
        self._discriminator_optimizer = self._optimizer(self.discriminator)

    def _optimizer(self, model: keras.Model) -> keras.optimizers.Optimizer:
        train = self.config.train
        optimizer = FusedAdam(train.learning_rate, beta_1=train.beta_1, beta_2=train.beta_2, epsilon=EPSILON)
        if train.precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(model.trainable_variables)
        return optimizer

    def _train_step(self, batches: Sequence[Batch]) -> dict[str, tf.Tensor]:
        """One iteration: `training_ratio` discriminator updates, then one generator update.

        Args: batches: `batches_per_iteration` batches, as `pose_gan.data` makes them.
        Returns: name → float32 scalar. `generator` is the weighted total of the generator's losses, `discriminator`
            the discriminator's loss in its last update.
        """
        batches = list(batches)
        report: dict[str, tf.Tensor] = {}
        train = self.config.train
        if self._adversarial:
            for _ in range(train.training_ratio - (1 if train.shared_forward else 0)):
                real = batches.pop(0)
                fake = real if train.shared_forward else batches.pop(0)
                report |= self._update_discriminator(real, fake, self._generate(fake, training=True))
        return report | self._update_generator(batches.pop(0))

    def _update_generator(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The generator's update. With `shared_forward`, its images are first used to update the discriminator."""
        report: dict[str, tf.Tensor] = {}
        with tf.GradientTape() as tape:
            generated = self._generate(batch, training=True)
            if self._adversarial and self.config.train.shared_forward:
                with tape.stop_recording():
                    report |= self._update_discriminator(batch, batch, generated)
            with _after(generated, *report.values()):
                terms = self._generator_losses(batch, generated)
            loss = self._generator_optimizer.scale_loss(terms["generator"])
        self._minimise(loss, self.generator, self._generator_optimizer, tape)
        return report | terms

    def _update_discriminator(self, real: Batch, fake: Batch, generated: tf.Tensor) -> dict[str, tf.Tensor]:
        """One update, on the photographs of `real` and on the images `generated` for the batch `fake`.

        As in the release, the loss is not multiplied by `gan_penalty_weight`, which says how much the discriminator
        weighs among the generator's losses.
        """
        images = tf.concat([real["target_image"], generated], axis=0)
        both = {key: tf.concat([real[key], fake[key]], axis=0) for key in real if key != "target_image"}
        with tf.GradientTape() as tape:
            with _after(generated):
                real_logits, fake_logits = tf.split(self._judge(both, images), 2)
            loss = losses.discriminator_adversarial_loss(real_logits, fake_logits)
            scaled = self._discriminator_optimizer.scale_loss(loss)
        self._minimise(scaled, self.discriminator, self._discriminator_optimizer, tape)
        return {"discriminator": loss}

    def _minimise(
        self, loss: tf.Tensor, model: keras.Model, optimizer: keras.optimizers.Optimizer, tape: tf.GradientTape
    ) -> None:
        """One update. The optimizer adds up the gradients of all replicas, so each gives 1/R of its own."""
        part = tf.ones_like(loss) / self._replicas if self._replicas > 1 else None
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables, part), variables)

    def _validation_step(self, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Generated images for a batch, without dropout, and the generator's losses on them."""
        generated = self._generate(batch)
        return generated, self._generator_losses(batch, generated)

    def _generate(self, batch: Batch, training: bool = False) -> tf.Tensor:
        names = [tensor.name for tensor in self.generator.inputs]
        return self.generator([batch[name] for name in names], training=training)

    def _judge(self, batch: Batch, images: tf.Tensor) -> tf.Tensor:
        values = {**batch, "target_image": images}
        return self._logits([values[tensor.name] for tensor in self._logits.inputs], training=True)

    def _generator_losses(self, batch: Batch, generated: tf.Tensor) -> dict[str, tf.Tensor]:
        """Each loss without its weight, and `generator`, the weighted sum of all.

        Eq. 10 is the sum of `adversarial` with weight 1 and `nearest_neighbour` with weight λ; the other losses are
        those of the release's flags.
        """
        loss, target = self.config.loss, batch["target_image"]
        terms: dict[str, tuple[float, tf.Tensor]] = {}
        if self._adversarial:
            score = losses.generator_adversarial_loss(self._judge(batch, generated))
            terms["adversarial"] = (loss.gan_penalty_weight, score)
        if loss.l1_penalty_weight:
            name = "l1" if loss.nn_loss_area_size == 1 else "nearest_neighbour"
            terms[name] = (loss.l1_penalty_weight, self._reconstruction_loss(generated, target))
        if loss.tv_penalty_weight:
            # It is a sum over images and not a mean: the mean over replicas of this is the sum over all their images.
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            terms["total_variation"] = (loss.tv_penalty_weight, losses.total_variation(generated) * replicas)
        if self._pose_maps is not None:
            structure = losses.structure_loss(generated, target, self._pose_maps)
            terms["structure"] = (loss.lstruct_penalty_weight, structure)
        total = tf.add_n([tf.constant(0.0), *(weight * value for weight, value in terms.values())])
        return {**{name: value for name, (_, value) in terms.items()}, "generator": total}

    def _reconstruction_loss(self, generated: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """The L1 or nearest-neighbour loss on pixels, or its sum over VGG layers."""
        loss = self.config.loss
        if self._features is None:
            pairs = [(generated, target)]
        else:
            pairs = zip(self._features(generated), self._features(target), strict=True)
        total = tf.constant(0.0)
        for ours, theirs in pairs:
            if loss.nn_loss_area_size == 1:
                total += losses.l1_loss(ours, tf.stop_gradient(theirs))
            else:
                total += losses.nearest_neighbour_loss(ours, theirs, loss.nn_loss_area_size, loss.nn_loss_reduction)
        return total


def _after(*tensors: tf.Tensor) -> contextlib.AbstractContextManager:
    """In a graph, what is computed inside of the block waits for the tensors.

    Otherwise, all that needs the batch alone (heat maps, features of the target) would be computed at once, and be kept
    in memory until it is used.
    """
    return tf.control_dependencies(tensors)


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Layers that are made inside of the block compute with this Keras dtype policy.

    The policy is Keras' global one, which it keeps for each thread apart, because every layer of a network would have
    to be told its own otherwise. The caller's policy is put back at the end of the block.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
