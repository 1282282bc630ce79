"""A fast computation of SSIM: it processes one image after the other, in memory that is allocated once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

BLOCK = 14  # windows per matrix product; with more windows, a larger share of the band matrix is zero
STRIPE = 2**14  # approximate number of pixels that are processed together
SMALL_PRODUCT = 2**18  # multiplications; BLAS splits larger products among threads, which then mostly wait


class Similarity:
    """SSIM of two images. It is for one thread at a time, since calls share its memory.

    The weights along an axis form a band matrix, whose blocks BLAS multiplies with the image. Everything is float64,
    because variances are small differences of large numbers. Four weighted means suffice (of a, b, ab and a² + b²),
    since the formula contains only the sum of the two variances. Rows are processed in stripes that fit into the
    processor's cache. Windows in which both images are black score 1 without computation; body masks make many such
    windows.

    Args:
        image_size: (height, width) in pixels, neither less than the window.
        weights: weights of the window along one axis, float64 `(window,)`, sum 1.
        covariance_factor: factor by which variances and covariances are multiplied.
    Call arguments: two images, uint8 `(H, W, 3)`, and the data ranges L to use.
    Returns: the mean over windows and channels for each data range.
    Reference: Wang et al. 2004, Eq. 13: (2 μa μb + c1) (2 σab + c2) / ((μa² + μb² + c1) (σa² + σb² + c2)), with
        c1 = (0.01 L)² and c2 = (0.03 L)².
    """

    def __init__(self, image_size: Sequence[int], weights: np.ndarray, covariance_factor: float = 1.0) -> None:
        height, width = image_size
        self._reach = reach = len(weights) - 1
        self._factor = covariance_factor
        self._stripe = min(height - reach, max(len(weights), STRIPE // width - reach))
        small = (n for n in range(BLOCK, 0, -1) if n * (n + reach) * max(image_size) <= SMALL_PRODUCT)
        self._block = next(small, 1)
        self._down = np.zeros((self._block, self._block + reach))
        for row in range(self._block):
            self._down[row, row : row + len(weights)] = weights
        self._across = np.ascontiguousarray(self._down.T)  # a transposed view takes twice as long
        self._memory = np.empty((4, 4 * 3 * (self._stripe + reach) * width))

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
        """The ranges of rows and columns of windows outside of which both images are black."""
        either = (a | b).reshape(len(a), -1)
        brightest = (either.max(axis=1), either.max(axis=0).reshape(-1, 3).max(axis=1))  # per row, per column
        spans = []
        for values in brightest:
            places = np.flatnonzero(values)
            first, last = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
            spans.append(range(max(0, first - self._reach), min(last, len(values) - self._reach)))
        return spans[0], spans[1]

    def _sums(self, a: np.ndarray, b: np.ndarray, data_ranges: Sequence[float]) -> np.ndarray:
        """Sum over windows and channels for each data range."""
        mean_a, mean_b, product, squares = self._local_means(a, b)
        luminance, ratio, term = self._view(3, 3, *mean_a.shape)
        # The steps work in place. Each name describes the present content of its array
        np.multiply(mean_a, mean_b, out=luminance)
        covariance = np.subtract(product, luminance, out=product)
        mean_a *= mean_a
        mean_b *= mean_b
        mean_squares = np.add(mean_a, mean_b, out=mean_a)
        variances = np.subtract(squares, mean_squares, out=squares)
        denominator, sums = mean_b, []
        for data_range in data_ranges:
            # Numerator and denominator of the second fraction are divided by the factor; this saves multiplying all
            # variances by it
            c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2 / self._factor
            np.add(luminance, c1 / 2, out=ratio)
            ratio *= np.add(covariance, c2 / 2, out=term)
            np.add(mean_squares, c1, out=denominator)
            denominator *= np.add(variances, c2, out=term)
            ratio /= denominator
            sums.append(4 * ratio.sum())
        return np.array(sums)

    def _local_means(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The weighted means of a, b, ab and a² + b² in each window: `(4, 3, rows, columns)`."""
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
        """An array of the given shape in a row of the allocated memory."""
        return self._memory[row, : math.prod(shape)].reshape(shape)
