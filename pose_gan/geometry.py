"""From keypoints to heat maps, part masks and part transforms (paper, Section 3.1), in the graph.

Everything is batched TensorFlow, runs inside `tf.function` and inside a saved model, and takes
keypoints of any numeric dtype, `(batch, joints, 2)`, (y, x) in pixels; a joint is missing where
either coordinate is −1. Other coordinates may lie outside of the image. Positions, least squares and polygon
edges are computed in float64, so that masks are exact at their borders.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pose_gan.keypoints import MISSING
from pose_gan.skeleton import COCO18, Part, Skeleton

FAR_AWAY = 1000.0
"""Translation in pixels of a missing part: it samples outside of every image."""

_SINGULAR = 1e-9  # relative to a squared norm: collinear points give rounding errors near 1e-16


class _Pose(NamedTuple):
    """A batch of poses. xy: float64 (B, J, 2) in (x, y). found: bool (B, J). scale: float64 (B,), NaN if unknown."""

    xy: tf.Tensor
    found: tf.Tensor
    scale: tf.Tensor


def heatmaps(keypoints: Any, image_size: tuple[int, int], sigma: float = 6.0, skeleton: Skeleton = COCO18) -> tf.Tensor:
    """One Gaussian a joint: `exp(-‖p − p_j‖² / (2σ²))`, all zeros for a missing joint.

    A Gaussian in two dimensions is the outer product of two in one, which is how it is computed.

    Args:
        keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        image_size: (height, width) in pixels.
        sigma: standard deviation, pixels.
        skeleton: gives the number of joints.
    Returns: float32 `(B, height, width, J)` in [0, 1].
    Source: paper, Eq. 1.
    Deviation: Eq. 1 is printed without the square and the 2; the release computes with both, and
        floors the exponent (Python 2 integer division). Ours is the smooth Gaussian.
    """
    pose = _pose(keypoints, skeleton)
    xy = tf.cast(pose.xy, tf.float32)
    joints, (height, width) = skeleton.num_joints, image_size

    def gaussian(size: int, centre: tf.Tensor) -> tf.Tensor:
        offset = tf.range(size, dtype=tf.float32)[:, None] - centre[:, None, :]
        return tf.exp(-tf.square(offset) / (2.0 * sigma**2))

    rows = gaussian(height, xy[..., 1]) * tf.cast(pose.found, tf.float32)[:, None, :]  # (B, H, J)
    columns = gaussian(width, xy[..., 0])  # (B, W, J)
    # rows[b, y, j] · columns[b, x, j] as one product with a block-diagonal matrix: 18 times the
    # multiplications, and still several times faster than broadcasting along so short an axis
    diagonal = columns[:, None] * tf.eye(joints)[:, None, :]  # (B, J, W, J)
    maps = tf.matmul(rows, tf.reshape(diagonal, [-1, joints, width * joints]))
    return tf.reshape(maps, [-1, height, width, joints])


def part_masks(keypoints: Any, image_size: tuple[int, int], skeleton: Skeleton = COCO18) -> tf.Tensor:
    """Where each body part lies in a pose, usually the target pose.

    A part with a missing joint has an empty mask, but a `whole` part (the torso, which also carries
    the background) covers the image always.

    Args:
        keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        image_size: (height, width) in pixels.
        skeleton: its parts, in order.
    Returns: float32 `(B, parts, height, width)`, 0 or 1.
    Source: paper, Section 3.1; sizes as in the authors' code.
    Deviation: the paper's limbs are a third of the torso's diagonal wide, the release's 0.4 of its
        mean side, ours too.
    """
    pose = _pose(keypoints, skeleton)
    height, width = image_size
    limbs = [part for part in skeleton.parts if part.kind == "limb"]
    limb_runs: list[tf.Tensor] = []
    if limbs:
        corners, present = _limb_corners(pose, limbs, skeleton, [part.mask_far for part in limbs])
        limb_runs = tf.unstack(_convex_runs(corners, image_size, present), axis=1)
    runs = []
    for part in skeleton.parts:
        if part.kind == "whole":
            runs.append(tf.tile([[[0, width]]], [tf.shape(pose.xy)[0], height, 1]))
        elif part.kind == "square":
            runs.append(_square_runs(pose, part, skeleton, image_size))
        else:
            runs.append(limb_runs.pop(0))
    # every mask is one run of pixels a row: look up the rows that are full up to its end and its start
    start, end = tf.unstack(tf.stack(runs, axis=1), axis=-1)  # (B, P, H)
    full_up_to = tf.constant(np.tri(width + 1, width, -1), tf.float32)
    return tf.gather(full_up_to, end) - tf.gather(full_up_to, start)


def part_transforms(source_keypoints: Any, target_keypoints: Any, skeleton: Skeleton = COCO18) -> tf.Tensor:
    """The affine transform of each body part, from the target pose to the source pose.

    It is the inverse of the motion: for each place of the target it says where to look in the
    source. A limb that is missing in the source only is taken from its mirror limb (Appendix B).
    A part that cannot be had, or whose transform is singular, is translated by 1000 px in x and y.

    Args:
        source_keypoints, target_keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        skeleton: its parts, in order.
    Returns: float32 `(B, parts, 8)`: `[a0 a1 a2 b0 b1 b2 0 0]` with `x' = a0·x + a1·y + a2`,
        `y' = b0·x + b1·y + b2` in (x, y) pixels, as in TensorFlow's projective transforms.
    Source: paper, Eq. 2 and Appendix B.
    Deviation: the release fits by normalised total least squares, which is equal for limbs and
        usually within 1–3 px for torso and head; ours is Eq. 2's ordinary least squares.
    """
    source, target = _pose(source_keypoints, skeleton), _pose(target_keypoints, skeleton)
    limbs = [part for part in skeleton.parts if part.kind == "limb"]
    limb_fits: list[tf.Tensor] = []
    if limbs:
        far = [part.transform_far for part in limbs]
        target_corners, in_target = _limb_corners(target, limbs, skeleton, far)
        source_corners, in_source = _limb_corners(source, limbs, skeleton, far, or_mirror=True)
        weights = tf.repeat(tf.cast(in_target & in_source, tf.float64)[..., None], 4, axis=-1)
        limb_fits = tf.unstack(_fit_affine(target_corners, source_corners, weights), axis=1)
    fits = []
    for part in skeleton.parts:
        if part.kind == "limb":
            fits.append(limb_fits.pop(0))
            continue
        rows = skeleton.indices(part.joints + part.anchors)
        weights = _found_in_both(source, target, rows)
        if part.kind == "square":  # anchors alone do not place it
            own = tf.reduce_any(weights[:, : len(part.joints)] > 0, axis=1, keepdims=True)
            weights *= tf.cast(own, tf.float64)
        fits.append(_fit_affine(tf.gather(target.xy, rows, axis=1), tf.gather(source.xy, rows, axis=1), weights))
    return tf.cast(tf.stack(fits, axis=1), tf.float32)


def uniform_transform(source_keypoints: Any, target_keypoints: Any, skeleton: Skeleton = COCO18) -> tf.Tensor:
    """One affine transform for the whole body (`--warp_skip full`), from target to source.

    Fitted on the skeleton's required joints and, where found in both poses, its `uniform_optional`
    joints (for people: hips, shoulders and knees).

    Args and Returns: as `part_transforms`, with one part: float32 `(B, 1, 8)`.
    """
    source, target = _pose(source_keypoints, skeleton), _pose(target_keypoints, skeleton)
    rows = skeleton.indices(skeleton.required + skeleton.uniform_optional)
    weights = _found_in_both(source, target, rows)
    fit = _fit_affine(tf.gather(target.xy, rows, axis=1), tf.gather(source.xy, rows, axis=1), weights)
    return tf.cast(fit[:, None, :], tf.float32)


def stickman(keypoints: Any, image_size: tuple[int, int], skeleton: Skeleton = COCO18) -> tf.Tensor:
    """A drawing of the pose in three channels, in place of heat maps (`--pose_rep_type stickman`).

    For people: right limbs in channel 0, left limbs in 1, the filled torso in 2, neck and eyes at
    0.5 in 0 and 1. Lines are `int(3·width/128)` px wide to either side.

    Args:
        keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        image_size: (height, width) in pixels.
        skeleton: its strokes are painted, the brighter wins; a stroke with a missing joint is left out.
    Returns: float32 `(B, height, width, 3)` in [0, 1].
    """
    pose = _pose(keypoints, skeleton)
    half_width = float(int(3 * image_size[1] / 128))
    drawing = tf.zeros([tf.shape(pose.xy)[0], *image_size, 3], tf.float32)
    for stroke in skeleton.strokes:
        rows = [skeleton.indices(point) for point in stroke.points]
        points = tf.stack([tf.reduce_mean(tf.gather(pose.xy, row, axis=1), axis=1) for row in rows], axis=1)
        present = tf.reduce_all(tf.gather(pose.found, [joint for row in rows for joint in row], axis=1), axis=1)
        if stroke.kind == "fill":
            shape = _fill_polygon(points, image_size)
        else:
            shape = _near_segment(points[:, 0], points[:, 1], half_width, image_size)
        inked = tf.cast(shape & present[:, None, None], tf.float32)
        drawing = tf.maximum(drawing, inked[..., None] * tf.constant(stroke.colour, tf.float32))
    return drawing


def _pose(keypoints: Any, skeleton: Skeleton) -> _Pose:
    keypoints = tf.convert_to_tensor(keypoints)
    if keypoints.shape.rank != 3 or keypoints.shape[1:] != (skeleton.num_joints, 2):
        raise ValueError(
            f"keypoints must have the shape (batch, {skeleton.num_joints}, 2) for skeleton "
            f"{skeleton.name!r}, got {tuple(keypoints.shape)}"
        )
    keypoints = tf.cast(keypoints, tf.float64)
    xy = keypoints[..., ::-1]
    found = tf.reduce_all(keypoints != MISSING, axis=-1)
    if not skeleton.scale_sides:
        return _Pose(xy, found, tf.fill(tf.shape(xy)[:1], tf.constant(float("nan"), tf.float64)))
    starts = skeleton.indices(tuple(a for a, _ in skeleton.scale_sides))
    ends = skeleton.indices(tuple(b for _, b in skeleton.scale_sides))
    squares = tf.reduce_sum(tf.square(tf.gather(xy, starts, axis=1) - tf.gather(xy, ends, axis=1)), axis=-1)
    both = tf.cast(tf.gather(found, starts, axis=1) & tf.gather(found, ends, axis=1), tf.float64)
    scale = tf.sqrt(tf.reduce_sum(squares * both, axis=1) / tf.reduce_sum(both, axis=1))  # 0/0 -> NaN
    return _Pose(xy, found, scale)


def _found_in_both(source: _Pose, target: _Pose, rows: list[int]) -> tf.Tensor:
    """1.0 for each of the joints `rows` that both poses have: float64 (B, len(rows))."""
    return tf.cast(tf.gather(source.found & target.found, rows, axis=1), tf.float64)


def _square_runs(pose: _Pose, part: Part, skeleton: Skeleton, image_size: tuple[int, int]) -> tf.Tensor:
    """The half-open square [c − r, c + r) around the found joints of `part`, as `_convex_runs`: (B, H, 2)."""
    height, width = image_size
    rows = skeleton.indices(part.joints)
    weights = tf.cast(tf.gather(pose.found, rows, axis=1), tf.float64)
    count = tf.reduce_sum(weights, axis=1)
    total = tf.reduce_sum(tf.gather(pose.xy, rows, axis=1) * weights[..., None], axis=1)
    present = (count > 0) & tf.math.is_finite(pose.scale)
    centre = tf.cast(tf.math.divide_no_nan(total, count[:, None]), tf.int32)
    radius = tf.cast(tf.where(present, part.size * pose.scale, 0.0), tf.int32)[:, None]  # 0: empty
    low, high = tf.clip_by_value(centre - radius, 0, width), tf.clip_by_value(centre + radius, 0, width)
    run = tf.stack([low[:, 0], high[:, 0]], axis=-1)[:, None]  # (B, 1, 2)
    row = tf.range(height)
    inside = (row >= centre[:, 1:] - radius) & (row < centre[:, 1:] + radius)  # (B, H)
    return tf.where(inside[..., None], run, 0)


def _limb_corners(
    pose: _Pose, limbs: list[Part], skeleton: Skeleton, far: list[float], or_mirror: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """Rectangles around limbs: float64 corners (B, L, 4, 2) in (x, y), and which exist: bool (B, L).

    Each goes from `joints[0]` to `joints[1]`, extended at the near end, then at the far end in
    lengths of the extended limb. With `or_mirror`, a missing limb is replaced by its mirror limb.
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
    a += (a - b) * _column([limb.near for limb in limbs])
    b += (b - a) * _column(far)
    along = a - b
    length = tf.norm(along, axis=-1, keepdims=True)
    normal = tf.math.divide_no_nan(tf.stack([-along[..., 1], along[..., 0]], axis=-1), length)
    side = normal * pose.scale[:, None, None] * _column([limb.size for limb in limbs])
    corners = tf.stack([a + side, a - side, b - side, b + side], axis=2)
    return corners, found & tf.math.is_finite(pose.scale)[:, None]


def _column(values: list[float]) -> tf.Tensor:
    return tf.constant(values, tf.float64)[None, :, None]


def _fit_affine(target: tf.Tensor, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Least-squares affine map from `target` to `source` points (Eq. 2), FAR_AWAY where there is none.

    Args: float64 points `(..., N, 2)` in (x, y) and weights `(..., N)`, 0 or 1.
    Returns: float64 `(..., 8)`.
    """
    weights = tf.where(tf.reduce_sum(weights, axis=-1, keepdims=True) >= 3, weights, 0.0)[..., None]
    total = tf.reduce_sum(weights, axis=-2, keepdims=True)
    mean_target = tf.math.divide_no_nan(tf.reduce_sum(_masked(target, weights), axis=-2, keepdims=True), total)
    mean_source = tf.math.divide_no_nan(tf.reduce_sum(_masked(source, weights), axis=-2, keepdims=True), total)
    t, s = _masked(target - mean_target, weights), _masked(source - mean_source, weights)
    # A = (Σ s tᵀ)(Σ t tᵀ)⁻¹ with the inverse of a 2×2 matrix written out
    s_t, t_t = tf.matmul(s, t, transpose_a=True), tf.matmul(t, t, transpose_a=True)
    determinant, size = _determinant(t_t), tf.linalg.trace(t_t)
    adjugate = tf.linalg.trace(t_t)[..., None, None] * tf.eye(2, dtype=tf.float64) - t_t
    solvable = determinant > _SINGULAR * tf.square(size)
    matrix = tf.matmul(s_t, adjugate) / tf.where(solvable, determinant, 1.0)[..., None, None]
    norm = tf.reduce_sum(tf.square(matrix), axis=[-2, -1])
    solvable &= tf.abs(_determinant(matrix)) > _SINGULAR * norm
    shift = mean_source[..., 0, :] - tf.linalg.matvec(matrix, mean_target[..., 0, :])
    zeros = tf.zeros_like(shift)
    fit = tf.concat([matrix[..., 0, :], shift[..., :1], matrix[..., 1, :], shift[..., 1:], zeros], axis=-1)
    absent = tf.constant([1, 0, FAR_AWAY, 0, 1, FAR_AWAY, 0, 0], tf.float64)
    return tf.where(solvable[..., None], fit, absent)


def _masked(points: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """`points · weights`, with 0 also where a point of weight 0 is NaN."""
    return tf.where(weights > 0, points, 0.0)


def _determinant(matrix: tf.Tensor) -> tf.Tensor:
    return matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]


def _crossings(corners: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Where polygons' edges cross the rows of the image: int32 (B, P, V, H), 0 where they do not.

    A pixel (x, y) is inside of a polygon if an odd number of edges crosses the ray to its right: edges
    count for y in [y_i, y_j) and x < the crossing, so that polygons that share an edge share no pixel.
    As x is an integer, x < crossing is x < ceil(crossing), which is returned, clipped to the image.

    Args: corners: float64 (B, P, V, 2) in (x, y).
    """
    height, width = image_size
    x, y = tf.unstack(corners[..., None], axis=-2)  # (B, P, V, 1)
    next_x, next_y = tf.roll(x, -1, axis=2), tf.roll(y, -1, axis=2)
    row = tf.range(height, dtype=tf.float64)
    crosses = (y <= row) != (next_y <= row)
    slope = tf.math.divide_no_nan(next_x - x, next_y - y)
    limit = tf.clip_by_value(tf.math.ceil(slope * (row - y) + x), 0.0, float(width))
    return tf.cast(tf.where(crosses, limit, 0.0), tf.int32)


def _convex_runs(corners: tf.Tensor, image_size: tuple[int, int], present: tf.Tensor) -> tf.Tensor:
    """Convex polygons, which meet a row in one run [start, end): int32 (B, P, H, 2). See `_crossings`.

    The run lies between the two crossings; it is empty where there are none, or not `present` (B, P).
    """
    limits = tf.where(present[:, :, None, None], _crossings(corners, image_size), 0)
    end = tf.reduce_max(limits, axis=2)
    return tf.stack([tf.reduce_sum(limits, axis=2) - end, end], axis=-1)  # all other limits are 0


def _fill_polygon(corners: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """A filled polygon of any form: bool (B, H, W) for float64 corners (B, V, 2). See `_crossings`."""
    limits = tf.unstack(_crossings(corners[:, None], image_size)[:, 0, ..., None], axis=1)
    column = tf.range(image_size[1])
    return functools.reduce(tf.math.logical_xor, [column < limit for limit in limits])


def _near_segment(a: tf.Tensor, b: tf.Tensor, distance: float, image_size: tuple[int, int]) -> tf.Tensor:
    """Pixels at most `distance` from the segment a–b: bool (B, H, W) for float64 ends (B, 2) in (x, y)."""
    x = tf.range(image_size[1], dtype=tf.float64)[None, None, :]
    y = tf.range(image_size[0], dtype=tf.float64)[None, :, None]
    (ax, ay), (dx, dy) = tf.unstack(a[..., None, None], axis=1), tf.unstack((b - a)[..., None, None], axis=1)
    along = tf.math.divide_no_nan((x - ax) * dx + (y - ay) * dy, dx * dx + dy * dy)
    along = tf.clip_by_value(along, 0.0, 1.0)
    return tf.square(x - ax - along * dx) + tf.square(y - ay - along * dy) <= distance**2
