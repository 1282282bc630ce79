"""What a model file knows of itself: settings, skeleton, the training run. It stands in every format that we write.

| format | place |
| --- | --- |
| `.h5` | attribute `pose_gan` of the root |
| `.keras` | comment of the archive |
| SavedModel | `assets.extra/pose_gan.json` |
| `.tflite` | file `pose_gan.json`, attached as TFLite's associated files are |
| `.onnx` | metadata property `pose_gan` |

All hold the same JSON: `ModelInfo`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from pose_gan import __version__
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.files import hdf5
from pose_gan.files.records import build
from pose_gan.files.text import write_text

KEY = "pose_gan"
ATTACHED = "pose_gan.json"
KINDS = ("generator", "discriminator")
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class TrainingInfo:
    """Where weights come from. Paths are left out: a model file is for others.

    Attributes:
        run: name of the training run's folder.
        dataset: name of the data set.
        preset: the row of the paper's Table 3 that skips and losses are of; None: of none.
        step: generator updates done.
        batch_size: pairs a batch.
        learning_rate: of both optimizers.
        seed: of weights, order of pairs and dropout.
        begun_from: name of the generator's file that the run began with; None: random weights.
    """

    run: str
    dataset: str
    preset: str | None
    step: int
    batch_size: int
    learning_rate: float
    seed: int
    begun_from: str | None = None


@dataclass(frozen=True)
class ModelInfo:
    """What a model file knows of itself.

    Attributes:
        kind: `generator` or `discriminator`.
        model: settings of the network, skeleton included; a generator does not know `disc_type`.
        training: None: not known.
        converted_from: name of the authors' checkpoint that the weights are of; None: ours.
        pose_gan: version of this package that wrote the file; empty: another program did.
    """

    kind: str
    model: ModelConfig
    training: TrainingInfo | None = None
    converted_from: str | None = None
    pose_gan: str = __version__

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind {self.kind!r} is not known; allowed: {', '.join(KINDS)}")

    def written_now(self) -> ModelInfo:
        """The same in a file of this version."""
        return dataclasses.replace(self, pose_gan=__version__)

    def to_json(self) -> str:
        values = dataclasses.asdict(self)
        return json.dumps(values | {"model": self.model.to_dict()}, ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> ModelInfo:
        """The inverse of `to_json`. Raises InputError naming `where` and the key."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: its metadata are damaged: {error}") from None
        return build(cls, values, f"{where}: metadata")


def attach(path: str | os.PathLike[str], info: ModelInfo) -> None:
    """Writes metadata into a model file (or SavedModel folder) that has none yet."""
    path, text = Path(path), info.to_json()
    if path.is_dir():
        write_text(path / "assets.extra" / ATTACHED, text + "\n")
    elif path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            file.attrs[KEY] = text
    elif path.suffix == ".keras":
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = text.encode("ascii")
    elif path.suffix == ".tflite":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(ATTACHED, text)
    elif path.suffix == ".onnx":
        onnx = _onnx(path)
        model = onnx.load(path)
        model.metadata_props.add(key=KEY, value=text)
        onnx.save(model, path)
    else:
        raise ValueError(f"{path}: not a format that holds metadata")


def read(path: str | os.PathLike[str]) -> ModelInfo | None:
    """The metadata of a model file; None: it has none.

    Raises: InputError: no such file, another format, a damaged file.
    """
    path = Path(path)
    if path.is_dir():
        attached = path / "assets.extra" / ATTACHED
        text = attached.read_bytes()[:MAX_BYTES] if attached.is_file() else None
    elif not path.is_file():
        raise InputError(f"{path}: no such model file")
    elif path.suffix == ".h5":
        with hdf5.opened(path) as file:
            text = hdf5.text(file.attrs[KEY]) if KEY in file.attrs else None
    elif path.suffix in (".keras", ".tflite"):
        text = _from_archive(path)
    elif path.suffix == ".onnx":
        text = _from_onnx(path)
    else:
        raise InputError(f"{path}: not a model file: it ends in none of .h5, .keras, .tflite, .onnx")
    return None if not text else ModelInfo.from_json(text, str(path))


def _from_archive(path: Path) -> bytes | None:
    try:
        with zipfile.ZipFile(path) as archive:
            if path.suffix == ".keras":
                return archive.comment
            with archive.open(ATTACHED) as attached:
                return attached.read(MAX_BYTES)
    except KeyError:
        return None
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        if path.suffix == ".tflite":
            return None  # a TFLite file to which nothing is attached is no archive
        raise InputError(f"{path}: damaged: {error}") from None


def _from_onnx(path: Path) -> str | None:
    try:
        model = _onnx(path).load(path, load_external_data=False)
    except InputError:
        raise
    except Exception as error:  # protobuf's DecodeError
        raise InputError(f"{path}: damaged, or not an ONNX model: {error}") from None
    return next((entry.value for entry in model.metadata_props if entry.key == KEY), None)


def _onnx(path: Path) -> Any:
    try:
        import onnx
    except ImportError:
        raise InputError(f"{path}: ONNX files need the package onnx; install pose_gan[onnx]") from None
    return onnx
