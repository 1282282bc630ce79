"""Filled sequences against the plainest form of the rule, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep import interpolate
from pose_gan.errors import InputError
from pose_gan.poses.keypoints import found, read_annotations, write_annotations
from pose_gan.poses.sequences import METHODS, fill_missing, frame_order
from pose_gan.poses.skeleton import COCO18


def slow_fill(track, method, max_gap):
    """One joint: a list of (y, x) or None a frame."""
    filled = list(track)
    for frame, point in enumerate(track):
        if point is not None:
            continue
        before = max((other for other in range(frame) if track[other] is not None), default=None)
        after = min((other for other in range(frame, len(track)) if track[other] is not None), default=None)
        start, end = -1 if before is None else before, len(track) if after is None else after
        if (before is None and after is None) or (max_gap is not None and end - start - 1 > max_gap):
            continue
        if before is None or after is None:
            filled[frame] = track[after if before is None else before]
        elif method == "previous":
            filled[frame] = track[before]
        else:
            share = (frame - before) / (after - before)
            filled[frame] = tuple(round(a + (b - a) * share) for a, b in zip(track[before], track[after], strict=True))
    return filled


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("max_gap", [None, 1, 3])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_equals_the_slow_twin(method, max_gap, share):
    random = np.random.default_rng(0)
    keypoints = random.integers(0, 200, (30, 8, 2))
    keypoints[random.random((30, 8)) < share, random.integers(0, 2)] = -1  # one coordinate is enough
    keypoints[:, 3] = -1
    tracks = [[tuple(p) if -1 not in p else None for p in track] for track in keypoints.swapaxes(0, 1).tolist()]
    slow = [slow_fill(track, method, max_gap) for track in tracks]
    expected = np.array([[(-1, -1) if p is None else p for p in track] for track in slow]).swapaxes(0, 1)
    filled = fill_missing(keypoints, method, max_gap)
    assert filled.dtype == np.int32
    np.testing.assert_array_equal(filled, expected)


def test_nothing_missing_nothing_changed():
    keypoints = np.random.default_rng(0).integers(0, 50, (5, 18, 2))
    for method in METHODS:
        np.testing.assert_array_equal(fill_missing(keypoints, method), keypoints)


@pytest.mark.parametrize("method", METHODS)
def test_short_sequences(method):
    assert fill_missing(np.zeros((0, 18, 2), int), method).shape == (0, 18, 2)
    one = np.array([[[3, 4], [-1, -1], [5, -1]]])
    np.testing.assert_array_equal(fill_missing(one, method), [[[3, 4], [-1, -1], [-1, -1]]])


def test_bad_arguments():
    with pytest.raises(InputError, match="method 'cubic' is not known; allowed: previous, linear"):
        fill_missing(np.zeros((1, 1, 2), int), "cubic")
    with pytest.raises(InputError, match="max_gap must be 1 frame or more, got 0"):
        fill_missing(np.zeros((1, 1, 2), int), max_gap=0)


def test_digits_count_as_numbers():
    names = ["b1.jpg", "a10.jpg", "a2.jpg", "a02.jpg", "2.jpg", "10.jpg"]
    assert [names[row] for row in frame_order(names)] == [
        "2.jpg", "10.jpg", "a02.jpg", "a2.jpg", "a10.jpg", "b1.jpg",
    ]  # fmt: skip
    padded = [f"walk{number:06d}.jpg" for number in (12, 1, 100000)]
    assert [padded[row] for row in frame_order(padded)] == sorted(padded)


def poses_of(values):
    """(frames, 18, 2): joint 0 at `(value, value)`, joint 1 never found, the others at (5, 6)."""
    keypoints = np.full((len(values), COCO18.num_joints, 2), (5, 6))
    keypoints[:, 0] = np.array(values)[:, None]
    keypoints[:, 1] = -1
    return keypoints


def test_verb_takes_frames_by_name_and_keeps_the_order_of_rows(tmp_path, capsys):
    names = ["f10.jpg", "f2.jpg", "f1.jpg"]
    write_annotations(tmp_path / "a.csv", names, poses_of([30, -1, 10]))
    flags = ["--annotations", str(tmp_path / "a.csv"), "--output", str(tmp_path / "b.csv")]
    assert interpolate.main(flags) == 0
    filled = read_annotations(tmp_path / "b.csv")
    assert filled.names == tuple(names)
    assert filled.keypoints[:, 0, 0].tolist() == [30, 10, 10]
    text = capsys.readouterr().out
    assert f"3 frames, 4 of 54 joints missing, 1 filled -> {tmp_path / 'b.csv'}" in text
    assert "never found, so still missing: neck" in text

    with pytest.raises(InputError, match=r"b\.csv: already there; choose another --output or pass --overwrite"):
        interpolate.main(flags)
    assert interpolate.main([*flags, "--method", "linear", "--overwrite"]) == 0
    assert read_annotations(tmp_path / "b.csv").keypoints[:, 0, 0].tolist() == [30, 20, 10]
    assert interpolate.main([*flags, "--overwrite", "--max_gap", "1"]) == 0
    with pytest.raises(InputError, match="max_gap must be 1 frame or more"):
        interpolate.main([*flags, "--overwrite", "--max_gap", "0"])


def test_verb_needs_a_file(tmp_path):
    with pytest.raises(InputError, match=r"a\.csv: no such file"):
        interpolate.main(["--annotations", str(tmp_path / "a.csv"), "--output", str(tmp_path / "b.csv")])
    (tmp_path / "a.csv").write_text("name,y,x\n")
    with pytest.raises(InputError, match=r"a\.csv, row 1: the header must be"):
        interpolate.main(["--annotations", str(tmp_path / "a.csv"), "--output", str(tmp_path / "b.csv")])
    assert not (tmp_path / "b.csv").exists()


def test_another_skeleton(tmp_path):
    (tmp_path / "s.json").write_text(
        '{"name": "two", "joints": ["a", "b", "c"], "edges": [], "required": [], "mirror_pairs": [], '
        '"scale_sides": [], "parts": [{"name": "all", "kind": "whole", "joints": ["a", "b", "c"]}]}'
    )
    (tmp_path / "a.csv").write_text(
        "name:keypoints_y:keypoints_x\n1: [1, 2, 3]: [1, 2, 3]\n2: [4, -1, 6]: [4, -1, 6]\n"
    )
    flags = ["--annotations", str(tmp_path / "a.csv"), "--output", str(tmp_path / "b.csv")]
    interpolate.main([*flags, "--skeleton", str(tmp_path / "s.json")])
    assert (tmp_path / "b.csv").read_text().splitlines()[2] == "2: [4, 2, 6]: [4, 2, 6]"


def test_all_joints_of_a_real_walk_that_were_found_once(shared_data, tmp_path):
    table = read_annotations(shared_data / "market-sample" / "market-annotation-test.csv")
    write_annotations(tmp_path / "a.csv", table.names, table.keypoints)
    interpolate.main(["--annotations", str(tmp_path / "a.csv"), "--output", str(tmp_path / "b.csv")])
    filled = read_annotations(tmp_path / "b.csv").keypoints
    assert found(filled).all()
    was_found = found(table.keypoints)
    np.testing.assert_array_equal(filled[was_found], table.keypoints[was_found])
