"""The table of metrics, what they are fed with and what they give; L1."""

from __future__ import annotations

import numpy as np
import pytest
from checkout import ROOT
from scipy import stats

from pose_gan.errors import InputError
from pose_gan.metrics import (
    BY_DEFAULT,
    METRICS,
    ImageBatch,
    MetricOptions,
    NotComputed,
    Result,
    body_mask,
    create_metrics,
    default_metrics,
    l1,
    mask_ssim,
    psnr,
    ssim,
)
from pose_gan.poses.skeleton import COCO18

SIZE = (64, 56)


def images(count=3, size=SIZE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def poses(count=3, size=SIZE, seed=0):
    return np.random.default_rng(seed).integers(0, size, (count, COCO18.num_joints, 2))


def test_l1_is_the_mean_absolute_difference_on_the_scale_of_the_generator():
    a, b = images(seed=1), images(seed=2)
    expected = np.abs(2 * (a / 255 - 0.5) - 2 * (b / 255 - 0.5)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(l1(a, b), expected, rtol=1e-12)
    np.testing.assert_array_equal(l1(np.zeros_like(a), np.full_like(a, 255)), 2)
    np.testing.assert_array_equal(l1(a, a), 0)
    with pytest.raises(InputError, match=r"differ in shape"):
        l1(a, a[:, 1:])


def test_a_batch_knows_its_masks():
    a, b, c, keypoints = images(seed=1), images(seed=2), images(seed=3), poses()
    mask = body_mask(keypoints, SIZE)
    batch = ImageBatch(a, b, keypoints)
    np.testing.assert_array_equal(batch.mask, mask)
    np.testing.assert_array_equal(batch.masked_generated, a * mask[..., None])
    np.testing.assert_array_equal(batch.masked_reference, b * mask[..., None])
    other = batch.instead(c)
    np.testing.assert_array_equal(other.masked_generated, c * mask[..., None])
    assert other.masked_reference is batch.masked_reference
    assert other.mask is batch.mask  # drawn once


def test_a_batch_makes_a_thing_once():
    batch = ImageBatch(images(), images(), poses())
    assert [batch.once("key", lambda n=n: n) for n in (1, 2)] == [1, 1]
    other = batch.instead(images(seed=1))
    assert other.once("key", lambda: 3) == 3  # of other images
    assert [part.once_for_targets("key", lambda n=n: n) for n, part in enumerate((other, batch))] == [0, 0]


def test_confidence_interval_is_students():
    values = np.random.default_rng(0).normal(3, 2, 20)
    result = Result(float(values.mean()), float(values.std()), 20, values)
    expected = stats.t.interval(0.95, 19, loc=values.mean(), scale=stats.sem(values))
    assert result.interval == pytest.approx(expected, rel=1e-12)
    assert Result(1.0, None, 1, values[:1]).interval is None
    assert Result(1.0, 0.1, 20).interval is None


def test_confidence_interval_holds_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 1, (2000, 6))
    intervals = np.array([Result(float(row.mean()), None, 6, row).interval for row in samples])
    inside = ((intervals[:, 0] < 0) & (intervals[:, 1] > 0)).mean()
    assert inside == pytest.approx(0.95, abs=0.015)


def test_table_accumulates_batches():
    a, b, keypoints = images(5, seed=1), images(5, seed=2), poses(5)
    expected = {
        "ssim": ssim(a, b),
        "mask_ssim": mask_ssim(a, b, keypoints),
        "ssim_standard": ssim(a, b, "standard"),
        "mask_ssim_standard": mask_ssim(a, b, keypoints, "standard"),
        "ssim_gfla": ssim(a, b, "gfla"),
        "l1": l1(a, b),
        "psnr": psnr(a, b),
    }
    metrics = create_metrics(BY_DEFAULT)
    assert list(metrics) == list(expected)
    for name, metric in metrics.items():
        assert not isinstance(metric, NotComputed)
        for part in (slice(0, 2), slice(2, 5)):
            metric.update(ImageBatch(a[part], b[part], keypoints[part]))
        result = metric.result()
        np.testing.assert_array_equal(result.values, expected[name])
        assert result.count == 5
        assert result.mean == pytest.approx(expected[name].mean())
        assert result.std == pytest.approx(expected[name].std())


def test_table_is_whole_and_in_order():
    assert list(METRICS)[:14] == [
        *("ssim", "mask_ssim", "ssim_standard", "mask_ssim_standard", "ssim_gfla", "l1", "psnr", "checkerboard"),
        *("is", "mask_is", "ds", "fid", "lpips", "pckh"),
    ]
    titles = [spec.title for spec in METRICS.values()]
    assert len(set(titles)) == len(titles)
    for name, spec in METRICS.items():
        assert spec.name == name
        assert spec.protocol, name
        assert spec.settings, name
    assert [name for name, spec in METRICS.items() if spec.needs_keypoints] == [
        *("mask_ssim", "mask_ssim_standard", "mask_is", "pckh", "mask_is_keras")
    ]


def test_metrics_without_their_files_say_what_they_need():
    metrics = create_metrics(["l1", "is", "ds"])
    assert not isinstance(metrics["l1"], NotComputed)
    for name, text in (("is", "classify_image_graph_def.pb"), ("ds", "--detector_weights")):
        metric = metrics[name]
        assert isinstance(metric, NotComputed)
        assert text in metric.reason
    with pytest.raises(InputError, match="metric 'psnrr' is not known; allowed: ssim, mask_ssim"):
        create_metrics(["is", "psnrr"])
    with pytest.raises(InputError, match=r"--inception_graph: nowhere.pb: no such file"):
        create_metrics(["is"], MetricOptions(inception_graph="nowhere.pb"))
    with pytest.raises(InputError, match="no images to score"):
        METRICS["ssim"].create(MetricOptions()).result()


def test_a_file_that_is_given_brings_its_metrics(monkeypatch):
    from pose_gan.metrics import pose

    assert default_metrics(MetricOptions()) == BY_DEFAULT
    assert default_metrics(MetricOptions(fid_reference="photos")) == BY_DEFAULT  # FID needs a network
    monkeypatch.setattr(pose, "shared_estimator", lambda path: type("Estimator", (), {"skeleton": COCO18})())
    assert default_metrics(MetricOptions(pose_estimator="a.pb")) == (*BY_DEFAULT, "pckh")
    with pytest.raises(InputError, match=r"--detector_graph: b.pb: no such file"):
        default_metrics(MetricOptions(detector_graph="b.pb"))


def test_the_documentation_has_every_metric():
    text = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    protocols = text.split("## Protocols")[1].split("##")[0]
    first_cells = [line.split("|")[1] for line in protocols.splitlines() if line.startswith("| `")][1:]
    named = [name.strip("` ") for cell in first_cells for name in cell.split(",")]
    assert sorted(named) == sorted(METRICS)
