"""The pairs of a split with their images and keypoints, which are found and checked once."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pose_gan.config import DataConfig, RunConfig
from pose_gan.data.pairs import person_hint, person_of, read_pairs
from pose_gan.data.places import places_of
from pose_gan.errors import InputError, InputWarning
from pose_gan.files.images import read_header
from pose_gan.poses.imports.patn import lies_left
from pose_gan.poses.keypoints import Annotations, found, read_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton

if TYPE_CHECKING:
    import pandas as pd

_JPEG_MODES = ("L", "RGB")
# Files that batches decode to exactly the pixels that `read_image` returns: format → modes.
DECODED = {"JPEG": _JPEG_MODES, "MPO": _JPEG_MODES, "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I")}

_HEADER_THREADS = 8


@dataclass(frozen=True, eq=False)
class PairData:
    """The pairs of a split, after `open_pairs` has checked them.

    Attributes:
        pairs: table with the columns `from` and `to`, which hold image names.
        annotations: keypoints of at least all images in `pairs`.
        images_dir: the folder of the images.
        image_size: (height, width) in pixels, of every image.
        skeleton: the joints that the keypoints stand for.
        use_bg: whether batches hold the target's background, `<stem of the target>_BG.jpg`.
        alpha: the paths in `files()` of images whose pixels may be transparent; they lie on white.
    """

    pairs: pd.DataFrame
    annotations: Annotations
    images_dir: Path
    image_size: tuple[int, int]
    skeleton: Skeleton
    use_bg: bool = False
    alpha: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.pairs)

    @cached_property
    def _factors(self) -> tuple[np.ndarray, list[str]]:
        import pandas as pd

        numbers, names = pd.factorize(self.pairs.to_numpy().ravel())
        return numbers, list(names)

    @cached_property
    def names(self) -> list[str]:
        """Names of the images in the pairs, each name once, in order of appearance."""
        return self._factors[1]

    @property
    def numbers(self) -> np.ndarray:
        """The pairs as indices into `names`: int32 `(len(self), 2)`, source and target."""
        return self._factors[0].astype(np.int32).reshape(-1, 2)

    @cached_property
    def keypoints(self) -> np.ndarray:
        """float32 `(len(names), joints, 2)`, (y, x) in pixels, −1 where missing."""
        rows = [self.annotations.rows[name] for name in self.names]
        return self.annotations.keypoints[rows].astype(np.float32)

    def image_path(self, name: str) -> Path:
        return self.images_dir / name

    def background_path(self, name: str) -> Path:
        """The background image that belongs to the target `name`."""
        return self.images_dir / f"{Path(name).stem}_BG.jpg"

    def files(self) -> list[str]:
        """All image files from which batches are made: the images in the order of `names`, then the backgrounds."""
        paths = [self.image_path(name) for name in self.names]
        if self.use_bg:
            paths += [self.background_path(name) for name in dict.fromkeys(self.pairs["to"])]
        return [str(path) for path in paths]


def open_pairs(
    data: DataConfig,
    split: str,
    image_size: tuple[int, int],
    skeleton: Skeleton = COCO18,
    use_bg: bool = False,
    limit: int | None = None,
) -> PairData:
    """Finds and checks the files of a split, and makes none. Only images that pairs use are checked.

    Args:
        data: the places of the files. `fashion` also finds files named `fasion`, and the other way round.
        split: `train` or `test`.
        image_size: (height, width) in pixels that every image must have.
        skeleton: joints of the annotations.
        use_bg: whether each target must have a background image.
        limit: number of pairs to keep, from the first one on; None keeps all.

    Raises: InputError: something is absent or wrong; the message names the file (and row, joint) of the first problem.
    """
    if limit is not None and limit < 1:
        raise InputError(f"the number of pairs must be 1 or more, got {limit}")
    places = places_of(data, split)
    places.check()

    annotations = read_annotations(places.annotations, skeleton)
    pairs = read_pairs(places.pairs)
    pairs = pairs.head(len(pairs) if limit is None else limit)
    if pairs.empty:
        raise InputError(f"{places.pairs}: no pairs; make them again with: pose-gan data pairs {places.flags}")
    if lies_left(annotations, image_size):
        warnings.warn(
            f"{places.annotations}: keypoints of images cut to columns 40 to 215, as PATN's; they lie 40 pixels left "
            "of the people here: take them over with pose-gan data import-keypoints",
            InputWarning,
            stacklevel=2,
        )
    opened = PairData(pairs, annotations, places.images, (image_size[0], image_size[1]), skeleton, use_bg)
    return checked(opened, places.pairs)


def open_training(config: RunConfig) -> PairData:
    """The training pairs of a run, as `open_pairs`. An `InputWarning` says if pairs show two persons, by their names.

    Nothing is said where the names do not tell persons, because each image has its own or all have the same.
    """
    model = config.model
    data = open_pairs(config.data, "train", model.image_size, model.skeleton, model.use_bg)
    pairs = places_of(config.data, "train").pairs
    crossed = sum(person_of(source) != person_of(target) for source, target in data.pairs.to_numpy())
    if crossed and person_hint(data.names) is None:
        warnings.warn(
            f"{pairs}: {crossed} of {len(data)} pairs show two persons, by their names. Such a pair has no true image, "
            "so training on it teaches nothing good; the lists of pose-gan data pairs without --cross are for training",
            InputWarning,
            stacklevel=2,
        )
    return data


def checked(data: PairData, pairs: str | os.PathLike[str]) -> PairData:
    """Checks the files of pairs, as `open_pairs` does, which tells the errors.

    Args:
        data: the pairs; `alpha` is of no account.
        pairs: the file of the pairs, for messages.
    Returns: the same pairs, with their `alpha`.
    """
    _check_pairs(data, Path(pairs))
    _check_keypoints(data)
    return replace(data, alpha=_check_images(data))


def _check_pairs(data: PairData, pairs_path: Path) -> None:
    """Checks that every image of a pair is annotated and present, and that every target has its background."""
    absent = {name for name in data.names if not os.path.isfile(data.image_path(name))}
    no_bg = set()
    if data.use_bg:
        no_bg = {name for name in dict.fromkeys(data.pairs["to"]) if not os.path.isfile(data.background_path(name))}
    unknown = set(data.names) - set(data.annotations.names)
    if not (unknown or absent or no_bg):
        return
    for row, pair in enumerate(data.pairs.to_numpy(), start=2):
        for column, name in zip(("from", "to"), pair, strict=True):
            where = f"{pairs_path}, row {row}, column {column}: {name}"
            if name in unknown:
                raise InputError(
                    f"{where} has no keypoints in {data.annotations.path}; annotate it, or make the pairs again"
                )
            if name in absent:
                raise InputError(f"{where} is not in {data.images_dir}; add the image, or make the pairs again")
            if column == "to" and name in no_bg:
                raise InputError(
                    f"{where} needs its background, {data.background_path(name)}; add it, or leave use_bg off"
                )


def _check_keypoints(data: PairData) -> None:
    height, width = data.image_size
    outside = found(data.keypoints) & ~((data.keypoints >= 0) & (data.keypoints < (height, width))).all(axis=-1)
    for image, joint in np.argwhere(outside)[:1]:
        y, x = data.keypoints[image, joint].astype(int)
        raise InputError(
            f"{data.annotations.where(data.annotations.rows[data.names[image]])}: joint {data.skeleton.joints[joint]} "
            f"at y={y}, x={x} is outside the image of {height}x{width} (height x width) pixels; "
            "annotate the images at the size that the networks see"
        )


def _check_images(data: PairData) -> frozenset[str]:
    """Checks that every image can be decoded and has the right size, and returns those that may be transparent."""

    def check(path: str) -> bool:
        header = read_header(path)
        if header.mode not in DECODED.get(header.format, ()):
            raise InputError(
                f"{path}: {header.format} with pixels {header.mode}; save it as 8-bit RGB or grey JPEG or PNG"
            )
        if header.orientation != 1:
            raise InputError(f"{path}: turned by EXIF (orientation {header.orientation}); save it upright")
        if header.size != data.image_size:
            (height, width), (wanted_height, wanted_width) = header.size, data.image_size
            raise InputError(
                f"{path}: {height}x{width} pixels (height x width), the networks take {wanted_height}x{wanted_width}; "
                "resize the images and their annotations"
            )
        return header.alpha

    with ThreadPoolExecutor(min(_HEADER_THREADS, 2 * (os.cpu_count() or 1))) as threads:
        files = data.files()
        alpha = frozenset(path for path, has_alpha in zip(files, threads.map(check, files), strict=True) if has_alpha)
    if alpha:
        count = f"{len(alpha)} of {len(files)} images have an alpha channel"
        warnings.warn(
            f"{data.images_dir}: {count}; where they are transparent, they lie on white", InputWarning, stacklevel=3
        )
    return alpha
