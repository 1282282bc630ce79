"""The OpenPose estimator: scales and sizes with a network that answers known maps; real photographs where they are."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from test_estimators_decoding import STANDING, draw_maps

from pose_gan.estimators import EstimatorConfig, load_estimator
from pose_gan.estimators.openpose import OpenPoseEstimator
from pose_gan.files.images import read_image
from pose_gan.poses.keypoints import found, read_annotations


@pytest.fixture
def estimator(tmp_path, monkeypatch):
    """Sees a person where an image's first pixel is white. Maps have a 16th of the input's sides."""
    maps = np.concatenate(draw_maps([2 * STANDING + (20, 30)]), axis=-1).astype(np.float32)

    def network(images):
        size = tf.shape(images)[1:3] // 16
        shown = tf.image.resize(maps[None], size, antialias=True)
        return tf.where(images[:, :1, :1, :1] > 200, shown, 0.0)

    network.kind = "drawn maps"
    network.count_maps = lambda size: maps.shape[-1]
    monkeypatch.setattr("pose_gan.estimators.openpose.open_network", lambda path, config: network)
    return OpenPoseEstimator(tmp_path, EstimatorConfig())


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_keypoints_are_pixels_of_the_image(estimator, factor):
    """Also of images above the largest scale, which the network sees smaller."""
    images = np.zeros((2, 240 * factor, 320 * factor, 3), np.uint8)
    images[0, : 40 * factor, : 40 * factor] = 255
    poses = estimator(images)
    expected = (2 * STANDING + (20, 30)) * factor
    assert np.abs(poses.keypoints[0] - expected).max() <= 4 * factor
    assert np.median(np.abs(poses.keypoints[0] - expected)) <= factor
    assert np.all(poses.keypoints[1] == -1)
    assert np.all((poses.scores[0] > 0.1) & (poses.scores[0] <= 1))
    assert not poses.scores[1].any()


def test_images_of_any_size_are_taken(estimator):
    for size in ((1, 1), (3, 500), (500, 3)):
        poses = estimator(np.zeros((1, *size, 3), np.uint8))
        assert poses.keypoints.shape == (1, 18, 2)


def test_real_photographs(shared_data):
    """The frozen network finds joints where the release's own estimator found them."""
    folder = shared_data / "deepfashion-sample"
    annotations = read_annotations(folder / "fasion-annotation-test.csv")
    estimator = load_estimator(shared_data / "pose-estimator" / "mobilenet_v2_small_graph_opt.pb")
    chosen = [0, 3, 12, 13]
    images = np.stack([read_image(folder / "test" / annotations.names[row]) for row in chosen])
    got, expected = estimator(images).keypoints, annotations.keypoints[chosen]
    both = found(got) & found(expected)
    assert both.sum() > 0.5 * found(expected).sum()
    assert np.median(np.linalg.norm(got - expected, axis=-1)[both]) < 5
