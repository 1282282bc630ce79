"""Rows of annotations that a page saves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_gan.errors import InputError
from pose_gan.files.folders import make_folder
from pose_gan.files.lock import only_program
from pose_gan.poses.keypoints import HEADER, Annotations, format_row, name_problem, read_annotations, write_annotations
from pose_gan.poses.skeleton import Skeleton


def save_row(path: Path, name: str, keypoints: np.ndarray, skeleton: Skeleton) -> bool:
    """Writes the row of an image into an annotation CSV, atomically: in place of its earlier row, or as the last one.

    Args:
        path: the CSV; it is made if it does not exist.
        name: name of the image.
        keypoints: integers `(joints, 2)`, (y, x) in pixels of the image, −1 where missing.
        skeleton: the joints of the file.
    Returns: whether there was an earlier row.
    Raises: InputError: the file cannot hold the name, cannot be read, or another program writes it.
    """
    if problem := name_problem(name):
        raise InputError(f"{name!r}: {problem}")
    make_folder(path.parent)
    with only_program(Path(f"{path}.lock"), path):
        old = Annotations((), np.zeros((0, skeleton.num_joints, 2), np.int32))
        if path.exists():
            old = read_annotations(path, skeleton)
        rows = dict(zip(old.names, old.keypoints, strict=True))
        known = name in rows
        rows[name] = keypoints
        write_annotations(path, list(rows), rows.values())
    return known


def one_row(name: str, keypoints: np.ndarray) -> str:
    """The text of an annotation CSV with one row."""
    return f"{HEADER}\n{format_row(name, keypoints)}\n"
