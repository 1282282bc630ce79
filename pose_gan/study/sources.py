"""Where the images of a study come from: strips, or folders of generated and of real images."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_gan.errors import InputError
from pose_gan.evaluation.strip_names import spellings, split_name, target_in
from pose_gan.evaluation.strips import find_strips, read_strip
from pose_gan.files.folders import is_background, list_images
from pose_gan.files.images import read_header, read_image

JPEG = (".jpg", ".jpeg")
TARGET, GENERATED = 1, 2  # places in what `read_strip` returns
_NAME = re.compile(r"[^=/\\]{1,40}")

Pair = tuple[str, str]


@dataclass(frozen=True)
class Picture:
    """A picture that may be shown.

    Attributes:
        source, target: names of the pair's images. Where they are not known, they are the name of the strip, or
            `source` is that of the image and `target` is empty. Of a real image, `source` is empty.
        path: its file.
        place: `TARGET` or `GENERATED`, in a strip; None: the file holds nothing else.
        strip_size: (height, width) in pixels of the pictures in the strip.
    """

    source: str
    target: str
    path: Path
    place: int | None = None
    strip_size: tuple[int, int] = (0, 0)

    def read(self) -> np.ndarray:
        """uint8 `(H, W, 3)`. Raises InputError: the file cannot be read."""
        return read_image(self.path) if self.place is None else read_strip(self.path, self.strip_size)[self.place]

    @property
    def was_jpeg(self) -> bool:
        """Whether it was a JPEG file once: by its header, or, for a target in a strip, by its name."""
        if self.place == TARGET and self.target.lower().endswith(JPEG):
            return True
        return read_header(self.path).format == "JPEG"


@dataclass(frozen=True)
class System:
    """What generated images.

    Attributes:
        name: its name in the tables.
        generated: its images by pair.
        real: the target images in its strips, by name; empty for folders without strips.
    """

    name: str
    generated: Mapping[Pair, Picture]
    real: Mapping[str, Picture]


def named(text: str) -> tuple[str, Path]:
    """The name and the folder in `NAME=DIR`; of `DIR`, the name is that of the folder.

    Raises: InputError: the name is empty or longer than 40 characters, or there is no such folder.
    """
    name, separator, rest = text.partition("=")
    if not separator or os.path.isdir(text):
        name, rest = Path(text).resolve().name, text
    if not _NAME.fullmatch(name) or name != name.strip() or not name.isprintable():
        raise InputError(f"{text}: a name has 1 to 40 characters, none of them = or /; give NAME={rest}")
    if not os.path.isdir(rest):
        raise InputError(f"{rest}: no such folder of images")
    return name, Path(rest)


def system_of_strips(name: str, folder: Path) -> System:
    """A system whose images stand in strips source | target | generated. Raises InputError as `find_strips`."""
    strips = find_strips(folder)
    generated: dict[Pair, Picture] = {}
    real: dict[str, Picture] = {}
    for (source, target), (path,) in zip(strips.pairs.to_numpy().tolist(), strips.files, strict=True):
        _add(generated, Picture(source, target, path, GENERATED, strips.image_size))
        real.setdefault(target, Picture("", target, path, TARGET, strips.image_size))
    return System(name, generated, real)


def system_of_images(name: str, folder: Path, real: Mapping[str, Picture]) -> System:
    """A system whose images stand in a folder.

    Their names tell the pair if they are those of strips, or that of a real image. Other images are taken as well.

    Args:
        name: the name of the system.
        folder: the folder.
        real: the real images by name.
    Raises: InputError: there is no such folder, it holds no images, or two of them are of one pair.
    """
    targets, generated = spellings(real), {}
    names = list_images(folder)
    if not names:
        raise InputError(f"{folder}: holds no images")
    for file in names:
        if same := _known(file, targets) or _known(Path(file).stem, targets):
            pair = file, same
        elif pair := split_name(file):
            pair = pair[0], _known(pair[1], targets) or pair[1]
        _add(generated, Picture(*(pair or target_in(file, targets) or (file, "")), folder / file))
    return System(name, generated, {})


def _known(name: str, names: Mapping[str, str]) -> str | None:
    """The image that bears a name, whatever its suffix."""
    return names.get(name) or names.get(Path(name).stem)


def real_images(folder: Path) -> dict[str, Picture]:
    """The images of a folder by name, without backgrounds (`…_BG.jpg`). Raises InputError: there are none."""
    names = [name for name in list_images(folder) if not is_background(name)]
    if not names:
        raise InputError(f"{folder}: holds no images")
    return {name: Picture("", name, folder / name) for name in names}


def _add(pictures: dict[Pair, Picture], picture: Picture) -> None:
    pair = (picture.source, picture.target)
    if pair in pictures:
        raise InputError(
            f"{picture.path} and {pictures[pair].path.name} are both of the pair {' -> '.join(pair)}; move one away"
        )
    pictures[pair] = picture
