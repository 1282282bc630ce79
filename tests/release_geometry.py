"""The geometry of the authors' release in NumPy: heat maps, part masks, part transforms, the stick-man.

Written from the release's behaviour, one sample at a time, with scikit-image for the fits; nothing of `pose_gan` is
used. Only tests import it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import skimage.transform

JOINTS = [
    "nose",
    "neck",
    "Rsho",
    "Relb",
    "Rwri",
    "Lsho",
    "Lelb",
    "Lwri",
    "Rhip",
    "Rkne",
    "Rank",
    "Lhip",
    "Lkne",
    "Lank",
]
JOINTS += ["Leye", "Reye", "Lear", "Rear"]
TORSO = ["Rhip", "Lhip", "Lsho", "Rsho"]
HEAD = ["Leye", "Reye", "Lear", "Rear", "nose"]
LIMBS = [  # from, to, how far beyond `to`: in the mask, in the transform
    *((f"{side}hip", f"{side}kne", 0.1, 0.1) for side in "RL"),
    *((f"{side}kne", f"{side}ank", 0.5, 0.3) for side in "RL"),
    *((f"{side}sho", f"{side}elb", 0.1, 0.1) for side in "RL"),
    *((f"{side}elb", f"{side}wri", 0.5, 0.3) for side in "RL"),
]
NOWHERE = np.array([[1, 0, 1000], [0, 1, 1000], [0, 0, 1]], float)

Pose = dict[str, np.ndarray]  # found joints → (x, y)


def named(keypoints: np.ndarray) -> Pose:
    """Keypoints `(18, 2)`, (y, x), by name."""
    return {name: yx[::-1] for name, yx in zip(JOINTS, keypoints.astype(int), strict=True) if -1 not in yx}


def heat_maps(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    maps = np.zeros((*size, 18))
    y, x = np.mgrid[: size[0], : size[1]]  # whole numbers, and their division is too
    for joint, (py, px) in enumerate(keypoints.astype(int)):
        if py != -1 and px != -1:
            maps[:, :, joint] = np.exp(-((y - py) ** 2 + (x - px) ** 2) // 72)
    return maps


def torso_length(pose: Pose) -> float:
    right, left = (np.sum((pose[f"{side}hip"] - pose[f"{side}sho"]) ** 2) for side in "RL")
    return math.sqrt((right + left) / 2.0)


def quadrilateral(a: np.ndarray, b: np.ndarray, length: float, beyond: float) -> np.ndarray:
    a = a + (a - b) * 0.1
    b = b + (b - a) * beyond
    normal = np.array([-(a - b)[1], (a - b)[0]])
    norm = np.linalg.norm(normal)
    if norm == 0:
        return np.array([a + 1, a - 1, b - 1, b + 1])
    normal = normal / norm
    half = length * 0.2
    return np.array([a + half * normal, a - half * normal, b - half * normal, b + half * normal])


def inside(u: np.ndarray, v: np.ndarray, at_u: np.ndarray, at_v: np.ndarray) -> np.ndarray:
    """Scikit-image 0.13's test of points against a polygon's vertices (u, v)."""
    odd = np.zeros(at_u.shape, bool)
    for i in range(len(u)):
        j = i - 1
        if v[i] != v[j]:
            between = ((v[i] <= at_v) & (at_v < v[j])) | ((v[j] <= at_v) & (at_v < v[i]))
            odd ^= between & (at_u < (u[j] - u[i]) * (at_v - v[i]) / (v[j] - v[i]) + u[i])
    return odd


def grid_points_in_polygon(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """As `skimage.measure.grid_points_in_poly` of 0.13: u is the row, v the column. Corners are (x, y)."""
    x, y = corners[:, 0].astype(float), corners[:, 1].astype(float)
    row, column = np.mgrid[: size[0], : size[1]]
    return inside(y, x, row, column)


def draw_polygon(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """As `skimage.draw.polygon` of 0.13: u is the column, v the row. Corners are (x, y)."""
    x, y = corners[:, 0].astype(float), corners[:, 1].astype(float)
    row, column = np.mgrid[: size[0], : size[1]]
    return inside(x, y, column, row)


def masks(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    pose = named(keypoints)
    length = torso_length(pose)
    head = np.zeros(size)
    found = [pose[name] for name in HEAD if name in pose]
    if found:
        x, y = np.mean(found, axis=0).astype(int)
        r = int(0.4 * length)
        head[max(y - r, 0) : min(y + r, size[0]), max(x - r, 0) : min(x + r, size[1])] = 1
    result = [np.ones(size), head]
    for a, b, beyond, _ in LIMBS:
        if a in pose and b in pose:
            result.append(grid_points_in_polygon(quadrilateral(pose[a], pose[b], length, beyond), size))
        else:
            result.append(np.zeros(size))
    return np.array(result, float)


def fit(target: Sequence[np.ndarray] | np.ndarray, source: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    return skimage.transform.estimate_transform("affine", np.array(target), np.array(source)).params


def transforms(source_keypoints: np.ndarray, target_keypoints: np.ndarray) -> np.ndarray:
    """Target → source, `(10, 8)`."""
    source, target = named(source_keypoints), named(target_keypoints)
    lengths = torso_length(source), torso_length(target)
    result = [fit([target[name] for name in TORSO], [source[name] for name in TORSO])]
    both = [name for name in HEAD if name in source and name in target]
    if both:
        both += ["Lsho", "Rsho"]
        result.append(fit([target[name] for name in both], [source[name] for name in both]))
    else:
        result.append(NOWHERE)
    for a, b, _, beyond in LIMBS:
        if a not in target or b not in target:
            result.append(NOWHERE)
            continue
        to = quadrilateral(target[a], target[b], lengths[1], beyond)
        if a not in source or b not in source:
            a, b = (("L" if name[0] == "R" else "R") + name[1:] for name in (a, b))
        if a not in source or b not in source:
            result.append(NOWHERE)
            continue
        result.append(fit(to, quadrilateral(source[a], source[b], lengths[0], beyond)))
    return np.array(result).reshape(-1, 9)[:, :8]


def uniform_transform(source_keypoints: np.ndarray, target_keypoints: np.ndarray) -> np.ndarray:
    source, target = named(source_keypoints), named(target_keypoints)
    names = TORSO + [name for name in ("Rkne", "Lkne") if name in source and name in target]
    return fit([target[name] for name in names], [source[name] for name in names]).reshape(1, 9)[:, :8]


def stick_man(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    pose, thickness = named(keypoints), int(3 * size[1] / 128.0)
    drawing = np.zeros((*size, 3))

    def line(a: np.ndarray, b: np.ndarray, channel: int, value: float) -> None:
        normal = np.array([-(a - b)[1], (a - b)[0]])
        normal = thickness * normal / np.linalg.norm(normal)
        drawing[draw_polygon(np.array([a + normal, a - normal, b - normal, b + normal]), size), channel] = value

    drawing[draw_polygon(np.array([pose[name] for name in ("Lhip", "Lsho", "Rsho", "Rhip")]), size), 2] = 1
    for channel, side in enumerate("RL"):
        chain = [side + name for name in ("ank", "kne", "hip", "sho", "elb", "wri")]
        for a, b in itertools.pairwise(chain):
            if a in pose and b in pose:
                line(pose[a], pose[b], channel, 1)
    if "nose" in pose:
        for channel in (0, 1):
            line(0.5 * (pose["Rsho"] + pose["Lsho"]), pose["nose"], channel, 0.5)
        if "Reye" in pose and "Leye" in pose:
            line(pose["nose"], pose["Reye"], 0, 0.5)
            line(pose["nose"], pose["Leye"], 1, 0.5)
    return drawing
