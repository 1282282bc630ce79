"""The report: whole, self-contained, and safe for odd names; curves and the choice of pairs."""

from __future__ import annotations

import base64
import dataclasses
import html.parser
import io
import json
import re

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest

from pose_gan.config import LossConfig, ModelConfig
from pose_gan.data.pair_data import PairData
from pose_gan.errors import InputError
from pose_gan.evaluation.report import write_grid, write_report
from pose_gan.evaluation.scoring import score
from pose_gan.evaluation.strip_names import strip_name
from pose_gan.metrics import BY_DEFAULT, NotComputed, Result
from pose_gan.poses.drawing import strip, write_image
from pose_gan.poses.keypoints import Annotations
from pose_gan.poses.skeleton import COCO18
from pose_gan.presets import preset
from pose_gan.training.run_log import read_history

SIZE = (32, 16)
PAIRS = [(f"{number:04d}_a.jpg", f"{number:04d}_b.jpg") for number in range(8)] + [("<b>&.jpg", "'\".jpg")]
PICTURES = ("source", "source pose", "target pose", "target", "generated")


class Page(html.parser.HTMLParser):
    """Tags that are open, all tags, pictures, addresses, the text of a page and the cells of its tables."""

    VOID = ("meta", "img", "br", "rect", "polyline", "polygon", "line")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.images, self.addresses, self.text, self.tables = [], [], [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append((tag, values))
        self.addresses += [value for key, value in attrs if key in ("src", "href", "action")]
        if tag == "img":
            self.images.append((values["src"], values["alt"]))
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("th", "td"):
            self.tables[-1][-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"th", "td"} & set(self.open):
            self.tables[-1][-1][-1] += data

    def table(self, number=0):
        """Name of a row → header of a column → text."""
        header, *rows = [[" ".join(cell.split()) for cell in row] for row in self.tables[number]]
        return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}


def read_page(path):
    page = Page(path.read_text(encoding="utf-8"))
    assert not page.open
    return page


def make_scores(folder, size=SIZE, metrics=BY_DEFAULT, real=False, pairs=PAIRS):
    """Strips whose generated image is worse from pair to pair, and their scores."""
    rng = np.random.default_rng(0)
    for number, (a, b) in enumerate(pairs):
        source, target = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
        noise = rng.normal(0, 10 * number, target.shape)
        generated = np.clip(target + noise, 0, 255).astype(np.uint8)
        write_image(folder / "strips" / strip_name(a, b), strip(source, target, generated))
    names = tuple(name for pair in pairs for name in pair)
    keypoints = rng.integers(0, size, (len(names), COCO18.num_joints, 2))
    table = pd.DataFrame(pairs, columns=["from", "to"])
    data = PairData(table, Annotations(names, keypoints), folder / "images", size, COCO18)
    return score(folder / "strips", data, metrics, real=real)


@pytest.fixture
def scores(tmp_path):
    return make_scores(tmp_path)


def trained(key, dataset="market", image_size=(128, 64), **changed):
    """Options as `test.py` records them for a run of a preset."""
    settings = {**vars(ModelConfig()), **vars(LossConfig()), **preset(key, 3), **changed}
    options = {f"training: {name}": value for name, value in settings.items()}
    return {**options, "dataset": dataset, "training: image_size": list(image_size)}


def history(tmp_path, *lines):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


def test_report_holds_everything_itself(scores, tmp_path):
    path = tmp_path / "report.html"
    curves = history(tmp_path, {"step": 1, "l1": 3.0, "note": "x"}, {"step": 2, "l1": 1.5})
    options = {"dataset": "own", "training: width": 0.5, "training: seed": None}
    write_report(path, scores, options, "python test.py --seed 3", curves, pairs=2, seed=3)
    page = read_page(path)
    assert len(page.images) == 3 * 2 * 5
    assert [alt.split(" of ")[0] for _, alt in page.images[:5]] == list(PICTURES)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    for text in ("9 generated images", "python test.py --seed 3", "Options of training", "seed 3", "mask-SSIM", "l1"):
        assert text in page.text
    assert f"{scores.generated['ssim'].mean:.4f}" in page.text
    assert f"{scores.copy_source['l1'].mean:.4f}" in page.text


def test_report_shows_best_and_worst_pairs(scores, tmp_path):
    write_report(tmp_path / "report.html", scores, pairs=2)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    values = scores.generated["mask_ssim"].values
    for heading, rows in (("Best", np.argsort(-values)[:2]), ("Worst", np.argsort(values)[:2])):
        section = text.split(f"<h2>{heading} pairs")[1].split("</section>")[0]
        shown = re.findall(r"mask-SSIM (\S+),", section)
        assert shown == [f"{values[row]:.3f}" for row in rows]


def test_report_pictures_are_those_of_the_strip(scores, tmp_path):
    write_report(tmp_path / "report.html", scores, pairs=1)
    page = read_page(tmp_path / "report.html")
    pictures = {alt: iio.imread(io.BytesIO(base64.b64decode(url.split(",")[1]))) for url, alt in page.images}
    a, b = PAIRS[0]  # no noise: the best
    source, target, generated = np.split(iio.imread(tmp_path / "strips" / strip_name(a, b)), 3, axis=1)
    np.testing.assert_array_equal(pictures[f"source of {a} → {b}"], source)
    np.testing.assert_array_equal(pictures[f"target of {a} → {b}"], target)
    np.testing.assert_array_equal(pictures[f"generated of {a} → {b}"], generated)
    poses = [pictures[f"{side} pose of {a} → {b}"] for side in ("source", "target")]
    assert poses[0].shape == poses[1].shape == (256, 128, 3)  # finer than the images
    assert all(pose.any() for pose in poses)
    assert (poses[0] != poses[1]).any()


def test_report_escapes_names(scores, tmp_path):
    write_report(tmp_path / "report.html", scores, {"<script>": "</dl>"}, "python '<img>'", pairs=9)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>&.jpg" not in text
    assert "<script>" not in text
    assert "&lt;b&gt;&amp;.jpg" in text
    assert not Page(text).open


def test_scores_stand_beside_the_papers(tmp_path):
    metrics = ("ssim", "mask_ssim", "ssim_standard", "l1", "is", "mask_is", "ds")
    scores = make_scores(tmp_path, (128, 64), metrics, real=True, pairs=PAIRS[:3])
    write_report(tmp_path / "report.html", scores, trained("full", width=0.5), pairs=1)
    page = read_page(tmp_path / "report.html")
    table = page.table()
    assert {row: cells["paper: Full, Market-1501"] for row, cells in table.items()} == {
        **{"SSIM ↑": "0.290", "mask-SSIM ↑": "0.805", "SSIM (standard) ↑": "", "L1 ↓": ""},
        **{"IS ↑": "3.185", "mask-IS ↑": "3.502", "DS ↑": "0.720"},
    }
    assert table["IS ↑"]["paper: Real-Data, Market-1501"] == "3.86"
    assert table["L1 ↓"]["paper: Real-Data, Market-1501"] == ""
    assert table["SSIM ↑"]["generated"].startswith(f"{scores.generated['ssim'].mean:.4f} ±")
    assert table["SSIM ↑"]["real images"] == "1.0000 ± 0.0000"
    assert "Full on Market-1501" in page.text
    assert "Siarohin et al., CVPR 2018, Table 3, 12,000 test pairs of Market-1501" in page.text
    assert all(values["scope"] in ("col", "row") for tag, values in page.tags if tag == "th")


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((128, 64), {}),
        ((128, 64), {"dataset": "market"}),
        ((128, 64), trained("full", l1_penalty_weight=1.0)),
        ((128, 64), trained("full", "demo")),
        ((96, 64), trained("full", image_size=(96, 64))),
    ],
)
def test_no_number_of_the_paper_where_it_does_not_compare(tmp_path, size, options):
    scores = make_scores(tmp_path, size, ("ssim", "l1"), pairs=PAIRS[:2])
    write_report(tmp_path / "report.html", scores, options, pairs=1)
    page = read_page(tmp_path / "report.html")
    assert list(page.table()["SSIM ↑"]) == ["generated", "copying the source"]
    assert "paper: " not in page.text


def test_real_images_have_the_papers_row_without_a_preset(tmp_path):
    scores = make_scores(tmp_path, (128, 64), ("ssim",), real=True, pairs=PAIRS[:2])
    write_report(tmp_path / "report.html", scores, {"dataset": "market"}, pairs=1)
    table = read_page(tmp_path / "report.html").table()
    columns = ["generated", "copying the source", "real images", "paper: Real-Data, Market-1501"]
    assert list(table["SSIM ↑"]) == columns
    assert table["SSIM ↑"][columns[3]] == "1.00"


def test_what_was_not_computed_is_there_with_its_reason(scores, tmp_path):
    missing = {"is": NotComputed("needs <a file>"), "mask_is": NotComputed("needs <a file>")}
    rows = {row: {**outcomes, **missing} for row, outcomes in scores.rows.items()}
    write_report(tmp_path / "report.html", dataclasses.replace(scores, rows=rows), pairs=1)
    page = read_page(tmp_path / "report.html")
    assert page.table()["IS ↑"] == {"generated": "not computed", "copying the source": "not computed"}
    assert "IS, mask-IS needs <a file>" in page.text
    assert page.text.count("needs <a file>") == 1  # one reason, said once


def test_the_better_of_generated_and_copied_is_marked(scores, tmp_path):
    write_report(tmp_path / "report.html", scores, pairs=1)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for metric in ("ssim", "l1"):
        assert f'<td class="number best">{scores.generated[metric].mean:.4f} ±' in text
        assert f'<td class="number">{scores.copy_source[metric].mean:.4f} ±' in text


def test_pckh_is_shown_joint_by_joint(scores, tmp_path):
    shares = {"generated": {"neck": 0.75, "Rwri": 0.5}, "copy_source": {"neck": 0.25, "Rwri": 0.125}}
    found = {row: Result(0.5, None, 9, details=shares[row]) for row in scores.rows}
    rows = {row: {**outcomes, "pckh": found[row]} for row, outcomes in scores.rows.items()}
    write_report(tmp_path / "report.html", dataclasses.replace(scores, rows=rows), pairs=1)
    page = read_page(tmp_path / "report.html")
    assert page.table(1) == {
        "neck": {"generated": "75.0 %", "copying the source": "25.0 %"},
        "Rwri": {"generated": "50.0 %", "copying the source": "12.5 %"},
    }
    widths = [values["style"] for tag, values in page.tags if tag == "b" and "style" in values]
    assert widths == ["width: 75.0%", "width: 25.0%", "width: 50.0%", "width: 12.5%"]
    rows["generated"] = {**rows["generated"], "pckh": NotComputed("no estimator")}
    write_report(tmp_path / "none.html", dataclasses.replace(scores, rows=rows), pairs=1)
    assert len(read_page(tmp_path / "none.html").tables) == 1


def test_histograms_say_what_they_show(scores, tmp_path):
    write_report(tmp_path / "report.html", scores, pairs=1)
    page = read_page(tmp_path / "report.html")
    labels = [values["aria-label"] for tag, values in page.tags if tag == "svg"]
    assert len(labels) == len(scores.generated)
    shown = f"L1; generated: mean {scores.generated['l1'].mean:.4g}"
    assert any(label.startswith(shown) and "; copying the source: mean" in label for label in labels)
    assert sum(tag == "polygon" for tag, _ in page.tags) == 2 * len(labels)


def test_poses_that_nobody_knows(scores, tmp_path):
    """Images of other programs: without keypoints, or with those of targets only."""
    annotations = scores.images.annotations
    targets = Annotations(annotations.names[1::2], annotations.keypoints[1::2])
    for known, missing in ((None, 2), (targets, 1)):
        partly = dataclasses.replace(scores, images=dataclasses.replace(scores.images, annotations=known))
        write_report(tmp_path / "report.html", partly, pairs=1)
        page = read_page(tmp_path / "report.html")
        assert page.text.count("not known") == 3 * missing
        assert len(page.images) == 3 * (5 - missing)
        write_grid(tmp_path / "grid.png", partly, pairs=1)


def test_grid_shows_each_pair_once(scores, tmp_path):
    write_grid(tmp_path / "few.png", scores, pairs=1)
    write_grid(tmp_path / "all.png", scores, pairs=9)
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


def test_long_and_flat_curves_stay_inside_the_chart(scores, tmp_path):
    lines = [{"step": step, "flat": 2.0, "falling": 1 / step} for step in range(1, 1001)]
    write_report(tmp_path / "report.html", scores, history=history(tmp_path, *lines), pairs=1)
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
