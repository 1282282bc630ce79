"""Rates, intervals, d′ and agreement: against slow twins, published examples, and raters whose rates are known."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats
from studies import numbers

from pose_gan.evaluation.published import TABLE_2
from pose_gan.study import statistics
from pose_gan.study.counting import Answer
from pose_gan.study.plan import Image, Kind, Trial
from pose_gan.study.rates import Draws, rates_from_counts, score_row


@pytest.mark.parametrize("row", [row for row in TABLE_2 if row.counts], ids=lambda row: row.dataset)
def test_table_2_comes_out_of_the_counts(row):
    """30 raters × 55 images a class: the paper's numbers, to the last digit that was printed."""
    wrong, misses, total = row.counts
    assert total == 30 * 55
    scores = rates_from_counts("Full", wrong, total, misses, total)
    (r2g, low, high), (g2r, *_) = numbers(scores.r2g), numbers(scores.g2r)
    assert (f"{100 * r2g:.2f}", f"{100 * g2r:.2f}") == (row.r2g, row.g2r)
    assert scores.accuracy.value == pytest.approx(1 - (r2g + g2r) / 2)
    assert low < r2g < high


def test_table_2_is_as_printed(shared_data):
    text = (shared_data.parent / "seeds/deformable-gans-paper.txt").read_text(encoding="utf-8")
    lines = text.split("Table 2: ")[1].splitlines()[4:6]
    printed = [line.rstrip("\t").split("\t")[1:] for line in lines]  # Ma et al., ours; market, then fashion
    ours = [[row.r2g, row.g2r] for row in TABLE_2]
    assert [ours[0] + ours[2], ours[1] + ours[3]] == printed


# ------------------------------------------------------------------------------------- single numbers


@pytest.mark.parametrize(("count", "total"), [(374, 1650), (829, 1650), (0, 10), (10, 10), (1, 1), (3, 7)])
def test_wilson_ends_lie_a_normal_quantile_away(count, total):
    """Each end p solves |count / total − p| = z √(p (1 − p) / total)."""
    z = stats.norm.ppf(0.975)
    for end in statistics.wilson_interval(count, total):
        assert 0 <= end <= 1
        assert abs(count / total - end) == pytest.approx(z * np.sqrt(end * (1 - end) / total), abs=1e-12)
    assert statistics.wilson_interval(0, 10) == pytest.approx((0, 0.277533), abs=1e-6)  # 1 / (1 + n / z²)


@pytest.mark.parametrize("counts", [(374, 1650, 829, 1650), (0, 55, 0, 55), (55, 55, 55, 55), (3, 10, 1, 40)])
def test_d_prime_is_a_difference_of_normal_quantiles(counts):
    wrong, real, misses, generated = counts
    hit, false_alarm = (generated - misses + 0.5) / (generated + 1), (wrong + 0.5) / (real + 1)
    expected = stats.norm.ppf(hit) - stats.norm.ppf(false_alarm)
    assert float(statistics.d_prime(*counts)) == pytest.approx(expected, rel=1e-12)


def test_d_prime_of_chance_is_zero():
    assert float(statistics.d_prime(20, 50, 30, 50)) == pytest.approx(0, abs=1e-12)
    assert float(statistics.d_prime(10, 50, 10, 50)) > 1.6


FLEISS = [  # the worked example of Fleiss' kappa: 14 raters, 10 subjects, 5 categories
    *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
    *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
]


def test_fleiss_kappa_of_the_worked_example():
    found = statistics.agreement(np.array(FLEISS))
    assert found.pairwise == pytest.approx(0.378, abs=5e-4)
    assert found.kappa == pytest.approx(0.210, abs=5e-4)
    assert found.images == 10


def test_agreement_with_unequal_numbers_of_raters_by_pairs():
    random = np.random.default_rng(3)
    counts = random.integers(0, 6, (40, 2)) * (random.random((40, 1)) > 0.1)
    counts[0], counts[1] = (1, 0), (0, 0)
    shares, pairs = [], []
    for row in counts:
        said = [answer for answer, count in enumerate(row) for _ in range(count)]
        if said:
            shares.append([np.mean(np.array(said) == answer) for answer in (0, 1)])
        if len(said) > 1:
            pairs.append(np.mean([a == b for a, b in itertools.permutations(said, 2)]))
    chance = sum(np.mean(shares, axis=0) ** 2)
    found = statistics.agreement(counts)
    assert found.pairwise == pytest.approx(np.mean(pairs))
    assert found.kappa == pytest.approx((np.mean(pairs) - chance) / (1 - chance))
    assert found.images == len(pairs)


def test_agreement_where_there_is_none_to_speak_of():
    assert statistics.agreement(np.zeros((0, 2), int)) == (None, None, 0)
    assert statistics.agreement(np.array([[1, 0], [0, 1]])) == (None, None, 0)
    assert statistics.agreement(np.array([[3, 0], [4, 0]])) == (1.0, None, 2)
    random = np.random.default_rng(0).binomial(20, 0.5, 4000)
    assert statistics.agreement(np.stack([random, 20 - random], axis=1)).kappa == pytest.approx(0, abs=0.01)


# ------------------------------------------------------------------------------------- intervals


def answers_of(real: np.ndarray, generated: np.ndarray) -> list[Answer]:
    """Answers of raters: 1 where one is wrong, 0 where it is right, −1 where there is none; `(raters, images)` each."""
    found = []
    kinds: tuple[tuple[Kind, Kind], ...] = (("real", "generated"), ("generated", "real"))
    for (kind, other), table in zip(kinds, (real, generated), strict=True):
        first, system = (0, "") if kind == "real" else (1000, "ours")
        images = [Image(first + number + 1, "main", kind, system, "", "") for number in range(table.shape[1])]
        for (rater, place), wrong in np.ndenumerate(table):
            if wrong >= 0:
                trial = Trial(place + 1, "main", images[place].number)
                said = other if wrong else kind
                found.append(Answer(f"r{rater:03}", trial, images[place], None, said, 500.0, 1000.0, ""))
    return found


def twin(real: np.ndarray, generated: np.ndarray, draws: Draws) -> dict[str, tuple[float, float]]:
    """The intervals by a loop over the resamples, the drawn raters and the drawn images."""
    drawn = {what: np.random.default_rng([draws.seed, what]) for what in (0, 1, 2)}
    values: dict[str, list[float]] = {"r2g": [], "g2r": [], "accuracy": [], "d_prime": []}
    raters = len(real)
    for _ in range(draws.resamples):
        chosen = drawn[0].integers(raters, size=raters)
        counts = []
        for what, table in ((1, real), (2, generated)):
            images = range(table.shape[1])
            if draws.images:
                images = drawn[what].integers(table.shape[1], size=table.shape[1])
            cells = [table[rater, image] for rater in chosen for image in images]
            counts += [sum(cell == 1 for cell in cells), sum(cell >= 0 for cell in cells)]
        wrong, of_real, misses, of_generated = counts
        values["r2g"].append(wrong / of_real)
        values["g2r"].append(misses / of_generated)
        values["accuracy"].append(1 - (wrong + misses) / (of_real + of_generated))
        hit, alarm = 1 - (misses + 0.5) / (of_generated + 1), (wrong + 0.5) / (of_real + 1)
        values["d_prime"].append(float(stats.norm.ppf(hit) - stats.norm.ppf(alarm)))
    count = min(raters, real.shape[1], generated.shape[1]) if draws.images else raters
    share = stats.norm.cdf(-np.sqrt(count / (count - 1)) * stats.t.ppf(0.975, count - 1))
    return {name: tuple(np.quantile(one, [share, 1 - share])) for name, one in values.items()}


@pytest.mark.parametrize("images", [False, True], ids=["raters", "both"])
def test_intervals_are_those_of_a_slow_bootstrap(images):
    random = np.random.default_rng(5)
    real, generated = (random.random((7, 9)) < 0.25) * 1, (random.random((7, 8)) < 0.5) * 1
    real[random.random(real.shape) < 0.1] = -1
    draws = Draws(images, 300, 11)
    row = score_row("ours", answers_of(real, generated), draws)
    assert (row.raters, row.real, row.real_wrong) == (7, (real >= 0).sum(), (real == 1).sum())
    assert (row.generated, row.generated_wrong) == (56, generated.sum())
    for name, ends in twin(real, generated, draws).items():
        assert getattr(row, name)[1:] == pytest.approx(ends, abs=1e-12), name


def test_many_resamples_are_drawn_as_few_are():
    """Resamples are drawn in blocks, which cannot be seen."""
    long, short = statistics.weights(7, 1203, [1, 2]), statistics.weights(7, 600, [1, 2])
    np.testing.assert_array_equal(long[:600], short)
    assert (long.sum(axis=1) == 7).all()


def test_percentiles_are_the_usual_ones_for_many_raters():
    assert statistics.tail(100_000) == pytest.approx(0.025, abs=1e-5)
    assert statistics.tail(5) < statistics.tail(30) < 0.025


@pytest.mark.parametrize("raters", [10, 30])
def test_intervals_hold_the_true_rates_of_simulated_raters(raters):
    """Raters who differ, images that differ: in about 95 % of 250 studies the interval holds what all people say."""
    random, studies = np.random.default_rng(raters), 250
    people = random.normal(0, 0.6, 4000)  # all people, by how much they tend to err
    held: Counter[str] = Counter()
    for number in range(studies):
        tables, truth = [], []
        for mean in (-1.2, 0.0):  # on the scale of log odds: 23 % and 50 %
            images = random.normal(mean, 0.6, 12)
            truth.append(float(np.mean(1 / (1 + np.exp(-(people[:500, None] + images))))))
            chances = 1 / (1 + np.exp(-(people[500 + number * 14 % 3000 :][:raters, None] + images)))
            tables.append((random.random(chances.shape) < chances) * 1)
        row = score_row("ours", answers_of(*tables), Draws(False, 400, number))
        r2g, g2r = truth
        expected = {"r2g": r2g, "g2r": g2r, "accuracy": 1 - (r2g + g2r) / 2}
        expected["d_prime"] = stats.norm.ppf(1 - g2r) - stats.norm.ppf(r2g)
        for name, true in expected.items():
            _, low, high = numbers(getattr(row, name))
            held[name] += low <= true <= high
    assert len(held) == 4
    for name, count in held.items():
        assert 0.91 <= count / studies <= 0.985, name


def test_one_rater_has_numbers_and_no_intervals():
    row = score_row("ours", answers_of(np.array([[1, 0, 0, 0]]), np.array([[1, 1, 0, 0]])), Draws(False, 100, 0))
    assert (row.r2g, row.g2r) == ((0.25, None, None), (0.5, None, None))
    assert row.d_prime.value is not None
    assert row.d_prime.low is None


def test_nobody_wrong_is_not_certainty():
    """All resamples are alike, so the interval is Wilson's."""
    row = score_row("ours", answers_of(np.zeros((5, 4), int), np.ones((5, 4), int)), Draws(False, 100, 0))
    assert row.r2g == (0, *statistics.wilson_interval(0, 20))
    assert row.g2r == (1, *statistics.wilson_interval(20, 20))
    assert row.r2g.high is not None
    assert row.r2g.high > 0.1


def test_no_answers_at_all():
    empty = score_row("ours", [], Draws(True, 100, 0))
    assert empty.r2g == empty.g2r == empty.accuracy == empty.d_prime == (None, None, None)
    only_real = score_row("ours", answers_of(np.array([[1, 0], [0, 0]]), np.zeros((2, 0), int)), Draws(False, 100, 0))
    assert only_real.g2r.value is None
    assert only_real.r2g.value == 0.25
    assert only_real.d_prime.value is None
