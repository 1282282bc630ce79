"""Folders: making them, listing their images, and finding the files of a data set in both spellings of its name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pose_gan.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".heic", ".heif")


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Makes a folder and its parents, if absent. Raises InputError if this fails, or if no file can be made in it."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return Path(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written to: {error.strerror}; give another folder") from None


def list_images(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the image files in `folder`, sorted, without hidden files (`._a.jpg`) and without folders.

    Raises: InputError: there is no such folder.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.is_file() and entry.name.lower().endswith(IMAGE_SUFFIXES) and not entry.name.startswith(".")
            )
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: no such folder of images") from None


def is_background(name: str) -> bool:
    """Whether an image is the background `<stem>_BG.jpg` of another image."""
    return Path(name).stem.endswith("_BG")


def dataset_path(folder: str | os.PathLike[str], dataset: str, tail: str) -> Path:
    """`folder/<dataset><tail>`, where `fashion` and the release's `fasion` count as the same name.

    Args:
        folder: the folder to search.
        dataset: name of the data set, in either spelling: `market`, `fashion`, `fasion128`, …
        tail: the rest of the name: `-annotation-train.csv`, `-dataset`, …

    Returns: the path in the given spelling if it exists, else in the other one if that exists,
        else in the given spelling.
    """
    given = Path(folder) / f"{dataset}{tail}"
    for spelling, other in (("fashion", "fasion"), ("fasion", "fashion")):
        twin = Path(folder) / f"{other}{dataset.removeprefix(spelling)}{tail}"
        if dataset.startswith(spelling) and not given.exists() and twin.exists():
            return twin
    return given
