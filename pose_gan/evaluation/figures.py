"""A figure of several runs side by side on the same pairs, like the paper's Fig. 4."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pose_gan.config import DataConfig
from pose_gan.errors import InputError
from pose_gan.evaluation.examples import enlarge, pose_picture, ranked
from pose_gan.evaluation.saved_scores import SavedScores, read_scores, run_names
from pose_gan.evaluation.strip_names import spellings, split_name, strip_name
from pose_gan.evaluation.strips import JudgedImages, Pair
from pose_gan.files.atomic import atomic_path
from pose_gan.files.folders import dataset_path, list_images
from pose_gan.metrics import METRICS, RANKING
from pose_gan.poses.drawing import grid
from pose_gan.poses.keypoints import Annotations, read_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton

POSES = ("source pose", "target pose")

PAGE_PIXELS = 2000  # approximate width of a figure: 300 dots per inch over the text width of a page

PAGE_INCHES = 6.7


@dataclass(frozen=True, eq=False)
class Run:
    """Generated images of many pairs, to be shown in one column.

    Attributes:
        name: header of the column.
        images: the strips.
        scores: the content of their `metrics.json`.
    """

    name: str
    images: JudgedImages
    scores: SavedScores

    @cached_property
    def rows(self) -> dict[Pair, int]:
        """Pair → row of `images`."""
        return {(a, b): row for row, (a, b) in enumerate(self.images.pairs.to_numpy().tolist())}


def open_runs(
    folders: Sequence[str | os.PathLike[str]],
    names: Sequence[str] | None = None,
    annotations: Sequence[str | os.PathLike[str]] = (),
    skeleton: Skeleton = COCO18,
) -> list[Run]:
    """Finds the strips of runs, and the keypoints of their images.

    Args:
        folders: folders with a `metrics.json` and strips.
        names: one name per run; None: those of `run_names`.
        annotations: files of keypoints; none: those with which the runs were scored, if they still exist.
        skeleton: the skeleton of the keypoints.
    Raises: InputError: scores or strips are missing, strips have several sizes, or annotations cannot be read.
    """
    saved = [read_scores(folder) for folder in folders]
    sizes = {scores.image_size: scores.folder for scores in saved}
    if len(sizes) > 1:
        (a, first), (b, second), *_ = sizes.items()
        raise InputError(
            f"images of {first} are {a[0]}x{a[1]} pixels (height x width), those of {second} are {b[0]}x{b[1]}; "
            "a figure needs one size"
        )
    poses = _keypoints(annotations or _recorded_annotations(saved, skeleton), skeleton)
    return [
        Run(name, _strips(scores, poses, skeleton), scores)
        for name, scores in zip(run_names(saved, names), saved, strict=True)
    ]


def common_pairs(runs: Sequence[Run]) -> list[Pair]:
    """The pairs that all runs have, in the order of the first run. Raises InputError if there are none."""
    pairs = [pair for pair in runs[0].rows if all(pair in run.rows for run in runs)]
    if not pairs:
        counts = ", ".join(f"{run.name} {len(run.rows)}" for run in runs)
        raise InputError(f"no pair is in all runs (pairs: {counts}); generate the same pairs with each")
    return pairs


def choose_pairs(
    runs: Sequence[Run], count: int, how: str = "random", metric: str = RANKING, seed: int = 0
) -> list[Pair]:
    """Chooses among the pairs that all runs have.

    Args:
        runs: the runs.
        count: number of pairs; all are taken if there are no more.
        how: `random`, `best` or `worst`; the last two go by the mean of `metric` over the runs.
        metric: a metric that scores single images; either low or high scores may be the better ones.
        seed: seed of the random choice.
    Raises: InputError: the runs have no common pairs, or not all of them have the metric.
    """
    pairs = common_pairs(runs)
    if how == "random":
        drawn = np.random.default_rng(seed).permutation(len(pairs))[:count]
        return [pairs[row] for row in sorted(drawn.tolist())]
    order = ranked(np.mean([_values(run, pairs, metric) for run in runs], axis=0), METRICS[metric].higher_is_better)
    return [pairs[row] for row in (order if how == "best" else order[::-1])[:count]]


def named_pairs(runs: Sequence[Run], names: Sequence[str]) -> list[Pair]:
    """The pairs of the named strips (with or without `.png`). Raises InputError if a run lacks one of them."""
    known: dict[str, Pair] = {}
    for pair in common_pairs(runs):
        file = runs[0].images.files[runs[0].rows[pair]][0]
        known |= dict.fromkeys((file.name, file.stem, strip_name(*pair), Path(strip_name(*pair)).stem), pair)
    for name in names:
        if name not in known:
            raise InputError(f"--rows: {name} is no strip that all runs have; such as {next(iter(known))}")
    return [known[name] for name in names]


def draw(runs: Sequence[Run], pairs: Sequence[Pair]) -> np.ndarray:
    """Draws one row per pair: source, source pose, target pose, target, then the generated image of each run.

    A column of poses is left out if none of its poses is known.

    Returns: uint8 `(height, width, 3)`.
    Raises: InputError: a strip cannot be read.
    """
    first = runs[0].images
    scale = max(1, round(PAGE_PIXELS / ((4 + len(runs)) * first.image_size[1])))
    columns: dict[str, list[np.ndarray | None]] = {header: [] for header in ("source", *POSES, "target")}
    columns |= {run.name: [] for run in runs}
    for pair in pairs:
        source, target, _ = first.read(runs[0].rows[pair])
        columns["source"].append(enlarge(source, scale))
        columns["target"].append(enlarge(target, scale))
        for header, name in zip(POSES, pair, strict=True):
            columns[header].append(pose_picture(first, name, scale))
        for run in runs:
            columns[run.name].append(enlarge(run.images.read(run.rows[pair])[2], scale))
    unknown = np.full((first.image_size[0] * scale, first.image_size[1] * scale, 3), 255, np.uint8)
    shown = {
        header: [unknown if picture is None else picture for picture in pictures]
        for header, pictures in columns.items()
        if any(picture is not None for picture in pictures)
    }
    return grid(list(zip(*shown.values(), strict=True)), list(shown))


def write_figure(path: str | os.PathLike[str], picture: np.ndarray) -> None:
    """Writes a picture as `.png` or `.pdf` (one page, as wide as the text of a printed page), atomically."""
    with atomic_path(path) as temporary:
        image = Image.fromarray(picture)
        if temporary.suffix == ".pdf":
            # Pillow stores the picture as JPEG in a PDF; at this quality the loss is not visible
            image.save(temporary, "PDF", resolution=picture.shape[1] / PAGE_INCHES, quality=95, subsampling=0)
        else:
            image.save(temporary)


def _strips(scores: SavedScores, poses: Annotations | None, skeleton: Skeleton) -> JudgedImages:
    """The strips of the scored pairs. They lie in the folder of the scores, or where they lay at the scoring."""
    if scores.options.get("generated"):
        raise InputError(f"{scores.folder}: scores of images in separate folders; a figure needs strips")
    folder = scores.folder if list_images(scores.folder) else scores.images
    pairs = [(str(a), str(b)) for a, b in scores.per_pair[["from", "to"]].to_numpy()]
    known = spellings({name for pair in pairs for name in pair})
    files = {split_name(name, known) or (name, name): name for name in list_images(folder)}
    missing = [pair for pair in pairs if pair not in files]
    if missing:
        raise InputError(
            f"{folder}: no strip of the pair {' -> '.join(missing[0])} ({len(missing)} of {len(pairs)} that were "
            f"scored, by {scores.folder}, are missing); score what is there again"
        )
    return JudgedImages(
        pd.DataFrame(pairs, columns=["from", "to"], dtype=object),
        [(folder / files[pair],) for pair in pairs],
        scores.image_size,
        folder,
        poses,
        skeleton,
    )


def _recorded_annotations(saved: Sequence[SavedScores], skeleton: Skeleton) -> list[Path]:
    """The annotation files with which the runs were scored, as far as they still exist."""
    paths: list[Path] = []
    for options in (scores.options for scores in saved):
        given = options.get("annotations") or []
        paths += [Path(path) for path in given if isinstance(given, list)]
        if options.get("dataset"):
            folder, name = str(options.get("annotations_dir") or DataConfig().annotations_dir), str(options["dataset"])
            paths += [dataset_path(folder, name, f"-annotation-{split}.csv") for split in ("test", "train")]
    there = [path for path in dict.fromkeys(paths) if path.is_file()]
    recorded = {scores.options.get("skeleton") or scores.options.get("training: skeleton") for scores in saved}
    recorded -= {None, skeleton.name}
    if there and recorded:
        raise InputError(f"the runs have the skeleton {min(map(str, recorded))!r}; give its file with --skeleton FILE")
    return there


def _keypoints(paths: Sequence[str | os.PathLike[str]], skeleton: Skeleton) -> Annotations | None:
    """One table from all files. If an image stands in several files, its first row counts."""
    poses: dict[str, np.ndarray] = {}
    for path in paths:
        file = read_annotations(path, skeleton)
        poses |= {name: file.keypoints[row] for name, row in file.rows.items() if name not in poses}
    return Annotations(tuple(poses), np.array(list(poses.values())), str(paths[0])) if poses else None


def _values(run: Run, pairs: Sequence[Pair], metric: str) -> np.ndarray:
    """The scores of single images, `(len(pairs),)`."""
    table = run.scores.per_pair
    if metric not in table.columns:
        single = [name for name in table.columns if name in METRICS]
        raise InputError(
            f"--by {metric}: {run.scores.folder} has no scores of single images by it; it has {', '.join(single)}"
        )
    return table[metric].to_numpy(float)[[run.rows[pair] for pair in pairs]]
