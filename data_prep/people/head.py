"""The head: face, nose, ears, hair and hats, as tubes."""

from __future__ import annotations

import numpy as np

from data_prep.people.body import HEAD_HALF, Frame
from data_prep.people.identity import Identity
from data_prep.people.raster import Tube, downwards
from data_prep.people.wardrobe import Textures


def ellipsoid(frame: Frame, centre: np.ndarray, half: np.ndarray, texture: np.ndarray, power: float = 2.0) -> Tube:
    """An ellipsoid with `centre` and half axes `half` (x, y, z) in the frame's coordinates."""
    angle = np.linspace(0.02, np.pi - 0.02, 11)
    rise, radius = np.cos(angle), np.sin(angle)
    centres = frame.at(*centre.tolist()) + (rise * half[1])[:, None] * frame.axes[:, 1]
    axes = downwards(np.broadcast_to(frame.axes, (len(angle), 3, 3)))
    return Tube(centres, axes, half[0] * radius, half[2] * radius, (1 - rise) / 2, texture, power)


def _skull(frame: Frame, half: np.ndarray, texture: np.ndarray, jaw: float) -> Tube:
    """An egg shape that is as wide as `half` at the temples and narrower by `jaw` at the chin."""
    angle = np.linspace(0.02, np.pi - 0.02, 15)
    rise, radius = np.cos(angle), np.sin(angle) ** 0.85
    low = np.clip(-rise, 0, 1)
    forward = 0.012 * low * jaw / 0.2
    centres = frame.origin + (rise * half[1])[:, None] * frame.axes[:, 1] + forward[:, None] * frame.axes[:, 2]
    axes = downwards(np.broadcast_to(frame.axes, (len(angle), 3, 3)))
    width, depth = half[0] * radius * (1 - jaw * low), half[2] * radius * (1 - 1.1 * jaw * low)
    return Tube(centres, axes, width, depth, (1 - rise) / 2, texture, 2.2)


def head_tubes(identity: Identity, head: Frame, textures: Textures) -> list[Tube]:
    half = HEAD_HALF * identity.body.head
    tubes = [_skull(head, half, textures.head, 0.2)]
    tubes.append(ellipsoid(head, np.array([0, -0.20, 1.0]) * half, np.array([0.009, 0.014, 0.011]), textures.skin))
    if identity.hair_style not in ("bob", "long"):
        for side in (-1.0, 1.0):
            place = np.array([side * 1.0, -0.08, -0.05]) * half
            tubes.append(ellipsoid(head, place, np.array([0.006, 0.014, 0.009]), textures.skin))
    return [*tubes, *_hair(identity, head, half, textures), *_hat(identity, head, half, textures)]


def _hair(identity: Identity, head: Frame, half: np.ndarray, textures: Textures) -> list[Tube]:
    style = identity.hair_style
    if style == "bald":
        return []
    thick = {"short": 1.07, "curly": 1.24, "bob": 1.14, "long": 1.10}.get(style, 1.06)
    if identity.hat != "none":
        thick = min(thick, 1.08)
    tubes = [_skull(head, half * thick, textures.hair, 0.1 if style in ("bob", "long") else 0.2)]
    solid = textures.hair.copy()
    solid[..., 3] = 255
    if style in ("long", "bob"):
        tubes.append(_curtain(head, half, solid, 0.16 if style == "long" else 0.07))
    if style == "ponytail":
        tubes.append(ellipsoid(head, np.array([0, -0.55, -1.30]) * half, np.array([0.018, 0.062, 0.02]), solid))
    if style == "bun":
        tubes.append(ellipsoid(head, np.array([0, 0.75, -0.85]) * half, np.array([0.026, 0.024, 0.026]), solid))
    return tubes


def _curtain(head: Frame, half: np.ndarray, texture: np.ndarray, drop: float) -> Tube:
    """Hair that falls down behind the ears, to `drop` statures below the head's centre."""
    t = np.array([0.0, 0.15, 0.4, 0.7, 0.9, 1.0])
    shape = np.array([0.9, 1.0, 1.04, 1.0, 0.85, 0.3])
    back = -half[2] * np.array([0.28, 0.30, 0.40, 0.62, 0.72, 0.72])
    centres = head.origin - (t * drop)[:, None] * head.axes[:, 1] + back[:, None] * head.axes[:, 2]
    axes = downwards(np.broadcast_to(head.axes, (len(t), 3, 3)))
    return Tube(centres, axes, half[0] * 1.14 * shape, half[2] * 0.72 * shape, 0.3 + 0.7 * t, texture, 2.3)


def _hat(identity: Identity, head: Frame, half: np.ndarray, textures: Textures) -> list[Tube]:
    if identity.hat == "none":
        return []
    rise = {"cap": 0.32, "beanie": 0.20, "sunhat": 0.38}[identity.hat]
    t = np.array([0.0, 0.08, 0.25, 0.5, 0.8, 1.0])
    dome = np.sqrt(1 - (1 - t) ** 2) * 1.0 + 0.02
    top = 1.16 * half[1]
    heights = top + t * (rise * half[1] - top)
    centres = head.origin + heights[:, None] * head.axes[:, 1]
    axes = downwards(np.broadcast_to(head.axes, (len(t), 3, 3)))
    tubes = [Tube(centres, axes, 1.12 * half[0] * dome, 1.10 * half[2] * dome, t, textures.hat, 2.2)]
    brim = {"cap": ((0, rise, 0.95), (0.82, 0.05, 0.75)), "sunhat": ((0, rise, 0), (2.0, 0.06, 1.75))}
    if identity.hat in brim:
        place, size = (np.array(value) * half for value in brim[identity.hat])
        tubes.append(ellipsoid(head, place, size, textures.hat))
    return tubes
