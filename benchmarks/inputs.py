"""The inputs of the benchmarks: poses of drawn people, and random numbers where values do not matter."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from data_prep.people.dataset import PersonTask, draw_images
from pose_gan import geometry
from pose_gan.poses.keypoints import MISSING, found, has_required_joints

SHAPE = (128, 64)  # image size in which the people are drawn, pixels
SIZE = tuple[int, int]
TRIES = 8


def pose_pairs(count: int, image_size: SIZE) -> tuple[tf.Tensor, tf.Tensor]:
    """Source and target keypoints of `count` persons, float32 `(count, 18, 2)`, the same in every run.

    The poses are those of the drawn data set at 128x64. For other sizes they are enlarged to the image's
    height and moved to the middle, so that the inputs differ only in size.
    """
    drawn = np.stack([_drawn_pair(person) for person in range(count)])
    seen = found(drawn)[..., None]
    height, width = image_size
    zoom = min(height / SHAPE[0], width / SHAPE[1])
    placed = np.floor(drawn * zoom) + np.array([0, (width - zoom * SHAPE[1]) // 2])
    pairs = np.where(seen, np.clip(placed, 0, [height - 1, width - 1]), MISSING).astype(np.float32)
    return tf.constant(pairs[:, 0]), tf.constant(pairs[:, 1])


@functools.cache
def _drawn_pair(person: int) -> np.ndarray:
    """The first two poses of a drawn person that have all required joints: int (2, 18, 2)."""
    poses: list[np.ndarray] = []
    for _, _, keypoints in draw_images(PersonTask(0, 0, person, 1, TRIES, SHAPE)):
        if has_required_joints(keypoints):
            poses.append(keypoints)
        if len(poses) == 2:
            break
    while len(poses) < 2:  # always gives a pair, so that there is one person per sample
        poses.append(poses[-1] if poses else _drawn_pair(person + 1)[0])
    return np.stack(poses)


def part_geometry(count: int, image_size: SIZE) -> tuple[tf.Tensor, tf.Tensor]:
    """Transforms `(count, 10, 8)` and masks `(count, 10, H, W)` of `pose_pairs`."""
    source, target = pose_pairs(count, image_size)
    return geometry.part_transforms(source, target), geometry.part_masks(target, image_size)


def active_parts(masks: tf.Tensor) -> float:
    """The mean number of masks that are 1 at a pixel, which is the number of samples of a sparse form."""
    return float(tf.reduce_mean(tf.reduce_sum(masks, axis=1)))


def random_tensor(shape: tuple[int, ...], seed: int) -> tf.Tensor:
    """Normally distributed float32 numbers, the same in every run."""
    return tf.constant(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def random_batch(count: int, image_size: SIZE) -> dict[str, tf.Tensor]:
    """A batch in the form that `pose_gan.data` makes: random images, drawn poses."""
    source, target = pose_pairs(count, image_size)
    images = [tf.tanh(random_tensor((count, *image_size, 3), seed)) for seed in (1, 2)]
    return {
        "source_image": images[0],
        "target_image": images[1],
        "source_keypoints": source,
        "target_keypoints": target,
    }


def size_text(image_size: SIZE) -> str:
    return f"{image_size[0]}x{image_size[1]}"
