"""The training and the tests of the demo's pose estimator."""

from __future__ import annotations

import math
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from data_prep.augment import augment
from data_prep.estimator_data import SIZE
from pose_gan.estimators.heatmap import THRESHOLD, HeatMapEstimator, location_loss
from pose_gan.files.images import read_image
from pose_gan.metrics.pckh import pckh
from pose_gan.model_files.run_folder import latest_checkpoint
from pose_gan.poses.keypoints import MISSING, read_annotations
from pose_gan.poses.skeleton import COCO18
from pose_gan.training.checkpoint import restore_checkpoint, save_checkpoint
from pose_gan.training.optimizer import FusedAdam

BATCH, PEAK_RATE, WARM_UP, WEIGHT_DECAY, EMA = 32, 2e-3, 200, 0.004, 0.998


def train(
    network: keras.Model, images: np.ndarray, keypoints: np.ndarray, epochs: int, seed: int, checkpoints: Path
) -> None:
    """Trains the network in place on shuffled and augmented images, and continues from the last checkpoint if any.

    Args:
        network: a network of `build_network`.
        images: uint8 `(N, H, W, 3)`.
        keypoints: int32 `(N, joints, 2)`, (y, x) in pixels, −1 where missing.
        epochs: total number of epochs, including those before the checkpoint.
        seed: seed of the order and of the augmentation.
        checkpoints: folder of the checkpoints; one is written per epoch, and only the last one is kept.
    """
    steps = math.ceil(len(images) / BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        PEAK_RATE / 100, epochs * steps, warmup_target=PEAK_RATE, warmup_steps=min(WARM_UP, steps)
    )
    optimizer = FusedAdam(rate, weight_decay=WEIGHT_DECAY, clipnorm=5.0, use_ema=True, ema_momentum=EMA)
    optimizer.build(network.trainable_variables)
    variables = {"network": network.variables, "optimizer": optimizer.variables}
    last = latest_checkpoint(checkpoints)
    first = restore_checkpoint(last, variables)["position"] if last else 0

    shapes = (None, *SIZE, 3), (None, *keypoints.shape[1:]), (2,)
    types = tf.uint8, tf.int32, tf.int32

    @tf.function(input_signature=list(map(tf.TensorSpec, shapes, types)))
    def step(images: tf.Tensor, keypoints: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seen, places, present = augment(images, keypoints, seed)
        with tf.GradientTape() as tape:
            loss = location_loss(network(seen, training=True), places, present)
        weights = network.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    with tqdm(total=epochs * steps, initial=first * steps, desc="training", unit="step") as progress:
        for epoch in range(first, epochs):
            order = np.random.default_rng([seed, epoch]).permutation(len(images))
            losses = []
            for number, rows in enumerate(np.array_split(order, steps)):
                losses.append(step(images[rows], keypoints[rows], tf.constant([seed, epoch * steps + number])))
                progress.update()
            progress.set_postfix(loss=f"{np.mean(losses):.3f}")
            save_checkpoint(checkpoints, epoch + 1, {}, variables, {"position": epoch + 1}, keep=1)
    optimizer.finalize_variable_values(network.trainable_variables)  # sets the weights to their moving averages


def threshold_table(network: keras.Model, images: np.ndarray, keypoints: np.ndarray) -> str:
    """The scores on the validation images for different thresholds, by which `heatmap.THRESHOLD` was chosen."""
    lines = [f"on {len(images)} validation images:", "threshold    PCKh  missing: precision, recall  told wrongly"]
    answer = HeatMapEstimator(network, threshold=0.0)(images)
    for threshold in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        result = pckh(np.where(answer.scores[..., None] >= threshold, answer.keypoints, MISSING), keypoints)
        precision = (~result.present & ~result.found).sum() / max(1, (~result.found).sum())
        chosen = " *" if threshold == THRESHOLD else ""
        wrong = (result.present != result.found).mean()
        recall = 1 - result.false_positive_share
        lines.append(f"{threshold:9.1f}  {result.mean:6.1%}  {precision:18.1%}  {recall:7.1%}  {wrong:12.1%}{chosen}")
    return "\n".join(lines)


def joint_table(estimator: HeatMapEstimator, folder: Path, csv: Path) -> str:
    """PCKh on annotated images with one line per joint, followed by the mean and the shares of wrong decisions."""
    annotations = read_annotations(csv)
    images = np.stack([read_image(folder / name) for name in annotations.names])
    result = pckh(estimator(images).keypoints, annotations.keypoints)
    rows = zip(COCO18.joints, result.per_joint, result.counts, strict=True)
    joints = "\n".join(f"{joint:>5} {share:7.1%} of {count}" for joint, share, count in rows)
    return (
        f"on {len(images)} images of {csv}:\n{joints}\nPCKh@0.5 {result.mean:.1%}; "
        f"{result.false_positive_share:.1%} of the missing joints were found all the same, "
        f"{result.false_negative_share:.1%} of the others were not found"
    )
