"""Poses of one person in a sequence of frames: their order, and joints that were not found in some of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_gan.errors import InputError
from pose_gan.poses.keypoints import MISSING, Annotations, found
from pose_gan.poses.skeleton import Skeleton

METHODS = ("previous", "linear")
MAX_GAP = 12  # frames, half a second; a joint that is away longer is hidden: the person has turned


@dataclass(frozen=True)
class Motion:
    """The poses of the target frames, completed.

    Attributes:
        names: T names of frames.
        keypoints: int32 `(T, joints, 2)`, (y, x) in pixels of the frames, −1 where missing.
        empty: number of frames in which nobody was found.
        filled: number of joints that were taken from another frame, in frames with somebody.
    """

    names: tuple[str, ...]
    keypoints: np.ndarray
    empty: int
    filled: int


def frame_order(names: Sequence[str]) -> list[int]:
    """Rows of `names` in the order of the frames: by name, where digits count as numbers (`2.jpg` before `10.jpg`)."""

    def key(row: int) -> tuple[list[str | tuple[int, str]], str]:
        parts: list[str | tuple[int, str]] = []
        for text, digits in re.findall(r"([^0-9]*)([0-9]*)", names[row]):
            parts += [text, (len(digits.lstrip("0")), digits.lstrip("0"))]  # more digits: a larger number
        return parts, names[row]

    return sorted(range(len(names)), key=key)


def fill_missing(keypoints: np.ndarray, method: str = "previous", max_gap: int | None = None) -> np.ndarray:
    """Fills joints that were not found in some frames from other frames.

    Args:
        keypoints: integers `(frames, joints, 2)`, (y, x) in pixels, −1 where missing; frames in order.
        method: `previous`: where the joint was in the frame before, as the release does for animation;
            `linear`: on the line between the frames before and after. Before the first frame (and with
            `linear` after the last one) in which a joint was found, it is where it was there.
        max_gap: joints that are missing in more frames than this in a row stay missing; None: all are filled.
    Returns: int32, the same shape; a joint that was never found stays −1.
    Raises: InputError: another method, or a gap below 1.
    """
    if method not in METHODS:
        raise InputError(f"method {method!r} is not known; allowed: {', '.join(METHODS)}")
    if max_gap is not None and max_gap < 1:
        raise InputError(f"max_gap must be 1 frame or more, got {max_gap}")
    is_found = found(keypoints)
    count = len(is_found)
    frames = np.arange(count)[:, None]
    # The nearest frames with the joint, up to and from each frame; −1 and `count` where there is none.
    before = np.maximum.accumulate(np.where(is_found, frames, -1), axis=0)
    after = np.minimum.accumulate(np.where(is_found, frames, count)[::-1], axis=0)[::-1]
    first, last = np.where(before < 0, after, before), np.where(after == count, before, after)
    fillable = is_found.any(axis=0) & (is_found | (after - before - 1 <= (max_gap or count)))
    joints = np.arange(is_found.shape[1])
    start, end = (keypoints[index.clip(0, max(count - 1, 0)), joints] for index in (first, last))
    if method == "linear":
        share = (frames - first) / np.maximum(last - first, 1)
        start = np.rint(start + (end - start) * share[..., None])
    return np.where(fillable[..., None], start, MISSING).astype(np.int32)


def complete(annotations: Annotations, skeleton: Skeleton) -> Motion:
    """Fills what was not found in some frames from the frames before (at the start: after).

    Frames without anybody hold the whole pose. The joints that the skeleton requires are filled
    always, others if they were away for 12 frames at most: after that they are hidden.

    Raises: InputError: nobody in any frame, or a required joint in none.
    """
    keypoints = annotations.keypoints
    someone = found(keypoints).any(axis=1)
    if not someone.any():
        raise InputError(
            f"{annotations.path}: nobody was found in any of the {len(keypoints)} frames, so there is no motion to "
            "follow; people should stand upright and be seen from head to hips or more; other frames, larger ones, or "
            "another pose estimator may help"
        )
    required = skeleton.indices(skeleton.required)
    lacking = [skeleton.joints[joint] for joint in required if not found(keypoints)[:, joint].any()]
    if lacking:
        raise InputError(
            f"{annotations.path}: in none of the {len(keypoints)} frames was {', '.join(lacking)} found; "
            f"the generator needs {', '.join(skeleton.required)}"
        )
    # The frame that stands in for each: itself, the last one with somebody, or the first one with somebody.
    numbers = np.arange(len(keypoints))
    held = np.maximum.accumulate(np.where(someone, numbers, -1))
    held = keypoints[np.where(held < 0, someone.argmax(), held)]
    filled = fill_missing(held, max_gap=MAX_GAP)
    filled[:, required] = fill_missing(held)[:, required]
    changed = found(filled) & ~found(keypoints)
    return Motion(annotations.names, filled, int((~someone).sum()), int(changed[someone].sum()))
