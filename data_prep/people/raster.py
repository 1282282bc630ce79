"""A small z-buffer for textured tubes, in NumPy.

Every solid of a figure is a tube: a stack of rings (super-ellipses). All rings of a picture stand in
one array, so that a figure costs a few dozen NumPy calls whatever the number of its parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEGMENTS = 18  # corners of a ring


@dataclass(frozen=True)
class Tube:
    """A stack of n rings with a texture around it.

    Attributes:
        centres: float (n, 3), person space.
        axes: float (n, 3, 3): columns are the ring's side, the tube's direction, and its front.
        half_width, half_depth: float (n,): half sides along side and front.
        v: float (n,): texture row of each ring, 0 = top, 1 = bottom.
        texture: uint8 (h, w, 4). Its column 0 is at the back, w/4 at the person's right, w/2 in front.
            Texels with alpha below 128 are not there.
        power: exponent of the super-ellipse; 2 = ellipse, 4 = rounded box.
        shade: factor of brightness, (n,) or scalar.
    """

    centres: np.ndarray
    axes: np.ndarray
    half_width: np.ndarray
    half_depth: np.ndarray
    v: np.ndarray
    texture: np.ndarray
    power: float = 2.0
    shade: np.ndarray | float = 1.0


@dataclass(frozen=True)
class Surface:
    """Grids of all rings: points and normals (rings, SEGMENTS + 1, 3); per ring: v, shade, tube number."""

    points: np.ndarray
    normals: np.ndarray
    v: np.ndarray
    shade: np.ndarray
    tube: np.ndarray


@dataclass(frozen=True)
class Layer:
    """A drawn picture: `rgb` float32 (h, w, 3) in [0, 255], `mask` bool (h, w), `depth` float32 (h, w)."""

    rgb: np.ndarray
    mask: np.ndarray
    depth: np.ndarray


def build_surface(tubes: list[Tube]) -> Surface:
    """Corner points and normals of all tubes, in person space."""
    counts = [len(tube.centres) for tube in tubes]
    centres = np.concatenate([tube.centres for tube in tubes])
    axes = np.concatenate([tube.axes for tube in tubes])
    width = np.concatenate([tube.half_width for tube in tubes])[:, None]
    depth = np.concatenate([tube.half_depth for tube in tubes])[:, None]
    power = np.repeat([tube.power for tube in tubes], counts)[:, None]
    tube = np.repeat(np.arange(len(tubes)), counts)
    angle = np.linspace(0.0, 2.0 * np.pi, SEGMENTS + 1)
    sine, cosine = -np.sin(angle), -np.cos(angle)
    x = width * np.sign(sine) * np.abs(sine) ** (2.0 / power)
    z = depth * np.sign(cosine) * np.abs(cosine) ** (2.0 / power)
    side, down, front = axes[:, None, :, 0], axes[:, None, :, 1], axes[:, None, :, 2]
    points = centres[:, None] + x[..., None] * side + z[..., None] * front
    steepness = _steepness(centres, (width + depth)[:, 0] / 2, tube)[:, None, None]
    small = 1e-6
    normals = (sine / (width + small))[..., None] * side + (cosine / (depth + small))[..., None] * front
    normals *= ((width + depth) / 2)[..., None] + small
    normals += steepness * down
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + small
    shade = np.concatenate([np.broadcast_to(tube.shade, len(tube.centres)) for tube in tubes])
    return Surface(points, normals, np.concatenate([tube.v for tube in tubes]), shade, tube)


def _steepness(centres: np.ndarray, radius: np.ndarray, tube: np.ndarray) -> np.ndarray:
    """−dr/ds along each tube, per ring: how much a normal leans towards the tube's direction."""
    before, after = np.roll(np.arange(len(tube)), 1), np.roll(np.arange(len(tube)), -1)
    before = np.where(tube[before] == tube, before, np.arange(len(tube)))
    after = np.where(tube[after] == tube, after, np.arange(len(tube)))
    length = np.linalg.norm(centres[after] - centres[before], axis=-1)
    return np.clip((radius[before] - radius[after]) / (length + 1e-4), -4.0, 4.0)


def rasterise(
    surface: Surface, screen: np.ndarray, light: np.ndarray, textures: list[np.ndarray], shape: tuple[int, int]
) -> Layer:
    """Draws tubes with a z-buffer.

    Args:
        surface: of the tubes; only its v, shade and tube numbers are used.
        screen: float (rings, SEGMENTS + 1, 3): x and y in pixels (pixel centres at +0.5), and depth,
            larger = nearer.
        light: float (rings, SEGMENTS + 1): brightness factor of each corner.
        textures: one a tube.
        shape: (height, width) in pixels.
    """
    corners, face_tube = _triangles(surface.tube)
    columns = np.broadcast_to(np.linspace(0.0, 1.0, SEGMENTS + 1), light.shape)
    rows = np.broadcast_to(surface.v[:, None], light.shape)
    values = np.stack([screen[..., 2], columns, rows, light * surface.shade[:, None]]).astype(np.float32).reshape(4, -1)
    flat = screen.reshape(-1, 3).astype(np.float32)
    xy = flat[corners, :2]
    edge1, edge2 = xy[:, 1] - xy[:, 0], xy[:, 2] - xy[:, 0]
    area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
    front = np.flatnonzero(area > 1e-6)  # counter-clockwise in y-down pixels: turned to the camera
    xy, area, corners, face_tube = xy[front], area[front], corners[front], face_tube[front]
    face, px, py, near1, near2 = _candidates(xy, edge1[front], edge2[front], area, shape)
    base = values[:, corners[:, 0]]
    step1, step2 = values[:, corners[:, 1]] - base, values[:, corners[:, 2]] - base
    z, u, v, shade = (base[i][face] + near1 * step1[i][face] + near2 * step2[i][face] for i in range(4))
    colour, solid = _look_up(textures, face_tube[face], u, v)
    order = np.flatnonzero(solid)
    order = order[np.argsort(z[order])]
    pixel = py * shape[1] + px
    winner = np.full(shape[0] * shape[1], -1, dtype=np.int64)
    winner[pixel[order]] = order  # the last one written is the nearest
    mask = winner >= 0
    hit = winner[mask]
    rgb = np.zeros((mask.size, 3), dtype=np.float32)
    rgb[mask] = colour[hit].astype(np.float32) * shade[hit, None]
    depth = np.full(mask.size, -np.inf, dtype=np.float32)
    depth[mask] = z[hit]
    return Layer(rgb.reshape(*shape, 3), mask.reshape(shape), depth.reshape(shape))


def _triangles(tube: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corner numbers (m, 3) of all triangles, and the tube of each, for rings of the given tubes."""
    ring = np.flatnonzero(tube[:-1] == tube[1:])
    corner = (ring[:, None] * (SEGMENTS + 1) + np.arange(SEGMENTS)).ravel()
    below = corner + SEGMENTS + 1
    corners = np.concatenate([np.stack([corner, corner + 1, below], 1), np.stack([below + 1, below, corner + 1], 1)])
    return corners, np.tile(np.repeat(tube[ring], SEGMENTS), 2)


def _candidates(
    xy: np.ndarray, edge1: np.ndarray, edge2: np.ndarray, area: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixels inside triangles: face number, x, y, and the barycentric weights of corners 1 and 2."""
    limit = np.array([shape[1], shape[0]], dtype=np.float32)
    first, second, third = xy[:, 0], xy[:, 1], xy[:, 2]
    low = np.ceil(np.minimum(np.minimum(first, second), third) - 0.5).clip(0, limit).astype(np.int32)
    high = np.floor(np.maximum(np.maximum(first, second), third) + 0.5).clip(0, limit).astype(np.int32)
    wide, tall = np.maximum(high - low, 0).T
    count = wide * tall
    face = np.repeat(np.arange(len(count), dtype=np.int32), count)
    local = np.arange(len(face), dtype=np.int32) - np.repeat((np.cumsum(count) - count).astype(np.int32), count)
    down = local // wide[face]
    px, py = local - down * wide[face] + low[face, 0], down + low[face, 1]
    scaled1, scaled2 = edge1 / area[:, None], edge2 / area[:, None]
    # Barycentric weights are linear in the pixel: weight = across * x + down * y + start.
    start1 = (0.5 - first[:, 0]) * scaled2[:, 1] - (0.5 - first[:, 1]) * scaled2[:, 0]
    start2 = (0.5 - first[:, 1]) * scaled1[:, 0] - (0.5 - first[:, 0]) * scaled1[:, 1]
    near1 = px * scaled2[face, 1] - py * scaled2[face, 0] + start1[face]
    near2 = py * scaled1[face, 0] - px * scaled1[face, 1] + start2[face]
    inside = np.flatnonzero((near1 >= 0) & (near2 >= 0) & (near1 + near2 <= 1))
    return face[inside], px[inside], py[inside], near1[inside], near2[inside]


def _look_up(
    textures: list[np.ndarray], tube: np.ndarray, u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest texels: uint8 (n, 3), and whether each is solid."""
    heights, widths = np.array([texture.shape[:2] for texture in textures]).T
    starts = np.concatenate([[0], np.cumsum(heights * widths)[:-1]])
    atlas = np.concatenate([texture.reshape(-1, 4) for texture in textures])
    row = np.clip((v * heights[tube]).astype(np.int64), 0, heights[tube] - 1)
    column = np.clip((u * widths[tube]).astype(np.int64), 0, widths[tube] - 1)
    texel = atlas[starts[tube] + row * widths[tube] + column]
    return texel[:, :3], texel[:, 3] >= 128
