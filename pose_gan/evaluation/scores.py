"""The scores of a set of images under several metrics, beside those of copied source images and of real images."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pose_gan.errors import InputError
from pose_gan.evaluation.strips import JudgedImages
from pose_gan.files.atomic import atomic_path
from pose_gan.files.text import read_lines, write_json
from pose_gan.metrics import METRICS, NotComputed, Outcome, Result
from pose_gan.versions import versions

# The sets of images that are scored against the target images, with their titles. The last set is the targets.
ROWS = {"generated": "generated", "copy_source": "copying the source", "real": "real images"}
TABLE_START = ("images", "pairs")  # the first columns of a line for tables of evaluations


@dataclass(frozen=True)
class Scores:
    """Scores of images.

    Attributes:
        rows: name in `ROWS` → metric name → outcome, in the order of tables. `generated` and `copy_source` (the
            trivial answer: the unchanged source image; absent where sources are not known) are there, `real` is there
            on request.
        images: the scored images; their pairs give the order of all per-image values.
    """

    rows: dict[str, dict[str, Outcome]]
    images: JudgedImages

    @property
    def pairs(self) -> pd.DataFrame:
        """Columns `from` and `to`."""
        return self.images.pairs

    @property
    def generated(self) -> dict[str, Result]:
        """Metric name → result of the generated images, without metrics that were not computed."""
        return self._results("generated")

    @property
    def copy_source(self) -> dict[str, Result]:
        """The same for the trivial answer, the unchanged source images."""
        return self._results("copy_source")

    @property
    def real(self) -> dict[str, Result]:
        """The same for the target images; empty if they were not scored."""
        return self._results("real")

    @property
    def not_computed(self) -> dict[str, str]:
        """Metric name → reason why its score of the generated images was not computed."""
        outcomes = self.rows["generated"].items()
        return {name: outcome.reason for name, outcome in outcomes if isinstance(outcome, NotComputed)}

    def _results(self, row: str) -> dict[str, Result]:
        return {name: outcome for name, outcome in self.rows.get(row, {}).items() if isinstance(outcome, Result)}

    def per_pair(self) -> pd.DataFrame:
        """One row per pair: `from`, `to`, each per-image metric, then the same as `copy_source_<metric>` and so on."""
        columns: dict[str, Any] = {"from": self.pairs["from"].to_numpy(), "to": self.pairs["to"].to_numpy()}
        for row in self.rows:
            prefix = "" if row == "generated" else f"{row}_"
            results = self._results(row).items()
            columns |= {prefix + name: result.values for name, result in results if result.values is not None}
        return pd.DataFrame(columns)

    def to_dict(self) -> dict[str, Any]:
        """Metric name → title, protocol, settings and one table per row of `ROWS`.

        Such a table is `{mean, std, count, interval_95, details}` or `{not_computed: why}`. `interval_95` is the
        confidence interval of the mean; it is null where single images have no score.
        """
        return {
            name: {
                **{row: _numbers(outcomes[name]) for row, outcomes in self.rows.items()},
                "title": METRICS[name].title,
                "protocol": METRICS[name].protocol,
                "higher_is_better": METRICS[name].higher_is_better,
                "settings": METRICS[name].settings,
            }
            for name in self.rows["generated"]
        }

    def table(self) -> str:
        """The scores as a text for the terminal.

        It shows mean ± standard deviation and the better direction of each metric, the published numbers that each
        metric compares with, and the metrics that were not computed with their reasons.
        """
        lines = [(f"{len(self.images)} pairs", *(ROWS[row] for row in self.rows))]
        for name in self.generated:
            arrow = "higher is better" if METRICS[name].higher_is_better else "lower is better"
            cells = (format_outcome(outcomes[name]) for outcomes in self.rows.values())
            lines.append((f"{METRICS[name].title}, {arrow}", *cells))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = [
            "   ".join((f"{first:<{widths[0]}}", *(f"{cell:>{n}}" for cell, n in zip(cells, widths[1:], strict=True))))
            for first, *cells in lines
        ]
        if crossed := int(self.images.crossed.sum()):
            shown += [
                "",
                f"{crossed} of {len(self.images)} pairs show two persons, by their names (--person REGEX gives another "
                "rule). Scores against another person's picture mean nothing, so metrics that compare with the target "
                "image leave these pairs out.",
            ]
        if self.generated:
            shown += ["", "compares with"]
            shown += _grouped({name: METRICS[name].protocol for name in self.generated})
        if self.not_computed:
            shown += ["", "not computed", *_grouped(self.not_computed)]
        return "\n".join(shown)

    def line(self) -> dict[str, str]:
        """The scores of the generated images as a line for tables: column → text.

        The columns are `images`, `pairs`, and for each metric `<name>` and `<name>_std`. `<name>` is the mean or
        `not computed: why`. `<name>_std` is the standard deviation; it is empty if there is none.
        """
        images, pairs = TABLE_START
        cells: dict[str, str] = {images: str(self.images.folder), pairs: str(len(self.images))}
        for name, outcome in self.rows["generated"].items():
            if isinstance(outcome, NotComputed):
                cells |= {name: f"not computed: {outcome.reason}", f"{name}_std": ""}
            else:
                std = "" if outcome.std is None else f"{outcome.std:.6g}"
                cells |= {name: f"{outcome.mean:.6g}", f"{name}_std": std}
        return cells

    def save(self, folder: str | os.PathLike[str], run: dict[str, Any] | None = None) -> None:
        """Writes `metrics.json`, `metrics.csv` (the line for tables) and `metrics_per_pair.csv`, atomically.

        Args:
            folder: the folder; it is made if it does not exist.
            run: command and options of the run, as values that JSON can hold.
        """
        folder = Path(folder)
        values = {
            "metrics": self.to_dict(),
            "count": len(self.images),
            "pairs_of_two_persons": int(self.images.crossed.sum()),
            "images": str(self.images.folder),
            "image_size": list(self.images.image_size),
            "run": run or {},
            "versions": versions(),
        }
        write_json(folder / "metrics.json", values)
        _write_table(folder / "metrics.csv", [self.line()])
        with atomic_path(folder / "metrics_per_pair.csv") as temporary:
            self.per_pair().to_csv(temporary, index=False)


def append_line(path: str | os.PathLike[str], line: dict[str, str]) -> None:
    """Adds a line to a table of several evaluations. New columns come last, and are empty in earlier lines.

    Raises: InputError: as for `read_table`.
    """
    _write_table(Path(path), [*read_table(path), line])


def read_table(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """The lines of a table that `append_line` wrote; none if the file does not exist.

    Raises: InputError: the file is of another kind.
    """
    if not Path(path).exists():
        return []
    rows = list(csv.reader(read_lines(path)))
    if not rows or tuple(rows[0][: len(TABLE_START)]) != TABLE_START or any(len(row) != len(rows[0]) for row in rows):
        raise InputError(f"{path}: not a table of scores ({','.join(TABLE_START)},…); give another file")
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def _write_table(path: Path, lines: list[dict[str, str]]) -> None:
    columns = list(dict.fromkeys(column for line in lines for column in line))
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def format_outcome(outcome: Outcome) -> str:
    """`0.3614 ± 0.1123`, or `not computed`."""
    if isinstance(outcome, NotComputed):
        return "not computed"
    return f"{outcome.mean:.4f}" + ("" if outcome.std is None else f" ± {outcome.std:.4f}")


def _grouped(texts: dict[str, str]) -> list[str]:
    """The given texts (by metric name) as lines, in which metrics with the same text stand together."""
    groups: dict[str, list[str]] = {}
    for name, text in texts.items():
        groups.setdefault(text, []).append(METRICS[name].title)
    return [f"  {', '.join(titles)}: {text}" for text, titles in groups.items()]


def _numbers(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, NotComputed):
        return {"not_computed": outcome.reason}
    return {
        "mean": outcome.mean,
        "std": outcome.std,
        "count": outcome.count,
        "interval_95": outcome.interval,
        "details": dict(outcome.details),
    }
