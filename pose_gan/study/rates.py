"""Rates of wrong answers and their intervals, from counts of answers (paper, Section 6.2, Table 2).

R2G is the share of real images that were rated generated, and G2R that of generated images rated real.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pose_gan.study import statistics
from pose_gan.study.counting import Answer
from pose_gan.study.statistics import Estimate, estimate, estimate_share, rate, ratio, resampled

RATERS, REAL, GENERATED, COMPARED = range(4)  # what is drawn with which seed


@dataclass(frozen=True)
class Scores:
    """A row of the table.

    Attributes:
        name: the system; `ALL`: all of them together.
        raters: number of raters whose answers count; None: not known.
        real, real_wrong: number of answers to real images, and of those that say generated.
        generated, generated_wrong: number of answers to generated images, and of those that say real.
        r2g, g2r: share of wrong answers, 0 to 1.
        accuracy: share of right answers of all, 0 to 1.
        d_prime: see `statistics.d_prime`.
    """

    name: str
    raters: int | None
    real: int
    real_wrong: int
    generated: int
    generated_wrong: int
    r2g: Estimate
    g2r: Estimate
    accuracy: Estimate
    d_prime: Estimate


def rates_from_counts(name: str, real_wrong: int, real: int, generated_wrong: int, generated: int) -> Scores:
    """The scores of a study of which only counts are known, such as the paper's.

    The intervals are Wilson's. They take all answers for independent; those of one rater are not, so an interval over
    raters would be wider.

    Args:
        name: name of the row.
        real_wrong, real: number of real images rated generated, and of all ratings of real images.
        generated_wrong, generated: number of generated images rated real, and of all ratings of generated images.
    """

    def share(wrong: int, total: int) -> Estimate:
        return Estimate(rate(wrong, total), *(statistics.wilson_interval(wrong, total) if total else (None, None)))

    d_prime = float(statistics.d_prime(real_wrong, real, generated_wrong, generated)) if real and generated else None
    right = real - real_wrong + generated - generated_wrong
    return Scores(
        name,
        None,
        real,
        real_wrong,
        generated,
        generated_wrong,
        share(real_wrong, real),
        share(generated_wrong, generated),
        share(right, real + generated),
        Estimate(d_prime),
    )


class Draws(NamedTuple):
    """How resamples are drawn: of raters, and of images too if `images` is set."""

    images: bool
    resamples: int
    seed: int

    def weights(self, what: int, count: int) -> np.ndarray:
        """How often each of `count` is drawn, int64 `(resamples, count)`. `what` is `RATERS`, `REAL`, …."""
        return statistics.weights(count, self.resamples, [self.seed, what])


class CountTable(NamedTuple):
    """Counts `(raters, items)`: of the answers that are looked for, and of all. An item is an image or a comparison."""

    hits: np.ndarray
    total: np.ndarray

    @classmethod
    def of(cls, answers: Iterable[tuple[Answer, bool]], raters: Sequence[str]) -> CountTable:
        """The counts of answers, each with whether it is looked for; a row per rater."""
        answers, rows = list(answers), {name: number for number, name in enumerate(raters)}
        columns = {item: number for number, item in enumerate(sorted({answer.item for answer, _ in answers}))}
        hits, total = np.zeros((2, len(rows), len(columns)), np.int64)
        for answer, hit in answers:
            total[rows[answer.rater], columns[answer.item]] += 1
            hits[rows[answer.rater], columns[answer.item]] += hit
        return cls(hits, total)

    def drawn(self, draws: Draws, what: int) -> tuple[np.ndarray, np.ndarray]:
        """Hits and totals in each resample, float64 `(resamples,)` each; `what` the items are."""
        raters, items = self.total.shape
        of_raters, of_items = draws.weights(RATERS, raters), draws.weights(what, items) if draws.images else None
        return resampled(self.hits, of_raters, of_items), resampled(self.total, of_raters, of_items)

    def count(self, draws: Draws) -> int:
        """The number of raters, or of items if they are drawn too and are fewer."""
        return min(self.total.shape) if draws.images else len(self.total)


def score_row(name: str, answers: Sequence[Answer], draws: Draws) -> Scores:
    """The scores of answers to images, with bootstrap intervals.

    Args:
        name: name of the row.
        answers: those that count.
        draws: how resamples are drawn.
    """
    raters = sorted({answer.rater for answer in answers})
    real, made = (
        CountTable.of(((one, one.wrong) for one in answers if one.kind == kind), raters)
        for kind in ("real", "generated")
    )
    counts = (int(table.sum()) for table in (*real, *made))
    row = rates_from_counts(name, *counts)
    (real_wrong, real_all), (made_wrong, made_all) = real.drawn(draws, REAL), made.drawn(draws, GENERATED)
    both = (real_all > 0) & (made_all > 0)
    d_primes = np.where(both, statistics.d_prime(real_wrong, real_all, made_wrong, made_all), np.nan)
    accuracies = 1 - ratio(real_wrong + made_wrong, real_all + made_all)
    fewest = min(real.count(draws), made.count(draws))
    right = row.real - row.real_wrong + row.generated - row.generated_wrong
    return replace(
        row,
        raters=len(raters),
        r2g=estimate_share(row.real_wrong, row.real, ratio(real_wrong, real_all), real.count(draws)),
        g2r=estimate_share(row.generated_wrong, row.generated, ratio(made_wrong, made_all), made.count(draws)),
        accuracy=estimate_share(right, row.real + row.generated, accuracies, fewest),
        d_prime=estimate(row.d_prime.value, d_primes, fewest),
    )
