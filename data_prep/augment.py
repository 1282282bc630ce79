"""Random changes of images and their keypoints, for the training of a pose estimator."""

from __future__ import annotations

import tensorflow as tf

from pose_gan.poses.keypoints import MISSING
from pose_gan.poses.skeleton import COCO18

COVERED = 0.15  # share of the images that get a rectangle of one colour


def augment(images: tf.Tensor, keypoints: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Applies random flips, moves, covering rectangles, colours, blur and noise.

    Args:
        images: uint8 `(B, H, W, 3)`.
        keypoints: int32 `(B, joints, 2)`, (y, x) in pixels, −1 where missing.
        seed: int32 `(2,)`; the same seed gives the same changes.
    Returns: images, float32, range [0, 255]; keypoints, float32; whether each joint is present, bool `(B, joints)`.
    """
    seeds = iter(tf.unstack(tf.random.split(seed, 16)))
    batch = tf.shape(images)[0]
    size = tf.constant([*images.shape[1:3]], tf.float32)

    def draw(low: float, high: float, *shape: int) -> tf.Tensor:
        return tf.random.stateless_uniform((batch, *shape), next(seeds), low, high)

    present = tf.reduce_all(keypoints != MISSING, axis=-1)
    images, keypoints = tf.cast(images, tf.float32), tf.cast(keypoints, tf.float32)

    # Flip
    flipped = draw(0, 1) < 0.5
    mirrored = tf.stack([keypoints[..., 0], size[1] - 1 - keypoints[..., 1]], axis=-1)
    keypoints = tf.where(flipped[:, None, None], tf.gather(mirrored, COCO18.flip_order, axis=1), keypoints)
    present = tf.where(flipped[:, None], tf.gather(present, COCO18.flip_order, axis=1), present)
    images = tf.where(flipped[:, None, None, None], images[:, :, ::-1], images)

    # Scale, turn and shift
    zoom, angle = tf.exp(draw(-0.15, 0.15, 1) + draw(-0.06, 0.06, 2)), draw(-0.1, 0.1)
    images, keypoints = _move(images, keypoints, zoom, angle, draw(-0.08, 0.08, 2) * size)
    present &= tf.reduce_all((keypoints >= -0.5) & (keypoints < size - 0.5), axis=-1)

    # Cover a rectangle, on some images
    centre, half = draw(0, 1, 2) * size, draw(0.06, 0.25, 2) * size
    half = tf.where(draw(0, 1, 1) < COVERED, half, -1.0)
    rows, columns = (tf.abs(tf.range(size[axis]) - centre[:, axis, None]) < half[:, axis, None] for axis in (0, 1))
    covered = rows[:, :, None] & columns[:, None, :]
    images = tf.where(covered[..., None], draw(0, 255, 1, 1, 3), images)
    present &= ~tf.reduce_all(tf.abs(keypoints - centre[:, None]) < half[:, None], axis=-1)

    # Light, blur on half of the images, noise on half of them
    contrast, shade = tf.exp(draw(-0.25, 0.25, 1, 1, 1)), draw(-20, 20, 1, 1, 4)
    images = (images - 118) * contrast + 118 + shade[..., :1] + 0.4 * shade[..., 1:]
    images += tf.nn.relu(draw(-1, 1, 1, 1, 1)) * (tf.nn.avg_pool2d(images, 3, 1, "SAME") - images)
    noise = tf.random.stateless_normal(tf.shape(images), next(seeds)) * tf.nn.relu(draw(-7, 7, 1, 1, 1))
    return tf.clip_by_value(images + noise, 0.0, 255.0), keypoints, present


def _move(
    images: tf.Tensor, keypoints: tf.Tensor, zoom: tf.Tensor, angle: tf.Tensor, shift: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Enlarges by `zoom` `(B, 2)` and turns by `angle` `(B,)` about the middle, then shifts by `shift` `(B, 2)`."""
    size = tf.constant([*images.shape[1:3]], tf.float32)
    turn = tf.stack([tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle)], axis=-1)
    matrix = tf.reshape(turn, (-1, 2, 2)) / zoom[:, None]  # maps a pixel's new place to its old place
    middle = (size - 1) / 2
    start = middle - tf.linalg.matvec(matrix, middle + shift)
    keypoints = tf.linalg.matvec(tf.linalg.inv(matrix)[:, None], keypoints - start[:, None])
    (yy, yx), (xy, xx) = (tf.unstack(row, axis=1) for row in tf.unstack(matrix, axis=1))
    zero = tf.zeros_like(yy)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([xx, xy, start[:, 1], yx, yy, start[:, 0], zero, zero], axis=1),  # (x, y)
        output_shape=images.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    return moved, keypoints
