"""The checkerboard coefficient: known patterns, a slow twin."""

from __future__ import annotations

import numpy as np

from pose_gan.metrics import METRICS, ImageBatch, MetricOptions
from pose_gan.metrics.checkerboard import checkerboard
from pose_gan.poses.skeleton import COCO18


def test_known_patterns():
    y, x = np.mgrid[:8, :6]
    board = (100 + 7 * (-1) ** (y + x)).astype(np.uint8)[..., None].repeat(3, axis=-1)
    rows = (100 + 7 * (-1) ** y).astype(np.uint8)[..., None].repeat(3, axis=-1)
    ramp = (10 * y + 20 * x).astype(np.uint8)[..., None].repeat(3, axis=-1)
    np.testing.assert_allclose(checkerboard(np.stack([board, rows, ramp])), [7, 0, 0])


def test_it_equals_its_slow_twin():
    images = np.random.default_rng(0).integers(0, 256, (2, 7, 5, 3), dtype=np.uint8)
    for image, found in zip(images, checkerboard(images), strict=True):
        values = [
            abs(float(image[y, x, c]) - image[y, x + 1, c] - image[y + 1, x, c] + image[y + 1, x + 1, c]) / 4
            for y in (0, 2, 4)
            for x in (0, 2)
            for c in range(3)
        ]
        np.testing.assert_allclose(found, np.mean(values))
        np.testing.assert_array_equal(checkerboard(image), [found])


def test_the_metric_judges_the_generated_images():
    generated, real = np.random.default_rng(1).integers(0, 256, (2, 3, 8, 8, 3), dtype=np.uint8)
    metric = METRICS["checkerboard"].create(MetricOptions())
    metric.update(ImageBatch(generated, real, np.full((3, COCO18.num_joints, 2), -1)))
    np.testing.assert_allclose(metric.result().mean, checkerboard(generated).mean())
