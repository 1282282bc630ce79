"""KISSME and XQDA: closed forms, double loops, subspaces, pairs by two cameras, and errors."""

from __future__ import annotations

import numpy as np
import pytest

from pose_gan.errors import InputError
from pose_gan.reid import kissme, xqda
from pose_gan.reid import metric_learning as learning


def people(count: int, images: int, dimensions: int, seed: int = 0):
    """Features of people who differ in the first three numbers only; all numbers have noise."""
    random = np.random.default_rng(seed)
    ids = np.repeat(np.arange(1, count + 1), images)
    values = random.normal(0, 0.3, (len(ids), dimensions))
    values[:, :3] += random.normal(0, 2, (count + 1, 3))[ids]
    return values, ids, np.tile(np.arange(images) % 3, count)


# ------------------------------------------------------------------------------------------ KISSME


def test_kissme_of_one_number():
    """Differences ±1 of one person and ±2 of two people: M = 1 − 1/4."""
    similar, dissimilar = np.array([[1.0], [-1.0]]), np.array([[2.0], [-2.0]])
    np.testing.assert_allclose(kissme(similar, dissimilar), [[0.75]])


def test_kissme_is_not_centred():
    np.testing.assert_allclose(kissme(np.array([[1.0]]), np.array([[2.0]])), [[0.75]])


def test_kissme_is_the_difference_of_inverse_covariances():
    random = np.random.default_rng(0)
    similar, dissimilar = random.normal(size=(400, 5)), random.normal(size=(500, 5)) @ np.diag([2, 3, 4, 5, 6])
    covariances = [sum(np.outer(d, d) for d in x) / len(x) for x in (similar, dissimilar)]
    expected = np.linalg.inv(covariances[0]) - np.linalg.inv(covariances[1])
    assert np.linalg.eigvalsh(expected).min() > 0
    np.testing.assert_allclose(kissme(similar, dissimilar), expected, rtol=1e-9)


def test_kissme_makes_positive_what_is_not():
    """Diagonal: 1 − 1/4 stays, 1/4 − 1 becomes 1e-6."""
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    found = kissme(corners * [1, 2], corners * [2, 1])
    np.testing.assert_allclose(found, np.diag([0.75, 1e-6]), atol=1e-12)


@pytest.mark.parametrize(
    ("similar", "dissimilar", "message"),
    [
        (np.ones((1, 2)), np.ones((9, 2)), "the 1 similar pairs do not span 2 numbers a feature: give more pairs"),
        (np.ones((3, 2)), np.ones((3, 1)), "differences of 2 and of 1 numbers"),
        (np.ones(3), np.ones((3, 1)), r"similar: expected numbers \(n, d\)"),
        (np.ones((0, 3)), np.ones((3, 3)), "similar: expected .* at least one row"),
        (np.ones((2, 1)), np.full((2, 1), np.inf), "dissimilar: 2 of 2 values are not finite"),
        (np.ones((2, 1), complex), np.ones((2, 1)), "similar: expected numbers .* of complex128"),
        ([[1.0, 2.0], [3.0]], np.ones((2, 2)), "similar: expected numbers .* rows of several lengths"),
        (np.ones((2, 1)), np.full((2, 1), 1e200), r"dissimilar: has values above 1e\+100"),
    ],
)
def test_kissme_refuses(similar, dissimilar, message):
    with pytest.raises(InputError, match=message):
        kissme(similar, dissimilar)


# ------------------------------------------------------------------------------------------ XQDA


def double_loop(x, x_ids, z, z_ids):
    within, between, pairs = np.zeros((x.shape[1],) * 2), np.zeros((x.shape[1],) * 2), 0
    for a, person in zip(x, x_ids, strict=True):
        for b, other in zip(z, z_ids, strict=True):
            if person == other:
                within += np.outer(a - b, a - b)
                pairs += 1
            else:
                between += np.outer(a - b, a - b)
    return within, between, pairs


@pytest.mark.parametrize("seed", range(3))
def test_scatter_is_that_of_a_double_loop(seed):
    random = np.random.default_rng(seed)
    x, z = random.normal(1, 1, (30, 4)), random.normal(-1, 2, (21, 4))
    x_ids, z_ids = random.integers(1, 8, 30), random.integers(3, 11, 21)  # some people are in one view only
    for found, expected in zip(learning.scatter(x, x_ids, z, z_ids), double_loop(x, x_ids, z, z_ids), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-9)


def test_xqda_of_diagonal_covariances():
    """Numbers of which one separates people: W is that axis, M = 1/(σ_I² + λ) − 1/σ_E²."""
    x = np.array([[0.0, 0], [10, 0]])
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    z, z_ids = np.concatenate([corners, corners + np.array([10, 0])]), np.repeat([1, 2], 4)
    projection, matrix = xqda(x, np.array([1, 2]), z, z_ids, 0.5)
    np.testing.assert_allclose(np.abs(projection), [[1], [0]], atol=1e-12)
    np.testing.assert_allclose(matrix, [[1 / 1.5 - 1 / 101]])


def test_xqda_keeps_one_direction_at_least():
    """Within people all differs more than between them, so that no singular value is above 1."""
    x, z = np.array([[1.0, 0], [-1, 0]]), np.array([[-1.0, 0.1], [1, 0.1]])
    projection, matrix = xqda(x, np.array([1, 2]), z, np.array([1, 2]), 10)
    assert projection.shape == (2, 1)
    assert matrix[0, 0] < 0  # and its M is not made positive


def literal_xqda(x, x_ids, z, z_ids, regularisation):
    within, between, pairs = double_loop(x, x_ids, z, z_ids)
    within = within / pairs + regularisation * np.eye(x.shape[1])
    between = between / (len(x) * len(z) - pairs)
    left, values, _ = np.linalg.svd(np.linalg.inv(within) @ between)
    w = left[:, : max(1, sum(values > 1))]
    return w, np.linalg.inv(w.T @ within @ w) - np.linalg.inv(w.T @ between @ w)


def test_xqda_is_the_literal_one():
    values, ids, _ = people(10, 6, 8)
    found = xqda(values[::2], ids[::2], values[1::2], ids[1::2])
    expected = literal_xqda(values[::2], ids[::2], values[1::2], ids[1::2], 0.001)
    assert found[0].shape == expected[0].shape
    np.testing.assert_allclose(
        found[0] @ found[1] @ found[0].T, expected[0] @ expected[1] @ expected[0].T, rtol=1e-6, atol=1e-8
    )


def test_xqda_of_more_numbers_than_images():
    """Zeros beside the numbers, and a rotation of all, change no distance."""
    values, ids, _ = people(4, 4, 6, seed=1)
    x, z, x_ids, z_ids = values[::2], values[1::2], ids[::2], ids[1::2]
    wide = [np.concatenate([part, np.zeros((len(part), 24))], axis=1) for part in (x, z)]
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))[0]
    plain = _distances(*xqda(x, x_ids, z, z_ids), x, z)
    projection, matrix = xqda(wide[0] @ rotation, x_ids, wide[1] @ rotation, z_ids)
    assert projection.shape[0] == 30
    np.testing.assert_allclose(
        _distances(projection, matrix, wide[0] @ rotation, wide[1] @ rotation), plain, rtol=1e-5, atol=1e-6
    )


def _distances(projection, matrix, x, z):
    return np.array([[(a - b) @ projection @ matrix @ projection.T @ (a - b) for b in z] for a in x])


@pytest.mark.parametrize(
    ("ids", "other_ids", "message"),
    [
        ([1, 2], [3, 4], "got 0 and 4 pairs"),
        ([1, 1], [1, 1], "got 4 and 0 pairs"),
        ([1], [1, 2], "x_ids: expected one person for each of 2 features"),
        (["1", "2"], [1, 2], "x_ids: expected whole numbers"),
        ([1, 2], [1, np.nan], "z_ids: expected whole numbers"),
    ],
)
def test_xqda_refuses(ids, other_ids, message):
    with pytest.raises(InputError, match=message):
        xqda(np.eye(2), np.array(ids), np.eye(2), np.array(other_ids))


@pytest.mark.parametrize("numbers", [3, 200])
def test_xqda_learns_nothing_from_what_does_not_differ(numbers):
    """What is left of equal features is the error of rounding, from which a metric could be computed."""
    features, ids = np.full((6, numbers), 0.1), np.repeat([1, 2, 3], 2)
    with pytest.raises(InputError, match="the features of two people do not differ"):
        xqda(features, ids, features, ids)


@pytest.mark.parametrize("regularisation", [-1, np.nan, np.inf])
def test_xqda_needs_a_regularisation_of_0_or_more(regularisation):
    with pytest.raises(InputError, match="regularisation must be 0 or more"):
        xqda(np.eye(2), np.array([1, 2]), np.eye(2), np.array([1, 2]), regularisation)


def test_xqda_without_regularisation_of_too_few_pairs():
    with pytest.raises(InputError, match="give a regularisation above 0"):
        xqda(np.eye(2), np.array([1, 2]), np.eye(2), np.array([1, 2]), 0)


# ------------------------------------------------------------------------------------------ what is learnt from


def test_pairs_for_kissme():
    _, ids, cameras = people(6, 5, 3)
    ids[:3] = -1, 0, 0  # nobody
    similar, dissimilar = learning.kissme_pairs(ids, cameras, seed=3)
    rows = range(len(ids))
    expected = {(a, b) for a in rows for b in rows if a < b and ids[a] == ids[b] > 0 and cameras[a] != cameras[b]}
    assert {tuple(pair) for pair in similar.tolist()} == expected
    assert len(similar) == len(expected) == len(dissimilar)
    assert (ids[dissimilar[:, 0]] != ids[dissimilar[:, 1]]).all()
    assert (cameras[dissimilar[:, 0]] != cameras[dissimilar[:, 1]]).all()
    assert (ids[dissimilar] > 0).all()
    np.testing.assert_array_equal(dissimilar, learning.kissme_pairs(ids, cameras, seed=3)[1])
    assert (dissimilar != learning.kissme_pairs(ids, cameras, seed=4)[1]).any()


def test_no_more_similar_pairs_than_wanted(monkeypatch):
    _, ids, cameras = people(6, 5, 3)
    monkeypatch.setattr(learning, "MOST_PAIRS", 7)
    assert [len(pairs) for pairs in learning.kissme_pairs(ids, cameras)] == [7, 7]


def test_halves_for_xqda():
    _, ids, cameras = people(20, 7, 3)
    ids[:7] = 0
    x, z = learning.halves(ids, cameras, seed=1)
    np.testing.assert_array_equal(ids[x], ids[z])
    assert (cameras[x] != cameras[z]).all()
    assert (ids[x] > 0).all()
    assert len({*x.tolist(), *z.tolist()}) == 2 * len(x)
    assert 20 < len(x) < 19 * 3


@pytest.mark.parametrize("learn", [learning.learn_kissme, learning.learn_xqda])
def test_learnt_distances_find_people_better(learn):
    """Noise is larger than what tells people apart, in all but three of the numbers."""
    values, ids, cameras = people(30, 6, 12)
    values *= [1, 1, 1, *[20] * 9]
    known = ids <= 15
    distance = learn(values[known], ids[known], cameras[known])
    plain = np.linalg.norm(values[~known][:, None] - values[~known], axis=2)
    right, right_before = (
        np.mean(ids[~known][_nearest_other(distances)] == ids[~known])
        for distances in (distance.between(values[~known], values[~known]), plain)
    )
    assert right > 0.9 > 0.5 > right_before


def _nearest_other(distances):
    return np.argsort(distances + np.diag(np.full(len(distances), np.inf)), axis=1)[:, 0]


@pytest.mark.parametrize("learn", [learning.learn_kissme, learning.learn_xqda])
def test_nothing_is_learnt_from_one_camera(learn):
    values, ids, cameras = people(5, 4, 3)
    with pytest.raises(InputError, match="no person is seen by two cameras"):
        learn(values, ids, np.zeros_like(cameras))


def test_dissimilar_pairs_need_two_people():
    with pytest.raises(InputError, match="hardly two people"):
        learning.kissme_pairs(np.array([1, 1]), np.array([1, 2]))


def test_principal_directions():
    random = np.random.default_rng(0)
    values = random.normal(size=(200, 3)) * [1, 5, 3] + 100
    directions = learning.pca(np.concatenate([values, np.zeros((200, 1))], axis=1), 2)
    np.testing.assert_allclose(np.abs(directions), np.eye(4)[:, [1, 2]], atol=0.1)
    np.testing.assert_allclose(directions.T @ directions, np.eye(2), atol=1e-12)
    assert learning.pca(np.concatenate([values, np.ones((200, 1))], axis=1), 9).shape == (4, 3)
    with pytest.raises(InputError, match="all 3 features are the same"):
        learning.pca(np.ones((3, 2)))
