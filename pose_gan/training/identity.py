"""What makes a resumed run the same run: its settings and its data."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_gan.config import RunConfig, value_in_words
from pose_gan.errors import InputError

if TYPE_CHECKING:
    from pose_gan.data.pair_data import PairData

MAY_CHANGE = {
    "model": (),
    "loss": (),
    "train": (
        *("number_of_epochs", "checkpoint_ratio", "display_ratio", "keep_checkpoints"),
        *("use_validation", "log_interval"),
    ),
}
"""Section of the settings → the fields that a resumed run may change.

They decide how long a run is and what it leaves on disk, and nothing else. Of the data, the places may change, but not
what stands there (`check_data`). The learning rate is no such field: Adam's moments belong to the rate with which they
were made, and `options.json` names one rate for a run.
"""


def check_settings(saved: RunConfig, now: RunConfig) -> None:
    """Raises InputError if settings differ that a resumed run keeps; the message names the flag."""
    for section, may_change in MAY_CHANGE.items():
        ours, theirs = getattr(saved, section), getattr(now, section)
        for field in dataclasses.fields(ours):
            old, new = getattr(ours, field.name), getattr(theirs, field.name)
            if old != new and field.name not in may_change:
                raise InputError(
                    f"--{field.name}: a resumed run keeps its {section} settings: it has {value_in_words(old)}, "
                    f"got {value_in_words(new)}; leave the flag out, or start a new run, with --generator_checkpoint "
                    "to begin from its weights"
                )


def data_record(data: PairData) -> dict[str, Any]:
    """What a checkpoint notes of the training data: their sizes, and a hash of all pairs, image names and keypoints."""
    content = hashlib.sha256()
    for row in data.pairs.to_numpy():
        content.update("\t".join(row).encode() + b"\n")
    for name, keypoints in zip(data.names, data.keypoints, strict=True):
        content.update(f"{name}\n".encode() + np.ascontiguousarray(keypoints, "<f4").tobytes())
    return {"pairs": len(data), "images": len(data.names), "sha256": content.hexdigest()}


def check_data(noted: Any, now: dict[str, Any], run: Path) -> None:
    """Raises InputError if the training data changed since a checkpoint was saved.

    Args:
        noted: the `data_record` in the checkpoint; None: version 0.1.0 wrote it, which noted nothing to compare.
        now: the `data_record` of the data that stand there now.
        run: the run's folder.
    """
    if noted is None or noted == now:
        return
    before = f"{noted.get('pairs')} pairs of {noted.get('images')} images" if isinstance(noted, dict) else "others"
    raise InputError(
        f"{run}: the run was trained on other data: then {before}, now {now['pairs']} pairs of {now['images']} images "
        "(the pairs, the names of the images or the keypoints differ); give it the data with which it began, or start "
        f"a new run from its weights with --generator_checkpoint {run}"
    )
