"""From keypoints to heat maps, part masks and part transforms (paper, Section 3.1), in the graph.

Everything is batched TensorFlow, runs inside `tf.function` and inside a saved model, and takes
keypoints of any numeric dtype, `(batch, joints, 2)`, (y, x) in pixels; a joint is missing where
either coordinate is −1. Other coordinates may lie outside of the image. Positions, least squares and polygon
edges are computed in float64; `dtype` float32 is for exporters that lack float64.

`compat` says whom a function follows where the paper and the authors' release differ: `paper` (the default) or
`release`, which the release's checkpoints need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pose_gan import fitting, polygons
from pose_gan.config import COMPATS
from pose_gan.keypoints import MISSING
from pose_gan.skeleton import COCO18, Part, Skeleton


class _Pose(NamedTuple):
    """A batch of poses. xy: (B, J, 2) in (x, y). found: bool (B, J). scale: (B,), known where sized: bool (B,).

    Numbers are of the dtype that the caller asked for. None is NaN: exporters' comparisons differ there.
    """

    xy: tf.Tensor
    found: tf.Tensor
    scale: tf.Tensor
    sized: tf.Tensor


def heatmaps(
    keypoints: Any,
    image_size: tuple[int, int],
    sigma: float = 6.0,
    skeleton: Skeleton = COCO18,
    compat: str = "paper",
    dtype: tf.DType = tf.float64,
) -> tf.Tensor:
    """One Gaussian a joint: `exp(-‖p − p_j‖² / (2σ²))`, all zeros for a missing joint.

    A Gaussian in two dimensions is the outer product of two in one, which is how it is computed.

    Args:
        keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        image_size: (height, width) in pixels.
        sigma: standard deviation, pixels.
        skeleton: gives the number of joints.
        compat: `release` floors the exponent, as Python 2's integer division did.
        dtype: of the positions.
    Returns: float32 `(B, height, width, J)` in [0, 1].
    Source: paper, Eq. 1.
    Deviation: Eq. 1 is printed without the square and the 2; the release computes with both, ours too.
    """
    pose = _pose(keypoints, skeleton, dtype)
    xy = tf.cast(pose.xy, tf.float32)
    joints, (height, width) = skeleton.num_joints, image_size
    if _is_release(compat):
        return _stepped_heatmaps(xy, pose.found, image_size, sigma)

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


def _stepped_heatmaps(xy: tf.Tensor, found: tf.Tensor, image_size: tuple[int, int], sigma: float) -> tf.Tensor:
    """`exp(floor(-‖p − p_j‖² / (2σ²)))`: a staircase of powers of e, up to 0.62 from the Gaussian."""
    rows, columns = (tf.range(size, dtype=tf.float32) for size in image_size)
    squares = tf.square(rows[:, None, None] - xy[:, None, None, :, 1])
    squares += tf.square(columns[:, None] - xy[:, None, None, :, 0])
    return tf.exp(tf.floor(-squares / (2.0 * sigma**2))) * tf.cast(found, tf.float32)[:, None, None, :]


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
    pose = _pose(keypoints, skeleton, dtype)
    # Every mask is one run of pixels a row. The release's rounding on outlines is that of runs in columns, which is
    # slower; and off the outlines it is all one.
    by_columns = _is_release(compat)
    lines, length = image_size[::-1] if by_columns else image_size
    limbs = [part for part in skeleton.parts if part.kind == "limb"]
    limb_runs: list[tf.Tensor] = []
    if limbs:
        corners, present = _limb_corners(pose, limbs, skeleton, [part.mask_far for part in limbs])
        corners = corners[..., ::-1] if by_columns else corners
        limb_runs = tf.unstack(polygons.convex_runs(corners, (lines, length), present, _where(compat)), axis=1)
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


def part_transforms(
    source_keypoints: Any,
    target_keypoints: Any,
    skeleton: Skeleton = COCO18,
    compat: str = "paper",
    dtype: tf.DType = tf.float64,
) -> tf.Tensor:
    """The affine transform of each body part, from the target pose to the source pose.

    It is the inverse of the motion: for each place of the target it says where to look in the
    source. A limb that is missing in the source only is taken from its mirror limb (Appendix B).
    A part that cannot be had, or whose transform is singular, is translated by 1000 px in x and y.

    Args:
        source_keypoints, target_keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        skeleton: its parts, in order.
        compat: `paper` fits by least squares, `release` by total least squares. They are equal for limbs, and
            usually within 1–3 px for torso and head.
        dtype: of the computation.
    Returns: float32 `(B, parts, 8)`: `[a0 a1 a2 b0 b1 b2 0 0]` with `x' = a0·x + a1·y + a2`,
        `y' = b0·x + b1·y + b2` in (x, y) pixels, as in TensorFlow's projective transforms.
    Source: paper, Eq. 2 and Appendix B.
    Deviation: none from the paper; the release fits as `compat="release"` does.
    """
    fit = _fit(compat)
    source, target = _pose(source_keypoints, skeleton, dtype), _pose(target_keypoints, skeleton, dtype)
    limbs = [part for part in skeleton.parts if part.kind == "limb"]
    limb_fits: list[tf.Tensor] = []
    if limbs:
        far = [part.transform_far for part in limbs]
        target_corners, in_target = _limb_corners(target, limbs, skeleton, far)
        source_corners, in_source = _limb_corners(source, limbs, skeleton, far, or_mirror=True)
        weights = tf.tile(tf.cast(in_target & in_source, dtype)[..., None], [1, 1, 4])
        limb_fits = tf.unstack(fit(target_corners, source_corners, weights), axis=1)
    fits = []
    for part in skeleton.parts:
        if part.kind == "limb":
            fits.append(limb_fits.pop(0))
            continue
        rows = skeleton.indices(part.joints + part.anchors)
        weights = _found_in_both(source, target, rows)
        if part.kind == "square":  # anchors alone do not place it
            own = tf.reduce_any(weights[:, : len(part.joints)] > 0, axis=1, keepdims=True)
            weights *= tf.cast(own, dtype)
        fits.append(fit(tf.gather(target.xy, rows, axis=1), tf.gather(source.xy, rows, axis=1), weights))
    return tf.cast(tf.stack(fits, axis=1), tf.float32)


def uniform_transform(
    source_keypoints: Any,
    target_keypoints: Any,
    skeleton: Skeleton = COCO18,
    compat: str = "paper",
    dtype: tf.DType = tf.float64,
) -> tf.Tensor:
    """One affine transform for the whole body (`--warp_skip full`), from target to source.

    Fitted on the skeleton's required joints and, where found in both poses, its `uniform_optional`
    joints (for people: hips, shoulders and knees).

    Args and Returns: as `part_transforms`, with one part: float32 `(B, 1, 8)`.
    """
    source, target = _pose(source_keypoints, skeleton, dtype), _pose(target_keypoints, skeleton, dtype)
    rows = skeleton.indices(skeleton.required + skeleton.uniform_optional)
    weights = _found_in_both(source, target, rows)
    fit = _fit(compat)(tf.gather(target.xy, rows, axis=1), tf.gather(source.xy, rows, axis=1), weights)
    return tf.cast(fit[:, None, :], tf.float32)


def stickman(
    keypoints: Any,
    image_size: tuple[int, int],
    skeleton: Skeleton = COCO18,
    compat: str = "paper",
    dtype: tf.DType = tf.float64,
) -> tf.Tensor:
    """A drawing of the pose in three channels, in place of heat maps (`--pose_rep_type stickman`).

    For people: right limbs in channel 0, left limbs in 1, the filled torso in 2; at 0.5 the neck in 0 and 1, the right
    eye in 0 and the left eye in 1. Lines are `int(3·width/128)` px wide to either side.

    Args:
        keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        image_size: (height, width) in pixels.
        skeleton: its strokes are painted, in order; a stroke with a missing joint is left out.
        compat: `paper` draws lines with round ends, and the brighter of two strokes wins; `release` draws them as
            rectangles, and the later stroke wins.
        dtype: of the computation.
    Returns: float32 `(B, height, width, 3)` in [0, 1].
    Source: the authors' release; the paper has no such drawing.
    """
    pose = _pose(keypoints, skeleton, dtype)
    half_width = float(int(3 * image_size[1] / 128))
    drawing = tf.zeros([tf.shape(pose.xy)[0], *image_size, 3], tf.float32)
    for stroke in skeleton.strokes:
        rows = [skeleton.indices(point) for point in stroke.points]
        points = tf.stack([tf.reduce_mean(tf.gather(pose.xy, row, axis=1), axis=1) for row in rows], axis=1)
        needed = [joint for row in rows for joint in row] + skeleton.indices(stroke.requires)
        present = tf.reduce_all(tf.gather(pose.found, needed, axis=1), axis=1)
        if stroke.kind == "fill":
            shape = polygons.fill(points, image_size, _where(compat))
        elif _is_release(compat):
            corners = polygons.beside_segment(points[:, 0], points[:, 1], half_width)
            shape = polygons.fill(corners, image_size, _where(compat))
        else:
            shape = polygons.near_segment(points[:, 0], points[:, 1], half_width, image_size)
        colour = tf.constant(stroke.colour, tf.float32)
        inked = (shape & present[:, None, None])[..., None] & (colour > 0)
        painted = colour if _is_release(compat) else tf.maximum(drawing, colour)
        drawing = tf.where(inked, painted, drawing)
    return drawing


def _is_release(compat: str) -> bool:
    if compat not in COMPATS:
        raise ValueError(f"compat {compat!r} is not known; allowed: {', '.join(COMPATS)}")
    return compat == "release"


def _where(compat: str) -> polygons.Offset:
    return polygons.AS_THEY_LIE if _is_release(compat) else polygons.BESIDE


def _fit(compat: str) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    return fitting.total_least_squares if _is_release(compat) else fitting.least_squares


def _pose(keypoints: Any, skeleton: Skeleton, dtype: tf.DType) -> _Pose:
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
        return _Pose(xy, found, tf.zeros_like(xy[:, 0, 0]), tf.zeros_like(found[:, 0]))
    starts = skeleton.indices(tuple(a for a, _ in skeleton.scale_sides))
    ends = skeleton.indices(tuple(b for _, b in skeleton.scale_sides))
    squares = tf.reduce_sum(tf.square(tf.gather(xy, starts, axis=1) - tf.gather(xy, ends, axis=1)), axis=-1)
    both = tf.cast(tf.gather(found, starts, axis=1) & tf.gather(found, ends, axis=1), dtype)
    count = tf.reduce_sum(both, axis=1)
    scale = tf.sqrt(tf.math.divide_no_nan(tf.reduce_sum(squares * both, axis=1), count))
    return _Pose(xy, found, scale, count > 0)


def _found_in_both(source: _Pose, target: _Pose, rows: list[int]) -> tf.Tensor:
    """1.0 for each of the joints `rows` that both poses have: (B, len(rows))."""
    return tf.cast(tf.gather(source.found & target.found, rows, axis=1), source.xy.dtype)


def _square_runs(pose: _Pose, part: Part, skeleton: Skeleton, size: tuple[int, int], by_columns: bool) -> tf.Tensor:
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


def _limb_corners(
    pose: _Pose, limbs: list[Part], skeleton: Skeleton, far: list[float], or_mirror: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """Rectangles around limbs: corners (B, L, 4, 2) in (x, y), and which exist: bool (B, L).

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
    a += (a - b) * _column([limb.near for limb in limbs], a.dtype)
    b += (b - a) * _column(far, a.dtype)
    along = a - b
    length = tf.norm(along, axis=-1, keepdims=True)
    normal = tf.math.divide_no_nan(tf.stack([-along[..., 1], along[..., 0]], axis=-1), length)
    side = normal * (pose.scale[:, None, None] * _column([limb.size for limb in limbs], a.dtype))
    side = tf.where(length > 0, side, 1.0)  # of a point, a diagonal: as in the release
    corners = tf.stack([a + side, a - side, b - side, b + side], axis=2)
    return corners, found & pose.sized[:, None]


def _column(values: list[float], dtype: tf.DType) -> tf.Tensor:
    return tf.constant(values, dtype)[None, :, None]
