"""The verb `flip`: mirror images with the joints where the eye sees them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from data_prep import flip
from pose_gan.data.pairs import make_pairs
from pose_gan.errors import InputError
from pose_gan.files.folders import list_images
from pose_gan.files.images import read_image
from pose_gan.poses.keypoints import Annotations, found, read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18

SIZE = (128, 64)


def person(seed):
    """A pose without its left wrist, no two joints in one place."""
    cells = np.random.default_rng(seed).choice(SIZE[0] * SIZE[1], COCO18.num_joints, replace=False)
    pose = np.stack(np.unravel_index(cells, SIZE), axis=-1)
    pose[COCO18.index("Lwri")] = -1
    return pose


def picture(pose):
    """Black, and at joint number j a pixel of the value 10·(j + 1)."""
    image = np.zeros((*SIZE, 3), np.uint8)
    for joint in np.flatnonzero(found(pose)):
        image[tuple(pose[joint])] = 10 * (joint + 1)
    return image


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with the data set `d`: two lossless images of marked joints a split."""
    monkeypatch.chdir(tmp_path)
    for split, first in (("train", 1), ("test", 3)):
        names = [f"{first}_a.png", f"{first}_b.png"]
        poses = np.array([person(first), person(first + 1)])
        folder = tmp_path / "data/d-dataset" / split
        folder.mkdir(parents=True)
        for name, pose in zip(names, poses, strict=True):
            Image.fromarray(picture(pose)).save(folder / name)
        write_annotations(f"annotations/d-annotation-{split}.csv", names[::-1], poses[::-1])
    return tmp_path


def run(*flags, dataset="d", output="e"):
    return flip.main(["--dataset", dataset, "--output_dataset", output, *flags])


def test_twice_is_once():
    random = np.random.default_rng(0)
    for width in (1, 7, 64):
        keypoints = random.integers(0, width, (5, COCO18.num_joints, 2))
        keypoints[random.random(keypoints.shape[:2]) < 0.3] = -1
        flipped = flip.flip_keypoints(keypoints, width)
        assert flipped.dtype == np.int32
        np.testing.assert_array_equal(flip.flip_keypoints(flipped, width), keypoints)
        assert ((flipped >= 0) & (flipped < width) | (flipped == -1)).all()


def test_known_numbers():
    keypoints = np.full((COCO18.num_joints, 2), -1)
    keypoints[COCO18.index("nose")] = (10, 0)
    keypoints[COCO18.index("Rsho")] = (20, 5)
    flipped = flip.flip_keypoints(keypoints, 64)
    assert flipped[COCO18.index("nose")].tolist() == [10, 63]
    assert flipped[COCO18.index("Lsho")].tolist() == [20, 58]
    assert found(flipped).sum() == 2


def test_joints_stay_on_what_they_mark_and_change_sides(here):
    assert run() == 0
    table = read_annotations("annotations/e-annotation-train.csv")
    assert table.names == ("1_b.png", "1_br.png", "1_a.png", "1_ar.png")
    assert list_images("data/e-dataset/train") == ["1_a.png", "1_ar.png", "1_b.png", "1_br.png"]
    for name, pose in zip(table.names, table.keypoints, strict=True):
        image = read_image(here / "data/e-dataset/train" / name)
        for joint in np.flatnonzero(found(pose)):
            marked = COCO18.flip_order[joint] if name.endswith("r.png") else joint
            assert image[tuple(pose[joint])].tolist() == [10 * (marked + 1)] * 3
        assert found(pose).sum() == COCO18.num_joints - 1


def test_originals_and_the_other_split_are_copied_byte_for_byte(here, capsys):
    run()
    for split, name in (("train", "1_a.png"), ("test", "3_a.png"), ("test", "3_b.png")):
        old, new = (here / f"data/{dataset}-dataset" / split / name for dataset in "de")
        assert old.read_bytes() == new.read_bytes()
    assert len(list_images("data/e-dataset/test")) == 2
    old, new = (here / f"annotations/{dataset}-annotation-test.csv" for dataset in "de")
    assert old.read_bytes() == new.read_bytes()
    out = capsys.readouterr().out
    assert "train: 4 images, 4 annotated -> data/e-dataset/train, annotations/e-annotation-train.csv" in out
    assert "test: 2 images, 2 annotated" in out


def test_both_splits(here):
    run("--split", "both")
    assert len(list_images("data/e-dataset/test")) == 4


def test_pairs_go_across(here):
    run()
    pairs = make_pairs(read_annotations("annotations/e-annotation-train.csv"))
    assert len(pairs) == 12
    assert ("1_a.png", "1_br.png") in set(pairs.itertuples(index=False, name=None))
    names = ("fashionMENJackets_Vestsid0000401403_4full.jpg", "0002_c1s1_000451_03.jpg")
    table = Annotations((*names, *map(flip.mirror_name, names)), np.zeros((4, 18, 2), int))
    assert len(make_pairs(table)) == 4


def test_pixels_are_mirrored_and_backgrounds_too(here):
    folder = here / "data/d-dataset/train"
    Image.fromarray(read_image(folder / "1_a.png")).save(folder / "1_a_BG.jpg")
    run()
    new = here / "data/e-dataset/train"
    np.testing.assert_array_equal(read_image(new / "1_ar.png"), read_image(new / "1_a.png")[:, ::-1])
    assert {"1_a_BG.jpg", "1_ar_BG.jpg"} <= set(list_images(new))
    mirrored, background = (read_image(new / name).astype(int) for name in ("1_ar_BG.jpg", "1_a_BG.jpg"))
    assert abs(mirrored[:, ::-1] - background).mean() < 3  # JPEG


@pytest.mark.parametrize(
    ("name", "mirrored"), [("a.jpg", "ar.jpg"), ("a.b.JPEG", "a.br.JPEG"), ("a.bmp", "ar.png"), ("1_a.png", "1_ar.png")]
)
def test_mirror_name(name, mirrored):
    assert flip.mirror_name(name) == mirrored


def test_without_annotations(here, capsys):
    (here / "annotations/d-annotation-train.csv").unlink()
    run()
    assert "d-annotation-train.csv: no such file, so only the images are made" in capsys.readouterr().out
    assert len(list_images("data/e-dataset/train")) == 4
    assert not (here / "annotations/e-annotation-train.csv").exists()


def test_once_only(here):
    run()
    with pytest.raises(InputError, match=r"1_b\.png: its mirror image, 1_br\.png, is there already; flip .* only once"):
        run(dataset="e", output="f")
    with pytest.raises(InputError, match=r"e-dataset/train: already there; .* pass --overwrite"):
        run()
    run("--overwrite")
    with pytest.raises(InputError, match="--output_dataset d: would replace the data set that is read"):
        run(output="d")


def test_no_such_split(here):
    for path in (here / "data/d-dataset/train").iterdir():
        path.unlink()
    (here / "data/d-dataset/train").rmdir()
    with pytest.raises(InputError, match="--split train: there is only test"):
        run()


def test_joints_outside_of_the_image(here, capsys):
    names, poses = ["1_a.png", "1_b.png"], np.array([person(1), person(2)])
    poses[0, 0] = (5, 64)
    write_annotations("annotations/d-annotation-train.csv", names, poses)
    run()
    assert "1_a.png: joint nose at y=5, x=64 is outside of the image of 128x64 pixels" in capsys.readouterr().out
    assert list_images("data/e-dataset/train") == ["1_b.png", "1_br.png"]


def test_real_people(here, shared_data):
    """On Market-1501, whose joints are annotated apart: mirrored, left stays left of the person."""
    table = read_annotations(shared_data / "market-sample/market-annotation-train.csv")
    flipped = flip.flip_keypoints(table.keypoints, 64)
    right, left = COCO18.index("Rsho"), COCO18.index("Lsho")
    both = found(table.keypoints)[:, [right, left]].all(axis=1)
    turned = table.keypoints[both, right, 1] - table.keypoints[both, left, 1]
    np.testing.assert_array_equal(flipped[both, right, 1] - flipped[both, left, 1], turned)
