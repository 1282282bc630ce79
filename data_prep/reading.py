"""Batches of image files of one size, read ahead in threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_gan.errors import InputError
from pose_gan.files.images import image_size, read_image

LARGEST_BATCH = 16_000_000  # pixels


@dataclass(frozen=True)
class Batch:
    """Some images of one size.

    Attributes:
        names: N file names.
        images: uint8 `(N, H, W, 3)`, RGB; None where N is 0.
        errors: file name → its fault, for images that cannot be used.
    """

    names: list[str]
    images: np.ndarray | None
    errors: dict[str, str]


def divide(folder: Path, names: Sequence[str], size: int) -> list[list[str]]:
    """The batches of images: each has images of one size, in their order. They depend on the folder alone.

    Args:
        folder: folder of the images.
        names: names of the files.
        size: images per batch; batches of large images have fewer.
    """
    with ThreadPoolExecutor(_threads()) as threads:
        sizes = threads.map(lambda name: _size(folder / name), names)
        return list(_plan(names, list(sizes), size))


def read_batches(folder: Path, batches: Sequence[Sequence[str]], done: set[str]) -> Iterator[Batch]:
    """Reads the images of batches. Batches whose images are all in `done` are left out; other batches come whole.

    Args:
        folder: folder of the images.
        batches: from `divide`.
        done: names of images that are not needed.
    """
    with ThreadPoolExecutor(_threads()) as threads:
        reading: deque[list[tuple[str, Future[np.ndarray]]]] = deque()
        for batch in (batch for batch in batches if not done.issuperset(batch)):
            reading.append([(name, threads.submit(read_image, folder / name)) for name in batch])
            if len(reading) > 1:
                yield _gather(reading.popleft())
        while reading:
            yield _gather(reading.popleft())


def _threads() -> int:
    return min(8, 2 * (os.cpu_count() or 1))


def _size(path: Path) -> tuple[int, int] | None:
    try:
        return image_size(path)
    except InputError:  # the error is reported when the image is read
        return None


def _plan(names: Sequence[str], sizes: list[tuple[int, int] | None], size: int) -> Iterator[list[str]]:
    """Groups the names into batches of images of equal size."""
    waiting: dict[tuple[int, int] | None, list[str]] = {}
    for name, shape in zip(names, sizes, strict=True):
        batch = waiting.setdefault(shape, [])
        batch.append(name)
        limit = 1 if shape is None else min(size, max(1, LARGEST_BATCH // (shape[0] * shape[1])))
        if len(batch) >= limit:
            yield waiting.pop(shape)
    yield from waiting.values()


def _gather(reading: list[tuple[str, Future[np.ndarray]]]) -> Batch:
    images: dict[str, np.ndarray] = {}
    errors: dict[str, str] = {}
    for name, future in reading:
        try:
            images[name] = future.result()
        except InputError as error:
            errors[name] = str(error)
    return Batch(list(images), np.stack(list(images.values())) if images else None, errors)
