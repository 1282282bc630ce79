"""Ranking by distance, as person re-identification does it: the first good answer, and average precision."""

from __future__ import annotations

import numpy as np


def average_precision(good: np.ndarray) -> float:
    """Average precision of one ranking: the mean of the precision at each good answer (the step rule).

    Args:
        good: bool `(n,)`, from the nearest answer to the farthest; at least one is True.
    Matches: `sklearn.metrics.average_precision_score` without ties.
    """
    return precision_by_step(np.flatnonzero(good) + 1)


def precision_by_step(ranks: np.ndarray) -> float:
    """Average precision by the step rule: the mean of i / r_i over the good answers, whose ranks are r_1 < r_2 < ….

    Args:
        ranks: int `(n,)`, from 1, ascending; at least one.
    """
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def precision_by_trapezoid(ranks: np.ndarray) -> float:
    """Average precision by the trapezoid rule: the mean of ½ (i / r_i + p_i), p_i = (i − 1) / (r_i − 1).

    p_i is the precision just before the i-th good answer; it is 1 if that answer is the first of all.

    Args:
        ranks: int `(n,)`, from 1, ascending; at least one.
    Matches: the evaluation in MATLAB that came with Market-1501, which the paper's Table 4 uses.
    """
    found = np.arange(1, len(ranks) + 1)
    before = np.where(ranks == 1, 1.0, (found - 1) / np.maximum(ranks - 1, 1))
    return float(np.mean((found / ranks + before) / 2))


def order(distances: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """The places of the gallery from the nearest to the farthest; equal distances keep the gallery's order.

    Args:
        distances: `(n,)` of one query.
        left_out: bool `(n,)`: what is no answer to this query.
    """
    ranked = np.argsort(distances, kind="stable")
    return ranked[~left_out[ranked]]


def good_ranks(distances: np.ndarray, good: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """The ranks of the good answers in `order`, without the order of all others, which takes most of the time.

    Args:
        distances: `(n,)` of one query.
        good: bool `(n,)`.
        left_out: bool `(n,)`: what is no answer to this query.
    Returns: int `(good answers,)`, from 1, ascending; empty: there is no good answer.
    """
    kept = distances[~left_out]
    places = np.flatnonzero(good[~left_out])
    own = kept[places]
    by_value = np.sort(kept)
    nearer = np.searchsorted(by_value, own, side="left")
    tied = np.searchsorted(by_value, own, side="right") - nearer > 1
    for number in np.flatnonzero(tied):
        nearer[number] += np.count_nonzero(kept[: places[number]] == own[number])
    return np.sort(nearer) + 1
