"""Poses of one person in a sequence of frames: the order of the frames, and joints that are missing in some frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_gan.errors import InputError
from pose_gan.poses.keypoints import MISSING, Annotations, found
from pose_gan.poses.skeleton import Skeleton

METHODS = ("previous", "linear")
MAX_GAP = 12  # frames, half a second; a joint that is missing for longer is hidden, because the person has turned


@dataclass(frozen=True)
class Motion:
    """The poses of the target frames, completed.

    Attributes:
        names: the names of the T frames.
        keypoints: int32 `(T, joints, 2)`, (y, x) in pixels of the frames, −1 where missing.
        empty: number of frames in which no person was found.
        filled: number of joints that were taken from another frame, counted in frames with a person.
    """

    names: tuple[str, ...]
    keypoints: np.ndarray
    empty: int
    filled: int


def frame_order(names: Sequence[str]) -> list[int]:
    """Rows of `names` in the order of the frames: by name, with digits read as numbers (`2.jpg` before `10.jpg`)."""

    def key(row: int) -> tuple[list[str | tuple[int, str]], str]:
        parts: list[str | tuple[int, str]] = []
        for text, digits in re.findall(r"([^0-9]*)([0-9]*)", names[row]):
            parts += [text, (len(digits.lstrip("0")), digits.lstrip("0"))]  # the number with more digits is larger
        return parts, names[row]

    return sorted(range(len(names)), key=key)


def fill_missing(keypoints: np.ndarray, method: str = "previous", max_gap: int | None = None) -> np.ndarray:
    """Fills joints that were not found in some frames, using other frames.

    Args:
        keypoints: integers `(frames, joints, 2)`, (y, x) in pixels, −1 where missing; frames in order.
        method: `previous` takes the place of the joint in the frame before, as the release does for
            animation; `linear` interpolates between the frames before and after. Before the first frame in
            which a joint was found (and, with `linear`, after the last one), the joint has its place in that
            frame.
        max_gap: joints that are missing in more than this many frames in a row stay missing; None: all are filled.
    Returns: int32, the same shape; a joint that was never found stays −1.
    Raises: InputError: the method is unknown, or the gap is below 1.
    """
    if method not in METHODS:
        raise InputError(f"method {method!r} is not known; allowed: {', '.join(METHODS)}")
    if max_gap is not None and max_gap < 1:
        raise InputError(f"max_gap must be 1 frame or more, got {max_gap}")
    is_found = found(keypoints)
    count = len(is_found)
    frames = np.arange(count)[:, None]
    # The nearest frame with the joint at or before each frame (−1 if none), and at or after it (`count` if none).
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
    """Fills joints that were not found in some frames from the frames before (at the start, from those after).

    Frames without a person get the whole pose of another frame. Joints that the skeleton requires are always
    filled. Other joints are filled if they are missing in at most 12 frames in a row; otherwise they count as hidden.

    Raises: InputError: no frame has a person, or a required joint was found in no frame.
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
    # The frame whose pose each frame takes: itself, the last one before with a person, or the first one with a person.
    numbers = np.arange(len(keypoints))
    held = np.maximum.accumulate(np.where(someone, numbers, -1))
    held = keypoints[np.where(held < 0, someone.argmax(), held)]
    filled = fill_missing(held, max_gap=MAX_GAP)
    filled[:, required] = fill_missing(held)[:, required]
    changed = found(filled) & ~found(keypoints)
    return Motion(annotations.names, filled, int((~someone).sum()), int(changed[someone].sum()))
