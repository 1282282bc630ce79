"""Common parts of all benchmarks: options, timing in turns, tables."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

Value = str | int | float | None
MATMUL_SIDE, QUICK_MATMUL_SIDE = 2048, 512


@dataclass(frozen=True)
class Options:
    """The settings of a measurement.

    Attributes:
        quick: use small sizes, to test that everything runs, not how fast.
        repeats: timed rounds of calls that take milliseconds.
        memory: whether to measure peak memory, which takes a new process per form.
        pose_estimator: file of an OpenPose network, for the benchmark `annotation`; None: it is left out.
        images_dir: folder of photographs for the benchmark `annotation`.
        iteration_ms: milliseconds of an iteration on one device, for the benchmark `devices`.
        step_seconds: (image size, batch) → seconds per iteration; the benchmark `step` fills it for later ones.
    """

    quick: bool = False
    repeats: int = 15
    memory: bool = True
    pose_estimator: str | None = None
    images_dir: str | None = None
    iteration_ms: float = 1400.0
    step_seconds: dict[tuple[tuple[int, int], int], float] = field(default_factory=dict)

    @property
    def few_repeats(self) -> int:
        """Timed rounds of calls that take seconds."""
        return max(2, self.repeats // 3)

    @property
    def matmul_side(self) -> int:
        return QUICK_MATMUL_SIDE if self.quick else MATMUL_SIDE


@dataclass(frozen=True)
class Table:
    """Numbers with headings.

    Attributes:
        title: one line.
        columns: key of a row → heading with its unit.
        rows: values under the keys of `columns`; None or absent: not measured.
        notes: facts that a reader needs to judge the numbers.
    """

    title: str
    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, Value]]
    notes: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        rows = [{key: row.get(key) for key in self.columns} for row in self.rows]
        return {"title": self.title, "columns": dict(self.columns), "rows": rows, "notes": list(self.notes)}

    def to_text(self, markdown: bool = False) -> str:
        """The table as aligned columns for a terminal, or as Markdown."""
        cells = [list(self.columns.values())]
        cells += [[show(row.get(key)) for key in self.columns] for row in self.rows]
        widths = [max(3, *(len(line[i]) for line in cells)) for i in range(len(self.columns))]
        words = [any(isinstance(row.get(key), str) for row in self.rows) for key in self.columns]

        def padded(line: Sequence[str]) -> list[str]:
            return [cell.ljust(n) if word else cell.rjust(n) for cell, n, word in zip(line, widths, words, strict=True)]

        rules = ["-" * n if word else "-" * (n - 1) + ":" for n, word in zip(widths, words, strict=True)]
        if markdown:
            lines = [f"| {' | '.join(line)} |" for line in (padded(cells[0]), rules, *map(padded, cells[1:]))]
            return "\n".join([f"**{self.title}**", "", *lines, "", *(f"{note}  " for note in self.notes)]).rstrip()
        lines = ["  ".join(line).rstrip() for line in map(padded, cells)]
        rule = "  ".join("-" * n for n in widths)
        return "\n".join([self.title, rule, lines[0], rule, *lines[1:], rule, *(f"  {note}" for note in self.notes)])


def show(value: Value) -> str:
    """Three significant digits; `-` for None."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 4
        return f"{value:.{digits}f}"
    return f"{value:.1e}"


@dataclass(frozen=True)
class Timing:
    """The seconds of one call, for each round."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def best(self) -> float:
        return min(self.samples)

    @property
    def ms(self) -> float:
        return 1000 * self.median


def time_in_turns(forms: Mapping[str, Callable[[], object]], repeats: int, warm_up: int = 2) -> dict[str, Timing]:
    """Times each form once per round, one after the other, so that all forms run under the same load.

    Args:
        forms: name → function without arguments.
        repeats: number of rounds that count.
        warm_up: calls of each form before the first round; they include compiling.
    """
    asynchronous = bool(tf.config.list_physical_devices("GPU"))  # calls return before their work is done
    samples: dict[str, list[float]] = {name: [] for name in forms}
    for call in forms.values():
        for _ in range(warm_up):
            call()
    for _ in range(repeats):
        for name, call in forms.items():
            if asynchronous:
                tf.test.experimental.sync_devices()
            started = time.perf_counter()
            result = call()
            if asynchronous:
                tf.test.experimental.sync_devices()
            samples[name].append(time.perf_counter() - started)
            del result
    return {name: Timing(tuple(values)) for name, values in samples.items()}


def matrix_product(side: int) -> tuple[Callable[[], object], float]:
    """A float32 matrix product `side`³ for timing beside other work, and its GFLOP."""
    first, second = (tf.random.normal([side, side], seed=seed) for seed in (1, 2))
    return tf.function(lambda: tf.matmul(first, second)), 2 * side**3 / 1e9


def ratio(numerator: float | None, denominator: float | None) -> float | None:
    """The quotient; None if either number is unknown or the denominator is 0."""
    return numerator / denominator if numerator is not None and denominator else None
