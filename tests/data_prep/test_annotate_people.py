"""`data annotate` says how many people it saw and whom it took, and names every file that it left out."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from crashes import Killed
from PIL import Image

from data_prep import annotate as verb
from data_prep.journal import Entry, Journal
from pose_gan.estimators import Poses
from pose_gan.files import images
from pose_gan.poses.keypoints import read_annotations
from pose_gan.poses.skeleton import COCO18


class Counting:
    """Sees as many people as the red value of the first pixel says."""

    name, skeleton, preferred_batch = "counting", COCO18, 2

    def __init__(self, batches: int = 99, counts: bool = True) -> None:
        self.batches, self.counts = batches, counts

    def __call__(self, images: np.ndarray) -> Poses:
        if not self.batches:
            raise Killed
        self.batches -= 1
        people = images[:, 0, 0, 0].astype(int)
        keypoints = np.where(people[:, None, None] > 0, 3, -1) * np.ones((1, 18, 2), int)
        scores = np.ones((len(images), 18), np.float32)
        if not self.counts:
            return Poses(keypoints.astype(np.int32), scores)
        return Poses(keypoints.astype(np.int32), scores, people, "the happiest one was taken")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Images of 0, 1, 1, 2, 1 and 3 people."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verb, "check_estimator", lambda path: None)
    folder = tmp_path / "data/mine-dataset/test"
    folder.mkdir(parents=True)
    for number, people in enumerate([0, 1, 1, 2, 1, 3]):
        Image.new("RGB", (8, 16), (people, 0, 0)).save(folder / f"a_{number}.png")
    return folder


def run(monkeypatch, estimator) -> tuple[str, ...]:
    monkeypatch.setattr(verb, "load_estimator", lambda path, config: estimator)
    assert verb.main(["--dataset", "mine", "--pose_estimator", "counting"]) == 0
    return read_annotations("annotations/mine-annotation-test.csv").names


def test_it_says_how_many_people_it_saw_and_whom_it_took(folder, monkeypatch, capsys):
    run(monkeypatch, Counting())
    lines = capsys.readouterr().out.splitlines()
    start = lines.index(
        "people per image: 0 in 1 images, 1 in 3 images, 2 in 1 images, 3 in 1 images; where there were several, the "
        "happiest one was taken:"
    )
    assert lines[start + 1 : start + 3] == ["  a_3.png: 2 people", "  a_5.png: 3 people"]


def test_the_count_survives_a_break(folder, monkeypatch, capsys):
    with pytest.raises(Killed):
        run(monkeypatch, Counting(batches=2))
    run(monkeypatch, Counting())
    said = capsys.readouterr().out
    assert "0 in 1 images, 1 in 3 images, 2 in 1 images, 3 in 1 images" in said
    assert "a_3.png: 2 people" in said


def test_nobody_is_chosen_where_all_are_alone(folder, monkeypatch, capsys):
    for name in ("a_3.png", "a_5.png"):
        (folder / name).unlink()
    run(monkeypatch, Counting())
    assert "people per image: 0 in 1 images, 1 in 3 images\n" in capsys.readouterr().out


def test_an_estimator_that_does_not_count_is_told(folder, monkeypatch, capsys):
    run(monkeypatch, Counting(counts=False))
    assert "people per image: not counted; this estimator looks for one person" in capsys.readouterr().out


def test_every_other_file_is_named(folder, monkeypatch, capsys):
    for name in ("notes.txt", "clip.mov", "RAW.dng", ".DS_Store", "._a_0.png"):
        (folder / name).write_bytes(b"?")
    (folder / "more").mkdir()
    Image.new("RGB", (8, 16)).save(folder / "a_0_BG.jpg")
    run(monkeypatch, Counting())
    said = capsys.readouterr().out
    assert f"{folder.relative_to(Path.cwd())}: 5 other files, left out:" in said
    for name, why in (
        ("notes.txt", "not an image"),
        ("clip.mov", "not an image"),
        ("RAW.dng", "not an image"),
        ("more", "a folder; move its images up"),
        ("a_0_BG.jpg", "a background"),
    ):
        assert any(name in line and why in line for line in said.splitlines()), name
    assert ".DS_Store" not in said


@pytest.mark.parametrize("name", ["photo.HEIC", "photo.heif"])
def test_photos_of_phones_are_named_with_what_to_do(folder, monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(images, "_reads_heif", images._reads_heif.__wrapped__)
    (folder / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    assert name not in run(monkeypatch, Counting())
    said = capsys.readouterr().out
    assert "1 images could not be used" in said
    assert f"{name}: HEIC photos need pillow-heif; install it with: pip install" in said


def test_photos_of_phones_are_read_with_the_extra(folder, monkeypatch):
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    random = np.random.default_rng(0)
    pixels = np.kron(random.integers(0, 256, (4, 6, 3)), np.ones((32, 32, 1))).astype(np.uint8)
    heif.from_pillow(Image.fromarray(pixels)).save(folder / "photo.HEIC", quality=100)
    assert "photo.HEIC" in run(monkeypatch, Counting())
    assert images.image_size(folder / "photo.HEIC") == (128, 192)
    read = images.read_image(folder / "photo.HEIC").astype(int)
    assert np.abs(read - pixels).mean() < 8
    (folder / "cut.heic").write_bytes((folder / "photo.HEIC").read_bytes()[:300])
    with pytest.raises(images.InputError, match=r"cut\.heic"):
        images.read_image(folder / "cut.heic")


def test_the_journal_keeps_the_count(tmp_path):
    with Journal(tmp_path / "j", {"a": 1}) as journal:
        journal.add([Entry("x", [[1, 2]], people=3), Entry("y", [[1, 2]])])
    with Journal(tmp_path / "j", {"a": 1}) as journal:
        assert [journal.entries[name].people for name in "xy"] == [3, None]
    with open(tmp_path / "j", "a") as file:
        file.write('{"name": "z", "people": "three"}\n')
    with pytest.raises(verb.InputError, match="damaged"):
        Journal(tmp_path / "j", {"a": 1})
