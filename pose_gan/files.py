"""Files on disk: atomic writes and sorted listings."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pose_gan.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path` with the same suffix, and moves it to `path` on success.

    Readers see the old file or the whole new one, never a part. If the block fails, `path` stays
    as it was. Parent folders are made. Works for files and for folders; a folder that is already
    there is not replaced (OSError).

    Raises: InputError: the parent is no folder, or must not be written to.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name[:60]}.", dir=path.parent))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}: {error.filename}") from None
    try:
        temporary = folder / path.name
        yield temporary
        os.replace(temporary, path)
    except OSError as error:  # a full disk tells no name
        if error.filename is None:
            error.filename = os.fspath(path)
        raise
    finally:
        shutil.rmtree(folder)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Makes a folder with its parents, where absent. Raises InputError: that fails, or no file can be made in it."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return Path(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written to: {error.strerror}; give another folder") from None


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes UTF-8 text with `\\n` line ends, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes indented JSON, atomically. Raises TypeError or ValueError for what JSON cannot hold."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """The lines of a UTF-8 text file without their ends (and without a byte order mark).

    Raises: InputError: the file is absent, is a folder or is not UTF-8 text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None


def list_images(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the image files in `folder`, sorted. Raises InputError if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name for entry in entries if entry.is_file() and entry.name.lower().endswith(IMAGE_SUFFIXES)
            )
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: no such folder of images") from None


def is_background(name: str) -> bool:
    """Whether an image is the background `<stem>_BG.jpg` that belongs to another one."""
    return Path(name).stem.endswith("_BG")


def dataset_path(folder: str | os.PathLike[str], dataset: str, tail: str) -> Path:
    """`folder/<dataset><tail>`, where `fashion` and the release's `fasion` are one name.

    Args:
        folder: where to look.
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
