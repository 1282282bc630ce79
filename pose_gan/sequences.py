"""Poses of one person in a sequence of frames: their order, and joints that were not found in some of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pose_gan.errors import InputError
from pose_gan.keypoints import MISSING, found

METHODS = ("previous", "linear")


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
