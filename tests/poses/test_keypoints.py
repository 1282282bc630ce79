"""Annotation files: read and written byte for byte, and a message for everything that does not fit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pose_gan.errors import InputError, InputWarning
from pose_gan.poses.keypoints import (
    HEADER,
    Annotations,
    format_row,
    found,
    has_required_joints,
    read_annotations,
    write_annotations,
)
from pose_gan.poses.skeleton import COCO18, Part, Skeleton

PAIR = Skeleton(
    name="three",
    joints=("a", "b", "c"),
    edges=(("a", "b"),),
    required=("b",),
    mirror_pairs=(),
    scale_sides=(),
    parts=(Part("all", "whole", ("a", "b", "c")),),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.csv"


def read(path, *rows, header=HEADER, end="\n"):
    path.write_text(end.join([header, *rows]) + end, newline="")
    return read_annotations(path, PAIR)


def test_reads_y_then_x(path):
    annotations = read(path, "1_a.jpg: [1, -1, 3]: [4, -1, 6]", "1_b.jpg: [7, 8, 9]: [10, 11, 12]")
    assert annotations.names == ("1_a.jpg", "1_b.jpg")
    assert annotations.keypoints.dtype == np.int32
    np.testing.assert_array_equal(annotations.keypoints[0], [[1, 4], [-1, -1], [3, 6]])
    np.testing.assert_array_equal(annotations.keypoints[1], [[7, 10], [8, 11], [9, 12]])
    assert annotations.path == str(path)
    assert len(annotations) == 2
    assert annotations.rows == {"1_a.jpg": 0, "1_b.jpg": 1}
    assert annotations.where(1) == f"{path}, row 3 (1_b.jpg)"


def test_a_name_may_hold_a_colon(path):
    assert read(path, "C:x.jpg: [1, 2, 3]: [4, 5, 6]").names == ("C:x.jpg",)


def test_windows_line_ends_and_byte_order_mark(path):
    assert len(read(path, "a: [1, 2, 3]: [4, 5, 6]", end="\r\n")) == 1
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_annotations(path, PAIR)) == 1


def test_no_rows(path):
    annotations = read(path)
    assert annotations.names == ()
    assert annotations.keypoints.shape == (0, 3, 2)


def test_writes_the_release_s_bytes(path):
    keypoints = np.array([[[8, 39], [23, -1], [-1, -1]]])
    write_annotations(path, ["0224_c6s1_055726_02.jpg"], keypoints)
    expected = b"name:keypoints_y:keypoints_x\n0224_c6s1_055726_02.jpg: [8, 23, -1]: [39, -1, -1]\n"
    assert path.read_bytes() == expected
    assert format_row("a", keypoints[0]) == "a: [8, 23, -1]: [39, -1, -1]"


def test_names_and_poses_must_be_as_many(path):
    with pytest.raises(ValueError, match=r"shorter|longer"):
        write_annotations(path, ["a", "b"], np.zeros((1, 3, 2), int))
    assert not path.exists()


@pytest.mark.parametrize(
    "name",
    [
        "market-full/market-annotation-train.csv",
        "market-sample/market-annotation-train.csv",
        "market-sample/market-annotation-test.csv",
        "deepfashion-sample/fasion-annotation-test.csv",
    ],
)
def test_real_files_round_trip_byte_for_byte(shared_data, path, name):
    annotations = read_annotations(shared_data / name)
    write_annotations(path, annotations.names, annotations.keypoints)
    assert path.read_bytes() == (shared_data / name).read_bytes()


GOOD = "ok: [1, 2, 3]: [4, 5, 6]"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("", r"row 3: empty row; delete it"),
        ("b: [1, 2, 3]", r"row 3: 2 cells separated by ':', expected 3 \(name:keypoints_y:keypoints_x\)"),
        (" : [1, 2, 3]: [4, 5, 6]", r"row 3, column name: empty"),
        (GOOD, r"row 3: ok stands in row 2 already; keep one"),
        ("b: [1, 2]: [4, 5, 6]", r"row 3 \(b\), column keypoints_y: 2 integers, expected 3, one a joint"),
        ("b: [1, 2, 3]: [4, 5, 6, 7]", r"row 3 \(b\), column keypoints_x: 4 integers, expected 3"),
        ("b: [1, 2, 3]: 4, 5, 6", r"row 3 \(b\), column keypoints_x: expected a list of 3 integers, got '4, 5, 6'"),
        ("b: [1, NaN, 3]: [4, 5, 6]", r"column keypoints_y: value nan \(number 2\) is no number"),
        ("b: [1, Infinity, 3]: [4, 5, 6]", r"column keypoints_y: value inf \(number 2\) is above 65535"),
        ("b: [1, 2.5, 3]: [4, -1.5, 6]", r"column keypoints_x: value -1.5 \(number 2\) is below -1"),
        ("sub/b.jpg: [1, 2, 3]: [4, 5, 6]", r"row 3, column name: 'sub/b\.jpg': an image name that is a path; "),
        ("b: [1, true, 3]: [4, 5, 6]", r"column keypoints_y: expected a list of 3 integers"),
        ("b: [1, nan, 3]: [4, 5, 6]", r"column keypoints_y: expected a list of 3 integers"),
        ("b: [1, 2, 3: [4, 5, 6]", r"column keypoints_y: expected a list of 3 integers"),
        ("b: [1, " + "9" * 5000 + ", 3]: [4, 5, 6]", r"column keypoints_y: expected a list of 3 integers"),
        ("b: " + "[" * 100_000 + ": [4, 5, 6]", r"column keypoints_y: expected a list of 3 integers"),
        ("b: [1, 2, 3]: [4, -2, 6]", r"column keypoints_x: value -2 \(number 2\) is below -1; -1 means not found"),
        ("b: [1, 99999999999, 3]: [4, 5, 6]", r"column keypoints_y: value 99999999999 \(number 2\) is above 65535"),
    ],
)
def test_bad_rows(path, row, message):
    with pytest.raises(InputError, match=r"a\.csv, " + message if message.startswith("row") else message):
        read(path, GOOD, row)


def test_fractions_are_rounded_and_said_once(path):
    good = "b: [1.5, 2.0, -0.9]: [4.49, 5.0, 6]"
    with pytest.warns(InputWarning) as said:
        annotations = read(path, GOOD, good, "c: [1.0, -1.0, 3]: [4, 7.2, 6]", "d: [-0.2, 1, 1]: [1.6, 2, 2]")
    expected = [[[1, 4], [2, 5], [3, 6]], [[2, 4], [2, 5], [0, 6]], [[1, 4], [-1, 7], [3, 6]], [[0, 2], [1, 2], [1, 2]]]
    np.testing.assert_array_equal(annotations.keypoints, expected)
    assert annotations.keypoints.dtype == np.int32
    assert [str(warning.message) for warning in said] == [
        f"{path}: 4 joints have coordinates with fractions; they were rounded to whole pixels"
    ]


def test_whole_numbers_are_not_rounded(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(path, "a: [1.0, 2.0, -1.0]: [4, 5, -1]").keypoints.tolist() == [[[1, 4], [2, 5], [-1, -1]]]


def test_names_in_folders_are_not_written(path):
    with pytest.raises(InputError, match=r"'sub/a\.jpg': an image name that is a path; the images of a split lie in"):
        write_annotations(path, ["sub/a.jpg"], np.zeros((1, 3, 2), int))


def test_bad_header(path):
    with pytest.raises(InputError, match=rf"a\.csv, row 1: the header must be '{HEADER}', got 'name,y,x'"):
        read(path, header="name,y,x")
    path.write_text("")
    with pytest.raises(InputError, match=r"a\.csv, row 1: the header must be .*, got 'an empty file'"):
        read_annotations(path)


def test_absent_file(path):
    with pytest.raises(InputError, match=r"a\.csv: no such file"):
        read_annotations(path)


def test_found_needs_both_coordinates():
    keypoints = np.array([[[0, 0], [-1, 5], [5, -1]], [[-1, -1], [1, 2], [3, 4]]])
    np.testing.assert_array_equal(found(keypoints), [[True, False, False], [False, True, True]])
    np.testing.assert_array_equal(has_required_joints(keypoints, PAIR), [False, True])


def test_required_joints_of_a_person():
    keypoints = np.full((COCO18.num_joints + 1, COCO18.num_joints, 2), 3)
    for joint in range(COCO18.num_joints):
        keypoints[joint, joint, 0] = -1
    expected = [name not in ("Rsho", "Lsho", "Rhip", "Lhip") for name in COCO18.joints]
    np.testing.assert_array_equal(has_required_joints(keypoints), [*expected, True])


def test_no_required_joints_means_all_are_valid():
    free = Skeleton("x", PAIR.joints, PAIR.edges, (), (), (), PAIR.parts)
    np.testing.assert_array_equal(has_required_joints(np.full((2, 3, 2), -1), free), [True, True])


def test_annotations_in_memory():
    annotations = Annotations(("a",), np.zeros((1, 3, 2), np.int32))
    assert annotations.where(0) == "annotations, row 2 (a)"
