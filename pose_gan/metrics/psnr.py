"""Peak signal-to-noise ratio."""

from __future__ import annotations

import numpy as np

from pose_gan.metrics.base import ImageBatch, MetricSpec, PerImage, image_pair


def psnr(generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """`10 log10(255² / MSE)` of each image. MSE is the mean squared difference of pixels and channels, in grey levels.

    Args:
        generated, reference: uint8 `(N, H, W, 3)` or `(H, W, 3)`.
    Returns: float64 `(N,)` in decibels, from 0 (black against white) upwards.
    Raises: InputError: an array has another type, or the shapes differ.
    Matches: `skimage.metrics.peak_signal_noise_ratio(reference, generated, data_range=255)` for images that differ.
    Deviation: equal images score as if they differed by one grey level in one channel of one pixel, the smallest
        difference of 8-bit images: 92.0 dB at 128×64, 101.1 dB at 256×256. The formula gives infinity, which means,
        plots and JSON cannot represent. No other images score higher.
    """
    generated, reference = image_pair(generated, reference)
    difference = generated.astype(np.int32) - reference
    squares = np.sum(difference**2, axis=(1, 2, 3), dtype=np.float64)
    peak = 255.0**2 * np.prod(generated.shape[1:])
    return 10 * np.log10(peak / np.maximum(squares, 1))


def _score(batch: ImageBatch) -> np.ndarray:
    return psnr(batch.generated, batch.reference)


SPECS: tuple[MetricSpec, ...] = (
    MetricSpec(
        name="psnr",
        title="PSNR (dB)",
        higher_is_better=True,
        settings={
            "peak": 255,
            "mean_squared_error": "of an image, over pixels and RGB channels; then the mean of the images' decibels",
            "equal_images": "score as if they differed by one grey level in one place, not infinity",
        },
        create=lambda options: PerImage(_score),
        needs_target=True,
        protocol="PSNR of later papers, as scikit-image's peak_signal_noise_ratio; not in the paper",
    ),
)
