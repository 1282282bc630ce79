"""`data import-keypoints`: from a file of another program to an annotation CSV, with a word on all that is left out."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import foreign_keypoints as twin
import numpy as np
import pytest
from PIL import Image

from data_prep import check, pairs
from data_prep import import_keypoints as verb
from pose_gan.errors import InputError
from pose_gan.files.text import write_json
from pose_gan.poses.keypoints import HEADER, read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18

SIZE = (120, 70)
NAMES = ["a_1.jpg", "a_2.jpg", "b_1.jpg", "b_2.jpg"]
POSES = twin.poses(len(NAMES), SIZE)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with the images `data/mine-dataset/train`."""
    monkeypatch.chdir(tmp_path)
    make_images(tmp_path / "data/mine-dataset/train", NAMES, SIZE)
    return tmp_path


def make_images(folder: Path, names, size) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (size[1], size[0])).save(folder / name)


def run(source, *flags: str, dataset: str = "mine"):
    assert verb.main([str(source), "--dataset", dataset, "--split", "train", *flags]) == 0
    return read_annotations(f"annotations/{dataset}-annotation-train.csv")


def openpose_folder(folder: Path) -> Path:
    folder.mkdir()
    for name, pose in zip(NAMES, POSES, strict=True):
        write_json(folder / f"{Path(name).stem}_keypoints.json", twin.openpose([pose], twin.BODY25))
    return folder


def test_a_folder_of_openpose(place, capsys):
    source = openpose_folder(place / "openpose")
    write_json(source / "a_1_keypoints.json", twin.openpose([(POSES[0] + 1) // 2, POSES[0]], twin.BODY25))
    write_json(source / "a_2_keypoints.json", {"people": []})
    write_json(source / "c_9_keypoints.json", twin.openpose([POSES[0]], twin.BODY25))
    (source / "b_2_keypoints.json").unlink()
    found = run("openpose")
    assert found.names == ("a_1.jpg", "a_2.jpg", "b_1.jpg")
    np.testing.assert_array_equal(found.keypoints[0], POSES[0])
    assert (found.keypoints[1] == -1).all()
    np.testing.assert_array_equal(found.keypoints[2], POSES[2])
    said = capsys.readouterr().out
    for line in (
        "openpose: OpenPose, BODY_25, 4 images",
        "several people in 1 images (a_1.jpg: 2): the largest was taken, 1 people were left aside (--person chooses)",
        "nobody in 1 images: a_2.jpg",
        "images without keypoints: 1 of 4 get no row: b_2.jpg",
        "keypoints without an image: 1 of 4 are left out: c_9",
        "3 images annotated, 2 with a person, 2 valid",
        "-> annotations/mine-annotation-train.csv",
    ):
        assert line in said


def test_fractions_thresholds_and_a_number_of_a_person(place, capsys):
    entries = twin.alphapose(NAMES, POSES, twin.HALPE26)
    numbers = np.array(entries[0]["keypoints"]).reshape(-1, 3)
    numbers[:, :2] += np.where(numbers[:, 2:] > 0, 0.25, 0)
    numbers[0] = 30, 40, 0.6
    entries[0]["keypoints"] = numbers.ravel().tolist()
    (place / "alphapose-results.json").write_text(json.dumps([*entries, {**entries[1], "image_id": "a_1.jpg"}]))
    found = run("alphapose-results.json", "--person", "1", "--min_confidence", "0.7")
    np.testing.assert_array_equal(found.keypoints[0, 1:], POSES[0, 1:])
    assert found.keypoints[0, 0].tolist() == [-1, -1]
    said = capsys.readouterr().out
    assert "several people in 1 images (a_1.jpg: 2): number 1 was taken" in said
    assert f"{(POSES[0, 1:, 0] >= 0).sum()} joints have fractions of pixels; they were rounded" in said
    assert "1 joints have a confidence below 0.7 and count as missing" in said
    assert run("alphapose-results.json", "--person", "2", "--overwrite").keypoints[0].tolist() == POSES[1].tolist()


def test_mediapipe_knows_the_size_of_each_image(place):
    sizes = [(120, 70), (240, 140), (60, 300), (64, 64)]
    poses = [twin.poses(1, size, seed)[0] for seed, size in enumerate(sizes)]
    value = {}
    for name, size, pose in zip(NAMES, sizes, poses, strict=True):
        make_images(place / "data/mine-dataset/train", [name], size)
        value[name] = twin.mediapipe_person(pose, size)
    write_json(place / "landmarks.json", value)
    found = run("landmarks.json")
    body = [joint for joint in range(18) if joint != 1]
    np.testing.assert_array_equal(found.keypoints[:, body], np.stack(poses)[:, body])


def test_frames_by_number(place, capsys):
    (place / "data/mine-dataset/train").rename(place / "old")
    names = [f"frame{number}.png" for number in (8, 9, 10, 11)]
    make_images(place / "data/mine-dataset/train", names, SIZE)
    frames = [{"frame_id": n, "instances": twin.mmpose_people([p], twin.HALPE26)} for n, p in enumerate(POSES)]
    write_json(place / "walk.json", frames)
    found = run("walk.json")
    rows = [found.rows[name] for name in names]
    np.testing.assert_array_equal(found.keypoints[rows], POSES)
    assert "both sides are numbered without gaps, and were paired in order" in capsys.readouterr().out


def test_another_body_with_its_skeleton(place, capsys):
    write_json(place / "mouse.json", twin.MOUSE.to_dict())
    labels = [f"labeled-data/m/{name}" for name in NAMES]
    twin.deeplabcut_hdf5(place / "data.h5", labels, ["tailbase", "snout", "leftear"], POSES[:, :3], "table")
    flags = ["--dataset", "mine", "--split", "train", "--skeleton", "mouse.json"]
    assert verb.main(["data.h5", *flags]) == 0
    found = read_annotations("annotations/mine-annotation-train.csv", twin.MOUSE)
    np.testing.assert_array_equal(found.keypoints[:, [3, 0, 1]], POSES[:, :3])
    assert (found.keypoints[:, 2] == -1).all()
    assert "the file has no rightear; they are missing in all images" in capsys.readouterr().out


@pytest.mark.parametrize(("width", "shift"), [(256, 40), (176, 0)])
def test_patn(place, width, shift, capsys):
    names = [f"fashionWOMENDressesid000055370{number}_4full.jpg" for number in range(3)]
    make_images(place / "data/fashion-dataset/train", names, (256, width))
    poses = twin.poses(3, (256, 176))
    write_annotations(place / "fasion-resize-annotation-train.csv", names, poses)
    found = run("fasion-resize-annotation-train.csv", dataset="fashion")
    expected = np.where(poses < 0, -1, poses + np.array([0, shift]))
    np.testing.assert_array_equal(found.keypoints, expected)
    assert ("moved by +40 columns" in capsys.readouterr().out) == bool(shift)


def next_commands(capsys) -> list[str]:
    return [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  pose-gan")]


def test_what_comes_next_has_the_flags_that_the_data_set_needs(place, capsys):
    run(openpose_folder(place / "openpose"))
    assert next_commands(capsys) == [f"pose-gan data {v} --dataset mine --split train" for v in ("pairs", "check")]
    Path("annotations/mine-pairs-train.csv").touch()  # a published list, perhaps
    run("openpose", "--overwrite")
    assert next_commands(capsys) == ["pose-gan data check --dataset mine --split train"]


def test_the_frames_of_a_video_are_no_persons(place, capsys):
    (place / "my skeletons").mkdir()
    write_json(place / "my skeletons/mouse.json", twin.MOUSE.to_dict())
    frames = [f"img{number}.jpg" for number in range(4)]
    make_images(place / "data/video-dataset/train", frames, SIZE)
    (place / "data.csv").write_text(
        twin.deeplabcut_csv(frames, list(twin.MOUSE.joints), twin.poses(4, SIZE, 0, 0)[:, :4])
    )
    flags = ["--dataset", "video", "--split", "train", "--skeleton", "my skeletons/mouse.json"]
    assert verb.main(["data.csv", *flags]) == 0
    commands = next_commands(capsys)
    assert len(commands) == 2
    for command, program in zip(commands, (pairs, check), strict=True):
        assert program.main(shlex.split(command)[3:]) == 0


def test_our_own_keypoints_are_not_moved(place):
    names = [f"fasionWOMENDressesid000055370{number}_4full.jpg" for number in range(3)]
    make_images(place / "data/fashion-dataset/train", names, (256, 256))
    poses = twin.poses(3, (256, 176))
    write_annotations(place / "released.csv", names, poses)
    np.testing.assert_array_equal(run("released.csv", dataset="fashion").keypoints, poses)
    moved = run("released.csv", "--add_x", "7", "--overwrite", dataset="fashion")
    np.testing.assert_array_equal(moved.keypoints, np.where(poses < 0, -1, poses + np.array([0, 7])))


def test_backgrounds_are_no_images(place, capsys):
    make_images(place / "data/mine-dataset/train", ["a_1_BG.jpg"], SIZE)
    assert len(run(openpose_folder(place / "openpose"))) == 4
    assert "without keypoints" not in capsys.readouterr().out


def test_what_is_refused(place):
    openpose_folder(place / "openpose")
    flags = ["--dataset", "mine", "--split", "train"]
    with pytest.raises(InputError, match=r"data/mine-dataset/test: no such folder of images"):
        verb.main(["openpose", "--dataset", "mine", "--split", "test"])
    with pytest.raises(InputError, match="none: no such file or folder of keypoints"):
        verb.main(["none", *flags])
    with pytest.raises(InputError, match="--person counts the people of an image from 1, got 0"):
        verb.main(["openpose", *flags, "--person", "0"])
    with pytest.raises(InputError, match="--add_x: got 10000000000000000000; no image has more than 65535 columns"):
        verb.main(["openpose", *flags, "--add_x", "1" + 19 * "0"])
    (place / "no_rows.csv").write_text(f"{HEADER}\n")
    with pytest.raises(InputError, match=r"no_rows\.csv: annotations, of no image"):
        verb.main(["no_rows.csv", *flags])
    (place / "data/other-dataset/train").mkdir(parents=True)
    with pytest.raises(InputError, match="other-dataset/train: no images"):
        verb.main(["openpose", "--dataset", "other", "--split", "train"])
    make_images(place / "data/other-dataset/train", ["x.jpg", "y.jpg"], SIZE)
    with pytest.raises(InputError, match=r"none of its 4 images \(a_1, .*\) is one of the 2 in .*\(x\.jpg, y\.jpg\)"):
        verb.main(["openpose", "--dataset", "other", "--split", "train"])
    assert not Path("annotations").exists(), "nothing was written"
    run("openpose")
    with pytest.raises(InputError, match=r"mine-annotation-train\.csv: already there; pass --overwrite"):
        verb.main(["openpose", *flags])


def test_keypoints_of_images_of_another_size_are_refused(place):
    write_json(place / "a.json", twin.alphapose(NAMES, POSES * 4, twin.HALPE26))
    with pytest.raises(InputError, match="joints lie outside of their images; the keypoints belong to images of anot"):
        run("a.json")


def test_the_joints_of_the_skeleton_are_those_of_the_published_orders():
    """The columns of eyes and ears are called by the other side, as in the release; see `MEANING`."""
    short = {"shoulder": "sho", "elbow": "elb", "wrist": "wri", "hip": "hip", "knee": "kne", "ankle": "ank"}
    for joint, point in zip(COCO18.joints, twin.BODY, strict=True):
        side, _, name = point.rpartition(" ")
        if name in short:
            assert joint == side[0].upper() + short[name]
        elif side:
            assert joint == {"right": "L", "left": "R"}[side] + name
        else:
            assert joint == point
