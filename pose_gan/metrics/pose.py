"""PCKh of an estimator's answers on the generated images: it measures whether the person is in the target pose."""

from __future__ import annotations

from functools import cache

import numpy as np

from pose_gan.errors import InputError
from pose_gan.estimators import Estimator, load_estimator
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricOptions, MetricSpec, Result, State
from pose_gan.metrics.pckh import HEAD_SIZE, pckh

THRESHOLD = 0.5  # head sizes


class PosePCKh:
    """The share of the target's joints that the estimator finds in the right place of the generated images.

    A joint that the estimator does not find counts as wrong. The metric keeps two counts per joint.

    Args:
        estimator: the estimator that finds the poses in the images; its joints must be those of the target poses.
    """

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        joints = estimator.skeleton.num_joints
        self._hits, self._counts = np.zeros(joints, np.int64), np.zeros(joints, np.int64)
        self._images = 0

    def update(self, batch: ImageBatch) -> None:
        """Adds a batch.

        Raises: CannotCompute: the joints of the estimator and of the targets differ, or the poses have no size.
        """
        if not batch.skeleton.scale_sides:
            raise CannotCompute(
                f"does not apply: skeleton {batch.skeleton.name!r} has no scale_sides, in which PCKh measures distances"
            )
        if self._estimator.skeleton.joints != batch.skeleton.joints:
            raise CannotCompute(
                f"pose_estimator: {self._estimator.name} finds the joints of skeleton "
                f"{self._estimator.skeleton.name!r}, the target poses are of {batch.skeleton.name!r}; "
                "PCKh needs an estimator of the same joints"
            )
        step = self._estimator.preferred_batch
        for start in range(0, len(batch), step):
            part = slice(start, start + step)
            poses = self._estimator(batch.generated[part])
            joints = pckh(poses.keypoints, batch.target_keypoints[part], batch.skeleton, THRESHOLD)
            self._hits += joints.hits
            self._counts += joints.counts
        self._images += len(batch)

    def state(self) -> State:
        return {"hits": self._hits, "counts": self._counts, "images": np.array(self._images)}

    def merge(self, state: State) -> None:
        self._hits += state["hits"]
        self._counts += state["counts"]
        self._images += int(state["images"])

    def result(self) -> Result:
        """The mean over the joints that occur in the targets. `details` holds the share of each of them.

        Raises: InputError: there were no images, or no image has a joint to look for.
        """
        if not self._images:
            raise InputError("no images to score")
        there = self._counts > 0
        if not there.any():
            raise InputError("PCKh: no target pose has a joint and a side of the torso, so there is nothing to find")
        shares = self._hits[there] / self._counts[there]
        names = np.array(self._estimator.skeleton.joints)[there].tolist()
        details = dict(zip(names, shares.tolist(), strict=True))
        return Result(float(shares.mean()), None, self._images, details=details)


@cache
def shared_estimator(path: str) -> Estimator:
    """`load_estimator`, called once per path, so that generated, copied and real images share one network."""
    return load_estimator(path)


def _create(options: MetricOptions) -> PosePCKh:
    if options.pose_estimator is None:
        raise CannotCompute(
            "needs a network that finds keypoints in the generated images: --pose_estimator FILE, a network of "
            "OpenPose's kind (.pb, .keras, .h5, a SavedModel), a MediaPipe Pose Landmarker (.task), or demo for the "
            "demo data"
        )
    return PosePCKh(shared_estimator(options.pose_estimator))


SPECS: tuple[MetricSpec, ...] = (
    MetricSpec(
        name="pckh",
        title=f"PCKh@{THRESHOLD}",
        higher_is_better=True,
        settings={
            "threshold": f"{THRESHOLD} head sizes of {HEAD_SIZE} torso lengths of the target pose each (the skeleton's "
            "scale_sides)",
            "mean": "over joints; a joint that is not found counts as wrong",
            "estimator": "pose_estimator",
        },
        create=_create,
        protocol=(
            "PCKh of Andriluka et al. 2014, with the head size taken from the torso; another scale than the PCKh of "
            "Zhu et al. 2019, whose head is a box around face joints and whose mean is over all joints at once"
        ),
        by_default=False,
        needs_keypoints=True,
    ),
)
