"""Ranking by distance, as person re-identification does it: the first good answer, and average precision."""

from __future__ import annotations

import numpy as np


def average_precision(good: np.ndarray) -> float:
    """Average precision of one ranking: the mean of the precision at each good answer (the step rule).

    Args:
        good: bool `(n,)`, from the nearest answer to the farthest; at least one is True.
    Matches: `sklearn.metrics.average_precision_score` without ties.
    """
    ranks = np.flatnonzero(good) + 1
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def order(distances: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """The places of the gallery from the nearest to the farthest; equal distances keep the gallery's order.

    Args:
        distances: `(n,)` of one query.
        left_out: bool `(n,)`: what is no answer to this query.
    """
    ranked = np.argsort(distances, kind="stable")
    return ranked[~left_out[ranked]]
