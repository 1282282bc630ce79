"""What workers check before they train together: that they have the same, and write into the same folder."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pose_gan.config import RunConfig, value_in_words
from pose_gan.errors import InputError
from pose_gan.training.checkpoint import STATE
from pose_gan.training.team import Team
from pose_gan.versions import versions

TOKEN = ".shared-by-workers"
PATIENCE_SECONDS = 60.0
"""How long a file of the chief may take to appear on other machines: network file systems remember what was absent."""


def compare(team: Team, config: RunConfig, data: dict[str, Any], checkpoint: Path | None) -> None:
    """Raises InputError, on every worker, if the workers differ in versions, settings, data or the checkpoint.

    Args:
        team: the workers.
        config: the settings; the places of the data may differ, but not what stands there.
        data: the `data_record`.
        checkpoint: the newest checkpoint; None: the run begins.
    """
    if team.size == 1:
        return
    values: dict[str, Any] = dict(versions())
    for section, fields in config.to_dict().items():
        if section != "data":
            values |= {f"--{name}": value_in_words(value) for name, value in fields.items()}
    for name in ("vgg_weights", "pose_estimator"):
        path = Path(getattr(config.loss, name) or "")
        if path.is_file():
            values[f"{path} with the hash"] = _short_hash(path.read_bytes())
    values |= {f"training {name}": str(value)[:16] for name, value in data.items()}
    state = checkpoint / STATE if checkpoint else None
    if state is not None and state.is_file():
        values["the checkpoint"] = f"{state.parent.name} with the hash {_short_hash(state.read_bytes())}"
    team.compare(values)


def compare_variables(team: Team, variables: Mapping[str, Sequence[keras.Variable]]) -> None:
    """Raises InputError, on every worker, if the workers do not begin from the same numbers."""
    if team.size == 1:
        return
    hashes = {name: hashlib.sha256() for name in variables}
    for name, group in variables.items():
        for variable in group:
            hashes[name].update(np.ascontiguousarray(variable).tobytes())
    team.compare({f"{name} with the hash": found.hexdigest()[:16] for name, found in hashes.items()})


def _short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def check_shared(team: Team, folder: Path) -> None:
    """Raises InputError, on every worker, if some worker does not see the chief's folder."""
    if team.size == 1:
        return
    token = team.gather(secrets.token_hex(8))[0]
    path = folder / TOKEN
    team.agree(lambda: path.write_text(token) if team.is_chief else None)
    try:
        team.agree(lambda: _wait_for(path, token))
    finally:
        if team.is_chief:
            path.unlink(missing_ok=True)


def _wait_for(path: Path, token: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not path.is_file() or path.read_text() != token:
        if time.monotonic() > end:
            raise InputError(
                f"{path.parent.resolve()}: this is not the folder into which the chief writes; with several workers, "
                "--output_dir and --checkpoints_dir are on a file system that all of them share"
            )
        time.sleep(0.2)
