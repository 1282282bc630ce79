"""Heat maps, masks and transforms from keypoints: the package's graph compared with NumPy and scikit-image."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf
from skimage.draw import polygon
from skimage.transform import AffineTransform

from benchmarks.harness import Options, Table, ratio, time_in_turns
from benchmarks.inputs import SIZE, pose_pairs, size_text
from pose_gan import geometry
from pose_gan.geometry.fitting import FAR_AWAY
from pose_gan.poses.keypoints import found
from pose_gan.poses.skeleton import COCO18, Part, Skeleton

SIZES, BATCHES = ((128, 64), (256, 256)), (1, 4, 32)
QUICK_SIZES, QUICK_BATCHES = ((64, 64),), (1, 2)
SIGMA = 6.0
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@tf.function(reduce_retracing=False)
def in_graph(source: tf.Tensor, target: tf.Tensor, height: int, width: int) -> tuple[tf.Tensor, ...]:
    """Heat maps of both poses, part masks and part transforms of a batch of pairs."""
    size = (height, width)
    return (
        geometry.heatmaps(source, size, SIGMA),
        geometry.heatmaps(target, size, SIGMA),
        geometry.part_masks(target, size),
        geometry.part_transforms(source, target),
    )


def in_numpy(source: np.ndarray, target: np.ndarray, size: SIZE) -> Arrays:
    """The same for one pair: keypoints `(18, 2)`, (y, x).

    scikit-image fills the masks and estimates the transforms, by total least squares as in the release.
    """
    source_xy, target_xy = source[:, ::-1].astype(np.float64), target[:, ::-1].astype(np.float64)
    seen = found(source), found(target)
    scales = _scale(source_xy, seen[0]), _scale(target_xy, seen[1])
    masks = [_mask(part, target_xy, seen[1], scales[1], size) for part in COCO18.parts]
    fits = [_fit(part, (source_xy, target_xy), seen, scales) for part in COCO18.parts]
    return _heatmaps(source_xy, seen[0], size), _heatmaps(target_xy, seen[1], size), np.stack(masks), np.stack(fits)


def _heatmaps(xy: np.ndarray, seen: np.ndarray, size: SIZE) -> np.ndarray:
    maps = np.zeros((*size, len(xy)), np.float32)
    y, x = np.arange(size[0], dtype=np.float32)[:, None], np.arange(size[1], dtype=np.float32)
    for joint in np.flatnonzero(seen):
        maps[..., joint] = np.exp(-((x - xy[joint, 0]) ** 2 + (y - xy[joint, 1]) ** 2) / (2 * SIGMA**2))
    return maps


def _scale(xy: np.ndarray, seen: np.ndarray, skeleton: Skeleton = COCO18) -> float | None:
    """The root of the mean squared length of the torso's sides; None if neither side is found."""
    sides = [skeleton.indices(side) for side in skeleton.scale_sides]
    squares = [float(np.sum((xy[a] - xy[b]) ** 2)) for a, b in sides if seen[a] and seen[b]]
    return float(np.sqrt(np.mean(squares))) if squares else None


def _corners(
    part: Part, joints: list[int], far: float, xy: np.ndarray, seen: np.ndarray, scale: float | None
) -> np.ndarray | None:
    """The rectangle around a limb: (4, 2) in (x, y), or None."""
    if scale is None or not seen[joints].all():
        return None
    a, b = xy[joints]
    a = a + part.near * (a - b)
    b = b + far * (b - a)
    along = a - b
    length = np.hypot(*along)
    if length == 0:
        return None
    side = part.size * scale * np.array([-along[1], along[0]]) / length
    return np.array([a + side, a - side, b - side, b + side])


def _mask(part: Part, xy: np.ndarray, seen: np.ndarray, scale: float | None, size: SIZE) -> np.ndarray:
    mask = np.zeros(size, np.float32)
    joints = COCO18.indices(part.joints)
    if part.kind == "whole":
        mask[:] = 1
    elif part.kind == "limb":
        corners = _corners(part, joints, part.mask_far, xy, seen, scale)
        if corners is not None:
            mask[polygon(corners[:, 1], corners[:, 0], size)] = 1
    elif scale is not None and seen[joints].any():
        x, y = xy[joints][seen[joints]].mean(axis=0).astype(int)
        radius = int(part.size * scale)
        mask[max(y - radius, 0) : max(y + radius, 0), max(x - radius, 0) : max(x + radius, 0)] = 1
    return mask


def _fit(
    part: Part,
    poses: tuple[np.ndarray, np.ndarray],
    seen: tuple[np.ndarray, np.ndarray],
    scales: tuple[float | None, float | None],
) -> np.ndarray:
    """The part's map from target to source (x, y): 8 numbers."""
    joints = COCO18.indices(part.joints)
    if part.kind == "limb":
        own = joints if seen[0][joints].all() else COCO18.indices(tuple(map(COCO18.mirror, part.joints)))
        fr = _corners(part, own, part.transform_far, poses[0], seen[0], scales[0])
        to = _corners(part, joints, part.transform_far, poses[1], seen[1], scales[1])
    else:
        both = seen[0] & seen[1]
        rows = [row for row in [*joints, *COCO18.indices(part.anchors)] if both[row]]
        fr, to = (pose[rows] for pose in poses)
        if len(rows) < 3 or not both[joints].any():
            fr = None
    fit = AffineTransform.from_estimate(to, fr) if fr is not None and to is not None else None
    if not fit:
        return np.array([1, 0, FAR_AWAY, 0, 1, FAR_AWAY, 0, 0], np.float32)
    return np.append(fit.params[:2].ravel(), [0, 0]).astype(np.float32)


def all_in_numpy(source: np.ndarray, target: np.ndarray, size: SIZE) -> list[Arrays]:
    """`in_numpy` for each pair of a batch."""
    return [in_numpy(a, b, size) for a, b in zip(source, target, strict=True)]


def agreement(source: tf.Tensor, target: tf.Tensor, size: SIZE) -> dict[str, float]:
    """The largest difference of heat maps, the mean of masks and the median of limb transforms, whose fits agree."""
    ours = [value.numpy() for value in in_graph(source, target, *size)]
    twins = [np.stack(values) for values in zip(*all_in_numpy(source.numpy(), target.numpy(), size), strict=True)]
    limbs = [number for number, part in enumerate(COCO18.parts) if part.kind == "limb"]
    corners = np.array([[x, y, 1] for y in (0, size[0]) for x in (0, size[1])], np.float64)
    places = [fit[:, limbs, :6].reshape(-1, 2, 3).astype(np.float64) @ corners.T for fit in (ours[3], twins[3])]
    return {
        "heatmap_difference": max(float(np.abs(ours[i] - twins[i]).max()) for i in (0, 1)),
        "mask_difference": float(np.mean(ours[2] != twins[2])),
        "limb_difference": float(np.median(np.abs(places[0] - places[1]))),
    }


def run(options: Options) -> list[Table]:
    rows = []
    for size in QUICK_SIZES if options.quick else SIZES:
        for batch in QUICK_BATCHES if options.quick else BATCHES:
            source, target = pose_pairs(batch, size)
            forms = {
                "ours": functools.partial(in_graph, source, target, *size),
                "numpy": functools.partial(all_in_numpy, source.numpy(), target.numpy(), size),
            }
            times = time_in_turns(forms, options.few_repeats if batch > 4 else options.repeats)
            row = {"size": size_text(size), "batch": batch}
            row |= {f"{name}_ms": timing.ms / batch for name, timing in times.items()}
            row["ratio"] = ratio(row["numpy_ms"], row["ours_ms"])
            rows.append(row | agreement(source, target, size))
    columns = {
        "size": "image",
        "batch": "batch",
        "ours_ms": "ours, ms a pair",
        "numpy_ms": "NumPy/skimage, ms a pair",
        "ratio": "× faster",
        "heatmap_difference": "heat maps: largest difference",
        "mask_difference": "masks: share of other pixels",
        "limb_difference": "limbs: median difference, px",
    }
    notes = [
        "A pair: heat maps of both poses (18 joints), masks of 10 parts, 10 transforms. NumPy/skimage: pair by pair, "
        "each joint's map in one expression, skimage.draw.polygon, AffineTransform.from_estimate.",
        "Masks differ where a pixel's centre lies on an edge: skimage counts borders in, ours is half-open.",
    ]
    return [Table("Geometry of a pair", columns, rows, notes)]
