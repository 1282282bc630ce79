"""Structural similarity (SSIM) of whole images and of bodies only.

Reference: Z. Wang et al., Image quality assessment: from error visibility to structural similarity,
IEEE TIP 2004. mask-SSIM: L. Ma et al., Pose guided person image generation, NIPS 2017.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_gan.errors import InputError
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricSpec, PerImage, image_pair
from pose_gan.metrics.body_mask import body_mask
from pose_gan.metrics.similarity import Similarity
from pose_gan.poses.skeleton import COCO18, Skeleton

MASK_SETTING = "body mask of the target pose, half width 4 px, closed by a 5x5 square"


@dataclass(frozen=True)
class SSIMProtocol:
    """One convention for the computation of SSIM.

    Attributes:
        data_range: the range L of the constants (0.01 L)² and (0.03 L)² in grey levels; None: the largest
            minus the smallest value of each *generated* image, at least 1. (A constant image has range 0,
            for which the formula gives 0/0. The smallest range of any other 8-bit image is 1. So the score
            is finite, and it is 1 for two equal images.)
        sigma: standard deviation of the Gaussian window, pixels; None: a uniform window.
        window: side of the window, pixels. Only windows that lie inside of the image count.
        sample_covariance: whether variances are divided by the number of the window's pixels minus one.
    """

    data_range: float | None = None
    sigma: float | None = 1.5
    window: int = 11
    sample_covariance: bool = False

    @property
    def weights(self) -> np.ndarray:
        """The window along one axis: float64 `(window,)`, sum 1."""
        if self.sigma is None:
            return np.full(self.window, 1 / self.window)
        offsets = np.arange(self.window) - self.window // 2
        weights = np.exp(-0.5 * (offsets / self.sigma) ** 2)
        return weights / weights.sum()

    @property
    def covariance_factor(self) -> float:
        pixels = self.window**2
        return pixels / (pixels - 1) if self.sample_covariance else 1.0

    def same_window(self, other: SSIMProtocol) -> bool:
        """Whether the two protocols differ only in the data range."""
        return dataclasses.replace(self, data_range=other.data_range) == other

    def to_dict(self) -> dict[str, Any]:
        values = dataclasses.asdict(self)
        values["data_range"] = "range of the generated image" if self.data_range is None else self.data_range
        return values


PROTOCOLS: dict[str, SSIMProtocol] = {
    # The authors' test.py. The paper's tables report this variant.
    "release": SSIMProtocol(data_range=None),
    # Wang et al. use the same window, and the range of the pixel type.
    "standard": SSIMProtocol(data_range=255.0),
    # Ren et al., CVPR 2020 (GFLA) use scikit-image's defaults except for win_size=51 and data_range=1 on images in
    # [0, 1], which is the same as 255 on 8-bit images.
    "gfla": SSIMProtocol(data_range=255.0, sigma=None, window=51, sample_covariance=True),
}


def ssim(generated: np.ndarray, reference: np.ndarray, protocol: str = "release") -> np.ndarray:
    """SSIM of each image, the mean of its three channels.

    Args:
        generated, reference: uint8 `(N, H, W, 3)` or `(H, W, 3)`, RGB.
        protocol: `release`, `standard` or `gfla`; docs/evaluation.md explains their uses.
    Returns: float64 `(N,)` in [-1, 1]; windows that reach over the border (5 pixels; `gfla`: 25) do not count.
    Raises: InputError: the protocol is unknown, an array has another type, the shapes differ, or a side is below 11
        pixels (`gfla`: 51).
    Matches: `skimage.metrics.structural_similarity(reference, generated, channel_axis=-1, …)`. For `release` and
        `standard`, its arguments are `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`, and `data_range`
        is the generated image's range or 255, respectively. For `gfla`, they are `win_size=51, data_range=255`.
    Deviation: the release used scikit-image 0.13, whose Gaussian window reached to 4 instead of 3.5
        standard deviations (6 instead of 5 pixels).
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"SSIM protocol {protocol!r} is not known; allowed: {', '.join(PROTOCOLS)}")
    generated, reference = image_pair(generated, reference)
    if problem := _too_small(generated, PROTOCOLS[protocol]):
        raise InputError(f"SSIM {protocol}: {problem}")
    return _scores(generated, reference, [PROTOCOLS[protocol]])[0]


def mask_ssim(
    generated: np.ndarray,
    reference: np.ndarray,
    target_keypoints: np.ndarray,
    protocol: str = "release",
    skeleton: Skeleton = COCO18,
) -> np.ndarray:
    """SSIM with everything outside of the body mask set to 0 in both images.

    So the background is equal in both images and counts as similarity 1. Scores are far above those of plain
    SSIM, and a smaller body gives a higher score. The data range is that of the masked generated image.

    Args:
        generated, reference: uint8 `(N, H, W, 3)` or `(H, W, 3)`, RGB.
        target_keypoints: `(N, joints, 2)` or `(joints, 2)`, (y, x) in pixels, −1 where missing.
        protocol: as for `ssim`.
        skeleton: the skeleton of the keypoints.
    Returns: float64 `(N,)` in [-1, 1].
    Raises: InputError: as for `ssim`; or the numbers of poses and images differ.
    """
    generated, reference = image_pair(generated, reference)
    keypoints = np.asarray(target_keypoints)
    keypoints = keypoints if keypoints.ndim == 3 else keypoints[None]
    if len(keypoints) != len(generated):
        raise InputError(f"{len(generated)} images need as many poses, got {len(keypoints)}")
    height, width = generated.shape[1:3]
    mask = body_mask(keypoints, (height, width), skeleton)[..., None]
    return ssim(generated * mask, reference * mask, protocol)


def _too_small(images: np.ndarray, settings: SSIMProtocol) -> str | None:
    height, width = images.shape[1:3]
    if min(height, width) >= settings.window:
        return None
    return f"images of at least {settings.window}x{settings.window} pixels, got {height}x{width}"


def _scores(generated: np.ndarray, reference: np.ndarray, protocols: Sequence[SSIMProtocol]) -> np.ndarray:
    """The scores, float64 `(protocols, N)`. The protocols differ only in their data range."""
    window = protocols[0]
    similarity = Similarity(generated.shape[1:3], window.weights, window.covariance_factor)
    scores = [
        similarity(*pair, [_data_range(settings, pair[0]) for settings in protocols])
        for pair in zip(generated, reference, strict=True)
    ]
    return np.array(scores, np.float64).reshape(-1, len(protocols)).T


def _data_range(settings: SSIMProtocol, generated: np.ndarray) -> float:
    if settings.data_range is not None:
        return settings.data_range
    return max(1.0, float(generated.max()) - float(generated.min()))


# --------------------------------------------------------------------------------- the metrics


def _score(protocol: str, masked: bool) -> Callable[[ImageBatch], np.ndarray]:
    """The metric's function. Protocols with the same window are computed together, once per batch."""
    settings = PROTOCOLS[protocol]
    related = [name for name, other in PROTOCOLS.items() if other.same_window(settings)]

    def score(batch: ImageBatch) -> np.ndarray:
        if problem := _too_small(batch.generated, settings):
            raise CannotCompute(f"needs {problem}")
        pair = (batch.masked_generated, batch.masked_reference) if masked else (batch.generated, batch.reference)
        key = ("ssim", masked, related[0])
        scores = batch.once(key, lambda: _scores(*pair, [PROTOCOLS[name] for name in related]))
        return scores[related.index(protocol)]

    return score


def _spec(protocol: str, masked: bool, compares_with: str) -> MetricSpec:
    suffix, title = ("", "") if protocol == "release" else (f"_{protocol}", f" ({protocol})")
    settings = {"protocol": protocol, **PROTOCOLS[protocol].to_dict()}
    if masked:
        settings["mask"] = MASK_SETTING
    score = _score(protocol, masked)
    return MetricSpec(
        name=("mask_" if masked else "") + "ssim" + suffix,
        title=("mask-" if masked else "") + "SSIM" + title,
        higher_is_better=True,
        settings=settings,
        create=lambda options: PerImage(score),
        protocol=compares_with,
        needs_keypoints=masked,
        needs_target=True,
    )


_DEFINITION = "SSIM as Wang et al. 2004 define it; no table of the paper"

SPECS: tuple[MetricSpec, ...] = (
    _spec("release", False, "the paper's SSIM, Tables 1 and 3; PATN's evaluation is the same"),
    _spec("release", True, "the paper's mask-SSIM, Tables 1 and 3"),
    _spec("standard", False, _DEFINITION),
    _spec("standard", True, _DEFINITION),
    _spec("gfla", False, "later papers' SSIM, after the evaluation of Ren et al. 2020 (GFLA)"),
)
