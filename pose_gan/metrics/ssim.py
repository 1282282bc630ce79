"""Structural similarity, of whole images and of bodies only.

Reference: Z. Wang et al., Image quality assessment: from error visibility to structural similarity,
IEEE TIP 2004. mask-SSIM: L. Ma et al., Pose guided person image generation, NIPS 2017.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_gan.errors import InputError
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricSpec, PerImage, image_pair
from pose_gan.metrics.body_mask import body_mask
from pose_gan.skeleton import COCO18, Skeleton

MASK_SETTING = "body mask of the target pose, half width 4 px, closed by a 5x5 square"
BLOCK = 14  # outputs a matrix product: the wider, the more of the band matrix is zeros
STRIPE = 2**14  # pixels that are worked on together, about
SMALL_PRODUCT = 2**18  # multiplications; BLAS splits larger ones among threads, which then mostly wait


@dataclass(frozen=True)
class SSIMProtocol:
    """One convention of computing SSIM.

    Attributes:
        data_range: the range L of the constants (0.01 L)² and (0.03 L)²: a number of grey levels, or
            None: the largest minus the smallest value of each *generated* image, at least 1. (A
            constant image has range 0, for which the formula reads 0/0; 1 is the smallest range that
            any other 8-bit image has. So the score is finite, and 1 for two equal images.)
        sigma: standard deviation of the Gaussian window, pixels; None: a uniform window.
        window: side of the window, pixels. Only windows that lie inside of the image count.
        sample_covariance: whether variances are divided by the window's pixels minus one.
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
        """Whether the two differ in nothing but the data range."""
        return dataclasses.replace(self, data_range=other.data_range) == other

    def to_dict(self) -> dict[str, Any]:
        values = dataclasses.asdict(self)
        values["data_range"] = "range of the generated image" if self.data_range is None else self.data_range
        return values


PROTOCOLS: dict[str, SSIMProtocol] = {
    # The authors' test.py: what the paper's tables report.
    "release": SSIMProtocol(data_range=None),
    # Wang et al.: the same window, the range of the pixel type.
    "standard": SSIMProtocol(data_range=255.0),
    # Ren et al., CVPR 2020 (GFLA): scikit-image's defaults but for win_size=51, data_range=1 on images in [0, 1],
    # which is 255 on theirs.
    "gfla": SSIMProtocol(data_range=255.0, sigma=None, window=51, sample_covariance=True),
}


def ssim(generated: np.ndarray, reference: np.ndarray, protocol: str = "release") -> np.ndarray:
    """SSIM of each image, the mean of its three channels.

    Args:
        generated, reference: uint8 `(N, H, W, 3)` or `(H, W, 3)`, RGB.
        protocol: a name in `PROTOCOLS`.
    Returns: float64 `(N,)` in [-1, 1]; windows that reach over the border (5 pixels; `gfla`: 25) do not count.
    Raises: InputError: unknown protocol, another type, shapes that differ, a side below 11 pixels (`gfla`: 51).
    Matches: `skimage.metrics.structural_similarity(reference, generated, channel_axis=-1, …)` with, for `release` and
        `standard`, `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`, and `data_range` the generated
        image's or 255; for `gfla`, `win_size=51, data_range=255`.
    Deviation: the release ran scikit-image 0.13, whose Gaussian window reached to 4 instead of 3.5
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


def _too_small(images: np.ndarray, settings: SSIMProtocol) -> str | None:
    height, width = images.shape[1:3]
    if min(height, width) >= settings.window:
        return None
    return f"images of at least {settings.window}x{settings.window} pixels, got {height}x{width}"


# ----------------------------------------------------------------------------- the computation


def _scores(generated: np.ndarray, reference: np.ndarray, protocols: Sequence[SSIMProtocol]) -> np.ndarray:
    """float64 `(protocols, N)`; the protocols differ in their data range only."""
    window = dataclasses.replace(protocols[0], data_range=None)
    similarity = _similarity(generated.shape[1:3], window, threading.get_ident())
    scores = [
        similarity(*pair, [_data_range(settings, pair[0]) for settings in protocols])
        for pair in zip(generated, reference, strict=True)
    ]
    return np.array(scores, np.float64).reshape(-1, len(protocols)).T


def _data_range(settings: SSIMProtocol, generated: np.ndarray) -> float:
    if settings.data_range is not None:
        return settings.data_range
    return max(1.0, float(generated.max()) - float(generated.min()))


@functools.lru_cache(maxsize=2)
def _similarity(image_size: tuple[int, ...], window: SSIMProtocol, thread: int) -> _Similarity:
    """Kept from batch to batch, since fresh memory costs more than arithmetic; each thread needs its own."""
    return _Similarity(image_size, window)


class _Similarity:
    """SSIM of one image after the other, in memory that is taken once.

    A window's weights along an axis make a band matrix; BLAS multiplies its blocks with the image, all in float64,
    for variances are small differences of large numbers. Four weighted means suffice, of a, b, ab and a² + b², since
    the formula has the sum of the two variances only. Rows are done in stripes that fit into the processor's cache.
    Windows in which both images are black, as most are under a body mask, score 1 without any of this.

    Args:
        image_size: (height, width) in pixels.
        window: the window; its data range is of no effect.
    Call arguments: two images, uint8 `(H, W, 3)`, and the data ranges to use.
    Returns: the mean over windows and channels for each data range.
    """

    def __init__(self, image_size: tuple[int, ...], window: SSIMProtocol) -> None:
        height, width = image_size
        self._reach = window.window - 1
        self._factor = window.covariance_factor
        self._stripe = min(height - self._reach, max(window.window, STRIPE // width - self._reach))
        sizes = (n for n in range(BLOCK, 0, -1) if n * (n + self._reach) * max(image_size) <= SMALL_PRODUCT)
        self._block = next(sizes, 1)
        self._down = np.zeros((self._block, self._block + self._reach))
        for row in range(self._block):
            self._down[row, row : row + window.window] = window.weights
        self._across = np.ascontiguousarray(self._down.T)  # a transposed view takes twice as long
        self._memory = np.empty((4, 4 * 3 * (self._stripe + self._reach) * width))

    def __call__(self, a: np.ndarray, b: np.ndarray, data_ranges: Sequence[float]) -> list[float]:
        height, width = (side - self._reach for side in a.shape[:2])
        rows, columns = self._not_black(a, b)
        sums = np.full(len(data_ranges), 3.0 * (height * width - len(rows) * len(columns)))
        for top in range(rows.start, rows.stop, self._stripe):
            bottom = min(top + self._stripe, rows.stop)
            part = np.s_[top : bottom + self._reach, columns.start : columns.stop + self._reach]
            sums += self._sums(a[part], b[part], data_ranges)
        return (sums / (3 * height * width)).tolist()

    def _not_black(self, a: np.ndarray, b: np.ndarray) -> tuple[range, range]:
        """Rows and columns of windows outside of which both images are black."""
        either = (a | b).reshape(len(a), -1)
        spans = []
        for lit, side in (
            (either.max(axis=1), a.shape[0]),
            (either.max(axis=0).reshape(-1, 3).max(axis=1), a.shape[1]),
        ):
            places = np.flatnonzero(lit)
            first, last = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
            spans.append(range(max(0, first - self._reach), min(last, side - self._reach)))
        return spans[0], spans[1]

    def _sums(self, a: np.ndarray, b: np.ndarray, data_ranges: Sequence[float]) -> np.ndarray:
        """Sum over windows and channels for each data range."""
        mean_a, mean_b, product, squares = self._local_means(a, b)
        # Wang et al., Eq. 13: (2 μa μb + c1) (2 σab + c2) / ((μa² + μb² + c1) (σa² + σb² + c2)), in place: each name
        # is what its array has become
        luminance, ratio, term = self._view(3, 3, *mean_a.shape)
        np.multiply(mean_a, mean_b, out=luminance)
        product -= luminance
        covariance = np.multiply(product, 2 * self._factor, out=product)
        luminance *= 2
        mean_a *= mean_a
        mean_b *= mean_b
        mean_squares = np.add(mean_a, mean_b, out=mean_a)
        squares -= mean_squares
        variances = np.multiply(squares, self._factor, out=squares)
        denominator, sums = mean_b, []
        for data_range in data_ranges:
            c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
            np.add(luminance, c1, out=ratio)
            ratio *= np.add(covariance, c2, out=term)
            np.add(mean_squares, c1, out=denominator)
            denominator *= np.add(variances, c2, out=term)
            ratio /= denominator
            sums.append(ratio.sum())
        return np.array(sums)

    def _local_means(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Of a, b, ab, a² + b²: `(4, 3, rows, columns)` of windows."""
        inputs = self._view(0, 4, 3, *a.shape[:2])
        inputs[0], inputs[1] = a.transpose(2, 0, 1), b.transpose(2, 0, 1)  # HWC => CHW
        np.multiply(inputs[0], inputs[1], out=inputs[2])
        np.multiply(inputs[0], inputs[0], out=inputs[3])
        inputs[3] += np.multiply(inputs[1], inputs[1], out=self._view(1, *inputs[1].shape))
        height, width = (side - self._reach for side in a.shape[:2])
        middle = self._view(1, 4, 3, height, a.shape[1])
        means = self._view(2, 4, 3, height, width)
        for start, size in self._blocks(height):
            pixels = inputs[..., start : start + size + self._reach, :]
            np.matmul(self._down[:size, : size + self._reach], pixels, out=middle[..., start : start + size, :])
        for start, size in self._blocks(width):
            pixels = middle[..., start : start + size + self._reach]
            np.matmul(pixels, self._across[: size + self._reach, :size], out=means[..., start : start + size])
        return means

    def _blocks(self, count: int) -> Iterator[tuple[int, int]]:
        """Start and size of successive blocks."""
        return ((start, min(self._block, count - start)) for start in range(0, count, self._block))

    def _view(self, row: int, *shape: int) -> np.ndarray:
        """An array in a row of the memory."""
        return self._memory[row, : math.prod(shape)].reshape(shape)


# --------------------------------------------------------------------------------- the metrics


def _score(protocol: str, masked: bool) -> Callable[[ImageBatch], np.ndarray]:
    """The metric's function. Protocols of one window are computed together, once a batch."""
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
    )


_DEFINITION = "SSIM as Wang et al. 2004 define it; no table of the paper"

SPECS: tuple[MetricSpec, ...] = (
    _spec("release", False, "the paper's SSIM, Tables 1 and 3; PATN's evaluation is the same"),
    _spec("release", True, "the paper's mask-SSIM, Tables 1 and 3"),
    _spec("standard", False, _DEFINITION),
    _spec("standard", True, _DEFINITION),
    _spec("gfla", False, "later papers' SSIM, after the evaluation of Ren et al. 2020 (GFLA)"),
)
