"""PSNR: equal to scikit-image, known values, equal images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from pose_gan.errors import InputError
from pose_gan.metrics.base import ImageBatch, MetricOptions
from pose_gan.metrics.psnr import SPECS, psnr
from pose_gan.poses.skeleton import COCO18


def images(count=3, size=(32, 24), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def test_equals_scikit_image():
    a, b = images(seed=1), images(seed=2)
    b[1] = np.clip(a[1].astype(int) + 3, 0, 255)
    expected = [peak_signal_noise_ratio(y, x, data_range=255) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(psnr(a, b), expected, rtol=1e-12)
    np.testing.assert_array_equal(psnr(b, a), psnr(a, b))
    np.testing.assert_array_equal(psnr(a[1], b[1]), psnr(a, b)[1:2])


def test_known_values():
    black = np.zeros((1, 8, 8, 3), np.uint8)
    np.testing.assert_array_equal(psnr(black, black + 255), 0)
    np.testing.assert_allclose(psnr(black, black + 1), 20 * np.log10(255))
    np.testing.assert_allclose(psnr(black + 255, black + 254), 20 * np.log10(255))
    assert psnr(black[:0], black[:0]).shape == (0,)


def test_equal_images_are_finite_and_no_pair_scores_higher():
    a = images(1, (128, 64))
    b = a.copy()
    b[0, 5, 7, 1] ^= 1
    assert psnr(a, a) == pytest.approx(92.0, abs=0.05)  # as the docstring says
    np.testing.assert_array_equal(psnr(a, a), psnr(a, b))
    b[0, 5, 7, 2] ^= 1
    assert psnr(a, b) < psnr(a, a)
    assert psnr(*2 * [images(1, (256, 256))]) == pytest.approx(101.1, abs=0.05)


def test_metric_in_parts():
    (spec,) = SPECS
    a, b = images(5, seed=1), images(5, seed=2)
    metric = spec.create(MetricOptions())
    for part in (slice(0, 2), slice(2, 5)):
        metric.update(ImageBatch(a[part], b[part], np.full((len(a[part]), COCO18.num_joints, 2), -1)))
    result = metric.result()
    np.testing.assert_array_equal(result.values, psnr(a, b))
    assert (result.count, result.mean) == (5, pytest.approx(psnr(a, b).mean()))
    assert spec.name == "psnr"
    assert spec.by_default
    assert spec.higher_is_better
    json.dumps(spec.settings, allow_nan=False)


def test_bad_input():
    a = images()
    with pytest.raises(InputError, match=r"generated: expected uint8 images .* got float64"):
        psnr(a / 255, a)
    with pytest.raises(InputError, match="differ in shape"):
        psnr(a, a[:2])
