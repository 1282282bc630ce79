"""Tables of several runs: the right number in the right place, and no mixing of what does not compare."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pose_gan.errors import InputError
from pose_gan.evaluation.comparison import compare
from pose_gan.evaluation.saved_scores import read_scores
from pose_gan.evaluation.score_tables import to_csv, to_latex, to_markdown
from pose_gan.evaluation.scores import Scores
from pose_gan.evaluation.strips import JudgedImages
from pose_gan.metrics import METRICS, NotComputed, Result
from pose_gan.programs.compare import main

PAIRS = [("a.jpg", "b.jpg"), ("b.jpg", "a.jpg"), ("c.jpg", "d.jpg")]


def save(folder, metrics, pairs=PAIRS, size=(128, 64), real=False, **options):
    """A folder of scores: metrics is name → mean, or why it was not computed."""

    def row(scale):
        return {
            name: NotComputed(value)
            if isinstance(value, str)
            else Result(value * scale, 0.125, len(pairs), np.full(len(pairs), value * scale))
            for name, value in metrics.items()
        }

    rows = {"generated": row(1), "copy_source": row(0.5)} | ({"real": row(2)} if real else {})
    table = pd.DataFrame(pairs, columns=["from", "to"])
    Scores(rows, JudgedImages(table, [(Path("x"),)] * len(pairs), size, folder)).save(folder, {"options": options})
    return folder


def change(folder, edit):
    values = json.loads((folder / "metrics.json").read_text())
    edit(values)
    (folder / "metrics.json").write_text(json.dumps(values))


@pytest.fixture
def two(tmp_path):
    return [
        save(tmp_path / "dsc", {"ssim": 0.272, "l1": 0.25, "is": "needs a file"}, dataset="market", real=True),
        save(tmp_path / "full", {"ssim": 0.2904, "l1": 0.2504}, dataset="market"),
    ]


def cells(text):
    """The table in Markdown: name of a row → cells, in the order of the header."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}


def test_table_in_markdown(two, capsys):
    main([str(folder) for folder in two])
    table = cells(shown := capsys.readouterr().out)
    assert table["run"] == ["SSIM ↑", "L1 ↓", "IS ↑"]
    assert table["dsc"] == ["0.272", "**0.250**", "–¹"]
    assert table["full"] == ["**0.290**", "**0.250**", "–²"]  # as good as the other, to the digits shown
    assert table["real images"] == ["0.544", "0.500", "–¹"]
    assert "¹ not computed: needs a file" in shown
    assert "² not computed: the run was scored without it" in shown


def test_columns_names_and_deviations(two, capsys):
    main([*map(str, two), "--metrics", "l1,ssim", "--std", "--names", "a|b", "c_d"])
    shown = capsys.readouterr().out
    assert r"| a\|b        |" in shown
    assert r"| c\_d        | **0.250 ± 0.125** | **0.290 ± 0.125** |" in shown


def test_the_best_is_the_lowest_where_lower_is_better(tmp_path):
    """Of every metric, over three runs; the best run is not the first and not the last."""
    values = {"low": 2.0, "high": 10.0, "middle": 5.0}  # as texts, "10" comes before "2"
    runs = [save(tmp_path / name, dict.fromkeys(METRICS, value)) for name, value in values.items()]
    best = {metric: [] for metric in METRICS}
    for row in compare([read_scores(folder) for folder in runs]).rows:
        for metric, cell in row.cells.items():
            best[metric] += [row.name] * cell.best
    lower = [metric for metric, (name,) in best.items() if name == "low"]
    assert lower == ["l1", "checkerboard", "fid", "lpips", "fid_keras", "lpips_vgg", "lpips_squeeze"]
    assert all(name == "high" for metric, (name,) in best.items() if metric not in lower)


def test_a_single_run_has_no_best(two):
    (row, real) = compare([read_scores(two[0])]).rows
    assert not any(cell.best for cell in row.cells.values())
    assert real.kind == "real"


def test_published_rows_are_labelled(two, capsys):
    main([*map(str, two), "--paper"])
    table = cells(shown := capsys.readouterr().out)
    assert table["Full (paper)"] == ["0.290", "", "3.185"]
    assert table["Real-Data (paper)"] == ["1.00", "", "3.86"]
    assert table["dsc"][0] == "0.272"
    assert "Full (later papers)" not in table  # nothing by these metrics
    assert "not measured here: Siarohin et al., CVPR 2018, Table 1 (12,000 pairs); Siarohin" in shown
    assert "**" not in "".join(cell for name, row in table.items() if "paper" in name for cell in row)


def test_published_rows_need_a_known_data_set(tmp_path):
    folder = save(tmp_path / "a", {"ssim": 0.5}, dataset="demo")
    with pytest.raises(InputError, match=r"--paper: nothing was published for data set 'demo' at 128x64 pixels"):
        main([str(folder), "--paper"])
    fashion = save(tmp_path / "b", {"ssim_gfla": 0.5, "fid": 20.0}, size=(256, 256), dataset="fasion")
    rows = compare([read_scores(fashion)], paper=True).rows
    assert [(row.name, row.cells["fid"].printed) for row in rows[1:]] == [("Full (later papers)", "18.457")]


def test_files_are_written(two, tmp_path, capsys):
    files = [tmp_path / f"out/t.{suffix}" for suffix in ("md", "tex", "csv")]
    main([*map(str, two), "--markdown", str(files[0]), "--latex", str(files[1]), "--csv", str(files[2]), "--paper"])
    shown = capsys.readouterr().out
    table = compare([read_scores(folder) for folder in two], paper=True)
    assert [path.read_text(encoding="utf-8") for path in files] == [to_markdown(table), to_latex(table), to_csv(table)]
    assert shown == to_markdown(table) + "".join(f"written: {path}\n" for path in files)


def test_latex(two):
    runs = [read_scores(folder) for folder in two]
    text = to_latex(compare(runs, ["a_b & 50 %", r"\dsc{}"]), std=True)
    lines = text.splitlines()
    assert lines[0] == r"\begin{tabular}{lrrr}"
    assert lines[2] == r"Model & SSIM $\uparrow$ & L1 $\downarrow$ & IS $\uparrow$ \\"
    assert (
        lines[4]
        == r"a\_b \& 50 \% & 0.272 $\pm$ 0.125 & \textbf{0.250 $\pm$ 0.125} & \textendash\textsuperscript{1} \\"
    )
    assert lines[5].startswith(r"\textbackslash{}dsc\{\} & \textbf{0.290 $\pm$ 0.125} &")
    assert lines[6] == r"\hline"  # real images are of another kind
    assert r"\textsuperscript{1} not computed: needs a file" in text
    assert text.count("{") == text.count("}")
    change(two[0], lambda values: values["metrics"]["is"]["generated"].update(not_computed="--flag – x"))
    assert r"-{}-flag \textendash{} x" in to_latex(compare([read_scores(two[0])]))


def test_csv(two, tmp_path):
    main([*map(str, two), "--csv", str(tmp_path / "t.csv"), "--paper"])
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert rows["full"] == {
        **{"run": "full", "kind": "measured", "dataset": "market", "pairs": "3", "source": str(two[1])},
        **{"ssim": "0.2904", "ssim_std": "0.125", "l1": "0.2504", "l1_std": "0.125"},
        **{"is": "not computed: the run was scored without it", "is_std": ""},
    }
    assert rows["real images"]["kind"] == "real"
    assert rows["DSC (paper)"]["pairs"] == "12000"
    assert (rows["DSC (paper)"]["ssim"], rows["DSC (paper)"]["l1"]) == ("0.272", "")


def refused(folders, match):
    with pytest.raises(InputError, match=match):
        main([str(folder) for folder in folders])
    return compare([read_scores(folder) for folder in folders], force=True).remarks


def test_other_pairs_are_not_mixed(two, tmp_path, capsys):
    fewer = save(tmp_path / "few", {"ssim": 0.9}, pairs=PAIRS[:2])
    assert refused([two[0], fewer], r"do not compare: number of pairs: dsc 3, few 2\. .* --force") == (
        "Not the same for all runs: number of pairs: dsc 3, few 2",
    )
    others = save(tmp_path / "others", {"ssim": 0.9}, pairs=[*PAIRS[:2], ("c.jpg", "e.jpg")])
    refused([two[0], others], "pairs: as many, but not the same ones")
    turned = save(tmp_path / "turned", {"ssim": 0.9}, pairs=PAIRS[::-1])
    main([str(two[0]), str(turned)])  # their order is of no account
    main([str(two[0]), str(fewer), "--force"])
    assert "Not the same for all runs: number of pairs" in capsys.readouterr().out


def test_other_images_are_not_mixed(two, tmp_path):
    fashion = save(tmp_path / "fashion", {"ssim": 0.9}, size=(256, 256), dataset="fashion")
    refused([two[0], fashion], "data set: dsc market, fashion fashion; image size: dsc 128x64, fashion 256x256")
    spelled = [save(tmp_path / name, {"ssim": 0.9}, dataset=name) for name in ("fashion", "fasion")]
    assert compare([read_scores(folder) for folder in spelled])


def test_other_protocols_are_not_mixed(two):
    change(two[1], lambda values: values["metrics"]["ssim"]["settings"].update(window=9))
    refused(two, r"do not compare: SSIM, window: dsc \d+, full 9\.")
    main([*map(str, two), "--metrics", "l1"])


def test_other_files_behind_a_metric_are_not_mixed(tmp_path):
    folders = [
        save(tmp_path / name, {"pckh": 0.5, "ssim": 0.5}, pose_estimator=f"{name}.pb", detector_graph=name)
        for name in ("a", "b")
    ]
    refused(folders, r"do not compare: PCKh@0.5, estimator: a 'a.pb', b 'b.pb'\.")
    main([*map(str, folders), "--metrics", "ssim"])


def test_bad_input_is_refused(two, tmp_path):
    with pytest.raises(InputError, match=r"--metrics: no run was scored by 'fid'; there are ssim, l1, is"):
        main([str(two[0]), "--metrics", "ssim,fid"])
    with pytest.raises(InputError, match=r"holds no metrics\.json"):
        main([str(tmp_path)])
    with pytest.raises(InputError, match="--names: 1 names for 2 runs"):
        main([*map(str, two), "--names", "a"])
    with pytest.raises(SystemExit):
        main([])
