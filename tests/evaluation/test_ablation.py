"""The table of an ablation: means, spreads, differences and intervals are right, and only equal pairs are compared."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from pose_gan.errors import InputError
from pose_gan.evaluation.ablation_table import ablation_table, bootstrap_interval, write_page
from pose_gan.evaluation.saved_scores import read_scores
from pose_gan.evaluation.score_tables import to_csv, to_latex, to_markdown
from pose_gan.evaluation.scores import Scores
from pose_gan.evaluation.strips import JudgedImages
from pose_gan.metrics import NotComputed, Result

PAIRS = [("a.jpg", "b.jpg"), ("b.jpg", "a.jpg"), ("c.jpg", "d.jpg"), ("d.jpg", "c.jpg")]
SSIM = {
    "Baseline": [[0.1, 0.2, 0.3, 0.4], [0.3, 0.2, 0.1, 0.2]],  # means 0.25 and 0.2
    "DSC": [[0.2, 0.3, 0.4, 0.5], [0.4, 0.3, 0.2, 0.3]],  # both are 0.1 more for every pair
    "Full": [[0.6, 0.3, 0.2, 0.5], [0.1, 0.3, 0.8, 0.6]],
}


def save(folder, values, pairs=PAIRS, extra=None, real=True, **options):
    """A folder of scores: SSIM of each pair, and the metrics `extra`."""

    def row(values):
        values = np.asarray(values, float)
        return {"ssim": Result(float(values.mean()), float(values.std()), len(pairs), values), **(extra or {})}

    count = len(pairs)
    rows = {"generated": row(values), "copy_source": row(np.full(count, 0.125))}
    rows |= {"real": row(np.ones(count))} if real else {}
    images = JudgedImages(pd.DataFrame(pairs, columns=["from", "to"]), [(folder / "x",)] * count, (128, 64), folder)
    Scores(rows, images).save(folder, {"options": {"dataset": "own", **options}})
    return read_scores(folder)


@pytest.fixture
def rows(tmp_path):
    """Three presets with two seeds."""
    return {
        name: [save(tmp_path / name / f"seed-{seed}", values) for seed, values in enumerate(of_seeds)]
        for name, of_seeds in SSIM.items()
    }


def lines(table):
    return {row["run"]: row for row in csv.DictReader(io.StringIO(to_csv(table)))}


def test_rows_are_means_with_the_spread_over_seeds(rows):
    table = lines(ablation_table(rows))
    assert list(table) == [
        "Baseline",
        "DSC",
        "Full",
        "copying the source",
        "real images",
        "DSC − Baseline",
        "Full − DSC",
    ]
    # means of the seeds 0.25 and 0.2: mean 0.225, deviations ±0.025, so sqrt(2 · 0.025² / 1)
    assert float(table["Baseline"]["ssim"]) == pytest.approx(0.225)
    assert float(table["Baseline"]["ssim_std"]) == pytest.approx(0.0353553, rel=1e-5)
    assert float(table["Full"]["ssim"]) == pytest.approx(0.425)
    assert (table["copying the source"]["ssim"], table["real images"]["ssim"]) == ("0.125", "1")
    assert table["real images"]["ssim_std"] == ""  # the spread over images is none over seeds
    assert float(table["Full − DSC"]["ssim"]) == pytest.approx(0.1)
    (shown,) = (line for line in to_markdown(ablation_table(rows), True).splitlines() if line.startswith("| Baseline"))
    assert "| 0.225 ± 0.035 |" in " ".join(shown.split())


def test_one_seed_has_no_spread_and_one_row_no_difference(rows):
    table = ablation_table({"DSC": rows["DSC"][:1]})
    assert lines(table)["DSC"]["ssim_std"] == ""
    assert [row.kind for row in table.rows] == ["measured", "copied", "real"]
    assert table.remarks == ("Each row is one seed of training, so the table shows no spread over seeds.",)


def test_the_best_row_is_marked_among_the_presets_alone(rows):
    assert [row.name for row in ablation_table(rows).rows if row.cells["ssim"].best] == ["Full"]


def test_an_equal_difference_of_all_pairs_has_an_interval_without_width(rows):
    difference = lines(ablation_table(rows))["DSC − Baseline"]
    assert [float(difference[name]) for name in ("ssim", "ssim_low", "ssim_high")] == pytest.approx([0.1, 0.1, 0.1])
    exact = np.full((50, 1), 0.3)
    assert bootstrap_interval(exact).tolist() == [[0.3], [0.3]]


def test_intervals_are_those_of_a_slow_twin():
    differences = np.random.default_rng(1).normal(0.1, 1, (37, 3))
    generator, means = np.random.default_rng(5), []
    for _ in range(1000):
        drawn = generator.integers(37, size=37)
        means.append([sum(differences[pair, column] for pair in drawn) / 37 for column in range(3)])
    expected = np.quantile(means, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(bootstrap_interval(differences, 5, 1000), expected, rtol=0, atol=1e-12)


def test_intervals_agree_with_scipy_and_with_theory():
    stats = pytest.importorskip("scipy.stats")
    differences = np.random.default_rng(2).normal(0.2, 1, (400, 1))
    low, high = bootstrap_interval(differences)[:, 0]
    other = stats.bootstrap((differences[:, 0],), np.mean, method="percentile", batch=500).confidence_interval
    assert (low, high) == pytest.approx(tuple(other), abs=0.005)
    half = 1.96 * differences.std() / 20  # the mean of many numbers is nearly normal
    assert (low, high) == pytest.approx((differences.mean() - half, differences.mean() + half), abs=0.005)


def test_intervals_are_of_scores_that_were_averaged_over_seeds_first(rows):
    full, dsc = (np.mean(SSIM[name], axis=0) for name in ("Full", "DSC"))
    expected = bootstrap_interval((full - dsc)[:, None], seed=3)[:, 0]
    row = lines(ablation_table(rows, seed=3))["Full − DSC"]
    assert [float(row["ssim_low"]), float(row["ssim_high"])] == pytest.approx(expected, rel=1e-5)
    assert lines(ablation_table(rows, seed=3)) == lines(ablation_table(rows, seed=3))


def test_the_order_of_pairs_is_of_no_account(rows, tmp_path):
    turned = dict(rows)
    turned["Full"] = [
        save(tmp_path / "turned" / f"{seed}", values[::-1], PAIRS[::-1]) for seed, values in enumerate(SSIM["Full"])
    ]
    table, other = lines(ablation_table(rows)), lines(ablation_table(turned))
    assert other["Full − DSC"] == table["Full − DSC"]


@pytest.mark.parametrize("place", [("Baseline", 0), ("DSC", 1)])
def test_pairs_that_one_run_lacks_are_named(rows, tmp_path, place):
    name, seed = place
    rows[name][seed] = save(tmp_path / "few", [0.1, 0.2], PAIRS[:2])
    with pytest.raises(
        InputError,
        match=r"few.metrics_per_pair\.csv: lacks pairs that .* has: c\.jpg -> d\.jpg, d\.jpg -> c\.jpg \(2 of 4\)",
    ):
        ablation_table(rows)


def test_other_pairs_of_the_same_number_are_named(rows, tmp_path):
    rows["DSC"][0] = save(tmp_path / "other", SSIM["DSC"][0], [*PAIRS[:3], ("d.jpg", "e.jpg")])
    with pytest.raises(InputError, match=r"lacks pairs that .*Baseline.seed-0 has: d\.jpg -> c\.jpg \(1 of 4\)"):
        ablation_table(rows)


def test_a_pair_without_a_score_is_named(rows):
    path = rows["DSC"][1].folder / "metrics_per_pair.csv"
    path.write_text(path.read_text().replace("b.jpg,a.jpg,0.3", "b.jpg,a.jpg,"))
    with pytest.raises(InputError, match=r"seed-1.metrics_per_pair\.csv: no ssim of b\.jpg -> a\.jpg"):
        ablation_table(rows)


def test_other_protocols_are_refused(rows):
    rows["Full"][0].metrics["ssim"]["settings"]["window"] = 9
    with pytest.raises(InputError, match=r"do not compare: SSIM, window"):
        ablation_table(rows)


def test_a_metric_of_whole_sets_has_a_difference_without_an_interval(tmp_path):
    def run(name, value, inception):
        return [save(tmp_path / name, [value] * 4, extra={"is": inception})]

    table = ablation_table({"a": run("a", 0.1, Result(3.0, 0.1, 4)), "b": run("b", 0.2, Result(3.5, 0.1, 4))})
    assert lines(table)["b − a"]["is"] == "0.5"
    assert lines(table)["b − a"]["is_low"] == ""
    assert table.remarks[-1] == "Without an interval, since single images have no score: IS."
    table = ablation_table({"a": run("a", 0.1, Result(3.0, 0.1, 4)), "b": run("b", 0.2, NotComputed("no file"))})
    assert lines(table)["b"]["is"] == lines(table)["b − a"]["is"] == "not computed: no file"


class Cells(HTMLParser):
    """The texts of a page."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.tags = [], []
        self.feed(page)

    def handle_data(self, data):
        self.texts.append(data)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)


def test_names_and_reasons_are_escaped(tmp_path, rows):
    nasty = r"<script>a_b & 50 % | \x</script>"
    runs = [save(tmp_path / "n", [0.1] * 4, extra={"is": NotComputed(nasty)})]
    table = ablation_table({nasty: runs, "DSC": rows["DSC"][:1]})
    write_page(tmp_path / "p.html", table, np.zeros((4, 4, 3), np.uint8), nasty, nasty, {nasty: nasty})
    page = Cells((tmp_path / "p.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.texts.count(nasty) >= 5
    assert f"not computed: {nasty}" in "".join(page.texts)
    latex = to_latex(table, True)
    assert r"$<$script$>$a\_b \& 50 \% | \textbackslash{}x$<$/script$>$ &" in latex
    assert r"DSC $-$ $<$script" in latex
    assert r"a\_b & 50 % \| \\x" in to_markdown(table, True)


def test_signs_of_differences(rows):
    table = ablation_table({name: rows[name] for name in ("DSC", "Baseline")})
    assert "−0.100 [−0.100, −0.100]" in to_markdown(table, True)
    assert r"$-$0.100 [$-$0.100, $-$0.100]" in to_latex(table, True)
    assert "+0.100 [+0.100, +0.100]" in to_markdown(ablation_table(rows), True)


def test_the_page_shows_the_table(rows, tmp_path):
    write_page(tmp_path / "p.html", ablation_table(rows), np.zeros((4, 4, 3), np.uint8), "title", "figure", {"a": 1})
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    page = Cells(text)
    for shown in ("Baseline", "SSIM ↑", "0.225 ± 0.035", "copying the source", "+0.100 [+0.100, +0.100]", "title"):
        assert shown in page.texts
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("data:image/png;base64,") == 1
