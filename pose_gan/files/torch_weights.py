"""Weights that PyTorch saved (`.pth`), read without PyTorch, and with nothing of the file run as code.

Such a file is a pickle of a dictionary from names to tensors. Newer files are a zip archive with one member per tensor;
older ones have the tensors' bytes behind the pickle.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from pose_gan.errors import InputError

DTYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8", "LongStorage": "<i8"}
_MAGIC = 0x1950A86A20F9469CFC6C  # what files of the older kind begin with
_DAMAGE = (pickle.UnpicklingError, zipfile.BadZipFile, struct.error, KeyError, ValueError, TypeError, EOFError)
_DAMAGE += (IndexError, AttributeError, OSError, MemoryError, OverflowError)


class _Storage(NamedTuple):
    dtype: str
    key: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a state dictionary, by name, in the order of the file.

    Args:
        path: the file.
    Raises: InputError: no such file, a damaged one, or one that holds something else than a dictionary of arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights")
    try:
        if zipfile.is_zipfile(path):
            return _read_archive(path)
        with path.open("rb") as file:
            return _read_older(file)
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: damaged, or not a file of PyTorch weights: {reason}") from None


class _Unpickler(pickle.Unpickler):
    """Makes nothing but dictionaries, numbers, texts and descriptions of tensors."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in (("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor")):
            return lambda storage, offset, shape, strides, *_: _Tensor(storage, offset, tuple(shape), tuple(strides))
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name in DTYPES:
            return name
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no array")

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, *_ = pid
        return _Storage(DTYPES[kind], str(key))


def _read_archive(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        state = _Unpickler(io.BytesIO(archive.read(name))).load()
        folder = name.rpartition("/")[0]
        keys = {item.storage for item in _tensors(state).values()}
        data = {storage: np.frombuffer(archive.read(f"{folder}/data/{storage.key}"), storage.dtype) for storage in keys}
    return _arrays(state, data)


def _read_older(file: IO[bytes]) -> dict[str, np.ndarray]:
    def load() -> Any:
        return _Unpickler(file).load()

    if load() != _MAGIC:
        raise ValueError("it does not begin as such a file does")
    for _ in range(2):
        load()  # the version of the format, and the sizes of numbers on the machine that wrote it
    state, keys = load(), load()
    dtypes = {item.storage.key: item.storage.dtype for item in _tensors(state).values()}
    data = {}
    for key in map(str, keys):
        (count,) = struct.unpack("<q", file.read(8))
        dtype = np.dtype(dtypes[key])
        data[_Storage(dtypes[key], key)] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return _arrays(state, data)


def _tensors(state: Any) -> dict[str, _Tensor]:
    if not isinstance(state, dict):
        raise ValueError("it holds no dictionary")
    return {str(name): item for name, item in state.items() if isinstance(item, _Tensor)}


def _arrays(state: Any, data: dict[_Storage, np.ndarray]) -> dict[str, np.ndarray]:
    arrays = {}
    for name, (storage, offset, shape, strides) in _tensors(state).items():
        values, last = data[storage], sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if 0 in shape or min((offset, *strides), default=0) < 0 or offset + last >= len(values):
            raise ValueError(f"{name} reaches beyond its data")
        view = np.lib.stride_tricks.as_strided(
            values[offset:], shape, [stride * values.itemsize for stride in strides], writeable=False
        )
        arrays[name] = np.array(view)
    return arrays
