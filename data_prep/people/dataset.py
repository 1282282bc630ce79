"""All images of one person of a data set.

Worker processes import this module, so it must not import `pose_gan`, which loads TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.people.identity import sample_identity
from data_prep.people.render import render_person
from data_prep.people.shot import make_cameras, sample_shot

CAMERAS = 6
JPEG_QUALITY = 92


@dataclass(frozen=True)
class PersonTask:
    """All information that is needed to draw the images of a person.

    Attributes:
        seed: seed of the data set.
        split: 0 = train, 1 = test.
        index: index of the person within the split, from 0.
        number: number of the person in file names.
        images: number of images.
        size: (height, width) in pixels.
        studio: whether all images are taken in one studio.
    """

    seed: int
    split: int
    index: int
    number: int
    images: int
    size: tuple[int, int]
    studio: bool = False


def draw_images(task: PersonTask) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields the name, the image and the keypoints of each image, as from `render_person`.

    They depend only on the seed, the split, the person's index, the number of the image and the size.
    """
    identity = sample_identity(np.random.default_rng([task.seed, task.split, task.index]))
    cameras = make_cameras(task.seed, CAMERAS, task.studio)
    for number in range(1, task.images + 1):  # from 1: to NumPy, [a, b, c, 0] and [a, b, c] are the same seed
        rng = np.random.default_rng([task.seed, task.split, task.index, number])
        camera = cameras[(task.index + number - 1) % CAMERAS]
        image, keypoints = render_person(identity, sample_shot(rng, camera), task.size)
        yield f"{task.number:04d}_c{camera.number}s1_{number:06d}_00.jpg", image, keypoints


def save_images(task: PersonTask, folder: Path) -> list[tuple[str, np.ndarray]]:
    """Draws the person's images into a folder, and returns their names and keypoints."""
    rows = []
    for name, image, keypoints in draw_images(task):
        Image.fromarray(image).save(folder / name, quality=JPEG_QUALITY)
        rows.append((name, keypoints))
    return rows
