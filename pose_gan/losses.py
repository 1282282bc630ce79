"""Losses of the generator and of the discriminator (paper, Section 4)."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator

import tensorflow as tf

from pose_gan.config import REDUCTIONS

COMPILED = platform.system() != "Darwin"  # by XLA: the search is twice as fast; not in TensorFlow for macOS
CHOICE = tf.uint8  # holds the number of a shift
MAX_WINDOW = 15


def generator_adversarial_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """`-log D(x_a, H_a, G(…), H_b)`, the mean over output cells and batch (Eq. 5, non-saturating form).

    Args: fake_logits: the discriminator before its sigmoid, `(B, cells)`.
    Returns: float32 scalar. Deviation: computed from logits; the release adds 1e-7 inside of the log.
    """
    return tf.reduce_mean(tf.nn.softplus(-tf.cast(fake_logits, tf.float32)))


def discriminator_adversarial_loss(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """`-log D(real) − log(1 − D(fake))`, the mean over output cells and batch (Eq. 5).

    Args: the discriminator before its sigmoid, `(B, cells)` each. Returns: float32 scalar.
    """
    real = tf.nn.softplus(-tf.cast(real_logits, tf.float32))
    fake = tf.nn.softplus(tf.cast(fake_logits, tf.float32))
    return tf.reduce_mean(real) + tf.reduce_mean(fake)


def l1_loss(generated: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference over everything (Eq. 6, as a mean). Returns: float32 scalar."""
    return tf.reduce_mean(tf.abs(tf.cast(generated, tf.float32) - tf.cast(target, tf.float32)))


def nearest_neighbour_loss(
    generated: tf.Tensor, target: tf.Tensor, window: int = 3, reduction: str = "mean"
) -> tf.Tensor:
    """The nearest-neighbour loss: each place of the image is compared with its best match nearby.

    `Σ_p min_{q ∈ N(p)} ‖g(x̂)(p) − g(x_b)(q)‖₁` (paper, Eq. 7–15). Shifts are taken one after the
    other with a running minimum, so that no n² copies are held. Places outside of the image are
    never chosen.

    Args:
        generated: features of the generated image, `(B, H, W, C)`; height and width are static.
        target: features of the real image, the same shape. No gradient flows to them.
        window: side n of the search window N(p), pixels; odd, at most 15. 1 is the L1 distance.
        reduction: over pixels: `mean`, or `sum` (Eq. 15); over the batch always the mean.
    Returns: float32 scalar.
    Raises: ValueError: an even window, an unknown reduction, or shapes that differ.
    Deviation: Eq. 15 sums over pixels; the release takes the mean, as our presets do.
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
    """Mean absolute difference between neighbours, `mean |Δx| + mean |Δy|`. Returns: float32 scalar."""
    images = tf.cast(images, tf.float32)
    rows = tf.reduce_mean(tf.abs(images[:, 1:] - images[:, :-1]))
    return rows + tf.reduce_mean(tf.abs(images[:, :, 1:] - images[:, :, :-1]))


def structure_loss(generated: tf.Tensor, target: tf.Tensor, pose_maps: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Mean squared difference of an estimator's heat maps on both images (`--lstruct_penalty_weight`).

    Args:
        generated, target: images `(B, H, W, 3)` in [-1, 1].
        pose_maps: images → heat maps `(B, h, w, joints)`; see `pose_gan.features.load_pose_maps`.
    Returns: float32 scalar.
    """
    return tf.reduce_mean(tf.square(pose_maps(generated) - tf.stop_gradient(pose_maps(target))))


def _nearest_distances(generated: tf.Tensor, target: tf.Tensor, window: int) -> tf.Tensor:
    """`min_q ‖generated(p) − target(q)‖₁` (Eq. 12–14): float32 (B, H, W).

    The gradient keeps only which shift was best: `sign(generated(p) − target(q*))`.
    """

    @tf.custom_gradient
    def distances(generated: tf.Tensor, target: tf.Tensor):
        best, chosen = _search(generated, target, window)
        return best, lambda upstream: (_search_gradient(generated, target, chosen, upstream, window), None)

    return distances(generated, target)


@tf.function(jit_compile=COMPILED)
def _search(generated: tf.Tensor, target: tf.Tensor, window: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The smallest distance, and the number of the shift that gave it: float32 and uint8 (B, H, W)."""
    inside = tf.zeros_like(target[..., 0])
    best, chosen = tf.fill(tf.shape(inside), float("inf")), tf.zeros_like(inside, CHOICE)
    shifts = zip(_shifts(target, window), _shifts(inside, window, outside=float("inf")), strict=True)
    for number, (moved, barrier) in enumerate(shifts):
        distance = tf.reduce_sum(tf.abs(generated - moved), axis=-1) + barrier
        chosen = tf.where(distance < best, tf.constant(number, CHOICE), chosen)
        best = tf.minimum(best, distance)
    return best, chosen


@tf.function(jit_compile=COMPILED)
def _search_gradient(
    generated: tf.Tensor, target: tf.Tensor, chosen: tf.Tensor, upstream: tf.Tensor, window: int
) -> tf.Tensor:
    nearest = target
    for number, moved in enumerate(_shifts(target, window)):
        nearest = tf.where((chosen == number)[..., None], moved, nearest)
    return upstream[..., None] * tf.sign(generated - nearest)


def _shifts(values: tf.Tensor, window: int, outside: float = 0.0) -> Iterator[tf.Tensor]:
    """`values` (B, H, W, …) moved by every shift of the window, row by row; `outside` comes in at the borders."""
    height, width, reach = values.shape[1], values.shape[2], window // 2
    padding = [[0, 0], [reach, reach], [reach, reach], *[[0, 0]] * (values.shape.rank - 3)]
    padded = tf.pad(values, padding, constant_values=outside)
    for dy in range(window):
        for dx in range(window):
            yield padded[:, dy : dy + height, dx : dx + width]
