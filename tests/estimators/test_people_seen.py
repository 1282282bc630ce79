"""Estimators that look for everybody say how many people they saw, and whom they took."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from test_estimators_decoding import SIZE, STANDING, draw_maps

from pose_gan.estimators import landmarker
from pose_gan.estimators.openpose import OpenPoseEstimator
from pose_gan.files.images import read_image

needs_mediapipe = pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None, reason="the extra [mediapipe] is not installed"
)


def test_openpose_counts_people():
    one, other = STANDING + np.array([10, 30]), STANDING + np.array([20, 90])
    people = [[], [one], [one, other]]
    maps = np.stack([np.concatenate(draw_maps(group), axis=-1) for group in people])
    estimator = OpenPoseEstimator.__new__(OpenPoseEstimator)  # decoding needs no network
    poses = estimator.decode(maps, SIZE)
    assert poses.people is not None
    assert poses.people.tolist() == [0, 1, 2]
    assert "highest score" in poses.choice


@needs_mediapipe
def test_mediapipe_counts_people_and_takes_the_same_one(shared_data, monkeypatch):
    bundle = shared_data / "pose-estimator" / "pose_landmarker_full.task"
    photo = read_image(shared_data / "pose-estimator" / "p1.jpg")
    images = [np.zeros_like(photo), photo, np.concatenate([photo, photo[:, ::-1]], axis=1)]
    found = {}
    for most in (1, landmarker.MOST_PEOPLE):
        monkeypatch.setattr(landmarker, "MOST_PEOPLE", most)
        estimator = landmarker.LandmarkerEstimator(bundle)
        found[most] = [estimator(image[np.newaxis]) for image in images]
        estimator.close()
    one, many = found.values()
    assert [int(poses.people[0]) for poses in many] == [0, 1, 2]
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)
    assert "first" in many[0].choice
