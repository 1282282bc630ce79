"""Affine maps fitted to matching points, batched, in closed form (paper, Eq. 2)."""

from __future__ import annotations

import tensorflow as tf

FAR_AWAY = 1000.0
"""Translation in pixels of a part that has no transform, so that it samples outside of images of up to 1000 px."""

_SINGULAR = 1e-9  # relative to squared norms; rounding makes 1e-11 of points on a line in float32, 1e-29 in float64
_ITERATIONS = 6  # of Laguerre's method; each one triples the number of correct digits


def out_of(image_size: tuple[int, int] | None) -> float:
    """The translation in pixels that moves a part out of an image of this size, at least FAR_AWAY.

    It is twice the longer side: feature maps that do not divide the image are a little larger than their share.
    """
    return FAR_AWAY if image_size is None else max(FAR_AWAY, 2.0 * max(image_size))


def least_squares(target: tf.Tensor, source: tf.Tensor, weights: tf.Tensor, far_away: float = FAR_AWAY) -> tf.Tensor:
    """The affine map from `target` to `source` points with the least squared error in the source (Eq. 2).

    Args:
        target, source: `(..., N, 2)`, (x, y); points of weight 0 may have any value.
        weights: `(..., N)`, 0 or 1.
        far_away: translation of a part that has no transform, pixels.
    Returns: `(..., 8)`, `[a0 a1 a2 b0 b1 b2 0 0]`. It is a translation by `far_away` if fewer than three
        points have weight 1, if the target points lie on a line, or if the map is singular.
    """
    mean_target, mean_source, t, s = _centred(target, source, weights)
    x, slope, rest, spans = _orthogonal(t)
    xx, rest_rest = (tf.reduce_sum(v * v, axis=-2) for v in (x, rest))
    by_y = tf.math.divide_no_nan(tf.reduce_sum(rest * s, axis=-2), rest_rest)
    by_x = tf.math.divide_no_nan(tf.reduce_sum(x * s, axis=-2), xx) - slope * by_y
    matrix = tf.stack([by_x, by_y], axis=-1)
    norm = tf.reduce_sum(tf.square(matrix), axis=[-2, -1])
    valid = spans & (tf.abs(_determinant(matrix)) > _SINGULAR * norm)
    return _as_transform(mean_target, mean_source, matrix, valid, far_away)


def total_least_squares(target: tf.Tensor, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """As `least_squares`, but target and source both have errors, as in `skimage.transform.estimate_transform`.

    scikit-image centres both point sets, scales them to unit spread, and takes the map from the singular vector of the
    smallest singular value of the design matrix. Written out, the square λ of this value is the smallest eigenvalue of
    `[[T, 0, -a], [0, T, -b], [-aᵀ, -bᵀ, 1]]` with T = tt / tr tt and (a, b) the rows of st / √(tr tt · ss), and the map
    is st (tt − λ tr(tt) 1)⁻¹: least squares with a negative ridge. λ is the smallest root of a cubic.

    Args and Returns: as `least_squares`, but a singular map is returned as it is. Only a map that is not determined
        (fewer than three points, target points on a line, all source points in one place) becomes a translation by
        FAR_AWAY.
    Source: the authors' release (scikit-image 0.13).
    """
    mean_target, mean_source, t, s = _centred(target, source, weights)
    tt, st = tf.matmul(t, t, transpose_a=True), tf.matmul(s, t, transpose_a=True)
    spread, ss = _trace(tt), tf.reduce_sum(s * s, axis=[-2, -1])
    determined = _orthogonal(t)[-1] & (_determinant(tt) > _SINGULAR * spread * spread) & (ss > 0)
    d = tf.math.divide_no_nan(_determinant(tt), spread * spread)
    q = tf.math.divide_no_nan(tf.reduce_sum(st * st, axis=[-2, -1]), spread * ss)
    p = _trace(tf.matmul(tf.matmul(st, _adjugate(tt)), st, transpose_b=True))
    p = tf.math.divide_no_nan(p, spread * spread * ss)
    ridge = _smallest_root(d + 1 - q, d - p) * spread
    tt -= ridge[..., None, None] * tf.eye(2, dtype=tt.dtype)
    matrix = tf.matmul(st, _adjugate(tt)) / tf.where(determined, _determinant(tt), 1.0)[..., None, None]
    return _as_transform(mean_target, mean_source, matrix, determined, FAR_AWAY)


def _smallest_root(a: tf.Tensor, e: tf.Tensor) -> tf.Tensor:
    """The smallest root of λ³ − 2λ² + aλ − e, whose roots are real and not negative. Laguerre's method, from 0."""
    root = tf.zeros_like(a)
    for _ in range(_ITERATIONS):
        value, slope, bend = ((root - 2) * root + a) * root - e, (3 * root - 4) * root + a, 6 * root - 4
        step = slope + tf.sqrt(tf.maximum(4 * tf.square(slope) - 6 * value * bend, 0.0))
        root -= tf.math.divide_no_nan(3 * value, step)
    return root


def _centred(target: tf.Tensor, source: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Means of target and source points, (..., 2), and the points less their mean, (..., N, 2), 0 where weight is 0."""
    weights = tf.where(tf.reduce_sum(weights, axis=-1, keepdims=True) >= 3, weights, 0.0)[..., None]
    total = tf.reduce_sum(weights, axis=-2, keepdims=True)
    mean_target = tf.math.divide_no_nan(tf.reduce_sum(_masked(target, weights), axis=-2, keepdims=True), total)
    mean_source = tf.math.divide_no_nan(tf.reduce_sum(_masked(source, weights), axis=-2, keepdims=True), total)
    t, s = _masked(target - mean_target, weights), _masked(source - mean_source, weights)
    return mean_target[..., 0, :], mean_source[..., 0, :], t, s


def _orthogonal(t: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Gram–Schmidt on the columns of centred points (..., N, 2).

    It leaves so little of points on a line that they are recognised in float32 too, where the determinant of the
    normal equations is several thousand times less exact.

    Returns: x, (..., N, 1); the slope of y on x, (..., 1); y less slope · x, (..., N, 1); and whether the points span
        the plane, bool (...).
    """
    x, y = t[..., :1], t[..., 1:]
    xx = tf.reduce_sum(x * x, axis=-2)
    slope = tf.math.divide_no_nan(tf.reduce_sum(x * y, axis=-2), xx)
    rest = y - slope[..., None, :] * x
    size = tf.reduce_sum(t * t, axis=[-2, -1])
    return x, slope, rest, (xx * tf.reduce_sum(rest * rest, axis=-2))[..., 0] > _SINGULAR * size * size


def _masked(points: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """`points · weights`, which is 0 even where a point of weight 0 is NaN."""
    return tf.where(weights > 0, points, 0.0)


def _as_transform(
    mean_target: tf.Tensor, mean_source: tf.Tensor, matrix: tf.Tensor, valid: tf.Tensor, far_away: float
) -> tf.Tensor:
    shift = mean_source - tf.linalg.matvec(matrix, mean_target)
    zeros = tf.zeros_like(shift)
    fit = tf.concat([matrix[..., 0, :], shift[..., :1], matrix[..., 1, :], shift[..., 1:], zeros], axis=-1)
    absent = tf.constant([1, 0, far_away, 0, 1, far_away, 0, 0], matrix.dtype)
    return tf.where(valid[..., None], fit, absent)


def _determinant(matrix: tf.Tensor) -> tf.Tensor:
    return matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]


def _adjugate(matrix: tf.Tensor) -> tf.Tensor:
    """The inverse times the determinant, for symmetric 2×2 matrices."""
    return _trace(matrix)[..., None, None] * tf.eye(2, dtype=matrix.dtype) - matrix


def _trace(matrix: tf.Tensor) -> tf.Tensor:  # not every exporter knows tf.linalg.trace
    return matrix[..., 0, 0] + matrix[..., 1, 1]
