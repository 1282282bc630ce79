"""The identity of a person: body, face, hair, clothes and bag. All images of a person share one `Identity`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.people.body import Body
from data_prep.people.clothes import PATTERNS, PRINTS, Colour, Pattern, plain

SKINS: tuple[Colour, ...] = (
    (236, 196, 170), (226, 184, 152), (214, 168, 132), (198, 148, 112), (172, 122, 88), (134, 92, 66), (96, 66, 50),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (26, 22, 22), (34, 27, 24), (48, 34, 27), (66, 46, 34), (94, 64, 42), (138, 100, 60), (186, 150, 96),
    (120, 120, 120),
)  # fmt: skip
SKIN_WEIGHTS = (0.2, 0.24, 0.2, 0.14, 0.1, 0.07, 0.05)
HAIR_WEIGHTS = (0.3, 0.2, 0.15, 0.12, 0.09, 0.06, 0.04, 0.04)
BRIGHT: tuple[Colour, ...] = (
    (196, 40, 44), (226, 98, 36), (234, 190, 44), (64, 146, 70), (34, 104, 84), (52, 160, 176), (40, 84, 172),
    (92, 62, 146), (200, 88, 140), (236, 150, 160), (150, 196, 222), (170, 214, 150), (122, 40, 50), (216, 204, 120),
)  # fmt: skip
NEUTRAL: tuple[Colour, ...] = (
    (236, 236, 232), (222, 220, 214), (176, 178, 180), (118, 120, 124), (70, 72, 78), (36, 36, 40), (26, 30, 48),
    (202, 186, 154), (150, 128, 98), (98, 76, 58),
)  # fmt: skip
LEG_COLOURS: tuple[Colour, ...] = (
    (34, 36, 44), (28, 28, 30), (46, 62, 96), (62, 84, 124), (98, 120, 152), (32, 40, 66), (184, 164, 128),
    (146, 128, 96), (104, 106, 108), (86, 88, 66), (214, 210, 200), (110, 72, 52), (140, 50, 52), (74, 120, 120),
)  # fmt: skip


@dataclass(frozen=True)
class Garment:
    """A piece of clothing.

    Attributes:
        pattern: the cloth.
        length: position of the hem. For shirts and jackets, 1 = the hip line. For trousers and skirts, 1 = the
            ankle and 0.5 = just above the knee.
        sleeve: length of the sleeves; 0 = none, 0.5 = to the elbow, 1 = to the wrist.
        sleeve_pattern: cloth of the sleeves.
        loose: distance of the cloth from the body; 0 = tight, 1 = wide.
        neckline: depth of the neckline in front, 0 to 1.
        front_print, back_print: one of PRINTS.
        print_colours: colours of both prints.
    """

    pattern: Pattern
    length: float
    sleeve: float = 0.0
    sleeve_pattern: Pattern | None = None
    loose: float = 0.4
    neckline: float = 0.2
    front_print: str = "none"
    back_print: str = "none"
    print_colours: tuple[Colour, Colour] = ((255, 255, 255), (30, 30, 30))


@dataclass(frozen=True)
class Identity:
    """A person. Equal identities look the same in everything except pose, view and light.

    Attributes:
        hair_style: `bald`, `short`, `bob`, `long`, `ponytail`, `bun` or `curly`.
        hat: `none`, `cap`, `beanie` or `sunhat`.
        bottom_kind: `trousers`, `shorts` or `skirt`.
        dress: whether the skirt continues the top.
        jacket: a jacket that is worn open over the top, or None.
        bag: `none`, `backpack` or `shoulder`.
        beard, glasses: whether the face has them.
        socks: height of the socks; 0 = not visible, 0.4 = half of the lower leg.
        seed: seed of the cloth's folds and the hair's strands.
    """

    body: Body
    skin: Colour
    hair: Colour
    hair_style: str
    hat: str
    hat_colour: Colour
    top: Garment
    jacket: Garment | None
    bottom: Garment
    bottom_kind: str
    dress: bool
    shoes: Colour
    soles: Colour
    socks: float
    sock_colour: Colour
    bag: str
    bag_colour: Colour
    beard: bool
    glasses: bool
    seed: int


def sample_identity(rng: np.random.Generator) -> Identity:
    """A random person."""
    woman = rng.random() < 0.5
    top = _sample_top(rng, woman)
    dress = woman and rng.random() < 0.22
    kind = "skirt" if dress or (woman and rng.random() < 0.22) else _choose(rng, ("trousers", "shorts"), (0.66, 0.34))
    skin = _jitter(rng, SKINS[_index(rng, len(SKINS), SKIN_WEIGHTS)], 8)
    bottom = _sample_bottom(rng, kind, woman, skin)
    if dress:
        bottom = Garment(top.pattern, float(rng.uniform(0.42, 0.85)), loose=bottom.loose)
    jacket = _sample_jacket(rng) if rng.random() < (0.1 if dress else 0.2) else None
    styles = ("long", "ponytail", "bob", "bun", "short") if woman else ("short", "bald", "curly", "bob", "long")
    return Identity(
        body=_sample_body(rng, woman),
        skin=skin,
        hair=_jitter(rng, HAIRS[_index(rng, len(HAIRS), HAIR_WEIGHTS)], 6),
        hair_style=_choose(rng, styles, (0.36, 0.26, 0.18, 0.08, 0.12) if woman else (0.76, 0.07, 0.07, 0.06, 0.04)),
        hat=_choose(rng, ("none", "cap", "beanie", "sunhat"), (0.84, 0.09, 0.03, 0.04)),
        hat_colour=_colour(rng, 0.6),
        top=top,
        jacket=jacket,
        bottom=bottom,
        bottom_kind=kind,
        dress=dress,
        shoes=_jitter(rng, NEUTRAL[int(rng.integers(len(NEUTRAL)))] if rng.random() < 0.75 else _colour(rng, 1.0), 8),
        soles=_choose(rng, ((230, 230, 226), (40, 38, 36), (120, 100, 80)), (0.5, 0.35, 0.15)),
        socks=float(_choose(rng, (0.0, 0.12, 0.3, 0.6), (0.5, 0.3, 0.14, 0.06))),
        sock_colour=_choose(rng, ((232, 232, 228), (40, 40, 44), (120, 120, 124)), (0.6, 0.3, 0.1)),
        bag=_choose(rng, ("none", "backpack", "shoulder"), (0.6, 0.25, 0.15)),
        bag_colour=_colour(rng, 0.45),
        beard=not woman and rng.random() < 0.15,
        glasses=rng.random() < 0.18,
        seed=int(rng.integers(2**31)),
    )


def _sample_body(rng: np.random.Generator, woman: bool) -> Body:
    girth = float(np.clip(rng.normal(0.95 if woman else 1.0, 0.1), 0.78, 1.35))
    return Body(
        shoulders=float(np.clip(rng.normal(0.93 if woman else 1.04, 0.04), 0.84, 1.14)),
        hips=float(np.clip(rng.normal(1.06 if woman else 1.0, 0.04), 0.9, 1.2)),
        girth=girth,
        belly=float(np.clip(rng.normal(2.5 * (girth - 1.0), 0.15), 0.0, 0.9)),
        bust=float(rng.uniform(0.35, 1.0)) if woman else 0.0,
        legs=float(np.clip(rng.normal(1.0, 0.025), 0.94, 1.06)),
        head=float(np.clip(rng.normal(1.07, 0.03), 1.0, 1.15)),
    )


def _sample_pattern(rng: np.random.Generator, kinds: Sequence[str], weights: Sequence[float], bright: float) -> Pattern:
    ground = _colour(rng, bright)
    figure = _apart(rng, ground)
    return Pattern(
        kind=_choose(rng, kinds, weights),
        colours=(ground, figure, _apart(rng, figure)),
        period=float(rng.uniform(0.045, 0.085)),
        seed=int(rng.integers(2**31)),
    )


def _sample_top(rng: np.random.Generator, woman: bool) -> Garment:
    weights = (0.30, 0.16, 0.07, 0.06, 0.11, 0.08, 0.05, 0.07 if woman else 0.02, 0.06, 0.04)
    pattern = _sample_pattern(rng, PATTERNS, weights, 0.6)
    sleeve = float(_choose(rng, (0.0, 0.38, 0.5, 1.0), (0.16 if woman else 0.08, 0.42, 0.2, 0.26)))
    other = plain(_apart(rng, pattern.colours[0]))
    printed = pattern.kind in ("plain", "melange")
    ink = _apart(rng, pattern.colours[0])
    return Garment(
        pattern=pattern,
        length=float(rng.uniform(0.92, 1.16)),
        sleeve=sleeve,
        sleeve_pattern=other if rng.random() < 0.14 else pattern,
        loose=float(rng.uniform(0.2, 0.9)),
        neckline=float(rng.choice([0.15, 0.25, 0.5, 0.8], p=[0.45, 0.25, 0.2, 0.1])),
        front_print=_choose(rng, PRINTS, (0.2, 0.13, 0.2, 0.17, 0.08, 0.1, 0.05, 0.07)) if printed else "none",
        back_print=_choose(rng, PRINTS[:7], (0.6, 0.06, 0.06, 0.14, 0.08, 0.03, 0.03)) if printed else "none",
        print_colours=(ink, _apart(rng, ink)),
    )


def _sample_jacket(rng: np.random.Generator) -> Garment:
    pattern = _sample_pattern(rng, ("plain", "plaid", "rows", "blots"), (0.72, 0.14, 0.06, 0.08), 0.35)
    return Garment(pattern, float(rng.uniform(1.0, 1.25)), float(rng.choice([0.75, 1.0])), pattern, 1.0)


def _sample_bottom(rng: np.random.Generator, kind: str, woman: bool, skin: Colour) -> Garment:
    base = skin
    while np.abs(np.subtract(base, skin)).sum() < 110:  # skin-coloured trousers would look like bare legs
        base = _jitter(rng, LEG_COLOURS[int(rng.integers(len(LEG_COLOURS)))], 10)
        if kind == "skirt" and rng.random() < 0.5:
            base = _colour(rng, 0.7)
    plain = 0.86 if kind == "trousers" else 0.62
    rest = (1 - plain) / 6
    kinds = ("plain", "columns", "plaid", "dots", "flowers", "blots", "rows")
    pattern = Pattern(
        _choose(rng, kinds, (plain, *[rest] * 6)),
        (base, _apart(rng, base), _apart(rng, base)),
        float(rng.uniform(0.04, 0.07)),
        int(rng.integers(2**31)),
    )
    lengths = {"trousers": (0.9, 1.02), "shorts": (0.3, 0.56), "skirt": (0.38, 0.8)}
    length = float(rng.uniform(*lengths[kind]))
    if kind == "trousers" and rng.random() < 0.12:
        length = float(rng.uniform(0.7, 0.85))
    return Garment(pattern, length, loose=float(rng.uniform(0.0, 0.5 if woman else 0.9)))


def _index(rng: np.random.Generator, count: int, weights: Sequence[float]) -> int:
    weights_array = np.asarray(weights, dtype=float)
    return int(rng.choice(count, p=weights_array / weights_array.sum()))


def _choose(rng: np.random.Generator, options: Sequence, weights: Sequence[float]):
    return options[_index(rng, len(options), weights)]


def _jitter(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    red, green, blue = np.clip(np.asarray(colour) + rng.normal(0, spread, 3), 4, 250).astype(int).tolist()
    return red, green, blue


def _colour(rng: np.random.Generator, bright: float) -> Colour:
    """A colour of clothes; `bright` is the probability of a saturated one."""
    table = BRIGHT if rng.random() < bright else NEUTRAL
    return _jitter(rng, table[int(rng.integers(len(table)))], 10)


def _apart(rng: np.random.Generator, other: Colour) -> Colour:
    """A colour that is clearly different from `other`."""
    colour = _colour(rng, 0.5)
    for _ in range(12):
        if np.abs(np.asarray(colour) - np.asarray(other)).sum() > 190:
            break
        colour = _colour(rng, 0.5)
    return colour
