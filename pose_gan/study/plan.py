"""A study on disk: its settings, its images under neutral numbers, and the order in which a rater sees them.

```
STUDY/
  study.json        the settings
  images/0001.png   the images; their numbers are shuffled over classes and systems
  key.csv           image,part,kind,system,from,to,sha256: what each number is, and the digest of its file
  comparisons.csv   number,target,first,second,first_system,second_system (image numbers), if there are comparisons
  raters/r001.jsonl the answers of a rater; see `answers`
```
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

import numpy as np

from pose_gan.errors import InputError, reason
from pose_gan.files.records import build
from pose_gan.files.text import read_lines, read_text

FORMAT = 1
SETTINGS, IMAGES, KEY, COMPARISONS, RATERS = "study.json", "images", "key.csv", "comparisons.csv", "raters"
KEY_COLUMNS = ("image", "part", "kind", "system", "from", "to", "sha256")
COMPARISON_COLUMNS = ("number", "target", "first", "second", "first_system", "second_system")
Protocol = Literal["paper", "pg2"]
Part = Literal["practice", "main", "comparison"]
Kind = Literal["real", "generated", "target"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
FIRST_DROPPED = 10  # answers of the main part that the protocol pg2 takes as practice
LIMITS = {  # of the settings that are numbers
    **dict.fromkeys(("seed", "salt"), (0, 2**64)),
    **dict.fromkeys(("count_real", "count_generated", "practice", "comparisons"), (0, 10**6)),
    **{"systems_per_rater": (1, 10**6), "image_size": (1, 4096), "display_ms": (1, 600_000), "scale": (1, 100)},
    "answer_limit_s": (0.1, 86_400),
}

Row = TypeVar("Row")


@dataclass(frozen=True)
class Study:
    """The settings of a study.

    Attributes:
        seed: of the choice of images and of the raters' orders.
        protocol: `paper`: every answer of the main part counts (Siarohin et al.); `pg2`: the first ten of each rater
            are practice (Ma et al., NIPS 2017).
        systems: names of what generated images, at least one.
        systems_per_rater: number of systems whose images one rater judges, in turn by the rater's number. With 1, a
            rater sees as many real as generated images, as in the paper, if their counts are equal.
        count_real: real images of the main part.
        count_generated: generated images of the main part, per system.
        practice: images before the main part, which never count; the smaller half of them is generated.
        comparisons: questions which of two generated images is more like the target, per pair of systems.
        image_size: (height, width) in pixels, of every image.
        display_ms: time for which an image is shown, milliseconds.
        scale: CSS pixels per image pixel.
        answer_limit_s: seconds until a question goes on without an answer; None: it waits.
        introduction: what raters read first; paragraphs are separated by empty lines.
        remarks: what a reader of the scores must know of the images.
        salt: a number that the images give. With the seed, it decides the numbers of the images and the raters' orders,
            so that nobody who knows the seed can tell from them what an image is.
    """

    seed: int
    protocol: Protocol
    systems: tuple[str, ...]
    systems_per_rater: int
    count_real: int
    count_generated: int
    practice: int
    comparisons: int
    image_size: tuple[int, int]
    display_ms: int = 1000
    scale: int = 3
    answer_limit_s: float | None = None
    introduction: str = ""
    remarks: tuple[str, ...] = ()
    salt: int = 0

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            values = getattr(self, name)
            for value in values if isinstance(values, Sequence) else (values,):
                if value is not None and not least <= value <= most:
                    raise InputError(f"{name} must be {least} to {most}, got {value}")
        if not self.systems or len(set(self.systems)) < len(self.systems) or not all(self.systems):
            raise InputError(f"systems need one name each, got {', '.join(map(repr, self.systems)) or 'none'}")
        if self.systems_per_rater > len(self.systems):
            raise InputError(f"systems_per_rater is {self.systems_per_rater}, but there are {len(self.systems)}")

    @property
    def practice_generated(self) -> int:
        """The number of generated images among those for practice."""
        return self.practice // 2 if self.count_generated else 0

    def systems_of(self, rater_number: int) -> tuple[str, ...]:
        """The systems that a rater judges; raters are counted from 1."""
        first = (rater_number - 1) * self.systems_per_rater
        return tuple(self.systems[(first + n) % len(self.systems)] for n in range(self.systems_per_rater))


@dataclass(frozen=True)
class Image:
    """An image of a study.

    Attributes:
        number: its neutral name.
        part: where it is shown.
        kind: `real`, `generated`, or the `target` of a comparison.
        system: what generated it; empty for real images.
        source, target: names of the pair's images, as far as they are known; of a real image, `target` is its name.
        sha256: hexadecimal digest of its file.
    """

    number: int
    part: Part
    kind: Kind
    system: str
    source: str
    target: str
    sha256: str = ""


@dataclass(frozen=True)
class Comparison:
    """A question which of two images is more like the target. `target`, `first`, `second` are image numbers."""

    number: int
    target: int
    first: int
    second: int
    first_system: str
    second_system: str


@dataclass(frozen=True)
class Trial:
    """What a rater is asked once.

    Attributes:
        trial: its place in the rater's order, from 1.
        part: `practice`, `main` or `comparison`.
        image: number of the image; None for a comparison.
        comparison: number of the comparison; None for an image.
        swapped: whether a comparison's `second` image stands in the first place.
        system: what generated the image; None for real images and for comparisons.
    """

    trial: int
    part: Part
    image: int | None = None
    comparison: int | None = None
    swapped: bool = False
    system: str | None = None


@dataclass(frozen=True)
class StudyFolder:
    """A study on disk. `images` and `comparisons` are by number, in the order of the numbers."""

    folder: Path
    study: Study
    images: Mapping[int, Image]
    comparisons: Mapping[int, Comparison]

    def image_path(self, number: int) -> Path:
        return image_path(self.folder, number)

    def content(self, number: int) -> bytes:
        """The file of an image. Raises InputError: it is not the one that was prepared."""
        path = self.image_path(number)
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.images[number].sha256:
            raise InputError(f"{path}: is not the image that was prepared; put it back, or prepare the study again")
        return content

    @property
    def raters(self) -> Path:
        """The folder of the raters' files, which may be absent."""
        return self.folder / RATERS

    def of(self, part: Part, kind: Kind, system: str = "") -> list[Image]:
        """The images of a part, kind and system, by their numbers."""
        return [one for one in self.images.values() if (one.part, one.kind, one.system) == (part, kind, system)]


def image_path(folder: Path, number: int) -> Path:
    return folder / IMAGES / f"{number:04d}.png"


# ------------------------------------------------------------------------------------- the order for a rater


def trials_of(folder: StudyFolder, rater_number: int) -> list[Trial]:
    """The trials of a rater in their order, which the study's seed and salt and the rater's number decide.

    Practice comes first, then the main part, then the comparisons; each of them is shuffled. Of a rater's comparisons,
    half (or one more) are swapped.

    Args:
        folder: the study.
        rater_number: from 1.
    """
    study = folder.study
    random, systems = np.random.default_rng([study.seed, study.salt, rater_number]), study.systems_of(rater_number)
    in_turn = zip(*(folder.of("practice", "generated", system) for system in systems), strict=True)
    practice = list(itertools.islice(itertools.chain.from_iterable(in_turn), study.practice_generated))
    parts = [
        folder.of("practice", "real") + practice,
        folder.of("main", "real") + [one for system in systems for one in folder.of("main", "generated", system)],
    ]
    trials: list[Trial] = []
    for part in parts:
        for place in random.permutation(len(part)).tolist():
            image = part[place]
            trials.append(Trial(len(trials) + 1, image.part, image.number, system=image.system or None))
    comparisons = list(folder.comparisons)
    swapped = random.permutation(np.arange(len(comparisons)) % 2 == random.integers(2))
    for place, turned in zip(random.permutation(len(comparisons)).tolist(), swapped.tolist(), strict=True):
        trials.append(Trial(len(trials) + 1, "comparison", comparison=comparisons[place], swapped=turned))
    return trials


# ------------------------------------------------------------------------------------- reading


def read_study(folder: str | os.PathLike[str]) -> StudyFolder:
    """Opens a study.

    Raises: InputError: the folder holds no study, or a file is absent, damaged or does not fit the others; the message
        names the file and the row.
    """
    folder = Path(folder)
    study = _settings(folder)
    images = {one.number: one for one in _rows(folder / KEY, KEY_COLUMNS, _image)}
    rows = _rows(folder / COMPARISONS, COMPARISON_COLUMNS, _comparison) if study.comparisons else ()
    comparisons = {one.number: one for one in rows}
    found = StudyFolder(folder, study, dict(sorted(images.items())), dict(sorted(comparisons.items())))
    _check_counts(found)
    for one in found.comparisons.values():
        _check_comparison(found, one)
    for number in found.images:
        if not found.image_path(number).is_file():
            raise InputError(f"{found.image_path(number)}: no such image, but {folder / KEY} lists it")
    return found


def _settings(folder: Path) -> Study:
    path = folder / SETTINGS
    if not path.is_file():
        raise InputError(
            f"{folder}: not the folder of a study ({SETTINGS} is absent); pose-gan study prepare makes one"
        )
    try:
        record = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {reason(error)}") from None
    if (got := record.get("format") if isinstance(record, dict) else None) != FORMAT:
        raise InputError(f"{path}: format {got!r} of a study is not known; this version reads format {FORMAT}")
    return build(Study, record.get("study"), f"{path}: study")


def _rows(path: Path, columns: Sequence[str], make: Callable[[dict[str, str], str], Row]) -> Iterator[Row]:
    """What the rows of a CSV say, with numbers that differ. Raises InputError, which names file and line."""
    rows = csv.reader(read_lines(path), strict=True)
    seen: set[int] = set()
    try:
        if (header := next(rows, [])) != list(columns):
            raise InputError(f"{path}, line 1: expected {','.join(columns)}, got {','.join(header)[:200]}")
        for cells in rows:
            where = f"{path}, line {rows.line_num}"
            if len(cells) != len(columns):
                raise InputError(f"{where}: expected {len(columns)} cells, got {len(cells)}")
            cell = dict(zip(columns, cells, strict=True))
            if (number := _number(cell, columns[0], where)) in seen:
                raise InputError(f"{where}: {columns[0]} {number} stands twice")
            seen.add(number)
            yield make(cell, where)
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: {error}") from None


def _number(cell: Mapping[str, str], column: str, where: str) -> int:
    text = cell[column]
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise InputError(f"{where}: {column} must be a whole number above 0, got {text[:60]!r}")
    return int(text)


def _image(cell: dict[str, str], where: str) -> Image:
    part, kind = cell["part"], cell["kind"]
    for column, allowed in (("part", get_args(Part)), ("kind", get_args(Kind))):
        if cell[column] not in allowed:
            raise InputError(f"{where}: {column} {cell[column][:60]!r} is not known; allowed: {', '.join(allowed)}")
    number, (system, source, target, sha256) = _number(cell, "image", where), (cell[name] for name in KEY_COLUMNS[3:])
    return Image(number, part, kind, system, source, target, sha256)  # pyright: ignore[reportArgumentType]


def _comparison(cell: dict[str, str], where: str) -> Comparison:
    number, target, first, second = (_number(cell, column, where) for column in COMPARISON_COLUMNS[:4])
    return Comparison(number, target, first, second, cell["first_system"], cell["second_system"])


def _check_counts(folder: StudyFolder) -> None:
    """Raises InputError unless the key has as many images of each sort as the settings say."""
    study, expected = folder.study, Counter[tuple[str, str, str]]()
    got = Counter[tuple[str, str, str]]((one.part, one.kind, one.system) for one in folder.images.values())
    expected["main", "real", ""] = study.count_real
    expected["practice", "real", ""] = study.practice - study.practice_generated
    for system in study.systems:
        expected["main", "generated", system] = study.count_generated
        expected["practice", "generated", system] = study.practice_generated
        expected["comparison", "generated", system] = study.comparisons * (len(study.systems) - 1)
    pairs = math.comb(len(study.systems), 2)
    expected["comparison", "target", ""] = study.comparisons * pairs
    for part, kind, system in got | expected:
        if (have := got[part, kind, system]) != (want := expected[part, kind, system]):
            what = f"{kind} images{f' of {system}' if system else ''} in the part {part}"
            raise InputError(f"{folder.folder / KEY}: {have} {what}, but {SETTINGS} asks for {want}")
    if len(folder.comparisons) != study.comparisons * pairs:
        raise InputError(
            f"{folder.folder / COMPARISONS}: {len(folder.comparisons)} comparisons, but {SETTINGS} asks for "
            f"{study.comparisons * pairs}"
        )


def _check_comparison(folder: StudyFolder, one: Comparison) -> None:
    """Raises InputError unless the key has the three images of a comparison."""
    for number, kind, system in (
        (one.target, "target", ""),
        (one.first, "generated", one.first_system),
        (one.second, "generated", one.second_system),
    ):
        image = folder.images.get(number)
        if image is None or (image.part, image.kind, image.system) != ("comparison", kind, system):
            what = f"{KEY} has no {kind} image {number}{f' of {system}' if system else ''} for comparisons"
            raise InputError(f"{folder.folder / COMPARISONS}: comparison {one.number}: {what}")
