"""Archives of NumPy arrays (`.npz`) that may be damaged or hostile."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from pose_gan.errors import InputError, reason
from pose_gan.files.hdf5 import MAX_GROWTH, SPARE

_DAMAGE = (OSError, ValueError, KeyError, EOFError, TypeError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an archive. Nothing in it is run: pickled objects are refused.

    Raises: InputError: there is no such file, it is damaged or another kind of file, or it unpacks to far more than it
        weighs.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights")
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked, size = sum(member.file_size for member in archive.infolist()), path.stat().st_size
        if unpacked > MAX_GROWTH * size + SPARE:
            raise InputError(f"{path}: hostile: unpacks to {unpacked:,} bytes, but has {size:,}")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _DAMAGE as error:
        raise InputError(f"{path}: damaged, or no .npz file of arrays ({reason(error)})") from None
