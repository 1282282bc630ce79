"""HDF5 files that may be damaged or hostile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from pose_gan.errors import InputError

DAMAGE = (OSError, KeyError, RuntimeError, SystemError, UnicodeDecodeError)
"""The exceptions that h5py raises for damaged files."""


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Opens a file for reading, after a check that none of its links and arrays leads to another file.

    Raises: InputError: the file does not exist, is damaged, is not HDF5, or leads to another file; also if reading
        fails inside of the block.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such model file")
    try:
        with h5py.File(path) as file:
            elsewhere = file.visititems_links(_link_elsewhere) or file.visititems(_array_elsewhere)
            if elsewhere:
                raise InputError(f"{path}: hostile: {elsewhere} leads to another file")
            yield file
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: damaged, or not an HDF5 file: {reason}") from None


def text(value: Any) -> str:
    """The value of a text attribute as str; Keras 2 wrote bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _link_elsewhere(name: str, link: Any) -> str | None:
    return name if isinstance(link, h5py.ExternalLink) else None


def _array_elsewhere(name: str, item: Any) -> str | None:
    return name if isinstance(item, h5py.Dataset) and (item.is_virtual or item.external) else None
