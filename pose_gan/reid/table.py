"""The paper's Table 4 on one's own data: training sets × methods × distances, with several seeds and the same budget.

It lives in one folder. `runs/METHOD/TRAINING/seed-N` is the folder of a training, and
`scores/METHOD/TRAINING/seed-N/DISTANCE` that of an evaluation. The tables stand beside them.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pose_gan.errors import InputError
from pose_gan.evaluation.ablation_table import RESAMPLES, bootstrap_interval
from pose_gan.evaluation.processes import wait_for
from pose_gan.files.text import read_lines, read_text
from pose_gan.reid.evaluation import PER_QUERY, RECORD
from pose_gan.reid.features import NETWORK

RUNS, SCORES = "runs", "scores"
MEASURES = {"rank1": "rank-1", "map": "mAP"}
"""Score in `reid.json` → its title: the columns of Table 4."""


@dataclass(frozen=True)
class Member:
    """A training of the table.

    Attributes:
        method, training, seed: what distinguishes it.
        run: the folder of the training.
        train: the words after `pose-gan` that train it, or continue its training.
        evaluate: distance → the words after `pose-gan reid evaluate` that score it.
    """

    method: str
    training: str
    seed: int
    run: Path
    train: tuple[str, ...]
    evaluate: Mapping[str, tuple[str, ...]]

    @property
    def trained(self) -> bool:
        return (self.run / NETWORK).is_file()


def place_of(folder: Path, part: str, method: str, training: str, seed: int) -> Path:
    """The folder of a training or of its scores, below that of the table; `part` is `RUNS` or `SCORES`."""
    return folder / part / method / re.sub(r"[^\w.+=-]", "-", training) / f"seed-{seed}"


class MemberFailed(Exception):
    """A training ended without its network; the text says which, and what to do."""


def carry_out(
    members: Sequence[Member],
    train: Callable[[Sequence[str]], int],
    evaluate: Callable[[Member, str], bool],
    say: Callable[[str], None] = print,
) -> None:
    """Trains and scores the members one after the other; what is done is skipped.

    Args:
        members: the members, in their order.
        train: runs `pose-gan WORDS`, and returns its exit status.
        evaluate: scores a member by a distance, and returns whether there was anything to do.
        say: shows a line.
    Raises: MemberFailed: a training failed, or ended early. What `train` and `evaluate` raise is passed on.
    """
    for number, member in enumerate(members, start=1):
        head = f"[{number}/{len(members)}] {member.method}, {member.training}, seed {member.seed}"
        if member.trained:
            say(f"{head}: trained already, skipped")
        else:
            wait_for(member.run, say)
            say(f"{head}: training -> {member.run}")
            status = train(member.train)
            if status or not member.trained:
                how = f"ended with status {status}; its message stands above" if status else "was stopped"
                raise MemberFailed(f"the training of {head} {how}. The same command goes on from there")
        scored = [distance for distance in member.evaluate if evaluate(member, distance)]
        say(f"{head}: scored by {', '.join(scored)}" if scored else f"{head}: scored already, skipped")


# ------------------------------------------------------------------------------------- the numbers


class Mean(NamedTuple):
    """A score over the seeds, 0 to 1, and its standard deviation (N − 1 in the denominator; None for one seed)."""

    mean: float
    std: float | None


class Difference(NamedTuple):
    """A difference of two scores.

    `std` is its standard deviation over the seeds, with the same seed in both trainings (None for one seed), `low` and
    `high` are the ends of its 95 % interval, a paired bootstrap over the queries.
    """

    mean: float
    std: float | None
    low: float
    high: float


class Model(NamedTuple):
    """A row of the table."""

    method: str
    distance: str


@dataclass(frozen=True)
class ReidTable:
    """The scores of the table.

    Attributes:
        trainings: the columns; the first is the one to which the others are compared.
        means: row → column → name in `MEASURES` → score.
        differences: row → column, without the first → name in `MEASURES` → difference to the first column.
        seeds: of the trainings.
        queries: number of queries.
        gallery: number of images in the gallery.
        seed: of the bootstrap.
    """

    trainings: tuple[str, ...]
    means: Mapping[Model, Mapping[str, Mapping[str, Mean]]]
    differences: Mapping[Model, Mapping[str, Mapping[str, Difference]]]
    seeds: tuple[int, ...]
    queries: int
    gallery: int
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The table as values that JSON can hold."""
        rows = [
            {
                **model._asdict(),
                "scores": {of: {name: score._asdict() for name, score in cells.items()} for of, cells in means.items()},
                f"differences to {self.trainings[0]}": {
                    of: {
                        name: {"mean": d.mean, "std": d.std, "interval_95": [d.low, d.high]}
                        for name, d in cells.items()
                    }
                    for of, cells in self.differences[model].items()
                },
            }
            for model, means in self.means.items()
        ]
        bootstrap = {"method": "percentile, paired over queries", "resamples": RESAMPLES, "seed": self.seed}
        counts = {"queries": self.queries, "gallery": self.gallery}
        return {
            "trainings": list(self.trainings),
            "seeds": list(self.seeds),
            **counts,
            "bootstrap": bootstrap,
            "rows": rows,
        }


class Scored(NamedTuple):
    """The scores of one evaluation: name in `MEASURES` → score, the queries' names, and their own scores `(n, 2)`."""

    scores: dict[str, float]
    counts: tuple[int, int]
    queries: list[str]
    per_query: np.ndarray


def read_table(folders: Mapping[Model, Mapping[str, Mapping[int, Path]]], seed: int = 0) -> ReidTable:
    """Puts evaluations together.

    Args:
        folders: row → column → seed → folder of an evaluation.
        seed: seed of the bootstrap.
    Raises: InputError: a file is absent or damaged, or two evaluations have other queries.
    """
    means, differences = {}, {}
    first: Scored | None = None
    for model, columns in folders.items():
        scored = {training: [read_scores(path) for path in of.values()] for training, of in columns.items()}
        for training, of_seeds in scored.items():
            for path, one in zip(columns[training].values(), of_seeds, strict=True):
                first = first or one
                if one.queries != first.queries or one.counts != first.counts:
                    raise InputError(f"{path}: scored on other images than the rest; score it again")
        means[model] = {training: _means(of_seeds) for training, of_seeds in scored.items()}
        differences[model] = _differences(scored, seed)
    assert first is not None, "a table has a row"
    columns = next(iter(folders.values()))
    seeds = tuple(next(iter(columns.values())))
    return ReidTable(tuple(columns), means, differences, seeds, *first.counts, seed)


def read_scores(folder: Path) -> Scored:
    """What `pose-gan reid evaluate` wrote. Raises InputError: a file is absent or damaged."""
    path = folder / RECORD
    try:
        record = json.loads(read_text(path))
        scores = {name: float(record["scores"][name]["value"]) for name in MEASURES}
        counts = int(record["counts"]["queries"]), int(record["counts"]["gallery"])
        path = folder / PER_QUERY
        rows = list(csv.DictReader(read_lines(path)))
        per_query = [(int(row["first_right"]) == 1, float(row["average_precision"])) for row in rows]
        return Scored(scores, counts, [row["query"] for row in rows], np.array(per_query, float))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read as scores: {error!r}; delete {folder}, and score again") from None


def _means(scored: Sequence[Scored]) -> dict[str, Mean]:
    return {name: _mean([one.scores[name] for one in scored]) for name in MEASURES}


def _mean(values: Sequence[float]) -> Mean:
    return Mean(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)


def _differences(scored: Mapping[str, Sequence[Scored]], seed: int) -> dict[str, dict[str, Difference]]:
    """Each column's difference to the first one."""
    first, *others = scored
    found = {}
    for training in others:
        pairs = list(zip(scored[training], scored[first], strict=True))
        low, high = bootstrap_interval(np.mean([of.per_query - to.per_query for of, to in pairs], axis=0), seed)
        found[training] = {
            name: Difference(*_mean([of.scores[name] - to.scores[name] for of, to in pairs]), *map(float, ends))
            for name, *ends in zip(MEASURES, low, high, strict=True)
        }
    return found
