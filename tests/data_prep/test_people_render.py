"""Drawn people: where the joints are, what hides them, and cloth that stays on its limb."""

import dataclasses

import numpy as np
import pytest

from data_prep.people import (
    Arm,
    Body,
    Camera,
    Garment,
    Identity,
    Pattern,
    Pose,
    Shot,
    make_cameras,
    plain,
    render_person,
    sample_identity,
    sample_shot,
    walk_sequence,
)
from pose_gan.poses.keypoints import MISSING, found, has_required_joints
from pose_gan.poses.skeleton import COCO18

RED, BLUE = (220, 30, 30), (30, 30, 220)
GREY = plain((128, 128, 128))
CAMERA = Camera(1, "plaza", 5, blur=0.0, noise=0.0, quality=95, ambient=0.9)
SHOT = Shot(Pose(), 0.0, CAMERA, seed=1, miss=0.0)


def joint(keypoints, name):
    return keypoints[COCO18.index(name)]


@pytest.fixture(scope="module")
def ringed():
    """Somebody with long sleeves of red and blue rings, without anything that could cover them."""
    rings = Pattern("rows", (RED, BLUE, BLUE), period=0.09)
    top = Garment(GREY, 1.0, sleeve=1.0, sleeve_pattern=rings, loose=0.0)
    base = sample_identity(np.random.default_rng(2))
    changes = {"body": Body(), "hat": "none", "hair_style": "short", "bag": "none", "jacket": None, "dress": False}
    bottom = Garment(GREY, 1.0)
    return dataclasses.replace(base, top=top, bottom=bottom, bottom_kind="trousers", seed=4, **changes)


def random_images(count, size=(128, 64)):
    cameras = make_cameras(0)
    for number in range(count):
        rng = np.random.default_rng([11, number])
        yield render_person(sample_identity(rng), sample_shot(rng, cameras[number % len(cameras)]), size)


def test_same_identity_and_shot_give_the_same_image(ringed):
    first, second = render_person(ringed, SHOT), render_person(ringed, SHOT)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    other = render_person(ringed, dataclasses.replace(SHOT, seed=2))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("size", [(128, 64), (256, 256), (64, 64), (100, 180)])
def test_any_size(size):
    valid = 0
    for image, keypoints in random_images(6, size):
        assert image.shape == (*size, 3)
        assert image.dtype == np.uint8
        assert keypoints.shape == (18, 2)
        assert keypoints.dtype == np.int32
        seen = found(keypoints)
        assert np.all((keypoints[seen] >= 0) & (keypoints[seen] < size))
        assert np.all(keypoints[~seen] == MISSING)
        valid += has_required_joints(keypoints)
    assert valid >= 5


def test_sides_from_the_front_and_from_behind(ringed):
    _, front = render_person(ringed, SHOT)
    _, back = render_person(ringed, dataclasses.replace(SHOT, yaw=np.pi))
    for name in ("sho", "elb", "wri", "hip", "kne", "ank"):
        assert joint(front, "R" + name)[1] < joint(front, "L" + name)[1]
        assert joint(back, "R" + name)[1] > joint(back, "L" + name)[1]
    # The released files' Leye and Lear are the person's right ones.
    assert joint(front, "Leye")[1] < joint(front, "Reye")[1]
    assert joint(front, "Lear")[1] < joint(front, "Rear")[1]
    assert joint(back, "Lear")[1] > joint(back, "Rear")[1]
    np.testing.assert_allclose(joint(front, "neck"), (joint(front, "Rsho") + joint(front, "Lsho")) / 2, atol=1)


def test_faces_are_seen_from_their_side_only(ringed):
    _, back = render_person(ringed, dataclasses.replace(SHOT, yaw=np.pi))
    assert not found(back)[COCO18.indices(("nose", "Leye", "Reye"))].any()
    _, profile = render_person(ringed, dataclasses.replace(SHOT, yaw=np.pi / 2))  # the person's right is turned to us
    assert found(profile)[COCO18.indices(("nose", "Leye", "Lear"))].all()
    assert not found(profile)[COCO18.indices(("Reye", "Rear"))].any()


def test_proportions_of_an_adult(ringed):
    _, keypoints = render_person(ringed, dataclasses.replace(SHOT, camera=dataclasses.replace(CAMERA, pitch=0.0)))
    y = {name: joint(keypoints, name)[0] for name in ("nose", "neck", "Rhip", "Rkne", "Rank")}
    # Means of 66 frontal people of Market-1501: 12.3, 25.5, 63.3, 89.8 and 112.3.
    assert [*y.values()] == pytest.approx([12.3, 25.5, 63.3, 89.8, 112.3], abs=6)


def along_forearm(image, keypoints, places):
    """Colours of the left forearm at shares of its length from elbow to wrist: float (n, 3)."""
    elbow, wrist = joint(keypoints, "Lelb") + 0.5, joint(keypoints, "Lwri") + 0.5
    y, x = np.floor(elbow + np.asarray(places)[:, None] * (wrist - elbow)).astype(int).T
    return image[y, x].astype(float)


def test_cloth_moves_with_the_limb(ringed):
    places = np.linspace(0.0, 0.95, 12)
    rows = []
    for lift, bend in ((0.15, 0.0), (0.9, 0.0), (1.5, 0.0), (0.6, 0.9)):
        # inward = −π/2 lets the elbow bend in the image plane, so that the arm is not foreshortened
        arm = Arm(0.0, lift, -np.pi / 2, bend)
        shot = dataclasses.replace(SHOT, pose=Pose(arms=(Arm(), arm)), camera=dataclasses.replace(CAMERA, pitch=0.0))
        image, keypoints = render_person(ringed, shot, (256, 256))
        colours = along_forearm(image, keypoints, places)
        rows.append(colours[:, 0] > colours[:, 2])  # red or blue
    assert 0.2 < rows[0].mean() < 0.8  # there are rings of both colours
    for row in rows[1:]:
        assert (row == rows[0]).mean() >= 0.8  # ring for ring, but for the pixels on an edge


def test_front_print_is_not_on_the_back(ringed):
    white = Garment(GREY, 1.0, loose=0.2, front_print="disc", print_colours=(RED, RED))
    person = dataclasses.replace(ringed, top=white)

    def redness(yaw):
        image, keypoints = render_person(person, dataclasses.replace(SHOT, yaw=yaw))
        y, x = (joint(keypoints, "neck") * 0.7 + 0.15 * (joint(keypoints, "Rhip") + joint(keypoints, "Lhip"))).astype(
            int
        )
        red, _, blue = image[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3).mean(0)
        return red - blue

    assert redness(0.0) > 60
    assert abs(redness(np.pi)) < 25


def test_joints_outside_the_picture_are_missing(ringed):
    _, keypoints = render_person(ringed, dataclasses.replace(SHOT, fill=1.3, shift=(0.2, 0.0)))
    assert not found(keypoints)[COCO18.indices(("Rank", "Lank"))].any()
    assert has_required_joints(keypoints)


@pytest.mark.parametrize("occluder", ["box", "edge", "person"])
def test_joints_behind_something_are_missing(ringed, occluder):
    counts = []
    for seed in range(6):
        shot = dataclasses.replace(SHOT, occluder=occluder, seed=seed)
        counts.append(found(render_person(ringed, shot)[1]).sum())
    free = found(render_person(ringed, SHOT)[1]).sum()
    assert max(counts) <= free
    assert min(counts) < free


def test_walk_sequence_moves_legs_and_keeps_the_camera():
    shots = walk_sequence(np.random.default_rng(0), make_cameras(1)[2], 5)
    assert len({shot.camera for shot in shots}) == 1
    assert len({shot.pose.legs for shot in shots}) == 5


def test_identities_are_hashable_values():
    first, second = (sample_identity(np.random.default_rng(8)) for _ in range(2))
    assert isinstance(first, Identity)
    assert first == second
    assert hash(first) == hash(second)
