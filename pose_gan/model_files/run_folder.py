"""The layout of a training run's folder.

`options.json` contains all settings. It also names the folder of checkpoints, which holds one folder per checkpoint
(`step-00002000/`) and `LAST`, a text file with the name of the newest checkpoint. `generator.h5` is the newest
generator.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from pose_gan.errors import InputError, reason
from pose_gan.files.text import read_text

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
DEMO = "demo"  # the generator that comes with the package
DEMO_FILE = Path(__file__).with_name("demo.h5")
DEMO_KNOWS = "the generator that comes with the package knows drawn people only (pose-gan data demo)"
CHECKPOINT = re.compile(r"step-[0-9]+")


def checkpoints_in(folder: str | os.PathLike[str]) -> list[Path]:
    """The checkpoints in a folder, in the order of their steps. Other files and folders (`step-notes`) are none."""
    found = [path for path in Path(folder).glob("step-*") if CHECKPOINT.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The number of generator updates before a checkpoint, from its name."""
    return int(checkpoint.name.removeprefix("step-"))


def named_checkpoint(folder: str | os.PathLike[str]) -> Path | None:
    """The checkpoint that `LAST` names; None if there is no `LAST`, or if what it names is not there."""
    folder = Path(folder)
    try:
        name = read_text(folder / LAST).strip()
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise InputError(f"{folder / LAST}: cannot be read: {error.strerror}") from None
    return folder / name if folder / name in checkpoints_in(folder) else None


def latest_checkpoint(folder: str | os.PathLike[str]) -> Path | None:
    """The newest checkpoint in a run's folder of checkpoints; None if there is none yet.

    `LAST` names it. Where `LAST` is absent (a kill came between the first checkpoint and its name), or names what
    was deleted, it is the checkpoint with the highest step.
    """
    return named_checkpoint(folder) or max(checkpoints_in(folder), key=step_of, default=None)


def check_place(run: str | os.PathLike[str], checkpoints: str | os.PathLike[str], resume: bool) -> None:
    """Checks that a run may be begun in a folder, or resumed there, without another run being lost.

    Args:
        run: the run's folder.
        checkpoints: the run's folder of checkpoints.
        resume: whether a run that is there goes on.
    Raises: InputError: the folders hold a run, and `resume` is false; or the run's checkpoints stand elsewhere.
    """
    run, checkpoints = Path(run), Path(checkpoints)
    held = latest_checkpoint(checkpoints)
    begun = (run / OPTIONS).exists()
    places = (run, run / "checkpoints", *([checkpoints_of_run(run)] if begun else []))
    elsewhere = next((path for path in map(latest_checkpoint, places) if path), None)
    if resume and held is None and elsewhere is not None:
        raise InputError(
            f"{checkpoints}: holds no checkpoint, but the run {run} has some in {elsewhere.parent}; leave "
            "--checkpoints_dir out, or move them there"
        )
    if not resume and (held or elsewhere):
        there = held or elsewhere
        assert there is not None
        raise InputError(
            f"{there.parent} holds the run of {there.name} already; continue it with --resume {run}, "
            "or give another --output_dir"
        )
    if not resume and begun:
        raise InputError(
            f"{run} holds a run already, which has no checkpoint yet; --resume auto begins it again with its settings, "
            "or give another --output_dir"
        )


def checkpoints_of_run(run: str | os.PathLike[str]) -> Path:
    """The folder of checkpoints that a run's `options.json` names. Raises InputError if `run` is not a run's folder."""
    return Path(run) / read_options(run).get("checkpoints_dir", "checkpoints")  # relative to the run, or absolute


def read_options(run: str | os.PathLike[str]) -> dict[str, Any]:
    """A run's `options.json`: `config`, `checkpoints_dir` (relative to the run's folder) and versions.

    Raises: InputError: the file is absent, or cannot be read.
    """
    path = Path(run) / OPTIONS
    try:
        options = json.loads(read_text(path))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{run}: not the folder of a training run (it has no {OPTIONS})") from None
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged: {reason(error)}") from None
    if not isinstance(options, dict) or "config" not in options:
        raise InputError(f"{path}: damaged: it has no 'config'")
    if not isinstance(options.get("checkpoints_dir", ""), str):
        raise InputError(f"{path}: damaged: 'checkpoints_dir' is not the name of a folder")
    return options


def latest_generator(run: str | os.PathLike[str]) -> Path:
    """The generator file of a run's newest checkpoint. Raises InputError if there is none."""
    checkpoint = latest_checkpoint(checkpoints_of_run(run))
    if checkpoint is None:
        raise InputError(f"{run}: this run has no checkpoint yet")
    return checkpoint / GENERATOR


def model_file(path: str | os.PathLike[str]) -> Path:
    """`path` itself or, if it is a training run's folder, the generator file of its newest checkpoint.

    `demo` is the generator that comes with the package, whatever the working folder holds; `./demo` is a path.

    Raises: InputError: `path` does not exist, or it is a folder that is neither a run nor a SavedModel.
    """
    if os.fspath(path) == DEMO:
        return DEMO_FILE
    path = Path(path)
    if path.is_dir() and not (path / SAVED_MODEL).is_file():
        return latest_generator(path)
    if not path.exists():
        raise InputError(
            f"{path}: no such model file or folder; give the folder of a training run, a model file, or {DEMO}"
        )
    return path


def new_run_dir(root: str | os.PathLike[str], name: str) -> Path:
    """The path of a new run's folder, such as `root/00003-name`, with the next free number."""
    taken = [int(path.name[:5]) for path in Path(root).glob("[0-9]" * 5 + "-*")]
    return Path(root) / f"{max(taken, default=-1) + 1:05d}-{name}"
