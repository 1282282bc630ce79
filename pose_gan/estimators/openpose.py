"""Pose estimation with OpenPose's kind of network, as in the release: at several scales, followed by decoding."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from pose_gan.errors import InputError
from pose_gan.estimators.base import EstimatorConfig, Poses
from pose_gan.estimators.decoding import NUM_AFFINITIES, NUM_HEATMAPS, NUM_JOINTS, find_people, smooth
from pose_gan.estimators.networks import open_network
from pose_gan.poses.keypoints import MISSING, found
from pose_gan.poses.skeleton import COCO18, Skeleton

BOX = 368  # pixels of height, the size at which these networks were trained
CHOICE = "the one with the highest score was taken"
MULTIPLE = 16  # the input's sides are multiples of it, since some graphs join maps of several strides


class OpenPoseEstimator:
    """Finds the best person in each image from 19 heat maps and 38 part affinity maps.

    Args:
        path: the network's file; see `pose_gan.estimators.networks.open_network`.
        config: the settings of the estimator.
    Raises: InputError: the file is not such a network, or the scales are not numbers.
    Deviation: the release does not round the input size; here its sides are multiples of 16, because some
        graphs need it. Images that are higher than the largest scale (736 pixels) are shrunk to it first.
    """

    skeleton: Skeleton = COCO18
    preferred_batch = 4

    def __init__(self, path: str | os.PathLike[str], config: EstimatorConfig | None = None) -> None:
        config = config or EstimatorConfig()
        self._scales = _scales(config.scales)
        self._network = open_network(path, config)
        self.name = self._network.kind
        count = self._network.count_maps((4 * MULTIPLE, 4 * MULTIPLE))
        if count != NUM_HEATMAPS + NUM_AFFINITIES:
            raise InputError(
                f"pose_estimator: {path}: gives {count} maps; OpenPose's networks give {NUM_HEATMAPS} heat maps and "
                f"{NUM_AFFINITIES} part affinity maps"
            )
        self._averaged = tf.function(self._average, input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])

    def __call__(self, images: np.ndarray) -> Poses:
        """See `pose_gan.estimators.Estimator`."""
        return self.decode(self.maps(images), images.shape[1:3])

    def maps(self, images: np.ndarray) -> np.ndarray:
        """The network's maps at image size, averaged over the scales.

        Args:
            images: uint8 `(B, H, W, 3)`, RGB.
        Returns: float32 `(B, h, w, 57)`; (h, w) is (H, W), or smaller for images above 736 pixels.
        """
        return self._averaged(tf.cast(images, tf.float32)).numpy()

    def decode(self, maps: np.ndarray, image_size: tuple[int, int]) -> Poses:
        """The best person in each image.

        Args:
            maps: from `maps`.
            image_size: (height, width) of the images, in pixels.
        """
        heatmaps, affinities = maps[..., :NUM_JOINTS], maps[..., NUM_HEATMAPS:]
        smoothed = smooth(heatmaps)
        keypoints = np.full((len(maps), NUM_JOINTS, 2), MISSING, np.int32)
        scores = np.zeros((len(maps), NUM_JOINTS), np.float32)
        seen = np.zeros(len(maps), int)
        for number in range(len(maps)):
            people, sure = find_people(heatmaps[number], affinities[number], smoothed[number])
            seen[number] = len(people)
            if len(people):
                keypoints[number], scores[number] = people[0], sure[0]
        enlarged = (keypoints + 0.5) * (np.asarray(image_size) / maps.shape[1:3])
        return Poses(np.where(found(keypoints)[..., None], enlarged.astype(np.int32), MISSING), scores, seen, CHOICE)

    def _average(self, images: tf.Tensor) -> tf.Tensor:
        size = tf.cast(tf.shape(images)[1:3], tf.float32)
        factor = tf.minimum(1.0, max(self._scales) * BOX / size[0])
        size = tf.maximum(tf.cast(size * factor, tf.int32), 1)
        total = tf.zeros((tf.shape(images)[0], size[0], size[1], NUM_HEATMAPS + NUM_AFFINITIES))
        for scale in self._scales:
            sides = tf.cast(size, tf.float32) * (scale * BOX / tf.cast(size[0], tf.float32) / MULTIPLE)
            sides = tf.maximum(tf.cast(tf.round(sides), tf.int32), 1) * MULTIPLE
            maps = self._network(tf.image.resize(images, sides, "bicubic", antialias=True))
            total += tf.image.resize(maps, size)
        return total / len(self._scales)


def _scales(text: str) -> list[float]:
    try:
        scales = [float(part) for part in text.split(",")]
    except ValueError:
        scales = []
    if not scales or not all(0 < scale <= 8 for scale in scales):
        raise InputError(f"--scales: got {text!r}; give numbers above 0, up to 8, separated by commas: 0.5,1,1.5,2")
    return scales
