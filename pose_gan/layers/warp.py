"""Moving feature maps part by part: the operator behind deformable skip connections (paper, Eq. 3–4).

The operator has two forms, which give the same values and gradients. `sparse` samples only where a mask is 1
(about 1.4 samples per pixel instead of one for each of the ten parts), as one sparse-times-dense matrix
product. `dense` samples every part everywhere, and uses only ops that every exporter and compiler supports.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pose_gan.layers.placement import for_sparse_products, never_clustered


class _Samples(NamedTuple):
    """Where to sample: K source pixels and their weights, for each of N rows.

    pixel: int64 (N,), the output pixel of the row in [0, B·h·w), ascending.
    places: int64 (N, K), source pixels in [0, B·h·w).
    weights: float32 (N, K); 0 outside of the image.
    """

    pixel: tf.Tensor
    places: tf.Tensor
    weights: tf.Tensor


def resize_masks(masks: tf.Tensor, feature_size: tuple[int, int]) -> tf.Tensor:
    """Masks `(B, P, H, W)` at the size of a feature map: row `floor(i·H/h)`, that is `[::r, ::r]`."""
    for axis, size in zip((2, 3), feature_size, strict=True):
        full = masks.shape[axis]
        if full != size:
            masks = tf.gather(masks, np.arange(size) * full // size, axis=axis)
    return masks


def warp_sparse(
    features: tf.Tensor, transforms: tf.Tensor, masks: tf.Tensor, aggregation: str, interpolation: str
) -> tf.Tensor:
    """Warps `features` by each part's transform within the part's mask, and merges the results.

    Args:
        features: float32 `(B, h, w, C)`.
        transforms: float32 `(B, P, 8)` in feature pixels, output → input, (x, y).
        masks: `(B, P, h, w)`, active where above 0.
        aggregation: `max` or `avg`.
        interpolation: `bilinear` or `nearest`.
    Returns: float32 `(B, h, w, C)`. Gradients flow to `features`.
    """
    batch, (height, width, channels) = tf.shape(features)[0], features.shape[1:]
    active = tf.where(tf.transpose(masks, [0, 2, 3, 1]) > 0)  # (N, 4): b, y, x, part; ascending
    samples = _samples(transforms, active, (height, width), interpolation)
    flat = tf.reshape(features, [-1, channels])
    pixels, rows = tf.shape(flat, tf.int64)[0], tf.shape(active, tf.int64)[0]
    with never_clustered():
        count = tf.math.bincount(tf.cast(samples.pixel, tf.int32), minlength=tf.cast(pixels, tf.int32))

    def merge() -> tf.Tensor:
        if aggregation == "avg":
            weights = samples.weights / tf.cast(tf.gather(count, samples.pixel), tf.float32)[:, None]
            return _product(samples.pixel, samples.places, weights, tf.stack([pixels, pixels]), flat)
        moved = _product(tf.range(rows), samples.places, samples.weights, tf.stack([rows, pixels]), flat)
        return _maximum(moved, samples.pixel, count >= masks.shape[1])

    # TensorFlow's product aborts the whole process if a matrix has no rows.
    merged = tf.cond(rows > 0, merge, lambda: flat * 0.0)
    return tf.ensure_shape(tf.reshape(merged, [batch, height, width, channels]), features.shape)


def warp_dense(
    features: tf.Tensor, transforms: tf.Tensor, masks: tf.Tensor, aggregation: str, interpolation: str
) -> tf.Tensor:
    """The same as `warp_sparse`; it gathers every part at every pixel."""
    batch, (height, width, channels) = tf.shape(features)[0], features.shape[1:]
    flat = tf.reshape(features, [-1, channels])
    x, y = tf.meshgrid(tf.range(width), tf.range(height))
    base = tf.range(batch)[:, None, None, None] * (height * width)
    at = _transform(transforms[:, :, None, None, :], x, y)
    places, weights = _neighbours(*at, base, (height, width), interpolation)
    weights *= masks[..., None]
    moved = [
        tf.reduce_sum(tf.gather(flat, place) * tf.expand_dims(weight, -1), axis=-2)
        for place, weight in zip(tf.unstack(places, axis=1), tf.unstack(weights, axis=1), strict=True)
    ]
    if aggregation == "max":
        merged = functools.reduce(tf.maximum, moved)
    else:
        merged = tf.math.divide_no_nan(tf.add_n(moved), tf.reduce_sum(masks, axis=1)[..., None])
    return tf.ensure_shape(merged, features.shape)


def has_neighbours(transforms: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """1 where a transform `(B, P, 8)` leads to a place between four pixels, else 0: `(B, P, height, width)`."""
    x, y = tf.meshgrid(tf.range(size[1]), tf.range(size[0]))
    x, y = _transform(transforms[:, :, None, None, :], x, y)
    inside = (x >= 0) & (x < float(size[1] - 1)) & (y >= 0) & (y < float(size[0] - 1))
    return tf.cast(inside, tf.float32)


def _transform(transform: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    x, y = tf.cast(x, tf.float32), tf.cast(y, tf.float32)
    a0, a1, a2, b0, b1, b2 = tf.unstack(transform[..., :6], axis=-1)
    return a0 * x + a1 * y + a2, b0 * x + b1 * y + b2


def _neighbours(
    x: tf.Tensor, y: tf.Tensor, base: tf.Tensor, size: tuple[int, int], interpolation: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Flat indices and weights of the source pixels around (x, y): two tensors `(…, K)`.

    Bilinear: K = 4, the corners of the cell. Nearest: K = 1, and ties are rounded away from zero. Pixels
    outside of the image get weight 0 (and the index of a pixel at the border).
    """
    height, width = size
    limit = float(4 * (height + width))  # already far outside; the limit keeps the integer casts from overflowing
    x, y = (tf.clip_by_value(v, -limit, limit) for v in (x, y))
    if interpolation == "nearest":
        corners = [(tf.sign(y) * tf.floor(tf.abs(y) + 0.5), tf.sign(x) * tf.floor(tf.abs(x) + 0.5), tf.ones_like(x))]
    else:
        top, left = tf.floor(y), tf.floor(x)
        dy, dx = y - top, x - left
        corners = [
            (top, left, (1 - dy) * (1 - dx)),
            (top, left + 1, (1 - dy) * dx),
            (top + 1, left, dy * (1 - dx)),
            (top + 1, left + 1, dy * dx),
        ]
    places, weights = [], []
    for row, column, weight in corners:
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        row = tf.cast(tf.clip_by_value(row, 0, height - 1), base.dtype)
        column = tf.cast(tf.clip_by_value(column, 0, width - 1), base.dtype)
        places.append(base + row * width + column)
        weights.append(tf.where(inside, weight, 0.0))
    # Vectors of weights are stacked as rows and turned, which is faster; oneDNN does not turn integers, and says so.
    turned = tf.transpose(tf.stack(weights)) if x.shape.rank == 1 else tf.stack(weights, axis=-1)
    return tf.stack(places, axis=-1), turned


def _samples(transforms: tf.Tensor, active: tf.Tensor, size: tuple[int, int], interpolation: str) -> _Samples:
    sample, y, x, part = tf.unstack(active, axis=-1)
    parts = transforms.shape[1]
    at = _transform(tf.gather(tf.reshape(transforms, [-1, 8]), sample * parts + part), x, y)
    base = sample * (size[0] * size[1])
    places, weights = _neighbours(*at, base, size, interpolation)
    return _Samples(base + y * size[1] + x, places, weights)


@tf.custom_gradient
def _product(row: tf.Tensor, places: tf.Tensor, weights: tf.Tensor, shape: tf.Tensor, dense: tf.Tensor):
    """Sparse times dense: the matrix has `weights[n, k]` at (`row[n]`, `places[n, k]`); equal places add up.

    TensorFlow's own gradient would also compute the gradient of the weights, and needs a static shape.
    """
    indices = tf.stack([tf.repeat(row, places.shape[1]), tf.reshape(places, [-1])], axis=-1)

    def multiply(values: tf.Tensor, transpose: bool) -> tf.Tensor:
        # The matrix is made again for the gradient: a function that captures one cannot be exported.
        with for_sparse_products():
            matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
                indices=indices, values=tf.reshape(weights, [-1]), dense_shape=shape
            )
            return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=values, transpose_a=transpose)

    return multiply(dense, False), lambda upstream: (None, None, None, None, multiply(upstream, True))


@tf.custom_gradient
def _maximum(moved: tf.Tensor, pixel: tf.Tensor, covered: tf.Tensor):
    """The maximum over the rows `moved (N, C)` of each pixel, and over 0 where not every part covers the pixel.

    `covered` says which pixels every part covers. Rows that are equal (as when source and target pose are the
    same) share the gradient.
    """

    def per_pixel(segments: tf.Tensor) -> tf.Tensor:  # pads, as the last pixels may have no rows
        return tf.pad(segments, [[0, tf.shape(covered)[0] - tf.shape(segments)[0]], [0, 0]])

    merged = per_pixel(tf.math.segment_max(moved, pixel))  # 0 where a pixel has no row
    merged = tf.maximum(merged, tf.where(covered, merged.dtype.min, 0.0)[:, None])
    is_selected = moved == tf.gather(merged, pixel)  # kept for the gradient, as it is a quarter of `moved`

    def gradient(upstream: tf.Tensor):
        with tf.control_dependencies([upstream]):  # else it would be computed, and kept, long before it is needed
            selected = tf.cast(is_selected, moved.dtype)
        ties = per_pixel(tf.math.segment_sum(selected, pixel))
        return selected * tf.gather(tf.math.divide_no_nan(upstream, ties), pixel), None, None

    return merged, gradient
