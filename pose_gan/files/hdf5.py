"""HDF5 files that may be damaged or hostile."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from pose_gan.errors import InputError, reason

DAMAGE = (OSError, KeyError, RuntimeError, SystemError, UnicodeDecodeError, TypeError, ValueError, MemoryError)
"""The exceptions that h5py raises for damaged files."""

MAX_GROWTH = 4  # times that a file's content may be larger than the file: weights hardly compress
SPARE = 64 << 20  # bytes that any file may unpack to
MAX_TEXTS = 4096  # in one attribute


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], content: BinaryIO | None = None) -> Iterator[h5py.File]:
    """Opens a file for reading, after a check of everything in it.

    Args:
        path: the file.
        content: what to read instead of the file: an HDF5 file that another file, `path`, holds.
    Raises: InputError: the file does not exist, is damaged, is not HDF5, holds links or arrays that lead elsewhere, or
        unpacks to far more than it weighs; also if reading fails inside of the block.
    """
    if content is None and not Path(path).is_file():
        raise InputError(f"{path}: no such model file")
    try:
        size = content.seek(0, os.SEEK_END) if content else Path(path).stat().st_size
        with h5py.File(content or path, "r") as file:
            _check(file, path, size)
            yield file
    except InputError:
        raise
    except DAMAGE as error:
        raise InputError(f"{path}: damaged, or not an HDF5 file: {reason(error)}") from None


def text(value: Any) -> str:
    """The value of a text attribute as str; Keras 2 wrote bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _check(file: h5py.File, path: str | os.PathLike[str], size: int) -> None:
    """Looks at every link, array and attribute of a file, and reads none of them."""
    if elsewhere := file.visititems_links(_link_elsewhere) or file.visititems(_array_elsewhere):
        raise InputError(f"{path}: hostile: {elsewhere} leads to another file")
    sizes = [_attributes_size(file, path)]
    file.visititems(lambda _, item: sizes.append(_attributes_size(item, path) + _array_size(item, path)))
    if sum(sizes) > MAX_GROWTH * size + SPARE:
        raise InputError(
            f"{path}: hostile: its arrays unpack to {sum(sizes):,} bytes, but the file has {size:,}; a model's arrays "
            "hardly compress"
        )


def _link_elsewhere(name: str, link: Any) -> str | None:
    return None if isinstance(link, h5py.HardLink) else name


def _array_elsewhere(name: str, item: Any) -> str | None:
    return name if isinstance(item, h5py.Dataset) and (item.is_virtual or item.external) else None


def _array_size(item: Any, path: str | os.PathLike[str]) -> int:
    """Bytes of an array, or of one of its pieces where these are larger. Raises InputError: it holds no numbers."""
    if not isinstance(item, h5py.Dataset):
        return 0
    if item.dtype.hasobject:
        raise InputError(f"{path}: damaged: {item.name} holds something else than numbers")
    return item.dtype.itemsize * max(math.prod(item.shape or ()), math.prod(item.chunks or ()))


def _attributes_size(item: Any, path: str | os.PathLike[str]) -> int:
    """Bytes of all attributes, where a text of any length counts as a pointer to it."""
    attributes = [item.attrs.get_id(name) for name in item.attrs]
    sizes = [0 if attribute.shape is None else math.prod(attribute.shape) for attribute in attributes]  # None: empty
    if any(attribute.dtype.hasobject and size > MAX_TEXTS for attribute, size in zip(attributes, sizes, strict=True)):
        raise InputError(f"{path}: hostile: {item.name} has an attribute of more than {MAX_TEXTS} texts")
    return sum(attribute.dtype.itemsize * size for attribute, size in zip(attributes, sizes, strict=True))
