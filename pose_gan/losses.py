"""Losses of the generator and of the discriminator (paper, Section 4)."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from pose_gan.config import REDUCTIONS


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
        window: side n of the search window N(p), pixels; odd. 1 is the L1 distance.
        reduction: over pixels: `mean`, or `sum` (Eq. 15); over the batch always the mean.
    Returns: float32 scalar.
    Raises: ValueError: an even window, an unknown reduction, or shapes that differ.
    Deviation: Eq. 15 sums over pixels; the release takes the mean, as our presets do.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window must be odd and at least 1, got {window}")
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction {reduction!r} is not known; allowed: {', '.join(REDUCTIONS)}")
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
    height, width = generated.shape[1], generated.shape[2]
    reach = window // 2
    padding = [[0, 0], [reach, reach], [reach, reach], [0, 0]]

    def shifted(values: tf.Tensor, shift: int) -> tf.Tensor:
        dy, dx = divmod(shift, window)
        return values[:, dy : dy + height, dx : dx + width]

    @tf.custom_gradient
    def search(generated: tf.Tensor, target: tf.Tensor):
        padded = tf.pad(target, padding)
        outside = tf.pad(tf.zeros_like(target[..., 0]), padding[:3], constant_values=float("inf"))
        best, chosen = None, None
        for shift in range(window * window):
            distance = tf.reduce_sum(tf.abs(generated - shifted(padded, shift)), axis=-1) + shifted(outside, shift)
            if best is None or chosen is None:
                best, chosen = distance, tf.zeros_like(distance, tf.uint8)
            else:
                chosen = tf.where(distance < best, tf.constant(shift, tf.uint8), chosen)
                best = tf.minimum(best, distance)

        def gradient(upstream: tf.Tensor):
            total = tf.zeros_like(generated)
            for shift in range(window * window):
                share = tf.where(chosen == shift, upstream, 0.0)[..., None]
                total += share * tf.sign(generated - shifted(padded, shift))
            return total, None

        return best, gradient

    return search(generated, target)
