"""Keypoint annotations: the CSV files of the original release, as arrays.

A file is `:`-separated, with the header `name:keypoints_y:keypoints_x` and one row per image:
`0224_c6s1_055726_02.jpg: [8, 23, …]: [39, 37, …]`. The integers are pixels from the top and from
the left; −1 means that the joint was not found. Numbers with fractions, as other programs write
them, are rounded to pixels when they are read.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pose_gan.errors import InputError, InputWarning
from pose_gan.files.text import read_lines, write_text
from pose_gan.poses.skeleton import COCO18, Skeleton

MISSING = -1
LARGEST = 65535  # no image is larger, and arithmetic on keypoints stays far from the limits of int32
HEADER = "name:keypoints_y:keypoints_x"


@dataclass(frozen=True)
class Annotations:
    """Keypoints of many images, in the order of their file.

    Attributes:
        names: N image names.
        keypoints: int32 `(N, joints, 2)`, (y, x) in pixels, −1 where missing.
        path: the file from which they were read, for messages.
    """

    names: tuple[str, ...]
    keypoints: np.ndarray
    path: str = "annotations"

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Image name → row of `keypoints`."""
        return {name: row for row, name in enumerate(self.names)}

    def where(self, row: int) -> str:
        """`file, row N (name)`, for messages; the header of the file is row 1."""
        return f"{self.path}, row {row + 2} ({self.names[row]})"


def found(keypoints: np.ndarray) -> np.ndarray:
    """Whether each joint was found; a joint is missing where either coordinate is −1.

    Args:
        keypoints: `(…, joints, 2)`.
    Returns: bool `(…, joints)`.
    """
    return np.all(np.asarray(keypoints) != MISSING, axis=-1)


def has_required_joints(keypoints: np.ndarray, skeleton: Skeleton = COCO18) -> np.ndarray:
    """Whether each pose has all joints that the skeleton requires.

    Args:
        keypoints: `(…, joints, 2)`.
        skeleton: gives the required joints.
    Returns: bool `(…)`.
    """
    return np.all(found(keypoints)[..., skeleton.indices(skeleton.required)], axis=-1)


def read_annotations(path: str | os.PathLike[str], skeleton: Skeleton = COCO18) -> Annotations:
    """Reads an annotation CSV.

    Coordinates with fractions are rounded to whole pixels, and an `InputWarning` says how many joints have some. A
    coordinate between −1 and 0 becomes 0, because only −1 itself means that the joint was not found.

    Args:
        path: the file.
        skeleton: its joints are the joints of the file, in the same order.
    Raises: InputError: a value does not fit: the header is wrong, a name is missing, repeated or the path of a
        file in a folder, a cell is not a list of one number per joint of the skeleton, or a value is below −1
        or above 65535. The message names file, row and column of the first such value.
    """
    lines = read_lines(path)
    if not lines or lines[0].strip() != HEADER:
        got = lines[0].strip()[:80] if lines else "an empty file"
        raise InputError(f"{path}, row 1: the header must be '{HEADER}', got '{got}'")
    names: list[str] = []
    values: list[list[list[float]]] = []
    rounded = 0
    first_row: dict[str, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            raise InputError(f"{path}, row {number}: empty row; delete it")
        cells = line.rsplit(":", 2)  # from the right: a name may hold a colon
        if len(cells) != 3:
            raise InputError(f"{path}, row {number}: {len(cells)} cells separated by ':', expected 3 ({HEADER})")
        name = cells[0].strip()
        if not name:
            raise InputError(f"{path}, row {number}, column name: empty")
        if problem := name_problem(name):
            raise InputError(f"{path}, row {number}, column name: {name!r}: {problem}")
        if name in first_row:
            raise InputError(f"{path}, row {number}: {name} stands in row {first_row[name]} already; keep one")
        first_row[name] = number
        where = f"{path}, row {number} ({name})"
        names.append(name)
        pose = [
            _parse_cell(cell, skeleton.num_joints, f"{where}, column {column}")
            for column, cell in zip(HEADER.split(":")[1:], cells[1:], strict=True)
        ]
        if float in {type(value) for axis in pose for value in axis}:
            rounded += sum(y % 1 != 0 or x % 1 != 0 for y, x in zip(*pose, strict=True))
            pose = [[MISSING if value == MISSING else max(round(value), 0) for value in axis] for axis in pose]
        values.append(pose)
    if rounded:
        warnings.warn(
            f"{path}: {rounded} joints have coordinates with fractions; they were rounded to whole pixels",
            InputWarning,
            stacklevel=2,
        )
    shape = (len(names), 2, skeleton.num_joints)
    keypoints = np.asarray(values, dtype=np.int32).reshape(shape).transpose(0, 2, 1)
    return Annotations(tuple(names), np.ascontiguousarray(keypoints), str(path))


def write_annotations(
    path: str | os.PathLike[str], names: Sequence[str], keypoints: np.ndarray | Iterable[np.ndarray]
) -> None:
    """Writes an annotation CSV in the release's exact form, atomically.

    Args:
        path: the file.
        names: N image names.
        keypoints: integers `(N, joints, 2)`, (y, x) in pixels, −1 where missing.
    Raises: InputError: the file cannot hold one of the names.
    """
    for name in names:
        if problem := name_problem(name):
            raise InputError(f"{path}: {name!r}: {problem}")
    rows = [format_row(name, pose) for name, pose in zip(names, keypoints, strict=True)]
    write_text(path, "\n".join([HEADER, *rows]) + "\n")


def name_problem(name: str) -> str | None:
    """The reason why an annotation file cannot hold an image name; None if it can."""
    if name != name.strip() or not name or len(name.splitlines()) > 1:
        return "an image name that is empty, has a line break, or begins or ends with a blank; rename the image"
    if any("\ud800" <= letter <= "\udfff" for letter in name):  # Python's form of bytes that are not text
        return "an image name that is not UTF-8 text; rename the image"
    if "/" in name or "\0" in name:
        return (
            "an image name that is a path; the images of a split lie in one folder, without folders in it: move them "
            "there, and write plain file names"
        )
    return None


def format_row(name: str, keypoints: np.ndarray) -> str:
    """One row of the file without its line end, for integer keypoints `(joints, 2)`."""
    y, x = np.asarray(keypoints).T.tolist()
    return f"{name}: {y}: {x}"


def _parse_cell(text: str, count: int, where: str) -> list[int | float]:
    """The numbers of a cell."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list) or not {type(item) for item in value} <= {int, float}:
        raise InputError(f"{where}: expected a list of {count} integers, got '{text.strip()[:60]}'")
    if len(value) != count:
        raise InputError(f"{where}: {len(value)} integers, expected {count}, one a joint (-1 = not found)")
    for position, item in enumerate(value, start=1):
        if item != item:
            raise InputError(
                f"{where}: value {item} (number {position}) is no number; write -1 where nothing was found"
            )
        if item < MISSING:
            raise InputError(f"{where}: value {item} (number {position}) is below -1; -1 means not found")
        if item > LARGEST:
            raise InputError(f"{where}: value {item} (number {position}) is above {LARGEST}; it is a pixel")
    return value
