"""Recognises files of keypoints by their content, and reads a file or a folder of them into one table."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_gan.errors import InputError, reason
from pose_gan.files.folders import list_images
from pose_gan.files.text import read_lines, read_text
from pose_gan.poses import keypoints as own
from pose_gan.poses.imports import coco, deeplabcut, mediapipe, mmpose, openpose, patn
from pose_gan.poses.imports.table import Key, Person, Table
from pose_gan.poses.skeleton import Skeleton

KINDS = (
    "OpenPose JSON (COCO and BODY_25), COCO keypoints JSON, AlphaPose and MMPose results, MediaPipe landmarks as JSON, "
    "DeepLabCut CSV and HDF5, and annotation CSVs in our own form (and PATN's)"
)
_LARGEST = 1 << 30  # bytes of a JSON file; COCO's annotations of people have 0.24 GB
_HDF5 = b"\x89HDF\r\n\x1a\n"


def holds_keypoints(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a file of keypoints, or a folder that holds such files and no images."""
    path = Path(path)
    if path.is_dir():
        return not list_images(path) and any(_kind(file) for file in _files(path))
    return path.is_file() and _kind(path) is not None


def is_own(path: str | os.PathLike[str]) -> bool:
    """Whether a path is an annotation CSV in our own form, or is to be read as one, so that its faults are told."""
    path = Path(path)
    kind = None if path.is_dir() else _kind(path)
    return kind == "own" or (kind is None and path.suffix.lower() == ".csv")


def read_table(path: str | os.PathLike[str], skeleton: Skeleton) -> Table:
    """Reads a file of keypoints, or all such files of a folder.

    Args:
        path: the file or folder.
        skeleton: decides the order of joints where a file has none: that of an annotation CSV, and that of files whose
            number of joints is the skeleton's.
    Raises: InputError: there are no keypoints, a file is damaged, two files are of different kinds, or both give the
        same image.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder of keypoints")
    if not path.is_dir():
        if _kind(path) is None:
            raise InputError(f"{path}: not recognised as keypoints; what is read: {KINDS}")
        return _with_joints(_read_file(path, skeleton), skeleton)
    files = _files(path)
    kinds = {file: _kind(file) for file in files}
    known = [file for file in files if kinds[file]]
    if not known:
        raise InputError(f"{path}: holds no keypoints ({len(files)} files); what is read: {KINDS}")
    table = _with_joints(_merged([_read_file(file, skeleton) for file in known], str(path)), skeleton)
    others = {
        "files that are no keypoints, left out": [file.name for file in files if not kinds[file]],
        "folders in it, left out": [entry.name for entry in _entries(path) if entry.is_dir()],
    }
    for what, names in others.items():
        table = _with_note(table, f"{what}: {', '.join(names)}") if names else table
    return table


def _entries(folder: Path) -> list[Path]:
    """What stands in a folder, without hidden files."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    """The files of a folder without hidden ones and images; of DeepLabCut's two copies of a table only the CSV."""
    images = set(list_images(folder))
    files = [path for path in _entries(folder) if not path.is_dir() and path.name not in images]
    return [file for file in files if file.suffix != ".h5" or not file.with_suffix(".csv").exists()]


def _kind(path: Path) -> str | None:
    """`json`, `hdf5`, `deeplabcut` or `own`, by the first bytes of a file; None: it is something else."""
    if not path.is_file():  # a pipe that nobody writes to would not end
        return None
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError:
        return None
    if head.startswith(_HDF5):
        return "hdf5"
    text = head.decode("utf-8-sig", "replace").lstrip()
    first = text.split("\n", 1)[0].strip()
    if text[:1] in ("{", "["):
        return "json"
    if first == own.HEADER:
        return "own"
    return "deeplabcut" if first.split(",")[0].strip() == deeplabcut.HEADER else None


def _read_file(path: Path, skeleton: Skeleton) -> Table:
    """The table of a file. Values of any form stand anywhere in a damaged file, so all errors of its parts are told."""
    try:
        return _parsed(path, skeleton)
    except InputError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError, csv.Error) as error:
        raise InputError(f"{path}: damaged, or in another form than known: {reason(error)}") from None


def _parsed(path: Path, skeleton: Skeleton) -> Table:
    kind = _kind(path)
    if kind == "hdf5":
        return deeplabcut.read_hdf5(str(path))
    if kind == "deeplabcut":
        return deeplabcut.read_csv(read_lines(path), str(path))
    if kind == "own":
        return _own(path, skeleton)
    return read_json(json.loads(read_text(path, "utf-8-sig", _LARGEST), object_pairs_hook=_once), str(path), skeleton)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of JSON. Raises ValueError for a key that stands twice, of which Python would keep the last."""
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} stands there twice; keep one")
    return table


def read_json(value: Any, path: str, skeleton: Skeleton) -> Table:
    """The table of a JSON file. Raises InputError if it is of no known kind.

    Args:
        value: the content of the file.
        path: the file; its name is that of the image where a file holds one image and does not name it.
        skeleton: as in `read_table`.
    """
    image = Path(path).stem.removesuffix(openpose.SUFFIX)
    if value is None or value == [] or value == {}:
        return Table("", (), {image: []}, path)  # a program that found nobody
    if openpose.is_image(value):
        return _openpose({image: value}, path)
    if coco.is_annotations(value):
        return coco.read_annotations(value, path, skeleton)
    if coco.is_results(value):
        return coco.read_results(value, path, skeleton)
    if mmpose.is_people(value) or mmpose.is_frames(value) or mmpose.is_predictions(value):
        return mmpose.read(value, path, skeleton, image)
    if isinstance(value, dict) and all(openpose.is_image(entry) for entry in value.values()):
        return _openpose(value, path)
    if isinstance(value, dict) and all(
        isinstance(entries, list) and all(isinstance(entry, dict) and "keypoints" in entry for entry in entries)
        for entries in value.values()
    ):
        return coco.read_by_name(value, path, skeleton)
    if table := mediapipe.read(value, path, image):
        return table
    raise InputError(f"{path}: JSON, but of no known kind; what is read: {KINDS}")


def _openpose(images: dict[str, Any], path: str) -> Table:
    people: dict[Key, list[Person]] = {}
    models = set()
    for name, value in images.items():
        model, joints, people[name] = openpose.read_image(value, path if len(images) == 1 else f"{path}, {name}")
        models.add((model, joints))
    models -= {("", ())}
    if len(models) > 1:
        raise InputError(f"{path}: images of OpenPose's models COCO and BODY_25; one file holds one of them")
    model, joints = models.pop() if models else ("", ())
    return Table(f"OpenPose, {model}" if model else "", joints, people, path)


def _own(path: Path, skeleton: Skeleton) -> Table:
    """An annotation CSV in our own form. If a pose has several joints at (0, 0), this is the mark of other programs."""
    annotations = own.read_annotations(path, skeleton)
    places = annotations.keypoints.astype(np.float64)
    origin = np.all(annotations.keypoints == 0, axis=-1)
    origin &= bool((origin.sum(axis=-1) > 1).any())
    there = own.found(annotations.keypoints) & ~origin
    places[~there] = np.nan
    people: dict[Key, list[Person]] = {
        name: [Person(places[row], there[row].astype(np.float64))] for row, name in enumerate(annotations.names)
    }
    cut = patn.is_patn(annotations)
    table = Table(
        "PATN's annotations" if cut else "annotations",
        skeleton.joints,
        people,
        str(path),
        width=patn.WIDTH if cut else None,
    )
    if origin.any():
        table = _with_note(
            table,
            f"{origin.sum()} joints lie at (0, 0), other programs' mark for missing, and count as missing",
        )
    return table


def _with_joints(table: Table, skeleton: Skeleton) -> Table:
    """The table; where nobody was found in any image, it takes the joints of the skeleton."""
    if table.joints:
        return table
    return dataclasses.replace(table, kind="files in which nobody was found", joints=skeleton.joints)


def _with_note(table: Table, note: str) -> Table:
    return dataclasses.replace(table, notes=(*table.notes, note))


def _merged(tables: Sequence[Table], path: str) -> Table:
    """One table of several. Tables of images in which nobody was found have no kind of their own."""
    kinds = {(table.kind, table.joints): table for table in tables if table.joints}
    if len(kinds) > 1:
        one, other = list(kinds.values())[:2]
        raise InputError(f"{path}: {one.path} is of {one.kind}, {other.path} of {other.kind}; put them in two folders")
    people: dict[Key, list[Person]] = {}
    owner: dict[Key, str] = {}
    for table in tables:
        for key, group in table.people.items():
            if isinstance(key, int) and len(tables) > 1:
                raise InputError(f"{table.path}: numbers its frames; give it alone, not in a folder of several files")
            if key in people:
                raise InputError(f"{table.path}: the image {key} stands in {owner[key]} already; keep one of them")
            people[key], owner[key] = group, table.path
    first = next(iter(kinds.values()), tables[0])
    notes = tuple(dict.fromkeys(note for table in tables for note in table.notes))
    return dataclasses.replace(first, people=people, path=path, notes=notes)
