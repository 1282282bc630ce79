"""The trainings that a table compares: sets of images, and changes of the flags of their training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pose_gan.errors import InputError
from pose_gan.reid.images import PARTS, Images, Splits, read_splits
from pose_gan.reid.settings import ReidConfig

REAL, AUGMENTED = "T", "A"
"""The names of the two training sets of Table 4."""
CHANGES: dict[str, tuple[str, str]] = {
    "flip": ("flip", "1"),
    "erasing": ("random_erasing", "0.5"),
    "crop": ("crop", "pad"),
    "smoothing": ("label_smoothing", "0.1"),
}
"""Short names of changes → the flag of `reid train`, and its value."""
NOT_CHANGED = ("method", "seed")
"""Settings that distinguish rows and repetitions, not trainings."""


class Training(NamedTuple):
    """A column of the table.

    Attributes:
        name: as it was given: `SET[+CHANGE...]`.
        images: the images of its set.
        words: the flags for `pose-gan reid train` that name its images and its changes.
    """

    name: str
    images: Images
    words: tuple[str, ...]


@dataclass(frozen=True)
class Sets:
    """The folders of the images.

    Attributes:
        images: folder of the real images, the set T.
        augmented: folder of the real and the generated images, the set A; None: there is none.
        further: name → folder of further sets.
        test_images: folder of the test; None: the test's part of `images`.
        pattern, test_share, split_seed: as `pattern`, `test_share` and `seed` of `read_splits`.
    """

    images: str
    augmented: str | None
    further: Mapping[str, str]
    test_images: str | None
    pattern: str | None
    test_share: float
    split_seed: int

    @property
    def folders(self) -> dict[str, str]:
        """Name of a set → its folder."""
        augmented = {AUGMENTED: self.augmented} if self.augmented else {}
        return {REAL: self.images, **augmented, **self.further}

    def share(self, folder: str) -> float:
        """The share of the people in a set's folder who are for the test."""
        apart = self.test_images or (Path(self.images) / PARTS[0]).is_dir()
        return 0.0 if apart and not (Path(folder) / PARTS[0]).is_dir() else self.test_share

    def read(self, names: Sequence[str] | None = None) -> tuple[Splits, list[Training]]:
        """Reads the sets, and checks that they fit together.

        Args:
            names: the trainings, as `SET[+CHANGE...]`; None: each set without changes.
        Returns: the real images, split, and the trainings in the order of `names`.
        Raises: InputError: a set has people of the test, A has other real images than T, or there is no query, no such
            set or no such change, or a training changes a flag twice.
        """
        train = {
            name: read_splits(folder, self.pattern, self.share(folder), self.split_seed).train
            for name, folder in self.folders.items()
        }
        if self.test_images:
            splits = read_splits(self.test_images, self.pattern, 1.0, self.split_seed)
        else:
            splits = read_splits(self.images, self.pattern, self.test_share, self.split_seed)
        if not len(splits.query):
            raise InputError(
                f"--images {self.images}: no image is a query; give --test_images, or a --test_share above 0"
            )
        tested = {*splits.query.people.tolist()}
        for name, images in train.items():
            if both := sorted(tested & {*images.people.tolist()}):
                raise InputError(
                    f"{self.folders[name]} (set {name}): {len(both)} people of the test are among its people, such as "
                    f"{both[0]}; a score on people who were seen in training says nothing"
                )
        if self.augmented:
            self._check_augmented(train[REAL], train[AUGMENTED])
        trainings = [self._training(name, train) for name in names or self.folders]
        return dataclasses.replace(splits, train=train[REAL]), trainings

    def _check_augmented(self, real: Images, augmented: Images) -> None:
        names, others = ({*images.select(~images.generated).names} for images in (real, augmented))
        if names != others:
            raise InputError(
                f"--augmented {self.augmented}: its {len(others):,} real training images are not the {len(names):,} of "
                f"--images {self.images}; make it from that folder with pose-gan reid augment, with --real link"
            )
        if not augmented.generated.any():
            raise InputError(
                f"--augmented {self.augmented}: no generated image of a person of the training is in it; make it with "
                "pose-gan reid augment"
            )

    def _training(self, name: str, images: Mapping[str, Images]) -> Training:
        of, *changes = name.split("+")
        if of not in images:
            hint = "; give --augmented" if of == AUGMENTED else ""
            raise InputError(f"--trainings {name}: no set {of!r}; there are {', '.join(images)}{hint}")
        folder = self.folders[of]
        words = ["--images", folder, "--test_share", str(self.share(folder)), "--split_seed", str(self.split_seed)]
        words += ["--pattern", self.pattern] if self.pattern else []
        allowed = [field.name for field in dataclasses.fields(ReidConfig) if field.name not in NOT_CHANGED]
        changed = set()
        for change in changes:
            flag, has_value, value = change.partition("=")
            if not has_value and flag in CHANGES:
                flag, value = CHANGES[flag]
            elif not has_value or flag not in allowed:
                raise InputError(
                    f"--trainings {name}: no change {change!r}; allowed: {', '.join(CHANGES)}, or FLAG=VALUE with a "
                    f"flag of {', '.join(allowed)}"
                )
            if flag in changed:
                raise InputError(f"--trainings {name}: changes {flag} twice; say once what it is to be")
            changed.add(flag)
            words.append(f"--{flag}={value}")
        return Training(name, images[of], tuple(words))
