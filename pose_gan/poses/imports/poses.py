"""Poses for programs that take a file of keypoints: an annotation CSV, or what another program wrote."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pose_gan.errors import InputError, InputWarning
from pose_gan.poses.imports.matching import match
from pose_gan.poses.imports.reading import is_own, read_table
from pose_gan.poses.imports.table import Key, Table
from pose_gan.poses.imports.taking import Choice, Size, first, take
from pose_gan.poses.keypoints import Annotations, read_annotations
from pose_gan.poses.sequences import frame_order
from pose_gan.poses.skeleton import Skeleton


def read_poses(
    path: str | os.PathLike[str],
    skeleton: Skeleton,
    choice: Choice | None = None,
    images: Sequence[str] | Callable[[int], str] | None = None,
    image_size: Size | None = None,
) -> Annotations:
    """Reads the poses of a file or folder: one person per image.

    An annotation CSV gives its rows as they are. Of other files, an `InputWarning` says what was left aside.

    Args:
        path: a file or folder of keypoints; see `pose_gan.poses.imports.reading.KINDS`.
        skeleton: the skeleton of the poses.
        choice: which person and which joints are taken from files of other programs; None: the defaults.
        images: names of the images for which poses are wanted, of which the file may lack some, or a function from the
            number of a frame to its name; None: all poses of the file, in the order of the frames.
        image_size: (height, width) in pixels of all images; None: unknown.
    Raises: InputError: there are no keypoints, a file is damaged, or its keypoints cannot be used; see `take`.
    """
    if is_own(path):
        return read_annotations(path, skeleton)
    choice = choice or Choice()
    table = read_table(path, skeleton)
    if images is None:
        keys = _in_order(list(table.people), Path(path).stem)
    else:
        names = [images(number) for number in range(len(table.people))] if callable(images) else images
        keys = _of_images(table, names)
    taken = take(table, skeleton, keys, dict.fromkeys(keys, image_size) if image_size else None, choice)
    if notes := taken.describe(table, choice):
        warnings.warn(f"{path}: {table.kind}: {'; '.join(notes)}", InputWarning, stacklevel=2)
    poses = [taken.keypoints[name] for name in keys]
    return Annotations(tuple(keys), np.array(poses, np.int32).reshape(-1, skeleton.num_joints, 2), str(path))


def _of_images(table: Table, names: Sequence[str]) -> dict[str, Key]:
    """Name → its entry. One image alone is not told by a number, but a file of one image is that of any image."""
    keys = match(table.people, names, table.path, by_number=len(names) > 1).keys
    if not keys and len(names) == len(table.people) == 1:
        keys = {names[0]: next(iter(table.people))}
    if not keys:
        such = f"{names[0]}" if len(names) == 1 else f"any of the {len(names)} images ({first(names)})"
        raise InputError(
            f"{table.path}: has no keypoints of {such}; it has those of {first([*map(str, table.people)])}"
        )
    return keys


def _in_order(keys: Sequence[Key], stem: str) -> dict[str, Key]:
    """Name of a frame → its entry, in the order of the frames. Numbered frames get the names of a clip's frames.

    A path becomes the name of its file, or, where several folders hold that name, the path with `-` for `/`.
    """
    short = {key: f"{stem}-{key:06d}.png" if isinstance(key, int) else key.rsplit("/", 1)[-1] for key in keys}
    if len(set(short.values())) < len(keys):
        short = {key: str(key).replace("/", "-") for key in keys}
    names = {name: key for key, name in short.items()}
    listed = list(names)
    return {listed[row]: names[listed[row]] for row in frame_order(listed)}
