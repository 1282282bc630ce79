"""Images to judge: source, target and generated image of many pairs, found on disk and read one pair at a time.

The images lie in *strips* or in three folders. A strip is source | target | generated side by side in
`<from>_<to>.png` (the names keep their suffixes), as the release writes and reads it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from pose_gan.data.pair_data import PairData
from pose_gan.data.pairs import Person, read_pairs
from pose_gan.errors import InputError
from pose_gan.evaluation.strip_names import TAIL, spellings, split_name, strip_name, target_in
from pose_gan.files.folders import list_images
from pose_gan.files.images import image_size as size_of
from pose_gan.files.images import read_image
from pose_gan.poses.keypoints import Annotations, found
from pose_gan.poses.skeleton import COCO18, Skeleton

# Number of pictures in a strip → places of source, target and generated image. Strips of five pictures are those of
# PATN (Zhu et al., CVPR 2019), in which each real image is followed by its pose.
PANELS = {3: (0, 1, 2), 5: (0, 2, 4)}
HEADER_THREADS = 4

Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class JudgedImages:
    """Source, target and generated image of pairs, on disk. The sources may be unknown.

    Attributes:
        pairs: columns `from` and `to`, image names.
        files: for each pair its strip, or its source, target and generated image, or the latter two.
        image_size: (height, width) in pixels, of every image.
        folder: the folder of the generated images.
        annotations: keypoints of at least all target images; None: they are not known.
        skeleton: the skeleton of the keypoints.
        person: the person in an image name; None: the names are not known to tell it.
    """

    pairs: pd.DataFrame
    files: Sequence[tuple[Path, ...]]
    image_size: tuple[int, int]
    folder: Path
    annotations: Annotations | None = None
    skeleton: Skeleton = COCO18
    person: Person | None = None

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def target_keypoints(self) -> np.ndarray:
        """int `(len(self), joints, 2)`, (y, x) in pixels, −1 where missing; all missing without annotations."""
        if self.annotations is None:
            return np.full((len(self), self.skeleton.num_joints, 2), -1)
        return self.annotations.keypoints[[self.annotations.rows[name] for name in self.pairs["to"]]]

    @property
    def has_sources(self) -> bool:
        return len(self.files[0]) != 2

    @cached_property
    def crossed(self) -> np.ndarray:
        """Whether source and target show two persons, by their names; bool `(len(self),)`."""
        if self.person is None:
            return np.zeros(len(self), bool)
        return np.array([self.person(a) != self.person(b) for a, b in self.pairs.to_numpy()], bool)

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Source, target and generated image of a pair, each uint8 `(H, W, 3)`. A source that is not known is white.

        Raises: InputError: an image is absent, unreadable or of another size.
        """
        if len(self.files[row]) == 1:
            return read_strip(self.files[row][0], self.image_size)
        images = [read_image(path) for path in self.files[row]]
        for path, image in zip(self.files[row], images, strict=True):
            if image.shape[:2] != self.image_size:
                raise InputError(f"{path}: {_text(image.shape)}, expected {_text(self.image_size)}")
        *source, target, generated = images
        return source[0] if source else np.full_like(target, 255), target, generated


def read_strip(path: str | os.PathLike[str], image_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads source, target and generated image, each uint8 `(H, W, 3)`.

    Args:
        path: a strip of three pictures, or of PATN's five.
        image_size: (height, width) in pixels of each picture.
    Raises: InputError: the file is absent or not an image, or its size is neither (H, 3W) nor (H, 5W).
    """
    picture = read_image(path)
    height, width = image_size
    panels, rest = divmod(picture.shape[1], width)
    if picture.shape[0] != height or rest or panels not in PANELS:
        raise InputError(
            f"{path}: {_text(picture.shape)}, expected {height}x{3 * width}: "
            "source, target and generated image side by side"
        )
    source, target, generated = (picture[:, place * width : (place + 1) * width] for place in PANELS[panels])
    return source, target, generated


# ------------------------------------------------------------------------------------- finding


def strips_of(
    folder: str | os.PathLike[str], data: PairData, person: Person | None = None, rows: range | None = None
) -> JudgedImages:
    """The strips of all pairs in `data`; other files in the folder have no effect.

    Args:
        folder: the folder of the strips.
        data: the pairs.
        person: the person in an image name; None: the names are not known to tell it.
        rows: the pairs whose strips must be there, if not all are needed; None: all.
    Raises: InputError: the folder or a strip is missing; the message names the first missing strip.
    """
    folder, present = Path(folder), set(list_images(folder))
    names = [strip_name(*pair) for pair in data.pairs.to_numpy()]
    needed = names if rows is None else [names[row] for row in rows]
    missing = [name for name in needed if name not in present]
    if missing:
        raise InputError(
            f"{folder / missing[0]}: no such strip ({len(missing)} of {len(needed)} are missing); generate them, "
            "or give the pair list that they were made from"
        )
    files = [(folder / name,) for name in names]
    return JudgedImages(data.pairs, files, data.image_size, folder, data.annotations, data.skeleton, person)


def find_strips(
    folder: str | os.PathLike[str],
    annotations: Annotations | None = None,
    pair_list: str | os.PathLike[str] | None = None,
    skeleton: Skeleton = COCO18,
) -> JudgedImages:
    """Finds strips that any program made, and works out the names of their images from the strips' names.

    Args:
        folder: folder of strips of one size; all its images are taken, or only those of `pair_list`.
        annotations: keypoints of the images; they also show where in `a_1.jpg_b_2.jpg.png` the first name ends.
        pair_list: a pair CSV. Without it and `annotations`, a strip whose two names cannot be separated is listed under
            its own name.
        skeleton: the skeleton of the keypoints.
    Raises: InputError: the folder is absent or has no strips; strips have several sizes; a strip of the list is
        missing; a target has no keypoints, or has keypoints outside of the image.
    """
    folder = Path(folder)
    wanted = _read_pairs(pair_list)
    known = {name for pair in wanted or () for name in pair} | set(annotations.names if annotations else ())
    spelled = spellings(known) if known else None
    named = {name: split_name(name, spelled) for name in list_images(folder)}
    if not known:
        named = {name: pair or (name, name) for name, pair in named.items()}
    pairs = _chosen(folder, named, wanted)
    files = [(folder / name,) for name in pairs]
    height, width = _common_size(files)
    size = (height, width // _panels(files[0][0], width))
    return _checked(JudgedImages(_table(pairs), files, size, folder, annotations, skeleton))


def find_folders(
    source: str | os.PathLike[str] | None,
    target: str | os.PathLike[str],
    generated: str | os.PathLike[str],
    annotations: Annotations | None = None,
    pair_list: str | os.PathLike[str] | None = None,
    skeleton: Skeleton = COCO18,
) -> JudgedImages:
    """Finds images in three folders, or in two without the sources, matched by name.

    A generated image belongs to the source and the target image of the same name (suffixes may differ). If its name is
    that of a strip, it belongs to the two images from whose names it is made.

    Args: as for `find_strips`; `source` may be None. Then the `from` of a pair is what a strip's name has in front of
        the target's name, or the name of the generated image.
    Raises: InputError: as for `find_strips`; or an image has no source or target.
    """
    folder = Path(generated)
    wanted, targets = _read_pairs(pair_list), spellings(list_images(target))
    named = spellings({name for name, _ in wanted}) if wanted else {}  # the sources, where only their names are known
    sources = spellings(list_images(source)) if source is not None else None

    def pair_of(name: str) -> Pair | None:
        for spelling in (name, Path(name).stem):
            if spelling in targets and (sources is None or spelling in sources):
                return (name if sources is None else sources[spelling]), targets[spelling]
        if sources is not None:
            return split_name(name, sources, targets)
        pair = target_in(name, targets)
        return pair and (named.get(pair[0], pair[0]), pair[1])

    pairs = _chosen(folder, {name: pair_of(name) for name in list_images(folder)}, wanted)
    images = [(Path(target) / b, folder / name) for name, (_, b) in pairs.items()]
    files: list[tuple[Path, ...]] = [*images]
    if source is not None:
        files = [(Path(source) / a, *paths) for (a, _), paths in zip(pairs.values(), images, strict=True)]
    size = _common_size(files)
    return _checked(JudgedImages(_table(pairs), files, size, folder, annotations, skeleton))


def _read_pairs(path: str | os.PathLike[str] | None) -> list[Pair] | None:
    return None if path is None else [(str(a), str(b)) for a, b in read_pairs(path).to_numpy()]


def _chosen(folder: Path, named: Mapping[str, Pair | None], wanted: list[Pair] | None) -> dict[str, Pair]:
    """File name → pair, for all files or for those in the pair list, in its order."""
    if not named:
        raise InputError(f"{folder}: holds no images")
    pairs = {name: pair for name, pair in named.items() if pair is not None}
    if wanted is None:
        unknown = [name for name in named if name not in pairs]
        if unknown:
            raise InputError(
                f"{folder / unknown[0]}: its name is not made of the names of two images that are known, so its source "
                f"and target are not ({len(unknown)} of {len(named)} files); add their keypoints or the images "
                "themselves, or move away what does not belong there"
            )
        return pairs
    files = {pair: name for name, pair in pairs.items()}
    missing = [pair for pair in wanted if pair not in files]
    if missing or not wanted:
        what = f"no file of the pair {' -> '.join(missing[0])}" if missing else "the pair list is empty"
        raise InputError(f"{folder}: {what} ({len(missing)} of {len(wanted)} pairs are missing)")
    return {files[pair]: pair for pair in wanted}


def _table(pairs: Mapping[str, Pair]) -> pd.DataFrame:
    return pd.DataFrame(list(pairs.values()), columns=["from", "to"], dtype=object)


# ------------------------------------------------------------------------------------- checks


def _common_size(files: Sequence[tuple[Path, ...]]) -> tuple[int, int]:
    """The (height, width) in pixels that all files have. Only the headers of the files are read."""
    size = size_of(files[0][-1])

    def check(path: Path) -> None:
        if (got := size_of(path)) != size:
            raise InputError(
                f"{path}: {_text(got)}, {files[0][-1].name} has {_text(size)}; what is compared must have one size: "
                "resize it, or move away what does not belong there"
            )

    with ThreadPoolExecutor(HEADER_THREADS) as threads:
        for _ in threads.map(check, dict.fromkeys(path for row in files for path in row)):
            pass
    return size


def _panels(path: Path, width: int) -> int:
    """The number of pictures in a strip, worked out from its width, or from its name where the width is ambiguous."""
    fitting = [panels for panels in PANELS if width % panels == 0]
    if not fitting:
        raise InputError(
            f"{path}: {width} pixels wide, so it holds neither three pictures (source, target, generated) nor five "
            "(with a pose after each real image)"
        )
    return fitting[-1] if path.stem.endswith(TAIL) else fitting[0]


def _checked(images: JudgedImages) -> JudgedImages:
    """Returns `images` after a check that all target keypoints exist and lie inside of the images."""
    if images.annotations is None:
        return images
    rows = images.annotations.rows
    unknown = [name for name in images.pairs["to"] if name not in rows]
    if unknown:
        raise InputError(
            f"{images.annotations.path}: has no keypoints of {unknown[0]}, a target image "
            f"({len(unknown)} of {len(images)} targets are missing); give the files that have them"
        )
    height, width = images.image_size
    poses = images.target_keypoints
    outside = found(poses) & ~((poses >= 0) & (poses < (height, width))).all(axis=-1)
    for pair, joint in np.argwhere(outside)[:1]:
        y, x = poses[pair, joint]
        where = images.annotations.where(rows[images.pairs["to"].iloc[pair]])
        raise InputError(
            f"{where}: joint {images.skeleton.joints[joint]} at y={y}, x={x} is outside of the image of "
            f"{height}x{width} (height x width) pixels; give annotations made at this size"
        )
    return images


def _text(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]} pixels (height x width)"
