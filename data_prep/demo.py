"""Draws the demo data set: people in clothes, with exact keypoints, laid out as Market-1501 is."""

from __future__ import annotations

import argparse
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from data_prep.people import make_cameras, render_person, sample_identity, sample_shot
from pose_gan.errors import InputError
from pose_gan.files import atomic_path
from pose_gan.keypoints import found, write_annotations
from pose_gan.skeleton import COCO18

SPLITS = ("train", "test")
CAMERAS = 6
JPEG_QUALITY = 92
MIN_SIDE, MAX_SIDE = 64, 512  # pixels
MAX_PERSONS = 9999  # a person's number has four digits
PREVIEW_ROWS, PREVIEW_COLUMNS, PREVIEW_HEIGHT = 10, 10, 256


@dataclass(frozen=True)
class Person:
    """What a worker needs to draw all images of a person.

    Attributes:
        seed: of the data set.
        split: index in SPLITS. index: of the person within the split, from 0.
        number: in file names.
        images: how many.
        size: (height, width) in pixels.
    """

    seed: int
    split: int
    index: int
    number: int
    images: int
    size: tuple[int, int]


Picture = tuple[str, np.ndarray, np.ndarray]  # name, uint8 (h, w, 3), int32 (18, 2)


def draw_images(person: Person) -> Iterator[Picture]:
    """Yields name, image and keypoints. Depends only on seed, split, person's index and image index."""
    identity = sample_identity(np.random.default_rng([person.seed, person.split, person.index]))
    cameras = make_cameras(person.seed, CAMERAS)
    for i in range(person.images):
        # + 1, because NumPy takes [a, b, c, 0] and [a, b, c] for the same seed
        rng = np.random.default_rng([person.seed, person.split, person.index, i + 1])
        camera = cameras[(person.index + i) % CAMERAS]
        image, keypoints = render_person(identity, sample_shot(rng, camera), person.size)
        yield f"{person.number:04d}_c{camera.number}s1_{i + 1:06d}_00.jpg", image, keypoints


def _save_images(task: tuple[Person, Path]) -> list[tuple[str, np.ndarray]]:
    """Draws a person into a folder. Returns names and keypoints."""
    person, folder = task
    rows = []
    for name, image, keypoints in draw_images(person):
        Image.fromarray(image).save(folder / name, quality=JPEG_QUALITY)
        rows.append((name, keypoints))
    return rows


def make_split(people: list[Person], folder: Path, annotations: Path, workers: int, overwrite: bool) -> np.ndarray:
    """Draws all images of `people` into `folder` and writes their annotation file.

    The images appear under `folder` all at once, when the last one is drawn.

    Returns: the keypoints, int32 (n, 18, 2).
    """
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        tasks = [(person, temporary) for person in people]
        rows = [row for rows in _map(tasks, workers, folder.name) for row in rows]
        if folder.exists() and (overwrite or not any(folder.iterdir())):
            shutil.rmtree(folder)
    rows.sort(key=lambda row: row[0])
    keypoints = np.stack([row[1] for row in rows])
    write_annotations(annotations, [row[0] for row in rows], keypoints)
    return keypoints


def _map(tasks: list[tuple[Person, Path]], workers: int, name: str) -> Iterator[list[tuple[str, np.ndarray]]]:
    """`_save_images` of all tasks, in order, with progress."""
    with tqdm(total=len(tasks), desc=name, unit="person") as progress:
        if workers == 1:
            for task in tasks:
                yield _save_images(task)
                progress.update()
            return
        # spawn: a forked copy of a process that holds TensorFlow may hang
        with get_context("spawn").Pool(min(workers, len(tasks))) as pool:
            for rows in pool.imap(_save_images, tasks):
                yield rows
                progress.update()


def draw_preview(people: list[Person]) -> Image.Image:
    """A contact sheet: a person a row; the images on the right half with their skeletons."""
    height, width = people[0].size
    scale = max(1, round(PREVIEW_HEIGHT / height))
    columns = min(people[0].images, PREVIEW_COLUMNS)
    tile = (width * scale, height * scale)
    gap = 4
    sheet = Image.new("RGB", (columns * (tile[0] + gap), min(len(people), PREVIEW_ROWS) * (tile[1] + gap)))
    for row, person in enumerate(people[:PREVIEW_ROWS]):
        for column, (_, image, keypoints) in enumerate(draw_images(person)):
            if column == columns:
                break
            picture = Image.fromarray(image).resize(tile, Image.Resampling.LANCZOS)
            if column >= columns / 2:
                _draw_skeleton(picture, keypoints, scale)
            sheet.paste(picture, (column * (tile[0] + gap), row * (tile[1] + gap)))
    return sheet


def _draw_skeleton(picture: Image.Image, keypoints: np.ndarray, scale: int) -> None:
    """Draws found joints and edges; the person's right side red, the left green."""
    draw = ImageDraw.Draw(picture)
    seen = found(keypoints)
    xy = (keypoints[:, ::-1] + 0.5) * scale
    for first, second in COCO18.edges:
        i, j = COCO18.index(first), COCO18.index(second)
        if seen[i] and seen[j]:
            colour = {"R": (255, 60, 50), "L": (60, 255, 70)}.get(second[0], (255, 220, 60))
            draw.line([*xy[i].tolist(), *xy[j].tolist()], fill=colour, width=2)
    for x, y in xy[seen].tolist():
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(255, 255, 255))


def main(argv: list[str] | None = None) -> int | None:
    """Runs `python -m data_prep demo`. Raises InputError for a bad flag or a folder in use."""
    flags = _parser().parse_args(argv)
    counts = {
        "train": _integer(flags.train_persons, "--train_persons", 1, MAX_PERSONS),
        "test": _integer(flags.test_persons, "--test_persons", 1, MAX_PERSONS),
    }
    if sum(counts.values()) > MAX_PERSONS:
        raise InputError(
            f"--train_persons + --test_persons: got {sum(counts.values())}, at most {MAX_PERSONS} together"
        )
    images = _integer(flags.images_per_person, "--images_per_person", 1, 999999)
    seed = _integer(flags.seed, "--seed", 0, 2**31 - 1)
    workers = _integer(flags.workers, "--workers", 1, 1024)
    size = _size(flags.size)
    images_dir, annotations_dir = Path(flags.images_dir), Path(flags.annotations_dir)
    if not flags.overwrite:
        _refuse_used([images_dir / split for split in SPLITS])
    people = _people(counts, images, seed, size)
    for split in SPLITS:
        csv = annotations_dir / f"demo-annotation-{split}.csv"
        keypoints = make_split(people[split], images_dir / split, csv, workers, flags.overwrite)
        valid = found(keypoints)[:, COCO18.indices(COCO18.required)].all(1).sum()
        print(f"{images_dir / split}: {len(keypoints)} images of {counts[split]} persons, {valid} valid; {csv}")
    if flags.preview:
        with atomic_path(flags.preview) as temporary:
            draw_preview(people["train"]).save(temporary)
        print(f"{flags.preview}: contact sheet")
    return None


def _people(counts: dict[str, int], images: int, seed: int, size: tuple[int, int]) -> dict[str, list[Person]]:
    """The persons of each split; test numbers follow the train numbers."""
    first = {"train": 1, "test": counts["train"] + 1}
    return {
        split: [Person(seed, k, i, first[split] + i, images, size) for i in range(counts[split])]
        for k, split in enumerate(SPLITS)
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m data_prep demo",
        description="Draws a data set of people in clothes, each in several poses and before several cameras, "
        "with exact keypoints; it needs no download. Same flags, same files.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    add = parser.add_argument
    add("--images_dir", metavar="FOLDER", default="data/demo-dataset", help="gets the folders train/ and test/")
    add("--annotations_dir", metavar="FOLDER", default="annotations", help="gets demo-annotation-{train,test}.csv")
    add("--train_persons", metavar="N", default=150, help="persons in train/")
    add("--test_persons", metavar="N", default=20, help="persons in test/, none of them in train/")
    add("--images_per_person", metavar="N", default=8, help="images of each person")
    add("--size", metavar="HxW", default="128x64", help=f"image size in pixels, sides {MIN_SIDE} to {MAX_SIDE}")
    add("--seed", metavar="N", default=0, help="another seed gives other persons")
    add("--workers", metavar="N", default=cpus, help="processes; the files do not depend on it")
    add("--preview", metavar="FILE.png", default=None, help="also draw a contact sheet of train persons")
    add("--overwrite", action="store_true", help="delete train/ and test/ in --images_dir if they are there")
    return parser


def _integer(value: int | str, flag: str, low: int, high: int) -> int:
    try:
        number = int(value)
    except ValueError:
        number = None
    if number is None or not low <= number <= high:
        raise InputError(f"{flag}: got {value!r}; give a whole number from {low} to {high}")
    return number


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)[xX](\d+)", text)
    sides = tuple(int(side) for side in match.groups()) if match else ()
    if len(sides) != 2 or not all(MIN_SIDE <= side <= MAX_SIDE for side in sides):
        raise InputError(
            f"--size: got {text!r}; give HEIGHTxWIDTH in pixels, sides from {MIN_SIDE} to {MAX_SIDE}, as in 128x64"
        )
    return sides[0], sides[1]


def _refuse_used(folders: list[Path]) -> None:
    for folder in folders:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: already there; choose another --images_dir or pass --overwrite to replace it")
