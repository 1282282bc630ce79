"""Pairs of images of one person: which exist, and the CSV that lists them (`from,to`)."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pandas as pd

from pose_gan.errors import InputError
from pose_gan.files import atomic_path
from pose_gan.keypoints import Annotations, has_required_joints
from pose_gan.skeleton import COCO18, Skeleton

TEST_PAIRS = 12000
DISTRACTORS = ("-1", "0000")  # Market-1501: junk and background detections


def person_of(name: str) -> str:
    """The person in a Market-style name: what stands before the first `_`."""
    return name.split("_", 1)[0]


def make_pairs(
    annotations: Annotations,
    skeleton: Skeleton = COCO18,
    person: Callable[[str], str] = person_of,
) -> pd.DataFrame:
    """All ordered pairs of two valid images of one person.

    An image is valid if the skeleton's required joints were found and its name starts neither with
    `-1` nor with `0000`. Persons come in order of first appearance, their images in the order of
    the annotation file.

    Returns: columns `from` and `to`.
    Source: paper, Section 6 ("Datasets").
    """
    valid = has_required_joints(annotations.keypoints, skeleton)
    names = np.array(
        [name for name, ok in zip(annotations.names, valid, strict=True) if ok and not name.startswith(DISTRACTORS)],
        dtype=object,
    )
    codes, _ = pd.factorize(np.array([person(name) for name in names], dtype=object))
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=0)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
    firsts, seconds = [np.empty(0, dtype=int)], [np.empty(0, dtype=int)]
    for start, size in zip(starts, sizes, strict=True):
        first, second = np.divmod(np.arange(size * size), size)
        keep = first != second
        firsts.append(order[start + first[keep]])
        seconds.append(order[start + second[keep]])
    return pd.DataFrame({"from": names[np.concatenate(firsts)], "to": names[np.concatenate(seconds)]})


def sample_pairs(pairs: pd.DataFrame, count: int = TEST_PAIRS) -> pd.DataFrame:
    """The release's test pairs: at most `count`, drawn without replacement with a fixed seed."""
    return pairs.sample(n=min(count, len(pairs)), replace=False, random_state=0)


def read_pairs(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Reads a pair CSV. Raises InputError for an absent file, other columns or an empty cell."""
    try:
        pairs = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with: python -m data_prep pairs") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV with the columns from,to: {error}") from None
    if list(pairs.columns) != ["from", "to"]:
        raise InputError(f"{path}, row 1: the header must be 'from,to', got '{','.join(map(str, pairs.columns))}'")
    empty = np.flatnonzero((pairs == "").any(axis=1).to_numpy())
    if len(empty):
        raise InputError(f"{path}, row {empty[0] + 2}: an empty cell; each row is two image names")
    return pairs


def write_pairs(path: str | os.PathLike[str], pairs: pd.DataFrame) -> None:
    """Writes a pair CSV, atomically."""
    with atomic_path(path) as temporary:
        pairs.to_csv(temporary, index=False)
