"""Example pairs to look at: their choice, their pictures and their captions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pose_gan.evaluation.scores import Scores
from pose_gan.evaluation.strips import JudgedImages
from pose_gan.metrics import METRICS, RANKING
from pose_gan.poses.drawing import draw_skeleton
from pose_gan.poses.keypoints import found

CAPTION = ("mask_ssim", "ssim", "l1")


class Group(NamedTuple):
    """Rows of pairs that are shown together, and the reason for their choice."""

    name: str
    note: str
    rows: list[int]


def choose(scores: Scores, count: int, seed: int) -> list[Group]:
    """Chooses `count` pairs at random, and also the best and the worst pairs if a metric scores single images."""
    drawn = np.random.default_rng(seed).permutation(len(scores.pairs))[:count]
    groups = [Group("random", f"drawn with seed {seed}", sorted(drawn.tolist()))]
    single = [name for name, result in scores.generated.items() if result.values is not None]
    if single:
        ranking = RANKING if RANKING in single else single[0]
        spec, best_first = METRICS[ranking], ranked(values_of(scores, ranking), METRICS[ranking].higher_is_better)
        groups.append(Group("best", f"by {spec.title}, best first", best_first[:count]))
        groups.append(Group("worst", f"by {spec.title}, worst first", best_first[::-1][:count]))
    return groups


def ranked(values: np.ndarray, higher_is_better: bool) -> list[int]:
    """Rows, with the best first; rows with equal values keep their order."""
    return np.argsort(-values if higher_is_better else values, kind="stable").tolist()


def values_of(scores: Scores, metric: str) -> np.ndarray:
    """The scores `(pairs,)` of the generated images under a metric that scores single images."""
    values = scores.generated[metric].values
    assert values is not None
    return values


def caption(scores: Scores, row: int) -> str:
    """The scores of a pair in words."""
    results = scores.generated  # a metric that left pairs out has no scores of single images
    shown = [name for name in CAPTION if name in results and results[name].values is not None]
    return ", ".join(f"{METRICS[name].title} {values_of(scores, name)[row]:.3f}" for name in shown)


def pose_picture(images: JudgedImages, name: str, scale: int = 1) -> np.ndarray | None:
    """The pose of an image as a skeleton, enlarged so that its lines are finer than the image's pixels.

    Args:
        images: the images and their keypoints.
        name: name of a source or target image.
        scale: factor of the enlargement, a whole number.
    Returns: uint8 `(scale · H, scale · W, 3)`; None if the pose is not known.
    """
    if images.annotations is None or name not in images.annotations.rows:
        return None
    pose = images.annotations.keypoints[images.annotations.rows[name]].astype(float)
    if not found(pose).any():
        return None
    enlarged = np.where(found(pose)[:, None], (pose + 0.5) * scale - 0.5, -1)
    height, width = images.image_size
    return draw_skeleton(enlarged, (height * scale, width * scale), images.skeleton)


def enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """Enlarges an image `(H, W, 3)`: every pixel becomes a square of `scale` × `scale` pixels."""
    return image.repeat(scale, axis=0).repeat(scale, axis=1)
