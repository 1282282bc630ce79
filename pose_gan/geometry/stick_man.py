"""A drawing of the pose in place of heat maps, as in the authors' release."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from pose_gan.geometry import polygons
from pose_gan.geometry.pose import is_release, look_at, read_pose
from pose_gan.poses.skeleton import COCO18, Skeleton


def stickman(
    keypoints: Any,
    image_size: tuple[int, int],
    skeleton: Skeleton = COCO18,
    compat: str = "paper",
    dtype: tf.DType = tf.float64,
) -> tf.Tensor:
    """A drawing of the pose in three channels, in place of heat maps (`--pose_rep_type stickman`).

    For people, right limbs are in channel 0, left limbs in 1, and the filled torso in 2; at the value 0.5, the neck is
    in 0 and 1, the right eye in 0 and the left eye in 1. Lines reach `int(3·width/128)` px to either side.

    Args:
        keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        image_size: (height, width) in pixels.
        skeleton: its strokes are painted, in order; a stroke with a missing joint is left out.
        compat: `paper` draws lines with round ends, and where strokes overlap, the brighter one wins; `release` draws
            lines as rectangles, and the later stroke wins.
        dtype: the dtype of the computation.
    Returns: float32 `(B, height, width, 3)` in [0, 1].
    Source: the authors' release; the paper has no such drawing.
    """
    pose = read_pose(keypoints, skeleton, dtype)
    half_width = float(int(3 * image_size[1] / 128))
    drawing = tf.zeros([tf.shape(pose.xy)[0], *image_size, 3], tf.float32)
    for stroke in skeleton.strokes:
        rows = [skeleton.indices(point) for point in stroke.points]
        points = tf.stack([tf.reduce_mean(tf.gather(pose.xy, row, axis=1), axis=1) for row in rows], axis=1)
        needed = [joint for row in rows for joint in row] + skeleton.indices(stroke.requires)
        present = tf.reduce_all(tf.gather(pose.found, needed, axis=1), axis=1)
        if stroke.kind == "fill":
            shape = polygons.fill(points, image_size, look_at(compat))
        elif is_release(compat):
            corners = polygons.beside_segment(points[:, 0], points[:, 1], half_width)
            shape = polygons.fill(corners, image_size, look_at(compat))
        else:
            shape = polygons.near_segment(points[:, 0], points[:, 1], half_width, image_size)
        colour = tf.constant(stroke.colour, tf.float32)
        inked = (shape & present[:, None, None])[..., None] & (colour > 0)
        painted = colour if is_release(compat) else tf.maximum(drawing, colour)
        drawing = tf.where(inked, painted, drawing)
    return drawing
