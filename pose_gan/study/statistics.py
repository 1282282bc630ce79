"""Statistics of judgements: rates and their intervals, d′, and the agreement between raters."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

LEVEL = 0.95
RESAMPLES = 10_000
CHUNK = 500  # resamples that are drawn together


class Estimate(NamedTuple):
    """A number and the ends of its 95 % interval; None: it is not defined, or has no interval."""

    value: float | None
    low: float | None = None
    high: float | None = None


def rate(wrong: float, total: float) -> float | None:
    """wrong / total; None: there is nothing to divide."""
    return wrong / total if total else None


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """The interval of a share of independent answers (Wilson 1927), for studies of which only counts are known.

    Args:
        count: the answers that are counted.
        total: all answers, at least one.
    """
    z = -float(ndtri((1 - LEVEL) / 2))
    share, spread = count / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return middle - half if count else 0.0, middle + half if count < total else 1.0


def d_prime(
    false_alarms: float | np.ndarray,
    real: float | np.ndarray,
    misses: float | np.ndarray,
    generated: float | np.ndarray,
) -> np.ndarray:
    """How well generated images are told from real ones: z(hit rate) − z(false-alarm rate); 0 is chance.

    A hit is a generated image that was rated generated. Rates get the log-linear correction,
    (count + ½) / (number + 1), so that d′ is finite where nobody was wrong.

    Args:
        false_alarms: number of real images rated generated.
        real: number of real images that were rated.
        misses: number of generated images rated real.
        generated: number of generated images that were rated.
    Reference: M. J. Hautus, Corrections for extreme proportions and their biasing effects on estimated values of d′,
        Behavior Research Methods 27, 1995.
    """
    hit = (np.asarray(generated) - misses + 0.5) / (np.asarray(generated) + 1)
    false_alarm = (np.asarray(false_alarms) + 0.5) / (np.asarray(real) + 1)
    return ndtri(hit) - ndtri(false_alarm)


# ------------------------------------------------------------------------------------- bootstrap


def weights(count: int, resamples: int, seed: list[int]) -> np.ndarray:
    """How often each of `count` is drawn in each resample, which draws `count` with replacement.

    Args:
        count: number of raters, or of images.
        resamples: number of resamples.
        seed: seed of the draws, which are those of `generator.integers(count, size=count)`, one call per resample.
    Returns: int64 `(resamples, count)`.
    """
    generator, found = np.random.default_rng(seed), np.empty((resamples, count), np.int64)
    for start in range(0, resamples if count else 0, CHUNK):
        rows = min(CHUNK, resamples - start)
        cells = generator.integers(count, size=(rows, count)) + np.arange(rows)[:, None] * count
        found[start : start + rows] = np.bincount(cells.ravel(), minlength=rows * count).reshape(rows, count)
    return found


def resampled(counts: np.ndarray, of_raters: np.ndarray, of_images: np.ndarray | None = None) -> np.ndarray:
    """The sum of a table of counts in each resample.

    Args:
        counts: `(raters, images)`.
        of_raters: how often each rater is drawn, `(resamples, raters)`.
        of_images: how often each image is drawn, `(resamples, images)`; None: each image once.
    Returns: float64 `(resamples,)`.
    """
    if of_images is None:
        return (of_raters @ counts.sum(axis=1)).astype(float)
    return np.einsum("bi,bi->b", of_raters.astype(float) @ counts, of_images)


def tail(count: int) -> float:
    """The share of resamples below the lower end of a 95 % interval: Φ(−√(n / (n − 1)) · t), with Student's t.

    Percentiles at 2.5 % give intervals that are too narrow for few raters. These are wider, as those of Student's t are
    wider than those of the normal distribution, and come to 2.5 % for many. With fewer than five, the resamples have
    so few values that no percentile of theirs is wide enough.

    Args:
        count: n, the number of what is drawn, at least 2.
    Reference: T. Hesterberg, What teachers should know about the bootstrap, The American Statistician 69, 2015
        (expanded percentile intervals).
    """
    t = float(stdtrit(count - 1, (1 + LEVEL) / 2))
    return float(ndtr(-math.sqrt(count / (count - 1)) * t))


def interval(values: np.ndarray, count: int) -> tuple[float | None, float | None]:
    """The 95 % interval from the values of the resamples.

    Args:
        values: float64 `(resamples,)`; NaN where a resample has no value.
        count: the number of what is drawn: of raters, or of images if there are fewer.
    Returns: both ends; None where there is nothing to draw from: one rater, or no value.
    """
    values = values[np.isfinite(values)]
    if count < 2 or not len(values):
        return None, None
    share = tail(count)
    low, high = np.quantile(values, [share, 1 - share])
    return float(low), float(high)


# ------------------------------------------------------------------------------------- agreement


class Agreement(NamedTuple):
    """How far raters agree on the same images; None: no image has two answers, or all answers are one word.

    Attributes:
        pairwise: mean over the images of the share of pairs of raters who gave the same answer.
        kappa: Fleiss' kappa: (pairwise − chance) / (1 − chance); 0 is chance, 1 is agreement on everything.
        images: number of images with two answers or more.
    """

    pairwise: float | None
    kappa: float | None
    images: int


def agreement(counts: np.ndarray) -> Agreement:
    """Fleiss' kappa, also for images that were not all judged by the same number of raters.

    Chance is Σ p², where p is the mean over all images of the share of an answer. With as many answers for every image,
    this is Fleiss' formula.

    Args:
        counts: int `(images, answers)`: number of raters who gave each answer.
    Reference: J. L. Fleiss, Measuring nominal scale agreement among many raters, Psychological Bulletin 76, 1971; for
        unequal numbers: K. L. Gwet, Handbook of inter-rater reliability, 2014.
    """
    total = counts.sum(axis=1)
    counts, total = counts[total > 0], total[total > 0]
    several = total > 1
    if not several.any():
        return Agreement(None, None, 0)
    pairs = (counts * (counts - 1)).sum(axis=1)[several] / (total * (total - 1))[several]
    pairwise, chance = float(pairs.mean()), float(((counts / total[:, None]).mean(axis=0) ** 2).sum())
    kappa = (pairwise - chance) / (1 - chance) if chance < 1 - 1e-12 else None
    return Agreement(pairwise, kappa, int(several.sum()))


def ratio(wrong: np.ndarray, total: np.ndarray) -> np.ndarray:
    """wrong / total, NaN where there is nothing to divide."""
    return np.divide(wrong, total, out=np.full(len(total), np.nan), where=total > 0)


def estimate(value: float | None, resamples: np.ndarray, count: int) -> Estimate:
    """A number with the interval that its values in the resamples give; see `interval`."""
    return Estimate(value) if value is None else Estimate(value, *interval(resamples, count))


def estimate_share(hits: int, total: int, resamples: np.ndarray, count: int) -> Estimate:
    """A share with its interval; see `interval`.

    Where all answers are alike, all resamples are, and their interval would have no width. It is Wilson's then.
    """
    if count > 1 and total and hits in (0, total):
        return Estimate(hits / total, *wilson_interval(hits, total))
    return estimate(rate(hits, total), resamples, count)
