"""One labelled picture of what a generator is told about a pair of poses, and what it makes of it (paper, Fig. 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pose_gan.config import ModelConfig
from pose_gan.evaluation import explanation
from pose_gan.poses.drawing import draw_skeleton, hues, parts_overlay

HEIGHT, SMALL = 320, 160  # pixels of the pictures of the first row and of the parts, at least
GAP, MARGIN, LINE = 12, 24, 20  # pixels
INK, PALE, GROUND = (34, 34, 34), (110, 110, 110), (255, 255, 255)
NO_TRANSFORM = "no transform"
FAR = 1.5  # larger sides of the image; no part moves as far, but one without a transform is moved out of the image


@dataclass(frozen=True)
class Panel:
    """A picture with its label.

    Attributes:
        label: one line below the picture.
        picture: uint8 `(H, W, 3)`.
        note: a second line; empty: none.
        colour: RGB of a line above the picture; None: there is none.
    """

    label: str
    picture: np.ndarray
    note: str = ""
    colour: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Row:
    """Panels side by side under a heading; `height` is that of their pictures in pixels, at least."""

    heading: str
    panels: Sequence[Panel]
    height: int


def explanation_rows(
    source: np.ndarray, pose: np.ndarray, target: np.ndarray, generated: np.ndarray, settings: ModelConfig
) -> list[Row]:
    """The panels of the picture: inputs and result, and each part in the source and where it was moved to.

    Args:
        source, generated: uint8 `(H, W, 3)` of the generator's size.
        pose, target: keypoints of the source and the target `(joints, 2)`, (y, x) in pixels, −1 where missing.
        settings: those of the generator.
    Returns: one row, and two more if the generator's skip connections move parts by the poses.
    """
    size, skeleton = settings.image_size, settings.skeleton
    black = np.zeros_like(source)
    masks = [explanation.part_masks(keypoints, settings) for keypoints in (pose, target)]
    inputs = [
        Panel("source and its pose", draw_skeleton(pose, size, skeleton, source)),
        Panel("parts in the source", parts_overlay(masks[0], source)),
        Panel("target pose", draw_skeleton(target, size, skeleton)),
        Panel("parts in the target pose", parts_overlay(masks[1], black)),
    ]
    result = Panel("generated", generated)
    if settings.warp_skip not in explanation.MOVING:
        return [Row("What the generator is told, and what it draws", [*inputs, result], HEIGHT)]
    moved = explanation.deformed_source(source, pose, target, settings)
    rows = [
        Row(
            "What the generator is told, what its skip connections see of it, and what it draws",
            [*inputs, Panel("source, moved by parts", moved), result],
            HEIGHT,
        )
    ]
    return rows + _parts(source, pose, target, settings, masks)


def _parts(
    source: np.ndarray, pose: np.ndarray, target: np.ndarray, settings: ModelConfig, masks: Sequence[np.ndarray]
) -> list[Row]:
    """Two rows: where each part is taken from, and where it goes."""
    names = [name.replace("_", " ") for name in explanation.part_names(settings)]
    transforms = explanation.part_transforms(pose, target, settings)
    pieces = explanation.deformed_source_by_part(source, pose, target, settings)
    if settings.warp_skip != "mask":
        masks = [np.ones((1, *settings.image_size), bool)] * 2
    taken, moved = [], []
    colours = hues(len(names)).tolist()
    for name, mask, aim, matrix, piece, colour in zip(names, *masks, transforms, pieces, colours, strict=True):
        shade = (colour[0], colour[1], colour[2])
        taken.append(Panel(name, np.where(mask[..., np.newaxis], source, source // 4 + 160), colour=shade))
        words = transform_in_words(matrix, aim)
        moved.append(Panel(words[0], piece, words[1], shade))
    return [
        Row("Each part in the source", taken, SMALL),
        Row("Each part moved by its affine transform, and cut out by its mask in the target pose", moved, SMALL),
    ]


def transform_in_words(matrix: np.ndarray, mask: np.ndarray) -> tuple[str, str]:
    """What a part's transform does to the part.

    Args:
        matrix: `(2, 3)` from the target to the source, in (x, y) pixels, as `explanation.part_transforms` gives it.
        mask: bool `(H, W)`: the part in the target pose.
    Returns: two short lines, such as `turn 12°, size 0.94` (clockwise) and `shift 3, -5 px` (of the middle of the part;
        x to the right, y downwards).
    """
    linear, offset = matrix[:, :2], matrix[:, 2]
    area = float(np.linalg.det(linear))
    if not mask.any() or not np.isfinite(matrix).all() or abs(area) < 1e-6:
        return NO_TRANSFORM, "a joint is missing"
    middle = np.argwhere(mask).mean(axis=0)[::-1]
    x, y = middle - (linear @ middle + offset)
    if max(abs(x), abs(y)) > FAR * max(mask.shape):
        return NO_TRANSFORM, "a joint is missing"
    forward = np.linalg.inv(linear)
    turn = math.degrees(math.atan2(forward[1, 0] - forward[0, 1], forward[0, 0] + forward[1, 1]))
    mirrored = ", mirrored" if area < 0 else ""
    return f"turn {round(turn)}°, size {abs(area) ** -0.5:.2f}{mirrored}", f"shift {round(x)}, {round(y)} px"


def draw_rows(rows: Sequence[Row]) -> np.ndarray:
    """The picture: uint8 `(height, width, 3)`. Panels are enlarged by a whole factor, pixel by pixel."""
    scales = [max(1, -(-row.height // row.panels[0].picture.shape[0])) for row in rows]
    widths = [
        sum(panel.picture.shape[1] * scale + GAP for panel in row.panels) - GAP
        for row, scale in zip(rows, scales, strict=True)
    ]
    heights = [
        row.panels[0].picture.shape[0] * scale + LINE * (3 if any(panel.note for panel in row.panels) else 2) + 2 * GAP
        for row, scale in zip(rows, scales, strict=True)
    ]
    sheet = Image.new("RGB", (max(widths) + 2 * MARGIN, sum(heights) + 2 * MARGIN), GROUND)
    pen, top = ImageDraw.Draw(sheet), MARGIN
    for row, scale, width, height in zip(rows, scales, widths, heights, strict=True):
        pen.text((MARGIN, top), row.heading, INK, ImageFont.load_default(15))
        spare = (max(widths) - width) / max(1, len(row.panels) - 1)  # rows share both margins
        left = float(MARGIN)
        for panel in row.panels:
            _draw(sheet, pen, panel, scale, (round(left), top + LINE + GAP // 2))
            left += panel.picture.shape[1] * scale + GAP + spare
        top += height
    return np.asarray(sheet)


def _draw(sheet: Image.Image, pen: ImageDraw.ImageDraw, panel: Panel, scale: int, place: tuple[int, int]) -> None:
    left, top = place
    height, width = (side * scale for side in panel.picture.shape[:2])
    picture = Image.fromarray(np.ascontiguousarray(panel.picture))
    sheet.paste(picture.resize((width, height), Image.Resampling.NEAREST), (left, top))
    if panel.colour:
        pen.rectangle((left, top - 4, left + width - 1, top - 1), panel.colour)
    for number, (text, ink) in enumerate(((panel.label, INK), (panel.note, PALE))):
        size = 13
        while size > 8 and pen.textlength(text, ImageFont.load_default(size)) > width:
            size -= 1
        middle = (left + width / 2, top + height + LINE * (number + 0.5))
        pen.text(middle, text, ink, ImageFont.load_default(size), anchor="mm")
