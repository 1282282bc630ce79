"""Where each body part lies in a pose (paper, Section 3.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from pose_gan.geometry import polygons
from pose_gan.geometry.pose import Pose, is_release, limb_corners, look_at, read_pose
from pose_gan.poses.skeleton import COCO18, Part, Skeleton


def part_masks(
    keypoints: Any,
    image_size: tuple[int, int],
    skeleton: Skeleton = COCO18,
    compat: str = "paper",
    dtype: tf.DType = tf.float64,
) -> tf.Tensor:
    """Where each body part lies in a pose, usually the target pose.

    A part with a missing joint has an empty mask, but a `whole` part (the torso, which also carries
    the background) covers the image always.

    Args:
        keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        image_size: (height, width) in pixels.
        skeleton: its parts, in order.
        compat: `release` leaves it to rounding, as there, to which side a pixel centre on an outline belongs.
        dtype: of the computation.
    Returns: float32 `(B, parts, height, width)`, 0 or 1.
    Source: paper, Section 3.1; sizes as in the authors' code.
    Deviation: the paper's limbs are a third of the torso's diagonal wide, the release's 0.4 of its
        mean side, ours too.
    """
    pose = read_pose(keypoints, skeleton, dtype)
    # Every mask is one run of pixels a row. The release's rounding on outlines is that of runs in columns, which is
    # slower; and off the outlines it is all one.
    by_columns = is_release(compat)
    lines, length = image_size[::-1] if by_columns else image_size
    limbs = [part for part in skeleton.parts if part.kind == "limb"]
    limb_runs: list[tf.Tensor] = []
    if limbs:
        corners, present = limb_corners(pose, limbs, skeleton, [part.mask_far for part in limbs])
        corners = corners[..., ::-1] if by_columns else corners
        limb_runs = tf.unstack(polygons.convex_runs(corners, (lines, length), present, look_at(compat)), axis=1)
    runs = []
    for part in skeleton.parts:
        if part.kind == "whole":
            runs.append(tf.tile([[[0, length]]], [tf.shape(pose.xy)[0], lines, 1]))
        elif part.kind == "square":
            runs.append(_square_runs(pose, part, skeleton, (lines, length), by_columns))
        else:
            runs.append(limb_runs.pop(0))
    # look up the lines that are full up to the run's end and its start
    start, end = tf.unstack(tf.stack(runs, axis=1), axis=-1)  # (B, P, lines)
    full_up_to = tf.constant(np.tri(length + 1, length, -1), tf.float32)
    masks = tf.gather(full_up_to, end) - tf.gather(full_up_to, start)
    return tf.transpose(masks, [0, 1, 3, 2]) if by_columns else masks


def _square_runs(pose: Pose, part: Part, skeleton: Skeleton, size: tuple[int, int], by_columns: bool) -> tf.Tensor:
    """The half-open square [c − r, c + r) around the found joints of `part`: runs in the lines, (B, lines, 2).

    size: number and length of the lines, which are rows or columns.
    """
    lines, length = size
    rows = skeleton.indices(part.joints)
    weights = tf.cast(tf.gather(pose.found, rows, axis=1), pose.xy.dtype)
    count = tf.reduce_sum(weights, axis=1)
    total = tf.reduce_sum(tf.gather(pose.xy, rows, axis=1) * weights[..., None], axis=1)
    present = (count > 0) & pose.sized
    centre = tf.cast(tf.math.divide_no_nan(total, count[:, None]), tf.int32)
    along, across = (centre[:, 1:], centre[:, :1]) if by_columns else (centre[:, :1], centre[:, 1:])
    radius = tf.cast(tf.where(present, part.size * pose.scale, 0.0), tf.int32)[:, None]  # 0: empty
    ends = tf.concat([along - radius, along + radius], axis=-1)
    run = tf.clip_by_value(ends, 0, length)[:, None]  # (B, 1, 2)
    line = tf.range(lines)
    inside = (line >= across - radius) & (line < across + radius)  # (B, lines)
    return tf.where(inside[..., None], run, 0)
