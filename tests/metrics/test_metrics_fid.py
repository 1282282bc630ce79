"""FID: closed forms of Gaussians, scipy's matrix root, and streaming against all at once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image
from scipy.linalg import sqrtm

from pose_gan.errors import InputError
from pose_gan.metrics import ImageBatch, MetricOptions
from pose_gan.metrics.base import CannotCompute
from pose_gan.metrics.fid import FID, SPECS, Moments, folder_moments, frechet_distance
from pose_gan.metrics.inception import Inception, bicubic
from pose_gan.poses.skeleton import COCO18

BY_NAME = {spec.name: spec for spec in SPECS}


def random_covariance(size, seed):
    root = np.random.default_rng(seed).normal(size=(size, 2 * size))
    return root @ root.T / size


def images(count=3, size=(20, 13), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def batch(generated, reference):
    return ImageBatch(generated, reference, np.full((len(generated), COCO18.num_joints, 2), -1))


def features(pictures):
    """A few features of resized images: colours of the four quarters."""
    halves = pictures.shape[1] // 2
    corners = [(y, x) for y in (0, halves) for x in (0, halves)]
    quarters = [pictures[:, y : y + halves, x : x + halves].mean(axis=(1, 2), dtype=np.float64) for y, x in corners]
    return np.concatenate(quarters, axis=1)


NETWORK = Inception(lambda pictures: (np.zeros((len(pictures), 1)), features(pictures)))


def expected_fid(generated, reference):
    a, b = features(generated), features(reference)
    return frechet_distance(a.mean(axis=0), np.cov(a, rowvar=False), b.mean(axis=0), np.cov(b, rowvar=False))


def test_diagonal_gaussians():
    random = np.random.default_rng(0)
    mean1, mean2 = random.normal(size=(2, 50))
    sigma1, sigma2 = random.uniform(0.1, 3, (2, 50))
    expected = np.sum((mean1 - mean2) ** 2) + np.sum((sigma1 - sigma2) ** 2)
    assert frechet_distance(mean1, np.diag(sigma1**2), mean2, np.diag(sigma2**2)) == pytest.approx(expected, rel=1e-12)


def test_full_gaussians_that_share_their_axes():
    random = np.random.default_rng(1)
    axes = np.linalg.qr(random.normal(size=(40, 40)))[0]
    sigma1, sigma2 = random.uniform(0.1, 3, (2, 40))
    covariance1, covariance2 = (axes @ np.diag(sigma**2) @ axes.T for sigma in (sigma1, sigma2))
    expected = np.sum((sigma1 - sigma2) ** 2)
    assert frechet_distance(np.zeros(40), covariance1, np.zeros(40), covariance2) == pytest.approx(expected, rel=1e-9)


def test_full_gaussians_of_two_dimensions():
    # For 2×2 matrices tr(M^½) = √(tr M + 2 √det M)
    covariance1, covariance2 = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.3], [-0.3, 3.0]])
    product = covariance1 @ covariance2
    root_trace = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = 25 + np.trace(covariance1 + covariance2) - 2 * root_trace
    assert frechet_distance(np.zeros(2), covariance1, np.array([3, 4]), covariance2) == pytest.approx(
        expected, rel=1e-12
    )


def test_equals_scipys_matrix_root():
    random = np.random.default_rng(2)
    mean1, mean2 = random.normal(size=(2, 60))
    covariance1, covariance2 = random_covariance(60, 3), random_covariance(60, 4)
    root = np.real(sqrtm(covariance1 @ covariance2))
    expected = np.sum((mean1 - mean2) ** 2) + np.trace(covariance1 + covariance2 - 2 * root)
    distance = frechet_distance(mean1, covariance1, mean2, covariance2)
    assert distance == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(mean2, covariance2, mean1, covariance1) == pytest.approx(distance, rel=1e-12)


def test_singular_covariances_stay_exact():
    vectors = np.random.default_rng(5).normal(3, 10, (20, 300))  # fewer vectors than dimensions
    mean, covariance = vectors.mean(axis=0), np.cov(vectors, rowvar=False)
    assert frechet_distance(mean, covariance, mean, covariance) == pytest.approx(0, abs=1e-9)
    # Twice as far from the mean: (σ − 2σ)² in every direction
    assert frechet_distance(mean, covariance, mean, 4 * covariance) == pytest.approx(np.trace(covariance), rel=1e-9)
    # Gaussians on crossing subspaces have nothing in common
    first, second = np.diag([1.0, 2, 0, 0]), np.diag([0, 0, 3.0, 4])
    assert frechet_distance(np.zeros(4), first, np.zeros(4), second) == pytest.approx(10, rel=1e-12)
    assert frechet_distance(np.zeros(4), 0 * first, np.ones(4), 0 * first) == pytest.approx(4)


def test_moments_of_batches_equal_those_of_all():
    vectors = np.random.default_rng(6).normal(1000, 0.01, (103, 30))  # a mean that would cost digits
    moments = Moments()
    for start in range(0, 103, 10):
        moments.update(vectors[start : start + 10])
    assert moments.count == 103
    np.testing.assert_allclose(moments.mean, vectors.mean(axis=0), rtol=1e-12)
    expected = np.cov(vectors, rowvar=False)
    np.testing.assert_allclose(moments.covariance, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())


def test_streaming_equals_all_at_once():
    generated, reference = images(50, seed=1), images(50, seed=2)
    metric = FID(NETWORK)
    for start in range(0, 50, 7):
        metric.update(batch(generated[start : start + 7], reference[start : start + 7]))
    result = metric.result()
    assert result.mean == pytest.approx(expected_fid(bicubic(generated), bicubic(reference)), rel=1e-6)
    assert (result.count, result.std, result.details) == (50, None, {"reference_images": 50.0})


def test_equal_sets_are_at_distance_nothing_and_others_are_not():
    metric, other = FID(NETWORK), FID(NETWORK)
    metric.update(batch(images(9), images(9)[::-1]))
    other.update(batch(images(9), images(9) // 2))
    assert metric.result().mean == pytest.approx(0, abs=1e-9)
    assert other.result().mean > 1000


def test_reference_folder_of_any_sizes(tmp_path):
    pictures = [images(1, size, seed)[0] for seed, size in enumerate([(20, 13), (40, 40), (8, 31), (20, 13)])]
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    moments = folder_moments(NETWORK, tmp_path)
    everything = np.concatenate([bicubic(picture[None]) for picture in pictures])
    np.testing.assert_allclose(moments.mean, features(everything).mean(axis=0))
    assert folder_moments(NETWORK, tmp_path) is moments
    for _ in range(2):  # the reference does not grow
        metric = FID(NETWORK, moments)
        metric.update(batch(images(6), images(6)))
        result = metric.result()
        assert result.mean == pytest.approx(expected_fid(bicubic(images(6)), everything), rel=1e-6)
        assert result.details == {"reference_images": 4.0}


def test_errors(tmp_path):
    with pytest.raises(InputError, match=r"expected means \(D,\) and covariances \(D, D\), got"):
        frechet_distance(np.zeros(2), np.eye(2), np.zeros(3), np.eye(3))
    with pytest.raises(InputError, match=r"--fid_reference: .*: holds no images"):
        folder_moments(NETWORK, tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        folder_moments(NETWORK, tmp_path / "absent")
    metric = FID(NETWORK)
    with pytest.raises(InputError, match="no images to score"):
        metric.result()
    metric.update(batch(images(1), images(1)))
    with pytest.raises(CannotCompute, match="needs two images on each side, got 1 generated and 1 real"):
        metric.result()


def test_table_says_what_is_missing():
    assert list(BY_NAME) == ["fid", "fid_keras"]
    assert not any(spec.by_default or spec.higher_is_better for spec in SPECS)
    with pytest.raises(CannotCompute, match=r"classify_image_graph_def\.pb.*--inception_graph"):
        BY_NAME["fid"].create(MetricOptions())
    with pytest.raises(CannotCompute, match="--keras_inception imagenet"):
        BY_NAME["fid_keras"].create(MetricOptions())


def test_table_computes_with_a_folder(tmp_path, monkeypatch):
    for number, picture in enumerate(images(5, seed=3)):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    monkeypatch.setattr("pose_gan.metrics.inception.open_graph", lambda path: NETWORK)
    options = MetricOptions(inception_graph="graph.pb", fid_reference=str(tmp_path))
    metric = BY_NAME["fid"].create(options)
    metric.update(batch(images(5, seed=4), images(5, seed=5)))
    expected = expected_fid(bicubic(images(5, seed=4)), bicubic(images(5, seed=3)))
    assert metric.result().mean == pytest.approx(expected, rel=1e-6)


def test_targets_go_through_the_network_once_for_all_rows():
    seen: list[int] = []

    def run(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(len(pixels))
        return NETWORK.run(pixels)

    network = dataclasses.replace(NETWORK, run=run)
    row = batch(images(9, seed=1), images(9, seed=2))
    for judged in (row, row.instead(images(9, seed=3))):
        FID(network).update(judged)
    assert sum(seen) == 27
