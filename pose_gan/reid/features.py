"""Features of images: made by a network, kept in a file, and scored later without the images.

A network is a run folder of `pose-gan reid train`, a Keras model (`.keras`), an ONNX model (`.onnx`), or `colours`: a
descriptor of clothes by their colours, for drawn people, which needs no file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pose_gan.errors import InputError, reason
from pose_gan.files.atomic import atomic_path
from pose_gan.files.images import read_image
from pose_gan.files.npz import read_arrays
from pose_gan.metrics import appearance
from pose_gan.metrics.base import CannotCompute
from pose_gan.metrics.identity import COLOURS, open_features
from pose_gan.reid.images import Images

NETWORK = "network.keras"  # in a run folder
BATCH = 32
READERS = 2  # threads that decode images while the network computes
FLAG = "--network"
_FIELDS = ("values", "people", "cameras", "names")
_KEYS = ("network", "images")

Describe = Callable[[Sequence[np.ndarray]], np.ndarray]
"""Images, uint8 `(H, W, 3)` each, RGB, of any sizes → features, float32 `(n, d)`."""


@dataclass(frozen=True, eq=False)
class Features:
    """Features of images.

    Attributes:
        values: float32 `(n, d)`.
        people, cameras: int64 `(n,)`, as of `Images`.
        names: the images' names; empty texts if they are not known.
        network, images: SHA-256 of the network's file and of the images' files; empty if another program made them.
    """

    values: np.ndarray
    people: np.ndarray
    cameras: np.ndarray
    names: tuple[str, ...]
    network: str = ""
    images: str = ""

    def __len__(self) -> int:
        return len(self.values)

    def select(self, rows: np.ndarray) -> Features:
        """Some of the features: rows are int `(m,)` or a mask, bool `(n,)`. What the files were is forgotten."""
        numbers = np.arange(len(self))[rows]
        names = tuple(self.names[number] for number in numbers)
        return Features(self.values[numbers], self.people[numbers], self.cameras[numbers], names)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes an `.npz` file, atomically."""
        save_features(path, {"": self})

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Features:
        """Reads what `save` wrote. Raises InputError: as `read_features`, or the file holds no single set."""
        sets = read_features(path)
        if set(sets) != {""}:
            raise InputError(f"{path}: holds the features of {', '.join(sets)}, not of one set of images")
        return sets[""]


def extract(
    images: Images, network: str | os.PathLike[str], progress: Callable[[int], object] = lambda count: None
) -> Features:
    """The features of images.

    Args:
        images: the images.
        network: a run folder, a `.keras` or `.onnx` file, or `colours`. A Keras model takes RGB images `(n, h, w, 3)`,
            range [0, 255]. An ONNX model takes `(n, 3, h, w)`, normalised as for ImageNet. If the model has a fixed
            size, images are resized to it (bilinear, by Pillow).
        progress: is told how many more images are done.
    Raises: InputError: there is no such network, it cannot be opened or does not give features `(n, d)`, or an image
        cannot be read.
    """
    describe = open_network(network)
    found = []
    for batch in _batches(images.paths()):
        values = np.asarray(describe(batch), np.float32)
        if not np.isfinite(values).all():
            raise InputError(f"{FLAG} {network}: gives features that are not finite")
        found.append(values)
        progress(len(batch))
    values = np.concatenate(found) if found else np.zeros((0, 0), np.float32)
    return Features(values, images.people, images.cameras, images.names, network_digest(network), images_digest(images))


def save_features(path: str | os.PathLike[str], sets: Mapping[str, Features]) -> None:
    """Writes several sets of features into one `.npz` file, atomically.

    The arrays of the set `query` are `query_values`, `query_people`, `query_cameras`, `query_names`, `query_network`
    and `query_images`; those of the set with the empty name have no prefix.
    """
    arrays = {
        f"{name}_{field}".lstrip("_"): np.array(getattr(features, field))
        for name, features in sets.items()
        for field in (*_FIELDS, *_KEYS)
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]


def read_features(path: str | os.PathLike[str]) -> dict[str, Features]:
    """Reads what `save_features` or another program wrote. Names, network and images may be absent.

    Raises: InputError: there is no such file, it is damaged, or arrays are absent or do not fit together.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file of features")
    arrays = read_arrays(path)
    prefixes = [name.removesuffix("values") for name in arrays if name == "values" or name.endswith("_values")]
    if not prefixes:
        raise InputError(f"{path}: holds no features; expected arrays such as query_values, got {', '.join(arrays)}")
    return {prefix.rstrip("_"): _set(path, prefix, arrays) for prefix in prefixes}


def extract_cached(
    path: str | os.PathLike[str],
    images: Mapping[str, Images],
    network: str | os.PathLike[str],
    progress: Callable[[int], object] = lambda count: None,
) -> dict[str, Features]:
    """The features of several sets of images, kept in a file.

    Args:
        path: the file. What it holds of the same images by the same network is not computed again.
        images: name → images.
        network, progress: as for `extract`.
    Returns: name → features.
    Raises: InputError: as `extract` and, if there is such a file, as `read_features`; or it holds features of another
        program.
    """
    network_key = network_digest(network)
    known = read_features(path) if Path(path).exists() else {}
    if foreign := [name for name, one in known.items() if not one.network]:
        raise InputError(
            f"{path}: holds features of another program ({', '.join(foreign)}), which would be lost; give another file "
            f"for those of {network}, or leave {FLAG} out to score those in the file"
        )
    sets = {name: one for name, one in known.items() if one.network == network_key}
    computed = False
    for name, of_name in images.items():
        there = sets.get(name)
        if there is not None and there.names == of_name.names and there.images == images_digest(of_name):
            progress(len(of_name))
            continue
        sets[name], computed = extract(of_name, network, progress), True
    if computed:
        save_features(path, sets)
    return {name: sets[name] for name in images}


def network_file(network: str | os.PathLike[str]) -> Path:
    """The file of a network; in a run folder it is `network.keras`. Raises InputError: there is none."""
    path = Path(network)
    if path.is_dir():
        path = path / NETWORK
    if not path.is_file():
        raise InputError(
            f"{FLAG} {network}: no such network; give the folder of a run of pose-gan reid train, a .keras or .onnx "
            f"file, or {COLOURS}"
        )
    return path


def network_digest(network: str | os.PathLike[str]) -> str:
    """SHA-256 of a network's file; `colours` for the descriptor."""
    return COLOURS if network == COLOURS else hashlib.sha256(network_file(network).read_bytes()).hexdigest()


def images_digest(images: Images) -> str:
    """SHA-256 of the names, people, cameras and files of images."""
    content = hashlib.sha256()
    for path, person, camera in zip(images.paths(), images.people, images.cameras, strict=True):
        content.update(f"{path.name}\t{person}\t{camera}\t".encode())
        try:
            content.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return content.hexdigest()


def open_network(network: str | os.PathLike[str]) -> Describe:
    """A network as a function; see `extract`, also for the errors."""
    if network == COLOURS:
        return lambda images: np.concatenate([appearance.describe(image[None]) for image in images])
    path = network_file(network)
    if path.suffix == ".onnx":
        try:
            return open_features(path, FLAG)
        except CannotCompute as error:
            raise InputError(f"{FLAG} {network}: {error}") from None
    if path.suffix == ".keras":
        return _keras_network(path)
    raise InputError(f"{FLAG} {network}: not a network; give a run folder, a .keras or .onnx file, or {COLOURS}")


def _keras_network(path: Path) -> Describe:
    from pose_gan import runtime

    runtime.start()
    import keras

    from pose_gan.estimators.foreign import check_keras

    check_keras(path)
    try:
        model: Any = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds
        raise InputError(f"{FLAG} {path}: not a Keras model that can be loaded ({reason(error)})") from None
    shape = model.inputs[0].shape if len(model.inputs) == 1 else ()
    if len(shape) != 4 or shape[3] != 3 or len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        inputs, outputs = ([tuple(item.shape) for item in side] for side in (model.inputs, model.outputs))
        raise InputError(
            f"{FLAG} {path}: has the inputs {inputs} and the outputs {outputs}, expected one (n, height, width, 3) and "
            "features (n, d)"
        )
    size = shape[1:3] if None not in shape[1:3] else None

    def describe(images: Sequence[np.ndarray]) -> np.ndarray:
        if size is not None:
            images = [_resized(image, size) for image in images]
        sizes = [image.shape for image in images]
        found: dict[int, np.ndarray] = {}
        for one in dict.fromkeys(sizes):  # a batch has one size
            rows = [row for row, other in enumerate(sizes) if other == one]
            batch = np.stack([images[row] for row in rows]).astype(np.float32)
            found |= zip(rows, np.asarray(model.predict_on_batch(batch)), strict=True)
        return np.stack([found[row] for row in range(len(images))])

    return describe


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _batches(paths: Sequence[Path]) -> Iterator[list[np.ndarray]]:
    """Images in batches; the next batch is read while the last one is used."""
    starts = range(0, len(paths), BATCH)
    with ThreadPoolExecutor(READERS) as pool:
        waiting = [pool.submit(read_image, path) for path in paths[:BATCH]]
        for start in starts:
            ready = waiting
            waiting = [pool.submit(read_image, path) for path in paths[start + BATCH : start + 2 * BATCH]]
            yield [image.result() for image in ready]


def _set(path: Path, prefix: str, arrays: Mapping[str, np.ndarray]) -> Features:
    try:
        values, people, cameras = (arrays[f"{prefix}{field}"] for field in _FIELDS[:3])
    except KeyError as error:
        raise InputError(
            f"{path}: has no array {error}; expected {prefix}values, {prefix}people and {prefix}cameras"
        ) from None
    names = arrays.get(f"{prefix}names", np.full(people.shape, ""))
    kinds = [people.dtype.kind, cameras.dtype.kind]
    if values.ndim != 2 or values.dtype.kind != "f" or not {*kinds} <= {"i", "u"} or names.dtype.kind != "U":
        raise InputError(
            f"{path}: expected {prefix}values (n, d) of floats, {prefix}people and {prefix}cameras (n,) of integers"
        )
    if not people.shape == cameras.shape == names.shape == values.shape[:1]:
        raise InputError(
            f"{path}: {len(values)} features need as many people, cameras and names, got "
            f"{people.shape}, {cameras.shape}, {names.shape}"
        )
    with np.errstate(over="ignore"):
        values = values.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: {prefix}values: {np.count_nonzero(~np.isfinite(values))} values are not finite")
    keys = (str(arrays.get(f"{prefix}{key}", "")) for key in _KEYS)
    return Features(
        values,
        people.astype(np.int64),
        cameras.astype(np.int64),
        tuple(names.tolist()),
        *keys,
    )
