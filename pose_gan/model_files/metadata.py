"""The metadata of a model file: settings, skeleton and training run. Every format that we write contains them.

| format | place of the metadata |
| --- | --- |
| `.h5` | attribute `pose_gan` of the root group |
| `.keras` | comment of the ZIP archive |
| SavedModel | `assets.extra/pose_gan.json` |
| `.tflite` | file `pose_gan.json`, attached in the way of TFLite's associated files |
| `.onnx` | metadata property `pose_gan` |

All formats hold the same JSON text, which is a `ModelInfo`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import h5py

from pose_gan import __version__
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError, reason
from pose_gan.files import hdf5
from pose_gan.files.records import build
from pose_gan.files.text import write_text
from pose_gan.model_files import onnx_files

KEY = "pose_gan"
ATTACHED = "pose_gan.json"
KINDS = ("generator", "discriminator")
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class TrainingInfo:
    """The origin of the weights. It holds no paths, because model files are passed on to other people.

    Attributes:
        run: name of the training run's folder.
        dataset: name of the data set.
        preset: the row of the paper's Table 3 whose skips and losses were used; None: they are of no row.
        step: number of generator updates done.
        batch_size: pairs per batch.
        learning_rate: learning rate of both optimizers.
        seed: seed of the weights, of the order of pairs and of dropout.
        begun_from: name of the generator file with which the run began; None: it began with random weights.
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
    """The metadata of a model file.

    Attributes:
        kind: `generator` or `discriminator`.
        model: settings of the network, including the skeleton; the file of a generator does not know `disc_type`.
        training: the origin of the weights; None: it is not known.
        converted_from: name of the authors' checkpoint from which the weights come; None: they are not from one.
        pose_gan: version of this package that wrote the file; empty: another program wrote it.
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
        """The same metadata for a file that this version writes."""
        return dataclasses.replace(self, pose_gan=__version__)

    def to_json(self) -> str:
        values = dataclasses.asdict(self)
        return json.dumps(values | {"model": self.model.to_dict()}, ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> ModelInfo:
        """The inverse of `to_json`. It raises InputError with a message that names `where` and the key."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: its metadata are damaged: {reason(error)}") from None
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
        onnx = onnx_files.package("onnx", path)
        model = onnx.load(path)
        model.metadata_props.add(key=KEY, value=text)
        onnx.save(model, path)
    else:
        raise ValueError(f"{path}: not a format that holds metadata")


def read(path: str | os.PathLike[str]) -> ModelInfo | None:
    """The metadata of a model file; None if it has none.

    Raises: InputError: the file is absent, damaged or of another format.
    """
    path = Path(path)
    if path.is_dir():
        attached = path / "assets.extra" / ATTACHED
        text = _beginning(attached) if attached.is_file() else None
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


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from None


def _from_archive(path: Path) -> bytes | None:
    try:
        with zipfile.ZipFile(path) as archive:
            if path.suffix == ".keras":
                return archive.comment
            with archive.open(ATTACHED) as attached:
                return attached.read(MAX_BYTES)
    except KeyError:
        return None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        if path.suffix == ".tflite":
            return None  # a TFLite file without attached files is not an archive
        raise InputError(f"{path}: damaged: {reason(error)}") from None


def _from_onnx(path: Path) -> str | None:
    return next((entry.value for entry in onnx_files.load(path).metadata_props if entry.key == KEY), None)
