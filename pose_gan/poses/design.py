"""Pictures for the design of a skeleton: a layout of its joints, and a pose with the name of every joint."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pose_gan.poses.drawing import TEXT_COLOUR, WHITE, draw_skeleton
from pose_gan.poses.keypoints import found
from pose_gan.poses.skeleton import Skeleton

LABEL_HEIGHT = 12  # pixels
AWAY = 6  # pixels between a joint and its name
DOT = 3  # pixels, radius of a joint
CANVAS = 512  # pixels of a side


def lay_out(skeleton: Skeleton) -> np.ndarray:
    """Places for the joints of a skeleton that show which of them are connected.

    The joints that `mirror_pairs` pair lie at the same height, the first one at the left, as in a body that is seen
    from the front. They are as far apart as there are edges between them. The height is the main axis of all joints'
    distances, in edges. Joints of one part count as neighbours of second degree where edges do not connect them.

    Returns: int32 `(joints, 2)`, (y, x) in pixels of a picture of 512×512.
    Source: classical multidimensional scaling (Torgerson 1952), of the means of mirrored joints.
    """
    distances = _steps(skeleton)
    centring = np.eye(skeleton.num_joints) - 1 / skeleton.num_joints
    inner = -0.5 * centring @ distances**2 @ centring
    both = (np.eye(skeleton.num_joints) + np.eye(skeleton.num_joints)[skeleton.flip_order]) / 2
    heights, sides = _main_axes(both @ inner @ both)
    if skeleton.mirror_pairs:
        right, left = (skeleton.indices(names) for names in zip(*skeleton.mirror_pairs, strict=True))
        sides = np.zeros(skeleton.num_joints)
        sides[left] = distances[right, left] / 2
        sides[right] = -sides[left]
    if heights[0] > 0:  # the first joint, which usually is of the head, lies in the upper half
        heights = -heights
    places = np.stack([heights, sides], axis=-1)
    places -= (places.min(axis=0) + places.max(axis=0)) / 2
    largest = np.abs(places).max()
    return np.rint(CANVAS * (0.5 + 0.4 * places / (largest or 1.0))).astype(np.int32)


def draw_names(keypoints: np.ndarray, image: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """A pose over a paled image, with the name of every found joint beside it, where there is room.

    Args:
        keypoints: `(joints, 2)`, (y, x) in pixels of the image, −1 where missing.
        image: uint8 `(H, W, 3)`.
    Returns: uint8 `(H, W, 3)`.
    """
    pale = np.rint(255 - (255 - image.astype(np.float32)) * 0.7).astype(np.uint8)
    bare = draw_skeleton(keypoints, image.shape[:2], skeleton, pale, thickness=0.3)
    sheet = Image.fromarray(draw_dots(keypoints, bare))
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(LABEL_HEIGHT)
    is_found = found(keypoints)
    taken: list[Box] = [(x - DOT, y - DOT, x + DOT, y + DOT) for y, x in keypoints[is_found].tolist()]
    for name, (y, x) in zip(np.array(skeleton.joints)[is_found].tolist(), keypoints[is_found].tolist(), strict=True):
        width = pen.textlength(name, font=font)
        boxes = [
            (x + across - width / 2, y + down - LABEL_HEIGHT / 2, x + across + width / 2, y + down + LABEL_HEIGHT / 2)
            for far in (AWAY, 3 * AWAY)
            for down in (0, -far - LABEL_HEIGHT / 2, far + LABEL_HEIGHT / 2)
            for across in (far + width / 2, -far - width / 2, 0)
            if down or across
        ]
        box = min(boxes, key=lambda box: _cost(box, taken, sheet.size))
        taken.append(box)
        if np.hypot((box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 2 - y) > 2 * AWAY + width / 2:
            pen.line([x, y, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2], fill=(150, 150, 150))
        pen.text(
            (box[0], (box[1] + box[3]) / 2), name, TEXT_COLOUR, font, anchor="lm", stroke_width=1, stroke_fill=WHITE
        )
    return np.asarray(sheet)


def draw_dots(keypoints: np.ndarray, image: np.ndarray) -> np.ndarray:
    """White dots with a dark outline at the found joints: uint8 `(H, W, 3)`, as the image."""
    sheet = Image.fromarray(image)
    pen = ImageDraw.Draw(sheet)
    for y, x in keypoints[found(keypoints)].tolist():
        pen.ellipse([x - DOT, y - DOT, x + DOT, y + DOT], WHITE, TEXT_COLOUR)
    return np.asarray(sheet)


Box = tuple[float, float, float, float]


def _cost(box: Box, taken: list[Box], size: tuple[int, int]) -> float:
    """The area, in pixels, of a name that covers other things or lies outside of the picture."""
    inside = max(0.0, min(box[2], size[0]) - max(box[0], 0)) * max(0.0, min(box[3], size[1]) - max(box[1], 0))
    covered = sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )
    return covered + 4 * ((box[2] - box[0]) * (box[3] - box[1]) - inside)


def _steps(skeleton: Skeleton) -> np.ndarray:
    """The number of edges between each two joints: float64 `(joints, joints)`."""
    count = skeleton.num_joints
    steps = np.full((count, count), np.inf)
    np.fill_diagonal(steps, 0)
    pairs = [(skeleton.index(a), skeleton.index(b), 1.0) for a, b in skeleton.edges]
    for part in skeleton.parts:
        rows = skeleton.indices(part.joints + part.anchors)
        far = 2.0 if part.kind != "limb" else 1.0
        pairs += [(a, b, far) for a in rows for b in rows if a != b and not (part.kind == "whole" and len(rows) > 8)]
    for a, b, length in pairs:
        if a != b:
            steps[a, b] = steps[b, a] = min(steps[a, b], length)
    for middle in range(count):  # Floyd and Warshall
        steps = np.minimum(steps, steps[:, middle, None] + steps[None, middle])
    unconnected = np.isinf(steps)
    steps[unconnected] = 1 + np.max(steps[~unconnected])
    return steps


def _main_axes(inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The coordinates along the first and the second main axis of points with these inner products."""
    values, vectors = np.linalg.eigh(inner)
    roots = np.sqrt(np.maximum(values, 0))
    second = vectors[:, -2] * roots[-2] if len(values) > 1 else np.zeros(1)
    return vectors[:, -1] * roots[-1], second
