"""The layout of a training run's folder.

`options.json` contains all settings. It also names the folder of checkpoints, which holds one folder per checkpoint
(`step-00002000/`) and `LAST`, a text file with the name of the newest checkpoint. `generator.h5` is the newest
generator.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pose_gan.errors import InputError

EXPORTS = {
    "h5": "generator.h5",
    "keras": "generator.keras",
    "savedmodel": "saved_model",
    "tflite": "generator.tflite",
    "onnx": "generator.onnx",
}
"""Format → the usual name of its file."""
MODEL_SUFFIXES = (".h5", ".keras")
SAVED_MODEL = "saved_model.pb"  # the file that makes a folder a SavedModel
OPTIONS = "options.json"
GENERATOR = "generator.h5"
DISCRIMINATOR = "discriminator.h5"
LAST = "LAST"


def latest_checkpoint(folder: str | os.PathLike[str]) -> Path | None:
    """The newest checkpoint in a run's folder of checkpoints; None if there is none yet.

    If `LAST` is absent, the newest checkpoint is the one with the highest step. (This happens when a run is killed
    after it wrote the first checkpoint and before it wrote `LAST`.)
    """
    folder = Path(folder)
    try:
        name = (folder / LAST).read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return max(folder.glob("step-*"), default=None)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder / LAST}: cannot be read: {error}; write the name of a checkpoint in it") from None
    if not name or not (folder / name).is_dir():
        raise InputError(
            f"{folder / LAST} names {name!r}, which is not there; write the name of another checkpoint in it"
        )
    return folder / name


def checkpoints_of_run(run: str | os.PathLike[str]) -> Path:
    """The folder of checkpoints that a run's `options.json` names. Raises InputError if `run` is not a run's folder."""
    return Path(run) / read_options(run).get("checkpoints_dir", "checkpoints")  # relative to the run, or absolute


def read_options(run: str | os.PathLike[str]) -> dict[str, Any]:
    """A run's `options.json`: `config`, `checkpoints_dir` (relative to the run's folder) and versions.

    Raises: InputError: the file is absent, or cannot be read.
    """
    path = Path(run) / OPTIONS
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{run}: not the folder of a training run (it has no {OPTIONS})") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged: {error}") from None
    if not isinstance(options, dict) or "config" not in options:
        raise InputError(f"{path}: damaged: it has no 'config'")
    return options


def latest_generator(run: str | os.PathLike[str]) -> Path:
    """The generator file of a run's newest checkpoint. Raises InputError if there is none."""
    checkpoint = latest_checkpoint(checkpoints_of_run(run))
    if checkpoint is None:
        raise InputError(f"{run}: this run has no checkpoint yet")
    return checkpoint / GENERATOR


def model_file(path: str | os.PathLike[str]) -> Path:
    """`path` itself or, if it is a training run's folder, the generator file of its newest checkpoint.

    Raises: InputError: `path` does not exist, or it is a folder that is neither a run nor a SavedModel.
    """
    path = Path(path)
    if path.is_dir() and not (path / SAVED_MODEL).is_file():
        return latest_generator(path)
    if not path.exists():
        raise InputError(f"{path}: no such model file or folder; give the folder of a training run, or a model file")
    return path


def new_run_dir(root: str | os.PathLike[str], name: str) -> Path:
    """The path of a new run's folder, such as `root/00003-name`, with the next free number."""
    taken = [int(path.name[:5]) for path in Path(root).glob("[0-9]" * 5 + "-*")]
    return Path(root) / f"{max(taken, default=-1) + 1:05d}-{name}"
