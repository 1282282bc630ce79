"""What a set of generated images looks like and how it scores, as one HTML file or one picture.

The HTML holds its images and drawings itself: it opens from disk, with no network and no scripts.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import imageio.v3 as iio
import jinja2
import numpy as np

from pose_gan.data import PairData
from pose_gan.drawing import draw_skeleton, grid, write_image
from pose_gan.evaluation import read_strip, strip_name
from pose_gan.files import write_text
from pose_gan.keypoints import found
from pose_gan.metrics import METRICS
from pose_gan.metrics.scores import Scores, format_result
from pose_gan.run_log import read_history
from pose_gan.versions import versions

RANKING = "mask_ssim"
GRID_HEADERS = ("source", "source pose", "target pose", "target", "generated")
CHART_WIDTH, CHART_HEIGHT = 300, 90  # units of the drawing; the page scales it
CURVE_POINTS = 300


def write_report(
    path: str | os.PathLike[str],
    scores: Scores,
    data: PairData,
    options: Mapping[str, Any] | None = None,
    command: str = "",
    history: str | os.PathLike[str] | None = None,
    pairs: int = 6,
    seed: int = 0,
) -> None:
    """Writes a self-contained HTML page, atomically.

    It shows the scores beside those of copying the source image, loss curves, pairs drawn at random,
    the best and the worst pairs by mask-SSIM, and how all this was made.

    Args:
        path: the file, `.html`.
        scores: from `pose_gan.evaluation.score`; the strips must still be there.
        data: the pairs that were scored.
        options: settings of the run, to be listed; values are shown by `str`.
        command: what was typed, to be shown.
        history: a `metrics.jsonl` of training: a JSON object a line, with `step` and numbers.
        pairs: pairs shown in each of the three groups.
        seed: of the random choice.
    Raises: InputError: a strip or `history` cannot be read.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pose_gan"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        title=f"{len(scores.pairs)} generated images",
        made=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        strips_dir=str(scores.strips_dir),
        metrics=_metric_rows(scores),
        groups=[
            (name, note, [_card(scores, data, row) for row in rows])
            for name, note, rows in _selection(scores, pairs, seed)
        ],
        image_size=data.image_size,
        curves=[] if history is None else [_curve(*item) for item in read_history(history).items()],
        chart=(CHART_WIDTH, CHART_HEIGHT),
        options=sorted((name, _shown(value)) for name, value in (options or {}).items()),
        command=command,
        versions=versions(),
        seed=seed,
    )
    write_text(path, page)


def write_grid(path: str | os.PathLike[str], scores: Scores, data: PairData, pairs: int = 4, seed: int = 0) -> None:
    """Writes one picture with random, best and worst pairs: source, both poses, target, generated.

    Args: as `write_report`; the suffix of `path` chooses the format.
    """
    height = data.image_size[0]
    rows, captions, shown = [], [], set()
    for name, _, group in _selection(scores, pairs, seed):
        for row in group:
            if row in shown:
                continue
            shown.add(row)
            source, target, generated = _read(scores, data, row)
            poses = [draw_skeleton(pose, data.image_size, data.skeleton) for pose in _keypoints(scores, data, row)]
            rows.append([source, *poses, target, generated])
            captions.append(f"{name}: {_caption(scores, row)}")
    write_image(path, grid(rows, GRID_HEADERS, scale=max(1, round(256 / height)), captions=captions))


# ----------------------------------------------------------------------------------- the parts


def _selection(scores: Scores, count: int, seed: int) -> list[tuple[str, str, list[int]]]:
    """(name, explanation, rows) of the groups of pairs to show."""
    total = len(scores.pairs)
    random_rows = np.random.default_rng(seed).permutation(total)[:count]
    groups = [("random", f"drawn with seed {seed}", sorted(random_rows.tolist()))]
    ranking = _ranking(scores)
    if ranking is not None:
        title, order = METRICS[ranking].title, np.argsort(_values(scores, ranking), kind="stable")
        order = order[::-1] if METRICS[ranking].higher_is_better else order
        groups.append(("best", f"by {title}, best first", order[:count].tolist()))
        groups.append(("worst", f"by {title}, worst first", order[::-1][:count].tolist()))
    return groups


def _ranking(scores: Scores) -> str | None:
    """The metric that orders pairs: mask-SSIM, or the first that scores single images; None without any."""
    single = [name for name, result in scores.generated.items() if result.values is not None]
    return RANKING if RANKING in single else next(iter(single), None)


def _values(scores: Scores, metric: str) -> np.ndarray:
    values = scores.generated[metric].values
    assert values is not None
    return values


def _metric_rows(scores: Scores) -> list[dict[str, Any]]:
    rows = []
    for name, result in scores.generated.items():
        spec, copied = METRICS[name], scores.copy_source[name]
        better = result.mean > copied.mean if spec.higher_is_better else result.mean < copied.mean
        rows.append(
            {
                "title": spec.title,
                "higher": spec.higher_is_better,
                "generated": format_result(result),
                "copied": format_result(copied),
                "better": better,
                "settings": "; ".join(
                    f"{key.replace('_', ' ')}: {value}"
                    for key, value in spec.settings.items()
                    if value is not None and value is not False
                ),
            }
        )
    return rows


def _card(scores: Scores, data: PairData, row: int) -> dict[str, Any]:
    """The pictures and texts of one pair."""
    source, target, generated = _read(scores, data, row)
    names = scores.pairs.iloc[row]
    factor = max(1, round(256 / data.image_size[0]))  # lines are drawn finer than the image's pixels
    pose = _keypoints(scores, data, row)[1].astype(float)
    enlarged = np.where(found(pose)[:, None], (pose + 0.5) * factor - 0.5, -1)
    size = (data.image_size[0] * factor, data.image_size[1] * factor)
    pictures = {
        "source": source,
        "target pose": draw_skeleton(enlarged, size, data.skeleton),
        "target": target,
        "generated": generated,
    }
    return {
        "pictures": [(name, _data_url(picture)) for name, picture in pictures.items()],
        "source": names["from"],
        "target": names["to"],
        "caption": _caption(scores, row, with_names=False),
    }


def _caption(scores: Scores, row: int, with_names: bool = True) -> str:
    names = scores.pairs.iloc[row]
    shown = [name for name in ("mask_ssim", "ssim", "l1") if name in scores.generated]
    numbers = [f"{METRICS[name].title} {_values(scores, name)[row]:.3f}" for name in shown]
    return ", ".join(([f"{names['from']} -> {names['to']}"] if with_names else []) + numbers)


def _read(scores: Scores, data: PairData, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names = scores.pairs.iloc[row]
    return read_strip(scores.strips_dir / strip_name(names["from"], names["to"]), data.image_size)


def _keypoints(scores: Scores, data: PairData, row: int) -> np.ndarray:
    """Of source and target: `(2, joints, 2)`."""
    names = scores.pairs.iloc[row]
    return data.annotations.keypoints[[data.annotations.rows[names[key]] for key in ("from", "to")]]


def _data_url(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    iio.imwrite(buffer, picture, extension=".png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


@dataclass(frozen=True)
class Curve:
    """One chart: `points` for an SVG polyline, and its labels."""

    name: str
    points: str
    low: str
    high: str
    last: str
    first_step: str
    last_step: str


def _curve(name: str, curve: tuple[list[float], list[float]]) -> Curve:
    """A chart of a curve; above `CURVE_POINTS` points, neighbours are averaged."""
    steps, values = (np.array(axis, dtype=float) for axis in curve)
    last = values[-1]
    if len(steps) > CURVE_POINTS:
        parts = np.array_split(np.arange(len(steps)), CURVE_POINTS)
        steps, values = (np.array([axis[part].mean() for part in parts]) for axis in (steps, values))
    low, high = values.min(), values.max()
    x = (steps - steps[0]) / (steps[-1] - steps[0] or 1) * CHART_WIDTH
    y = (high - values) / (high - low or 1) * CHART_HEIGHT
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return Curve(
        name=name.replace("_", " "),
        points=points,
        low=f"{low:.4g}",
        high=f"{high:.4g}",
        last=f"{last:.4g}",
        first_step=f"{curve[0][0]:g}",
        last_step=f"{curve[0][-1]:,.0f}",
    )


def _shown(value: Any) -> str:
    """A setting as a short text; a large table (a skeleton) by its name."""
    if dataclasses.is_dataclass(value) or isinstance(value, dict):
        name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
        return str(name or value)
    return "none" if value is None else str(value)
