"""One person per image: which person, which joints, and in which pixels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest

from pose_gan.errors import InputError
from pose_gan.poses.imports import patn
from pose_gan.poses.imports.joints import COCO17, OPENPOSE18
from pose_gan.poses.imports.matching import match
from pose_gan.poses.imports.table import Person, Table
from pose_gan.poses.imports.taking import Choice, take
from pose_gan.poses.keypoints import Annotations
from pose_gan.poses.skeleton import COCO18

SIZE = (50, 40)


def table(people: dict, joints=OPENPOSE18, **values) -> Table:
    return Table("some program", tuple(joints), people, "file.json", **values)


def person(places, confidence: float | Sequence[float] = 1.0) -> Person:
    """(y, x) of the first joints; the others are missing."""
    rows = np.full((18, 2), np.nan)
    rows[: len(places)] = places
    y, x = rows.T
    return Person.make(y, x, np.broadcast_to(confidence, 18))


SMALL = person([(10, 10), (12, 14), (20, 12)])
LARGE = person([(5, 5), (45, 30)])
TALL = person([(1, 20), (48, 20.5)])


def one(people, choice: Choice | None = None, size=SIZE, **values):
    return take(table({"a": people}, **values), COCO18, {"a": "a"}, {"a": size}, choice)


@pytest.mark.parametrize("order", [[SMALL, LARGE, TALL], [LARGE, TALL, SMALL], [TALL, SMALL, LARGE]])
def test_the_largest_is_taken(order):
    taken = one(order)
    assert taken.keypoints["a"][:2].tolist() == [[5, 5], [45, 30]]
    assert taken.several == {"a": 3}
    assert any(
        "several people in 1 images (a: 3): the largest was taken, 2 people" in line for line in described(taken)
    )


def described(taken, choice=None):
    return taken.describe(table({}), choice or Choice())


@pytest.mark.parametrize(("number", "first"), [(1, [10, 10]), (2, [5, 5]), (3, [1, 20])])
def test_a_number_counts_the_people_of_the_file_from_1(number, first):
    taken = one([SMALL, LARGE, TALL], Choice(person=number))
    assert taken.keypoints["a"][0].tolist() == first
    assert any(f"number {number} was taken, 2 people" in line for line in described(taken, Choice(person=number)))


def test_a_number_that_an_image_lacks_is_nobody_but_a_lone_person_is_taken():
    assert one([SMALL], Choice(person=2)).keypoints["a"][0].tolist() == [10, 10]
    taken = one([SMALL, LARGE], Choice(person=3))
    assert (taken.keypoints["a"] == -1).all()
    assert taken.nobody == ["a"]
    assert "nobody in 1 images: a" in described(taken)


def test_doubtful_joints_neither_count_nor_make_a_person_large():
    confidence = np.ones(18)
    confidence[1] = 0.29
    unsure = Person.make(LARGE.places[:, 0], LARGE.places[:, 1], confidence)
    taken = one([unsure, SMALL])
    assert taken.keypoints["a"][0].tolist() == [10, 10]
    taken = one([unsure, SMALL], Choice(person=1))
    assert taken.keypoints["a"][:2].tolist() == [[5, 5], [-1, -1]]
    assert taken.doubtful == 1
    assert "1 joints have a confidence below 0.3 and count as missing (--min_confidence)" in described(taken)
    taken = one([unsure, SMALL], Choice(min_confidence=0.29))
    assert taken.keypoints["a"][:2].tolist() == [[5, 5], [45, 30]]
    assert taken.doubtful == 0


def test_a_person_whose_joints_are_all_doubtful_is_nobody():
    taken = one([person([(5, 5)], 0.1)])
    assert (taken.nobody, taken.several) == (["a"], {})


def test_marks_of_missing_joints():
    taken = one([person([(0, 0), (5, 0), (0, 5), (math.nan, 5), (7, 7)], [1, 1, 1, 1, 0] + [1] * 13)])
    assert taken.keypoints["a"][:5].tolist() == [[-1, -1], [5, 0], [0, 5], [-1, -1], [-1, -1]]


@pytest.mark.parametrize("fills_pixels", [False, True])
def test_fractions_become_the_pixel_that_holds_them(fills_pixels):
    """Twin: the pixel whose middle is nearest (0 is the middle of the first), or in which the place lies."""
    random = np.random.default_rng(0)
    places = random.uniform(0.01, 38, (18, 2))
    taken = one([person(places)], fills_pixels=fills_pixels)
    for got, place in zip(taken.keypoints["a"].tolist(), places.tolist(), strict=True):
        for pixel, v in zip(got, place, strict=True):
            middles = [number + (0.5 if fills_pixels else 0) for number in range(50)]
            assert pixel == min(range(50), key=lambda number: abs(middles[number] - v))
    assert taken.rounded == 18


def test_joints_outside_are_missing_and_the_last_pixel_reaches_to_the_border():
    places = [(49.4, 39.9), (49.99, 5), (50, 5), (5, 40.2), (-0.4, 5), (-0.6, 5), (5, 5), (6, 6), (7, 7)]
    taken = one([person(places)])
    assert taken.keypoints["a"][:9].tolist() == [
        *([49, 39], [49, 5], [-1, -1], [-1, -1], [0, 5], [-1, -1], [5, 5], [6, 6], [7, 7])
    ]
    assert taken.outside == 3


def test_keypoints_of_a_larger_image_are_refused():
    with pytest.raises(
        InputError, match=r"file\.json: 2 of 3 joints lie outside of their images; the keypoints belong"
    ):
        one([person([(500, 400), (600, 300), (3, 3)])])


def test_shares_need_the_size_of_the_image():
    shares = table({"a": [person([(0.5, 0.5), (0.999, 1.01)])]})
    with pytest.raises(InputError, match="shares of the image's width and height, and the size of the images is not"):
        take(shares, COCO18, {"a": "a"})
    taken = take(shares, COCO18, {"a": "a"}, {"a": SIZE})
    assert taken.keypoints["a"][:2].tolist() == [[25, 20], [-1, -1]]


def test_the_larger_of_two_people_is_larger_in_pixels():
    """In a wide image, shares would say otherwise."""
    wide = person([(0.4, 0.1), (0.5, 0.9)])
    tall = person([(0.1, 0.4), (0.9, 0.55)])
    taken = one([tall, wide], size=(100, 1000))
    assert taken.keypoints["a"][0].tolist() == [10, 400], "80x150 pixels are more than 10x800"


def test_choices_out_of_range():
    with pytest.raises(InputError, match="--person counts the people of an image from 1, got 0"):
        Choice(person=0)
    with pytest.raises(InputError, match=r"--min_confidence must be 0 to 1, got 1\.5"):
        Choice(min_confidence=1.5)


def test_the_neck_needs_both_shoulders():
    rows = np.full((17, 2), np.nan)
    left, right = COCO17.index("left_shoulder"), COCO17.index("right_shoulder")
    rows[[left, right]] = (10, 11), (13, 20)
    one_only = rows.copy()
    one_only[left] = np.nan
    people = {n: [Person.make(r[:, 0], r[:, 1], np.ones(17))] for n, r in (("a", rows), ("b", one_only))}
    taken = take(table(people, COCO17), COCO18, {"a": "a", "b": "b"})
    assert taken.keypoints["a"][1].tolist() == [12, 16]
    assert taken.keypoints["b"][1].tolist() == [-1, -1]
    assert taken.made
    assert any("it was made" in line for line in described(taken))


# ------------------------------------------------------------------------------------- PATN


def of_columns(names, first: int, last: int) -> Annotations:
    keypoints = np.full((len(names), 18, 2), 60, np.int32)
    keypoints[:, :, 1] = np.linspace(first, last, 18)
    keypoints[:, 0] = -1
    return Annotations(tuple(names), keypoints)


def test_patn_is_told_by_its_names_and_columns():
    names = ["fashionWOMENDressesid0000553705_4full.jpg", "fashionMENJackets_Vestsid0000401403_3back.jpg"]
    assert patn.is_patn(of_columns(names, 20, 150))
    assert not patn.is_patn(of_columns(names, 60, 190)), "a joint beyond the cut image"
    assert not patn.is_patn(of_columns(names, 95, 165)), "people in the middle of the whole image"
    assert not patn.is_patn(of_columns([name.replace("fashion", "fasion") for name in names], 20, 150))
    assert not patn.is_patn(of_columns(["anna_1.jpg"], 20, 150))
    assert not patn.is_patn(of_columns([], 20, 150))


@pytest.mark.parametrize(("size", "shift"), [((256, 256), 40), ((256, 176), 0)])
def test_the_size_of_the_image_decides_how_far_patn_is_moved(size, shift):
    cut = table({"a": [LARGE]}, width=patn.WIDTH)
    taken = take(cut, COCO18, {"a": "a"}, {"a": size})
    assert taken.keypoints["a"][:3].tolist() == [[5, 5 + shift], [45, 30 + shift], [-1, -1]]
    assert taken.moved == ({"a": 40} if shift else {})
    said = [line for line in taken.describe(cut, Choice()) if "cut to columns 40 to 215" in line]
    assert bool(said) == bool(shift)
    assert all("moved by +40 columns" in line for line in said)


def test_patn_fits_no_image_of_another_width_unless_told():
    cut = table({"a": [LARGE]}, width=patn.WIDTH)
    with pytest.raises(InputError, match="cut to 176 columns, a has 128x64 pixels"):
        take(cut, COCO18, {"a": "a"}, {"a": (128, 64)})
    assert take(cut, COCO18, {"a": "a"}, {"a": (128, 64)}, add_x=3).keypoints["a"][0].tolist() == [5, 8]


# ------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("keys", "names", "how", "expected"),
    [
        (["a.jpg", "b.jpg"], ["b.jpg", "a.jpg"], "name", {"b.jpg": "b.jpg", "a.jpg": "a.jpg"}),
        (["x/y/a.jpg", "c\\b.jpg"], ["a.jpg", "b.jpg"], "name", {"a.jpg": "x/y/a.jpg", "b.jpg": "c\\b.jpg"}),
        (["a", "b_1"], ["b_1.png", "c.png"], "stem", {"b_1.png": "b_1"}),
        (["a.png"], ["a.jpg"], "stem", {"a.jpg": "a.png"}),
        (
            ["e\u0301_1"],
            ["\u00e9_1.jpg"],
            "stem",
            {"\u00e9_1.jpg": "e\u0301_1"},
        ),  # as a Mac writes it, and as others do
        (["\u00e9.jpg"], ["e\u0301.jpg"], "name", {"e\u0301.jpg": "\u00e9.jpg"}),
        (["v1.2"], ["v1.2.jpg", "v1.3.jpg"], "stem", {"v1.2.jpg": "v1.2"}),
        (
            ["fashionMENJackets_Vestsid0000401403_3back.jpg"],
            ["fasionMENJacketsVestsid0000401403_3back.jpg"],
            "DeepFashion",
            {"fasionMENJacketsVestsid0000401403_3back.jpg": "fashionMENJackets_Vestsid0000401403_3back.jpg"},
        ),
        (["785", "12"], ["000000000012.jpg", "000000000785.jpg"], "number", None),
        ([0, 1, 2], ["f_10.png", "f_9.png", "f_8.png"], "order", {"f_10.png": 2, "f_9.png": 1, "f_8.png": 0}),
        (["v_000", "v_001"], ["f1.png", "f2.png"], "order", {"f1.png": "v_000", "f2.png": "v_001"}),
        ([0, 1, 2, 3], ["f_1.png", "f_3.png"], "number", {"f_1.png": 1, "f_3.png": 3}),
        (["a"], ["b.jpg"], "number", {}),
        ([3], ["a_3.jpg", "b_3.jpg"], "number", {}),
    ],
)
def test_which_image_an_entry_belongs_to(keys, names, how, expected):
    found = match(keys, names, "file")
    if expected is None:
        expected = {"000000000012.jpg": "12", "000000000785.jpg": "785"}
    assert (found.how, found.keys) == (how, expected)
    assert list(found.keys) == [name for name in names if name in found.keys]


def test_numbers_alone_are_not_tried_where_one_image_is_asked_for():
    assert match(["dance_7"], ["anna_7.jpg"], "file", by_number=False).keys == {}


def test_two_entries_of_one_image_are_told():
    with pytest.raises(InputError, match=r"file: x/a\.jpg and y/a\.jpg both fit the image a\.jpg; keep one"):
        match(["x/a.jpg", "y/a.jpg"], ["a.jpg"], "file")


def test_notes_come_first():
    noted = dataclasses.replace(table({"a": [LARGE]}), notes=("zeros",))
    taken = take(noted, COCO18, {"a": "a"})
    assert taken.describe(noted, Choice()) == ["zeros"]
