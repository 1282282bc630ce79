"""Decodes OpenPose's maps into people.

Peaks of the heat maps are candidates for joints. The part affinity fields show which two candidates a
limb connects. Limbs that share a candidate form a person. Constants and order are those of the release.

Source: Cao et al. 2017, "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from pose_gan.poses.keypoints import MISSING
from pose_gan.poses.skeleton import COCO18

NUM_JOINTS = COCO18.num_joints
NUM_HEATMAPS = NUM_JOINTS + 1  # the last one is the background
# The networks' own numbering: limb → its two joints, in the order in which limbs are added to people; and the limb's
# first affinity channel (x; the next channel is y). All limbs except `_JOINING` may begin a person.
LIMBS = np.array(
    [
        *[(1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)],
        *[(1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17)],
    ]
)
CHANNELS = np.array([12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26])
NUM_AFFINITIES = 2 * len(LIMBS)
_JOINING = (17, 18)

SMOOTHING = 3.0  # standard deviation in pixels
PEAK_THRESHOLD = 0.1
AFFINITY_THRESHOLD = 0.05
SAMPLES = 10  # number of points along a limb at which the affinity is read
AGREEING = 0.8  # the affinity must exceed the threshold at more than this share of the points
MIN_JOINTS = 4  # a person must have at least so many joints
MIN_MEAN_SCORE = 0.4  # lowest score of a person divided by the number of its joints


@dataclass(frozen=True)
class Candidates:
    """Peaks of all heat maps, in the order of the joints, then of rows and columns.

    Attributes:
        joint: int `(P,)`, index of the heat map.
        places: int `(P, 2)`, (y, x) in pixels.
        scores: float `(P,)`, value of the heat map before smoothing.
    """

    joint: np.ndarray
    places: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Limbs:
    """Connections of one kind of limb: the indices `(n,)` of the candidates at both ends, and the scores `(n,)`."""

    start: np.ndarray
    end: np.ndarray
    scores: np.ndarray


def smooth(heatmaps: np.ndarray) -> np.ndarray:
    """Smooths maps `(…, H, W, C)` with a Gaussian of a standard deviation of 3 pixels."""
    sigma = (0.0,) * (heatmaps.ndim - 3) + (SMOOTHING, SMOOTHING, 0.0)
    return gaussian_filter(heatmaps, sigma)


def find_candidates(heatmaps: np.ndarray, smoothed: np.ndarray) -> Candidates:
    """Finds the peaks: places with a value above 0.1 that is not less than the values of the four neighbours.

    Args:
        heatmaps: float `(H, W, joints)`.
        smoothed: the heat maps after `smooth`, in which peaks are searched.
    """
    peak = smoothed > PEAK_THRESHOLD
    for axis in (0, 1):
        before, after = (np.moveaxis(array, axis, 0) for array in (smoothed, peak))
        after[1:] &= before[1:] >= before[:-1]
        after[:-1] &= before[:-1] >= before[1:]
    joint, y, x = np.nonzero(np.moveaxis(peak, -1, 0))
    return Candidates(joint, np.stack([y, x], axis=1), heatmaps[y, x, joint])


def connect(candidates: Candidates, affinities: np.ndarray, limb: int) -> Limbs:
    """The connections of one kind of limb, best first. Each candidate is in one connection at most.

    The score of a connection is the mean affinity along it, minus a penalty if it is longer than half of the
    image's height. A connection needs a score above 0, and enough affinity at more than 80 % of ten points.
    """
    starts, ends = (np.flatnonzero(candidates.joint == joint) for joint in LIMBS[limb])
    a, b = candidates.places[starts][:, None], candidates.places[ends][None, :]
    vector = (b - a).astype(np.float64)  # (starts, ends, 2)
    length = np.maximum(np.linalg.norm(vector, axis=-1), 1e-3)
    share = np.linspace(0.0, 1.0, SAMPLES)[:, None]
    y, x = np.moveaxis(np.rint(a[:, :, None] + vector[:, :, None] * share).astype(int), -1, 0)
    along = (
        affinities[y, x, CHANNELS[limb]] * vector[:, :, None, 1]
        + affinities[y, x, CHANNELS[limb] + 1] * (vector[:, :, None, 0])
    )
    along = along / length[:, :, None]
    score = along.mean(axis=-1) + np.minimum(0.5 * affinities.shape[0] / length - 1, 0)
    good = ((along > AFFINITY_THRESHOLD).sum(axis=-1) > AGREEING * SAMPLES) & (score > 0)
    i, j = np.nonzero(good)
    order = np.argsort(-score[i, j], kind="stable")
    kept, used_starts, used_ends = [], set(), set()
    for row, column in zip(i[order].tolist(), j[order].tolist(), strict=True):
        if row not in used_starts and column not in used_ends:
            used_starts.add(row)
            used_ends.add(column)
            kept.append((row, column))
    rows, columns = np.array(kept, int).reshape(-1, 2).T
    return Limbs(starts[rows], ends[columns], score[rows, columns])


@dataclass
class _Person:
    """A person to whom joints are still added: `members[joint]` is the index of a candidate, or −1.

    `score` and `count` are of all joints that were added. As in the release, they keep those that were replaced later.
    """

    members: np.ndarray
    score: float
    count: int = 2

    def add(self, joint: int, candidate: int, score: float) -> None:
        self.members[joint] = candidate
        self.score += score
        self.count += 1


def find_people(heatmaps: np.ndarray, affinities: np.ndarray, smoothed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds all people in an image, and returns the best one first.

    Args:
        heatmaps: float `(H, W, ≥ joints)`, at image size.
        affinities: float `(H, W, 38)`, at image size.
        smoothed: the heat maps after `smooth`.
    Returns: keypoints int32 `(people, joints, 2)`, (y, x) in pixels, −1 where missing, and scores
        float32 `(people, joints)`, 0 where missing.
    Deviation: the release sums the affinities over its scales instead of averaging them, which makes every
        threshold on them weaker by a factor of four. It fails if a limb's joints belong to more than two people; here
        the first two count.
    """
    candidates = find_candidates(heatmaps[..., :NUM_JOINTS], smoothed[..., :NUM_JOINTS])
    people = _assemble(candidates, [connect(candidates, affinities, limb) for limb in range(len(LIMBS))])
    people = [p for p in people if p.count >= MIN_JOINTS and p.score / p.count >= MIN_MEAN_SCORE]
    people.sort(key=lambda person: -person.score)
    members = np.array([person.members for person in people], int).reshape(-1, NUM_JOINTS)
    there = members >= 0
    keypoints = np.full((*members.shape, 2), MISSING, np.int32)
    scores = np.zeros(members.shape, np.float32)
    keypoints[there] = candidates.places[members[there]]
    scores[there] = np.clip(candidates.scores[members[there]], 0, 1)
    return keypoints, scores


def _assemble(candidates: Candidates, limbs: list[Limbs]) -> list[_Person]:
    """Joins limbs that share a candidate into people."""
    people: list[_Person] = []
    for number, found in enumerate(limbs):
        first, second = LIMBS[number]
        for start, end, score in zip(found.start, found.end, found.scores, strict=True):
            owners = [person for person in people if person.members[first] == start or person.members[second] == end]
            if not owners:
                if number not in _JOINING:
                    members = np.full(NUM_JOINTS, -1)
                    members[[first, second]] = start, end
                    people.append(_Person(members, candidates.scores[[start, end]].sum() + score))
            elif len(owners) == 1:
                if owners[0].members[second] != end:
                    owners[0].add(second, end, candidates.scores[end] + score)
            elif np.any((owners[0].members >= 0) & (owners[1].members >= 0)):
                owners[0].add(second, end, candidates.scores[end] + score)
            else:
                owners[0].members = np.maximum(owners[0].members, owners[1].members)
                owners[0].score += owners[1].score + score
                owners[0].count += owners[1].count
                people = [person for person in people if person is not owners[1]]
    return people
