"""The mask of each body part in a pose (paper, Section 3.1)."""

from __future__ import annotations

import itertools
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
    """The mask of each body part in a pose, usually the target pose.

    A limb with a missing joint has an empty mask. A `square` part (the head) lies around those of its joints
    that were found, and is empty if there are none. A `whole` part (the torso, which also carries the
    background) always covers the whole image.

    Args:
        keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        image_size: (height, width) in pixels.
        skeleton: gives the parts and their order.
        compat: with `paper`, a fixed rule decides whether a pixel centre that lies on the outline of a limb counts as
            inside; with `release`, rounding decides, as in the authors' code.
        dtype: the dtype of the computation.
    Returns: float32 `(B, parts, height, width)`, 0 or 1.
    Source: paper, Section 3.1; sizes as in the authors' code.
    Deviation: in the paper, M_h lies in the source pose (Eq. 3) and is empty if any joint of the part is missing; the
        head is the rectangle that encloses its joints; and a limb reaches from joint to joint, with a third of the
        torso's mean diagonal as its width. Here, as in the release, the masks of the target pose are used; the head is
        a square around the mean of its joints, with 0.8 times the length of the torso's sides as its side; and limbs
        are longer by 10 % at the near end and by 10 or 50 % at the far end, and 0.4 times as wide as the torso's sides
        are long.
    """
    pose = read_pose(keypoints, skeleton, dtype)
    # Every mask consists of one run of pixels per row. On outlines, the release rounds as runs in columns do, and these
    # are slower. Away from the outlines, rows and columns give the same masks.
    by_columns = is_release(compat)
    lines, length = image_size[::-1] if by_columns else image_size
    runs: list[polygons.Runs] = []
    for kind, group in itertools.groupby(skeleton.parts, lambda part: part.kind):
        parts = list(group)
        if kind == "limb":
            corners, present = limb_corners(pose, parts, skeleton, [part.mask_far for part in parts])
            corners = corners[..., ::-1] if by_columns else corners
            runs.append(polygons.convex_runs(corners, lines, present, look_at(compat)))
        elif kind == "square":
            runs += [_square_runs(pose, part, skeleton, lines, by_columns) for part in parts]
        else:
            whole = tf.zeros([tf.shape(pose.xy)[0], len(parts), lines], pose.xy.dtype)
            runs.append((whole, whole + length))
    starts, ends = zip(*runs, strict=True)
    limits = tf.cast(tf.clip_by_value(tf.concat([*starts, *ends], axis=1), 0.0, float(length)), tf.int32)
    start, end = limits[:, : skeleton.num_parts], limits[:, skeleton.num_parts :]  # (B, P, lines)
    if by_columns:
        row = tf.range(length)[:, None]
        return _as_numbers((row >= start[:, :, None]) & (row < end[:, :, None]))
    # A mask is where two lines of tables agree: the one that is full up to the end, and the one that is full from the
    # start. Copies of lines are faster than comparisons of pixels, and truth values faster than numbers.
    up_to = np.tri(length + 1, length, -1, bool)
    return _as_numbers(tf.gather(tf.constant(up_to), end) & tf.gather(tf.constant(~up_to), start))


def _as_numbers(values: tf.Tensor) -> tf.Tensor:
    """1.0 and 0.0. A cast would be moved behind a later transpose, and oneDNN complains of transposed truth values."""
    return tf.where(values, 1.0, 0.0)


def _square_runs(pose: Pose, part: Part, skeleton: Skeleton, lines: int, by_columns: bool) -> polygons.Runs:
    """The half-open square [c − r, c + r) around the found joints of `part`, as one run per line: (B, 1, lines).

    lines: the number of lines, which are rows or columns.
    """
    rows = skeleton.indices(part.joints)
    weights = tf.cast(tf.gather(pose.found, rows, axis=1), pose.xy.dtype)
    count = tf.reduce_sum(weights, axis=1)
    total = tf.reduce_sum(tf.gather(pose.xy, rows, axis=1) * weights[..., None], axis=1)
    present = (count > 0) & pose.sized
    centre = tf.cast(tf.math.divide_no_nan(total, count[:, None]), tf.int32)
    along, across = (centre[:, 1:], centre[:, :1]) if by_columns else (centre[:, :1], centre[:, 1:])
    radius = tf.cast(tf.where(present, part.size * pose.scale, 0.0), tf.int32)[:, None]  # 0: empty
    line = tf.range(lines)
    inside = (line >= across - radius) & (line < across + radius)  # (B, lines)
    reach = tf.where(inside, radius, 0)
    start, end = (tf.cast(run[:, None], pose.xy.dtype) for run in (along - reach, along + reach))
    return start, end
