"""Mean absolute difference of pixels."""

from __future__ import annotations

import numpy as np

from pose_gan.metrics.base import image_pair


def l1(generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Mean absolute difference, with pixels on the generator's scale [-1, 1].

    Args:
        generated, reference: uint8 `(N, H, W, 3)` or `(H, W, 3)`.
    Returns: float64 `(N,)` in [0, 2]: the mean over pixels and channels of `|2a/255 − 2b/255|`.
    Raises: InputError: another type, or shapes that differ.
    """
    generated, reference = image_pair(generated, reference)
    difference = np.abs(generated.astype(np.int16) - reference)
    return difference.mean(axis=(1, 2, 3), dtype=np.float64) * (2 / 255)
