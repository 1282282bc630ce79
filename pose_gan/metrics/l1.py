"""Mean absolute difference of pixels."""

from __future__ import annotations

import numpy as np

from pose_gan.metrics.base import ImageBatch, MetricSpec, PerImage, image_pair


def l1(generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Mean absolute difference, with pixels on the generator's scale [-1, 1].

    Args:
        generated, reference: uint8 `(N, H, W, 3)` or `(H, W, 3)`.
    Returns: float64 `(N,)` in [0, 2]: the mean over pixels and channels of `|2a/255 − 2b/255|`.
    Raises: InputError: an array has another type, or the shapes differ.
    """
    generated, reference = image_pair(generated, reference)
    difference = np.maximum(generated, reference) - np.minimum(generated, reference)  # computed in uint8, which is fast
    return difference.reshape(len(difference), -1).mean(axis=1) * (2 / 255)


def _score(batch: ImageBatch) -> np.ndarray:
    return l1(batch.generated, batch.reference)


SPECS: tuple[MetricSpec, ...] = (
    MetricSpec(
        name="l1",
        title="L1",
        higher_is_better=False,
        settings={"scale": "pixels in [-1, 1]"},
        create=lambda options: PerImage(_score),
        needs_target=True,
        protocol="L1 of the authors' and PATN's evaluation; no table of the paper",
    ),
)
