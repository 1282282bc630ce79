"""The places of the files of a data set's split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pose_gan.config import DataConfig
from pose_gan.errors import InputError
from pose_gan.files.folders import dataset_path


@dataclass(frozen=True)
class Places:
    """Paths of a split. No file is read.

    Attributes:
        data: the settings from which the paths follow.
        images: folder of the images.
        annotations: the keypoint CSV.
        pairs: the pair CSV.
    """

    data: DataConfig
    images: Path
    annotations: Path
    pairs: Path

    def check(self) -> None:
        """Raises InputError if one of them is absent; the message says how to make it."""
        data, demo = self.data, self.data.dataset == "demo"
        if not self.images.is_dir():
            make = "make the demo data with: pose-gan data demo" if demo else "put them there, or set images_dir"
            raise InputError(f"{self.images}: no such folder of images; {make}")
        if not self.annotations.exists():
            raise InputError(
                f"{self.annotations}: no such annotation file; make it with: pose-gan data annotate "
                f"{self.flags} --pose_estimator {'demo' if demo else 'FILE'}, or put one there "
                "(annotations/README.md describes it)"
            )
        if not self.pairs.exists():
            output = "" if data.pairs_dir is None else f" --output_dir {data.pairs_dir}"
            raise InputError(f"{self.pairs}: no such pair list; make it with: pose-gan data pairs {self.flags}{output}")

    @property
    def flags(self) -> str:
        """The flags of `pose-gan data` for this data set."""
        flags = f"--dataset {self.data.dataset}"
        folder = self.data.annotations_dir
        return flags if folder == "annotations" else f"{flags} --annotations_dir {folder}"


def places_of(data: DataConfig, split: str) -> Places:
    """The places of `split` (`train` or `test`); `fashion` also finds files named `fasion`, and vice versa."""
    root = dataset_path("data", data.dataset, "-dataset") if data.images_dir is None else Path(data.images_dir)
    return Places(
        data,
        root / split,
        dataset_path(data.annotations_dir, data.dataset, f"-annotation-{split}.csv"),
        dataset_path(data.pairs_dir or data.annotations_dir, data.dataset, f"-pairs-{split}.csv"),
    )
