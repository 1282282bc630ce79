"""Backgrounds, with one place per camera, and objects in front of people."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from data_prep.people.clothes import Colour
from data_prep.people.shot import STUDIO, Camera

WIDE = 5  # width of a camera's panorama, image heights
FINE = 2  # panorama pixels per image pixel
LOOKS = {  # ground, its joints, wall, things; RGB
    "plaza": ((142, 138, 134), (112, 108, 106), (120, 124, 128), (70, 72, 78)),
    "park": ((168, 160, 146), (150, 140, 120), (62, 78, 54), (92, 70, 52)),
    "entrance": ((150, 140, 132), (126, 116, 110), (34, 34, 38), (80, 84, 92)),
    "street": ((116, 116, 120), (196, 196, 190), (148, 142, 134), (86, 62, 60)),
    "campus": ((162, 152, 146), (142, 124, 116), (140, 102, 88), (176, 182, 190)),
    "lawn": ((110, 124, 84), (98, 114, 74), (160, 164, 168), (72, 88, 62)),
}
STUDIO_LOOK = ((206, 205, 203), (150, 149, 148))  # grey level of the wall above and of the ground below; RGB

# Colours of poles and bicycles, and colours of larger things.
THIN: tuple[Colour, ...] = ((40, 40, 44), (58, 60, 66), (30, 36, 52), (108, 110, 112), (70, 34, 34))
BROAD: tuple[Colour, ...] = ((58, 60, 66), (126, 128, 130), (64, 96, 74), (150, 118, 84), (128, 58, 52), (44, 54, 84))


def background(camera: Camera, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A random stretch of the camera's panorama: float32 (h, w, 3) in [0, 255]. In the studio it is always the same."""
    height, width = size
    if camera.family == STUDIO:
        above, below = np.array(STUDIO_LOOK, np.float32)
        share = 1 / (1 + np.exp(-14 * (np.linspace(0, 1, height, dtype=np.float32) - 0.82)))
        return np.repeat((above + share[:, None] * (below - above))[:, None], width, axis=1)
    panorama = _panorama(camera.family, camera.seed, height)
    zoom = rng.uniform(0.82, 1.0)
    tall = panorama.height * zoom
    wide = min(tall * width / height, panorama.width)
    left = rng.uniform(0, panorama.width - wide)
    top = rng.uniform(0, panorama.height - tall)
    part = panorama.resize((width, height), Image.Resampling.BOX, (left, top, left + wide, top + tall))
    image = np.asarray(part, dtype=np.float32) * rng.normal(1.0, 0.04)
    if rng.random() < 0.25:  # the shadow of something outside the picture
        y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
        edge = y + rng.uniform(-0.6, 0.6) * x - rng.uniform(0.2, 0.9)
        image *= (1 - 0.3 / (1 + np.exp(-edge * 30)))[..., None].astype(np.float32)
    return image


def contact_shadow(image: np.ndarray, feet: np.ndarray, unit: float) -> np.ndarray:
    """Darkens the ground under feet (n, 2) x, y in pixels; `unit` is in pixels per stature."""
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    shade = np.zeros(image.shape[:2])
    middle = np.append(feet.mean(0), 2.6)
    for foot_x, foot_y, reach in [*(np.append(foot, 1.0) for foot in feet), middle]:
        far = ((x - foot_x) / (0.065 * reach * unit)) ** 2 + ((y - foot_y) / (0.020 * reach * unit)) ** 2
        shade = np.maximum(shade, (0.55 if reach == 1.0 else 0.3) * np.exp(-far))
    return image * (1 - shade)[..., None].astype(np.float32)


@lru_cache(maxsize=32)
def _panorama(family: str, seed: int, height: int) -> Image.Image:
    """Everything that a camera may see, `FINE` times finer than an image of `height` pixels."""
    rng = np.random.default_rng(seed)
    high, wide = FINE * height, WIDE * FINE * height
    horizon = int(high * {"entrance": 0.62, "lawn": 0.2, "park": 0.3}.get(family, rng.uniform(0.25, 0.5)))
    ground, joint, wall, thing = (_vary(colour, rng, 10) for colour in LOOKS[family])
    image = Image.new("RGB", (wide, high), wall)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, horizon, wide, high), fill=ground)
    draw_wall = {"plaza": _panels, "entrance": _doors, "street": _shops, "campus": _bricks, "lawn": _panels}
    if family == "park":
        _leaves(draw, (0, 0, wide, horizon), wall, rng, high)
    else:
        draw_wall[family](draw, (0, 0, wide, horizon), wall, thing, rng)
    _ground(draw, family, horizon, (wide, high), joint, rng)
    _things(draw, family, horizon, (wide, high), thing, rng)
    image = _grain(image, rng)
    return image.filter(ImageFilter.GaussianBlur(FINE * height / 128 * rng.uniform(0.5, 1.3)))


def _vary(colour: Colour, rng: np.random.Generator, spread: float) -> Colour:
    """A colour that is slightly lighter or darker, with an even smaller change of hue."""
    offset = rng.normal(0, spread) + rng.normal(0, 0.4 * spread, 3)
    red, green, blue = np.clip(np.asarray(colour) + offset, 0, 255).astype(int).tolist()
    return red, green, blue


def _scale(colour: Colour, factor: float) -> Colour:
    red, green, blue = np.clip(np.asarray(colour) * factor, 0, 255).astype(int).tolist()
    return red, green, blue


def _grain(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Adds stains, and a brightness that changes slowly from left to right."""
    wide, high = image.size
    coarse = rng.normal(0, 1, (12, 12 * WIDE)).astype(np.float32)
    fine = rng.normal(0, 1, (high // 3, wide // 3)).astype(np.float32)
    layers = [
        np.asarray(Image.fromarray(noise).resize((wide, high), Image.Resampling.BICUBIC)) for noise in (coarse, fine)
    ]
    factor = 1 + 0.055 * layers[0] + 0.05 * layers[1]
    return Image.fromarray(np.clip(np.asarray(image) * factor[..., None], 0, 255).astype(np.uint8))


Box = tuple[int, int, int, int]


def _panels(draw: ImageDraw.ImageDraw, box: Box, wall: Colour, thing: Colour, rng: np.random.Generator) -> None:
    """A wall of big plates, with windows here and there."""
    left, top, right, bottom = box
    step = int((bottom - top) * rng.uniform(0.5, 0.9)) + 8
    for x in range(left, right, step):
        draw.rectangle((x, top, x + step, bottom), fill=_vary(wall, rng, 6))
        if rng.random() < 0.35:
            draw.rectangle((x + step // 6, top, x + step - step // 6, bottom - step // 4), fill=_vary(thing, rng, 14))
        draw.line((x, top, x, bottom), fill=_scale(wall, 0.7), width=3)
    draw.rectangle((left, bottom - 6, right, bottom), fill=_scale(wall, 0.6))


def _doors(draw: ImageDraw.ImageDraw, box: Box, wall: Colour, thing: Colour, rng: np.random.Generator) -> None:
    """A dark entrance with pillars and glass."""
    left, top, right, bottom = box
    x = left
    while x < right:
        step = int((bottom - top) * rng.uniform(0.4, 1.1))
        if rng.random() < 0.4:
            draw.rectangle((x, top, x + step // 3, bottom), fill=_vary(thing, rng, 20))
            draw.line((x + step // 3, top, x + step // 3, bottom), fill=_scale(thing, 1.4), width=3)
        if rng.random() < 0.4:
            draw.rectangle((x + step // 2, top + step // 3, x + step, bottom), fill=_vary(_scale(wall, 1.7), rng, 8))
        x += step


def _shops(draw: ImageDraw.ImageDraw, box: Box, wall: Colour, thing: Colour, rng: np.random.Generator) -> None:
    """House fronts with shop windows and signs."""
    left, top, right, bottom = box
    x, tall = left, bottom - top
    while x < right:
        step = int(tall * rng.uniform(0.8, 1.8))
        front = _vary(wall, rng, 26)
        draw.rectangle((x, top, x + step, bottom), fill=front)
        draw.rectangle(
            (x + step // 10, top + tall // 3, x + step - step // 10, bottom - tall // 8),
            fill=_vary((60, 68, 78), rng, 16),
        )
        draw.rectangle(
            (x + step // 10, top + tall // 8, x + step - step // 10, top + tall // 3), fill=_vary(thing, rng, 34)
        )
        draw.line((x + step // 2, top + tall // 3, x + step // 2, bottom - tall // 8), fill=front, width=4)
        x += step


def _bricks(draw: ImageDraw.ImageDraw, box: Box, wall: Colour, thing: Colour, rng: np.random.Generator) -> None:
    """A brick wall with windows."""
    left, top, right, bottom = box
    rise = max(4, (bottom - top) // 14)
    for row, y in enumerate(range(top, bottom, rise)):
        for x in range(left - (row % 2) * rise, right, 2 * rise):
            draw.rectangle((x, y, x + 2 * rise - 2, y + rise - 2), fill=_vary(wall, rng, 9))
    step = (bottom - top) * 2
    for x in range(left + step // 3, right, step):
        draw.rectangle(
            (x, top, x + step // 3, bottom - (bottom - top) // 3), fill=thing, outline=(225, 222, 214), width=5
        )
        draw.line((x + step // 6, top, x + step // 6, bottom - (bottom - top) // 3), fill=(225, 222, 214), width=4)


def _leaves(draw: ImageDraw.ImageDraw, box: Box, wall: Colour, rng: np.random.Generator, high: int) -> None:
    """Trees and bushes."""
    left, top, right, bottom = box
    for x in np.arange(left, right, high * 0.35):
        x = x + rng.uniform(0, 0.2) * high
        draw.rectangle((x, top, x + 0.05 * high, bottom), fill=_vary((74, 58, 44), rng, 8))
    for _ in range(900):
        x, y, r = rng.uniform(left, right), rng.uniform(top, bottom), rng.uniform(0.012, 0.05) * high
        colour = _vary(_scale(wall, rng.uniform(0.55, 1.45)), rng, 8)
        draw.ellipse((x - r, y - r * 0.8, x + r, y + r * 0.8), fill=colour)


def _ground(
    draw: ImageDraw.ImageDraw, family: str, horizon: int, size: tuple[int, int], joint: Colour, rng: np.random.Generator
) -> None:
    """Joints of paving stones in perspective, road lines, or blades of grass."""
    wide, high = size
    if family == "lawn":
        for _ in range(2500):
            x, y = rng.uniform(0, wide), rng.uniform(horizon, high)
            r = 2 + 6 * (y - horizon) / high
            draw.line((x, y, x + rng.uniform(-2, 2), y - r), fill=_vary(joint, rng, 16), width=2)
        return
    if family == "street":
        kerb = horizon + (high - horizon) // 5
        draw.rectangle((0, horizon, wide, kerb), fill=_vary((150, 148, 142), rng, 8))
        draw.rectangle((0, kerb, wide, kerb + 7), fill=(178, 176, 170))
        line = kerb + int((high - kerb) * rng.uniform(0.3, 0.7))
        for x in range(0, wide, high):
            draw.polygon(
                [(x, line), (x + high // 2, line), (x + high // 2 + 8, line + 10), (x + 8, line + 10)], fill=joint
            )
        return
    if family == "park":
        edge = horizon + int(0.12 * high)
        draw.rectangle((0, horizon, wide, edge), fill=_vary((104, 124, 70), rng, 10))
        return
    y, step = float(horizon), 5.0
    while y < high:
        draw.line((0, y, wide, y), fill=joint, width=2)
        y, step = y + step, step * rng.uniform(1.22, 1.3)
    vanishing, slant = horizon - 0.6 * high, rng.uniform(0.12, 0.2) * high
    for number in range(-40, 40):
        x = wide / 2 + number * slant * 2
        reach = (high - vanishing) / (horizon - vanishing)
        draw.line((x, horizon, wide / 2 + (x - wide / 2) * reach, high), fill=joint, width=2)


def _things(
    draw: ImageDraw.ImageDraw, family: str, horizon: int, size: tuple[int, int], thing: Colour, rng: np.random.Generator
) -> None:
    """Parked bicycles, bollards, bins, benches and cars along the wall."""
    wide, high = size
    for _ in range(int(rng.integers(14, 24))):
        x, base = rng.uniform(0, wide), horizon + rng.uniform(0.02, 0.12) * high
        kind = rng.choice(["bicycle", "bollard", "bin", "car"], p=[0.5, 0.25, 0.15, 0.1])
        if kind == "bicycle":
            draw_bicycle(draw, x, base, 0.2 * high, _vary((52, 52, 58), rng, 18), 4)
        elif kind == "bollard":
            draw.rectangle((x, base - 0.16 * high, x + 0.025 * high, base), fill=_vary(thing, rng, 20))
        elif kind == "bin":
            draw.rectangle((x, base - 0.14 * high, x + 0.1 * high, base), fill=_vary((60, 92, 76), rng, 22))
        elif family == "street":
            _draw_car(draw, x, base, 0.24 * high, _vary((140, 60, 60), rng, 60))


def _draw_car(draw: ImageDraw.ImageDraw, x: float, base: float, tall: float, colour: Colour) -> None:
    draw.rounded_rectangle((x, base - 0.62 * tall, x + 2.6 * tall, base - 0.12 * tall), 0.2 * tall, fill=colour)
    cabin = [(0.4, -0.6), (0.8, -1.0), (1.8, -1.0), (2.2, -0.6)]
    draw.polygon([(x + a * tall, base + b * tall) for a, b in cabin], fill=(52, 60, 68))
    for centre in (0.55, 2.05):
        middle = x + centre * tall
        draw.ellipse((middle - 0.22 * tall, base - 0.44 * tall, middle + 0.22 * tall, base), fill=(24, 24, 26))


def draw_bicycle(
    draw: ImageDraw.ImageDraw, x: float, base: float, tall: float, colour: int | Colour, width: int
) -> None:
    """A bicycle seen from the side, `tall` pixels high, with the left edge of its rear wheel at `x`."""
    r = 0.34 * tall
    for centre in (x + r, x + r + 1.05 * tall):
        draw.ellipse((centre - r, base - 2 * r, centre + r, base), outline=colour, width=width)
    points = [(0.34, -0.34), (0.62, -0.86), (1.2, -0.86), (1.39, -0.34), (1.15, -1.02), (1.2, -0.86), (0.8, -0.34)]
    path = [(x + a * tall, base + b * tall) for a, b in [*points, (0.34, -0.34), (0.62, -0.86), (0.8, -0.34)]]
    draw.line(path, fill=colour, width=width)
    draw.line((x + 0.5 * tall, base - 0.92 * tall, x + 0.76 * tall, base - 0.92 * tall), fill=colour, width=2 * width)


def draw_occluder(image: np.ndarray, kind: str, rng: np.random.Generator, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Draws an object in front of the person.

    Args:
        image: float32 (h, w, 3).
        kind: `pole`, `box`, `bicycle` or `edge` (something large at one side).
        unit: pixels per stature.

    Returns: the new image, and the mask of the hidden pixels: bool (h, w).
    """
    height, width = image.shape[:2]
    mask = Image.new("L", (FINE * width, FINE * height))
    draw = ImageDraw.Draw(mask)
    high, wide, unit = FINE * height, FINE * width, FINE * unit
    x = wide * (0.5 + rng.uniform(-0.32, 0.32))
    if kind == "pole":
        half = 0.02 * unit * rng.uniform(0.8, 1.6)
        draw.rectangle((x - half, 0, x + half, high), fill=255)
    elif kind == "box":
        half, top = unit * rng.uniform(0.1, 0.22), high * rng.uniform(0.62, 0.85)
        draw.rounded_rectangle((x - half, top, x + half, high + 20), 0.03 * unit, fill=255)
    elif kind == "bicycle":
        tall = 0.48 * unit
        draw_bicycle(draw, x - 0.9 * tall, high * rng.uniform(0.97, 1.06), tall, 255, max(2, round(0.014 * unit)))
    else:
        reach = wide * rng.uniform(0.12, 0.32)
        left = 0 if rng.random() < 0.5 else wide - reach
        draw.rectangle((left, high * rng.choice([0.0, 0.35]), left + reach, high), fill=255)
    share = np.asarray(mask.resize((width, height), Image.Resampling.BOX), dtype=np.float32)[..., None] / 255
    table = THIN if kind in ("bicycle", "pole") else BROAD
    colour = np.asarray(_vary(table[int(rng.integers(len(table)))], rng, 10), dtype=np.float32)
    y, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    relief = 0.9 + 0.12 * np.sin(across * rng.uniform(4, 14) + y * rng.uniform(0, 6)) - 0.18 * y
    return image * (1 - share) + share * colour * relief[..., None], share[..., 0] > 0.5
