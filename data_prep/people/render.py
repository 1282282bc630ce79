"""Renders one image of one person: geometry, light, background and camera."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
from PIL import Image, ImageFilter

from data_prep.people.body import SIDES, facing, joints_3d, pose_body, rotation
from data_prep.people.figure import build_figure
from data_prep.people.identity import Identity, sample_identity
from data_prep.people.raster import Layer, build_surface, rasterise
from data_prep.people.scene import background, contact_shadow, draw_occluder
from data_prep.people.shot import Camera, Shot, sample_pose

MISSING = -1  # as in annotation files; not imported from pose_gan, which would load TensorFlow
DISTANCE = 5.0  # distance of the camera in statures


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A person alone: supersampled `layer`; `joints` (18, 3) x, y in final pixels and depth;
    `feet` (2, 2) x, y of the soles in final pixels; `turned_away` bool (5,) of the facial joints;
    `unit` in pixels per stature.
    """

    layer: Layer
    joints: np.ndarray
    feet: np.ndarray
    turned_away: np.ndarray
    unit: float


def render_person(identity: Identity, shot: Shot, size: tuple[int, int] = (128, 64)) -> tuple[np.ndarray, np.ndarray]:
    """Draws one image.

    Args:
        identity: the person.
        shot: pose, view, camera and occlusion.
        size: (height, width) in pixels.

    Returns: uint8 `(height, width, 3)` RGB, and int32 `(18, 2)` keypoints (y, x) in the order of
        `COCO18`, −1 where a joint lies outside of the image or behind something, or is turned away.
    """
    rng = np.random.default_rng([shot.seed, 1])
    scale = supersampling(size)
    person = draw_person(identity, shot, size, scale)
    image = background(shot.camera, size, rng)
    if shot.company:
        image = _add_company(image, shot, size, scale, rng)
    image = contact_shadow(image, person.feet, person.unit)
    image = _paste(image, person.layer, scale)
    hidden = np.zeros(size, dtype=bool)
    if shot.occluder == "person":
        image, hidden = _add_other_in_front(image, shot, size, scale, rng)
    elif shot.occluder != "none":
        image, hidden = draw_occluder(image, shot.occluder, rng, person.unit)
    keypoints = _visible_keypoints(person, hidden, scale, shot.miss, rng)
    return _photograph(image, shot.camera, rng), keypoints


def supersampling(size: tuple[int, int]) -> int:
    """The number of drawn pixels per final pixel, along each side."""
    return 4 if size[0] <= 96 else 3 if size[0] <= 192 else 2


def draw_person(identity: Identity, shot: Shot, size: tuple[int, int], scale: int) -> Drawing:
    """Draws the person alone, `scale` times larger than `size`."""
    frames = pose_body(identity.body, shot.pose)
    turn = rotation("x", shot.camera.pitch) @ rotation("y", shot.yaw)
    middle = np.array([frames["pelvis"].origin[0], 0.5, frames["pelvis"].origin[2]])

    def view(points: np.ndarray) -> np.ndarray:
        """Maps person space to statures on the picture: x right, y down, depth towards the camera."""
        seen = (points - middle) @ turn.T
        zoom = DISTANCE / (DISTANCE - seen[..., 2:])
        return np.concatenate([seen[..., :1] * zoom, -seen[..., 1:2] * zoom, seen[..., 2:]], axis=-1)

    tubes = build_figure(identity, frames)
    surface = build_surface(tubes)
    seen = view(surface.points)
    unit_x, unit, offset = _frame_person(seen, shot, size)
    factors = np.array([unit_x, unit, 1.0])
    light = _brightness(surface.normals @ turn.T, shot.camera)
    screen = seen * factors * [scale, scale, 1] + np.array([*(offset * scale), 0.0])
    layer = rasterise(surface, screen, light, [tube.texture for tube in tubes], (size[0] * scale, size[1] * scale))
    layer = dataclasses.replace(layer, rgb=_darken_behind(layer))
    place = np.array([*offset, 0.0])
    soles = np.array([frames[side + "foot"].at(0, -0.042, 0.03) for side, _ in SIDES])
    return Drawing(
        layer,
        view(joints_3d(frames, identity.body)) * factors + place,
        (view(soles) * factors + place)[:, :2],
        (facing(frames) @ turn.T)[:, 2] < np.array([0.0, 0.05, 0.05, -0.35, -0.35]),
        unit,
    )


def _frame_person(seen: np.ndarray, shot: Shot, size: tuple[int, int]) -> tuple[float, float, np.ndarray]:
    """Pixels per stature across and down, and the place of the origin (x, y), for the wanted framing."""
    height, width = size
    low, high = seen.reshape(-1, 3)[:, :2].min(0), seen.reshape(-1, 3)[:, :2].max(0)
    unit = shot.fill * height / min(high[1] - low[1], 1.12)  # a raised arm may leave the picture
    stretch = shot.stretch if width / height < 0.7 else 1.0
    unit_x = unit * stretch
    room = 1.06 * shot.fill * width / (high[0] - low[0])
    if unit_x > room:  # a long stride is squeezed a little, then the camera steps back
        unit_x = max(room, 0.85 * unit)
        unit = min(unit, max(room / 0.85, 0.8 * unit))
        unit_x = min(unit_x, unit * stretch)
    centre = np.array([(0.5 * low[0] + 0.5 * high[0]) * unit_x, (high[1] - 0.5 * min(high[1] - low[1], 1.12)) * unit])
    place = np.array([width * (0.5 + shot.shift[1]), height * (0.5 + shot.shift[0])])
    return unit_x, unit, place - centre


def _brightness(normals: np.ndarray, camera: Camera) -> np.ndarray:
    """Ambient light plus wrapped diffuse light, which is darker towards the outline."""
    light = np.asarray(camera.light) / np.linalg.norm(camera.light)
    diffuse = np.clip((normals @ light + 0.25) / 1.25, 0, 1)
    edge = 0.78 + 0.22 * np.clip(normals[..., 2], 0, 1)
    sky = 1.0 + 0.08 * normals[..., 1]
    return (camera.ambient + 1.05 * (1 - camera.ambient) * diffuse) * edge * sky * 1.36


def _darken_behind(layer: Layer, strength: float = 2.2) -> np.ndarray:
    """Darkens surfaces that lie just behind something nearer (such as an arm before the chest): float32 rgb."""
    grey = np.where(layer.mask, np.clip((layer.depth + 0.5) * 255, 0, 255), 0).astype(np.uint8)
    radius = layer.mask.shape[0] / 90
    blurred = np.asarray(Image.fromarray(grey).filter(ImageFilter.BoxBlur(radius)), dtype=np.float32)
    excess = np.clip((blurred - grey) / 255 - 0.018, 0, 0.12)
    return layer.rgb * (1 - strength * excess)[..., None]


def _paste(image: np.ndarray, layer: Layer, scale: int) -> np.ndarray:
    """Averages the supersampled layer over `image`, float32 (h, w, 3)."""
    share = Image.fromarray(layer.mask.astype(np.uint8) * 255).reduce(scale)
    colour = Image.fromarray(np.clip(layer.rgb, 0, 255).astype(np.uint8)).reduce(scale)  # 0 where the layer is empty
    return image * (1 - np.asarray(share, dtype=np.float32) / 255)[..., None] + np.asarray(colour)


def _visible_keypoints(
    person: Drawing, hidden: np.ndarray, scale: int, miss: float, rng: np.random.Generator
) -> np.ndarray:
    """Integer (y, x) of the visible joints, −1 for the other joints."""
    height, width = hidden.shape
    chance = rng.random(len(person.joints))
    x, y = np.floor(person.joints[:, :2].T).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    column, row = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    nearer = person.layer.depth[row * scale + scale // 2, column * scale + scale // 2] - person.joints[:, 2]
    behind = nearer > 0.12  # in statures; this is more than the thickness of the joint's own body part
    required = np.isin(np.arange(len(x)), (1, 2, 5, 8, 11))
    missed = behind & (chance < np.where(required, 0.08 * miss, miss))
    missed[[0, 14, 15, 16, 17]] |= person.turned_away
    keep = inside & ~missed & ~hidden[row, column]
    return np.where(keep[:, None], np.stack([y, x], axis=-1), MISSING).astype(np.int32)


def _stranger(shot: Shot, rng: np.random.Generator, fill: float, shift: tuple[float, float]) -> tuple[Identity, Shot]:
    identity = sample_identity(np.random.default_rng(rng.integers(2**31)))
    other = dataclasses.replace(
        shot, pose=sample_pose(rng), yaw=float(rng.uniform(-np.pi, np.pi)), fill=fill, shift=shift, stretch=1.0
    )
    return identity, other


def _add_company(
    image: np.ndarray, shot: Shot, size: tuple[int, int], scale: int, rng: np.random.Generator
) -> np.ndarray:
    """Adds another person, who is farther away and at one side."""
    fill = float(rng.uniform(0.62, 0.85))
    side = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.28, 0.5))
    identity, other = _stranger(shot, rng, fill, (-0.06 - (0.9 - fill) * 0.3, side))
    person = draw_person(identity, other, size, scale)
    image = contact_shadow(image, person.feet, person.unit)
    return _paste(image, person.layer, scale)


def _add_other_in_front(
    image: np.ndarray, shot: Shot, size: tuple[int, int], scale: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Adds a nearer person who is partly in the picture, and also returns the hidden pixels, bool (h, w)."""
    side = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.55, 0.75))
    identity, other = _stranger(shot, rng, 1.15, (0.08, side))
    person = draw_person(identity, other, size, scale)
    return _paste(image, person.layer, scale), person.layer.mask[scale // 2 :: scale, scale // 2 :: scale]


def _photograph(image: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Applies the camera's colours, blur, noise and compression: uint8 (h, w, 3)."""
    height = image.shape[0]
    exposure = rng.normal(1.0, 0.04)
    image = (image * np.asarray(camera.gain, dtype=np.float32) * exposure - 118) * camera.contrast + 118
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    picture = picture.filter(ImageFilter.GaussianBlur(camera.blur * height / 128))
    noise = rng.normal(0, camera.noise, (height, image.shape[1], 1)) + rng.normal(0, camera.noise / 2, image.shape)
    picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=camera.quality)
    return np.asarray(Image.open(buffer).convert("RGB"))
