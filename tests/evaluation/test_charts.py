"""Drawings of numbers: where points lie, and what words say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pose_gan.evaluation.charts import HEIGHT, WIDTH, bars, curve, histogram


def points(text):
    return np.array([point.split(",") for point in text.split()], dtype=float)


def test_a_curve_fills_its_frame():
    chart = curve("l1_loss", [10, 20, 40], [3.0, 1.0, 2.0])
    np.testing.assert_allclose(points(chart.points), [[0, 0], [WIDTH / 3, HEIGHT], [WIDTH, HEIGHT / 2]], atol=0.05)
    assert (chart.name, chart.low, chart.high, chart.last) == ("l1 loss", "1", "3", "2")
    assert (chart.first_step, chart.last_step) == ("10", "40")


def test_a_long_curve_is_averaged_and_a_flat_one_is_drawn():
    steps = list(range(1, 1001))
    chart = curve("x", steps, [step % 2 for step in steps])
    assert len(points(chart.points)) == 300
    assert float(chart.high) < 1
    assert curve("x", [5], [1.5]).points == "0.0,90.0"
    assert (points(curve("x", steps, [2.0] * 1000).points)[:, 1] == HEIGHT).all()


def test_a_histogram_has_the_shares_of_its_sets():
    rng = np.random.default_rng(0)
    sets = {"a": rng.normal(0, 1, 400), "b": rng.normal(2, 1, 400)}
    chart = histogram("SSIM", sets)
    everything = np.concatenate(list(sets.values()))
    for name, values in sets.items():
        x, y = points(chart.outlines[name]).T
        edges = x[::2] / WIDTH * (everything.max() - everything.min()) + everything.min()
        counts = np.histogram(values, np.linspace(everything.min(), everything.max(), len(edges)))[0]
        heights = HEIGHT - y[1:-1:2]
        np.testing.assert_allclose(heights / heights.sum(), counts / 400, atol=0.005)
        assert y[0] == y[-1] == HEIGHT
        mean = (values.mean() - everything.min()) / (everything.max() - everything.min()) * WIDTH
        assert chart.means[name] == pytest.approx(mean, abs=0.06)
    assert min(points(outline)[:, 1].min() for outline in chart.outlines.values()) == 0
    assert re.fullmatch(r"SSIM; a: mean \S+, 5 % below \S+, 5 % above \S+; b: mean .*", chart.text)
    assert f"b: mean {sets['b'].mean():.4g}" in chart.text


def test_histograms_of_equal_values_and_of_few():
    chart = histogram("L1", {"real": np.ones(3)})
    assert chart.low == "1"
    assert points(chart.outlines["real"])[:, 0].max() == WIDTH
    few, many = (histogram("x", {"a": np.linspace(0, 1, count)}) for count in (9, 10_000))
    assert len(few.outlines["a"]) < len(many.outlines["a"])


def test_bars_of_several_columns():
    rows = bars({"ours": {"neck": 0.5, "Rwri": 1 / 3}, "theirs": {"neck": 1.0, "Lwri": 0.0}})
    assert [name for name, _ in rows] == ["neck", "Rwri", "Lwri"]
    assert [bar and (bar.text, bar.percent) for bar in rows[0][1]] == [("50.0 %", 50.0), ("100.0 %", 100.0)]
    assert rows[1][1][1] is None
    assert rows[2][1][0] is None
