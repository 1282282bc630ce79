"""`pose-gan data stats`: counts the images, persons, pairs and joints of a data set."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_prep import SPLITS
from data_prep.check import SplitFiles, find_splits
from data_prep.importing import in_threads
from data_prep.problems import left_out_lines
from pose_gan.data.pairs import Person, left_out, person_by, person_hint, person_of, read_pairs, valid_names
from pose_gan.errors import InputError
from pose_gan.files.folders import is_background, list_images
from pose_gan.files.images import image_size
from pose_gan.files.text import write_json
from pose_gan.poses.drawing import grid, hues, write_image
from pose_gan.poses.keypoints import Annotations, found, read_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton
from pose_gan.programs.flags import add_data_arguments, add_person_argument, data_config, skeleton
from pose_gan.programs.flags import image_size as parse_size
from pose_gan.programs.verbs import verb_parser

if TYPE_CHECKING:
    import pandas as pd

BAR = 40  # characters that mean 100 %
PICTURE_HEIGHT = 512  # lowest height in pixels of a picture of joint positions
EPILOG = """examples:
  pose-gan data stats --dataset market
  pose-gan data stats --dataset fashion --split test --json fashion.json --picture joints.png

An image is valid if the joints that the skeleton requires were found (both shoulders and hips), and
its name does not start with -1, and its person is not 0000. The height of a person is measured from the highest to
the lowest found joint. --picture shows the places of the joints, each joint in its own colour."""


@dataclass(frozen=True)
class Stats:
    """A split in numbers.

    Attributes:
        images: number of files in the folder, without backgrounds.
        sizes: `HEIGHTxWIDTH` → number of images, the most frequent size first; unreadable images do not count.
        annotated: number of rows of the keypoint file.
        valid: number of images from which pairs are made.
        left_out: rule in words → number of annotated images that it leaves out of the pairs.
        persons: number of persons with a valid image.
        images_per_person: distribution of the number of valid images per person, from `spread`.
        height: distribution of the person's height in valid images, in pixels, from `spread`.
        pairs: number of rows of the pair list; None: there is no list.
        unseen: share of the pairs whose target has a joint that the source lacks; None: there are no pairs.
        found: joint → share of the annotated images in which it was found.
        hint: what is striking about the persons; None: nothing.
    """

    images: int
    sizes: dict[str, int]
    annotated: int
    valid: int
    left_out: dict[str, int]
    persons: int
    images_per_person: dict[str, float]
    height: dict[str, float]
    pairs: int | None
    unseen: float | None
    found: dict[str, float]
    hint: str | None = None


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("data stats", "Counts the images, persons, pairs and joints of a data set.", EPILOG)
    parser.add_argument(
        "--split", choices=[*SPLITS, "both"], default="both", help="splits to count (default: both, if present)"
    )
    parser.add_argument(
        "--skeleton", type=skeleton, default=COCO18, metavar="FILE", help="skeleton file (default: the 18 COCO joints)"
    )
    add_person_argument(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers as JSON")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="also draw the places of the joints")
    add_data_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the numbers of each split.

    Raises: InputError: a file is absent or cannot be read.
    """
    options = build_parser().parse_args(argv)
    if options.picture and options.picture.suffix != ".png":
        raise InputError(f"--picture: got {options.picture}; give a name that ends in .png")
    splits = find_splits(data_config(options), options.split)
    tables = {split: read_annotations(files.annotations, options.skeleton) for split, files in splits.items()}
    person = person_by(options.person)
    stats = {split: count(files, tables[split], options.skeleton, person) for split, files in splits.items()}
    print("\n".join(_text(split, splits[split], numbers) for split, numbers in stats.items()))
    if options.json:
        write_json(options.json, {split: asdict(numbers) for split, numbers in stats.items()})
        print(f"numbers -> {options.json}")
    if options.picture:
        size = _commonest_size(list(stats.values()))
        pictures = [joint_picture(table.keypoints, size) for table in tables.values()]
        write_image(options.picture, grid([pictures], headers=list(tables), scale=-(-PICTURE_HEIGHT // size[0])))
        print(f"joint positions -> {options.picture}")
    return 0


def count(files: SplitFiles, table: Annotations, skeleton: Skeleton, person: Person = person_of) -> Stats:
    """The numbers of a split. Raises InputError if the pair list cannot be read."""
    names = [name for name in list_images(files.images) if not is_background(name)]
    sizes = Counter(size for size in in_threads(lambda name: _size(files.images / name), names, "sizes") if size)
    valid = valid_names(table, skeleton, person)
    persons = Counter(map(person, valid))
    is_found = found(table.keypoints)
    rows = [table.rows[name] for name in valid]
    y, y_found = table.keypoints[rows, :, 0], is_found[rows]
    height = np.where(y_found, y, 0).max(axis=1) - np.where(y_found, y, np.iinfo(np.int32).max).min(axis=1)
    pairs = read_pairs(files.pairs) if files.pairs.exists() else None
    return Stats(
        images=len(names),
        sizes=dict(sizes.most_common()),
        annotated=len(table),
        valid=len(valid),
        left_out={rule: len(names) for rule, names in left_out(table, skeleton, person).items()},
        persons=len(persons),
        images_per_person=spread(list(persons.values())),
        height=spread(height),
        pairs=None if pairs is None else len(pairs),
        unseen=None if pairs is None else unseen_share(table, is_found, pairs),
        found=dict(zip(skeleton.joints, is_found.mean(axis=0).tolist() if len(table) else (), strict=False)),
        hint=person_hint(valid, person),
    )


def spread(values: Sequence[int] | np.ndarray) -> dict[str, float]:
    """Minimum, 10th percentile, median, 90th percentile and maximum; empty for no values."""
    if len(values) == 0:
        return {}
    numbers = np.percentile(values, (0, 10, 50, 90, 100)).tolist()
    return dict(zip(("min", "10 %", "median", "90 %", "max"), numbers, strict=True))


def unseen_share(table: Annotations, is_found: np.ndarray, pairs: pd.DataFrame) -> float | None:
    """The share of pairs whose target has a joint that the source lacks, so that the network must invent it.

    Args:
        table: the keypoints; pairs of images that are not in it do not count.
        is_found: whether each joint of `table` was found, bool `(images, joints)`.
        pairs: table with the columns `from` and `to`.
    Returns: a share from 0 to 1; None if no pair counts.
    """
    rows = np.array([[table.rows.get(name, -1) for name in pair] for pair in pairs.to_numpy()]).reshape(-1, 2)
    rows = rows[(rows >= 0).all(axis=1)]
    if not len(rows):
        return None
    return float((is_found[rows[:, 1]] & ~is_found[rows[:, 0]]).any(axis=1).mean())


def joint_picture(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture of the joints' places. Each joint has its own hue, which is brighter where the joint is more frequent.

    Args:
        keypoints: integers `(N, joints, 2)`, (y, x) in pixels, −1 where missing.
        size: (height, width) in pixels; joints outside of it are left out.
    Returns: uint8 `(height, width, 3)`.
    """
    joints = keypoints.shape[1]
    counts = np.zeros((joints, *size))
    rows, numbers = np.nonzero(found(keypoints) & (keypoints < size).all(axis=-1))
    np.add.at(counts, (numbers, *keypoints[rows, numbers].T), 1)
    brightness = np.sqrt(counts / max(counts.max(), 1))  # the root keeps single joints visible
    return np.rint(np.clip(np.einsum("jhw,jc->hwc", brightness, hues(joints).astype(float)), 0, 255)).astype(np.uint8)


def _commonest_size(stats: Sequence[Stats]) -> tuple[int, int]:
    sizes = sum((Counter(numbers.sizes) for numbers in stats), Counter[str]())
    if not sizes:
        raise InputError("--picture: no image can be read, so its size is not known; leave it out")
    return parse_size(sizes.most_common(1)[0][0])


def _size(path: Path) -> str:
    try:
        return "{}x{}".format(*image_size(path))
    except InputError:  # `check` reports its fault
        return ""


def _text(split: str, files: SplitFiles, stats: Stats) -> str:
    sizes = [f"{number} of {size}" for size, number in stats.sizes.items()]
    unreadable = stats.images - sum(stats.sizes.values())
    sizes += [f"{unreadable} that cannot be read"] if unreadable else []
    pairs = "none yet" if stats.pairs is None else f"{stats.pairs} in {files.pairs}"
    lines = [
        split,
        f"  images       {stats.images} in {files.images}" + (f": {', '.join(sizes)}" if sizes else ""),
        f"  annotated    {stats.annotated} in {files.annotations}",
        f"  valid        {stats.valid}, of {stats.persons} persons",
        *left_out_lines(stats.left_out),
        f"  per person   {_spread_text(stats.images_per_person)} valid images",
        f"  height       {_spread_text(stats.height)} pixels",
        f"  pairs        {pairs}",
    ]
    if stats.unseen is not None:
        lines.append(f"               in {stats.unseen:.1%} the target has a joint that the source lacks")
    lines += [f"  hint         {stats.hint}"] if stats.hint else []
    lines.append("  joints found")
    width = max(map(len, stats.found), default=0)
    for joint, share in stats.found.items():
        lines.append(f"    {joint:<{width}} {share:6.1%} {'#' * round(BAR * share)}".rstrip())
    return "\n".join(lines) + "\n"


def _spread_text(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items()) or "no"
