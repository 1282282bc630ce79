"""Names of images: who is seen, by whom, what is generated, and how they are split."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from drawn import draw_people

from pose_gan.errors import InputError
from pose_gan.reid.images import generated_name, read_images, read_splits

NAMES = (
    *("-1_c1s1_000401_03.jpg", "0000_c2s1_000451_03.jpg", "0002_c1s1_000451_03.jpg", "0002_c1s1_000451_03g0.jpg"),
    *("0002_c1s1_000451_03g12.jpg", "0002_c3s1_000451_03.png", "0007_c6s2_1g1.jpg", "1500_c4s1_1_BG.jpg"),
    *("1501_c4s1_1.jpg", "._1502_c4s1_1.jpg", "Thumbs.db"),
)


def touch(folder, names):
    """Files that are no images: their names must do."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def market(random, people=12, cameras=4):
    """Names of a random number of images of each person by each camera."""
    return [
        f"{person:04d}_c{camera}s1_{number:06d}_01.jpg"
        for person in range(1, people + 1)
        for camera in range(1, cameras + 1)
        for number in range(random.integers(0, 4))
    ]


def test_market_names(tmp_path):
    images = read_images(touch(tmp_path, NAMES))
    assert images.names == tuple(sorted(NAMES[:7] + NAMES[8:9]))
    assert images.people.tolist() == [-1, 0, 2, 2, 2, 2, 7, 1501]
    assert images.cameras.tolist() == [1, 2, 1, 1, 1, 3, 6, 4]
    assert [name for name, made in zip(images.names, images.generated, strict=True) if made] == list(NAMES[3:5])
    assert images.paths()[0] == tmp_path / NAMES[0]


def test_a_selection_keeps_what_belongs_together(tmp_path):
    images = read_images(touch(tmp_path, NAMES))
    for rows in (images.people == 2, np.array([5, 2])):
        chosen = images.select(rows)
        assert len(chosen) == len(chosen.names) == len(images.people[rows])
        for row, name in enumerate(chosen.names):
            of = images.names.index(name)
            for field in ("people", "cameras", "generated"):
                assert getattr(chosen, field)[row] == getattr(images, field)[of]


def test_a_generated_name_is_read_as_one(tmp_path):
    source = "0005_c1s1_000000_01.png"
    images = read_images(touch(tmp_path, [source, generated_name(source, 0), generated_name(source, 10)]))
    assert images.generated.tolist() == [False, True, True]
    assert set(images.people.tolist()) == {5}
    assert not read_images(touch(tmp_path / "alone", [generated_name(source, 0)])).generated.any()


def test_words_are_the_same_people_in_every_folder(tmp_path):
    pattern = r"^(?P<person>[a-z]+)-(?P<camera>[a-z]+)"
    one = read_images(touch(tmp_path / "one", ["anna-yard-1.jpg", "bert-yard-1.jpg", "bert-door-1.jpg"]), pattern)
    two = read_images(touch(tmp_path / "two", ["bert-yard-2.jpg"]), pattern)
    assert len(set(one.people.tolist())) == 2
    assert one.people[1] == one.people[2] == two.people[0] > 0
    assert one.cameras[0] == one.cameras[2] == two.cameras[0] != one.cameras[1]
    assert read_images(tmp_path / "one", r"^(?P<person>[a-z]+)").cameras.tolist() == [0, 0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_one_folder_is_split_by_people_and_every_query_can_be_answered(tmp_path, seed):
    names = [*market(np.random.default_rng(seed)), "-1_c1s1_000000_01.jpg", "0000_c1s1_000000_01.jpg"]
    splits = read_splits(touch(tmp_path, names), test_share=0.4, seed=seed)
    parts = (splits.train, splits.query, splits.gallery)
    assert sorted(name for part in parts for name in part.names) == sorted(names)
    train, query, gallery = ({*part.people.tolist()} for part in parts)
    assert query
    assert not train & (query | gallery)
    assert query <= gallery
    assert {-1, 0} <= gallery
    assert len(gallery - {-1, 0}) == round(0.4 * len(train | gallery - {-1, 0}))
    seen = list(zip(splits.query.people, splits.query.cameras, strict=True))
    assert len(set(seen)) == len(seen)  # one query per person and camera
    for person, camera in seen:
        assert any((splits.gallery.people == person) & (splits.gallery.cameras != camera))
    every = [(person, camera) for part in parts[1:] for person, camera in zip(part.people, part.cameras, strict=True)]
    for person, camera in set(every):
        due = person > 0 and every.count((person, camera)) > 1 and len({c for p, c in every if p == person}) > 1
        assert ((person, camera) in seen) == due


def test_the_split_follows_its_seed(tmp_path):
    touch(tmp_path, market(np.random.default_rng(0)))
    first, again, other = (read_splits(tmp_path, seed=seed).query.names for seed in (0, 0, 1))
    assert first == again != other


def test_generated_images_do_not_change_the_split(tmp_path):
    names = market(np.random.default_rng(0))
    before = read_splits(touch(tmp_path / "real", names))
    after = read_splits(touch(tmp_path / "both", [*names, *(generated_name(name, 0) for name in names)]))
    assert (before.query.names, before.gallery.names) == (after.query.names, after.gallery.names)
    assert len(after.train) == 2 * len(before.train)
    assert after.train.select(~after.train.generated).names == before.train.names


def test_all_for_the_training_and_all_for_the_test(tmp_path):
    names = market(np.random.default_rng(0))
    touch(tmp_path, names)
    splits = read_splits(tmp_path, test_share=0)
    assert (len(splits.train), len(splits.query), len(splits.gallery)) == (len(names), 0, 0)
    splits = read_splits(tmp_path, test_share=1)
    assert len(splits.train) == 0
    assert len(splits.query) + len(splits.gallery) == len(names)


def test_market_folders_are_split_already(tmp_path):
    names = draw_people(tmp_path / "bounding_box_train", people=2)
    touch(tmp_path / "bounding_box_train", ["0000_c1s1_000000_00.jpg", "-1_c1s1_000000_00.jpg"])
    touch(tmp_path / "query", ["0009_c1s1_1.jpg"])
    touch(tmp_path / "bounding_box_test", ["0009_c2s1_1.jpg", "-1_c2s1_1.jpg", "0000_c2s1_1.jpg"])
    splits = read_splits(tmp_path)
    assert list(splits.train.names) == sorted(names)
    assert splits.query.people.tolist() == [9]
    assert splits.gallery.people.tolist() == [-1, 0, 9]
    shutil.rmtree(tmp_path / "query")
    with pytest.raises(InputError, match="neither images nor all of the folders bounding_box_train, query"):
        read_splits(tmp_path)


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        ([], {}, "neither images nor all of the folders"),
        (["a.jpg"], {}, r"a\.jpg: the pattern .* finds no person in this name; give --pattern"),
        (["a.jpg"], {"pattern": "("}, "not a regular expression"),
        (["a.jpg"], {"pattern": "(?P<person>b)?a"}, r"a\.jpg: the pattern .* finds no person in this name"),
        (["a.jpg"], {"pattern": "a"}, r"has no group \(\?P<person>"),
        (["0001_c1_1.jpg", "0002_c1_1.jpg"], {"test_share": 1.5}, "test_share must be 0 to 1"),
        (["0001_c1_1.jpg"], {}, "of 1 people, a test_share of 0.5 leaves nobody to one side"),
        (["0001_c1_1.jpg", "0002_c1_1.jpg"], {}, "nobody to find"),
        ([f"000{i}_c1_{i}.jpg" for i in (1, 1, 2, 2)], {"pattern": r"(?P<person>\d+)"}, "nobody to find"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, names, given, message):
    touch(tmp_path, names)
    with pytest.raises(InputError, match=message):
        read_splits(tmp_path, **given)
