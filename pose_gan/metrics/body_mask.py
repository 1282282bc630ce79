"""The body mask of mask-SSIM and mask-IS, drawn around the target pose (Ma et al., NIPS 2017)."""

from __future__ import annotations

import numpy as np

from pose_gan.errors import InputError
from pose_gan.poses.keypoints import found
from pose_gan.poses.skeleton import COCO18, Skeleton

RADIUS = 4  # radius of discs and half the width of limbs, in pixels; it does not depend on the image size
CLOSING = 2  # half the side of the closing square, which is 5×5


def body_mask(keypoints: np.ndarray, image_size: tuple[int, int], skeleton: Skeleton = COCO18) -> np.ndarray:
    """The mask of the body, for metrics that leave the background out.

    The mask has a rectangle of half width 4 pixels along every edge of `skeleton.evaluation_edges` (of
    `skeleton.edges`, if it has none) whose two joints were found, and a disc of radius 4 at every found
    joint. Their union is dilated and then eroded by a 5×5 square. These are not the part masks that the
    generator uses (paper, Section 6.1).

    Args:
        keypoints: `(joints, 2)` or `(N, joints, 2)`, (y, x) in pixels, −1 where missing.
        image_size: (height, width) in pixels.
        skeleton: the skeleton of the keypoints.
    Returns: bool `(H, W)` or `(N, H, W)`.
    Raises: InputError: the keypoints have another shape.
    Source: paper, Section 6.1, "following the procedure proposed in [12]". A pixel on the border of a
        rectangle belongs to it only on its top and left sides, as in the release's scikit-image 0.13.
    Deviation: the release fails at an edge of length 0; here such an edge adds nothing to the discs of its joints.
    """
    keypoints = np.asarray(keypoints)
    if keypoints.ndim not in (2, 3) or keypoints.shape[-2:] != (skeleton.num_joints, 2):
        raise InputError(
            f"keypoints: expected (joints, 2) or (N, joints, 2) with {skeleton.num_joints} joints of "
            f"skeleton {skeleton.name!r}, got {keypoints.shape}"
        )
    poses = keypoints.reshape(-1, skeleton.num_joints, 2)
    present = found(poses)
    poses = poses.astype(np.float64)
    spans = [_disc_spans(poses, present, image_size)]
    if edges := skeleton.evaluation_edges or skeleton.edges:
        spans.append(_limb_spans(poses, present, image_size, [skeleton.indices(edge) for edge in edges]))
    mask = _closed(_paint(spans, len(poses), image_size))
    return mask if keypoints.ndim == 3 else mask[0]


Spans = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Runs of pixels `[start, end)` as pose, row, start and end: int64 arrays of equal length."""


def _limb_spans(poses: np.ndarray, present: np.ndarray, image_size: tuple[int, int], edges: list[list[int]]) -> Spans:
    """The pixels of the rectangles along `edges`, which are pairs of rows of a pose.

    A convex polygon crosses a row in one run, between two of its sides.
    """
    first, second = np.array(edges).T
    pose, edge = np.nonzero(present[:, first] & present[:, second] & np.any(poses[:, first] != poses[:, second], -1))
    a, b = poses[pose, first[edge]], poses[pose, second[edge]]
    along = a - b
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1) * (RADIUS / np.linalg.norm(along, axis=-1, keepdims=True))
    corners = np.stack([a + across, a - across, b - across, b + across])  # (4, M, 2)

    # Pairs of a rectangle and a row, for the rows between the top and the bottom of the rectangle
    top, bottom = (np.clip(_ceil(y), 0, image_size[0]) for y in (corners[..., 0].min(0), corners[..., 0].max(0)))
    limb = np.repeat(np.arange(len(pose)), bottom - top)
    row = np.arange(len(limb)) - np.repeat(np.cumsum(bottom - top) - bottom, bottom - top)
    start, end = np.full(len(limb), np.inf), np.full(len(limb), -np.inf)
    for ends in zip(corners, np.roll(corners, -1, axis=0), strict=True):  # sides
        (y0, x0), (y1, x1) = (corner[limb].T for corner in ends)
        crosses = (np.minimum(y0, y1) <= row) & (row < np.maximum(y0, y1))
        x = (x1 - x0) * (row - y0) / np.where(crosses, y1 - y0, 1.0) + x0
        np.minimum(start, x, out=start, where=crosses)
        np.maximum(end, x, out=end, where=crosses)
    met = start < end
    # The run has the pixels x with start <= x < end
    return pose[limb[met]], row[met], _ceil(start[met]), _ceil(end[met])


def _disc_spans(poses: np.ndarray, present: np.ndarray, image_size: tuple[int, int]) -> Spans:
    """The pixels closer than `RADIUS` to a found joint."""
    pose, joint = np.nonzero(present)
    y, x = poses[pose, joint].T[..., None]  # (M, 1)
    row = np.floor(y) + np.arange(-RADIUS, RADIUS + 2)  # (M, 2 RADIUS + 2)
    inside = (np.abs(row - y) < RADIUS) & (row >= 0) & (row < image_size[0])
    half = np.sqrt(np.maximum(RADIUS**2 - (row - y) ** 2, 0))
    disc, k = np.nonzero(inside)
    # The run has the pixels strictly between x − half and x + half
    start, end = np.floor(x - half)[disc, k].astype(np.int64) + 1, _ceil((x + half)[disc, k])
    return pose[disc], row[disc, k].astype(np.int64), start, end


def _ceil(values: np.ndarray) -> np.ndarray:
    return np.ceil(values).astype(np.int64)


def _paint(spans: list[Spans], count: int, image_size: tuple[int, int]) -> np.ndarray:
    """The union of the runs, clipped to the images: bool `(N, H, W)`. Steps +1 at starts and −1 at ends are summed."""
    height, width = image_size
    pose, row, start, end = (np.concatenate(parts) for parts in zip(*spans, strict=True))
    line = (pose * height + row) * (width + 1)
    steps = np.zeros(count * height * (width + 1), np.int16)
    np.add.at(steps, line + np.clip(start, 0, width), 1)
    np.subtract.at(steps, line + np.clip(end, 0, width), 1)
    return np.cumsum(steps.reshape(count, height, width + 1), axis=-1, dtype=np.int16)[..., :width] > 0


def _closed(mask: np.ndarray) -> np.ndarray:
    """Dilates, then erodes by a square. What lies outside of the image has no effect."""
    from scipy.ndimage import grey_closing

    side = 2 * CLOSING + 1
    return grey_closing(mask.view(np.uint8), (1, side, side), mode="nearest").view(bool)
