"""Fixtures that several test modules share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pose_gan.config import DataConfig
from pose_gan.data.pairs import make_pairs, write_pairs
from pose_gan.poses.keypoints import read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real sample data beside the checkout; tests that use it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no sample data: {folder} is absent")
    return folder


@dataclass(frozen=True)
class TinyData:
    """A data set named `tiny` in a temporary folder, with the splits `train` and `test`.

    Three persons with three images each, backgrounds included; 18 pairs a split.
    """

    root: Path
    image_size: tuple[int, int] = (96, 64)

    @property
    def config(self) -> DataConfig:
        return DataConfig("tiny", images_dir=str(self.root), annotations_dir=str(self.root))

    def annotations(self, split: str = "train") -> Path:
        return self.root / f"tiny-annotation-{split}.csv"

    def pairs(self, split: str = "train") -> Path:
        return self.root / f"tiny-pairs-{split}.csv"

    def images(self, split: str = "train") -> list[Path]:
        """The images in the order of the annotation file, without backgrounds."""
        return [self.root / split / f"000{p}_c1_{i}.jpg" for p in (1, 2, 3) for i in (1, 2, 3)]

    def edit(self, path: Path, old: str, new: str) -> None:
        """Replaces the first `old` in a text file."""
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))


@pytest.fixture
def tiny_data(tmp_path: Path) -> TinyData:
    """A fresh `TinyData`, which the test may spoil."""
    random = np.random.default_rng(0)
    data = TinyData(tmp_path / "tiny")
    height, width = data.image_size
    for split in ("train", "test"):
        (data.root / split).mkdir(parents=True)
        for path in data.images(split):
            for file in (path, path.with_name(f"{path.stem}_BG.jpg")):
                coarse = Image.fromarray(random.integers(0, 256, (8, 4, 3), dtype=np.uint8))
                coarse.resize((width, height), Image.Resampling.BICUBIC).save(file)
        poses = random.integers(0, (height, width), (9, COCO18.num_joints, 2))
        poses[::2, COCO18.index("Lwri")] = -1
        write_annotations(data.annotations(split), [path.name for path in data.images(split)], poses)
        write_pairs(data.pairs(split), make_pairs(read_annotations(data.annotations(split))))
    return data
