"""A trial of exported files: each file is loaded, compared with the generator, and timed."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from pose_gan.errors import InputError
from pose_gan.model_files.formats import FORMATS, Values
from pose_gan.model_files.metadata import ModelInfo

TOLERANCE = 1e-4  # the largest allowed mean difference of images in [-1, 1]
TRIED = 4  # samples
TIMED = 5  # calls


def samples(info: ModelInfo, count: int = TRIED, seed: int = 0) -> dict[str, Any]:
    """Random images and random poses with some joints missing, as float32 arrays by input name."""
    random, (height, width) = np.random.default_rng(seed), info.model.image_size
    joints = info.model.skeleton.num_joints
    values: dict[str, Any] = {"source_image": random.uniform(-1, 1, (count, height, width, 3))}
    for name in ("source_keypoints", "target_keypoints"):
        pose = random.uniform(0, (height - 1, width - 1), (count, joints, 2))
        pose[random.random((count, joints)) < 0.1] = -1
        values[name] = pose
    if info.model.use_bg:
        values["background"] = random.uniform(-1, 1, (count, height, width, 3))
    return {name: value.astype(np.float32) for name, value in values.items()}


def try_out(name: str, path: Path, values: Values, expected: np.ndarray) -> tuple[float, float]:
    """Loads an exported file and runs it.

    Args:
        name: the name of the format.
        path: the file, or the folder for `savedmodel`.
        values: the inputs, from `samples`.
        expected: the generator's images for these inputs, in [-1, 1].
    Returns: the largest difference of the images, and the median time per image in seconds.
    Raises: InputError: the images differ by more than `TOLERANCE` on average. Single pixels may differ by more: in
        large images, rounding shifts the places where a part with an extreme transform is sampled.
    """
    run = FORMATS[name].open(path)
    differences = np.abs(run(values) - expected)
    mean = float(differences.mean())
    if not mean <= TOLERANCE:  # NaN too
        raise InputError(
            f"{path}: gives images that differ by {mean:.2g} on average from the generator's, more than "
            f"{TOLERANCE:g}; the file stays for a closer look, do not use it"
        )
    one = {key: value[:1] for key, value in values.items()}
    run(one)
    times = []
    for _ in range(TIMED):
        start = time.perf_counter()
        run(one)
        times.append(time.perf_counter() - start)
    return float(differences.max()), statistics.median(times)
