"""Scores of several runs as one table with one row per run, like the paper's Table 3."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from pose_gan.errors import InputError
from pose_gan.evaluation.published import published_rows
from pose_gan.evaluation.saved_scores import PER_PAIR_FILE, SavedScores, run_names
from pose_gan.evaluation.score_tables import Cell, Row, Table, with_best
from pose_gan.evaluation.scores import ROWS
from pose_gan.metrics import METRICS, MetricOptions

FILES = tuple(field.name for field in dataclasses.fields(MetricOptions))  # options to which metrics' settings refer

KINDS = {"generated": "measured", "copy_source": "copied", "real": "real"}
NOT_ASKED_FOR = "the run was scored without it"


def compare(
    runs: Sequence[SavedScores],
    names: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    paper: bool = False,
    force: bool = False,
) -> Table:
    """Puts the scores of runs side by side.

    Args:
        runs: from `read_scores`.
        names: names of the runs; None: those of `run_names`.
        metrics: the columns; None: all metrics that at least one run has.
        paper: whether published rows follow.
        force: whether runs may differ in pairs and protocols; then a remark describes the differences.
    Raises: InputError: the runs differ; no run has the metric; `paper` is set and no numbers were published.
    """
    titles = run_names(runs, names)
    columns = columns_of(runs, metrics)
    different = differences(runs, titles, columns)
    if different and not force:
        raise InputError(
            f"these runs do not compare: {'; '.join(different)}. Score them alike, leave some out, choose other "
            "--metrics, or put them into one table all the same with --force"
        )
    rows = [measured_row(run, title, "generated", columns) for run, title in zip(runs, titles, strict=True)]
    rows = with_best(rows, columns)
    with_real = [run for run in runs if any("real" in entry for entry in run.metrics.values())]
    rows += [measured_row(run, ROWS["real"], "real", columns) for run in with_real[:1]]
    remarks = [f"Not the same for all runs: {difference}" for difference in different]
    if paper:
        published = _published(runs, columns)
        rows += published
        sources = dict.fromkeys((row.source, row.pairs) for row in published)
        shown = "; ".join(f"{source} ({pairs:,} pairs)" for source, pairs in sources)
        remarks.append(f"Published rows are not measured here: {shown}")
    return Table(columns, tuple(rows), tuple(remarks))


def differences(runs: Sequence[SavedScores], names: Sequence[str], metrics: Sequence[str]) -> list[str]:
    """Differences between the runs that make their scores incomparable, as one text per difference."""
    found: list[str] = []

    def check(what: str, values: Sequence[Any], show: Callable[[Any], str] = str) -> None:
        known = [(name, value) for name, value in zip(names, values, strict=True) if value is not None]
        if any(value != known[0][1] for _, value in known):
            found.append(f"{what}: " + ", ".join(f"{name} {show(value)}" for name, value in known))

    check("data set", [_dataset(run) for run in runs])
    check("image size", [run.image_size for run in runs], lambda size: f"{size[0]}x{size[1]}")
    check("number of pairs", [run.count for run in runs])
    if not found and all((run.folder / PER_PAIR_FILE).is_file() for run in runs):
        lists = [frozenset(zip(run.per_pair["from"], run.per_pair["to"], strict=True)) for run in runs]
        if any(pairs != lists[0] for pairs in lists):
            found.append("pairs: as many, but not the same ones")
    for metric in metrics:
        settings = [_settings(run, metric) for run in runs]
        for key in dict.fromkeys(key for values in settings if values is not None for key in values):
            check(
                f"{METRICS[metric].title}, {key.replace('_', ' ')}",
                [None if values is None else (values.get(key),) for values in settings],
                lambda value: repr(value[0]),
            )
    return found


def _dataset(run: SavedScores) -> str | None:
    name = run.options.get("dataset")
    return None if name is None else str(name).replace("fasion", "fashion")


def _settings(run: SavedScores, metric: str) -> dict[str, Any] | None:
    """The settings on which the score depends; None if it was not computed.

    Where a setting names a file option (`pose_estimator`, `fid_reference` and so on), the file is meant.
    """
    outcome = run.metrics.get(metric, {})
    if "mean" not in outcome.get("generated", {}):
        return None
    settings = {}
    for key, value in outcome["settings"].items():
        option = str(value).split(";")[0]
        settings[key] = run.options.get(option) if option in FILES else value
    return settings


def columns_of(runs: Sequence[SavedScores], metrics: Sequence[str] | None = None) -> tuple[str, ...]:
    """The metrics that at least one run has, or `metrics`. Raises InputError if no run has one of these."""
    there = tuple(name for name in METRICS if any(name in run.metrics for run in runs))
    for name in metrics or there:
        if name not in there:
            raise InputError(f"--metrics: no run was scored by {name!r}; there are {', '.join(there)}")
    return there if metrics is None else tuple(dict.fromkeys(metrics))


def measured_row(run: SavedScores, name: str, row: str, metrics: Sequence[str]) -> Row:
    """A row of a run's scores.

    Args:
        run: the run.
        name: name of the row.
        row: a name in `scores.ROWS`.
        metrics: the columns.
    """
    cells = {}
    for metric in metrics:
        outcome = run.metrics.get(metric, {}).get(row, {"not_computed": NOT_ASKED_FOR})
        if "not_computed" in outcome:
            cells[metric] = Cell(reason=str(outcome["not_computed"]))
        else:
            cells[metric] = Cell(outcome["mean"], outcome.get("std"))
    return Row(name, KINDS[row], cells, _dataset(run) or "", run.count, str(run.folder))


def _published(runs: Sequence[SavedScores], metrics: Sequence[str]) -> list[Row]:
    """Published rows of the runs' data set that have a number in at least one column."""
    dataset = runs[0].dataset
    if dataset is None:
        name, (height, width) = _dataset(runs[0]), runs[0].image_size
        raise InputError(
            f"--paper: nothing was published for data set {name!r} at {height}x{width} pixels; there are numbers for "
            "market (128x64) and fashion (256x256), of runs that were scored with --dataset"
        )
    rows = []
    for row in published_rows(dataset):
        cells = {metric: Cell(printed=row.values.get(metric, "")) for metric in metrics}
        if any(cell.printed for cell in cells.values()):
            name = f"{row.name} ({'paper' if row.by_paper else 'later papers'})"
            rows.append(Row(name, "published", cells, dataset, row.pairs, row.source))
    return rows
