"""Pairs of images of one person: how they are found, and the CSV that lists them (`from,to`)."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.files.text import read_lines
from pose_gan.poses.keypoints import Annotations, has_required_joints
from pose_gan.poses.skeleton import COCO18, Skeleton

if TYPE_CHECKING:
    import pandas as pd

TEST_PAIRS = 12000
DISTRACTORS = ("-1", "0000")  # Market-1501: junk and background detections


def person_of(name: str) -> str:
    """The person in an image name, which is the text before the first `_`.

    DeepFashion's names start with `fashion` or `fasion`, and may keep the underscores of their category
    (`fashionMENJackets_Vestsid0000401403_4full.jpg`). In these names, the person ends at the last `_`.
    """
    return name.rsplit("_", 1)[0] if name.startswith(("fashion", "fasion")) else name.split("_", 1)[0]


def valid_names(annotations: Annotations, skeleton: Skeleton = COCO18) -> list[str]:
    """Names of the images from which pairs are made, in the order of the annotation file.

    An image is valid if the skeleton's required joints were found and its name starts neither with
    `-1` nor with `0000`.
    """
    valid = has_required_joints(annotations.keypoints, skeleton)
    return [name for name, ok in zip(annotations.names, valid, strict=True) if ok and not name.startswith(DISTRACTORS)]


def make_pairs(
    annotations: Annotations,
    skeleton: Skeleton = COCO18,
    person: Callable[[str], str] = person_of,
) -> pd.DataFrame:
    """All ordered pairs of two valid images of one person.

    Persons are in order of first appearance, and their images in the order of the annotation file.

    Returns: a table with the columns `from` and `to`; it has no rows if no person has two valid images.
    Source: paper, Section 6 ("Datasets").
    """
    import pandas as pd

    images: dict[str, list[str]] = {}
    for name in valid_names(annotations, skeleton):
        images.setdefault(person(name), []).append(name)
    pairs = [pair for names in images.values() for pair in itertools.permutations(names, 2)]
    return pd.DataFrame(pairs, columns=["from", "to"], dtype=object)


def sample_pairs(pairs: pd.DataFrame, count: int = TEST_PAIRS) -> pd.DataFrame:
    """The release's test pairs: at most `count`, drawn without replacement with a fixed seed."""
    return pairs.sample(n=min(count, len(pairs)), replace=False, random_state=0)


def read_pairs(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Reads a pair CSV; row `i` of the result is row `i + 2` of the file.

    Raises: InputError: the file is absent, its header is not `from,to`, or a row does not hold two names.
    """
    import pandas as pd

    try:
        rows = list(csv.reader(read_lines(path)))
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV with the columns from,to: {error}") from None
    if not rows or rows[0] != ["from", "to"]:
        got = ",".join(rows[0])[:80] if rows else "an empty file"
        raise InputError(f"{path}, row 1: the header must be 'from,to', got '{got}'")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != 2 or not all(row):
            raise InputError(f"{path}, row {number}: each row is two image names (from,to), got '{','.join(row)[:80]}'")
    return pd.DataFrame(rows[1:], columns=["from", "to"], dtype=object)


def write_pairs(path: str | os.PathLike[str], pairs: pd.DataFrame) -> None:
    """Writes a pair CSV, atomically."""
    with atomic_path(path) as temporary:
        pairs.to_csv(temporary, index=False)
