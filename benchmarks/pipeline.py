"""Images per second of the input pipeline alone, compared with the rate at which training uses images."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.harness import Options, Table, ratio, time_in_turns
from benchmarks.inputs import SIZE, pose_pairs, size_text
from pose_gan.config import DataConfig
from pose_gan.data.batches import iterate, training_batches
from pose_gan.data.pair_data import PairData, open_pairs
from pose_gan.data.pairs import make_pairs, write_pairs
from pose_gan.poses.keypoints import read_annotations, write_annotations
from pose_gan.presets import DATASETS

NAME = "random"
PERSONS, IMAGES_EACH, QUICK_PERSONS = 100, 4, 4
BATCHES, QUICK_BATCHES = 200, 5  # per round
POSES = 8  # different poses; few are enough, as only pixels are costly


def run(options: Options) -> list[Table]:
    known = [DATASETS[name] for name in ("market", "fashion")]
    cases = [((64, 64), 2)] if options.quick else [(item.image_size, item.batch_size) for item in known]
    batches = QUICK_BATCHES if options.quick else BATCHES
    with tempfile.TemporaryDirectory() as folder:
        forms = {}
        for size, batch in cases:
            data = write_data(Path(folder) / size_text(size), size, QUICK_PERSONS if options.quick else PERSONS)
            forms[size_text(size)] = make_fetch(data, batch, batches)
        times = time_in_turns(forms, options.few_repeats, warm_up=1)
    rows = []
    for size, batch in cases:
        images = 2 * batch * batches / times[size_text(size)].median
        step = options.step_seconds.get((size, batch))
        needed = None if step is None else 2 * batch / step
        rows.append(
            {
                "size": size_text(size),
                "batch": batch,
                "images": images,
                "needed": needed,
                "ratio": ratio(images, needed),
            }
        )
    columns = {
        "size": "image",
        "batch": "batch",
        "images": "images/s alone",
        "needed": "images/s that training takes",
        "ratio": "×",
    }
    notes = [
        f"{batches} batches a round; two images a pair; JPEG files just written, so that the disk is not measured.",
        "What training takes: the time of the benchmark `step` in this run.",
    ]
    return [Table("Input pipeline: read, decode, scale, shuffle, batch", columns, rows, notes)]


def make_fetch(data: PairData, batch: int, batches: int) -> Callable[[], None]:
    """A function that takes the next `batches` batches and discards them."""
    stream = iterate(training_batches(data, batch, seed=0), data)

    def fetch() -> None:
        for _ in range(batches):
            next(stream)

    return fetch


def write_data(root: Path, image_size: SIZE, persons: int) -> PairData:
    """Writes a data set of random smooth images with noise, as large on disk as photographs, and drawn poses."""
    folder = root / "train"
    folder.mkdir(parents=True)
    names = [f"{person:04d}_{number}.jpg" for person in range(persons) for number in range(IMAGES_EACH)]
    draw = functools.partial(_random_image, np.random.default_rng(0), image_size)
    for name in names:
        draw().save(folder / name, quality=90)
    poses = pose_pairs(POSES, image_size)[0].numpy().astype(int)
    annotations = root / f"{NAME}-annotation-train.csv"
    write_annotations(annotations, names, poses[np.arange(len(names)) % POSES])
    write_pairs(root / f"{NAME}-pairs-train.csv", make_pairs(read_annotations(annotations)))
    return open_pairs(DataConfig(NAME, str(root), str(root)), "train", image_size)


def _random_image(rng: np.random.Generator, size: SIZE) -> Image.Image:
    coarse = Image.fromarray(rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC), np.float32)
    noisy = smooth + rng.normal(0, 4, smooth.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
