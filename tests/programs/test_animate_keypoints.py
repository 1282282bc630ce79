"""Animation by the keypoints of other programs: as targets, beside frames, and of the source."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import foreign_keypoints as twin
import imageio.v3 as iio
import keras
import numpy as np
import pytest
from checkout import ROOT

from pose_gan.config import AnimationConfig, ModelConfig
from pose_gan.data.video import open_clip
from pose_gan.errors import InputError, InputWarning
from pose_gan.evaluation.animation import animate
from pose_gan.files.text import write_json
from pose_gan.model_files.saving import save_model
from pose_gan.networks import build_generator
from pose_gan.poses.imports.poses import read_poses
from pose_gan.poses.imports.taking import Choice
from pose_gan.poses.keypoints import read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18
from pose_gan.programs import animate as program

SIZE = (96, 64)
COUNT = 5
SOURCE = twin.poses(1, SIZE, seed=1, missing=0)[0]
WALK = twin.poses(COUNT, SIZE, seed=2, missing=0)


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    return build_generator(ModelConfig(image_size=SIZE, width=0.125, warp_skip="none"))


@pytest.fixture
def place(tmp_path) -> Path:
    """A source image `anna.png` with OpenPose's file, and a folder `walk` of OpenPose's files."""
    random = np.random.default_rng(0)
    iio.imwrite(tmp_path / "anna.png", random.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
    write_json(tmp_path / "anna_keypoints.json", twin.openpose([SOURCE], twin.BODY25))
    for number, pose in enumerate(WALK):
        write_json(tmp_path / f"walk/walk_{number:012d}_keypoints.json", twin.openpose([pose], twin.BODY25))
    return tmp_path


def test_targets_and_source_of_openpose_give_what_annotations_give(place, generator):
    write_annotations(place / "walk.csv", [f"{n}.png" for n in range(COUNT)], WALK)
    write_annotations(place / "anna.csv", ["anna.png"], SOURCE[None])
    images = {}
    for name, source, targets in (("own", "anna.csv", "walk.csv"), ("foreign", "anna_keypoints.json", "walk")):
        settings = AnimationConfig(source_keypoints=str(place / source))
        motion = animate(generator, None, place / "anna.png", place / targets, place / name, settings)
        np.testing.assert_array_equal(motion.keypoints, WALK)
        images[name] = list(open_clip(place / name))
    np.testing.assert_array_equal(images["own"], images["foreign"])


def test_files_beside_frames(place, generator):
    """Frames of a folder by name or number; MediaPipe's shares are of the size of the frames."""
    (place / "frames").mkdir()
    for number in range(COUNT):
        iio.imwrite(place / f"frames/f{number + 1}.png", np.zeros((2 * SIZE[0], 2 * SIZE[1], 3), np.uint8))
    large = WALK * 2
    write_json(place / "marks.json", [twin.mediapipe_person(pose, (2 * SIZE[0], 2 * SIZE[1])) for pose in large])
    settings = AnimationConfig(
        source_keypoints=str(place / "anna_keypoints.json"), annotations=str(place / "marks.json")
    )
    with pytest.warns(InputWarning, match=r"marks\.json: MediaPipe, 33 landmarks: .*the file has no neck"):
        motion = animate(generator, None, place / "anna.png", place / "frames", place / "out", settings)
    body = [joint for joint in range(18) if joint != 1]
    np.testing.assert_array_equal(motion.keypoints[:, body], large[:, body])


def test_frames_of_a_gif_have_numbers(place, generator):
    iio.imwrite(place / "walk.gif", np.random.default_rng(0).integers(0, 256, (COUNT, *SIZE, 3), dtype=np.uint8))
    frames = [{"frame_id": n, "instances": twin.mmpose_people([p], twin.HALPE26)} for n, p in enumerate(WALK)]
    write_json(place / "poses.json", frames)
    for name in ("poses.json", "walk"):
        settings = AnimationConfig(source_keypoints=str(place / "anna_keypoints.json"), annotations=str(place / name))
        motion = animate(generator, None, place / "anna.png", place / "walk.gif", place / f"out-{name[:4]}", settings)
        np.testing.assert_array_equal(motion.keypoints, WALK)


def test_shares_alone_do_not_tell_where_the_joints_are(place, generator):
    write_json(place / "marks.json", [twin.mediapipe_person(pose, SIZE) for pose in WALK])
    settings = AnimationConfig(source_keypoints=str(place / "anna_keypoints.json"))
    with pytest.raises(InputError, match="give the frames as targets, and this file as annotations"):
        animate(generator, None, place / "anna.png", place / "marks.json", place / "out", settings)


def test_program(place, generator, capsys):
    save_model(generator, place / "generator.keras")
    path = place / "walk/walk_000000000002_keypoints.json"
    other = (WALK[2] + SIZE) // 2  # half as large
    path.write_text(json.dumps(twin.openpose([other, WALK[2]], twin.BODY25)))
    flags = ["--generator", place / "generator.keras", "--source", place / "anna.png", "--targets", place / "walk"]
    flags += ["--source_keypoints", place / "anna_keypoints.json"]
    for name, more, expected in (
        ("a", [], WALK[2]),
        ("b", ["--person", "1"], other),
        ("c", ["--person", "2"], WALK[2]),
    ):
        output = ["--output", place / name, "--keypoints_output", place / f"{name}.csv"]
        with pytest.warns(InputWarning, match=r"several people in 1 images \(walk_000000000002: 2\)"):
            program.main([*map(str, [*flags, *output]), *more])
        written = read_annotations(place / f"{name}.csv")
        assert written.names == tuple(f"walk_{number:012d}" for number in range(COUNT))
        np.testing.assert_array_equal(written.keypoints[2], expected)
    assert f"{COUNT} frames -> " in capsys.readouterr().out
    with pytest.raises(InputError, match="--min_confidence must be 0 to 1, got 2"):
        program.main([*map(str, flags), "--output", str(place / "d"), "--min_confidence", "2"])


def test_the_example_takes_them_too(place, generator):
    save_model(generator, place / "generator.keras")
    write_annotations(place / "own.csv", ["anna.png", "anna_2.png"], np.stack([SOURCE, WALK[0]]))
    write_json(place / "both" / "anna_keypoints.json", twin.openpose([SOURCE], twin.OPENPOSE18))
    write_json(place / "both" / "anna_2_keypoints.json", twin.openpose([WALK[0]], twin.OPENPOSE18))
    example = runpy.run_path(str(ROOT / "examples" / "generate.py"))["main"]
    for name in ("own.csv", "both"):
        flags = ["--generator", place / "generator.keras", "--image", place / "anna.png", "--target", "anna_2.png"]
        example([*map(str, flags), "--annotations", str(place / name), "--output", str(place / f"{name[:4]}.png")])
    np.testing.assert_array_equal(iio.imread(place / "own..png"), iio.imread(place / "both.png"))


# ------------------------------------------------------------------------------------- names of poses


def test_the_file_of_one_image_is_of_any_image_and_numbers_alone_are_not_enough(place):
    other = read_poses(place / "anna_keypoints.json", COCO18, images=["berta.png"])
    np.testing.assert_array_equal(other.keypoints, SOURCE[None])
    assert other.names == ("berta.png",)
    with pytest.raises(InputError, match=r"walk: has no keypoints of berta_3\.png; it has those of walk_0000"):
        read_poses(place / "walk", COCO18, images=["berta_3.png"])
    with pytest.raises(InputError, match=r"has no keypoints of any of the 2 images \(a\.png, b\.png\)"):
        read_poses(place / "walk", COCO18, images=["a.png", "b.png"])


def test_poses_come_in_the_order_of_the_frames_with_names_that_files_hold(tmp_path):
    write_json(tmp_path / "a.json", twin.alphapose(["f10.jpg", "f9.jpg"], WALK[:2], twin.HALPE26))
    found = read_poses(tmp_path / "a.json", COCO18)
    assert found.names == ("f9.jpg", "f10.jpg")
    np.testing.assert_array_equal(found.keypoints, WALK[[1, 0]])
    names = list(COCO18.joints)
    (tmp_path / "d.csv").write_text(twin.deeplabcut_csv(["v/x/1.png", "v/x/2.png"], names, WALK[:2]))
    assert read_poses(tmp_path / "d.csv", COCO18).names == ("1.png", "2.png")
    (tmp_path / "d.csv").write_text(twin.deeplabcut_csv(["v/x/1.png", "v/y/1.png"], names, WALK[:2]))
    found = read_poses(tmp_path / "d.csv", COCO18)
    assert found.names == ("v-x-1.png", "v-y-1.png")
    np.testing.assert_array_equal(found.keypoints, WALK[:2])
    (tmp_path / "d.csv").write_text(twin.deeplabcut_csv(["0", "1"], names, WALK[:2], likelihood=True))
    assert read_poses(tmp_path / "d.csv", COCO18, Choice(min_confidence=0.6)).names == ("d-000000.png", "d-000001.png")


def test_annotations_of_our_own_are_read_as_they_are(tmp_path):
    write_annotations(tmp_path / "own.csv", ["b.png", "a.png"], WALK[:2])
    found = read_poses(tmp_path / "own.csv", COCO18)
    assert found.names == ("b.png", "a.png")
    np.testing.assert_array_equal(found.keypoints, WALK[:2])
    (tmp_path / "own.csv").write_text("name,y,x\n")
    with pytest.raises(InputError, match="row 1: the header must be"):
        read_poses(tmp_path / "own.csv", COCO18)
