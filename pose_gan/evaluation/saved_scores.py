"""Reads the scores that `pose-gan test` and `pose-gan evaluate` wrote to disk."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pose_gan.errors import InputError
from pose_gan.evaluation.published import PRESET_TITLES, known_dataset, recorded_preset
from pose_gan.metrics import METRICS
from pose_gan.model_files.run_folder import OPTIONS

SCORES_FILE, PER_PAIR_FILE = "metrics.json", "metrics_per_pair.csv"
GENERATION_FILE = "generation.json"  # beside them, if `pose-gan test` generated the images


@dataclass(frozen=True, eq=False)
class SavedScores:
    """The scores that `Scores.save` wrote into a folder.

    Attributes:
        folder: the folder.
        metrics: metric name → title, settings and one table each for `generated`, `copy_source` and perhaps `real`.
        count: number of pairs.
        images: folder of the generated images, as it was given at the scoring.
        image_size: (height, width) in pixels.
        options: settings of the program that scored, and settings of training if it knew them.
    """

    folder: Path
    metrics: dict[str, dict[str, Any]]
    count: int
    images: Path
    image_size: tuple[int, int]
    options: dict[str, Any]

    @property
    def preset(self) -> str | None:
        """The preset with which the generator was trained; None if it is not known."""
        return recorded_preset(self.options)

    @property
    def dataset(self) -> str | None:
        """The data set, if it is known and the paper uses it; else None. See `published.known_dataset`."""
        return known_dataset(self.options.get("dataset"), self.image_size)

    @cached_property
    def per_pair(self) -> pd.DataFrame:
        """One row per pair: `from`, `to` and each per-image metric of the generated images.

        Raises: InputError: the file is absent or of another kind.
        """
        path = self.folder / PER_PAIR_FILE
        try:
            table = pd.read_csv(path, dtype={"from": str, "to": str}, keep_default_na=False, na_values=[""])
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; score the images again") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read: {error}; score the images again") from None
        numbers = table.select_dtypes("number").columns
        if sorted(table.columns.difference(numbers)) != ["from", "to"]:
            raise InputError(f"{path}: not a table of scores (from,to,…); score the images again")
        return table


def read_scores(folder: str | os.PathLike[str]) -> SavedScores:
    """Reads a folder's `metrics.json`.

    Raises: InputError: the file is absent (the message says where it may be) or of another kind.
    """
    folder = Path(folder)
    path = folder / SCORES_FILE
    if not path.is_file():
        raise InputError(f"{folder}: {_why_no_scores(folder)}")
    problem = "not the scores of pose-gan test or evaluate; score the images again"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        metrics, run = values["metrics"], values["run"]
        saved = SavedScores(
            folder=folder,
            metrics={str(name): dict(entry) for name, entry in metrics.items()},
            count=int(values["count"]),
            images=Path(values["images"]),
            image_size=(int(values["image_size"][0]), int(values["image_size"][1])),
            options=dict(run.get("options") or {}),
        )
        for entry in saved.metrics.values():
            for row in ("generated", "copy_source", "real"):
                outcome = entry.get(row, {"not_computed": ""})
                if "not_computed" not in outcome:
                    float(outcome["mean"])
            dict(entry["settings"])
            str(entry["generated"])
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: {problem} ({type(error).__name__}: {error})") from None
    if unknown := [name for name in saved.metrics if name not in METRICS]:
        raise InputError(f"{path}: metric {unknown[0]!r} is not known; allowed: {', '.join(METRICS)}")
    return saved


def run_names(runs: Sequence[SavedScores], given: Sequence[str] | None = None) -> list[str]:
    """Names of the runs for a table: the given ones, else those of their presets if unique, else their folders.

    Raises: InputError: the numbers of names and runs differ, or a name is given twice.
    """
    if given:
        if len(given) != len(runs):
            raise InputError(f"--names: {len(given)} names for {len(runs)} runs; give one a run")
        names = list(given)
    else:
        titles = [PRESET_TITLES.get(run.preset or "") for run in runs]
        counts = Counter(titles)
        folders = _short_names([run.folder for run in runs])
        names = [title if title and counts[title] == 1 else name for title, name in zip(titles, folders, strict=True)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"two runs are called {twice[0]!r}; give each a name of its own with --names")
    return names


def _short_names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path, or the whole path where the last part is not unique."""
    last = [folder.resolve().name for folder in folders]
    return [name if last.count(name) == 1 else str(folder) for name, folder in zip(last, folders, strict=True)]


def _why_no_scores(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder"
    if (folder / OPTIONS).is_file():
        return (
            f"holds no {SCORES_FILE}: it is the folder of a training run; its scores lie where pose-gan test wrote its "
            "images (--generated_images_dir), give that folder"
        )
    return f"holds no {SCORES_FILE}; score its images with pose-gan evaluate, or test"
