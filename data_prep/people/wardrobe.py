"""The textures of an identity. There is one for each part of the body or the clothes, and it is painted once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from data_prep.people.clothes import Colour, add_folds, paint, plain, stamp_print, to_texture
from data_prep.people.identity import Garment, Identity

TORSO_SHAPE, LIMB_SHAPE, SKIRT_SHAPE, HEAD_SHAPE, SMALL_SHAPE = (192, 288), (144, 96), (144, 288), (128, 256), (32, 48)
TORSO_AROUND, TORSO_ALONG, ARM_AROUND, LEG_AROUND = 0.56, 0.40, 0.2, 0.3


@dataclass(frozen=True)
class Textures:
    """RGBA textures, uint8 (h, w, 4); see `raster.Tube.texture`. A texture is None if the person lacks the part."""

    head: np.ndarray
    hair: np.ndarray
    skin: np.ndarray
    top: np.ndarray
    jacket: np.ndarray | None
    sleeve: np.ndarray
    bottom: np.ndarray
    hips: np.ndarray
    leg: np.ndarray
    shoe: np.ndarray
    hat: np.ndarray
    bag: np.ndarray


@lru_cache(maxsize=32)
def make_textures(identity: Identity) -> Textures:
    """Paints all textures of a person."""
    rng = np.random.default_rng([identity.seed, 1])
    outer = identity.jacket or identity.top
    top = _torso(identity, identity.top, rng)
    jacket = _jacket(_torso(identity, identity.jacket, rng)) if identity.jacket else None
    if identity.bag != "none":
        straps = _backpack_straps if identity.bag == "backpack" else _shoulder_strap
        top, jacket = straps(top, identity.bag_colour), None if jacket is None else straps(jacket, identity.bag_colour)
    skirt = identity.bottom_kind == "skirt"
    around, shape = (0.7, SKIRT_SHAPE) if skirt else (LEG_AROUND, LIMB_SHAPE)
    bottom = add_folds(paint(identity.bottom.pattern, around, 0.5 * identity.bottom.length, shape), rng, 0.14)
    hips = add_folds(paint(identity.bottom.pattern, TORSO_AROUND, 0.16, (64, 288)), rng, 0.08)
    return Textures(
        head=_head(identity, rng),
        hair=_hair(identity, rng),
        skin=_plain(identity.skin, SMALL_SHAPE, rng, 0.03),
        top=to_texture(top),
        jacket=jacket,
        sleeve=to_texture(_sleeve(outer, rng)),
        bottom=to_texture(bottom),
        hips=to_texture(_belt(hips, identity, rng)),
        leg=_leg(identity, rng),
        shoe=_shoe(identity, rng),
        hat=_plain(identity.hat_colour, SMALL_SHAPE, rng, 0.05),
        bag=_bag(identity.bag_colour, rng),
    )


def _plain(colour: Colour, shape: tuple[int, int], rng: np.random.Generator, folds: float) -> np.ndarray:
    return to_texture(add_folds(paint(plain(colour), 1.0, 1.0, shape), rng, folds))


def _torso(identity: Identity, garment: Garment, rng: np.random.Generator) -> np.ndarray:
    """A shirt from the neck to the hem, (h, w, 3), with prints, neckline and folds."""
    cloth = paint(garment.pattern, TORSO_AROUND, TORSO_ALONG, TORSO_SHAPE)
    cloth = stamp_print(cloth, garment.front_print, garment.print_colours, garment.pattern.seed, 0.5)
    cloth = stamp_print(cloth, garment.back_print, garment.print_colours, garment.pattern.seed + 1, 0.0)
    cloth = add_folds(cloth, rng, 0.11)
    u, v = _grid(TORSO_SHAPE)
    across = np.abs(u - 0.5) * TORSO_AROUND
    neckline = 0.05 + 0.18 * garment.neckline * np.clip(1 - (across / 0.045) ** 2, 0, 1)
    if garment.sleeve == 0.0:  # a vest has wide straps
        neckline = np.where(v < 0.24, np.maximum(neckline, 0.22 * np.clip(1 - (across / 0.06) ** 4, 0, 1)), neckline)
    rim = (v >= neckline) & (v < neckline + 0.022)
    cloth[rim] *= 0.72
    cloth[v < neckline] = identity.skin
    cloth[v > 0.975] *= 0.75  # the hem's shadow
    return cloth


def _jacket(cloth: np.ndarray) -> np.ndarray:
    """An open jacket. The middle of its front is missing, and the edges are darker."""
    u, v = _grid(cloth.shape[:2])
    gap = 0.045 + 0.05 * v
    away = np.abs(u - 0.5)
    cloth = cloth * np.where(away < gap + 0.025, 0.8, 1.0)[..., None]
    return to_texture(cloth, (away > gap) & (v > 0.06))


def _backpack_straps(cloth: np.ndarray, colour: Colour) -> np.ndarray:
    """Two straps over the front of a torso cloth or texture."""
    u, v = _grid(cloth.shape[:2])
    away = np.abs(u - 0.5)
    on = (np.abs(away - 0.115 - 0.05 * np.clip(v - 0.2, 0, 1)) < 0.022) & (v < 0.62)
    return _dye(cloth, on, colour)


def _shoulder_strap(cloth: np.ndarray, colour: Colour) -> np.ndarray:
    """A strap from the right shoulder to the left hip, in front and at the back."""
    u, v = _grid(cloth.shape[:2])
    front = np.abs(u - 0.5) < 0.25
    line = np.where(front, 0.36 + 0.36 * (v - 0.1), (0.14 - 0.36 * (v - 0.1)) % 1.0)
    away = np.abs(u - line)
    on = (np.minimum(away, 1 - away) < 0.018) & (v > 0.05)
    return _dye(cloth, on, colour)


def _dye(cloth: np.ndarray, on: np.ndarray, colour: Colour) -> np.ndarray:
    """Colours the texels `on` of a cloth or texture, and makes them opaque."""
    cloth = cloth.copy()
    cloth[..., :3][on] = np.asarray(colour)
    if cloth.shape[-1] == 4:
        cloth[..., 3][on] = 255
    return cloth


def _sleeve(garment: Garment, rng: np.random.Generator) -> np.ndarray:
    pattern = garment.sleeve_pattern or garment.pattern
    cloth = add_folds(paint(pattern, ARM_AROUND, 0.36 * max(garment.sleeve, 0.05), LIMB_SHAPE), rng, 0.14)
    cloth[-7:] *= 0.72
    return cloth


def _belt(cloth: np.ndarray, identity: Identity, rng: np.random.Generator) -> np.ndarray:
    if identity.bottom_kind != "skirt" and rng.random() < 0.5:
        cloth[4:12] = rng.choice([25.0, 60.0, 90.0])
    cloth[:4] *= 0.8
    return cloth


def _leg(identity: Identity, rng: np.random.Generator) -> np.ndarray:
    """A bare leg from the hip to the ankle, with a sock."""
    skin = add_folds(paint(plain(identity.skin), 1.0, 1.0, LIMB_SHAPE), rng, 0.03)
    _, v = _grid(LIMB_SHAPE)
    knee = np.exp(-(((v - 0.52) / 0.03) ** 2)) * 0.08
    skin *= (1 - knee)[..., None]
    skin[v > 1 - 0.5 * identity.socks] = identity.sock_colour
    return to_texture(skin)


def _shoe(identity: Identity, rng: np.random.Generator) -> np.ndarray:
    """A shoe, where v runs from heel to toe and u = 0.5 is the top."""
    cloth = paint(plain(identity.shoes), 1.0, 1.0, SMALL_SHAPE)
    u, v = _grid(SMALL_SHAPE)
    accent = identity.soles if rng.random() < 0.4 else tuple(int(0.8 * value) for value in identity.shoes)
    cloth[(np.abs(u - 0.5) < 0.06) & (v > 0.4) & (v < 0.8)] = accent
    cloth[(np.abs(u - 0.5) > 0.30)] = identity.soles
    return to_texture(cloth)


def _bag(colour: Colour, rng: np.random.Generator) -> np.ndarray:
    """A bag. Its outer side (away from the back) is at u = 0 and has a pocket, zips and a flap."""
    cloth = add_folds(paint(plain(colour), 1.0, 1.0, (96, 144)), rng, 0.1)
    u, v = _grid((96, 144))
    away = np.minimum(u, 1 - u)
    pocket = (away < 0.12) & (v > 0.52) & (v < 0.88)
    cloth[pocket] *= 0.8 + 0.45 * (rng.random() < 0.5)
    lines = ((np.abs(v - 0.5) < 0.015) | (np.abs(v - 0.24) < 0.012)) & (away < 0.2)
    cloth[lines] = np.asarray(colour) * 0.45 + 25
    return to_texture(cloth)


def _grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates u, v of the texels: two float arrays of `shape`."""
    v, u = np.meshgrid((np.arange(shape[0]) + 0.5) / shape[0], (np.arange(shape[1]) + 0.5) / shape[1], indexing="ij")
    return u, v


def _head(identity: Identity, rng: np.random.Generator) -> np.ndarray:
    """The head with its face at u = 0.5. v runs from the crown to the chin."""
    height, width = HEAD_SHAPE
    skin = np.asarray(identity.skin, dtype=float)
    base = add_folds(np.broadcast_to(skin, (height, width, 3)).copy(), rng, 0.03)
    image = Image.fromarray(np.clip(base, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image, "RGBA")

    def tone(factor: float, alpha: int = 255) -> tuple[int, int, int, int]:
        red, green, blue = (skin * factor).clip(0, 255).astype(int).tolist()
        return red, green, blue, alpha

    def spot(u: float, v: float, ru: float, rv: float, fill: tuple[int, ...]) -> None:
        draw.ellipse(((u - ru) * width, (v - rv) * height, (u + ru) * width, (v + rv) * height), fill=fill)

    hair = (*identity.hair, 255)
    if identity.beard:
        spot(0.5, 0.84, 0.13, 0.2, (*identity.hair, 190))
        spot(0.5, 0.71, 0.045, 0.03, tone(0.95))
    for side in (-1, 1):
        spot(0.5 + side * 0.10, 0.62, 0.04, 0.05, (200, 90, 80, 26))  # cheek
        spot(0.5 + side * 0.062, 0.49, 0.040, 0.050, tone(0.72, 150))  # eye socket
        spot(0.5 + side * 0.062, 0.495, 0.027, 0.022, (236, 232, 226, 255))
        spot(0.5 + side * 0.060, 0.495, 0.014, 0.024, (34, 26, 24, 255))
        spot(0.5 + side * 0.064, 0.435, 0.036, 0.013, hair)  # brow
        spot(0.5 + side * 0.016, 0.645, 0.009, 0.010, tone(0.5, 220))  # nostril
    spot(0.5, 0.58, 0.014, 0.06, tone(1.1, 140))
    spot(0.5, 0.655, 0.028, 0.013, tone(0.68, 170))
    red, green, blue = identity.skin
    spot(0.5, 0.745, 0.042, 0.017, (int(red * 0.72), int(green * 0.45), int(blue * 0.45), 230))  # mouth
    spot(0.5, 0.80, 0.03, 0.014, tone(0.84, 140))
    if identity.glasses:
        dark = rng.random() < 0.35
        for side in (-1, 1):
            box = [
                (0.5 + side * 0.064 - 0.042) * width,
                0.45 * height,
                (0.5 + side * 0.064 + 0.042) * width,
                0.55 * height,
            ]
            draw.ellipse(box, outline=(24, 22, 22, 255), fill=(24, 22, 22, 225) if dark else None, width=2)
            draw.line(
                (0.5 * width + side * 27, 0.49 * height, 0.5 * width + side * 62, 0.49 * height), (24, 22, 22, 255), 2
            )
        draw.line((0.478 * width, 0.485 * height, 0.522 * width, 0.485 * height), (24, 22, 22, 255), 2)
    image = image.filter(ImageFilter.GaussianBlur(0.8))
    colours = np.asarray(image, dtype=float)
    _, v = _grid(HEAD_SHAPE)
    return to_texture(colours * np.where(v > 0.9, 0.8, 1.0)[..., None])


HAIRLINES = {  # lower end of the hair: in front, at the temples, at the ears, behind
    "short": (0.30, 0.40, 0.50, 0.80),
    "bald": (0.0, 0.0, 0.0, 0.0),
    "bob": (0.30, 0.48, 0.92, 1.0),
    "long": (0.28, 0.50, 0.97, 1.0),
    "ponytail": (0.26, 0.38, 0.50, 0.86),
    "bun": (0.26, 0.38, 0.50, 0.86),
    "curly": (0.34, 0.52, 0.72, 0.92),
}


def _hair(identity: Identity, rng: np.random.Generator) -> np.ndarray:
    """A cap of hair around the head, with an opening over the face."""
    cloth = np.broadcast_to(np.asarray(identity.hair, dtype=float), (*HEAD_SHAPE, 3)).copy()
    strands = np.repeat(rng.normal(0, 0.14, (1, HEAD_SHAPE[1] // 2)), 2, axis=1)
    if identity.hair_style == "curly":
        strands = np.kron(rng.normal(0, 0.25, (HEAD_SHAPE[0] // 4, HEAD_SHAPE[1] // 4)), np.ones((4, 4)))
    u, v = _grid(HEAD_SHAPE)
    shine = 0.35 * np.exp(-(((v - 0.2) / 0.09) ** 2)) * (0.6 + 0.4 * np.cos(4 * np.pi * u))
    cloth = cloth * (1 + strands + shine)[..., None] + 14 * shine[..., None]
    front, temple, ear, back = HAIRLINES[identity.hair_style]
    away = np.abs(u - 0.5)
    ragged = 0.025 * np.repeat(rng.standard_normal((1, HEAD_SHAPE[1] // 4)), 4, axis=1)
    parting = 0.10 * np.sign(u - 0.5) * rng.choice([-1.0, 0.0, 1.0]) * np.clip(1 - away / 0.1, 0, 1)
    line = np.interp(away, [0.0, 0.10, 0.15, 0.20, 0.27, 0.5], [front, front + 0.03, temple, ear, ear, back])
    return to_texture(cloth, v < line + ragged * (line > 0.05) + parting * (front > 0) * 0.6)
