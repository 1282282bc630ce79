"""Checkpoints of a training run: everything that a run needs to continue as if it had never stopped.

A run's folder of checkpoints holds one folder per checkpoint, such as `step-00002000/`, and `LAST`, a text
file with the name of the newest one. A checkpoint is written beside them, moved into place, and only then
named in `LAST`. So the run still has a complete checkpoint if it is killed at any moment. If the newest one is
damaged all the same (by the disk, or by a power cut), the run goes on from the one before.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pose_gan.errors import InputError, reason
from pose_gan.files.atomic import atomic_path, discard, remove_parts
from pose_gan.files.text import read_text, write_json, write_text
from pose_gan.model_files.metadata import ModelInfo
from pose_gan.model_files.run_folder import LAST, checkpoints_in, latest_checkpoint, named_checkpoint, step_of
from pose_gan.model_files.saving import save_model

VARIABLES = "variables.npz"
STATE = "state.json"


class DamagedCheckpointError(InputError):
    """A checkpoint cannot be read whole."""


@dataclass(frozen=True)
class Restored:
    """The checkpoint from which a run goes on.

    Attributes:
        path: its folder.
        state: the JSON values that were saved in it.
        damaged: newer checkpoints that are damaged, and what is wrong with them.
    """

    path: Path
    state: dict[str, Any]
    damaged: dict[Path, str] = field(default_factory=dict)


def save_checkpoint(
    folder: str | os.PathLike[str],
    step: int,
    models: dict[str, tuple[keras.Model, ModelInfo]],
    variables: dict[str, Sequence[keras.Variable]],
    state: dict[str, Any],
    keep: int = 0,
) -> Path:
    """Writes the checkpoint of `step` and makes it the last one of the run.

    Args:
        folder: the run's folder of checkpoints. No other program may be saving there.
        step: number of generator updates so far.
        models: file name → model and its metadata, saved as stand-alone files.
        variables: group name → all variables to restore (weights, optimizer slots, random states).
        state: JSON values to restore (data position, …).
        keep: number of checkpoints to keep, this one included; older ones are deleted. 0 keeps all.
    Returns: the checkpoint's folder.
    Raises: OSError: the disk is full, or fails; the checkpoints from before are intact.
    """
    folder = Path(folder)
    target = folder / f"step-{step:08d}"
    _delete_unfinished(folder)
    if named_checkpoint(folder) != target:
        with atomic_path(target) as temporary:
            temporary.mkdir()
            arrays = {
                f"{group}/{number}": np.asarray(variable)
                for group, items in variables.items()
                for number, variable in enumerate(items)
            }
            np.savez(temporary / VARIABLES, **arrays)  # pyright: ignore[reportArgumentType]
            for name, (model, info) in models.items():
                save_model(model, temporary / name, info)
            write_json(temporary / STATE, {"step": step, **state})
            _to_disk(temporary)
            if target.is_dir():  # the run reached this step before, but was continued from an older checkpoint
                discard(target)
        write_text(folder / LAST, target.name + "\n")
    _delete_old(target, keep)
    return target


def restore_checkpoint(
    checkpoint: str | os.PathLike[str], variables: dict[str, Sequence[keras.Variable]]
) -> dict[str, Any]:
    """Loads a checkpoint's variables in place and returns its state.

    Raises: InputError: the checkpoint is damaged (DamagedCheckpointError), or belongs to another architecture.
    """
    checkpoint = Path(checkpoint)
    expected = {f"{group}/{i}": v for group, items in variables.items() for i, v in enumerate(items)}
    shapes = {key: tuple(variable.shape) for key, variable in expected.items()}
    state = _read_state(checkpoint)
    for key, values in _read_arrays(checkpoint, shapes):
        expected[key].assign(values)
    return state


def restore_newest(folder: str | os.PathLike[str], variables: dict[str, Sequence[keras.Variable]]) -> Restored | None:
    """Loads the variables of the newest checkpoint that is whole. Returns None if there is no checkpoint.

    Raises: InputError: every checkpoint is damaged, or the newest belongs to another architecture.
    """
    damaged: dict[Path, str] = {}
    for checkpoint in _from_newest(Path(folder)):
        try:
            return Restored(checkpoint, restore_checkpoint(checkpoint, variables), damaged)
        except DamagedCheckpointError as error:
            damaged[checkpoint] = str(error)
    if damaged:
        raise InputError(
            f"no checkpoint is whole: {'; '.join(damaged.values())}; put a copy of one in its place, "
            "or begin a new run in another folder"
        )
    return None


def settle(restored: Restored, keep: int = 0) -> list[str]:
    """Brings a folder of checkpoints in order, before a run goes on from a restored one.

    That one becomes the last one, damaged ones are renamed to `damaged-step-…` (none is deleted), and old ones are
    deleted if a kill came before that.

    Args:
        restored: the checkpoint.
        keep: as in `save_checkpoint`.
    Returns: a sentence for each damaged one.
    """
    folder = restored.path.parent
    _delete_unfinished(folder)
    if named_checkpoint(folder) != restored.path:
        write_text(folder / LAST, restored.path.name + "\n")
    said = []
    for path, why in restored.damaged.items():
        aside, number = folder / f"damaged-{path.name}", 1
        while aside.exists():
            number += 1
            aside = folder / f"damaged-{path.name}-{number}"
        path.rename(aside)
        said.append(f"{why}; it is kept as {aside.name}, and the run goes on from {restored.path.name}")
    _delete_old(restored.path, keep)
    return said


def _delete_unfinished(folder: Path) -> None:
    """Deletes what a killed run left of its files."""
    for pattern in ("step-*", LAST):
        remove_parts(folder, pattern)


def _delete_old(last: Path, keep: int) -> None:
    """Deletes checkpoints of steps before the last one, so that `keep` are left; 0 keeps all."""
    older = [path for path in checkpoints_in(last.parent) if step_of(path) < step_of(last) and not path.is_symlink()]
    for path in older[: max(0, len(older) - keep + 1)] if keep else []:
        discard(path)


def _from_newest(folder: Path) -> list[Path]:
    """All checkpoints: the last one, those before it from the newest on, and then any of later steps."""
    last = latest_checkpoint(folder)
    if last is None:
        return []
    return sorted(checkpoints_in(folder), key=lambda path: (step_of(path) > step_of(last), -step_of(path)))


@contextlib.contextmanager
def _reading(checkpoint: Path) -> Iterator[None]:
    """What goes wrong in the block is told as damage of the checkpoint."""
    try:
        yield
    except (InputError, PermissionError):
        raise
    except Exception as error:  # zipfile and NumPy raise many kinds for a damaged file
        raise DamagedCheckpointError(f"{checkpoint}: a damaged checkpoint ({reason(error)})") from None


def _read_state(checkpoint: Path) -> dict[str, Any]:
    with _reading(checkpoint):
        state = json.loads(read_text(checkpoint / STATE))
        if not isinstance(state, dict) or not all(type(state.get(key)) is int for key in ("step", "position")):
            raise ValueError(f"{STATE} has no whole numbers step and position")
        return state


def _read_arrays(checkpoint: Path, shapes: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays by name. Raises InputError if their names or shapes are not the ones given."""
    with _reading(checkpoint), np.load(checkpoint / VARIABLES, allow_pickle=False) as arrays:
        if set(shapes) != set(arrays.files):
            raise InputError(
                f"{checkpoint}: holds {len(arrays.files)} variables, the run's networks have {len(shapes)}; "
                "it was made with other settings"
            )
        for key, shape in shapes.items():
            values = arrays[key]
            if values.shape != shape:
                raise InputError(f"{checkpoint}: {key} has shape {values.shape}, expected {shape}")
            yield key, values


def _to_disk(folder: Path) -> None:
    """Waits until the disk has the files of a folder, so that a power cut leaves none of them empty."""
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
