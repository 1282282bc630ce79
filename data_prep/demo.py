"""`pose-gan data demo`: draws a data set of people in clothes, with the layout of Market-1501."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep import SPLITS
from data_prep.people.dataset import PersonTask, draw_images, save_images
from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.files.folders import make_folder
from pose_gan.poses.drawing import draw_skeleton, grid, write_image
from pose_gan.poses.keypoints import has_required_joints, write_annotations
from pose_gan.programs.verbs import verb_parser

MIN_SIDE, MAX_SIDE = 64, 512  # pixels
SCENES = ("street", "studio")
MAX_PERSONS = 9999  # a person's number has four digits
PREVIEW_ROWS, PREVIEW_COLUMNS, PREVIEW_HEIGHT = 10, 10, 256
EPILOG = """examples:
  pose-gan data demo
  pose-gan data demo --train_persons 20 --test_persons 4 --preview demo.png
  pose-gan data demo --size 256x256 --images_dir data/demo-large-dataset

Each person wears the same clothes in all images; pose, view and camera change. The keypoints are
exact. They are -1 where a joint is outside of the image, behind an object or turned away. The same
flags give the same files, with any number of --workers. Next, find keypoints as with photographs:
  pose-gan data annotate --dataset demo --pose_estimator demo
or copy the exact keypoints to annotations/. Then run: pose-gan data pairs --dataset demo"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the flags. Numbers stay text, so that `main` can name a bad one."""
    parser = verb_parser(
        "data demo", "Draws a data set of people in clothes, with exact keypoints. Needs no download.", EPILOG
    )
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for flag, metavar, default, text in (
        ("--images_dir", "DIR", "data/demo-dataset", "folder that gets train/ and test/"),
        ("--train_persons", "PERSONS", "150", f"persons in train/, up to {MAX_PERSONS} with those in test/"),
        ("--test_persons", "PERSONS", "20", "persons in test/, none of whom is in train/"),
        ("--images_per_person", "IMAGES", "8", "images of each person"),
        ("--size", "HxW", "128x64", f"image height and width in pixels, {MIN_SIDE} to {MAX_SIDE} each"),
        ("--seed", "N", "0", "another seed gives other people"),
        ("--workers", "PROCESSES", str(cpus), "processes; default here: the number of CPUs"),
    ):
        parser.add_argument(flag, metavar=metavar, default=default, help=f"{text} (default: %(default)s)")
    parser.add_argument(
        "--scene",
        choices=SCENES,
        default=SCENES[0],
        help="street: six places, where other people and objects may hide the person, as in Market-1501; studio: one "
        "plain wall, so that the source image tells everything about the target image but the pose (default: street)",
    )
    parser.add_argument(
        "--annotations_dir",
        metavar="DIR",
        help="folder for demo-annotation-{train,test}.csv, the exact keypoints (default: exact/ in --images_dir)",
    )
    parser.add_argument("--preview", metavar="FILE.png", help="contact sheet of train persons (default: none)")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace train/ and test/ of --images_dir (default: refuse to)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the data set. Every flag is checked before the first file is written.

    Raises: InputError: a flag is bad, or a folder is in use.
    """
    started = time.perf_counter()
    flags = build_parser().parse_args(argv)
    tasks = _tasks(flags)
    workers = _integer(flags.workers, "--workers", 1, 1024)
    images_dir = Path(flags.images_dir)
    annotations_dir = Path(flags.annotations_dir) if flags.annotations_dir else images_dir / "exact"
    if flags.preview and Path(flags.preview).suffix != ".png":
        raise InputError(f"--preview: got {flags.preview!r}; give a name that ends in .png")
    if not flags.overwrite:
        _refuse_used([images_dir / split for split in SPLITS])
    make_folder(annotations_dir)
    with _mapper(workers) as each:
        for split in SPLITS:
            folder, csv = images_dir / split, annotations_dir / f"demo-annotation-{split}.csv"
            keypoints = make_split(tasks[split], folder, csv, each)
            valid = int(has_required_joints(keypoints).sum())
            print(f"{split}: {len(keypoints)} images, {valid} valid, {len(tasks[split])} persons -> {folder}, {csv}")
    if flags.preview:
        write_image(flags.preview, draw_preview(tasks["train"]))
        print(f"contact sheet -> {flags.preview}")
    print(f"done in {time.perf_counter() - started:.1f} s")
    return 0


Mapper = Callable[[Callable[[PersonTask], Any], list[PersonTask]], Iterator[Any]]


@contextmanager
def _mapper(workers: int) -> Iterator[Mapper]:
    """Yields a `map` that keeps the order and runs in `workers` processes."""
    if workers == 1:
        yield map
        return
    with get_context("spawn").Pool(workers) as pool:  # a forked copy of a process with TensorFlow may hang
        yield pool.imap


def make_split(tasks: list[PersonTask], folder: Path, csv: Path, each: Mapper) -> np.ndarray:
    """Draws all images of `tasks` into `folder`, and writes their annotations. Earlier content is replaced.

    The images appear in `folder` all at once, when the last one is drawn.

    Returns: the keypoints, int32 (n, 18, 2).
    """
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        drawn = each(partial(save_images, folder=temporary), tasks)
        rows = [row for rows in tqdm(drawn, folder.name, len(tasks), unit="person") for row in rows]
        if folder.exists():
            shutil.rmtree(folder)
    rows.sort(key=lambda row: row[0])
    keypoints = np.stack([row[1] for row in rows])
    write_annotations(csv, [row[0] for row in rows], keypoints)
    return keypoints


def draw_preview(tasks: list[PersonTask]) -> np.ndarray:
    """A contact sheet, uint8 (height, width, 3), with one row per person. Its right half shows skeletons."""
    rows = []
    for task in tasks[:PREVIEW_ROWS]:
        columns = min(task.images, PREVIEW_COLUMNS)
        images = [
            draw_skeleton(keypoints, task.size, background=image) if column >= columns / 2 else image
            for column, (_, image, keypoints) in zip(range(columns), draw_images(task), strict=False)
        ]
        rows.append(images)
    return grid(rows, scale=max(1, round(PREVIEW_HEIGHT / tasks[0].size[0])))


def _tasks(flags: argparse.Namespace) -> dict[str, list[PersonTask]]:
    """The persons of each split. The numbers of test persons follow those of train persons."""
    train = _integer(flags.train_persons, "--train_persons", 1, MAX_PERSONS)
    test = _integer(flags.test_persons, "--test_persons", 1, MAX_PERSONS)
    if train + test > MAX_PERSONS:
        raise InputError(f"--train_persons + --test_persons: got {train + test}; at most {MAX_PERSONS} together")
    images = _integer(flags.images_per_person, "--images_per_person", 1, 999_999)
    seed = _integer(flags.seed, "--seed", 0, 2**31 - 1)
    size, studio = _size(flags.size), flags.scene == "studio"
    return {
        split: [PersonTask(seed, SPLITS.index(split), i, first + i, images, size, studio) for i in range(count)]
        for split, count, first in (("train", train, 1), ("test", test, train + 1))
    }


def _integer(text: str, flag: str, low: int, high: int) -> int:
    if not re.fullmatch(r"-?\d+", text) or not low <= int(text) <= high:
        raise InputError(f"{flag}: got {text!r}; give a whole number from {low} to {high}")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)[xX](\d+)", text)
    sides = [int(side) for side in match.groups()] if match else []
    if not sides or not all(MIN_SIDE <= side <= MAX_SIDE for side in sides):
        raise InputError(f"--size: got {text!r}; give HEIGHTxWIDTH in pixels, {MIN_SIDE} to {MAX_SIDE} each: 128x64")
    return sides[0], sides[1]


def _refuse_used(folders: list[Path]) -> None:
    for folder in folders:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: already there; choose another --images_dir or pass --overwrite to replace it")
