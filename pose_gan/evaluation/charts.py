"""Numbers as drawings: the points and labels with which a page draws curves, histograms and bars without scripts.

matplotlib would bring 170 MB of packages, and its pictures do not follow the page's fonts and its light or dark
colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 300, 90  # in the units of a drawing, which the page scales
CURVE_POINTS = 300
MAX_BINS = 30


@dataclass(frozen=True)
class Curve:
    """A line chart: `points` for an SVG polyline, and its labels."""

    name: str
    points: str
    low: str
    high: str
    last: str
    first_step: str
    last_step: str


def curve(name: str, steps: Sequence[float], values: Sequence[float]) -> Curve:
    """A line chart of values by step. If there are more than `CURVE_POINTS` points, neighbours are averaged."""
    x, y = np.array(steps, dtype=float), np.array(values, dtype=float)
    if len(x) > CURVE_POINTS:
        parts = np.array_split(np.arange(len(x)), CURVE_POINTS)
        x, y = (np.array([axis[part].mean() for part in parts]) for axis in (x, y))
    low, high = float(y.min()), float(y.max())
    return Curve(
        name=name.replace("_", " "),
        points=_points(_scaled(x, x[0], x[-1], WIDTH), HEIGHT - _scaled(y, low, high, HEIGHT)),
        low=f"{low:.4g}",
        high=f"{high:.4g}",
        last=f"{values[-1]:.4g}",
        first_step=f"{steps[0]:,.0f}",
        last_step=f"{steps[-1]:,.0f}",
    )


@dataclass(frozen=True)
class Histogram:
    """The distributions of several sets of values on one axis.

    Attributes:
        name: name of the values.
        low, high: labels of the ends of the axis.
        outlines: name of a set → points of an SVG polygon.
        means: name of a set → position of its mean on the axis, in units of the drawing.
        text: the same in words, for readers who cannot see the drawing.
    """

    name: str
    low: str
    high: str
    outlines: dict[str, str]
    means: dict[str, float]
    text: str


def histogram(name: str, sets: Mapping[str, np.ndarray]) -> Histogram:
    """A histogram of `sets`: name → values `(N,)`, N ≥ 1, finite. Sets share bins; the highest bin fills the height."""
    everything = np.concatenate(list(sets.values()))
    low, high = float(everything.min()), float(everything.max())
    bins = int(np.clip(2 * np.sqrt(len(everything) / len(sets)), 6, MAX_BINS))  # few bins for few images
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    shares = {key: np.histogram(values, edges)[0] / len(values) for key, values in sets.items()}
    top = max(share.max() for share in shares.values())
    x = np.repeat(_scaled(edges, edges[0], edges[-1], WIDTH), 2)
    outlines = {}
    for key, share in shares.items():
        y = np.concatenate([[0], np.repeat(share, 2), [0]])
        outlines[key] = _points(x, HEIGHT - y / top * HEIGHT)
    means = {key: round(float(_scaled(v.mean(), edges[0], edges[-1], WIDTH)), 1) for key, v in sets.items()}
    words = [
        f"{key}: mean {values.mean():.4g}, 5 % below {np.quantile(values, 0.05):.4g}, "
        f"5 % above {np.quantile(values, 0.95):.4g}"
        for key, values in sets.items()
    ]
    return Histogram(name, f"{low:.4g}", f"{edges[-1]:.4g}", outlines, means, f"{name}; " + "; ".join(words))


@dataclass(frozen=True)
class Bar:
    """A share from 0 to 1, as a text and as the width of a bar in percent."""

    text: str
    percent: float


def bars(shares: Mapping[str, Mapping[str, float]]) -> list[tuple[str, list[Bar | None]]]:
    """A table of bars.

    Args: shares: column → row → share from 0 to 1.
    Returns: each row's name and one bar per column (None where the column lacks the row); rows are in the order of the
        first column that has them.
    """
    rows = dict.fromkeys(row for column in shares.values() for row in column)
    return [(row, [_bar(column.get(row)) for column in shares.values()]) for row in rows]


def _bar(share: float | None) -> Bar | None:
    return None if share is None else Bar(f"{100 * share:.1f} %", round(100 * share, 1))


def _scaled(values: np.ndarray, low: float, high: float, length: float) -> np.ndarray:
    """Maps `low` to 0 and `high` to `length`; all values become 0 where the two are equal."""
    return (values - low) / (high - low or 1) * length


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
