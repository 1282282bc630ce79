"""PCKh: the share of joints that are found close to their true places, with distances in head sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_gan.errors import InputError
from pose_gan.poses.keypoints import found
from pose_gan.poses.skeleton import COCO18, Skeleton

HEAD_SIZE = 0.3  # torso lengths


@dataclass(frozen=True)
class JointResults:
    """The comparison of found poses with true ones, joint by joint. All arrays are bool `(N, joints)`.

    Attributes:
        right: the joint exists in the true pose and was found close enough to its true place.
        counted: the joint exists in the true pose, and the head size of the pose is known.
        present: the joint exists in the true pose.
        found: the joint was found, at any place.
    """

    right: np.ndarray
    counted: np.ndarray
    present: np.ndarray
    found: np.ndarray

    @property
    def hits(self) -> np.ndarray:
        """The number of times that each joint was right: int64 `(joints,)`."""
        return self.right.sum(axis=0)

    @property
    def counts(self) -> np.ndarray:
        """The number of times that each joint could have been right: int64 `(joints,)`."""
        return self.counted.sum(axis=0)

    @property
    def per_joint(self) -> np.ndarray:
        """PCKh of each joint, float64 `(joints,)` in [0, 1]; NaN for a joint that is never counted."""
        return _share(self.hits, self.counts)

    @property
    def mean(self) -> float:
        """PCKh: the mean over the joints that are counted at least once; NaN if there are none."""
        known = self.per_joint[self.counts > 0]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def false_positive_share(self) -> float:
        """The share of the joints missing in the true poses that were found nevertheless."""
        return float(_share((self.found & ~self.present).sum(), (~self.present).sum()))

    @property
    def false_negative_share(self) -> float:
        """The share of the joints present in the true poses that were not found at all."""
        return float(_share((~self.found & self.present).sum(), self.present.sum()))


def pckh(
    found_keypoints: np.ndarray,
    true_keypoints: np.ndarray,
    skeleton: Skeleton = COCO18,
    threshold: float = 0.5,
) -> JointResults:
    """Compares found poses with true ones. A joint is right if it is within `threshold` head sizes of its true place.

    Args:
        found_keypoints, true_keypoints: `(N, joints, 2)` or `(joints, 2)`, (y, x) in pixels, −1 where missing.
        skeleton: the skeleton of the keypoints.
        threshold: largest distance in head sizes; PCKh@0.5 is the usual metric.
    Raises: InputError: the keypoints have another shape, or the skeleton has no `scale_sides`.
    Reference: Andriluka et al., 2D Human Pose Estimation: New Benchmark and State of the Art Analysis, CVPR 2014.
    Deviation: in the reference, the head size is 0.6 times the diagonal of a hand-drawn box around the head. Our joints
        do not include the top of the head, and ears and eyes are often turned away. So our head size is 0.3 torso
        lengths (the `st` of the part masks, in the true pose). This is 0.6 times the diagonal for a head of 0.13 × 0.09
        body heights and a torso of 0.32. A pose with neither side of the torso has no head size, and its joints are
        not `counted`. Of another object than a person, the `scale_sides` of its skeleton are the torso: a joint is
        right within 0.15 of their length.
    """
    answers, truth = (
        _poses(found_keypoints, "found_keypoints", skeleton),
        _poses(true_keypoints, "true_keypoints", skeleton),
    )
    if answers.shape != truth.shape:
        raise InputError(f"found_keypoints {answers.shape} and true_keypoints {truth.shape} differ in shape")
    limit = threshold * HEAD_SIZE * torso_lengths(truth, skeleton)[:, None]
    is_found, present = found(answers), found(truth)
    near = np.linalg.norm(answers - truth, axis=-1) <= limit  # always False if the limit is unknown (NaN)
    counted = present & np.isfinite(limit)
    return JointResults(right=counted & is_found & near, counted=counted, present=present, found=is_found)


def torso_lengths(keypoints: np.ndarray, skeleton: Skeleton = COCO18) -> np.ndarray:
    """The scale `st` of each pose: the root of the mean squared length of the torso's sides that were found.

    Args:
        keypoints: `(N, joints, 2)`, (y, x) in pixels, −1 where missing.
    Returns: float64 `(N,)` in pixels; NaN where no side was found.
    """
    if not skeleton.scale_sides:
        raise InputError(f"skeleton {skeleton.name!r} has no scale_sides, so its poses have no size")
    first, second = (skeleton.indices(names) for names in zip(*skeleton.scale_sides, strict=True))
    is_found = found(keypoints)
    both = is_found[:, first] & is_found[:, second]
    squares = np.sum((keypoints[:, first] - keypoints[:, second]) ** 2.0, axis=-1)
    return np.sqrt(_share((squares * both).sum(axis=1), both.sum(axis=1)))


def _poses(keypoints: np.ndarray, name: str, skeleton: Skeleton) -> np.ndarray:
    """The keypoints as float64 `(N, joints, 2)`, so that differences of unsigned integers do not wrap around."""
    poses = np.asarray(keypoints, dtype=np.float64)
    if poses.ndim not in (2, 3) or poses.shape[-2:] != (skeleton.num_joints, 2):
        raise InputError(
            f"{name}: expected (N, joints, 2) with {skeleton.num_joints} joints of skeleton {skeleton.name!r}, "
            f"got {poses.shape}"
        )
    return poses.reshape(-1, skeleton.num_joints, 2)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
