"""The images of people that are told apart: who is seen, by which camera, and which images are generated.

Names tell all of it. A generated image is named as its source with `g` and a number behind the stem:
`0002_c1s1_000451_03.jpg` → `0002_c1s1_000451_03g0.jpg`, `…g1.jpg`; so it has its source's person and camera.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pose_gan.errors import InputError
from pose_gan.files.folders import is_background, list_images

JUNK, DISTRACTOR = -1, 0
"""Numbers that are no person: detections that no ranking counts, and those that are nobody's (Market-1501)."""
MARKET = r"(?P<person>-?\d+)_c(?P<camera>\d)"
PARTS = ("bounding_box_train", "query", "bounding_box_test")
"""The folders of Market-1501: for training, the queries, and the gallery."""
_GENERATED = re.compile(r"(.+)g\d+")


@dataclass(frozen=True, eq=False)
class Images:
    """Images in one folder, in the order of their names.

    Attributes:
        folder: where they stand.
        names: their file names.
        people: int64 `(n,)`, the number of the person; `JUNK` (−1) and `DISTRACTOR` (0) are none.
        cameras: int64 `(n,)`, the number of the camera; 0: not known.
        generated: bool `(n,)`, whether the image was generated from another one.
    """

    folder: Path
    names: tuple[str, ...]
    people: np.ndarray
    cameras: np.ndarray
    generated: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def paths(self) -> list[Path]:
        return [self.folder / name for name in self.names]

    def select(self, rows: np.ndarray) -> Images:
        """Some of the images: rows are int `(m,)` or a mask, bool `(n,)`."""
        numbers = np.arange(len(self))[rows]
        names = tuple(self.names[number] for number in numbers)
        return Images(self.folder, names, self.people[numbers], self.cameras[numbers], self.generated[numbers])


@dataclass(frozen=True, eq=False)
class Splits:
    """Images for training, and the queries and the gallery of the test. No person of the training is in the test."""

    train: Images
    query: Images
    gallery: Images


def generated_name(source: str, number: int) -> str:
    """The name of the `number`-th image (from 0) that is generated from the image `source`; always a JPEG."""
    return f"{Path(source).stem}g{number}.jpg"


def source_stem(name: str, stems: Collection[str]) -> str | None:
    """The stem of the image from which `name` was generated.

    Args:
        name: a file name.
        stems: the stems of all images that may be sources.
    Returns: one of `stems`; None: the image is none that was generated from them.
    """
    match = _GENERATED.fullmatch(Path(name).stem)
    return match[1] if match and match[1] in stems else None


def read_images(folder: str | os.PathLike[str], pattern: str | None = None) -> Images:
    """The images of a folder, by their names. No image is opened; backgrounds (`…_BG.jpg`) are left out.

    Args:
        folder: the folder; its own folders are not looked into.
        pattern: a regular expression that is found in each name, with the groups `(?P<person>…)` and, unless cameras
            are not known, `(?P<camera>…)`; None: `MARKET`. Whole numbers count as what they are, with −1 as junk and 0
            as a distractor. Any other text gets a large number, the same for the same text in every folder.
    Raises: InputError: no such folder, it holds no image, the pattern is none, or does not find a name's person.
    """
    pattern = MARKET if pattern is None else pattern
    find = _compiled(pattern)
    names = tuple(name for name in list_images(folder) if not is_background(name))
    if not names:
        raise InputError(f"{folder}: holds no image; give the folder whose own files are the images")
    people, cameras = [], []
    for name in names:
        match = find.search(name)
        if match is None or not match["person"]:
            raise InputError(
                f"{folder}/{name}: the pattern {pattern!r} finds no person in this name; give --pattern a regular "
                "expression for all names, with the groups (?P<person>...) and (?P<camera>...)"
            )
        people.append(_number(match["person"]))
        cameras.append(_number(match["camera"]) if "camera" in find.groupindex else 0)
    stems = {Path(name).stem for name in names}
    generated = [source_stem(name, stems) is not None for name in names]
    return Images(
        Path(folder), names, np.array(people, np.int64), np.array(cameras, np.int64), np.array(generated, bool)
    )


def read_splits(
    folder: str | os.PathLike[str], pattern: str | None = None, test_share: float = 0.5, seed: int = 0
) -> Splits:
    """The images of a data set, split for training and test.

    A folder with `bounding_box_train`, `query` and `bounding_box_test` is split already; of the first, junk and
    distractors are left out. A folder of images is split by people, at random: the images of a share of them are the
    test. There, of each person and camera with two images or more, one image at random is a query; all others are the
    gallery, with junk and distractors. A person whom one camera sees is no query, since nothing could be found. So each
    query has an image by another camera in the gallery. Generated images are in `train` only, and do not change
    the split: a set with them is split as the set without them.

    Args:
        folder: the folder of the data set.
        pattern: as in `read_images`.
        test_share: share of the people for the test, 0 to 1, if the folder is one of images; 0: all are for training.
        seed: seed of that split, 0 or more.
    Raises: InputError: as `read_images`; the folder is neither; the share is none, or leaves nobody to one side; no
        query has an answer.
    """
    folder = Path(folder)
    if not 0 <= test_share <= 1 or seed < 0:
        raise InputError(f"test_share must be 0 to 1 and the seed of the split 0 or more, got {test_share} and {seed}")
    parts = [part for part in PARTS if (folder / part).is_dir()]
    if len(parts) == len(PARTS):
        train, query, gallery = (read_images(folder / part, pattern) for part in PARTS)
        return Splits(train.select(train.people > 0), query, gallery)
    if parts or (folder.is_dir() and not list_images(folder)):
        raise InputError(
            f"{folder}: holds neither images nor all of the folders {', '.join(PARTS)} (Market-1501's); give the "
            "folder of such folders, or one of images"
        )
    return split(read_images(folder, pattern), test_share, seed)


def split(images: Images, test_share: float = 0.5, seed: int = 0) -> Splits:
    """Splits images by people, as `read_splits` says, which also tells the arguments and the errors."""
    people = np.unique(images.people[(images.people > 0) & ~images.generated])
    random = np.random.default_rng(seed)
    tested = random.permutation(people)[: round(test_share * len(people))]
    is_test = np.isin(images.people, tested)
    train = images.select((images.people > 0) & ~is_test)
    if test_share == 0:
        nothing = images.select(np.zeros(len(images), bool))
        return Splits(train, nothing, nothing)
    if len(tested) == 0 or (len(tested) == len(people) and test_share < 1):
        raise InputError(
            f"{images.folder}: of {len(people)} people, a test_share of {test_share} leaves nobody to one side; give "
            "another share, or more people"
        )
    test = images.select((is_test | (images.people <= 0)) & ~images.generated)
    is_query = np.zeros(len(test), bool)
    for person in np.sort(tested):
        rows = np.flatnonzero(test.people == person)
        cameras, counts = np.unique(test.cameras[rows], return_counts=True)
        for camera in cameras[counts > 1] if len(cameras) > 1 else ():
            is_query[random.choice(rows[test.cameras[rows] == camera])] = True
    if not is_query.any():
        raise InputError(
            f"{images.folder}: no person of the test is seen by two cameras, and twice by one of them, so there is "
            "nobody to find; check the group (?P<camera>...) of --pattern, or give a larger test_share"
        )
    return Splits(train, test.select(is_query), test.select(~is_query))


def whole_numbers(name: str, values: npt.ArrayLike) -> np.ndarray:
    """Numbers of people or cameras as int64, of any shape. Raises InputError: one is no whole number, but a text."""
    try:
        given = np.asarray(values)
        with np.errstate(invalid="ignore"):  # what is not finite
            numbers = given.astype(np.int64) if given.dtype.kind in "iuf" or not given.size else None
    except ValueError:  # rows of several lengths
        numbers, given = None, np.empty(0)
    if numbers is None or not np.array_equal(numbers, given):
        raise InputError(f"{name}: expected whole numbers, as −1 and 0 have a meaning; give each text a number above 0")
    return numbers


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        find = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--pattern {pattern!r}: not a regular expression: {error}") from None
    if "person" not in find.groupindex:
        raise InputError(
            f"--pattern {pattern!r}: has no group (?P<person>...), which finds the person; Market-1501's is {MARKET!r}"
        )
    return find


def _number(text: str | None) -> int:
    """A whole number as it is; another text as a number of 48 bits above all that names hold."""
    text = text or ""
    if re.fullmatch(r"-1|\d{1,9}", text):
        return int(text)
    return 2**48 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
