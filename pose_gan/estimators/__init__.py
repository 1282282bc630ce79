"""Pose estimators: they take images and return 18 keypoints with scores per image.

`load_estimator` chooses the estimator by the kind of the file. `openpose` runs frozen graphs, SavedModels
and Keras models that give OpenPose's maps. `heatmap` runs the package's own small network. `landmarker`
runs MediaPipe's `.task` files.
"""

from __future__ import annotations

import os
from pathlib import Path

from pose_gan.errors import InputError
from pose_gan.estimators.base import Estimator, EstimatorConfig, Poses

__all__ = ["Estimator", "EstimatorConfig", "Poses", "check_estimator", "load_estimator"]

DEMO = "demo"  # the network that comes with the package


def check_estimator(path: str | os.PathLike[str]) -> None:
    """Raises InputError if the file does not exist. The file is not opened."""
    if os.fspath(path) != DEMO and not Path(path).exists():
        raise InputError(f"pose_estimator: {path}: no such file; give a network's file, or {DEMO!r} for the demo's own")


def load_estimator(path: str | os.PathLike[str], config: EstimatorConfig | None = None) -> Estimator:
    """Opens a pose estimator.

    Args:
        path: `demo` (the package's own network; it knows only the people of the demo data), a
            MediaPipe Pose Landmarker bundle (`.task`), or a network that gives OpenPose's 19 heat
            maps and 38 part affinity maps: a frozen TensorFlow graph (`.pb`), a SavedModel (folder)
            or a Keras model (`.keras`, `.h5`; also the release's `pose_estimator.h5`).
        config: the settings of the estimator; None: the defaults.
    Raises: InputError: the file does not exist or is of another kind.
    """
    check_estimator(path)
    config = config or EstimatorConfig()
    if os.fspath(path) == DEMO:
        from pose_gan.estimators.heatmap import demo_estimator

        return demo_estimator()
    if Path(path).suffix == ".task":
        from pose_gan.estimators.landmarker import LandmarkerEstimator

        return LandmarkerEstimator(path)
    from pose_gan.estimators.openpose import OpenPoseEstimator

    return OpenPoseEstimator(path, config)
