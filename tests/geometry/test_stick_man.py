"""The stick-man of `pose_gan.geometry` against its NumPy twin and by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import twins
from test_geometry import ANIMAL, NEAR, SIZES, joint, lizards, people, real_poses, upright

from pose_gan import geometry
from pose_gan.config import COMPATS
from pose_gan.poses.skeleton import COCO18, Skeleton


def assert_drawings_equal(ours: np.ndarray, keypoints: np.ndarray, skeleton: Skeleton = COCO18) -> None:
    """Equal to the twin but for pixels that lie on an outline to a few thousandths of a pixel."""
    image_size = ours.shape[1], ours.shape[2]
    radius = int(3 * image_size[1] / 128)
    wrong = np.any(np.abs(ours - twins.stickman(keypoints, image_size, skeleton)) > 1e-6, axis=-1)
    for b in np.nonzero(wrong.any(axis=(1, 2)))[0]:
        near = np.zeros(image_size, bool)
        for stroke in skeleton.strokes:
            corners = twins.stroke_points(keypoints[b], stroke.points, skeleton)
            if corners is not None and stroke.kind == "fill":
                near |= twins.distance_to_border(corners, image_size) < NEAR
            elif corners is not None:
                near |= np.abs(twins.distance_to_segment(corners[0], corners[1], image_size) - radius) < NEAR
        assert near[wrong[b]].all(), f"sample {b}"


@pytest.mark.parametrize("image_size", [*SIZES, (32, 24)])
def test_stickman_equals_twin(image_size):
    keypoints = people(4, image_size, 16)
    keypoints[0] = people(1, image_size, 16, 0)[0]
    ours = geometry.stickman(keypoints, image_size)
    assert ours.shape == (4, *image_size, 3)
    assert ours.dtype == tf.float32
    assert_drawings_equal(np.asarray(ours), keypoints)


def test_stickman_of_real_poses_equals_twin(shared_data):
    keypoints = real_poses(shared_data, 30, 3)
    assert_drawings_equal(np.asarray(geometry.stickman(keypoints, (128, 64))), keypoints)


def test_stickman_by_hand():
    pose = upright()
    pose[joint("nose")] = (20, 30)
    image = np.asarray(geometry.stickman(pose[None], (128, 64)))[0]
    np.testing.assert_array_equal(np.nonzero(image[60, :, 0])[0], [19, 20, 21])  # right side, half width 1
    np.testing.assert_array_equal(np.nonzero(image[60, :, 1])[0], [43, 44, 45])
    assert set(np.nonzero(image[60, :, 2])[0]) - {20, 44} == set(range(21, 44))  # torso
    assert tuple(image[30, 31]) == (0.5, 0.5, 0)  # mid-shoulder to nose
    assert image[30, 31, 2] == 0
    pose[joint("Lsho")] = -1
    image = np.asarray(geometry.stickman(pose[None], (128, 64)))[0]
    assert image[..., 0].max() == 1
    assert not image[..., 1:].any()  # no torso, no left side, no neck
    assert not np.asarray(geometry.stickman(np.full((1, 18, 2), -1), (128, 64))).any()


def test_the_brighter_of_two_strokes_wins_and_in_the_release_the_later_one():
    pose = upright()
    pose[joint("nose")] = (20, 32)  # straight above the middle of the shoulders
    pose[joint("Relb")], pose[joint("Rwri")] = (30, 20), (30, 50)  # the forearm, of 1, lies across the neck, of 0.5
    paper, release = (
        np.asarray(geometry.stickman(pose[None], (128, 64), compat=compat))[0, 30, 30:35, 0] for compat in COMPATS
    )
    np.testing.assert_array_equal(paper, 1)
    np.testing.assert_array_equal(release, [1, 0.5, 0.5, 1, 1])  # the neck is drawn later; half-open, from 31 to 33


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_drawing_of_another_skeleton(order):
    """In one of the two orders, brighter strokes are painted first."""
    skeleton = dataclasses.replace(ANIMAL, strokes=ANIMAL.strokes[order])
    target = lizards(12, 21)
    target[0] = lizards(1, 23)[0]
    assert_drawings_equal(np.asarray(geometry.stickman(target, (64, 96), skeleton=skeleton)), target, skeleton)
