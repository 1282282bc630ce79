"""Structural similarity, of whole images and of bodies only.

Reference: Z. Wang et al., Image quality assessment: from error visibility to structural similarity,
IEEE TIP 2004. mask-SSIM: L. Ma et al., Pose guided person image generation, NIPS 2017.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from skimage.metrics import structural_similarity

from pose_gan.errors import InputError
from pose_gan.metrics.base import image_pair
from pose_gan.metrics.body_mask import body_mask
from pose_gan.skeleton import COCO18, Skeleton


@dataclass(frozen=True)
class SSIMProtocol:
    """One convention of computing SSIM.

    Attributes:
        data_range: the range L of the constants (0.01 L)² and (0.03 L)²: a number of grey levels, or
            None: the largest minus the smallest value of each *generated* image, at least 1. (A
            constant image has range 0, for which the formula reads 0/0; 1 is the smallest range that
            any other 8-bit image has. So the score is finite, and 1 for two equal images.)
        sigma: standard deviation of the Gaussian window, pixels; None: a uniform window.
        window: side of the uniform window, pixels; of no effect with a Gaussian one.
        sample_covariance: whether variances are divided by the window's pixels minus one.
    """

    data_range: float | None = None
    sigma: float | None = 1.5
    window: int | None = None
    sample_covariance: bool = False

    def to_dict(self) -> dict[str, Any]:
        values = dataclasses.asdict(self)
        values["data_range"] = "range of the generated image" if self.data_range is None else self.data_range
        return values


PROTOCOLS: dict[str, SSIMProtocol] = {
    # The authors' test.py: what the paper's tables report.
    "release": SSIMProtocol(data_range=None),
    # Wang et al.: the same window, the range of the pixel type.
    "standard": SSIMProtocol(data_range=255.0),
}


def ssim(generated: np.ndarray, reference: np.ndarray, protocol: str = "release") -> np.ndarray:
    """SSIM of each image, the mean of its three channels.

    Args:
        generated, reference: uint8 `(N, H, W, 3)` or `(H, W, 3)`, RGB.
        protocol: a name in `PROTOCOLS`.
    Returns: float64 `(N,)` in [-1, 1]; the border of 5 pixels does not count.
    Raises: InputError: unknown protocol, another type, shapes that differ, a side below 11 pixels.
    Matches: `skimage.metrics.structural_similarity(reference, generated, gaussian_weights=True,
        sigma=1.5, use_sample_covariance=False, channel_axis=-1, data_range=…)`.
    Deviation: the release ran scikit-image 0.13, whose Gaussian window reached to 4 instead of 3.5
        standard deviations (6 instead of 5 pixels).
    """
    settings = _protocol(protocol)
    generated, reference = image_pair(generated, reference)
    side = settings.window or 11
    if min(generated.shape[1:3]) < side:
        raise InputError(f"SSIM {protocol}: images of at least {side}x{side} pixels, got {generated.shape[1:3]}")
    return np.array([_ssim_of_one(*pair, settings) for pair in zip(generated, reference, strict=True)], np.float64)


def mask_ssim(
    generated: np.ndarray,
    reference: np.ndarray,
    target_keypoints: np.ndarray,
    protocol: str = "release",
    skeleton: Skeleton = COCO18,
) -> np.ndarray:
    """SSIM with everything outside of the body mask set to 0 in both images.

    The background is equal then, and counts as similarity 1: scores are far above plain SSIM's, and
    higher the smaller the body. The data range is that of the masked generated image.

    Args:
        generated, reference: uint8 `(N, H, W, 3)` or `(H, W, 3)`, RGB.
        target_keypoints: `(N, joints, 2)` or `(joints, 2)`, (y, x) in pixels, −1 where missing.
        protocol: a name in `PROTOCOLS`.
        skeleton: what the keypoints mean.
    Returns: float64 `(N,)` in [-1, 1].
    Raises: InputError: as `ssim`; or another number of poses than of images.
    """
    generated, reference = image_pair(generated, reference)
    keypoints = np.asarray(target_keypoints)
    keypoints = keypoints if keypoints.ndim == 3 else keypoints[None]
    if len(keypoints) != len(generated):
        raise InputError(f"{len(generated)} images need as many poses, got {len(keypoints)}")
    height, width = generated.shape[1:3]
    mask = body_mask(keypoints, (height, width), skeleton)[..., None]
    return ssim(generated * mask, reference * mask, protocol)


def _protocol(name: str) -> SSIMProtocol:
    if name not in PROTOCOLS:
        raise InputError(f"SSIM protocol {name!r} is not known; allowed: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _ssim_of_one(generated: np.ndarray, reference: np.ndarray, settings: SSIMProtocol) -> float:
    data_range = settings.data_range
    if data_range is None:
        data_range = max(1.0, float(generated.max()) - float(generated.min()))
    score = structural_similarity(
        reference,
        generated,
        data_range=data_range,
        channel_axis=-1,
        win_size=settings.window,
        gaussian_weights=settings.sigma is not None,
        sigma=settings.sigma or 1.5,  # without Gaussian weights it is of no effect
        use_sample_covariance=settings.sample_covariance,
    )
    return float(score)  # pyright: ignore[reportArgumentType]  # a scalar: no gradient or map was asked for
