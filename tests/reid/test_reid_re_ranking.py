"""Re-ranking by k-reciprocal neighbours, against loops written from the paper."""

from __future__ import annotations

import numpy as np
import pytest

from pose_gan.errors import InputError
from pose_gan.reid import distances, evaluate_ranking
from pose_gan.reid.distances import COSINE, EUCLIDEAN
from pose_gan.reid.re_ranking import ReRanking, re_ranked


def slow(between: np.ndarray, queries: int, k1: int, k2: int, weight: float) -> np.ndarray:
    """The paper's formulas, with sets: the original distances `(N, N)` → the new ones of queries to gallery."""
    count = len(between)
    scaled = between / between.max(axis=1, keepdims=True)
    nearest = np.argsort(scaled, axis=1, kind="stable")

    def reciprocal(image, k):
        return {int(g) for g in nearest[image, : k + 1] if image in nearest[g, : k + 1]}

    encoding = np.zeros((count, count))
    for image in range(count):
        mutual = reciprocal(image, k1)
        expanded = set(mutual)
        for candidate in mutual:
            of_candidate = reciprocal(candidate, int(np.around(k1 / 2)))
            if len(of_candidate & mutual) > 2 / 3 * len(of_candidate):
                expanded |= of_candidate
        for other in expanded:
            encoding[image, other] = np.exp(-scaled[image, other])
        encoding[image] /= encoding[image].sum()
    averaged = np.array([encoding[nearest[image, :k2]].mean(axis=0) for image in range(count)])
    result = np.zeros((queries, count - queries))
    for query in range(queries):
        for place in range(count - queries):
            common = np.minimum(averaged[query], averaged[queries + place]).sum()
            larger = np.maximum(averaged[query], averaged[queries + place]).sum()
            jaccard = 1 - common / larger
            result[query, place] = (1 - weight) * jaccard + weight * scaled[query, queries + place]
    return result


def crowd(people: int = 9, images: int = 6, seed: int = 0):
    random = np.random.default_rng(seed)
    ids = np.repeat(np.arange(people), images)
    return (random.normal(0, 1.0, (people, 8))[ids] + random.normal(0, 0.7, (len(ids), 8))).astype(np.float32), ids


@pytest.mark.parametrize("settings", [ReRanking(), ReRanking(7, 3, 0.5), ReRanking(5, 1, 0.0), ReRanking(6, 2, 1.0)])
@pytest.mark.parametrize("distance", [EUCLIDEAN, COSINE], ids=lambda distance: distance.name)
def test_the_same_as_the_loops(settings, distance, monkeypatch):
    values, _ = crowd()
    order = np.random.default_rng(3).permutation(len(values))
    x, z = values[order[:15]], values[order[15:]]
    both = np.concatenate([x, z]).astype(float)
    if distance is EUCLIDEAN:  # which counts squared
        between = ((both[:, None] - both) ** 2).sum(axis=2)
    else:
        both /= np.linalg.norm(both, axis=1, keepdims=True)
        between = 1 - both @ both.T
    expected = slow(between, 15, settings.k1, settings.k2, settings.weight)
    for block in (1 << 22, 200):  # all at once, and four rows at a time
        monkeypatch.setattr(distances, "BLOCK", block)
        found = np.concatenate([part.copy() for part in re_ranked(distance, x, z, settings)])
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_re_ranking_helps_where_neighbours_agree():
    values, ids = crowd(people=20, images=8)
    query = np.arange(len(ids)) % 8 == 0
    x, z = values[query], values[~query]
    labels = ids[query] + 1, ids[~query] + 1, np.zeros(20, int), np.ones(140, int)
    before = evaluate_ranking(EUCLIDEAN.between(x, z), *labels)
    after = evaluate_ranking(re_ranked(EUCLIDEAN, x, z, ReRanking(10, 4)), *labels)
    assert after.mean_average_precision > before.mean_average_precision + 0.02


def test_progress_counts_every_row():
    values, _ = crowd()
    counts: list[int] = []
    for _ in re_ranked(EUCLIDEAN, values[:14], values[14:], progress=counts.append):
        pass
    assert sum(counts) == 14 + 2 * len(values)


def test_images_that_are_all_alike_are_equally_far():
    (found,) = re_ranked(EUCLIDEAN, np.ones((10, 2)), np.ones((30, 2)))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, np.broadcast_to(found[:, :1], found.shape))


def test_settings_and_sizes_that_do_not_fit():
    for settings in ((0, 1, 0.3), (20, 0, 0.3), (3, 5, 0.3), (20, 6, 1.5)):
        with pytest.raises(InputError, match="k1 must be 1 or more"):
            ReRanking(*settings)
    with pytest.raises(InputError, match="needs more than as many images, got 20"):
        next(re_ranked(EUCLIDEAN, np.ones((10, 2)), np.ones((10, 2))))
