"""Drawn people as inputs, under the name `demo`: the people whom the generator that comes with the package knows.

They are the test persons of `pose-gan data demo --scene studio`, whom no training saw.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.people.dataset import PersonTask, draw_images
from pose_gan.errors import InputError
from pose_gan.model_files.run_folder import DEMO
from pose_gan.poses.drawing import write_image
from pose_gan.poses.framing import Size
from pose_gan.poses.keypoints import MISSING, found, has_required_joints, write_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton
from pose_gan.poses.walk import walk

PEOPLE = 20
IMAGES = 8
SMALLEST, LARGEST = 64, 512  # pixels a side of a drawing
_WORD = re.compile(r"demo(?::([0-9]{1,4}))?")
WHOLE = COCO18.indices(("nose", "Leye", "Reye", "Lank", "Rank"))
SOURCE, POSE = 4, 3  # the persons of the word `demo` alone, as a source and as a pose
HEAD, STATURE = 0.06, 0.86  # in heights of the image: where the walking person's head begins, and the person's height


def is_drawn(word: Any) -> bool:
    """Whether a user's word stands for a drawn person: `demo`, or `demo:5` for the fifth of them."""
    return isinstance(word, str) and _WORD.fullmatch(word) is not None


def drawn_person(word: str, default: int, size: Size, skeleton: Skeleton = COCO18) -> tuple[np.ndarray, np.ndarray]:
    """Draws a person.

    Args:
        word: `demo` or `demo:NUMBER`.
        default: the number of the person of `demo` alone.
        size: (height, width) in pixels of the generator that gets the drawing.
        skeleton: that of the generator.
    Returns: the person's first image that shows face and feet, uint8 `(H, W, 3)`, and its exact keypoints, int32
        `(18, 2)`.
    Raises: InputError: there is no such person, or the skeleton is not that of people.
    """
    if skeleton.joints != COCO18.joints:
        raise InputError(f"{word}: a drawn person has the joints of {COCO18.name}; the generator knows {skeleton.name}")
    match = _WORD.fullmatch(word)
    number = int(match[1] or default) if match else 0
    if not 1 <= number <= PEOPLE:
        raise InputError(f"{word}: no such drawn person; give {DEMO}, or {DEMO}:1 to {DEMO}:{PEOPLE}")
    height, width = (min(max(side, SMALLEST), LARGEST) for side in size)
    task = PersonTask(0, 1, number - 1, number, IMAGES, (height, width), studio=True)
    drawings = []
    for _, image, keypoints in draw_images(task):
        if has_required_joints(keypoints):
            drawings.append((image, keypoints))
            if found(keypoints)[WHOLE].all():
                return drawings[-1]
    return drawings[0]


def draw_people(folder: Path, size: Size) -> Path:
    """Draws all of the people into a folder, for generators of a size. Returns: the CSV of their keypoints, in it."""
    names, poses = [], []
    for number in range(1, PEOPLE + 1):
        image, keypoints = drawn_person(f"{DEMO}:{number}", number, size)
        names.append(f"{DEMO}-{number:02}.png")
        poses.append(keypoints)
        write_image(folder / names[-1], image)
    write_annotations(folder / "keypoints.csv", names, poses)
    return folder / "keypoints.csv"


def drawn_walk(size: Size, skeleton: Skeleton) -> np.ndarray:
    """The poses of a walk in an image: int32 `(T, 18, 2)`. Raises InputError: the skeleton is not that of people."""
    if skeleton.joints != COCO18.joints:
        raise InputError(f"--targets {DEMO}: the walk is one of people; the generator knows {skeleton.name}")
    height, width = size
    poses = walk()
    placed = np.rint(poses * STATURE * height + (HEAD * height, width / 2))
    return np.where(found(poses)[..., None], placed.clip(0, (height - 1, width - 1)), MISSING).astype(np.int32)
