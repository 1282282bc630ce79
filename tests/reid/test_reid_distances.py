"""Distances: against the definition, in blocks of any size, with learnt matrices, and errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pose_gan.errors import InputError
from pose_gan.reid.distances import COSINE, EUCLIDEAN, Distance, normalised

RANDOM = np.random.default_rng(0)
X, Z = RANDOM.normal(1, 1, (13, 6)), RANDOM.normal(0, 2, (9, 6))
W, M = RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(4, 4))
LEARNT = Distance("learnt", "learnt", projection=W, matrix=M + M.T)


def slow(distance: Distance) -> np.ndarray:
    x, z = (values / np.linalg.norm(values, axis=1, keepdims=True) if distance.unit else values for values in (X, Z))
    if distance.kind == "cosine":
        return cdist(x, z, "cosine")
    if distance.kind != "learnt":
        return cdist(x, z, "sqeuclidean" if distance.kind == "squared" else "euclidean")
    return np.array([[(a - b) @ W @ (M + M.T) @ W.T @ (a - b) for b in z] for a in x])


@pytest.mark.parametrize("kind", ["euclidean", "squared", "cosine", "learnt"])
@pytest.mark.parametrize("unit", [False, True])
def test_distances_are_those_of_the_definition_in_blocks_of_any_size(kind, unit):
    if kind == "cosine" and not unit:
        pytest.skip("cosine always divides by lengths")
    distance = LEARNT if kind == "learnt" else Distance(kind, kind)
    distance = dataclasses.replace(distance, unit=unit)
    expected = slow(distance)
    np.testing.assert_allclose(distance.between(X, Z), expected, rtol=2e-5, atol=1e-5)
    for rows in (1, 4, 13, 100):
        blocks = [(part, block.copy()) for part, block in distance.blocks(X, Z, rows)]
        assert [part.start for part, _ in blocks] == list(range(0, 13, rows))
        np.testing.assert_allclose(np.concatenate([block for _, block in blocks]), expected, rtol=2e-5, atol=1e-5)
    assert (expected < 0).any() == (kind == "learnt")


def test_equal_features_are_not_below_zero_apart():
    values = np.random.default_rng(1).normal(5, 1, (50, 300)).astype(np.float32)
    assert np.diag(EUCLIDEAN.between(values, values)).min() >= 0
    assert np.diag(COSINE.between(values, values)).max() < 1e-6


def test_features_of_zeros_have_no_direction():
    np.testing.assert_array_equal(normalised(np.zeros((2, 3))), np.zeros((2, 3)))
    np.testing.assert_array_equal(COSINE.between(np.zeros((1, 3)), np.ones((1, 3))), [[1]])


def test_large_features_have_a_direction():
    values = np.random.default_rng(0).normal(size=(4, 3))
    found = COSINE.between(1e30 * values, values)
    np.testing.assert_allclose(found, COSINE.between(values, values), atol=1e-6)


def test_nothing_to_compare():
    assert EUCLIDEAN.between(np.zeros((0, 3)), np.zeros((4, 3))).shape == (0, 4)


@pytest.mark.parametrize(
    ("distance", "x", "z", "message"),
    [
        (EUCLIDEAN, np.zeros((2, 3)), np.zeros((2, 4)), "features of 3 and of 4 numbers have no distance"),
        (EUCLIDEAN, np.zeros(3), np.zeros((2, 3)), r"expected features \(n, d\), got \(3,\)"),
        (EUCLIDEAN, np.zeros((2, 0)), np.zeros((2, 0)), r"expected features \(n, d\), got \(2, 0\)"),
        (EUCLIDEAN, np.full((2, 3), 1e30), np.zeros((2, 3)), "the features are not finite, or too large"),
        (LEARNT, np.zeros((2, 5)), np.zeros((2, 5)), r"learnt: expected features \(n, 6\), got \(2, 5\)"),
    ],
)
def test_features_that_do_not_fit(distance, x, z, message):
    with pytest.raises(InputError, match=message):
        distance.between(x, z)
