"""The drawn people from which the demo's pose estimator learns."""

from __future__ import annotations

import dataclasses
import io
import math
from contextlib import nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from data_prep.people import Camera, make_cameras, render_person, sample_identity, sample_shot
from data_prep.people.scene import background
from pose_gan.files.atomic import atomic_path
from pose_gan.poses.keypoints import MISSING
from pose_gan.poses.skeleton import COCO18

SIZE = (128, 64)  # height and width in pixels of the images that the network sees

SPLIT = 2  # a part of all seeds here; the demo data set uses 0 and 1, so its people do not occur here

IMAGES_PER_PERSON = 4

NOBODY = 20  # of every 20 persons, the first is replaced by images without a person

HARD = 0.25  # share of the images that get an object in front


def draw_person(index: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All training images of one person: uint8 `(n, 128, 64, 3)` and keypoints, int32 `(n, 18, 2)`.

    Unlike in the demo data set, each image shows another place, more images have an object in front of the person,
    and no joint behind the person's own body is missing by chance. Every 20th person is replaced by images without
    a person.
    """
    identity = sample_identity(np.random.default_rng([seed, SPLIT, index]))
    drawn = []
    for number in range(1, IMAGES_PER_PERSON + 1):
        rng = np.random.default_rng([seed, SPLIT, index, number])
        cameras = make_cameras(int(rng.integers(2**31)))
        shot = dataclasses.replace(sample_shot(rng, cameras[rng.integers(len(cameras))]), miss=0.0)
        if rng.random() < HARD:
            occluder = str(rng.choice(["pole", "box", "bicycle", "edge", "person"]))
            shot = dataclasses.replace(shot, occluder=occluder, company=bool(rng.random() < 0.5))
        if index % NOBODY == 0:
            image, keypoints = _draw_nobody(shot.camera, rng), np.full((COCO18.num_joints, 2), MISSING, np.int32)
        else:
            image, keypoints = render_person(identity, shot, SIZE)
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=int(rng.integers(50, 96)))
        drawn.append((np.asarray(Image.open(buffer)), keypoints))
    images, keypoints = zip(*drawn, strict=True)
    return np.stack(images), np.stack(keypoints)


def _draw_nobody(camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """An image of a place without a person, or of noise with any grain size: uint8 `(128, 64, 3)`."""
    if rng.random() < 0.5:
        image = background(camera, SIZE, rng)
    else:
        grain = (*np.maximum(1, np.array(SIZE) // rng.integers(1, 17)), 3)
        image = rng.normal(rng.uniform(30, 225), rng.uniform(0, 80), grain)
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    return np.asarray(picture.resize((SIZE[1], SIZE[0]), Image.Resampling.BILINEAR))


def draw_data(cache: Path, count: int, seed: int, workers: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws `count` images and their keypoints, as whole persons of `draw_person`, and keeps them in `cache`."""
    if not cache.exists():
        people = range(math.ceil(count / IMAGES_PER_PERSON))
        # Processes are spawned, since a forked copy of a process with TensorFlow may hang
        with get_context("spawn").Pool(workers) if workers > 1 else nullcontext() as pool:
            drawn = (pool.imap if pool else map)(partial(draw_person, seed=seed), people)
            images, keypoints = zip(*tqdm(drawn, "drawing", len(people), unit="person"), strict=True)
        with atomic_path(cache) as temporary:
            np.savez(temporary, images=np.concatenate(images), keypoints=np.concatenate(keypoints))
    with np.load(cache) as arrays:
        return arrays["images"], arrays["keypoints"]
