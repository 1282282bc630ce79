"""Pairs of images of one person: how they are found, and the CSV that lists them (`from,to`)."""

from __future__ import annotations

import csv
import itertools
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.files.text import read_lines
from pose_gan.poses.keypoints import Annotations, has_required_joints, name_problem
from pose_gan.poses.skeleton import COCO18, Skeleton

if TYPE_CHECKING:
    import pandas as pd

TEST_PAIRS = 12000
DISTRACTOR, JUNK = "0000", "-1"  # Market-1501: the person of background detections, the start of names of bad ones
COLUMNS = ["from", "to"]

Person = Callable[[str], str]
"""A function from an image's name to its person."""


def person_of(name: str) -> str:
    """The person in an image name, which is the text before the first `_`.

    DeepFashion's names start with `fashion` or `fasion`, and may keep the underscores of their category
    (`fashionMENJackets_Vestsid0000401403_4full.jpg`). In these names, the person ends at the last `_`.
    """
    return name.rsplit("_", 1)[0] if name.startswith(("fashion", "fasion")) else name.split("_", 1)[0]


def person_by(pattern: str | None) -> Person:
    """The rule that a user gives for the person in an image name.

    Args:
        pattern: a regular expression that is found somewhere in each name. The person is its first group, or all that
            it matches if it has no group. Empty: no part of the name, so all images show one person, such as the frames
            of one video. None: `person_of`.
    Returns: a function that raises InputError for a name in which the pattern finds no person.
    Raises: InputError: `pattern` is not a regular expression.
    """
    if pattern is None:
        return person_of
    if not pattern:
        return lambda name: ""
    try:
        rule = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--person {pattern!r}: not a regular expression: {error}") from None

    def person(name: str) -> str:
        match = rule.search(name)
        found = match[1 if rule.groups else 0] if match else None
        if not found:
            raise InputError(f"--person {pattern!r}: finds no person in the name {name}; give a rule for all names")
        return found

    return person


def is_distractor(name: str, person: Person = person_of) -> bool:
    """Whether an image is junk or a distractor of Market-1501: its name starts with `-1`, or its person is `0000`."""
    return name.startswith(JUNK) or person(name) == DISTRACTOR


def left_out(annotations: Annotations, skeleton: Skeleton = COCO18, person: Person = person_of) -> dict[str, list[str]]:
    """The images from which no pairs are made.

    Returns: a rule in words → the names of the images that it leaves out, in the order of the file. An image stands
        under the first rule that fits it; a rule that fits none is absent.
    """
    valid = has_required_joints(annotations.keypoints, skeleton)
    rules: dict[str, list[str]] = {
        f"their names start with {JUNK} (Market-1501's junk)": [],
        f"their person is {DISTRACTOR} (Market-1501's distractors)": [],
        f"a joint of {', '.join(skeleton.required)} was not found": [],
    }
    junk, distractors, incomplete = rules.values()
    for name, complete in zip(annotations.names, valid, strict=True):
        if name.startswith(JUNK):
            junk.append(name)
        elif is_distractor(name, person):
            distractors.append(name)
        elif not complete:
            incomplete.append(name)
    return {rule: names for rule, names in rules.items() if names}


def valid_names(annotations: Annotations, skeleton: Skeleton = COCO18, person: Person = person_of) -> list[str]:
    """Names of the images from which pairs are made, in the order of the annotation file.

    An image is valid if the skeleton's required joints were found, its name does not start with `-1`, and its person
    is not `0000`. `left_out` gives the others.
    """
    others = {name for names in left_out(annotations, skeleton, person).values() for name in names}
    return [name for name in annotations.names if name not in others]


def person_hint(names: Sequence[str], person: Person = person_of) -> str | None:
    """What is striking about the persons of valid images, in words; None: nothing, or there is only one image.

    That all images show one person is not striking if the rule of `person_by` says so.
    """
    persons = {person(name) for name in names}
    if len(names) < 2 or 1 < len(persons) < len(names) or persons == {""}:
        return None
    if len(persons) == 1:
        found = f"all {len(names)} valid images count as one person, {persons.pop()!r}"
    else:
        found = f"the {len(names)} valid images count as {len(names)} persons, one image each"
    return (
        f"{found}; by default a person is the name up to its first '_' (the last one for names that start with "
        "'fashion' or 'fasion'), and --person REGEX gives another rule"
    )


def make_pairs(annotations: Annotations, skeleton: Skeleton = COCO18, person: Person = person_of) -> pd.DataFrame:
    """All ordered pairs of two valid images of one person.

    Persons are in order of first appearance, and their images in the order of the annotation file.

    Returns: a table with the columns `from` and `to`; it has no rows if no person has two valid images.
    Source: paper, Section 6 ("Datasets").
    """
    images: dict[str, list[str]] = {}
    for name in valid_names(annotations, skeleton, person):
        images.setdefault(person(name), []).append(name)
    return _table([pair for names in images.values() for pair in itertools.permutations(names, 2)])


def make_cross_pairs(
    annotations: Annotations,
    count: int,
    seed: int = 0,
    skeleton: Skeleton = COCO18,
    person: Person = person_of,
) -> pd.DataFrame:
    """Every valid image as a source, with target poses from images of other persons.

    Args:
        annotations: the keypoints.
        count: target poses per source, drawn without replacement; fewer where there are fewer images of others.
        seed: seed of the choice, 0 or more.
        skeleton: the skeleton of the keypoints.
        person: the person in an image name.
    Returns: a table with the columns `from` and `to`, sources in the order of the file; it has no rows if the valid
        images show fewer than two persons.
    Source: paper, Appendix C.
    """
    names = np.array(valid_names(annotations, skeleton, person), dtype=object)
    persons = np.unique([person(name) for name in names], return_inverse=True)[1] if len(names) else names
    random = np.random.default_rng(seed)
    pairs: list[tuple[str, str]] = []
    for name, own in zip(names, persons, strict=True):
        others = np.flatnonzero(persons != own)
        chosen = random.choice(others, min(count, len(others)), replace=False)
        pairs += [(name, target) for target in names[chosen]]
    return _table(pairs)


def sample_pairs(pairs: pd.DataFrame, count: int = TEST_PAIRS) -> pd.DataFrame:
    """The release's test pairs: at most `count`, drawn without replacement with a fixed seed."""
    return pairs.sample(n=min(count, len(pairs)), replace=False, random_state=0)


def read_pairs(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Reads the columns `from` and `to` of a pair CSV, which may have others; row `i` is row `i + 2` of the file.

    Raises: InputError: the file is absent, its header has no `from` and `to`, a row has more or fewer cells than the
        header, or a name is empty or the path of a file in a folder.
    """
    try:
        rows = list(csv.reader(read_lines(path)))
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV with the columns from,to: {error}") from None
    header = [cell.strip() for cell in rows[0]] if rows else []
    if any(header.count(column) != 1 for column in COLUMNS):
        got = ",".join(header)[:80] or "an empty file"
        raise InputError(f"{path}, row 1: the header must have the columns from,to once each, got '{got}'")
    source, target = (header.index(column) for column in COLUMNS)
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header) or not row[source] or not row[target]:
            cells = "two image names" if len(header) == 2 else f"{len(header)} cells with two image names"
            raise InputError(
                f"{path}, row {number}: each row is {cells} ({','.join(header)[:80]}), got '{','.join(row)[:80]}'"
            )
    pairs = [(row[source], row[target]) for row in rows[1:]]
    problems = {name: name_problem(name) for name in dict.fromkeys(itertools.chain.from_iterable(pairs))}
    if bad := next((name for name, problem in problems.items() if problem), None):
        number = next(number for number, pair in enumerate(pairs, start=2) if bad in pair)
        raise InputError(f"{path}, row {number}: {bad!r}: {problems[bad]}")
    return _table(pairs)


def write_pairs(path: str | os.PathLike[str], pairs: pd.DataFrame) -> None:
    """Writes a pair CSV, atomically."""
    with atomic_path(path) as temporary:
        pairs.to_csv(temporary, index=False)


def _table(pairs: Sequence[tuple[str, ...]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(pairs, columns=COLUMNS, dtype=object)
