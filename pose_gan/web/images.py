"""The images of a folder or data set with their poses, by number: a page never names a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_gan.errors import InputError
from pose_gan.files.folders import is_background, list_images
from pose_gan.files.images import read_image
from pose_gan.poses.keypoints import Annotations, found, read_annotations
from pose_gan.poses.skeleton import Skeleton
from pose_gan.web.photos import Photo


@dataclass(frozen=True)
class Images:
    """The images of a folder.

    Attributes:
        folder: the folder.
        names: the names of the images, sorted, without backgrounds.
        annotations: their poses, as far as they are known.
    """

    folder: Path
    names: tuple[str, ...] = ()
    annotations: Annotations | None = None

    @classmethod
    def of(cls, folder: Path, annotations: Path | None, skeleton: Skeleton) -> Images:
        """Raises InputError: there is no such folder, it holds no images, or the annotations cannot be read."""
        names = tuple(name for name in list_images(folder) if not is_background(name))
        if not names:
            raise InputError(f"{folder}: holds no images; give another folder")
        told = read_annotations(annotations, skeleton) if annotations else None
        if told is not None and not told.rows.keys() & set(names):
            raise InputError(f"{annotations}: has no row for any image of {folder}, such as {names[0]}")
        return cls(folder, names, told)

    def pose(self, number: int) -> np.ndarray | None:
        """The annotated pose `(joints, 2)` of an image, in its pixels; None: there is none."""
        if self.annotations is None or self.names[number] not in self.annotations.rows:
            return None
        pose = self.annotations.keypoints[self.annotations.rows[self.names[number]]]
        return pose if found(pose).any() else None

    def photo(self, number: int) -> Photo:
        """Raises InputError: the file is no image that can be read."""
        return Photo.kept(self.names[number], read_image(self.folder / self.names[number]))

    def page(self, start: int, count: int, text: str = "") -> tuple[list[int], int]:
        """Numbers of the images whose names contain `text`, `count` from the `start`th on, and how many there are."""
        numbers = [number for number, name in enumerate(self.names) if text.lower() in name.lower()]
        return numbers[max(start, 0) : max(start, 0) + count], len(numbers)
