"""The affine transforms of body parts, from the target pose to the source pose (paper, Eq. 2 and Appendix B)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from pose_gan.geometry import fitting
from pose_gan.geometry.pose import found_in_both, is_release, limb_corners, read_pose
from pose_gan.poses.skeleton import COCO18, Skeleton


def part_transforms(
    source_keypoints: Any,
    target_keypoints: Any,
    skeleton: Skeleton = COCO18,
    compat: str = "paper",
    dtype: tf.DType = tf.float64,
    *,
    image_size: tuple[int, int] | None = None,
) -> tf.Tensor:
    """The affine transform of each body part, from the target pose to the source pose.

    It is the inverse of the motion: for each place of the target it gives the place of the source to
    sample. A limb that is missing only in the source is taken from its mirror limb (Appendix B). A part
    whose transform cannot be determined is translated to a place outside of the image.

    Args:
        source_keypoints, target_keypoints: `(B, J, 2)`, (y, x) in pixels, −1 where missing.
        skeleton: gives the parts and their order.
        compat: `paper` fits by least squares, `release` by total least squares. The results are equal for limbs, and
            usually differ by at most 1–3 px for torso and head. A singular transform (all source points on a line)
            counts as not determined with `paper`, and is returned as it is with `release`.
        dtype: the dtype of the computation.
        image_size: (height, width) in pixels. A part whose transform cannot be determined is translated in x and y by
            1000 px or by twice the longer side, whichever is more; None, or compat `release`: by 1000 px, which is too
            little for images above 1000 px.
    Returns: float32 `(B, parts, 8)`: `[a0 a1 a2 b0 b1 b2 0 0]` with `x' = a0·x + a1·y + a2`,
        `y' = b0·x + b1·y + b2` in (x, y) pixels, as in TensorFlow's projective transforms.
    Source: paper, Eq. 2 and Appendix B.
    Deviation: in the paper, Eq. 2 matches the four corners of a part's rectangle, for every part, and a part is left
        out if any of its joints is missing. Here, as in the release, this holds for limbs only. The torso and the head
        are fitted on their joints (the head on the shoulders too), as far as both poses have them: at least three
        points, of which at least one is the head's own. The release fits as `compat="release"` does.
    """
    fit = _fit(compat, image_size)
    source, target = read_pose(source_keypoints, skeleton, dtype), read_pose(target_keypoints, skeleton, dtype)
    limbs = [part for part in skeleton.parts if part.kind == "limb"]
    limb_fits: list[tf.Tensor] = []
    if limbs:
        far = [part.transform_far for part in limbs]
        target_corners, in_target = limb_corners(target, limbs, skeleton, far)
        source_corners, in_source = limb_corners(source, limbs, skeleton, far, or_mirror=True)
        weights = tf.tile(tf.cast(in_target & in_source, dtype)[..., None], [1, 1, 4])
        limb_fits = tf.unstack(fit(target_corners, source_corners, weights), axis=1)
    fits = []
    for part in skeleton.parts:
        if part.kind == "limb":
            fits.append(limb_fits.pop(0))
            continue
        rows = skeleton.indices(part.joints + part.anchors)
        weights = found_in_both(source, target, rows)
        if part.kind == "square":  # anchors alone do not determine its place
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
    *,
    image_size: tuple[int, int] | None = None,
) -> tf.Tensor:
    """One affine transform for the whole body (`--warp_skip full`), from target to source.

    It is fitted on the skeleton's required joints and, where they were found in both poses, on its
    `uniform_optional` joints (for people: hips, shoulders and knees).

    Args and Returns: as `part_transforms`, with one part: float32 `(B, 1, 8)`.
    """
    source, target = read_pose(source_keypoints, skeleton, dtype), read_pose(target_keypoints, skeleton, dtype)
    rows = skeleton.indices(skeleton.required + skeleton.uniform_optional)
    weights = found_in_both(source, target, rows)
    fit = _fit(compat, image_size)(tf.gather(target.xy, rows, axis=1), tf.gather(source.xy, rows, axis=1), weights)
    return tf.cast(fit[:, None, :], tf.float32)


def _fit(compat: str, image_size: tuple[int, int] | None) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """The method by which transforms are fitted, for images of this size."""
    if is_release(compat):
        return fitting.total_least_squares
    return partial(fitting.least_squares, far_away=fitting.out_of(image_size))
