"""Makes the tubes of `raster` from an identity and a pose: the body and everything that the person wears."""

from __future__ import annotations

import numpy as np

from data_prep.people.body import HEAD_HALF, SIDES, TORSO, Body, Frame
from data_prep.people.head import head_tubes
from data_prep.people.identity import Garment, Identity
from data_prep.people.raster import Tube, downwards
from data_prep.people.wardrobe import Textures, make_textures

# Bare torso, from the neck to the crotch: position (0 = shoulder line, 1 = hip line), half width,
# half depth, forward offset of the centre. Lengths are in statures.
TORSO_RINGS = np.array(
    [
        [-0.165, 0.034, 0.034, 0.000],
        [-0.110, 0.046, 0.042, -0.004],
        [-0.075, 0.072, 0.046, -0.008],
        [-0.048, 0.090, 0.048, -0.008],
        [-0.025, 0.099, 0.051, -0.008],
        [0.010, 0.104, 0.057, -0.008],
        [0.090, 0.110, 0.064, -0.005],
        [0.220, 0.108, 0.069, 0.000],
        [0.360, 0.102, 0.069, 0.003],
        [0.500, 0.094, 0.065, 0.004],
        [0.640, 0.090, 0.061, 0.003],
        [0.780, 0.093, 0.062, 0.000],
        [0.920, 0.102, 0.067, -0.005],
        [1.060, 0.107, 0.070, -0.008],
        [1.160, 0.105, 0.067, -0.006],
        [1.250, 0.106, 0.066, -0.004],
    ]
)
# Position (0 = upper joint, 1 = middle joint, 2 = lower joint) and half width along a bare limb.
ARM_RINGS = np.array(
    [
        [-0.10, 0.0], [-0.092, 0.011], [-0.06, 0.021], [0.0, 0.0285], [0.12, 0.0325], [0.25, 0.0318], [0.4, 0.0285],
        [0.6, 0.0265], [0.75, 0.0245], [0.9, 0.0225], [1.0, 0.0220], [1.1, 0.0225], [1.3, 0.0235], [1.5, 0.021],
        [1.75, 0.0175], [2.0, 0.0150], [2.06, 0.014],
    ]
)  # fmt: skip
LEG_RINGS = np.array(
    [
        [-0.22, 0.046], [0.0, 0.0525], [0.15, 0.0535], [0.35, 0.0495], [0.55, 0.0445], [0.75, 0.039], [0.9, 0.0355],
        [1.0, 0.034], [1.1, 0.0325], [1.25, 0.0345], [1.4, 0.0345], [1.6, 0.029], [1.8, 0.0225], [2.0, 0.020],
        [2.1, 0.019],
    ]
)  # fmt: skip


def build_figure(identity: Identity, frames: dict[str, Frame]) -> list[Tube]:
    """All tubes of a dressed person."""
    textures = make_textures(identity)
    body = identity.body
    tubes = [*head_tubes(identity, frames["head"], textures), _neck(identity, frames, textures)]
    tubes.append(_torso(body, frames, identity.top, textures.top, 0.002))
    if textures.jacket is not None and identity.jacket is not None:
        tubes.append(_torso(body, frames, identity.jacket, textures.jacket, 0.009))
    lower = _skirt if identity.bottom_kind == "skirt" else _hips
    tubes.append(lower(identity, frames, textures))
    for side, sign in SIDES:
        tubes += _arm(identity, frames, side, sign, textures)
        tubes += _leg(identity, frames, side, sign, textures)
    if identity.bag != "none":
        tubes.append(_bag(identity, frames, textures))
    return tubes


def _profile(body: Body, position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half width, half depth and forward offset of the torso at `position`."""
    width, depth, forward = (np.interp(position, TORSO_RINGS[:, 0], TORSO_RINGS[:, i]) for i in (1, 2, 3))
    low = np.clip((position - 0.3) / 0.6, 0, 1)
    high = np.clip((position + 0.15) / 0.12, 0, 1)  # the neck itself does not widen with the shoulders
    breadth = body.shoulders * (1 - low) + body.hips * low
    girth = 1 + (body.girth - 1) * (0.4 + 0.9 * np.exp(-(((position - 0.65) / 0.4) ** 2)))
    width = width * np.where(high < 1, 1 + (breadth - 1) * high, breadth) * (1 + (girth - 1) * high)
    belly = body.belly * np.exp(-(((position - 0.66) / 0.24) ** 2))
    bust = body.bust * np.exp(-(((position - 0.30) / 0.10) ** 2))
    depth = depth * girth + 0.020 * belly + 0.009 * bust
    return width + 0.012 * belly, depth, forward + 0.020 * belly + 0.009 * bust


def _torso_rings(frames: dict[str, Frame], position: np.ndarray, forward: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres and axes of the torso's rings. The spine bends between pelvis and chest."""
    pelvis, chest = frames["pelvis"], frames["chest"]
    weight = np.clip((position - 0.15) / 0.75, 0, 1)
    weight = (weight * weight * (3 - 2 * weight))[:, None, None]
    axes = _orthonormal((1 - weight) * chest.axes + weight * pelvis.axes)
    spine = chest.origin - pelvis.origin
    below = np.maximum(position - 1, 0)[:, None] * TORSO * -pelvis.axes[:, 1]
    above = np.maximum(-position, 0)[:, None] * TORSO * chest.axes[:, 1]
    centres = pelvis.origin + np.clip(1 - position, 0, 1)[:, None] * spine + below + above
    return centres + forward[:, None] * axes[:, :, 2], axes


def _orthonormal(axes: np.ndarray) -> np.ndarray:
    """Turns blended rotation matrices (n, 3, 3) into rotation matrices again."""
    y = axes[:, :, 1] / np.linalg.norm(axes[:, :, 1], axis=-1, keepdims=True)
    z = axes[:, :, 2] - np.sum(axes[:, :, 2] * y, axis=-1, keepdims=True) * y
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    x = y[:, [1, 2, 0]] * z[:, [2, 0, 1]] - y[:, [2, 0, 1]] * z[:, [1, 2, 0]]  # cross product
    return np.stack([x, y, z], axis=-1)


def _torso(body: Body, frames: dict[str, Frame], garment: Garment, texture: np.ndarray, off: float) -> Tube:
    end = garment.length
    position = np.concatenate([TORSO_RINGS[:, 0][TORSO_RINGS[:, 0] < end - 0.03], [end]])
    width, depth, forward = _profile(body, position)
    loose = 0.004 + 0.016 * garment.loose * np.clip((position - 0.05) / 0.4, 0, 1)
    loose = off + loose + 0.10 * garment.loose * np.maximum(position - 0.95, 0) * 0.3
    collar = np.clip((position + 0.165) / 0.1, 0, 1)  # at the neck the cloth lies on the skin
    centres, axes = _torso_rings(frames, position, forward)
    v = (position - position[0]) / (position[-1] - position[0])
    return Tube(
        centres, downwards(axes), width + loose * collar, depth + loose * collar, v, texture, 2.4, _hollow(position)
    )


def _hollow(position: np.ndarray) -> np.ndarray:
    """Shading of the torso that the light model lacks: it is darker below the chest and towards the hips."""
    return 1.0 - 0.06 * np.clip((position - 0.4) / 0.6, 0, 1)


def _hips(identity: Identity, frames: dict[str, Frame], textures: Textures) -> Tube:
    position = np.array([0.72, 0.80, 0.92, 1.06, 1.16, 1.24, 1.29, 1.30])
    width, depth, forward = _profile(identity.body, position)
    ending = np.array([1.0, 1.0, 1.0, 0.97, 0.85, 0.66, 0.42, 0.05])
    flat = np.array([1.0, 1.0, 0.98, 0.86, 0.72, 0.55, 0.35, 0.05])  # the thighs lie in front of the crotch
    loose = 0.002 + 0.008 * identity.bottom.loose
    centres, axes = _torso_rings(frames, position, forward)
    v = (position - position[0]) / (position[-1] - position[0])
    # The shirt's shadow falls on the top of the trousers.
    below = np.clip((position - min(identity.top.length, 1.2)) / 0.08, 0, 1)
    return Tube(
        centres,
        downwards(axes),
        (width + loose) * ending,
        (depth + loose) * flat,
        v,
        textures.hips,
        2.3,
        0.8 + 0.2 * below,
    )


def _neck(identity: Identity, frames: dict[str, Frame], textures: Textures) -> Tube:
    chest, head = frames["chest"], frames["head"]
    low, high = chest.at(0, 0.01, -0.008), head.at(0, -0.30 * HEAD_HALF[1], -0.008)
    t = np.linspace(0, 1, 4)
    centres = low + t[:, None] * (high - low)
    axes = np.broadcast_to(chest.axes, (4, 3, 3))
    radius = 0.0315 * (0.7 + 0.3 * identity.body.girth) * np.array([1.25, 1.0, 0.95, 0.95])
    return Tube(centres[::-1], downwards(axes), radius[::-1], radius[::-1], t, textures.skin, 2.0, 0.82)


def _limb_rings(
    upper: Frame, middle: Frame, lower: np.ndarray, position: np.ndarray, soft: float
) -> tuple[np.ndarray, np.ndarray]:
    """Centres and axes along two bones. Near the middle joint the axes turn from one bone to the other."""
    weight = np.clip((position - 1 + soft) / (2 * soft), 0, 1)
    weight = (weight * weight * (3 - 2 * weight))[:, None, None]
    axes = _orthonormal((1 - weight) * upper.axes + weight * middle.axes)
    t = position[:, None]
    on_upper = upper.origin + t * (middle.origin - upper.origin)
    on_lower = middle.origin + (t - 1) * (lower - middle.origin)
    return np.where(t < 1, on_upper, on_lower), axes


def _limb(
    rings: np.ndarray,
    upper: Frame,
    middle: Frame,
    lower: np.ndarray,
    texture: np.ndarray,
    end: float,
    scale: float,
    off: np.ndarray | float = 0.0,
    soft: float = 0.25,
    shade: float = 1.0,
    inset: float = 0.0,
    start: float = -1.0,
) -> Tube:
    """A limb or its cloth, from position `start` to `end`, `off` statures thicker than the bare limb.

    `inset` moves the upper end sideways, because the hip joints lie farther out than the middle of the thighs.
    """
    inner = rings[:, 0][(rings[:, 0] > start + 0.03) & (rings[:, 0] < end - 0.03)]
    position = np.concatenate([[max(start, rings[0, 0])], inner, [end]])
    radius = np.interp(position, rings[:, 0], rings[:, 1]) * scale
    closed = radius < 1e-3
    radius = radius + np.where(closed, 0.0, np.interp(position, [0.0, 0.5, 2.0], off) if np.ndim(off) else off)
    centres, axes = _limb_rings(upper, middle, lower, position, soft)
    centres = centres + (inset * np.clip(1 - position, 0, 1.2))[:, None] * upper.axes[:, 0]
    v = (position - rings[0, 0]) / (end - rings[0, 0])
    return Tube(centres, downwards(axes), radius * 0.98, radius * 1.02, v, texture, 2.0, shade)


def _arm(identity: Identity, frames: dict[str, Frame], side: str, sign: float, textures: Textures) -> list[Tube]:
    garment = identity.jacket or identity.top
    upper, middle, wrist = frames[side + "sho"], frames[side + "elb"], frames[side + "wri"]
    scale = 0.45 + 0.55 * identity.body.girth
    tubes = [_limb(ARM_RINGS, upper, middle, wrist.origin, textures.skin, 2.06, scale, inset=-0.008 * sign)]
    if garment.sleeve > 0:
        wide = 0.003 + 0.010 * garment.loose
        off = np.array([0.003, wide, wide * 0.9])
        end = 2 * garment.sleeve
        tubes.append(
            _limb(ARM_RINGS, upper, middle, wrist.origin, textures.sleeve, end, scale, off, inset=-0.008 * sign)
        )
    return [*tubes, *_hand(wrist, identity, textures)]


def _hand(wrist: Frame, identity: Identity, textures: Textures) -> list[Tube]:
    t = np.array([0.0, 0.1, 0.3, 0.55, 0.8, 0.95, 1.0])
    shape = np.array([0.7, 0.85, 1.0, 1.0, 0.8, 0.5, 0.05])
    centres = wrist.origin + (t * 0.088)[:, None] * -wrist.axes[:, 1] + (t * 0.008)[:, None] * wrist.axes[:, 2]
    axes = downwards(np.broadcast_to(wrist.axes, (len(t), 3, 3)))
    palm = Tube(centres, axes, 0.0125 * shape, 0.021 * shape, t, textures.skin)
    thumb = palm.centres[1:5] + wrist.axes[:, 2] * np.array([0.008, 0.017, 0.02, 0.02])[:, None]
    size = np.array([0.008, 0.009, 0.008, 0.001])
    return [palm, Tube(thumb, axes[1:5], size, size, t[1:5], textures.skin, 2.0, 0.95)]


def _leg(identity: Identity, frames: dict[str, Frame], side: str, sign: float, textures: Textures) -> list[Tube]:
    upper, middle, ankle = frames[side + "hip"], frames[side + "kne"], frames[side + "ank"]
    scale = 0.4 + 0.6 * identity.body.girth
    tubes = []
    trousers = identity.bottom_kind != "skirt"
    end = 2 * identity.bottom.length
    start = -1.0 if trousers else end - 0.15  # a skirt hides the upper legs in every stride
    if not trousers or end < 1.95:
        tubes.append(
            _limb(
                LEG_RINGS,
                upper,
                middle,
                ankle.origin,
                textures.leg,
                2.1,
                scale,
                shade=0.97,
                inset=-0.013 * sign,
                start=start,
            )
        )
    if trousers:
        loose = identity.bottom.loose
        off = np.array([0.003, 0.004 + 0.010 * loose, 0.005 + 0.016 * loose])
        tubes.append(
            _limb(LEG_RINGS, upper, middle, ankle.origin, textures.bottom, end, scale, off, inset=-0.013 * sign)
        )
    return [*tubes, _shoe(frames[side + "foot"], textures)]


def _shoe(foot: Frame, textures: Textures) -> Tube:
    t = np.array([-0.034, -0.031, -0.02, 0.0, 0.025, 0.05, 0.072, 0.088, 0.094])
    width = np.array([0.003, 0.014, 0.020, 0.021, 0.021, 0.0235, 0.023, 0.015, 0.002])
    tall = np.array([0.003, 0.020, 0.026, 0.026, 0.021, 0.0165, 0.013, 0.010, 0.002])
    height = -0.042 + tall
    centres = foot.origin + t[:, None] * foot.axes[:, 2] + height[:, None] * foot.axes[:, 1]
    x, y, z = foot.axes.T
    axes = np.broadcast_to(np.stack([x, z, y], axis=-1), (len(t), 3, 3))
    return Tube(centres, axes, width, tall, (t - t[0]) / (t[-1] - t[0]), textures.shoe, 2.6)


def _skirt(identity: Identity, frames: dict[str, Frame], textures: Textures) -> Tube:
    """A tube around the hips and both legs. It follows the stride of the legs."""
    body, garment = identity.body, identity.bottom
    top_position = np.array([0.74, 0.85, 0.98])
    width, depth, forward = _profile(body, top_position)
    centres, axes = _torso_rings(frames, top_position, forward)
    end = 2 * garment.length
    position = np.concatenate([np.arange(0.12, end - 0.05, 0.16), [end]])
    legs = [_limb_rings(frames[s + "hip"], frames[s + "kne"], frames[s + "ank"].origin, position, 0.3)[0] for s in "RL"]
    radius = np.interp(position, LEG_RINGS[:, 0], LEG_RINGS[:, 1]) * (0.4 + 0.6 * body.girth)
    flare = 0.008 + (0.006 + 0.03 * garment.loose) * position
    pelvis = frames["pelvis"].axes
    apart = np.abs((legs[1] - legs[0]) @ pelvis) / 2
    low_width = np.maximum(1.1 * apart[:, 0] + radius + flare, width[-1] * 0.98)
    low_depth = np.maximum(1.1 * apart[:, 2] + radius + flare, depth[-1] * 0.95)
    v = np.concatenate([np.array([-0.48, -0.26, -0.03]) + 0.5, position + 0.5])
    v = (v - v[0]) / (v[-1] - v[0])
    return Tube(
        np.concatenate([centres, (legs[0] + legs[1]) / 2]),
        downwards(np.concatenate([axes, np.broadcast_to(pelvis, (len(position), 3, 3))])),
        np.concatenate([width + 0.008, low_width]),
        np.concatenate([depth + 0.008, low_depth]),
        v,
        textures.bottom,
        2.2,
        1.0 - 0.1 * v,
    )


def _bag(identity: Identity, frames: dict[str, Frame], textures: Textures) -> Tube:
    """A backpack behind the chest, or a bag at the left hip."""
    chest, pelvis = frames["chest"], frames["pelvis"]
    t = np.array([0.0, 0.02, 0.1, 0.3, 0.6, 0.85, 0.97, 1.0])
    shape = np.array([0.05, 0.6, 0.9, 1.0, 1.0, 1.0, 0.85, 0.05])
    if identity.bag == "backpack":
        _, depth, _ = _profile(identity.body, np.array([0.3]))
        frame, length, size = chest, 0.25, np.array([0.080, 0.045])
        top = chest.at(0, -0.005, -float(depth[0]) - 0.052)
    else:
        width, _, _ = _profile(identity.body, np.array([1.0]))
        frame, length, size = pelvis, 0.13, np.array([0.026, 0.075])
        top = pelvis.at(float(width[0]) + 0.03, 0.02, -0.02)
    centres = top - (t * length)[:, None] * frame.axes[:, 1]
    axes = downwards(np.broadcast_to(frame.axes, (len(t), 3, 3)))
    return Tube(centres, axes, size[0] * shape, size[1] * shape, t, textures.bag, 3.2)
