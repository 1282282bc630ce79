"""One call from a photo to a picture: it is what the pieces give, it returns to its place, and faults are told."""

from __future__ import annotations

import warnings
from typing import Any

import foreign_keypoints as twin
import imageio.v3 as iio
import keras
import numpy as np
import pytest
from makers import config

import pose_gan
from data_prep.people.dataset import PersonTask, draw_images
from pose_gan.errors import InputError, InputWarning
from pose_gan.estimators import Poses
from pose_gan.evaluation.drawn import POSE, SOURCE, draw_people, drawn_person, drawn_walk
from pose_gan.evaluation.transfer import open_scene
from pose_gan.files.text import write_json
from pose_gan.metrics import ssim
from pose_gan.model_files.saving import settings_of
from pose_gan.networks import build_discriminator
from pose_gan.poses.drawing import to_float, to_uint8
from pose_gan.poses.framing import Frame
from pose_gan.poses.keypoints import found, read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton

SIZE = (128, 64)


@pytest.fixture(scope="module")
def generator() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        return pose_gan.load_generator("demo")


@pytest.fixture(scope="module")
def source() -> tuple[np.ndarray, np.ndarray]:
    return drawn_person("demo", SOURCE, SIZE)


@pytest.fixture(scope="module")
def wanted() -> tuple[np.ndarray, np.ndarray]:
    return drawn_person("demo", POSE, SIZE)


class Finder:
    """An estimator that always finds the same pose."""

    name = "finder"
    preferred_batch = 4

    def __init__(self, pose: np.ndarray, skeleton: Skeleton = COCO18) -> None:
        self.pose, self.skeleton = pose, skeleton

    def __call__(self, images: np.ndarray) -> Poses:
        poses = np.repeat(self.pose[None].astype(np.int32), len(images), axis=0)
        return Poses(poses, found(poses).astype(np.float32))


def by_hand(generator: Any, image: np.ndarray, pose: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The generated image, from the generator itself."""
    inputs = [to_float(image)[None], pose[None].astype(np.float32), target[None].astype(np.float32)]
    return to_uint8(np.asarray(generator(inputs, training=False)))[0]


def test_a_drawn_person_is_what_the_generator_makes_of_it(generator, source, wanted):
    made = pose_gan.transfer("demo", "demo", generator)
    np.testing.assert_array_equal(made, by_hand(generator, source[0], source[1], wanted[1]))
    assert (made != source[0]).any()


def test_the_drawn_people_are_the_test_persons_of_the_demo():
    for person in (1, 20):
        image, keypoints = drawn_person(f"demo:{person}", SOURCE, SIZE)
        drawings = draw_images(PersonTask(0, 1, person - 1, person, 8, SIZE, studio=True))
        assert any((image == one).all() and (keypoints == pose).all() for _, one, pose in drawings)


def test_its_images_are_nearer_to_the_truth_than_copies_of_the_source(generator):
    for person in (1, 9):
        task = PersonTask(0, 1, person - 1, person, 2, SIZE, studio=True)
        (_, image, pose), (_, truth, target) = draw_images(task)
        made = pose_gan.transfer(image, target, generator, source_keypoints=pose)
        near, copied = (float(ssim(x[None], truth[None])[0]) for x in (made, image))
        assert near > copied + 0.05


def test_a_person_in_a_larger_photo_returns_to_its_place(generator, source, wanted):
    photo = np.random.default_rng(0).integers(0, 256, (400, 300, 3), dtype=np.uint8)
    photo[60:316, 100:228] = source[0].repeat(2, axis=0).repeat(2, axis=1)
    pose = np.where(found(source[1])[:, None], source[1] * 2 + (60, 100), -1)
    made = pose_gan.transfer(photo, wanted[0], generator, Finder(wanted[1]), source_keypoints=pose)
    frame = Frame.around(pose, (400, 300), SIZE)
    image = by_hand(generator, frame.image(photo), frame.keypoints(pose), wanted[1])
    np.testing.assert_array_equal(made, frame.put_back(image, photo))
    top, left, height, width = (round(number) for number in frame.box)
    outside = np.ones((400, 300), bool)
    outside[top - 1 : top + height + 1, left - 1 : left + width + 1] = False
    np.testing.assert_array_equal(made[outside], photo[outside])


def test_several_poses_give_what_each_gives_alone(generator, source, wanted):
    walk = drawn_walk(SIZE, COCO18)
    poses = [wanted[1], walk[0], walk[9]]
    images = pose_gan.transfer(source[0], poses, generator, source_keypoints=source[1])
    assert len(images) == 3
    for image, pose in zip(images, poses, strict=True):
        assert np.abs(image.astype(int) - by_hand(generator, source[0], source[1], pose)).max() <= 1


def test_files_of_keypoints_give_what_their_poses_give(generator, source, tmp_path):
    walk = drawn_walk(SIZE, COCO18)[:3]
    iio.imwrite(tmp_path / "anna.png", source[0])
    write_annotations(tmp_path / "anna.csv", ["anna.png"], source[1][None])
    write_annotations(tmp_path / "walk.csv", ["a.png", "b.png", "c.png"], walk)
    write_json(tmp_path / "b_keypoints.json", twin.openpose([walk[1]], twin.OPENPOSE18))
    settings = settings_of(generator)

    def poses(*files: str, **options: Any) -> np.ndarray:
        given = [tmp_path / file for file in files]
        scene = open_scene(tmp_path / "anna.png", given, settings, None, tmp_path / "anna.csv", **options)
        np.testing.assert_array_equal(scene.pose, source[1])
        return np.stack([target.pose for target in scene.targets])

    np.testing.assert_array_equal(poses("walk.csv"), walk)
    np.testing.assert_array_equal(poses("walk.csv", rows=["c.png", "a.png"]), walk[[2, 0]])
    np.testing.assert_array_equal(poses("b_keypoints.json", "walk.csv", rows=[]), walk[[1, 0, 1, 2]])
    larger = np.where(found(walk[:1])[..., None], walk[:1] * 5, -1)  # in pixels of a larger image
    write_annotations(tmp_path / "large.csv", ["large"], larger)
    large = poses("large.csv")[0]
    assert np.all(large < SIZE)
    growth = np.ptp(large[found(large)], axis=0) / np.ptp(walk[0][found(walk[0])], axis=0)
    np.testing.assert_allclose(growth, growth.mean(), rtol=0.05)
    with pytest.raises(InputError, match=r"walk\.csv: has no row d\.png; it has a\.png, b\.png"):
        poses("walk.csv", rows=["d.png"])


def test_what_cannot_be_used_is_told(generator, source, wanted, monkeypatch):
    settings = settings_of(generator)
    nobody = Finder(np.full((18, 2), -1))
    halved = Finder(np.where(np.arange(18)[:, None] == COCO18.index("Lhip"), -1, wanted[1]))
    with pytest.raises(InputError, match=r"photo: its pose is not known; give --source_keypoints .* or --pose_"):
        open_scene(source[0], ["demo"], settings)
    with pytest.raises(InputError, match="photo: finder: nobody was found in the source image"):
        open_scene(source[0], ["demo"], settings, nobody)
    with pytest.raises(InputError, match="pose: finder: nobody was found in the image of the pose"):
        open_scene("demo", [wanted[0]], settings, nobody)
    with pytest.raises(InputError, match="pose: finder: Lhip not found in the image of the pose; the generator needs"):
        open_scene("demo", [wanted[0]], settings, halved)
    with pytest.raises(InputError, match=r"demo:99: no such drawn person; give demo, or demo:1 to demo:20"):
        open_scene("demo:99", ["demo"], settings)
    with pytest.raises(InputError, match=r"none\.jpg: no such image"):
        open_scene("demo", ["none.jpg"], settings, nobody)
    with pytest.raises(InputError, match=r"pose: expected an image, .* or keypoints \(18, 2\), got float64 \(17, 2\)"):
        open_scene("demo", [np.zeros((17, 2))], settings)
    with pytest.raises(InputError, match="fit 'tight' is not known"):
        open_scene("demo", ["demo"], settings, fit="tight")
    with pytest.raises(InputError, match="finder finds the joints of mouse, the generator was trained"):
        open_scene("demo", ["demo"], settings, Finder(wanted[1], twin.MOUSE))
    with pytest.raises(InputError, match="rows anna: none of the poses is a file of keypoints"):
        open_scene("demo", ["demo"], settings, rows=["anna"])
    mouse = config(image_size=SIZE, skeleton=twin.MOUSE)
    with pytest.raises(InputError, match="demo: a drawn person has the joints of coco18; the generator knows mouse"):
        open_scene("demo", ["demo:2"], mouse)
    whole = np.ones((mouse.skeleton.num_joints, 2))
    with pytest.raises(InputError, match="demo:2: a drawn person has the joints of coco18; the generator knows mouse"):
        open_scene(source[0], ["demo:2"], mouse, source_keypoints=whole)
    monkeypatch.setattr("pose_gan.evaluation.transfer.MOST", 2)
    with pytest.raises(InputError, match="3 poses; at most 2 are drawn at once"):
        open_scene("demo", ["demo"] * 3, settings)


def test_the_drawn_people_stand_in_a_folder_with_their_keypoints(tmp_path, monkeypatch):
    monkeypatch.setattr("pose_gan.evaluation.drawn.PEOPLE", 2)
    told = read_annotations(draw_people(tmp_path, SIZE))
    assert told.names == ("demo-01.png", "demo-02.png")
    for number, name in enumerate(told.names):
        image, pose = drawn_person(f"demo:{number + 1}", SOURCE, SIZE)
        np.testing.assert_array_equal(iio.imread(tmp_path / name), image)
        np.testing.assert_array_equal(told.keypoints[number], pose)


def test_arrays_that_are_no_images_or_poses_are_told(generator, source):
    image, pose = source
    wrong: Any = 5

    def moved(value: float) -> np.ndarray:
        values = pose.astype(float)
        values[3, 1] = value
        return values

    for photo, wanted, words in (
        (image / 255.0, pose, r"photo: expected uint8 \(H, W, 3\), RGB, got float64"),
        (image[:0], pose, r"photo: expected uint8 .* got uint8 \(0, 64, 3\)"),
        (image, image / 255.0, r"pose: expected uint8 \(H, W, 3\), RGB, got float64"),
        (image, np.stack([pose, pose]), r"pose: expected uint8 .* got int32 \(2, 18, 2\)"),
        (image, image[..., 0], r"pose: expected an image, .* got uint8 \(128, 64\)"),
        (image, moved(np.nan), "pose: nan is no pixel; allowed: 0 to 65535, and -1 where nothing was found"),
        (image, moved(np.inf), "pose: inf is no pixel"),
        (image, moved(1e300), "pose: 1e[+]300 is no pixel"),
        (image, moved(-2), "pose: -2.0 is no pixel"),
        (image, pose.tolist(), "pose: expected the name of a file or a NumPy array, got list"),
        (wrong, pose, "photo: expected the name of a file or a NumPy array, got int"),
    ):
        with pytest.raises(InputError, match=words):
            pose_gan.transfer(photo, wanted, generator, source_keypoints=pose)
    with pytest.raises(InputError, match="source_keypoints: nan is no pixel"):
        pose_gan.transfer(image, pose, generator, source_keypoints=moved(np.nan))
    with pytest.raises(InputError, match=r"generator: expected the name of a file or a model .*, got int"):
        pose_gan.transfer(image, pose, 5, source_keypoints=pose)
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="dense")
    with pytest.raises(InputError, match="generator: dense is no generator that load_generator returned"):
        pose_gan.transfer(image, pose, dense, source_keypoints=pose)
    with pytest.raises(InputError, match="generator: discriminator is no generator"):
        pose_gan.transfer(image, pose, build_discriminator(config()), source_keypoints=pose)
    with pytest.raises(InputError, match="estimator: expected a file or an open pose estimator, got int"):
        pose_gan.transfer(image, image, generator, wrong, source_keypoints=pose)
