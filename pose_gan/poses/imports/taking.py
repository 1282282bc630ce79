"""Takes one person per image out of a table, as keypoints of a skeleton in whole pixels of the image."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pose_gan.errors import InputError
from pose_gan.poses.imports import patn
from pose_gan.poses.imports.joints import columns_of
from pose_gan.poses.imports.table import Key, Person, Table
from pose_gan.poses.keypoints import LARGEST, MISSING, found
from pose_gan.poses.skeleton import Skeleton

MIN_CONFIDENCE = 0.3  # the landmarker's threshold, with which its joints agree best with the release's
Size = tuple[int, int]


@dataclass(frozen=True)
class Choice:
    """Which person and which joints are taken.

    Attributes:
        person: number of the person who is taken where an image shows several, in the order of the file, counted from 1
            (in DeepLabCut's files, of the individual); None: the one whose joints span the largest rectangle.
        min_confidence: joints with a lower confidence count as missing, 0 to 1.

    Raises: InputError: a value is out of range.
    """

    person: int | None = None
    min_confidence: float = MIN_CONFIDENCE

    def __post_init__(self) -> None:
        if self.person is not None and self.person < 1:
            raise InputError(f"--person counts the people of an image from 1, got {self.person}")
        if not 0 <= self.min_confidence <= 1:
            raise InputError(f"--min_confidence must be 0 to 1, got {self.min_confidence}")


@dataclass
class Taken:
    """The keypoints of one person per image, and what was left out.

    Attributes:
        keypoints: name → int32 `(joints, 2)`, (y, x) in pixels of the image, −1 where missing.
        several: name → number of people, for images with more than one.
        nobody: names of images in which nobody was found, or several people but fewer than `--person`.
        doubtful: number of joints of the people taken that are below `min_confidence`.
        outside: number of joints that lie outside of their image.
        rounded: number of joints whose coordinates had fractions.
        moved: name → columns by which the keypoints were moved, for images of which any were.
        lacking: joints of the skeleton that the file does not have.
        made: whether the neck was made of the shoulders.
    """

    lacking: tuple[str, ...]
    made: bool
    keypoints: dict[str, np.ndarray] = field(default_factory=dict)
    several: dict[str, int] = field(default_factory=dict)
    nobody: list[str] = field(default_factory=list)
    doubtful: int = 0
    outside: int = 0
    rounded: int = 0
    moved: dict[str, int] = field(default_factory=dict)

    def describe(self, table: Table, choice: Choice) -> list[str]:
        """What was left aside, made or moved, one line each. Nothing is said of what did not happen."""
        lines = list(table.notes)
        if self.several:
            chosen = "the largest" if choice.person is None else f"number {choice.person}"
            aside = sum(self.several.values()) - len(self.several.keys() - self.nobody)
            counts = [f"{name}: {count}" for name, count in self.several.items()]
            lines.append(
                f"several people in {len(self.several)} images ({first(counts)}): {chosen} was taken, {aside} people "
                "were left aside (--person chooses)"
            )
        if self.nobody:
            lines.append(f"nobody in {len(self.nobody)} images: {first(self.nobody)}")
        for count, text in (
            (
                self.doubtful,
                f"have a confidence below {choice.min_confidence:g} and count as missing (--min_confidence)",
            ),
            (self.outside, "lie outside of their images and count as missing"),
            (self.rounded, "have fractions of pixels; they were rounded"),
        ):
            if count:
                lines.append(f"{count} joints {text}")
        if self.made:
            lines.append("the file has no neck; it was made, in the middle of the shoulders")
        if self.lacking:
            lines.append(f"the file has no {', '.join(self.lacking)}; they are missing in all images")
        if self.moved:
            why = f", because {table.kind} belong to images cut to columns 40 to 215" if table.width else ""
            shifts = ", ".join(f"{shift:+d}" for shift in sorted(set(self.moved.values())))
            lines.append(f"the keypoints of {len(self.moved)} images were moved by {shifts} columns{why}")
        return lines


def first(names: Collection[str], count: int = 3) -> str:
    """The first few names, shortened, and the number of the others."""
    shown = ", ".join(name if len(name) <= 80 else f"{name[:79]}…" for name in list(names)[:count])
    return f"{shown} and {len(names) - count} more" if len(names) > count else shown


def take(
    table: Table,
    skeleton: Skeleton,
    keys: Mapping[str, Key],
    sizes: Mapping[str, Size] | None = None,
    choice: Choice | None = None,
    add_x: int | None = None,
) -> Taken:
    """Takes one person per image.

    A joint at `v` (0 is the middle of the first pixel) becomes the pixel `floor(v + ½)`. Where 0 is the border of the
    first pixel, it becomes `floor(v)`. Joints outside of the image are missing.

    Args:
        table: the people.
        skeleton: the skeleton of the result.
        keys: name in the result → entry of the table.
        sizes: name → (height, width) of the image in pixels; None: the sizes are not known.
        choice: which person; None: the defaults.
        add_x: columns to add to all places, pixels; None: what the kind of the file asks for.
    Raises: InputError: the file has none of the joints; the places are shares of the image and its size is not known;
        the keypoints are PATN's and the image has another width; more than half of the joints lie outside of the
        images.
    """
    choice = choice or Choice()
    columns = columns_of(skeleton, table.joints, table.path)
    shares = table.in_shares()
    if shares and sizes is None:
        raise InputError(
            f"{table.path}: {table.kind}: the coordinates are shares of the image's width and height, and the size of "
            "the images is not known; give the frames as targets, and this file as annotations"
        )
    lacking = tuple(joint for joint, rows in zip(skeleton.joints, columns, strict=True) if not rows)
    taken = Taken(lacking, any(len(rows) > 1 for rows in columns))
    for name, key in keys.items():
        size = sizes[name] if sizes is not None else None
        scale = np.asarray(size if shares and size else (1, 1), np.float64)
        people = [Person(person.places * scale, person.confidence) for person in table.people[key]]
        person = _chosen(people, choice, name, taken)
        if person is None:
            taken.nobody.append(name)
            taken.keypoints[name] = np.full((skeleton.num_joints, 2), MISSING, np.int32)
            continue
        with np.errstate(over="ignore"):  # numbers that are not of this world lie outside of the image
            places = _of_skeleton(person, columns, choice.min_confidence, taken)
        shift = _shift(table, name, size) if add_x is None else add_x
        if shift:
            taken.moved[name] = shift
        taken.keypoints[name] = _pixels(places + np.array([0, shift]), size, table.fills_pixels or shares, taken)
        if not found(taken.keypoints[name]).any():
            taken.nobody.append(name)
    inside = sum(int(found(pose).sum()) for pose in taken.keypoints.values())
    if taken.outside > inside:
        raise InputError(
            f"{table.path}: {taken.outside} of {taken.outside + inside} joints lie outside of their images; the "
            "keypoints belong to images of another size: import them for those, and resize both afterwards"
        )
    return taken


def _chosen(people: Sequence[Person], choice: Choice, name: str, taken: Taken) -> Person | None:
    """The person that `choice` means, or None. Notes where there are others."""
    areas = [_area(person, choice.min_confidence) for person in people]
    seen = sum(area >= 0 for area in areas)
    if seen > 1:
        taken.several[name] = seen
    row = (choice.person or 1) - 1
    if len(people) == 1:
        row = 0
    elif people and choice.person is None:
        row = int(np.argmax(areas))
    return people[row] if row < len(people) and areas[row] >= 0 else None


def _area(person: Person, min_confidence: float) -> float:
    """The area of the rectangle around a person's joints; −1 if there are none."""
    places = person.places[person.above(min_confidence)]
    with np.errstate(over="ignore"):
        return float(np.prod(np.ptp(places, axis=0))) if len(places) else -1.0


def _of_skeleton(person: Person, columns: list[list[int]], min_confidence: float, taken: Taken) -> np.ndarray:
    """The places `(joints, 2)` of the skeleton's joints; NaN where a joint, or a part of it, is missing."""
    above = person.above(min_confidence)
    places = np.full((len(columns), 2), np.nan)
    for joint, rows in enumerate(columns):
        if rows and above[rows].all():
            places[joint] = person.places[rows[0]] if len(rows) == 1 else person.places[rows].mean(axis=0)
        elif len(rows) == 1 and person.confidence[rows[0]] > 0:
            taken.doubtful += 1
    return places


def _shift(table: Table, name: str, size: Size | None) -> int:
    """Columns to add, because the keypoints belong to a cut image."""
    if table.width is None or size is None or size[1] == table.width:
        return 0
    if size == patn.WHOLE:
        return patn.LEFT
    raise InputError(
        f"{table.path}: {table.kind} belong to images cut to {table.width} columns, {name} has {size[0]}x{size[1]} "
        f"pixels (height x width); import them for the images of {patn.WHOLE[0]}x{patn.WHOLE[1]} or "
        f"{patn.WHOLE[0]}x{table.width}, and resize both afterwards"
    )


def _pixels(places: np.ndarray, size: Size | None, fills_pixels: bool, taken: Taken) -> np.ndarray:
    """Whole pixels, int32 `(joints, 2)`; −1 where a joint is missing or outside of the image."""
    there = np.asarray(np.isfinite(places).all(axis=-1))
    pixels = np.floor(np.where(there[:, None], places, MISSING) + (0 if fills_pixels else 0.5))
    limit = np.asarray(size or (LARGEST + 1, LARGEST + 1))
    edge = (places < limit) & (pixels == limit)  # between the last pixel's middle and its border
    pixels = np.where(edge, limit - 1, pixels)
    inside = there & np.all((pixels >= 0) & (pixels < limit), axis=-1)
    taken.outside += int((there & ~inside).sum())
    taken.rounded += int((inside & np.any(places != np.floor(places), axis=-1)).sum())
    return np.where(inside[:, None], pixels, MISSING).astype(np.int32)
