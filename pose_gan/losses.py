"""Losses of the generator and of the discriminator (paper, Section 4)."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable

import tensorflow as tf

from pose_gan.config import REDUCTIONS

# XLA makes the search twice as fast; TensorFlow for macOS lacks it, and a user may switch it off
COMPILED = platform.system() != "Darwin" and os.environ.get("POSE_GAN_XLA") != "0"
MAX_WINDOW = 15
BAND = 8  # rows


def generator_adversarial_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """`-log D(x_a, H_a, G(…), H_b)`, the mean over output cells and batch (Eq. 5, non-saturating form).

    Args:
        fake_logits: the discriminator before its sigmoid, `(B, cells)`.
    Returns: float32 scalar.
    Deviation: G of Eq. 5 minimises `log(1 − D(…))`; the release has the form above, and so has this code. The loss
        is computed from logits; the release adds 1e-7 inside of the log, which bounds its loss by 16.1.
    """
    return tf.reduce_mean(tf.nn.softplus(-tf.cast(fake_logits, tf.float32)))


def discriminator_adversarial_loss(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """`-log D(real) − log(1 − D(fake))`, the mean over output cells and batch (Eq. 5).

    Args:
        real_logits, fake_logits: the discriminator before its sigmoid, `(B, cells)` each.
    Returns: float32 scalar.
    Deviation: the loss is computed from logits; the release adds 1e-7 inside of both logs. So the values in logs
        differ where scores are saturated: the release's terms are at most 16.1, and its gradients vanish there.
    """
    real = tf.nn.softplus(-tf.cast(real_logits, tf.float32))
    fake = tf.nn.softplus(tf.cast(fake_logits, tf.float32))
    return tf.reduce_mean(real) + tf.reduce_mean(fake)


def l1_loss(generated: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference over all values (Eq. 6).

    Args:
        generated, target: numbers, both of the same shape.
    Returns: float32 scalar.
    Deviation: Eq. 6 sums. The release takes the mean, and so does this code.
    """
    return tf.reduce_mean(tf.abs(tf.cast(generated, tf.float32) - tf.cast(target, tf.float32)))


def nearest_neighbour_loss(
    generated: tf.Tensor, target: tf.Tensor, window: int = 3, reduction: str = "mean"
) -> tf.Tensor:
    """The nearest-neighbour loss: each pixel is compared with its best match in a window around it.

    `Σ_p min_{q ∈ N(p)} ‖g(x̂)(p) − g(x_b)(q)‖₁` (paper, Eq. 7–15). The minimum is updated shift by shift,
    so memory does not grow with n². Places outside of the image are never chosen.

    Args:
        generated: features of the generated image, `(B, H, W, C)`; height and width are static.
        target: features of the real image, the same shape. No gradient flows to them.
        window: side n of the search window N(p), pixels; odd, at most 15. 1 is the L1 distance.
        reduction: over pixels: `mean` or `sum` (Eq. 15); over the batch it is always the mean.
    Returns: float32 scalar.
    Raises: ValueError: the window is even, the reduction is unknown, or the shapes differ.
    Deviation: Eq. 15 sums over pixels. The release takes the mean, and so do the presets.
    """
    if not 1 <= window <= MAX_WINDOW or window % 2 == 0:
        raise ValueError(f"window must be odd, from 1 to {MAX_WINDOW}, got {window}")
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction {reduction!r} is not known; allowed: {', '.join(REDUCTIONS)}")
    generated, target = tf.convert_to_tensor(generated), tf.convert_to_tensor(target)
    if generated.shape.rank != 4 or not generated.shape.is_compatible_with(target.shape):
        raise ValueError(f"features must be two (B, H, W, C) of one shape, got {generated.shape} and {target.shape}")
    generated = tf.cast(generated, tf.float32)
    target = tf.stop_gradient(tf.cast(target, tf.float32))
    best = _nearest_distances(generated, target, window)
    per_image = tf.reduce_mean(best, axis=[1, 2]) if reduction == "mean" else tf.reduce_sum(best, axis=[1, 2])
    return tf.reduce_mean(per_image)


def total_variation(images: tf.Tensor) -> tf.Tensor:
    """Differences between neighbouring pixels, `Σ (Δx² + Δy²)^1.25` over batch, pixels and channels.

    As in the release (`--tv_penalty_weight`); the paper has no such loss. Δy and Δx lead from a pixel to the one
    below and to the one at its right; pixels of the last row and of the last column have no term of their own.

    Args:
        images: `(B, H, W, C)`.
    Returns: float32 scalar. It grows with the number of images and of pixels.
    """
    images = tf.cast(images, tf.float32)
    here, below, right = images[:, :-1, :-1], images[:, 1:, :-1], images[:, :-1, 1:]
    return tf.reduce_sum(tf.pow(tf.square(below - here) + tf.square(right - here), 1.25))


def structure_loss(generated: tf.Tensor, target: tf.Tensor, pose_maps: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Mean squared difference between the heat maps of a pose estimator on both images (`--lstruct_penalty_weight`).

    Args:
        generated, target: images `(B, H, W, 3)` in [-1, 1].
        pose_maps: images → heat maps `(B, h, w, joints)`; see `pose_gan.training.features.load_pose_maps`.
    Returns: float32 scalar.
    """
    return tf.reduce_mean(tf.square(pose_maps(generated) - tf.stop_gradient(pose_maps(target))))


def _nearest_distances(generated: tf.Tensor, target: tf.Tensor, window: int) -> tf.Tensor:
    """`min_q ‖generated(p) − target(q)‖₁` (Eq. 12–14): float32 (B, H, W).

    The gradient stores only which shift was the best, and is `sign(generated(p) − target(q*))`.
    """

    @tf.custom_gradient
    def distances(generated: tf.Tensor, target: tf.Tensor):
        generated, target = tf.stop_gradient(generated), tf.stop_gradient(target)
        best, chosen = _search(generated, target, window)
        return best, lambda upstream: (upstream[..., None] * _signs(generated, target, chosen, window), None)

    return distances(generated, target)


def _search(generated: tf.Tensor, target: tf.Tensor, window: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The smallest distance of each pixel and the number of the shift that gave it: float32 and int32 (B, H, W).

    Bands of rows are searched one by one, so that the values of a band stay in the processor's cache.
    """
    padded = _pad(target, window)
    barrier = _pad(tf.zeros_like(target[..., :1]), window, float("inf"))[..., 0]
    found = []
    for top in range(0, generated.shape[1], BAND):
        rows = generated[:, top : top + BAND]
        around = slice(top, top + rows.shape[1] + window - 1)
        found.append(_search_band(rows, padded[:, around], barrier[:, around], window))
    best, chosen = zip(*found, strict=True)
    return tf.concat(best, axis=1), tf.concat(chosen, axis=1)


@tf.function(jit_compile=COMPILED)
def _search_band(
    generated: tf.Tensor, padded: tf.Tensor, barrier: tf.Tensor, window: int
) -> tuple[tf.Tensor, tf.Tensor]:
    height, width = generated.shape[1:3]
    best = tf.fill(tf.shape(generated)[:3], float("inf"))
    chosen = tf.zeros_like(best, tf.int32)
    for number in range(window * window):
        dy, dx = divmod(number, window)
        moved, outside = (values[:, dy : dy + height, dx : dx + width] for values in (padded, barrier))
        distance = tf.reduce_sum(tf.abs(generated - moved), axis=-1) + outside
        chosen = tf.where(distance < best, number, chosen)
        best = tf.minimum(best, distance)
    return best, chosen


def _signs(generated: tf.Tensor, target: tf.Tensor, chosen: tf.Tensor, window: int) -> tf.Tensor:
    """The sign of `generated(p) − target(q*)`; `chosen` gives the place of q* in the window."""
    height, width, channels = target.shape[1:]
    dy, dx = chosen // window - window // 2, chosen % window - window // 2
    places = (tf.range(height)[:, None] + dy) * width + tf.range(width) + dx  # q* is always inside of the image
    nearest = tf.gather(tf.reshape(target, [-1, height * width, channels]), places, batch_dims=1)
    return tf.sign(generated - nearest)


def _pad(values: tf.Tensor, window: int, outside: float = 0.0) -> tf.Tensor:
    """`values` (B, H, W, C) with a border of half a window."""
    reach = window // 2
    return tf.pad(values, [[0, 0], [reach, reach], [reach, reach], [0, 0]], constant_values=outside)
