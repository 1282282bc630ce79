"""The walk: closed, smooth, alternating, and seen from the right side."""

from __future__ import annotations

import numpy as np
import pytest

from pose_gan.poses.keypoints import found
from pose_gan.poses.skeleton import COCO18
from pose_gan.poses.walk import SHANK, THIGH, walk


def joint(poses: np.ndarray, name: str) -> np.ndarray:
    return poses[:, COCO18.index(name)]


def test_it_is_a_smooth_cycle():
    poses = walk(48, view=90.0)
    steps = np.abs(np.diff(np.concatenate([poses, poses[:1]]), axis=0)).max(axis=(1, 2))
    assert steps.max() < 0.05  # statures; a jump at the seam would be larger
    assert steps.max() < 4 * np.median(steps)


def test_legs_keep_their_lengths_and_alternate():
    poses = walk(24, view=90.0)
    for side, other in ("RL", "LR"):
        hip, knee, ankle = (joint(poses, side + name) for name in ("hip", "kne", "ank"))
        np.testing.assert_allclose(np.linalg.norm(knee - hip, axis=1), THIGH, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(ankle - knee, axis=1), SHANK, atol=1e-5)
        np.testing.assert_allclose(np.roll(ankle, 12, axis=0), joint(poses, other + "ank"), atol=1e-5)


def test_knees_bend_backwards_and_arms_swing_against_the_legs():
    poses = walk(24, view=90.0)  # the person looks to the right of the image
    hip, knee, ankle = (joint(poses, f"R{name}")[:, 1] for name in ("hip", "kne", "ank"))
    assert np.all(ankle - knee <= (knee - hip) * SHANK / THIGH + 1e-5)
    leg, arm = ankle - hip, joint(poses, "Rwri")[:, 1] - joint(poses, "Rsho")[:, 1]
    assert np.corrcoef(leg, arm)[0, 1] < -0.7


@pytest.mark.parametrize(("view", "side"), [(0.0, 1), (180.0, -1)])
def test_left_and_right_as_the_camera_sees_them(view, side):
    poses = walk(8, view)
    assert np.all(side * (joint(poses, "Lhip")[:, 1] - joint(poses, "Rhip")[:, 1]) > 0)
    assert np.all(side * (joint(poses, "Lsho")[:, 1] - joint(poses, "Rsho")[:, 1]) > 0)


def test_faces_are_seen_from_the_front_only():
    assert found(walk(8, 0.0)).all()
    assert not found(joint(walk(8, 180.0), "nose")).any()
    assert joint(walk(8, 0.0), "nose")[:, 0].max() < 0.15  # the head is up
