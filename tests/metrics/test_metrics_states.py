"""What metrics know adds up: shards of a list give the scores of the whole list, for every metric of the table."""

from __future__ import annotations

import io
import itertools
import sys
from typing import cast

import numpy as np
import pytest

from pose_gan.estimators import Poses
from pose_gan.metrics import METRICS, ImageBatch, Metric, MetricOptions, NotComputed, create_metrics
from pose_gan.metrics.fid import Moments
from pose_gan.metrics.inception import Inception
from pose_gan.poses.skeleton import COCO18

SIZE, COUNT, BATCH = (64, 56), 23, 2
SHARDS = (range(6), range(6, 6), range(6, 20), range(20, COUNT))  # uneven; one has nothing
SUMS = {"fid", "fid_keras"}  # whose sums are made in another order
NAMES = [f"{row % 4:04d}_{row}.jpg" for row in range(COUNT + 1)]


def inception(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours of the four quarters as features; their softmax as probabilities."""
    half = images.shape[1] // 2
    quarters = [images[:, y : y + half, x : x + half].mean(axis=(1, 2)) for y in (0, half) for x in (0, half)]
    features = np.concatenate(quarters, axis=1).astype(np.float32)
    powers = np.exp(features - features.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), features


class Reader:
    """An estimator that takes poses from pixels."""

    name, skeleton, preferred_batch = "reader", COCO18, 3

    def __call__(self, images):
        places = images.reshape(len(images), -1)[:, : 2 * COCO18.num_joints].astype(np.int32) % 56
        return Poses(places.reshape(-1, COCO18.num_joints, 2), np.ones((len(images), COCO18.num_joints), np.float32))


@pytest.fixture
def every_network(monkeypatch) -> MetricOptions:
    """Stand-ins for the networks of all metrics."""
    network = Inception(inception)
    spread = lambda a, b=0: np.abs(a.astype(float) - b).mean(axis=(1, 2, 3)) / 255  # noqa: E731
    for module, name, value in (
        ("inception", "open_graph", lambda path: network),
        ("inception", "open_keras", lambda weights: network),
        ("detection", "caffe_detector", lambda *files: spread),
        ("detection", "graph_detector", lambda path: spread),
        ("lpips", "open_lpips", lambda network, weights: spread),
        ("pose", "shared_estimator", lambda path: Reader()),
    ):
        monkeypatch.setattr(sys.modules[f"pose_gan.metrics.{module}"], name, value)
    return MetricOptions(
        inception_graph="a",
        keras_inception="b",
        detector_prototxt="c",
        detector_weights="d",
        detector_graph="e",
        pose_estimator="f",
        identity_network="colours",
    )


@pytest.fixture
def batches() -> list[ImageBatch]:
    random = np.random.default_rng(0)
    real = random.integers(0, 256, (COUNT + 1, *SIZE, 3), dtype=np.uint8)
    generated = random.integers(0, 256, (COUNT, *SIZE, 3), dtype=np.uint8)
    generated[:, :, :20] = real[1:, :, :20]
    poses = random.integers(0, 56, (COUNT, COCO18.num_joints, 2))
    pairs = tuple(itertools.pairwise(NAMES))
    return [
        ImageBatch(generated[part], real[1:][part], poses[part], COCO18, pairs[part], real[:-1][part])
        for part in (slice(start, start + BATCH) for start in range(0, COUNT, BATCH))
    ]


def on_disk(state):
    """A state that went through a file without pickles."""
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def test_shards_give_the_scores_of_the_whole(every_network, batches):
    made = [create_metrics(METRICS, every_network) for _ in range(2 + len(SHARDS))]
    assert not [name for metrics in made for name, metric in metrics.items() if isinstance(metric, NotComputed)]
    whole, merged, *shards = cast(list[dict[str, Metric]], made)
    for name, metric in whole.items():
        for batch in batches:
            metric.update(batch)
        for rows, parts in zip(SHARDS, shards, strict=True):
            for batch in batches[rows.start // BATCH : -(-rows.stop // BATCH)]:
                parts[name].update(batch)
            merged[name].merge(on_disk(parts[name].state()))
        expected, result = metric.result(), merged[name].result()
        assert result.mean == pytest.approx(expected.mean, rel=1e-10 if name in SUMS else 0, abs=0), name
        assert (result.std, result.count, result.details) == (expected.std, expected.count, expected.details), name
        assert (result.values is None) == (expected.values is None), name
        if expected.values is not None:
            np.testing.assert_array_equal(result.values, expected.values)


def test_a_merged_metric_goes_on(every_network, batches):
    """A state is what updates leave, so more images and more states may follow it."""
    for name in METRICS:
        whole, first, second = (METRICS[name].create(every_network) for _ in range(3))
        for metric, part in ((whole, batches), (first, batches[:3]), (second, batches[3:6])):
            for batch in part:
                metric.update(batch)
        merged = METRICS[name].create(every_network)
        merged.merge(first.state())
        merged.merge(second.state())
        for batch in batches[6:]:
            merged.update(batch)
        assert merged.result().mean == pytest.approx(whole.result().mean, rel=1e-10), name


def test_the_reference_of_fid_is_not_added_up(every_network, batches, monkeypatch):
    """A folder of real images is the reference of all shards, once."""
    reference = Moments()
    reference.update(np.random.default_rng(5).normal(100, 9, (40, 12)))
    monkeypatch.setattr(sys.modules["pose_gan.metrics.fid"], "folder_moments", lambda *_: reference)
    options = MetricOptions(inception_graph="a", fid_reference="photos")
    whole, parts = METRICS["fid"].create(options), [METRICS["fid"].create(options) for _ in range(2)]
    merged = METRICS["fid"].create(options)
    for number, batch in enumerate(batches):
        whole.update(batch)
        parts[number > 4].update(batch)
    for part in parts:
        merged.merge(part.state())
    assert merged.result().details == {"reference_images": 40.0}
    assert merged.result().mean == pytest.approx(whole.result().mean, rel=1e-10)


@pytest.mark.parametrize("sizes", [(7, 1, 40), (1, 1, 1), (0, 30, 0, 3)])
def test_moments_add_up_to_those_of_numpy(sizes):
    """Far from zero, where sums of squares would lose their digits; in any order."""
    vectors = np.random.default_rng(0).normal(1e6, 1, (sum(sizes), 6))
    parts = np.split(vectors, np.cumsum(sizes)[:-1])
    for order in (parts, parts[::-1]):
        merged = Moments()
        for part in order:
            moments = Moments()
            if len(part):
                moments.update(part)
            merged.merge(moments.state())
        assert merged.count == len(vectors)
        np.testing.assert_allclose(merged.mean, vectors.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(merged.covariance, np.cov(vectors, rowvar=False), rtol=1e-8, atol=1e-10)
