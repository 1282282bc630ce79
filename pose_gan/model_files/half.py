"""Generators in half precision: a `.h5` file of less than half the size, which every program reads as any other.

Keras casts the weights to float32 when it reads them. So the file gives the same images as the generator whose weights
were rounded, bit for bit.
"""

from __future__ import annotations

import os

import h5py
import keras
import numpy as np

from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.files.hdf5 import opened

LARGEST = float(np.finfo(np.float16).max)  # 65504
PACKED = 1024  # numbers; smaller arrays are stored as they are, since their description outweighs the gain


def round_weights(model: keras.Model) -> None:
    """Rounds the weights of a float32 model, in place, to numbers that half precision holds.

    Raises: InputError: a weight is beyond the largest such number, 65504, or is not finite.
    """
    for weight in model.weights:
        if "float" in weight.dtype:
            values = weight.numpy()
            if not (np.abs(values) <= LARGEST).all():  # NaN too
                raise InputError(f"half precision: the weight {weight.path} has values that it cannot hold")
            weight.assign(values.astype(np.float16).astype(np.float32))


def pack(path: str | os.PathLike[str]) -> None:
    """Writes the float32 arrays of a `.h5` model file again, in half precision and compressed, atomically.

    The bytes are sorted by significance (HDF5's `shuffle`) before they are compressed: signs and exponents of weights
    repeat, mantissas do not.
    """
    with atomic_path(path) as temporary, opened(path) as file, h5py.File(temporary, "w", libver="latest") as packed:
        packed.attrs.update(file.attrs)

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            made = _packed(packed, name, item[()]) if isinstance(item, h5py.Dataset) else packed.require_group(name)
            made.attrs.update(item.attrs)

        file.visititems(copy)


def _packed(file: h5py.File, name: str, values: np.ndarray) -> h5py.Dataset:
    values = values.astype(np.float16) if values.dtype == np.float32 else values
    if values.size < PACKED:
        return file.create_dataset(name, data=values)
    return file.create_dataset(
        name, data=values, chunks=values.shape, shuffle=True, compression="gzip", compression_opts=9
    )
