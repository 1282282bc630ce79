"""The report: whole, self-contained, and safe for odd names; curves and the choice of pairs."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import re

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest

from pose_gan.drawing import strip, write_image
from pose_gan.errors import InputError
from pose_gan.evaluation import score, strip_name
from pose_gan.keypoints import Annotations
from pose_gan.report import write_grid, write_report
from pose_gan.run_log import read_history
from pose_gan.skeleton import COCO18

SIZE = (32, 16)
PAIRS = [(f"{number:04d}_a.jpg", f"{number:04d}_b.jpg") for number in range(8)] + [("<b>&.jpg", "'\".jpg")]


class Page(html.parser.HTMLParser):
    """Tags that are open, pictures, addresses and the text of a page."""

    VOID = ("meta", "img", "br", "rect", "polyline")

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.addresses, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.addresses += [value for key, value in attrs if key in ("src", "href", "action")]
        if tag == "img":
            self.images.append((values["src"], values["alt"]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def scored(tmp_path):
    """Strips whose generated image is worse from pair to pair, their data, and their scores."""
    from pose_gan.data import PairData

    rng = np.random.default_rng(0)
    for number, (a, b) in enumerate(PAIRS):
        source, target = rng.integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
        noise = rng.normal(0, 10 * number, target.shape)
        generated = np.clip(target + noise, 0, 255).astype(np.uint8)
        write_image(tmp_path / "strips" / strip_name(a, b), strip(source, target, generated))
    names = tuple(name for pair in PAIRS for name in pair)
    keypoints = rng.integers(0, SIZE, (len(names), COCO18.num_joints, 2))
    pairs = pd.DataFrame(PAIRS, columns=["from", "to"])
    data = PairData(pairs, Annotations(names, keypoints), tmp_path / "images", SIZE, COCO18)
    return score(tmp_path / "strips", data), data


def history(tmp_path, *lines):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


def test_report_holds_everything_itself(scored, tmp_path):
    scores, data = scored
    path = tmp_path / "report.html"
    curves = history(tmp_path, {"step": 1, "l1": 3.0, "note": "x"}, {"step": 2, "l1": 1.5})
    options = {"dataset": "own", "training: width": 0.5, "training: seed": None}
    write_report(path, scores, data, options, "python test.py --seed 3", curves, pairs=2, seed=3)
    page = Page(path.read_text(encoding="utf-8"))
    assert not page.open
    assert len(page.images) == 3 * 2 * 4
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    for text in ("9 generated images", "python test.py --seed 3", "training: width", "seed 3", "mask-SSIM", "l1"):
        assert text in page.text
    assert f"{scores.generated['ssim'].mean:.4f}" in page.text
    assert f"{scores.copy_source['l1'].mean:.4f}" in page.text


def test_report_shows_best_and_worst_pairs(scored, tmp_path):
    scores, data = scored
    write_report(tmp_path / "report.html", scores, data, pairs=2)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    values = scores.generated["mask_ssim"].values
    for heading, rows in (("Best", np.argsort(-values)[:2]), ("Worst", np.argsort(values)[:2])):
        section = text.split(f"<h2>{heading} pairs")[1].split("</section>")[0]
        shown = re.findall(r"mask-SSIM (\S+),", section)
        assert shown == [f"{values[row]:.3f}" for row in rows]


def test_report_pictures_are_those_of_the_strip(scored, tmp_path):
    scores, data = scored
    write_report(tmp_path / "report.html", scores, data, pairs=1)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    pictures = {alt: iio.imread(io.BytesIO(base64.b64decode(url.split(",")[1]))) for url, alt in page.images}
    a, b = PAIRS[0]  # no noise: the best
    source, target, generated = np.split(iio.imread(tmp_path / "strips" / strip_name(a, b)), 3, axis=1)
    np.testing.assert_array_equal(pictures[f"source of {a} → {b}"], source)
    np.testing.assert_array_equal(pictures[f"target of {a} → {b}"], target)
    np.testing.assert_array_equal(pictures[f"generated of {a} → {b}"], generated)
    assert pictures[f"target pose of {a} → {b}"].any()


def test_report_escapes_names(scored, tmp_path):
    scores, data = scored
    write_report(tmp_path / "report.html", scores, data, {"<script>": "</dl>"}, "python '<img>'", pairs=9)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>&.jpg" not in text
    assert "<script>" not in text
    assert "&lt;b&gt;&amp;.jpg" in text
    assert not Page(text).open


def test_grid_shows_each_pair_once(scored, tmp_path):
    scores, data = scored
    write_grid(tmp_path / "few.png", scores, data, pairs=1)
    write_grid(tmp_path / "all.png", scores, data, pairs=9)
    few, everything = iio.imread(tmp_path / "few.png"), iio.imread(tmp_path / "all.png")
    assert few.shape[1] == everything.shape[1]
    assert everything.shape[0] > 2 * few.shape[0]
    rows = (everything.shape[0] - few.shape[0]) / (256 + 4 + 25)
    assert rows == pytest.approx(9 - 3, abs=0.1)


def test_history_curves(tmp_path):
    path = history(
        tmp_path,
        {"step": 10, "split": "train", "l1": 3, "name": "x", "flag": True},
        {"step": 20, "split": "train", "l1": 2.5, "gan": 1.0},
        {"step": 20, "split": "test", "ssim": 0.25},
        {"step": 20, "split": "train", "l1": 2.0, "gan": float("nan")},
        '{"step": 30, "l1"',
    )
    assert read_history(path) == {
        "l1": ([10, 20], [3, 2.0]),
        "gan": ([20], [1.0]),
        "test: ssim": ([20], [0.25]),
    }


def test_bad_history_names_the_line(tmp_path):
    with pytest.raises(InputError, match=r"metrics.jsonl, line 2: not JSON"):
        read_history(history(tmp_path, {"step": 1}, "oops\n", {"step": 2}))
    with pytest.raises(InputError, match=r"metrics.jsonl, line 1: expected a JSON object with a number 'step'"):
        read_history(history(tmp_path, {"l1": 1}))


def test_long_and_flat_curves_stay_inside_the_chart(scored, tmp_path):
    scores, data = scored
    lines = [{"step": step, "flat": 2.0, "falling": 1 / step} for step in range(1, 1001)]
    write_report(tmp_path / "report.html", scores, data, history=history(tmp_path, *lines), pairs=1)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    curves = re.findall(r'class="curve" points="([^"]+)"', text)
    assert len(curves) == 2
    for curve in curves:
        points = np.array([point.split(",") for point in curve.split()], dtype=float)
        assert len(points) <= 300
        assert (np.diff(points[:, 0]) > 0).all()
        assert points.min() >= 0
        assert points[:, 0].max() == 300
        assert points[:, 1].max() <= 90
