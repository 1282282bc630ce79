"""The table of an ablation, in the shape of the paper's Table 3: one row per preset, with several seeds in each row."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from pose_gan.errors import InputError
from pose_gan.evaluation.comparison import columns_of, differences, measured_row
from pose_gan.evaluation.pages import data_url, page_template
from pose_gan.evaluation.saved_scores import PER_PAIR_FILE, SavedScores
from pose_gan.evaluation.score_tables import Cell, Row, Table, title_of, with_best
from pose_gan.evaluation.scores import ROWS
from pose_gan.files.text import write_text
from pose_gan.metrics import METRICS

RESAMPLES = 10_000
CHUNK = 64  # resamples that are averaged together
LEVEL = 0.95


def ablation_table(rows: Mapping[str, Sequence[SavedScores]], seed: int = 0) -> Table:
    """Compares rows of runs that differ in their seed only.

    The table has a row per name with the mean over the runs and their standard deviation (N − 1 in the denominator;
    none for one run), rows of copied source images and, if they were scored, of the real images, and then each row's
    difference to the row above. The difference of a metric that scores single images has its 95 % interval; see
    `bootstrap_interval`.

    Args:
        rows: name of a row → its runs, from `read_scores`; all rows have as many runs, one per seed.
        seed: seed of the bootstrap.
    Raises: InputError: a run lacks pairs that another one has, or was scored by another protocol; a score is missing.
    """
    runs = [run for of_row in rows.values() for run in of_row]
    _check_pairs(runs)
    columns = columns_of(runs)
    if different := differences(runs, [str(run.folder) for run in runs], columns):
        raise InputError(f"these runs do not compare: {'; '.join(different)}. Score them alike")
    measured = [_mean_row(name, of_row, columns) for name, of_row in rows.items()]
    others = [
        measured_row(runs[0], ROWS[row], row, columns)
        for row in ("copy_source", "real")
        if any(row in entry for entry in runs[0].metrics.values())
    ]
    others = [replace(row, cells={name: replace(cell, std=None) for name, cell in row.cells.items()}) for row in others]
    between = _differences(measured, {name: _per_pair(of_row, columns) for name, of_row in rows.items()}, columns, seed)
    remarks = _remarks(len(next(iter(rows.values()))), runs[0].count, between, seed)
    return Table(columns, (*with_best(measured, columns), *others, *between), remarks)


def bootstrap_interval(differences: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Percentile bootstrap intervals (95 %) of the mean differences between paired scores.

    Each resample draws as many pairs as there are, with replacement, and the same pairs for all columns. The numbers
    are those of `generator.integers(pairs, size=pairs)`, one call per resample.

    Args:
        differences: float64 `(pairs, columns)`: for each pair, the score of one model less that of another one.
        seed: seed of the resamples.
        resamples: number of resamples.
    Returns: float64 `(2, columns)`: the lower and the upper ends.
    """
    generator, pairs = np.random.default_rng(seed), len(differences)
    first = differences[0]  # subtracted, so that equal differences have an interval without width
    means = []
    for start in range(0, resamples, CHUNK):
        rows = np.arange(min(CHUNK, resamples - start))[:, None]
        cells = generator.integers(pairs, size=(len(rows), pairs)) + rows * pairs
        counts = np.bincount(cells.ravel(), minlength=len(rows) * pairs).reshape(len(rows), pairs)
        means.append(counts @ (differences - first) / pairs)
    tail = (1 - LEVEL) / 2
    return first + np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0)


def write_page(
    path: str | os.PathLike[str],
    table: Table,
    figure: np.ndarray,
    title: str,
    about_figure: str,
    settings: Mapping[str, Any],
) -> None:
    """Writes a self-contained HTML page with the table, the figure and the settings, atomically.

    Args:
        path: the file, `.html`.
        table: from `ablation_table`.
        figure: the picture of the same pairs, uint8 `(H, W, 3)`.
        title: title of the page.
        about_figure: what the figure shows.
        settings: name → value, shown by `str`.
    """
    kinds = groupby(table.rows, key=lambda row: row.kind)
    groups = [
        [(row.name, [_page_cell(row.cells[m], table) for m in table.metrics]) for row in rows] for _, rows in kinds
    ]
    page = page_template("ablation.html.j2").render(
        title=title,
        columns=[title_of(metric) for metric in table.metrics],
        groups=groups,
        reasons=table.reasons,
        remarks=table.remarks,
        figure=data_url(figure),
        about_figure=about_figure,
        settings=list(settings.items()),
    )
    write_text(path, page)


# ----------------------------------------------------------------------------------- the parts


def _page_cell(cell: Cell, table: Table) -> tuple[str, bool, int | None]:
    """The text, whether it is the best of its column, and the number of its footnote."""
    if cell.reason is not None:
        return "–", False, table.reasons[cell.reason]
    return cell.text(std=True), cell.best, None


def _check_pairs(runs: Sequence[SavedScores]) -> None:
    """Raises InputError if the runs were not scored on the same pairs; the message names pairs."""
    first, *others = ((run, Counter(zip(run.per_pair["from"], run.per_pair["to"], strict=True))) for run in runs)
    for other in others:
        for (has, pairs), (lacks, fewer) in ((first, other), (other, first)):
            if missing := list((pairs - fewer).elements()):
                shown = ", ".join(f"{a} -> {b}" for a, b in missing[:3]) + (", …" if len(missing) > 3 else "")
                raise InputError(
                    f"{lacks.folder / PER_PAIR_FILE}: lacks pairs that {has.folder} has: {shown} "
                    f"({len(missing)} of {has.count}); score the same pairs with each"
                )


def _mean_row(name: str, runs: Sequence[SavedScores], columns: Sequence[str]) -> Row:
    """Mean and standard deviation over the runs."""
    of_runs = [measured_row(run, name, "generated", columns) for run in runs]
    cells = {}
    for metric in columns:
        means, reasons = [], []
        for row in of_runs:
            cell = row.cells[metric]
            (reasons if cell.mean is None else means).append(cell.reason if cell.mean is None else cell.mean)
        if reasons:
            cells[metric] = Cell(reason=reasons[0])
        else:
            cells[metric] = Cell(float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else None)
    return replace(of_runs[0], cells=cells, source=str(runs[0].folder.parent))


def _per_pair(runs: Sequence[SavedScores], columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Metric → score of each pair, averaged over the runs, in the order of the pairs' names.

    A metric without scores of single images in each run is left out. Raises InputError if a score is missing.
    """
    tables = [run.per_pair.sort_values(["from", "to"], kind="stable") for run in runs]
    values = {}
    for metric in columns:
        if not all(metric in table.columns for table in tables):
            continue
        for run, table in zip(runs, tables, strict=True):
            if (bad := ~np.isfinite(table[metric].to_numpy(float))).any():
                a, b = table[["from", "to"]].to_numpy()[bad][0]
                raise InputError(f"{run.folder / PER_PAIR_FILE}: no {metric} of {a} -> {b}; score the images again")
        values[metric] = np.mean([table[metric].to_numpy(float) for table in tables], axis=0)
    return values


def _differences(
    rows: Sequence[Row], per_pair: Mapping[str, dict[str, np.ndarray]], columns: Sequence[str], seed: int
) -> list[Row]:
    """Each row's difference to the row above."""
    steps = list(zip(rows[1:], rows, strict=False))
    keys = [
        (number, metric)
        for number, (row, above) in enumerate(steps)
        for metric in columns
        if metric in per_pair[row.name] and metric in per_pair[above.name]
    ]
    intervals: dict[tuple[int, str], tuple[float, float]] = {}
    if keys:
        paired = [per_pair[steps[n][0].name][metric] - per_pair[steps[n][1].name][metric] for n, metric in keys]
        ends = bootstrap_interval(np.stack(paired, axis=1), seed).T
        intervals = {key: (float(low), float(high)) for key, (low, high) in zip(keys, ends, strict=True)}
    found = []
    for number, (row, above) in enumerate(steps):
        cells = {}
        for metric in columns:
            ours, theirs = row.cells[metric], above.cells[metric]
            if ours.mean is None or theirs.mean is None:
                cells[metric] = Cell(reason=theirs.reason if ours.reason is None else ours.reason)
            else:
                cells[metric] = Cell(ours.mean - theirs.mean, interval=intervals.get((number, metric)), signed=True)
        found.append(replace(row, name=f"{row.name} − {above.name}", kind="difference", cells=cells, source=""))
    return found


def _remarks(seeds: int, pairs: int, between: Sequence[Row], seed: int) -> tuple[str, ...]:
    spread = (
        f"± is the standard deviation over {seeds} seeds of training (N − 1 in the denominator)."
        if seeds > 1
        else "Each row is one seed of training, so the table shows no spread over seeds."
    )
    if not between:
        return (spread,)
    computed = {name: cell for row in between for name, cell in row.cells.items() if cell.mean is not None}
    whole = [METRICS[name].title for name, cell in computed.items() if cell.interval is None]
    remarks = [
        spread,
        f"A difference is a row less the row above it, on the same {pairs:,} test pairs. In brackets stands its 95 % "
        "interval: a percentile bootstrap over these pairs, of scores that were averaged over the seeds first "
        f"({RESAMPLES:,} resamples, seed {seed}). It tells how far the choice of test pairs decides the difference, "
        "not how far the seeds of training do.",
    ]
    if whole:
        remarks.append(f"Without an interval, since single images have no score: {', '.join(whole)}.")
    return tuple(remarks)
