"""Checkpoints of a training run: everything that a run needs to continue as if it had never stopped.

A run's folder of checkpoints holds one folder per checkpoint, such as `step-00002000/`, and `LAST`, a text
file with the name of the newest one. A checkpoint is written beside them, moved into place, and only then
named in `LAST`. So the run still has a complete checkpoint if it is killed at any moment.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.files.text import write_json, write_text
from pose_gan.model_files.metadata import ModelInfo
from pose_gan.model_files.run_folder import LAST, latest_checkpoint
from pose_gan.model_files.saving import save_model

VARIABLES = "variables.npz"
STATE = "state.json"


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
        folder: the run's folder of checkpoints.
        step: number of generator updates so far.
        models: file name → model and its metadata, saved as stand-alone files.
        variables: group name → all variables to restore (weights, optimizer slots, random states).
        state: JSON values to restore (data position, …).
        keep: number of checkpoints to keep; older ones are deleted. 0 keeps all.
    Returns: the checkpoint's folder.
    """
    folder = Path(folder)
    target = folder / f"step-{step:08d}"
    for unfinished in folder.glob(".step-*"):  # a killed run left it
        shutil.rmtree(unfinished)
    if latest_checkpoint(folder) != target:
        if target.is_dir():  # the run reached this step before, but was continued from an older checkpoint
            shutil.rmtree(target)
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
    write_text(folder / LAST, target.name + "\n")
    if keep:
        for old in sorted(folder.glob("step-*"))[:-keep]:
            if old != target:
                shutil.rmtree(old)
    return target


def restore_checkpoint(
    checkpoint: str | os.PathLike[str], variables: dict[str, Sequence[keras.Variable]]
) -> dict[str, Any]:
    """Loads a checkpoint's variables in place and returns its state.

    Raises: InputError: the checkpoint is damaged, or belongs to another architecture.
    """
    checkpoint = Path(checkpoint)
    try:
        state = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
        if not isinstance(state, dict) or not all(type(state.get(key)) is int for key in ("step", "position")):
            raise ValueError(f"{STATE} has no whole numbers step and position")
        with np.load(checkpoint / VARIABLES, allow_pickle=False) as arrays:
            expected = {f"{group}/{i}": v for group, items in variables.items() for i, v in enumerate(items)}
            if set(expected) != set(arrays.files):
                raise InputError(
                    f"{checkpoint}: holds {len(arrays.files)} variables, the run's networks have {len(expected)}; "
                    "it was made with other settings"
                )
            for key, variable in expected.items():
                values = arrays[key]
                if values.shape != tuple(variable.shape):
                    raise InputError(f"{checkpoint}: {key} has shape {values.shape}, expected {tuple(variable.shape)}")
                variable.assign(values)
    except InputError:
        raise
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{checkpoint}: a damaged checkpoint ({error}); delete it and name an older one in LAST"
        ) from None
    return state
