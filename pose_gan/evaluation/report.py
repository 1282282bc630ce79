"""A report of a set of generated images and their scores, as one HTML file or one picture.

The HTML file contains its images and drawings, so it opens from disk without network and scripts.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pose_gan.evaluation import charts
from pose_gan.evaluation.examples import caption, choose, enlarge, pose_picture
from pose_gan.evaluation.pages import data_url, page_template
from pose_gan.evaluation.published import (
    DATASET_TITLES,
    PRESET_TITLES,
    REAL,
    PublishedRow,
    known_dataset,
    paper_row,
    recorded_preset,
)
from pose_gan.evaluation.scores import ROWS, Scores, format_outcome
from pose_gan.files.text import write_text
from pose_gan.metrics import METRICS, Result
from pose_gan.poses.drawing import grid, write_image
from pose_gan.training.run_log import read_history
from pose_gan.versions import versions

GRID_HEADERS = ("source", "source pose", "target pose", "target", "generated")
DRAWN_HEIGHT = 256  # approximate height in pixels; poses and grids are drawn at a multiple of the image size
TRAINING = "training: "  # in the options, the names of the settings of training begin with this


def write_report(
    path: str | os.PathLike[str],
    scores: Scores,
    options: Mapping[str, Any] | None = None,
    command: str = "",
    history: str | os.PathLike[str] | None = None,
    pairs: int = 6,
    seed: int = 0,
) -> None:
    """Writes a self-contained HTML page, atomically.

    The page shows the scores beside those of copying the source image and beside the paper's row (if the settings are
    those of a preset and the data set is the paper's). It also shows the metrics that were not computed and the
    reasons, pairs drawn at random, the best and the worst pairs by mask-SSIM, the distributions of the scores, the
    PCKh of each joint, loss curves, and the command and settings of the run.

    Args:
        path: the file, `.html`.
        scores: from `pose_gan.evaluation.scoring.score`; the images must still exist.
        options: settings of the run, which the page lists by `str`; `dataset` and `training: <name>` determine the
            paper's row.
        command: the command line, to be shown.
        history: a `metrics.jsonl` of training, with one JSON object per line that has `step` and numbers.
        pairs: number of pairs in each of the three groups.
        seed: seed of the random choice.
    Raises: InputError: an image or `history` cannot be read.
    """
    options = options or {}
    preset, dataset = recorded_preset(options), known_dataset(options.get("dataset"), scores.images.image_size)
    shown = {name: _shown(value) for name, value in sorted(options.items())}
    page = page_template("report.html.j2").render(
        title=f"{len(scores.pairs):,} generated images",
        subject=" on ".join(filter(None, (PRESET_TITLES.get(preset or ""), DATASET_TITLES.get(dataset or "")))),
        made=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        images_dir=str(scores.images.folder),
        image_size=scores.images.image_size,
        table=_score_table(scores, paper_row(preset, dataset), paper_row(REAL, dataset)),
        not_computed=_not_computed(scores),
        protocols=[_protocol(name) for name in scores.generated],
        groups=[(group, [_card(scores, row) for row in group.rows]) for group in choose(scores, pairs, seed)],
        histograms=_histograms(scores),
        joints=_joints(scores),
        curves=[] if history is None else [charts.curve(name, *item) for name, item in read_history(history).items()],
        chart=(charts.WIDTH, charts.HEIGHT),
        command=command,
        versions=versions(),
        seed=seed,
        options=[(name, value) for name, value in shown.items() if not name.startswith(TRAINING)],
        training=[(name[len(TRAINING) :], value) for name, value in shown.items() if name.startswith(TRAINING)],
    )
    write_text(path, page)


def write_grid(path: str | os.PathLike[str], scores: Scores, pairs: int = 4, seed: int = 0) -> None:
    """Writes one picture with random, best and worst pairs: source, both poses, target and generated image.

    Args: as for `write_report`; the suffix of `path` chooses the format.
    """
    scale = _scale(scores)
    rows, captions, shown = [], [], set()
    for group in choose(scores, pairs, seed):
        for row in group.rows:
            if row in shown:
                continue
            shown.add(row)
            pictures = _pictures(scores, row, scale).values()
            unknown = np.zeros((*(side * scale for side in scores.images.image_size), 3), np.uint8)
            rows.append([unknown if picture is None else picture for picture in pictures])
            names = scores.pairs.iloc[row]
            captions.append(f"{group.name}: {names['from']} -> {names['to']}, {caption(scores, row)}")
    write_image(path, grid(rows, GRID_HEADERS, captions=captions))


# ----------------------------------------------------------------------------------- the parts


def _score_table(scores: Scores, paper: PublishedRow | None, paper_real: PublishedRow | None) -> dict[str, Any]:
    """Columns and rows of the table of scores, with the paper's column beside ours."""
    published = {"generated": paper, "real": paper_real}
    columns: list[tuple[str, PublishedRow | None]] = []
    for row in scores.rows:
        columns.append((ROWS[row], None))
        if beside := published.get(row):
            columns.append((f"paper: {beside.name}", beside))
    rows = []
    for name, outcome in scores.rows["generated"].items():
        cells = []
        for row, outcomes in scores.rows.items():
            better = row in ("generated", "copy_source") and _better(name, scores) == row
            cells.append((format_outcome(outcomes[name]), "best" if better else ""))
            if beside := published.get(row):
                cells.append((beside.values.get(name, ""), "paper"))
        spec = METRICS[name]
        computed = isinstance(outcome, Result)
        rows.append({"title": spec.title, "higher": spec.higher_is_better, "cells": cells, "computed": computed})
    notes = [
        f"{title}: {row.source}, {row.pairs:,} test pairs of {DATASET_TITLES[row.dataset]}; "
        "only what was measured by the same protocol."
        for title, row in columns
        if row
    ]
    headers = [(title, row and DATASET_TITLES[row.dataset]) for title, row in columns]
    return {"columns": headers, "rows": rows, "notes": notes}


def _better(metric: str, scores: Scores) -> str | None:
    """The row that scores better, generated images or copied sources; None if that is not known."""
    ours, copied = scores.generated.get(metric), scores.copy_source.get(metric)
    if ours is None or copied is None or ours.mean == copied.mean:
        return None
    return "generated" if (ours.mean > copied.mean) == METRICS[metric].higher_is_better else "copy_source"


def _not_computed(scores: Scores) -> list[tuple[str, str]]:
    """Titles of the metrics that were not computed, grouped by reason, each group with its reason."""
    titles: dict[str, list[str]] = {}
    for name, reason in scores.not_computed.items():
        titles.setdefault(reason, []).append(METRICS[name].title)
    return [(", ".join(names), reason) for reason, names in titles.items()]


def _protocol(metric: str) -> tuple[str, str, str]:
    """The metric's title, the published numbers it compares with, and its settings in words."""
    spec = METRICS[metric]
    settings = {key.replace("_", " "): value for key, value in spec.settings.items() if value not in (None, False)}
    return spec.title, spec.protocol, "; ".join(f"{key}: {value}" for key, value in settings.items())


def _scale(scores: Scores) -> int:
    return max(1, round(DRAWN_HEIGHT / scores.images.image_size[0]))


def _pictures(scores: Scores, row: int, scale: int = 1) -> dict[str, np.ndarray | None]:
    """The pictures of a pair under `GRID_HEADERS`, with images enlarged `scale` times; None for an unknown pose."""
    names = scores.pairs.iloc[row]
    source, target, generated = (enlarge(image, scale) for image in scores.images.read(row))
    poses = [pose_picture(scores.images, names[side], _scale(scores)) for side in ("from", "to")]
    return dict(zip(GRID_HEADERS, (source, *poses, target, generated), strict=True))


def _card(scores: Scores, row: int) -> dict[str, Any]:
    """The pictures and texts of one pair."""
    names = scores.pairs.iloc[row]
    pictures = _pictures(scores, row)
    return {
        "pictures": [(name, None if picture is None else data_url(picture)) for name, picture in pictures.items()],
        "source": names["from"],
        "target": names["to"],
        "caption": caption(scores, row),
    }


def _histograms(scores: Scores) -> list[charts.Histogram]:
    """Per-image scores of generated images and copied sources."""
    charted = []
    for name, result in scores.generated.items():
        copied = scores.copy_source.get(name)
        sets = {"generated": result, "copy_source": copied}
        values = {ROWS[row]: item.values for row, item in sets.items() if item is not None and item.values is not None}
        if result.values is not None:
            charted.append(charts.histogram(METRICS[name].title, values))
    return charted


def _joints(scores: Scores) -> dict[str, Any] | None:
    """PCKh of each joint, with one column per row of the scores; None if it was not computed."""
    rows = {row: outcomes.get("pckh") for row, outcomes in scores.rows.items()}
    shares = {ROWS[row]: outcome.details for row, outcome in rows.items() if isinstance(outcome, Result)}
    if not isinstance(rows["generated"], Result):
        return None
    return {"title": METRICS["pckh"].title, "columns": list(shares), "rows": charts.bars(shares)}


def _shown(value: Any) -> str:
    """A setting as a short text; a large table (a skeleton) is shown by its name."""
    if dataclasses.is_dataclass(value) or isinstance(value, dict):
        name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
        return str(name or value)
    return "none" if value is None else str(value)
