"""Pictures for people to look at: poses, strips, labelled grids, part masks. NumPy and Pillow only.

Images are uint8 `(H, W, 3)`, RGB, unless stated otherwise.
"""

from __future__ import annotations

import colorsys
import os
from collections.abc import Sequence

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.poses.keypoints import found
from pose_gan.poses.skeleton import COCO18, Skeleton

SUPERSAMPLING = 4  # lines are drawn larger by this factor, then averaged, so that their borders are smooth
GUTTER = 4  # white pixels between the pictures of a grid
WHITE = (255, 255, 255)
TEXT_COLOUR = (40, 40, 40)


def to_uint8(images: np.ndarray, truncate: bool = False) -> np.ndarray:
    """Images in [-1, 1] as uint8: `round((v + 1) · 127.5)`, clipped.

    Args:
        images: numbers, any shape.
        truncate: truncate instead of rounding.
    Returns: uint8, the same shape.
    Raises: InputError: a value is not finite.
    Deviation: the release truncates. This darkens images by half a grey level, and may change an image that
        is converted from uint8 to [-1, 1] and back.
    """
    images = np.asarray(images, dtype=np.float32)
    if not np.isfinite(images).all():
        raise InputError(f"{int((~np.isfinite(images)).sum())} of {images.size} values of the image are not finite")
    levels = np.clip((images + 1) * 127.5, 0, 255)
    return (levels if truncate else np.rint(levels)).astype(np.uint8)


def to_float(images: np.ndarray) -> np.ndarray:
    """uint8 images as float32 in [-1, 1]: `v / 127.5 − 1`. `to_uint8` is the exact inverse.

    Args:
        images: uint8, any shape.
    Returns: float32, the same shape.
    """
    return np.asarray(images).astype(np.float32) / np.float32(127.5) - np.float32(1)


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes an image, atomically, in the format of the suffix.

    Args:
        path: the file.
        image: uint8 `(H, W, 3)` or `(H, W)`.
    Raises: InputError: the image is not uint8.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise InputError(f"{path}: only uint8 images are written, got {image.dtype}; see to_uint8")
    with atomic_path(path) as temporary:
        iio.imwrite(temporary, image)


def hues(count: int) -> np.ndarray:
    """`count` colours spread evenly over the hue circle: uint8 `(count, 3)`."""
    colours = [colorsys.hsv_to_rgb(number / max(count, 1), 0.85, 1.0) for number in range(count)]
    return np.rint(np.array(colours).reshape(count, 3) * 255).astype(np.uint8)


def draw_skeleton(
    keypoints: np.ndarray,
    image_size: tuple[int, int],
    skeleton: Skeleton = COCO18,
    background: np.ndarray | None = None,
    thickness: float = 1.0,
) -> np.ndarray:
    """A pose as coloured limbs and joint dots.

    Args:
        keypoints: `(joints, 2)`, (y, x) in pixels, −1 where missing; missing joints and their limbs
            are left out.
        image_size: (height, width) in pixels, which also determines the thickness of the lines.
        skeleton: gives the edges to draw; each edge has its own hue, which does not depend on the joints found.
        background: uint8 `(H, W, 3)` to draw over; None: black.
        thickness: multiplies the thickness of the lines.
    Returns: uint8 `(H, W, 3)`.
    """
    height, width = image_size
    keypoints = np.asarray(keypoints)
    if background is None:
        background = np.zeros((height, width, 3), np.uint8)
    if background.shape != (height, width, 3):
        raise InputError(f"background: expected shape {(height, width, 3)}, got {background.shape}")
    is_found = found(keypoints)
    scale = SUPERSAMPLING
    line = max(1.0, thickness * np.sqrt(height * width) / 45) * scale
    # The lines are drawn on a separate layer with opacity, so that averaging does not blur the background.
    layer = Image.new("RGBA", (width * scale, height * scale), (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    points = [((x + 0.5) * scale, (y + 0.5) * scale) for y, x in keypoints.astype(float).tolist()]
    for (a, b), colour in zip(skeleton.edges, hues(len(skeleton.edges)).tolist(), strict=True):
        i, j = skeleton.index(a), skeleton.index(b)
        if is_found[i] and is_found[j]:
            pen.line([points[i], points[j]], fill=(*colour, 255), width=round(line))
    for (x, y), ok in zip(points, is_found, strict=True):
        if ok:
            radius = 0.85 * line
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(*WHITE, 255))
    layer = layer.resize((width, height), Image.Resampling.BOX)
    picture = Image.fromarray(background).convert("RGBA")
    return np.asarray(Image.alpha_composite(picture, layer).convert("RGB"))


def strip(source: np.ndarray, target: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """The strip source | target | generated, side by side, as in the release.

    Args:
        source, target, generated: `(H, W, 3)` each.
    Returns: `(H, 3W, 3)`.
    """
    return np.concatenate([source, target, generated], axis=1)


def parts_overlay(masks: np.ndarray, image: np.ndarray, opacity: float = 0.6) -> np.ndarray:
    """An image with each part mask tinted in its own hue; where masks overlap, the hues are mixed.

    Args:
        masks: `(parts, H, W)`, bool or numbers; values above 0.5 are inside. A mask that covers the whole
            image (the mask of the torso) is left out, because it shows no place.
        image: uint8 `(H, W, 3)`.
        opacity: opacity of the tint, 0 to 1.
    Returns: uint8 `(H, W, 3)`.
    Raises: InputError: the masks and the image differ in size.
    """
    masks = np.asarray(masks) > 0.5
    if masks.ndim != 3 or masks.shape[1:] != image.shape[:2]:
        raise InputError(f"masks: expected (parts, {image.shape[0]}, {image.shape[1]}), got {masks.shape}")
    weights = (masks & ~masks.all(axis=(1, 2), keepdims=True)).astype(np.float32)
    count = weights.sum(axis=0)[..., None]
    tint = np.einsum("phw,pc->hwc", weights, hues(len(masks)).astype(np.float32)) / np.maximum(count, 1)
    blended = image * (1 - opacity) + tint * opacity
    return np.rint(np.where(count > 0, blended, image)).astype(np.uint8)


def grid(
    rows: Sequence[Sequence[np.ndarray]],
    headers: Sequence[str] = (),
    scale: int = 1,
    captions: Sequence[str] = (),
) -> np.ndarray:
    """A table of pictures on a white background, with a header per column and a caption under each row.

    Args:
        rows: at least one row; all pictures are uint8 `(H, W, 3)` of the same size, all rows have the same length.
        headers: one text per column; empty: no header line.
        scale: whole number; factor by which pictures are enlarged, pixel by pixel.
        captions: one text per row; empty: no captions.
    Returns: uint8 `(height, width, 3)`.
    Raises: InputError: there are no pictures, or sizes or lengths differ.
    """
    shapes = {picture.shape for row in rows for picture in row}
    lengths = {len(row) for row in rows}
    if len(shapes) != 1 or len(lengths) != 1 or any(len(shape) != 3 or shape[2] != 3 for shape in shapes):
        raise InputError(
            f"a grid needs rows of one length with pictures (H, W, 3) of one size, "
            f"got lengths {sorted(lengths)} and shapes {sorted(shapes)}"
        )
    (columns,) = lengths
    if (headers and len(headers) != columns) or (captions and len(captions) != len(rows)):
        raise InputError(
            f"a grid of {len(rows)} rows and {columns} columns got {len(headers)} headers and {len(captions)} captions"
        )
    cell_height, cell_width = (side * scale for side in next(iter(shapes))[:2])
    line = max(14, min(28, cell_width // 5))
    top = GUTTER + (line + GUTTER if headers else 0)
    pitch = cell_height + GUTTER + (line if captions else 0)
    size = (GUTTER + columns * (cell_width + GUTTER), top + len(rows) * pitch)
    sheet = Image.new("RGB", size, WHITE)
    pen = ImageDraw.Draw(sheet)
    for column, header in enumerate(headers):
        x = GUTTER + column * (cell_width + GUTTER)
        _text(pen, header, (x + cell_width / 2, GUTTER + line / 2), (cell_width, line), "mm")
    for number, row in enumerate(rows):
        y = top + number * pitch
        for column, picture in enumerate(row):
            cell = Image.fromarray(np.ascontiguousarray(picture))
            cell = cell.resize((cell_width, cell_height), Image.Resampling.NEAREST)
            sheet.paste(cell, (GUTTER + column * (cell_width + GUTTER), y))
        if captions:
            _text(pen, captions[number], (GUTTER, y + cell_height + line / 2), (size[0] - 2 * GUTTER, line), "lm")
    return np.asarray(sheet)


def _text(
    pen: ImageDraw.ImageDraw, text: str, position: tuple[float, float], box: tuple[int, int], anchor: str
) -> None:
    """Writes one line of text as large as `box` (width, height) allows, but at least 6 pixels high."""
    size = box[1] - 4
    while size > 6 and pen.textlength(text, font=ImageFont.load_default(size)) > box[0]:
        size -= 1
    pen.text(position, text, fill=TEXT_COLOUR, font=ImageFont.load_default(size), anchor=anchor)
