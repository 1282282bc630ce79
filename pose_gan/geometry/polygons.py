"""The pixels that a polygon covers: batched TensorFlow, exact at the outline.

A pixel centre is inside of a polygon if an odd number of edges crosses the ray that leaves it to the right. Edges
count for y in [y_i, y_j) and x < the crossing, so polygons that share an edge share no pixel.

Outlines often run through pixel centres, since joints lie on pixel centres. With the offset `AS_THEY_LIE`, the centres
themselves are tested, and rounding decides in such a case. The crossings are computed as in scikit-image 0.13, with
which the authors' release fills polygons, so the rounding is the same as there. With the offset `BESIDE`, points
slightly below and to the right of the centres are tested, and every precision and compiler gives the same result.
"""

from __future__ import annotations

import functools

import tensorflow as tf

AS_THEY_LIE = (0.0, 0.0)
BESIDE = (2.0**-10, 0.618 * 2.0**-10)
"""Offset (x, y) of the tested points from the pixel centres, in pixels. It is larger than the rounding errors of
float32 in an image of 1000 pixels, and no line between pixel centres has its direction."""
Offset = tuple[float, float]
Runs = tuple[tf.Tensor, tf.Tensor]
"""Start and end of one run of pixels [start, end) per line: whole numbers `(B, P, lines)`."""


def convex_runs(corners: tf.Tensor, height: int, present: tf.Tensor, where: Offset) -> Runs:
    """Filled convex polygons, as one run of pixels [start, end) per row of the image.

    Args:
        corners: `(B, P, V, 2)`, (x, y) in pixels.
        height: of the image, pixels.
        present: bool `(B, P)`; polygons that are not present are empty.
        where: AS_THEY_LIE or BESIDE.
    Returns: start and end, whole numbers `(B, P, height)`. A run may reach beyond the image.
    """
    corners = tf.where(present[:, :, None, None], corners, 0.0)  # no row crosses a polygon that is one point
    limits = _crossings(corners, height, where)
    end = tf.reduce_max(limits, axis=2)
    return tf.reduce_sum(limits, axis=2) - end, end  # all limits but the two of the run are 0


def fill(corners: tf.Tensor, image_size: tuple[int, int], where: Offset) -> tf.Tensor:
    """A filled polygon of any form: bool `(B, height, width)` for corners `(B, V, 2)`, (x, y) in pixels."""
    limits = tf.unstack(_crossings(corners[:, None], image_size[0], where)[:, 0, ..., None], axis=1)
    column = tf.range(image_size[1], dtype=corners.dtype)
    return functools.reduce(tf.math.logical_xor, [column < limit for limit in limits])


def near_segment(a: tf.Tensor, b: tf.Tensor, distance: float, image_size: tuple[int, int]) -> tf.Tensor:
    """The pixels at most `distance` from the segment a–b: bool `(B, height, width)` for ends `(B, 2)`, (x, y)."""
    x = tf.range(image_size[1], dtype=a.dtype)[None, None, :]
    y = tf.range(image_size[0], dtype=a.dtype)[None, :, None]
    (ax, ay), (dx, dy) = tf.unstack(a[..., None, None], axis=1), tf.unstack((b - a)[..., None, None], axis=1)
    along = tf.math.divide_no_nan((x - ax) * dx + (y - ay) * dy, dx * dx + dy * dy)
    along = tf.clip_by_value(along, 0.0, 1.0)
    return tf.square(x - ax - along * dx) + tf.square(y - ay - along * dy) <= distance**2 + BESIDE[0]


def beside_segment(a: tf.Tensor, b: tf.Tensor, distance: float) -> tf.Tensor:
    """The rectangle that reaches `distance` to either side of the segment a–b: corners `(B, 4, 2)`, (x, y)."""
    along = a - b
    normal = distance * tf.stack([-along[:, 1], along[:, 0]], axis=1)
    side = tf.math.divide_no_nan(normal, tf.norm(along, axis=1, keepdims=True))
    return tf.stack([a + side, a - side, b - side, b + side], axis=1)


def _crossings(corners: tf.Tensor, height: int, where: Offset) -> tf.Tensor:
    """The places where edges cross the rows of the image: whole numbers (B, P, V, H), 0 where they do not.

    As x is a whole number, x < crossing means x < ceil(crossing), which is the returned value.
    """
    x, y = tf.unstack(corners[..., None], axis=-2)  # (B, P, V, 1)
    other_x, other_y = (tf.concat([v[:, :, -1:], v[:, :, :-1]], axis=2) for v in (x, y))
    row = tf.range(height, dtype=corners.dtype) + tf.constant(where[1], corners.dtype)
    crosses = (y <= row) != (other_y <= row)
    rise = tf.where(other_y != y, other_y - y, 1.0)  # no row crosses a level edge
    crossing = (other_x - x) * (row - y) / rise + (x - where[0])
    return tf.where(crosses, tf.math.ceil(crossing), 0.0)
