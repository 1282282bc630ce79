"""`SpatialTransformer(compat="release")` against the authors' layer, written in NumPy from its behaviour."""

from __future__ import annotations

import numpy as np
from release_networks import Layer, spatial_transformer

from pose_gan.layers import SpatialTransformer

SIZE = (4, 8)  # powers of two, so that places on the border are exact


def release(features: np.ndarray, theta: np.ndarray) -> np.ndarray:
    numbers, image = Layer("theta", [], channels=6), Layer("features", [], channels=features.shape[-1])
    layer = spatial_transformer(image, numbers, {})
    pairs = zip(features, theta, strict=True)
    return np.array([layer.value({numbers: values, image: sample}) for sample, values in pairs])


def both(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, what our layer makes of them, and what the release makes of them."""
    features = np.random.default_rng(0).uniform(1, 2, (len(theta), *SIZE, 2)).astype(np.float32)
    ours = np.asarray(SpatialTransformer(compat="release")([features, theta.astype(np.float32)]))
    return features, ours, release(features, theta)


def test_random_transforms():
    random = np.random.default_rng(1)
    theta = np.array([1, 0, 0, 0, 1, 0]) + random.normal(0, 0.4, (20, 6))
    _, ours, theirs = both(theta)
    np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert 0.1 < np.mean(theirs == 0) < 0.9


def test_the_last_row_and_column_have_no_neighbours_and_the_first_have():
    """Every pixel reads the same place: the centre of the first or of the last pixel along one axis."""
    last_x, last_y = 2 * (SIZE[1] - 1) / SIZE[1] - 1, 2 * (SIZE[0] - 1) / SIZE[0] - 1
    theta = np.array(
        [[0, 0, place, 0, 0, 0] for place in (-1, last_x, last_x - 0.01, -1.01)]
        + [[0, 0, 0, 0, 0, place] for place in (-1, last_y, last_y - 0.01, -1.01)]
    )
    features, ours, theirs = both(theta)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    there = np.array([True, False, True, False] * 2)
    np.testing.assert_array_equal(ours.any(axis=(1, 2, 3)), there)
    np.testing.assert_allclose(ours[0], np.broadcast_to(features[0, 2, 0], (*SIZE, 2)), atol=1e-6)
    np.testing.assert_allclose(ours[4], np.broadcast_to(features[4, 0, 4], (*SIZE, 2)), atol=1e-6)
