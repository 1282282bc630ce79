"""A batch of poses as tensors, and the rectangles around limbs, which masks and transforms share."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from pose_gan.config import COMPATS
from pose_gan.geometry import polygons
from pose_gan.poses.keypoints import MISSING
from pose_gan.poses.skeleton import Part, Skeleton


class Pose(NamedTuple):
    """A batch of poses. xy: (B, J, 2) in (x, y). found: bool (B, J). scale: (B,), known where sized: bool (B,).

    Numbers have the dtype that the caller asked for. No number is NaN, because exporters compare NaN differently.
    """

    xy: tf.Tensor
    found: tf.Tensor
    scale: tf.Tensor
    sized: tf.Tensor


def read_pose(keypoints: Any, skeleton: Skeleton, dtype: tf.DType) -> Pose:
    keypoints = tf.convert_to_tensor(keypoints)
    if keypoints.shape.rank != 3 or keypoints.shape[1:] != (skeleton.num_joints, 2):
        raise ValueError(
            f"keypoints must have the shape (batch, {skeleton.num_joints}, 2) for skeleton "
            f"{skeleton.name!r}, got {tuple(keypoints.shape)}"
        )
    keypoints = tf.cast(keypoints, dtype)
    xy = keypoints[..., ::-1]
    found = tf.reduce_all(keypoints != MISSING, axis=-1)
    if not skeleton.scale_sides:
        return Pose(xy, found, tf.zeros_like(xy[:, 0, 0]), tf.zeros_like(found[:, 0]))
    starts = skeleton.indices(tuple(a for a, _ in skeleton.scale_sides))
    ends = skeleton.indices(tuple(b for _, b in skeleton.scale_sides))
    squares = tf.reduce_sum(tf.square(tf.gather(xy, starts, axis=1) - tf.gather(xy, ends, axis=1)), axis=-1)
    both = tf.cast(tf.gather(found, starts, axis=1) & tf.gather(found, ends, axis=1), dtype)
    count = tf.reduce_sum(both, axis=1)
    scale = tf.sqrt(tf.math.divide_no_nan(tf.reduce_sum(squares * both, axis=1), count))
    return Pose(xy, found, scale, count > 0)


def found_in_both(source: Pose, target: Pose, rows: list[int]) -> tf.Tensor:
    """1.0 for each of the joints `rows` that both poses have, else 0.0: (B, len(rows))."""
    return tf.cast(tf.gather(source.found & target.found, rows, axis=1), source.xy.dtype)


def is_release(compat: str) -> bool:
    if compat not in COMPATS:
        raise ValueError(f"compat {compat!r} is not known; allowed: {', '.join(COMPATS)}")
    return compat == "release"


def _column(values: list[float], dtype: tf.DType) -> tf.Tensor:
    return tf.constant(values, dtype)[None, :, None]


def limb_corners(
    pose: Pose, limbs: list[Part], skeleton: Skeleton, far: list[float], or_mirror: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """Rectangles around limbs: corners (B, L, 4, 2) in (x, y), and whether each exists: bool (B, L).

    A rectangle goes from `joints[0]` to `joints[1]`. It is first extended at the near end, then at the far end,
    there in lengths of the extended limb. With `or_mirror`, a missing limb is replaced by its mirror limb.
    """

    def ends(names: list[tuple[str, ...]]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        first, second = (skeleton.indices(tuple(pair[i] for pair in names)) for i in (0, 1))
        found = tf.gather(pose.found, first, axis=1) & tf.gather(pose.found, second, axis=1)
        return tf.gather(pose.xy, first, axis=1), tf.gather(pose.xy, second, axis=1), found

    a, b, found = ends([limb.joints for limb in limbs])
    if or_mirror:
        twin_a, twin_b, twin_found = ends([tuple(map(skeleton.mirror, limb.joints)) for limb in limbs])
        a = tf.where(found[..., None], a, twin_a)
        b = tf.where(found[..., None], b, twin_b)
        found |= twin_found
    a += (a - b) * _column([limb.near for limb in limbs], a.dtype)
    b += (b - a) * _column(far, a.dtype)
    along = a - b
    length = tf.norm(along, axis=-1, keepdims=True)
    normal = tf.math.divide_no_nan(tf.stack([-along[..., 1], along[..., 0]], axis=-1), length)
    side = normal * (pose.scale[:, None, None] * _column([limb.size for limb in limbs], a.dtype))
    side = tf.where(length > 0, side, 1.0)  # a limb of length 0 gets a diagonal, as in the release
    corners = tf.stack([a + side, a - side, b - side, b + side], axis=2)
    return corners, found & pose.sized[:, None]


def look_at(compat: str) -> polygons.Offset:
    return polygons.AS_THEY_LIE if is_release(compat) else polygons.BESIDE
