"""Cloth: patterns that are painted in body units, folds and prints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]

PATTERNS = ("plain", "rows", "columns", "check", "plaid", "dots", "blots", "flowers", "band", "melange")
PRINTS = ("none", "disc", "picture", "text", "number", "star", "stripe", "pocket")


@dataclass(frozen=True)
class Pattern:
    """A cloth.

    Attributes:
        kind: one of PATTERNS.
        colours: RGB colours of ground, figure and accent.
        period: size of one repeat in statures (0.04 is 5 pixels in an image of height 128).
        seed: seed of the random kinds.
    """

    kind: str
    colours: tuple[Colour, Colour, Colour]
    period: float = 0.05
    seed: int = 0


def plain(colour: Colour) -> Pattern:
    """A cloth of one colour."""
    return Pattern("plain", (colour, colour, colour))


def paint(pattern: Pattern, around: float, along: float, shape: tuple[int, int]) -> np.ndarray:
    """A piece of cloth, `around` × `along` statures: float32 (h, w, 3) in [0, 255] for `shape` = (h, w)."""
    height, width = shape
    repeats = max(1, round(around / pattern.period))  # a whole number, so that the seam at the back closes
    x = ((np.arange(width) + 0.5) / width * repeats)[None, :]
    y = ((np.arange(height) + 0.5) / height * along / pattern.period)[:, None]
    ground, figure, accent = (np.array(colour, dtype=np.float32) for colour in pattern.colours)
    rng = np.random.default_rng(pattern.seed)
    first, second = _weights(pattern.kind, x, y, y / (along / pattern.period), shape, rng)
    cloth = ground + first[..., None] * (figure - ground)
    return cloth + second[..., None] * (accent - cloth)


def _weights(
    kind: str, x: np.ndarray, y: np.ndarray, v: np.ndarray, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The shares of figure and accent colour in each texel: two float arrays of `shape`, in [0, 1]."""
    nothing = np.zeros(shape, dtype=np.float32)
    if kind == "rows":
        return nothing + (y % 1 < 0.5), nothing
    if kind == "columns":
        return nothing + (x % 1 < 0.4), nothing
    if kind == "check":
        return ((x % 1 < 0.5) ^ (y % 1 < 0.5)).astype(np.float32), nothing
    if kind == "plaid":
        broad = 0.45 * ((x % 1 < 0.5) + 0.0) + 0.45 * (y % 1 < 0.5)
        return broad, 0.8 * (((x + 0.2) % 1 < 0.12) | ((y + 0.2) % 1 < 0.12))
    if kind == "dots":
        shifted = x + 0.5 * (np.floor(y) % 2)
        return nothing + (np.hypot(shifted % 1 - 0.5, y % 1 - 0.5) < 0.33), nothing
    if kind == "blots":
        return nothing + (_noise(shape, rng, 10) > 0.1), nothing + (_noise(shape, rng, 10) > 0.75)
    if kind == "flowers":
        return _spots(x, y, rng, 0.42), _spots(x, y, rng, 0.25)
    if kind == "band":
        return nothing + ((v > 0.25) & (v < 0.5)), nothing + (np.abs(v - 0.53) < 0.03)
    if kind == "melange":
        return np.clip(0.2 + 0.13 * rng.standard_normal(shape), 0, 1), nothing
    return nothing, nothing


def _spots(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, radius: float) -> np.ndarray:
    """One disc in most cells of the unit grid, each at a random place in its cell."""
    cell_x, cell_y = np.broadcast_arrays(np.floor(x).astype(int) % 64, np.floor(y).astype(int) % 64)
    table = rng.random((3, 64, 64))
    dx = x % 1 - 0.3 - 0.4 * table[0][cell_y, cell_x]
    dy = y % 1 - 0.3 - 0.4 * table[1][cell_y, cell_x]
    return ((np.hypot(dx, dy) < radius) & (table[2][cell_y, cell_x] < 0.8)).astype(np.float32)


def _noise(shape: tuple[int, int], rng: np.random.Generator, cells: int) -> np.ndarray:
    """Smooth noise of unit variance, `cells` cells wide, that closes at the left and right edges."""
    rows = max(2, round(cells * shape[0] / shape[1]))
    grid = rng.standard_normal((rows, cells)).astype(np.float32)
    grid = np.concatenate([grid, grid[:, :1]], axis=1)
    smooth = Image.fromarray(grid).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(smooth) * 1.3


def add_folds(cloth: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Darkens and lightens cloth (h, w, 3) along creases; `strength` about 0 to 0.2."""
    shape = cloth.shape[:2]
    creases = 1.0 - 2.0 * np.abs(np.tanh(_noise(shape, rng, 5)))
    broad = _noise(shape, rng, 3)
    grain = rng.standard_normal(shape) * 0.02
    return np.clip(cloth * (1.0 + strength * (0.5 * creases + 0.5 * broad) + grain)[..., None], 0, 255)


def to_texture(colours: np.ndarray, solid: np.ndarray | None = None) -> np.ndarray:
    """Float (h, w, 3) → uint8 RGBA (h, w, 4). Texels where `solid` is False are transparent."""
    alpha = np.full((*colours.shape[:2], 1), 255, dtype=np.uint8)
    if solid is not None:
        alpha[~solid] = 0
    return np.concatenate([np.clip(colours, 0, 255).astype(np.uint8), alpha], axis=-1)


def stamp_print(cloth: np.ndarray, kind: str, colours: tuple[Colour, Colour], seed: int, u: float) -> np.ndarray:
    """Prints a figure on a torso cloth (h, w, 3), centred at column fraction `u` (0.5 front, 0 back)."""
    if kind == "none":
        return cloth
    height, width = cloth.shape[:2]
    rolled = np.roll(np.clip(cloth, 0, 255).astype(np.uint8), round((0.5 - u) * width), axis=1)
    image = Image.fromarray(rolled)
    _draw_print(ImageDraw.Draw(image), kind, colours, np.random.default_rng(seed), (width, height))
    image = image.filter(ImageFilter.GaussianBlur(0.7))
    return np.roll(np.asarray(image, dtype=np.float32), -round((0.5 - u) * width), axis=1)


def _draw_print(
    draw: ImageDraw.ImageDraw,
    kind: str,
    colours: tuple[Colour, Colour],
    rng: np.random.Generator,
    size: tuple[int, int],
) -> None:
    width, height = size
    x, y = 0.5 * width, 0.36 * height  # the middle of the chest
    rx, ry = 0.085 * width, 0.13 * height
    box = (x - rx, y - ry, x + rx, y + ry)
    if kind == "disc":
        draw.ellipse(box, fill=colours[0])
        draw.ellipse((x - rx * 0.55, y - ry * 0.55, x + rx * 0.55, y + ry * 0.55), fill=colours[1])
    elif kind == "picture":
        draw.rectangle(box, fill=colours[0])
        for _ in range(5):
            cx, cy = x + rx * rng.uniform(-0.7, 0.7), y + ry * rng.uniform(-0.7, 0.7)
            r = rng.uniform(0.15, 0.4)
            fill = tuple(int(value) for value in rng.integers(20, 235, 3))
            draw.ellipse((cx - rx * r, cy - ry * r, cx + rx * r, cy + ry * r), fill=fill)
    elif kind == "text":
        for line in range(int(rng.integers(1, 4))):
            top = y - ry + line * ry * 0.75
            for letter in np.arange(-1.2, 1.0, 0.4):
                left = x + rx * (letter + rng.uniform(0, 0.08))
                draw.rectangle((left, top, left + rx * 0.24, top + ry * 0.45), fill=colours[line % 2])
    elif kind == "number":
        for offset in (-0.65, 0.25):
            left = x + offset * rx
            draw.rectangle((left, y - ry, left + rx * 0.5, y + ry * 1.2), outline=colours[0], width=max(2, width // 90))
            draw.line((left, y, left + rx * 0.5, y), fill=colours[0], width=max(2, width // 90))
    elif kind == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        reach = np.where(np.arange(10) % 2, 0.42, 1.0)
        points = np.stack([x + 1.1 * rx * reach * np.cos(angles), y + 1.1 * ry * reach * np.sin(angles)], -1)
        draw.polygon([tuple(point) for point in points.tolist()], fill=colours[0])
    elif kind == "stripe":
        draw.polygon(
            [(x - 2 * rx, y - ry), (x - rx, y - ry), (x + 2 * rx, y + 2 * ry), (x + rx, y + 2 * ry)], colours[0]
        )
    elif kind == "pocket":
        draw.rectangle((x + 0.5 * rx, y - 0.3 * ry, x + 1.3 * rx, y + 0.5 * ry), fill=colours[0])
