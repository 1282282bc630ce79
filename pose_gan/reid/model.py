"""A re-identification network with its losses and its update."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import layers

from pose_gan.errors import InputError
from pose_gan.reid.batches import Batch
from pose_gan.reid.networks import build_network, build_trunk, freeze_batch_norm
from pose_gan.reid.settings import ReidConfig
from pose_gan.reid.weights import put_given_weights
from pose_gan.training.optimizer import FusedAdam
from pose_gan.training.seeding import seeded

MOMENTUM = 0.9  # of SGD
VERIFICATION_WEIGHT = 0.5
BIAS_RATE = 2.0  # of the classifier's bias, times the learning rate; Adam does not feel it


class ReidModel:
    """The network, its softmax layers, the optimizer, and the compiled step that trains them.

    Method `ide`: the features go through dropout and a softmax over the people of the training. Method `embedding`:
    the same for both images of a pair, and the squared differences of their features go through dropout and a softmax
    over `same person` and `different people`; the loss is that of the people plus 0.5 times that of the pairs.

    Args:
        config: the settings; `config.seed` seeds weights and dropout.
        people: number of people of the training.

    Attributes:
        network: from images of any size to features of length 1; see `build_network`.

    Raises: InputError: the weights that `config` names cannot be had, or do not fit.
    Deviation: weight decay takes kernels alone, as Keras' users expect; that of Caffe, with which `ide` was published,
        takes the gains of batch normalisation too, but those are frozen there. Features are those of whole images, also
        if the network was trained on cut-outs.
    """

    def __init__(self, config: ReidConfig, people: int) -> None:
        self.config = config
        with seeded(config.seed):
            self._trunk = build_trunk(config.backbone, config.image_size)
            put_given_weights(self._trunk, config)
            if config.batch_norm == "frozen":
                freeze_batch_norm(self._trunk)
            self.network = build_network(self._trunk)
            self._dropout = layers.Dropout(config.dropout)
            self._people = _classifier(people, self._trunk.output_shape[1], "people")
            self._same = _classifier(2, self._trunk.output_shape[1], "same") if config.method == "embedding" else None
        parts = [self._trunk, self._dropout, self._people, *([self._same] if self._same else [])]
        self._variables = [variable for part in parts for variable in part.variables]
        self._trainable = [variable for part in parts for variable in part.trainable_variables]
        self._optimizer = _optimizer(config)
        self._optimizer.build(self._trainable)
        self._step = tf.function(self._train_step)

    @property
    def variables(self) -> dict[str, Sequence[keras.Variable]]:
        """Everything that training changes: weights, random states of dropout, optimizer slots."""
        return {"model": self._variables, "optimizer": self._optimizer.variables}

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One update.

        Returns: name → float32 scalar: the losses without their weights, and the shares of images and of pairs that
            were told right (`accuracy`, `pairs_right`).
        Raises: InputError: the batch does not fit into memory.
        """
        try:
            return self._step(*map(tf.constant, (batch.images, batch.labels, batch.certainty, batch.verified)))
        except tf.errors.ResourceExhaustedError:
            raise InputError(
                f"--batch_size {len(batch.images)}: does not fit into memory; give a smaller one"
            ) from None

    def _train_step(
        self, images: tf.Tensor, labels: tf.Tensor, certainty: tf.Tensor, verified: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            features = self._trunk(tf.cast(images, tf.float32), training=True)
            logits = self._people(self._dropout(features, training=True))
            identity = tf.reduce_mean(uncertain_cross_entropy(logits, labels, certainty))
            report = {"identity": identity, "accuracy": _share_right(logits, labels)}
            loss = identity
            if self._same is not None:
                pairs = tf.square(features[0::2] - features[1::2])
                told = self._same(self._dropout(pairs, training=True))
                is_same = tf.cast(labels[0::2] == labels[1::2], tf.int64)
                each = tf.nn.sparse_softmax_cross_entropy_with_logits(is_same, told)
                verification = tf.math.divide_no_nan(tf.reduce_sum(verified * each), tf.reduce_sum(verified))
                report |= {"verification": verification, "pairs_right": _share_right(told, is_same)}
                loss += VERIFICATION_WEIGHT * verification
        self._minimise(tape.gradient(loss, self._trainable))
        return report

    def _minimise(self, gradients: list[tf.Tensor]) -> None:
        changed = []
        for gradient, variable in zip(gradients, self._trainable, strict=True):
            if variable is self._people.bias:
                gradient = BIAS_RATE * gradient
            if "kernel" in variable.name and self.config.weight_decay:
                gradient = gradient + self.config.weight_decay * tf.convert_to_tensor(variable)
            changed.append(gradient)
        self._optimizer.apply(changed, self._trainable)


def uncertain_cross_entropy(logits: tf.Tensor, labels: tf.Tensor, certainty: tf.Tensor) -> tf.Tensor:
    """Cross entropy for labels that lie with a share on one class, and with the rest on all classes alike.

    Args:
        logits: float32 `(n, classes)`.
        labels: int64 `(n,)`, the class.
        certainty: float32 `(n,)`, the share c, 0 to 1. 1 is the usual loss, 1 − ε is label smoothing by ε, and 0 is
            LSRO's loss of generated images.
    Returns: float32 `(n,)`: −c log p(label) − (1 − c) mean of log p.
    """
    logs = tf.nn.log_softmax(logits)
    of_label = tf.gather(logs, labels, batch_dims=1)
    return -certainty * of_label - (1 - certainty) * tf.reduce_mean(logs, axis=1)


def learning_rate(config: ReidConfig) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The rate over the iterations, as `config` names it."""
    if config.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, config.iterations)
    if config.schedule == "step":
        steps = max(1, round(config.decay_at * config.iterations))
        return keras.optimizers.schedules.ExponentialDecay(config.learning_rate, steps, 0.1, staircase=True)
    return config.learning_rate


def _optimizer(config: ReidConfig) -> keras.optimizers.Optimizer:
    rate = learning_rate(config)
    return FusedAdam(rate) if config.optimizer == "adam" else keras.optimizers.SGD(rate, momentum=MOMENTUM)


def _classifier(classes: int, features: int, name: str) -> layers.Dense:
    layer = layers.Dense(classes, kernel_initializer=keras.initializers.RandomNormal(stddev=0.001), name=name)
    layer.build((None, features))
    return layer


def _share_right(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(tf.argmax(logits, axis=1) == labels, tf.float32))
