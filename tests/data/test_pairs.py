"""Pair lists against the plainest form of the rule, and the published counts."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from pose_gan.data.pairs import (
    left_out,
    make_cross_pairs,
    make_pairs,
    person_by,
    person_hint,
    person_of,
    read_pairs,
    sample_pairs,
    valid_names,
    write_pairs,
)
from pose_gan.errors import InputError
from pose_gan.poses.keypoints import Annotations, read_annotations
from pose_gan.poses.skeleton import COCO18


def table_of(names, missing=()):
    """Every joint at (5, 5), but for (name, joint) in `missing`."""
    keypoints = np.full((len(names), COCO18.num_joints, 2), 5, np.int32)
    for name, joint in missing:
        keypoints[names.index(name), COCO18.index(joint)] = (5, -1)
    return Annotations(tuple(names), keypoints)


def naive_pairs(table):
    required = [COCO18.joints.index(name) for name in ("Rsho", "Lsho", "Rhip", "Lhip")]
    valid = [
        name
        for name, pose in zip(table.names, table.keypoints.tolist(), strict=True)
        if all(-1 not in pose[joint] for joint in required) and name[:2] != "-1" and name.split("_")[0] != "0000"
    ]
    persons = list(dict.fromkeys(name.split("_")[0] for name in valid))
    return [
        pair
        for person in persons
        for pair in itertools.permutations([name for name in valid if name.split("_")[0] == person], 2)
    ]


def rows(pairs):
    return list(pairs.itertuples(index=False, name=None))


def test_all_ordered_pairs_in_the_order_of_the_file():
    pairs = make_pairs(table_of(["2_b", "1_a", "2_a", "3_a", "1_b"]))
    assert list(pairs.columns) == ["from", "to"]
    assert rows(pairs) == [("2_b", "2_a"), ("2_a", "2_b"), ("1_a", "1_b"), ("1_b", "1_a")]


def test_invalid_images_make_no_pairs():
    names = ["1_a", "1_b", "1_c", "1_d", "-1_a", "-1_b", "0000_a", "0000_b", "00001_a", "00001_b"]
    table = table_of(names, missing=[("1_b", "Lhip"), ("1_c", "Rsho"), ("1_d", "nose")])
    assert valid_names(table) == ["1_a", "1_d", "00001_a", "00001_b"]
    assert rows(make_pairs(table)) == [(f"{p}_{a}", f"{p}_{b}") for p, a, b in ("1ad", "1da")] + [
        ("00001_a", "00001_b"),
        ("00001_b", "00001_a"),
    ]
    assert list(left_out(table).values()) == [["-1_a", "-1_b"], ["0000_a", "0000_b"], ["1_b", "1_c"]]
    assert [rule.split(" (")[0] for rule in left_out(table)] == [
        "their names start with -1",
        "their person is 0000",
        "a joint of Rhip, Lhip, Lsho, Rsho was not found",
    ]


@pytest.mark.parametrize("name", ["00001_a", "000099_1.jpg", "0000.jpg", "0000a_1.jpg", "00000.png"])
def test_a_number_that_begins_with_0000_is_a_number(name):
    assert valid_names(table_of([name])) == [name]
    assert left_out(table_of([name])) == {}


def test_nothing_in_nothing_out():
    for table in (table_of([]), table_of(["1_a", "2_a"]), table_of(["0000_a", "0000_b"])):
        pairs = make_pairs(table)
        assert pairs.empty
        assert list(pairs.columns) == ["from", "to"]


def test_equals_the_naive_twin():
    random = np.random.default_rng(0)
    names = [f"{random.integers(-1, 8):04d}_{i}.jpg" for i in range(80)]
    keypoints = random.integers(0, 64, (80, COCO18.num_joints, 2))
    keypoints[random.random((80, COCO18.num_joints)) < 0.05] = -1
    table = Annotations(tuple(names), keypoints)
    assert len(naive_pairs(table)) > 100
    assert rows(make_pairs(table)) == naive_pairs(table)


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("0224_c6s1_055726_02.jpg", "0224"),
        ("fasionWOMENDressesid0000553705_4full.jpg", "fasionWOMENDressesid0000553705"),
        ("fashionMENJackets_Vestsid0000401403_4full.jpg", "fashionMENJackets_Vestsid0000401403"),
        ("fasionWOMENBlouses_Shirtsid0000401403_4full.jpg", "fasionWOMENBlouses_Shirtsid0000401403"),
        ("fashionWOMENDressesid0000553705_4full.jpg", "fashionWOMENDressesid0000553705"),
        ("dog.png", "dog.png"),
    ],
)
def test_person_of(name, person):
    assert person_of(name) == person


def test_another_person_rule():
    table = table_of(["a-1", "a-2", "b-1"])
    for person in (lambda name: name[0], person_by("^[^-]+"), person_by(r"(\w)-\d")):
        assert rows(make_pairs(table, person=person)) == [("a-1", "a-2"), ("a-2", "a-1")]
    assert make_pairs(table).empty


def test_the_person_of_a_rule():
    assert person_by(None) is person_of
    assert person_by(r"cam\d_([a-z]+)")("x_cam7_anna_3.jpg") == "anna"
    assert person_by(r"\d\d")("frame0123.jpg") == "01"
    with pytest.raises(InputError, match=r"--person '\(': not a regular expression: missing \)"):
        person_by("(")
    for rule in (r"(\d+)", r"a(x)?", r"z?"):  # no match, no group, an empty one: no name has an unknown person
        with pytest.raises(InputError, match=r"--person '.*': finds no person in the name anna\.jpg"):
            person_by(rule)("anna.jpg")
    assert valid_names(table_of(["x0000_1", "x0001_1"]), person=person_by(r"x(\d+)")) == ["x0001_1"]


def test_all_images_of_one_person():
    """The frames of a video: no part of a name is the person, whatever the names are."""
    person = person_by("")
    table = table_of(["0000.jpg", "0001.jpg", "2_a.jpg"])
    assert len(make_pairs(table, person=person)) == 6
    assert person_hint(table.names, person) is None  # the user said so
    assert make_cross_pairs(table, 2, person=person).empty


def test_hints_on_persons():
    assert person_hint(["1_a", "1_b", "2_a"]) is None
    assert person_hint(["1_a"]) is None
    assert person_hint([]) is None
    assert "all 2 valid images count as one person, 'img'; " in str(person_hint(["img_1", "img_2"]))
    hint = str(person_hint(["a.jpg", "b.jpg", "c.jpg"]))
    assert "the 3 valid images count as 3 persons, one image each; " in hint
    assert "--person REGEX" in hint


def test_cross_pairs():
    """N different targets of other persons for each source, the same ones for a seed."""
    table = table_of([f"{person}_{i}" for person in "abc" for i in range(5)] + ["-1_a", "0000_a"])
    pairs = rows(make_cross_pairs(table, 4, seed=3))
    assert [a for a, _ in pairs] == [name for name in valid_names(table) for _ in range(4)]
    assert all(person_of(a) != person_of(b) for a, b in pairs)
    assert len(set(pairs)) == len(pairs) == 60
    assert {b for _, b in pairs} == set(valid_names(table))  # each is drawn sometime
    assert pairs == rows(make_cross_pairs(table, 4, seed=3))
    assert pairs != rows(make_cross_pairs(table, 4, seed=4))
    assert len(make_cross_pairs(table, 99)) == 15 * 10  # all others
    assert make_cross_pairs(table_of(["1_a", "1_b"]), 4).empty
    assert make_cross_pairs(table_of([]), 4).empty
    assert len(make_cross_pairs(table_of(["1_a", "1_b"]), 4, person=lambda name: name)) == 2


def test_targets_of_other_persons_are_equally_frequent():
    table = table_of([f"{person}_{i}" for person in range(4) for i in range(5)])
    draws = [make_cross_pairs(table, 3, seed) for seed in range(200)]
    counts = pd.concat(draws)["to"].value_counts()
    assert len(counts) == 20
    assert np.abs(counts - 600).max() < 5 * np.sqrt(600)


@pytest.mark.parametrize(
    "text",
    [
        ",from,to\n0,a,b\n1,c,d\n",  # pandas writes its index
        "to,from\nb,a\nd,c\n",
        "from,score,to\na,0.5,b\nc,,d\n",
        " from , to \na,b\nc,d\n",
    ],
)
def test_other_columns_do_not_disturb(tmp_path, text):
    (tmp_path / "pairs.csv").write_text(text)
    assert rows(read_pairs(tmp_path / "pairs.csv")) == [("a", "b"), ("c", "d")]


def test_sample_is_the_release_s():
    pairs = make_pairs(table_of([f"1_{i}" for i in range(20)]))
    expected = pairs.sample(n=50, replace=False, random_state=0)
    pd.testing.assert_frame_equal(sample_pairs(pairs, 50), expected)
    assert sorted(rows(sample_pairs(pairs, 10**6))) == sorted(rows(pairs))


def test_file_round_trip(tmp_path):
    pairs = make_pairs(table_of(["1_a, b.jpg", "1_b.jpg", "1_c.jpg"]))
    write_pairs(tmp_path / "pairs.csv", pairs)
    assert (tmp_path / "pairs.csv").read_text().splitlines()[0] == "from,to"
    pd.testing.assert_frame_equal(read_pairs(tmp_path / "pairs.csv"), pairs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"pairs\.csv, row 1: the header must have the columns from,to once each, got 'an empty file'"),
        ("source,target\na,b\n", r"pairs\.csv, row 1: the header must have .*, got 'source,target'"),
        ("from,to,from\na,b,c\n", r"pairs\.csv, row 1: the header must have .* once each, got 'from,to,from'"),
        (",from,to\n0,a,b\n1,c\n", r"pairs\.csv, row 3: each row is 3 cells with two image names .*, got '1,c'"),
        ("from,to\na,b\na,x/b.jpg\n", r"pairs\.csv, row 3: 'x/b\.jpg': an image name that is a path; "),
        ("from,to\na,b\na\n", r"pairs\.csv, row 3: each row is two image names \(from,to\), got 'a'"),
        ("from,to\na,b,c\n", r"pairs\.csv, row 2: .* got 'a,b,c'"),
        ("from,to\na,b\n\nc,d\n", r"pairs\.csv, row 3: .* got ''"),
        ("from,to\na,\n", r"pairs\.csv, row 2: .* got 'a,'"),
    ],
)
def test_bad_files(tmp_path, text, message):
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_pairs(tmp_path / "pairs.csv")


def test_absent_file(tmp_path):
    with pytest.raises(InputError, match=r"pairs\.csv: no such file"):
        read_pairs(tmp_path / "pairs.csv")


def test_market_counts(shared_data):
    table = read_annotations(shared_data / "market-full" / "market-annotation-train.csv")
    valid = valid_names(table)
    pairs = make_pairs(table)
    assert (len(valid), len(set(map(person_of, valid))), len(pairs)) == (12116, 745, 263632)
    assert not pairs.duplicated().any()


def test_sample_counts(shared_data):
    for split, count in (("train", 370), ("test", 152)):
        table = read_annotations(shared_data / "market-sample" / f"market-annotation-{split}.csv")
        pairs = make_pairs(table)
        assert len(pairs) == count
        assert rows(pairs) == naive_pairs(table)
