"""A small z-buffer for textured tubes, in NumPy.

Every solid of a figure is a tube, which is a stack of rings (super-ellipses). All rings of a picture are in
one array, so a figure needs a few dozen NumPy calls, which do not depend on the number of its parts.
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
        axes: float (n, 3, 3): columns are the ring's side, the tube's direction, and the ring's front.
        half_width, half_depth: float (n,): half sides along side and front.
        v: float (n,): texture row of each ring, 0 = top, 1 = bottom.
        texture: uint8 (h, w, 4). Column 0 is at the back, w/4 at the person's right, w/2 in front.
            Texels with alpha below 128 are holes.
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
    """Grids of all rings: points and normals (rings, SEGMENTS + 1, 3), and v, shade and tube number of each ring."""

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


def downwards(axes: np.ndarray) -> np.ndarray:
    """Axes whose second column points along the tube, from the first ring to the last."""
    return axes * np.array([1.0, -1.0, 1.0])


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
    """−dr/ds along each tube, per ring: the tilt of a normal towards the tube's direction."""
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
        surface: surface of the tubes; only its v, shade and tube numbers are used.
        screen: float (rings, SEGMENTS + 1, 3): x and y in pixels (pixel centres at +0.5), and depth,
            larger = nearer.
        light: float (rings, SEGMENTS + 1): brightness factor of each corner.
        textures: one texture per tube.
        shape: (height, width) in pixels.
    """
    corners, face_tube = _triangles(surface.tube)
    columns = np.broadcast_to(np.linspace(0.0, 1.0, SEGMENTS + 1), light.shape)
    rows = np.broadcast_to(surface.v[:, None], light.shape)
    values = np.stack([screen[..., 2], columns, rows, light * surface.shade[:, None]]).astype(np.float32).reshape(4, -1)
    x, y = screen[..., :2].astype(np.float32).reshape(-1, 2).T
    spans = _spans(x[corners], y[corners], values[:, corners], face_tube, shape)
    # The spans are expanded to pixels.
    count = spans.right - spans.left
    row = np.repeat(np.arange(len(count), dtype=np.int32), count)
    px = np.arange(len(row), dtype=np.int32) + np.repeat(spans.left - (np.cumsum(count) - count), count)
    atlas = _Atlas(textures)
    if atlas.holes.any():
        solid = ~atlas.holes[spans.tube][row]
        check = np.flatnonzero(~solid)
        texel = atlas.look_up(spans.tube[row[check]], *spans.at(row[check], px[check], (1, 2)))
        solid[check] = texel[:, 3] >= 128
        row, px = row[solid], px[solid]
    (z,) = spans.at(row, px, (0,))
    order = _order(z)
    pixel = spans.y[row] * shape[1] + px
    winner = np.full(shape[0] * shape[1], -1, dtype=np.int64)
    winner[pixel[order]] = order  # the last one written is the nearest
    mask = winner >= 0
    hit = winner[mask]
    u, v, shade = spans.at(row[hit], px[hit], (1, 2, 3))
    rgb = np.zeros((mask.size, 3), dtype=np.float32)
    rgb[mask] = atlas.look_up(spans.tube[row[hit]], u, v)[:, :3] * shade[:, None]
    depth = np.full(mask.size, -np.inf, dtype=np.float32)
    depth[mask] = z[hit]
    return Layer(rgb.reshape(*shape, 3), mask.reshape(shape), depth.reshape(shape))


def _order(z: np.ndarray) -> np.ndarray:
    """Indices of the pixels from the farthest to the nearest. With 16 bits of depth, NumPy can use a radix sort."""
    low = z.min(initial=np.inf)
    steps = (z - low) * (65535 / max(float(z.max(initial=-np.inf)) - float(low), 1e-6))
    return np.argsort(steps.astype(np.uint16), kind="stable")


def _triangles(tube: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corner numbers (m, 3) of all triangles, and the tube of each, for rings of the given tubes."""
    ring = np.flatnonzero(tube[:-1] == tube[1:])
    corner = (ring[:, None] * (SEGMENTS + 1) + np.arange(SEGMENTS)).ravel()
    below = corner + SEGMENTS + 1
    corners = np.concatenate([np.stack([corner, corner + 1, below], 1), np.stack([below + 1, below, corner + 1], 1)])
    return corners, np.tile(np.repeat(tube[ring], SEGMENTS), 2)


@dataclass(frozen=True)
class _Spans:
    """Rows of triangles: pixels `left` to `right` (excluded) of row `y`; all are int32 (n,).

    Depth, u, v and shade at x are start + slope · x, with `start` and `slope` float32 (4, n). `tube` is the number of
    the tube.
    """

    y: np.ndarray
    left: np.ndarray
    right: np.ndarray
    start: np.ndarray
    slope: np.ndarray
    tube: np.ndarray

    def at(self, row: np.ndarray, px: np.ndarray, which: tuple[int, ...]) -> list[np.ndarray]:
        """The values with the indices `which` at the pixels `px` of the spans `row`."""
        return [self.start[i][row] + self.slope[i][row] * px for i in which]


def _spans(x: np.ndarray, y: np.ndarray, values: np.ndarray, tube: np.ndarray, shape: tuple[int, int]) -> _Spans:
    """Cuts the triangles that face the camera into rows of pixels.

    Args:
        x, y: (m, 3) corners in pixels. values: (4, m, 3) at the corners. tube: (m,).
    """
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (y[:, 1] - y[:, 0]) * (x[:, 2] - x[:, 0])
    front = np.flatnonzero(area > 1e-5)  # clockwise on the screen, whose y points down
    x, y, area, values, tube = x[front].T, y[front].T, area[front], values[:, front], tube[front]
    top = np.ceil(y.min(0) - 0.5).clip(0, shape[0]).astype(np.int32)
    tall = np.floor(y.max(0) + 0.5).clip(0, shape[0]).astype(np.int32) - top
    face = np.repeat(np.arange(len(tall), dtype=np.int32), tall)
    py = np.arange(len(face), dtype=np.int32) + np.repeat(top - (np.cumsum(tall) - tall), tall)
    left, right = np.zeros(len(face), np.float32), np.full(len(face), shape[1] - 1, np.float32)
    slope_x, slope_y, origin = (np.zeros((len(values), len(tall)), np.float32) for _ in range(3))
    for corner in range(3):
        # The corner's barycentric weight is across · x + down · y + rest at the pixel (x, y).
        one, two = (corner + 1) % 3, (corner + 2) % 3
        across, down = (y[one] - y[two]) / area, (x[two] - x[one]) / area
        rest = (0.5 - x[one]) * across + (0.5 - y[one]) * down
        across = np.where(np.abs(across) < 1e-9, np.float32(1e-9), across)
        weight = down[face] * py + rest[face]
        bound = -weight / across[face]
        rising = across[face] > 0
        left = np.where(rising, np.maximum(left, bound), left)
        right = np.where(rising, right, np.minimum(right, bound))
        slope_x += values[:, :, corner] * across
        slope_y += values[:, :, corner] * down
        origin += values[:, :, corner] * rest
    first, last = np.ceil(left - 1e-3), np.floor(right + 1e-3)  # leaves no gaps between neighbours
    some = np.flatnonzero(last >= first)
    first, last = first[some].astype(np.int32), last[some].astype(np.int32) + 1
    face, py = face[some], py[some]
    return _Spans(py, first, last, origin[:, face] + slope_y[:, face] * py, slope_x[:, face], tube[face])


class _Atlas:
    """Textures of different sizes in one array. `holes`, bool (n,), marks textures with missing texels."""

    def __init__(self, textures: list[np.ndarray]) -> None:
        self.heights, self.widths = np.array([texture.shape[:2] for texture in textures], dtype=np.int32).T
        sizes = self.heights * self.widths
        self.starts = (np.cumsum(sizes) - sizes).astype(np.int32)
        self.texels = np.concatenate([texture.reshape(-1, 4) for texture in textures])
        self.holes = np.array([texture[..., 3].min() < 128 for texture in textures])

    def look_up(self, tube: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The nearest texels of the textures `tube` at u, v: uint8 (n, 4)."""
        height, width = self.heights[tube], self.widths[tube]
        row = (v * height).astype(np.int32).clip(0, height - 1)
        column = (u * width).astype(np.int32).clip(0, width - 1)
        return self.texels[self.starts[tube] + row * width + column]
