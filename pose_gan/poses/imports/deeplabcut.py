"""DeepLabCut's tables: rows are images or frames; columns are scorer, (individuals,) bodyparts and coords.

A CSV has one header row for each of these. An HDF5 file is one of pandas, in either of its two forms. It is read with
h5py: PyTables, which pandas uses, runs code that a file may hold.
"""

from __future__ import annotations

import csv
import io
import itertools
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np

from pose_gan.errors import InputError
from pose_gan.poses.imports.table import Key, Person, Table

HEADER = "scorer"  # first cell of a CSV
_LEVELS = ("scorer", "individuals", "bodyparts", "coords")


def read_csv(lines: Sequence[str], path: str) -> Table:
    """The animals of a CSV. Raises InputError if its header or a cell is wrong."""
    rows = list(csv.reader(lines))
    depth = next((number for number, row in enumerate(rows[:5], start=1) if row and row[0] == _LEVELS[-1]), 0)
    levels = [row[0] for row in rows[:depth]]
    if levels not in (["scorer", "bodyparts", "coords"], [*_LEVELS]):
        raise InputError(
            f"{path}: the header rows of DeepLabCut are scorer, bodyparts and coords (with individuals after scorer "
            f"for several animals), got {', '.join(levels) or 'no row coords'}"
        )
    indices = 1 + sum(1 for _ in itertools.takewhile(lambda cell: not cell, rows[0][1:]))
    columns = list(zip(*(row[indices:] for row in rows[:depth]), strict=False))
    labels: list[Key] = []
    values: list[list[float]] = []
    for number, row in enumerate(rows[depth:], start=depth + 1):
        if not any(row):
            continue
        if len(row) != indices + len(columns):
            raise InputError(f"{path}, row {number}: {len(row)} cells, expected {indices + len(columns)}")
        try:
            values.append([float(cell) if cell.strip() else np.nan for cell in row[indices:]])
        except ValueError as error:
            raise InputError(f"{path}, row {number}: {error}") from None
        labels.append(_label("/".join(cell for cell in row[:indices] if cell)))
    return _table(columns, labels, np.asarray(values).reshape(len(labels), len(columns)), path)


def read_hdf5(path: str) -> Table:
    """The animals of an HDF5 file. Raises InputError if it is damaged, or holds no table of DeepLabCut."""
    from pose_gan.files.hdf5 import opened  # h5py takes time to import

    with opened(path) as file:
        groups = [group for group in file.values() if "pandas_type" in group.attrs]
        if not groups:
            raise InputError(f"{path}: an HDF5 file, but not one of DeepLabCut: it holds no table of pandas")
        group = groups[0]
        if "block0_values" in group:
            blocks = list(
                itertools.takewhile(lambda block: f"{block}_values" in group, map("block{}".format, range(99)))
            )
            columns = [column for block in blocks for column in _axis(group, f"{block}_items")]
            values = np.concatenate([group[f"{block}_values"][()] for block in blocks], axis=1)
            labels = _axis(group, "axis1")
        elif "table" in group:
            table = group["table"]
            columns = _plain(table.attrs["values_block_0_kind"], path)
            rows = table[()]
            labels, values = [(label,) for label in rows["index"].tolist()], rows["values_block_0"]
        else:
            raise InputError(f"{path}: an HDF5 file, but not one of DeepLabCut: its table has no numbers")
    names = [_label("/".join(map(_text, label))) for label in labels]
    texts = [tuple(map(_text, column)) for column in columns]
    if np.shape(values) != (len(names), len(texts)):
        raise InputError(f"{path}: {np.shape(values)} numbers, expected {(len(names), len(texts))}")
    return _table(texts, names, np.asarray(values, np.float64), path)


def _axis(group: Any, name: str) -> list[tuple[Any, ...]]:
    """The labels of an axis of pandas' fixed form: one text or number per level."""
    if name in group:
        return [(label,) for label in group[name][()].tolist()]
    levels = itertools.takewhile(lambda level: f"{name}_level{level}" in group, itertools.count())
    parts = []
    for level in levels:
        labels = group[f"{name}_level{level}"][()].tolist()
        parts.append([labels[row] for row in group[f"{name}_label{level}"][()].tolist()])
    return list(zip(*parts, strict=True))


class _NoCode(pickle.Unpickler):
    """Reads pickled lists, tuples, texts and numbers. Everything else, which might run code, is refused."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"{module_name}.{global_name} is no plain value")


def _plain(content: Any, path: str) -> list[tuple[Any, ...]]:
    """The columns of pandas' table form, which stand in an attribute as a pickled list of tuples."""
    try:
        columns = _NoCode(io.BytesIO(bytes(content))).load()
        return [tuple(column) for column in columns]
    except Exception as error:  # a damaged pickle raises anything
        raise InputError(f"{path}: its column names cannot be read: {error}") from None


def _text(label: Any) -> str:
    return label.decode("utf-8") if isinstance(label, bytes) else str(label)


def _label(text: str) -> Key:
    """The image of a row: a path, or the number of a frame."""
    return int(text) if text.isdecimal() else text.replace("\\", "/")


def _table(columns: Sequence[tuple[str, ...]], labels: list[Key], values: np.ndarray, path: str) -> Table:
    """Args: columns: (scorer, (individual,) bodypart, coordinate) of each column of `values`, `(rows, columns)`."""
    if not columns or any(len(column) not in (3, 4) for column in columns):
        raise InputError(f"{path}: not a table of DeepLabCut: its columns are {columns[:3]}")
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise InputError(f"{path}: {twice} stands in several rows; keep one")
    rows = {column[1:]: row for row, column in enumerate(columns)}
    if len(rows) < len(columns):
        twice = next(column[1:] for row, column in enumerate(columns) if rows[column[1:]] != row)
        raise InputError(f"{path}: {' '.join(twice)} stands in several columns; keep one")
    individuals = list(dict.fromkeys(column[:-2] for column in rows))
    joints = tuple(dict.fromkeys(column[-2] for column in rows))
    nothing = np.full(len(labels), np.nan)

    def column(individual: tuple[str, ...], joint: str, coordinate: str, otherwise: np.ndarray) -> np.ndarray:
        row = rows.get((*individual, joint, coordinate))
        return otherwise if row is None else values[:, row]

    people: dict[Key, list[Person]] = {label: [] for label in labels}
    for individual in individuals:
        x, y, confidence = (
            np.stack([column(individual, joint, coordinate, otherwise) for joint in joints], axis=1)
            for coordinate, otherwise in (("x", nothing), ("y", nothing), ("likelihood", np.ones(len(labels))))
        )
        for row, label in enumerate(labels):
            people[label].append(Person.make(y[row], x[row], confidence[row]))
    return Table(f"DeepLabCut, {len(joints)} points", joints, people, path)
