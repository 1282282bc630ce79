"""Files of other programs: what is written from our keypoints comes back, with left and right on their own sides."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import foreign_keypoints as twin
import h5py
import numpy as np
import pytest

from pose_gan.errors import InputError
from pose_gan.poses.imports.reading import holds_keypoints, read_table
from pose_gan.poses.imports.table import Table
from pose_gan.poses.imports.taking import Choice, Taken, take
from pose_gan.poses.keypoints import HEADER, write_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton

SIZE = (120, 70)
NAMES = ["a_1.jpg", "a_2.jpg", "b_1.png", "b_2.png"]
POSES = twin.poses(len(NAMES), SIZE)


def write(path: Path, value) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def taken(table: Table, skeleton: Skeleton = COCO18, choice: Choice | None = None) -> Taken:
    return take(table, skeleton, {str(key): key for key in table.people}, {str(k): SIZE for k in table.people}, choice)


def imported(path: Path, skeleton: Skeleton = COCO18) -> np.ndarray:
    """The keypoints of the file's images in its order, (N, joints, 2)."""
    return np.stack(list(taken(read_table(path, skeleton), skeleton).keypoints.values()))


# ------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("order", [twin.OPENPOSE18, twin.BODY25], ids=["COCO", "BODY_25"])
def test_openpose(tmp_path, order):
    for name, pose in zip(NAMES, POSES, strict=True):
        write(tmp_path / f"{Path(name).stem}_keypoints.json", twin.openpose([pose], order))
    write(tmp_path / "c_1_keypoints.json", {"version": 1.3, "people": []})
    table = read_table(tmp_path, COCO18)
    assert table.kind == f"OpenPose, {'COCO' if len(order) == 18 else 'BODY_25'}"
    assert list(table.people) == ["a_1", "a_2", "b_1", "b_2", "c_1"]
    result = taken(table)
    np.testing.assert_array_equal(list(result.keypoints.values())[:4], POSES)
    assert (result.nobody, result.rounded, result.made) == (["c_1"], 0, False)
    assert (result.keypoints["c_1"] == -1).all()


def test_coco_annotations(tmp_path):
    path = write(tmp_path / "person_keypoints.json", twin.coco_annotations(NAMES, POSES, SIZE))
    table = read_table(path, COCO18)
    assert list(table.people) == NAMES
    np.testing.assert_array_equal(imported(path), twin.with_made_neck(POSES))


def test_coco_annotations_leave_crowds_out_and_keep_images_without_people(tmp_path):
    value = twin.coco_annotations(NAMES, POSES, SIZE)
    value["annotations"][0]["iscrowd"] = 1
    del value["annotations"][1]
    path = write(tmp_path / "person_keypoints.json", value)
    result = taken(read_table(path, COCO18))
    assert result.nobody == NAMES[:2]
    np.testing.assert_array_equal(list(result.keypoints.values())[2:], twin.with_made_neck(POSES)[2:])


def test_coco_results_have_no_names_but_numbers(tmp_path):
    entries = twin.alphapose(NAMES, POSES, twin.COCO17)
    for entry, number in zip(entries, (785, 12, 3, 41), strict=True):
        entry["image_id"] = number
    table = read_table(write(tmp_path / "results.json", entries), COCO18)
    assert list(table.people) == ["785", "12", "3", "41"]
    np.testing.assert_array_equal(list(taken(table).keypoints.values()), twin.with_made_neck(POSES))


@pytest.mark.parametrize(("order", "has_neck"), [(twin.COCO17, False), (twin.HALPE26, True)], ids=["17", "26"])
def test_alphapose(tmp_path, order, has_neck):
    path = write(tmp_path / "alphapose-results.json", twin.alphapose(NAMES, POSES, order))
    assert read_table(path, COCO18).kind == f"AlphaPose, {len(order)} joints"
    np.testing.assert_array_equal(imported(path), POSES if has_neck else twin.with_made_neck(POSES))


@pytest.mark.parametrize(("count", "order", "has_neck"), [(133, twin.COCO17, False), (136, twin.HALPE26, True)])
def test_whole_bodies_begin_with_the_body(tmp_path, count, order, has_neck):
    entries = twin.alphapose(NAMES, POSES, order)
    for entry in entries:
        entry["keypoints"] += [1.0, 1.0, 0.9] * (count - len(order))
    path = write(tmp_path / "alphapose-results.json", entries)
    np.testing.assert_array_equal(imported(path), POSES if has_neck else twin.with_made_neck(POSES))


@pytest.mark.parametrize("key", ["people", "bodies"])
def test_alphapose_in_the_forms_of_openpose(tmp_path, key):
    joints = {"people": "pose_keypoints_2d", "bodies": "joints"}[key]
    value = {
        name: {"version": "AlphaPose v0.3", key: [{joints: twin.triples(pose, twin.OPENPOSE18)}]}
        for name, pose in zip(NAMES, POSES, strict=True)
    }
    path = write(tmp_path / "all.json", value)
    assert list(read_table(path, COCO18).people) == NAMES
    np.testing.assert_array_equal(imported(path), POSES)


@pytest.mark.parametrize(("order", "has_neck"), [(twin.COCO17, False), (twin.HALPE26, True)], ids=["17", "26"])
def test_mmpose_writes_a_file_per_image(tmp_path, order, has_neck):
    for name, pose in zip(NAMES, POSES, strict=True):
        write(tmp_path / f"{Path(name).stem}.json", twin.mmpose_people([pose], order))
    write(tmp_path / "c_1.json", [])
    table = read_table(tmp_path, COCO18)
    assert list(table.people) == ["a_1", "a_2", "b_1", "b_2", "c_1"]
    result = taken(table)
    expected = POSES if has_neck else twin.with_made_neck(POSES)
    np.testing.assert_array_equal(list(result.keypoints.values())[:4], expected)
    assert result.nobody == ["c_1"]


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("wrapped", [False, True])
def test_mmpose_numbers_the_frames_of_a_video(tmp_path, start, wrapped):
    """The demo counts from 1, the inferencer from 0; both write every frame."""
    frames = [
        {"frame_id": number, "instances": twin.mmpose_people([pose], twin.COCO17)}
        for number, pose in enumerate(POSES, start=start)
    ]
    frames[1]["instances"] = []
    value = {"meta_info": {"dataset_name": "coco"}, "instance_info": frames} if wrapped else frames
    table = read_table(write(tmp_path / "walk.json", value), COCO18)
    assert list(table.people) == [0, 1, 2, 3]
    result = taken(table)
    assert result.nobody == ["1"]
    np.testing.assert_array_equal(result.keypoints["3"], twin.with_made_neck(POSES)[3])


def test_mmpose_names_the_joints_of_other_bodies(tmp_path):
    names = ["tailbase", "rightear", "snout", "leftear"]
    value = {
        "meta_info": {"keypoint_id2name": {str(number): name for number, name in enumerate(names)}},
        "instance_info": [
            {
                "frame_id": 1,
                "instances": [{"keypoints": [[1, 2], [3, 4], [5, 6], [7, 8]], "keypoint_scores": [0.9] * 4}],
            }
        ],
    }
    path = write(tmp_path / "mouse.json", value)
    np.testing.assert_array_equal(imported(path, twin.MOUSE)[0], [[6, 5], [8, 7], [4, 3], [2, 1]])


def test_mmpose_predictions_as_the_inferencer_returns_them(tmp_path):
    path = write(
        tmp_path / "a_1.json",
        {"visualization": [], "predictions": [twin.mmpose_people([POSES[0]], twin.HALPE26)]},
    )
    np.testing.assert_array_equal(imported(path)[0], POSES[0])


def as_rows(person):
    return [[p["x"], p["y"], p["z"], p["visibility"]] for p in person]


def as_names(person):
    return {twin.MEDIAPIPE33[number].upper().replace(" ", "_"): landmark for number, landmark in enumerate(person)}


@pytest.mark.parametrize(
    "form",
    [
        lambda people: dict(zip(NAMES, people, strict=True)),
        lambda people: {name: [person] for name, person in zip(NAMES, people, strict=True)},
        lambda people: {name: as_rows(person) for name, person in zip(NAMES, people, strict=True)},
        lambda people: {name: as_names(person) for name, person in zip(NAMES, people, strict=True)},
        lambda people: {name: {"landmark": person} for name, person in zip(NAMES, people, strict=True)},
        lambda people: {
            name: {"pose_landmarks": [person], "pose_world_landmarks": [[{"x": 9, "y": 9}] * 33]}
            for name, person in zip(NAMES, people, strict=True)
        },
        lambda people: list(people),
        lambda people: [[person] for person in people],
        lambda people: [{"poseLandmarks": person} for person in people],
        lambda people: [
            {"image_name": name, "landmarks": person, "width": 70} for name, person in zip(NAMES, people, strict=True)
        ],
        lambda people: {"fps": 25, "frames": [{"frame": n, "landmarks": p} for n, p in enumerate(people)]},
    ],
    ids=["names", "people", "rows", "by_name", "protobuf", "tasks", "frames", "lists", "web", "entries", "wrapped"],
)
def test_mediapipe(tmp_path, form):
    people = [twin.mediapipe_person(pose, SIZE) for pose in POSES]
    path = write(tmp_path / "landmarks.json", form(people))
    table = read_table(path, COCO18)
    assert table.in_shares()
    assert list(table.people) in (NAMES, [0, 1, 2, 3])
    result = np.stack(list(taken(table).keypoints.values()))
    expected = twin.with_made_neck(POSES)
    both = (expected[:, 1] >= 0).all(axis=-1)
    for pose, (y, x) in zip(expected[both], (POSES[both][:, [2, 5]].sum(axis=1)), strict=True):
        pose[1] = (y + 1) // 2, (x + 1) // 2  # the middle of two centres of pixels: its pixel, or the next at a border
    np.testing.assert_array_equal(result, expected)


def test_mediapipe_frames_without_a_person(tmp_path):
    people = [twin.mediapipe_person(POSES[0], SIZE), None, []]
    result = taken(read_table(write(tmp_path / "landmarks.json", people), COCO18))
    assert result.nobody == ["1", "2"]


@pytest.mark.parametrize("likelihood", [False, True])
def test_deeplabcut_csv(tmp_path, likelihood):
    poses = POSES[:, :4]
    labels = [f"labeled-data/m4/{name}" for name in NAMES]
    (tmp_path / "CollectedData_me.csv").write_text(
        twin.deeplabcut_csv(labels, list(twin.MOUSE.joints), poses, likelihood=likelihood)
    )
    np.testing.assert_array_equal(imported(tmp_path / "CollectedData_me.csv", twin.MOUSE), poses)


@pytest.mark.parametrize("form", ["fixed", "table"])
def test_deeplabcut_hdf5(tmp_path, form):
    poses = POSES[:, :4]
    labels = [f"labeled-data/m4/{name}" for name in NAMES]
    twin.deeplabcut_hdf5(tmp_path / "data.h5", labels, list(twin.MOUSE.joints), poses, form)
    assert list(read_table(tmp_path / "data.h5", twin.MOUSE).people) == labels
    np.testing.assert_array_equal(imported(tmp_path / "data.h5", twin.MOUSE), poses)


@pytest.mark.parametrize("form", ["fixed", "table"])
@pytest.mark.parametrize("individuals", [(), ("m1", "m2")])
@pytest.mark.filterwarnings("ignore")
def test_deeplabcut_hdf5_that_pandas_wrote(tmp_path, form, individuals):
    pytest.importorskip("tables", reason="PyTables writes these files; reading needs it not")
    import pandas as pd

    levels = [["me"], *([list(individuals)] if individuals else []), list(twin.MOUSE.joints), ["x", "y", "likelihood"]]
    names = ["scorer", *(["individuals"] if individuals else []), "bodyparts", "coords"]
    columns = pd.MultiIndex.from_product(levels, names=names)
    values = np.random.default_rng(0).uniform(0, 1, (4, len(columns)))
    frame = pd.DataFrame(values, columns=columns)
    frame.to_hdf(tmp_path / "video.h5", key="df_with_missing", format=form, mode="w")
    frame.to_csv(tmp_path / "other.csv")
    one, other = read_table(tmp_path / "video.h5", twin.MOUSE), read_table(tmp_path / "other.csv", twin.MOUSE)
    assert (one.joints, list(one.people)) == (other.joints, list(other.people)) == (twin.MOUSE.joints, [0, 1, 2, 3])
    for key in one.people:
        for a, b in zip(one.people[key], other.people[key], strict=True):
            np.testing.assert_array_equal(a.places, b.places)
            np.testing.assert_array_equal(a.confidence, b.confidence)


def test_deeplabcut_with_several_animals(tmp_path):
    text = (
        "scorer,,,me,me,me,me,me,me,me,me\n"
        "individuals,,,m1,m1,m1,m1,m2,m2,m2,m2\n"
        "bodyparts,,,snout,snout,tailbase,tailbase,snout,snout,tailbase,tailbase\n"
        "coords,,,x,y,x,y,x,y,x,y\n"
        "labeled-data,v,img0.png,1,2,3,4,10,20,30,40\n"
        "labeled-data,v,img1.png,1,2,3,4,,,,\n"
    )
    (tmp_path / "data.csv").write_text(text)
    table = read_table(tmp_path / "data.csv", twin.MOUSE)
    assert list(table.people) == ["labeled-data/v/img0.png", "labeled-data/v/img1.png"]
    first, second = (taken(table, twin.MOUSE, Choice(person)) for person in (1, 2))
    np.testing.assert_array_equal(first.keypoints["labeled-data/v/img0.png"][[0, 3]], [[2, 1], [4, 3]])
    np.testing.assert_array_equal(second.keypoints["labeled-data/v/img0.png"][[0, 3]], [[20, 10], [40, 30]])
    assert second.nobody == ["labeled-data/v/img1.png"]
    assert first.several == {"labeled-data/v/img0.png": 2}
    assert taken(table, twin.MOUSE).keypoints["labeled-data/v/img0.png"][0].tolist() == [20, 10], "the largest"


def test_annotations_of_our_own(tmp_path):
    write_annotations(tmp_path / "mine.csv", NAMES, POSES)
    np.testing.assert_array_equal(imported(tmp_path / "mine.csv"), POSES)


def test_annotations_in_which_zeros_mean_missing(tmp_path):
    zeros = np.where(POSES < 0, 0, POSES)
    write_annotations(tmp_path / "mine.csv", NAMES, zeros)
    table = read_table(tmp_path / "mine.csv", COCO18)
    assert any(f"{(POSES[..., 0] < 0).sum()} joints lie at (0, 0)" in note for note in table.notes)
    np.testing.assert_array_equal(list(taken(table).keypoints.values()), POSES)
    one = POSES.copy()
    one[0, 0] = 0  # a joint in the corner of one image is a joint
    write_annotations(tmp_path / "mine.csv", NAMES, one)
    np.testing.assert_array_equal(imported(tmp_path / "mine.csv"), one)


# ------------------------------------------------------------------------------------- recognition


def test_names_and_suffixes_do_not_matter(tmp_path):
    write(tmp_path / "keypoints.txt", twin.alphapose(NAMES, POSES, twin.HALPE26))
    np.testing.assert_array_equal(imported(tmp_path / "keypoints.txt"), POSES)
    twin.deeplabcut_hdf5(tmp_path / "table", NAMES, list(twin.MOUSE.joints), POSES[:, :4], "fixed")
    np.testing.assert_array_equal(imported(tmp_path / "table", twin.MOUSE), POSES[:, :4])
    (tmp_path / "marked.dat").write_text("\ufeff" + json.dumps(twin.openpose([POSES[0]], twin.BODY25)))
    np.testing.assert_array_equal(imported(tmp_path / "marked.dat")[0], POSES[0])


def test_what_holds_keypoints(tmp_path):
    write(tmp_path / "poses" / "a.json", twin.openpose([POSES[0]], twin.BODY25))
    assert holds_keypoints(tmp_path / "poses")
    assert holds_keypoints(tmp_path / "poses" / "a.json")
    (tmp_path / "poses" / "a.png").write_bytes(b"")
    assert not holds_keypoints(tmp_path / "poses"), "a folder of frames, with files beside them"
    (tmp_path / "walk.mp4").write_bytes(bytes(100))
    assert not holds_keypoints(tmp_path / "walk.mp4")
    assert not holds_keypoints(tmp_path / "none")
    (tmp_path / "mine.csv").write_text(HEADER + "\n")
    assert holds_keypoints(tmp_path / "mine.csv")


def test_a_folder_names_files_that_are_no_keypoints_and_reads_one_of_two_copies(tmp_path):
    text = twin.deeplabcut_csv(NAMES, list(twin.MOUSE.joints), POSES[:, :4])
    (tmp_path / "data.csv").write_text(text)
    twin.deeplabcut_hdf5(tmp_path / "data.h5", NAMES, list(twin.MOUSE.joints), POSES[:, :4], "table")
    (tmp_path / "notes.txt").write_text("of Tuesday")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "a_1.jpg").write_bytes(b"")
    (tmp_path / "older").mkdir()
    (tmp_path / "lost.json").symlink_to(tmp_path / "nowhere.json")
    table = read_table(tmp_path, twin.MOUSE)
    assert list(table.people) == NAMES
    assert table.notes == (
        "files that are no keypoints, left out: lost.json, notes.txt",
        "folders in it, left out: older",
    )


def test_an_empty_answer_is_of_the_image_that_its_file_names(tmp_path):
    write(tmp_path / "a_1_keypoints.json", {})
    assert read_table(tmp_path / "a_1_keypoints.json", COCO18).people == {"a_1": []}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InputError, match="not recognised as keypoints"):
        read_table(tmp_path / "pipe.json", COCO18)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"people": [{"face": []}]}, "person 1: has no pose_keypoints_2d"),
        ({"people": [{"pose_keypoints_2d": [1, 2]}]}, "person 1: pose_keypoints_2d: expected x, y and confidence"),
        ({"people": [{"pose_keypoints_2d": [1, "b", 2]}]}, "expected a list of numbers"),
        ({"people": [{"pose_keypoints_2d": [1, 2, 3] * 15}]}, r"person 1: 15 joints; OpenPose's models COCO \(18\)"),
        ([{"image_id": "a.jpg"}], "entry 1: keypoints: expected a list of numbers, got 'None'"),
        ([{"image_id": "a.jpg", "keypoints": [1, 2, 3] * 14}], "entry 1: 14 joints without names; known are 17, 18"),
        ({"images": [{}], "annotations": []}, "images: each entry needs an id and a file_name"),
        ({"images": [], "annotations": [{"image_id": 3}]}, "annotation 1: image_id is not the id of an image"),
        ({"images": [{"id": 1, "file_name": "a"}] * 2, "annotations": []}, "images: the id 1 stands there twice"),
        ([{"frame_id": 7, "instances": []}] * 2, "frame_id 7 stands in several entries; keep one"),
        ([{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1]}], "one of keypoint_scores each, got shapes"),
        ([{"frame_id": 0, "instances": [{"keypoints": [1]}]}], "person 1: has no keypoints and keypoint_scores"),
        ([{"x": 1}], "JSON, but of no known kind; what is read: OpenPose"),
        ({"a": 1}, "JSON, but of no known kind"),
        (3, "not recognised as keypoints"),
        ({"images": [], "annotations": [], "categories": 3}, "damaged, or in another form than known: 'int' object"),
        ([{"frame_id": 0, "instances": 3}], "damaged, or in another form than known: 'int' object"),
        ([[{"x": "left", "y": 1}] * 33], "a landmark needs numbers x, y and visibility"),
    ],
    ids=str,
)
def test_damaged_json_is_told(tmp_path, value, message):
    path = write(tmp_path / "bad.json", value)
    with pytest.raises(InputError, match=message) as caught:
        taken(read_table(path, COCO18))
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged, or in another form than known: Expecting property name"),
        ("[" * 100_000, "damaged, or in another form than known"),
        ('{"a.jpg": [{"keypoints": []}], "a.jpg": []}', r"a\.jpg stands there twice; keep one"),
        ("scorer,a\n\ncoords,x\n", "damaged, or in another form than known"),
        ("", "not recognised as keypoints"),
        ("name,x,y\n", "not recognised as keypoints"),
        ("scorer,a\nbodyparts,b\n", "the header rows of DeepLabCut are scorer, bodyparts and coords"),
        ("scorer,a,a\nbodyparts,b,b\ncoords,x,y\nimg,1\n", "row 4: 2 cells, expected 3"),
        ("scorer,a,a\nbodyparts,b,b\ncoords,x,y\nimg,1,two\n", "row 4: could not convert string to float: 'two'"),
        ("scorer,a,a\nbodyparts,b,b\ncoords,x,y\ni,1,2\ni,1,2\n", "i stands in several rows; keep one"),
        ("scorer,a,a,c,c\nbodyparts,b,b,b,b\ncoords,x,y,x,y\ni,1,2,3,4\n", "b x stands in several columns; keep one"),
    ],
)
def test_damaged_text_is_told(tmp_path, text, message):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "bad.csv", COCO18)


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file ran')",))


@pytest.mark.parametrize("content", [pickle.dumps([Evil()], 0), pickle.dumps(Evil(), 0), b"(lp0\n", b"garbage"])
def test_hdf5_runs_no_code_of_the_file(tmp_path, content):
    path = tmp_path / "data.h5"
    twin.deeplabcut_hdf5(path, NAMES, list(twin.MOUSE.joints), POSES[:, :4], "table")
    with h5py.File(path, "a") as file:
        file["df_with_missing/table"].attrs["values_block_0_kind"] = np.bytes_(content)
    with pytest.raises(InputError, match="its column names cannot be read"):
        read_table(path, twin.MOUSE)


def test_other_hdf5_is_told(tmp_path):
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["weights"] = np.zeros(3)
    with pytest.raises(InputError, match="an HDF5 file, but not one of DeepLabCut"):
        read_table(tmp_path / "model.h5", COCO18)
    (tmp_path / "cut.h5").write_bytes((tmp_path / "model.h5").read_bytes()[:600])
    with pytest.raises(InputError, match=r"cut\.h5: damaged"):
        read_table(tmp_path / "cut.h5", COCO18)


def test_two_kinds_or_two_poses_of_an_image_in_a_folder_are_told(tmp_path):
    write(tmp_path / "a_keypoints.json", twin.openpose([POSES[0]], twin.BODY25))
    write(tmp_path / "b_keypoints.json", twin.openpose([POSES[0]], twin.OPENPOSE18))
    with pytest.raises(InputError, match=r"a_keypoints\.json is of OpenPose, BODY_25, .*b_key.* of OpenPose, COCO"):
        read_table(tmp_path, COCO18)
    write(tmp_path / "b_keypoints.json", [])
    write(tmp_path / "a.json", twin.openpose([POSES[0]], twin.BODY25))
    with pytest.raises(InputError, match=r"the image a stands in .*a\.json already; keep one of them"):
        read_table(tmp_path, COCO18)
    with pytest.raises(InputError, match="no such file or folder of keypoints"):
        read_table(tmp_path / "none", COCO18)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: holds no keypoints \(0 files\)"):
        read_table(tmp_path / "empty", COCO18)


def test_another_body_needs_its_skeleton(tmp_path):
    (tmp_path / "data.csv").write_text(twin.deeplabcut_csv(NAMES, list(twin.MOUSE.joints), POSES[:, :4]))
    with pytest.raises(
        InputError, match=r"has the joints snout, .* which are none of Rhip, .*coco18 needs; give a --skel"
    ):
        imported(tmp_path / "data.csv")


def test_points_named_in_another_spelling(tmp_path):
    names = ["LeftShoulder", "RIGHT-SHOULDER", "Left Eye", "left_ear", "tail"]
    keypoints = np.arange(1, 11).reshape(1, 5, 2)
    (tmp_path / "data.csv").write_text(twin.deeplabcut_csv(["a.jpg"], names, keypoints))
    result = taken(read_table(tmp_path / "data.csv", COCO18))
    pose = result.keypoints["a.jpg"]
    expected = {"left shoulder": 0, "right shoulder": 1, "left eye": 2, "left ear": 3}
    for point, row in expected.items():
        np.testing.assert_array_equal(pose[twin.BODY.index(point)], keypoints[0, row])
    present = {"neck", *(COCO18.joints[twin.BODY.index(point)] for point in expected)}
    assert set(result.lacking) == set(COCO18.joints) - present
    assert result.made
