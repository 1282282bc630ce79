"""What every reader makes of a file: the people in each image, with named joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pose_gan.errors import InputError

Key = str | int
"""An image in a file: its name (with or without folder and suffix), or the number of a frame."""


@dataclass(frozen=True)
class Person:
    """A person in an image.

    Attributes:
        places: float64 `(joints, 2)`, (y, x) in the unit of the table; NaN where missing.
        confidence: float64 `(joints,)`; 0 where missing.
    """

    places: np.ndarray
    confidence: np.ndarray

    @classmethod
    def make(cls, y: Any, x: Any, confidence: Any) -> Person:
        """A person from coordinates and confidences `(joints,)`.

        A joint is missing if its confidence is 0 or no number, or if it lies exactly at (0, 0), which is the mark of
        most programs.
        """
        places = np.stack([np.asarray(y, np.float64), np.asarray(x, np.float64)], axis=-1)
        confidence = np.asarray(confidence, np.float64)
        there = np.isfinite(places).all(axis=-1) & (confidence > 0) & np.any(places != 0, axis=-1)
        return cls(np.where(there[:, None], places, np.nan), np.where(there, confidence, 0.0))

    def above(self, confidence: float) -> np.ndarray:
        """Whether each joint is there with at least this confidence: bool `(joints,)`."""
        return np.isfinite(self.places[:, 0]) & (self.confidence >= confidence)


@dataclass(frozen=True)
class Table:
    """The people in the images of a file or a folder of files.

    Attributes:
        kind: the program and the model that wrote it, for messages.
        joints: names of the joints.
        people: image → its people in the order of the file; no people: the program looked and found nobody.
        path: the file or folder, for messages.
        fills_pixels: whether 0 is the border of the first pixel instead of its middle.
        width: width in pixels of the images to which the keypoints belong, if the kind of file says it.
    """

    kind: str
    joints: tuple[str, ...]
    people: dict[Key, list[Person]]
    path: str
    fills_pixels: bool = False
    width: int | None = None
    notes: tuple[str, ...] = field(default=())

    def in_shares(self) -> bool:
        """Whether the places are shares of the image's height and width: no joint lies beyond 2 in either direction.

        (Estimators place joints a little outside of the image.)
        """
        largest = [np.nanmax(np.abs(p.places)) for group in self.people.values() for p in group if p.confidence.any()]
        return bool(largest) and max(largest) <= 2


def numbers(value: Any, where: str, what: str) -> np.ndarray:
    """A list of numbers as float64. Raises InputError if it is anything else; null is NaN."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = None
    if array is None or not isinstance(value, Sequence) or isinstance(value, str):
        raise InputError(f"{where}: {what}: expected a list of numbers, got {str(value)[:60]!r}")
    return array


def triples(value: Any, where: str, what: str) -> np.ndarray:
    """A list `x, y, confidence, x, y, confidence, …` as float64 `(joints, 3)`. Raises InputError if it is none."""
    flat = numbers(value, where, what)
    if flat.ndim == 2 and flat.shape[1] == 3:
        return flat
    if flat.ndim != 1 or len(flat) % 3:
        raise InputError(f"{where}: {what}: expected x, y and confidence of each joint, got {flat.size} numbers")
    return flat.reshape(-1, 3)


def person_of_triples(value: np.ndarray, joints: int) -> Person:
    """A person from the first rows of `(joints, 3)`: x, y, confidence."""
    x, y, confidence = value[:joints].T
    return Person.make(y, x, confidence)
