"""The numbers of `stats`, against counts by hand and the published ones."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data_prep import stats
from data_prep.check import SplitFiles
from data_prep.stats import count, joint_picture, spread, unseen_share
from pose_gan.data.pairs import make_pairs, person_by
from pose_gan.errors import InputError
from pose_gan.poses.drawing import hues
from pose_gan.poses.keypoints import Annotations, found, read_annotations
from pose_gan.poses.skeleton import COCO18


def flags(data):
    return ["--dataset", "tiny", "--images_dir", str(data.root), "--annotations_dir", str(data.root)]


def poses(count, seed=0, missing=0.1):
    random = np.random.default_rng(seed)
    keypoints = random.integers(0, (96, 64), (count, COCO18.num_joints, 2))
    keypoints[random.random((count, COCO18.num_joints)) < missing] = -1
    return keypoints


def test_counts_by_hand(tmp_path):
    """Three persons: a with three valid images, b with one of two, c with none; one image of another size."""
    keypoints = np.full((6, 18, 2), 20)
    keypoints[:, COCO18.index("nose")] = (4, 9)
    keypoints[:, COCO18.index("Rank")] = (54, 9)
    keypoints[1, COCO18.index("Rank")] = (14, -1)  # either coordinate: missing
    keypoints[[4, 5], COCO18.index("Rhip")] = -1
    table = Annotations(("a_1.png", "a_2.png", "a_3.png", "b_1.png", "b_2.png", "c_1.png"), keypoints)
    for name in (*table.names, "a_1_BG.png", "d_1.png"):
        Image.new("RGB", (64, 96)).save(tmp_path / name)
    Image.new("RGB", (32, 64)).save(tmp_path / "a_1.png")
    (tmp_path / "d_1.png").write_text("no image")
    files = SplitFiles(tmp_path, tmp_path / "annotations.csv", tmp_path / "pairs.csv")
    make_pairs(table).to_csv(files.pairs, index=False)
    numbers = count(files, table, COCO18)
    assert numbers.images == 7
    assert numbers.sizes == {"96x64": 5, "64x32": 1}
    assert (numbers.annotated, numbers.valid, numbers.persons, numbers.pairs) == (6, 4, 2, 6)
    assert numbers.left_out == {"a joint of Rhip, Lhip, Lsho, Rsho was not found": 2}
    assert numbers.hint is None
    by_side = count(files, table, COCO18, person_by("[1-9]"))
    assert (by_side.valid, by_side.persons, by_side.left_out) == (4, 3, numbers.left_out)
    assert numbers.images_per_person == {"min": 1, "10 %": 1.2, "median": 2, "90 %": 2.8, "max": 3}
    assert numbers.height == pytest.approx({"min": 16, "10 %": 26.2, "median": 50, "90 %": 50, "max": 50})
    assert numbers.unseen == pytest.approx(2 / 6)  # from a_2, which has no Rank, to the two others
    assert numbers.found["nose"] == 1
    assert numbers.found["Rank"] == pytest.approx(5 / 6)
    assert numbers.found["Rhip"] == pytest.approx(4 / 6)
    assert list(numbers.found) == list(COCO18.joints)


def test_unseen_share_equals_the_plainest_form():
    table = Annotations(tuple(f"{i % 4}_{i}" for i in range(40)), poses(40, missing=0.05))
    pairs = make_pairs(table)
    is_found = found(table.keypoints)
    expected = np.mean(
        [
            any(is_found[table.rows[b], j] and not is_found[table.rows[a], j] for j in range(18))
            for a, b in pairs.itertuples(index=False)
        ]
    )
    assert 0.1 < expected < 0.9
    assert unseen_share(table, is_found, pairs) == pytest.approx(expected)
    strangers = pd.DataFrame([("x", "y"), (table.names[0], "y")], columns=["from", "to"])
    assert unseen_share(table, is_found, pd.concat([pairs, strangers])) == pytest.approx(expected)
    assert unseen_share(table, is_found, strangers) is None


def test_spread():
    assert spread([]) == {}
    assert spread(range(101)) == {"min": 0, "10 %": 10, "median": 50, "90 %": 90, "max": 100}


def test_joint_picture():
    keypoints = np.full((5, 18, 2), -1)
    keypoints[:4, 3] = (10, 7)
    keypoints[4, 3] = (0, 0)
    keypoints[0, 5] = (95, 63)
    keypoints[1, 5] = (96, 0)  # outside
    picture = joint_picture(keypoints, (96, 64))
    assert picture.shape == (96, 64, 3)
    assert picture[10, 7].tolist() == hues(18)[3].tolist()
    assert picture[0, 0] == pytest.approx(hues(18)[3] / 2, abs=0.51)  # a quarter as often
    assert picture[95, 63] == pytest.approx(hues(18)[5] / 2, abs=0.51)
    assert np.count_nonzero(picture.any(axis=-1)) == 3


def test_program(tiny_data, tmp_path, capsys):
    (tiny_data.root / "test" / "0001_c1_1.jpg").write_text("no image")
    tiny_data.pairs("test").unlink()
    output = tmp_path / "numbers.json", tmp_path / "joints.png"
    assert stats.main([*flags(tiny_data), "--json", str(output[0]), "--picture", str(output[1])]) == 0
    said = capsys.readouterr().out
    table = read_annotations(tiny_data.annotations())
    assert f"  images       9 in {tiny_data.root / 'train'}: 9 of 96x64\n" in said
    assert ": 8 of 96x64, 1 that cannot be read\n" in said
    assert "  valid        9, of 3 persons\n  per person   min 3, 10 % 3, median 3, 90 % 3, max 3 valid images" in said
    assert f"  pairs        18 in {tiny_data.pairs()}\n" in said
    assert "  pairs        none yet\n" in said
    assert f"    nose 100.0% {'#' * 40}\n" in said
    assert f"    Lwri  44.4% {'#' * 18}\n" in said
    numbers = json.loads(output[0].read_text())
    assert list(numbers) == ["train", "test"]
    assert numbers["train"]["found"]["Lwri"] == pytest.approx(found(table.keypoints)[:, COCO18.index("Lwri")].mean())
    assert numbers["test"]["pairs"] is None
    width, height = Image.open(output[1]).size
    assert height > 512
    assert width > 2 * 64 * 6


def test_program_says_what_is_left_out_and_what_is_striking(tiny_data, capsys):
    tiny_data.edit(tiny_data.annotations(), "0001_c1_1.jpg", "0000_c1_1.jpg")
    stats.main([*flags(tiny_data), "--split", "train"])
    said = capsys.readouterr().out
    assert "  left out     1 image: their person is 0000 (Market-1501's distractors)\n" in said
    assert "hint" not in said
    stats.main([*flags(tiny_data), "--split", "train", "--person", r"_(c\d)_"])
    assert "  hint         all 9 valid images count as one person, 'c1'; " in capsys.readouterr().out


def test_nobody_anywhere(tmp_path):
    table = Annotations(("1_a", "1_b"), np.full((2, 18, 2), -1))
    files = SplitFiles(tmp_path, tmp_path / "annotations.csv", tmp_path / "pairs.csv")
    numbers = count(files, table, COCO18)
    assert (numbers.valid, numbers.persons, numbers.height, numbers.images_per_person) == (0, 0, {}, {})
    assert set(numbers.found.values()) == {0.0}
    assert not joint_picture(table.keypoints, (96, 64)).any()
    nothing = count(files, Annotations((), np.zeros((0, 18, 2), np.int32)), COCO18)
    assert (nothing.annotated, nothing.found) == (0, {})


def test_messages(tiny_data):
    with pytest.raises(InputError, match=r"--picture: got joints\.jpg; give a name that ends in \.png"):
        stats.main([*flags(tiny_data), "--picture", "joints.jpg"])
    for path in (tiny_data.root / "train").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="--picture: no image can be read, so its size is not known"):
        stats.main([*flags(tiny_data), "--split", "train", "--picture", "joints.png"])
    tiny_data.annotations().write_text("")
    with pytest.raises(InputError, match=r"tiny-annotation-train\.csv, row 1: the header must be"):
        stats.main(flags(tiny_data))


def test_the_published_numbers_of_market(shared_data, tmp_path):
    table = read_annotations(shared_data / "market-full" / "market-annotation-train.csv")
    numbers = count(SplitFiles(tmp_path, tmp_path / "a.csv", tmp_path / "p.csv"), table, COCO18)
    assert (numbers.annotated, numbers.valid, numbers.persons) == (12936, 12116, 745)
    assert sum(numbers.found[name] for name in ("Rsho", "Lsho", "Rhip", "Lhip")) > 3.8
