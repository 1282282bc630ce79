"""Heat maps of joints (paper, Eq. 1)."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from pose_gan.geometry.pose import is_release, read_pose
from pose_gan.poses.skeleton import COCO18, Skeleton


def heatmaps(
    keypoints: Any,
    image_size: tuple[int, int],
    sigma: float = 6.0,
    skeleton: Skeleton = COCO18,
    compat: str = "paper",
    dtype: tf.DType = tf.float64,
) -> tf.Tensor:
    """One Gaussian per joint: `exp(-‖p − p_j‖² / (2σ²))`, all zeros for a missing joint.

    A Gaussian in two dimensions is computed as the outer product of two Gaussians in one dimension.

    Args:
        keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        image_size: (height, width) in pixels.
        sigma: standard deviation, pixels.
        skeleton: gives the number of joints.
        compat: `release` floors the exponent, as Python 2's integer division did.
        dtype: the dtype in which joints are read. The maps are computed in float32 whatever it is.
    Returns: float32 `(B, height, width, J)` in [0, 1].
    Source: paper, Eq. 1.
    Deviation: Eq. 1 is printed without the square and the 2. The release uses both, and so does this function.
    """
    pose = read_pose(keypoints, skeleton, dtype)
    xy = tf.cast(pose.xy, tf.float32)
    joints, (height, width) = skeleton.num_joints, image_size
    if is_release(compat):
        return _stepped_heatmaps(xy, pose.found, image_size, sigma)

    def gaussian(size: int, centre: tf.Tensor) -> tf.Tensor:
        offset = tf.range(size, dtype=tf.float32)[:, None] - centre[:, None, :]
        return tf.exp(-tf.square(offset) / (2.0 * sigma**2))

    rows = gaussian(height, xy[..., 1]) * tf.cast(pose.found, tf.float32)[:, None, :]  # (B, H, J)
    columns = gaussian(width, xy[..., 0])  # (B, W, J)
    # rows[b, y, j] · columns[b, x, j]: the joints of several pixels are one axis, since broadcasting beside an axis as
    # short as the joints takes half as long again.
    pixels = math.gcd(width, 8)
    rows = tf.tile(rows, [1, 1, pixels])[:, :, None]
    maps = rows * tf.reshape(columns, [-1, 1, width // pixels, pixels * joints])
    return tf.reshape(maps, [-1, height, width, joints])


def _stepped_heatmaps(xy: tf.Tensor, found: tf.Tensor, image_size: tuple[int, int], sigma: float) -> tf.Tensor:
    """`exp(floor(-‖p − p_j‖² / (2σ²)))`: steps at powers of e, which differ from the Gaussian by up to 0.62."""
    rows, columns = (tf.range(size, dtype=tf.float32) for size in image_size)
    squares = tf.square(rows[:, None, None] - xy[:, None, None, :, 1])
    squares += tf.square(columns[:, None] - xy[:, None, None, :, 0])
    return tf.exp(tf.floor(-squares / (2.0 * sigma**2))) * tf.cast(found, tf.float32)[:, None, None, :]
