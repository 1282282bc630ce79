"""Published numbers: as printed, and beside the right runs."""

from __future__ import annotations

import re

import pytest
from test_config import OTHER_LOSS, OTHER_MODEL, configs

from pose_gan.config import LossConfig, ModelConfig
from pose_gan.evaluation.published import (
    PRESET_TITLES,
    REAL,
    ROWS,
    known_dataset,
    paper_row,
    published_rows,
    recorded_preset,
)
from pose_gan.metrics import METRICS
from pose_gan.presets import preset, preset_of

TITLES = {"SSIM": "ssim", "IS": "is", "mask-SSIM": "mask_ssim", "mask-IS": "mask_is", "DS": "ds"}


def recorded(key, dataset="market", image_size=(128, 64), **changed):
    """Options as `test.py` records them for a run of a preset."""
    window = 5 if dataset in ("fashion", "fasion") else 3
    settings = {**vars(ModelConfig()), **vars(LossConfig()), **preset(key, window), "image_size": list(image_size)}
    return {"dataset": dataset, **{f"training: {name}": value for name, value in {**settings, **changed}.items()}}


def test_rows_are_those_of_the_paper(shared_data):
    """Every number of Tables 1 and 3, read from the paper's text, stands in `ROWS`, and no other."""
    text = (shared_data.parent / "seeds/deformable-gans-paper.txt").read_text(encoding="utf-8")
    printed = {}
    for number in (1, 3):
        table = text.split(f"Table {number}: ")[1].split("\n\n")[1].splitlines()
        metrics = [TITLES[title] for title in table[1].split()]  # of Market-1501, then of DeepFashion
        datasets = ["market"] * 5 + ["fashion"] * (len(metrics) - 5)
        for line in table[2:]:
            name, *values = line.rstrip("\t").split("\t")
            name = re.sub(r"<.*?>|\*| \[\d+\]", "", name).replace("Ours", "Full")
            for dataset, metric, value in zip(datasets, metrics, values, strict=True):
                printed.setdefault((name, dataset, metric), set()).add(value.strip("*"))
    ours = {
        (row.name, row.dataset, metric): value for row in ROWS if row.by_paper for metric, value in row.values.items()
    }
    assert ours.keys() == printed.keys()
    assert len(ours) == 5 * 6 + 2 * 6 + 3
    for key, values in printed.items():  # Table 1 has 0.72 where Table 3 has 0.720
        assert ours[key] in values
        assert {float(value) for value in values} == {float(ours[key])}


def row_of(key, dataset):
    row = paper_row(key, dataset)
    assert row is not None
    return row


def test_rows_of_the_method():
    assert row_of("full", "market").values == {
        **{"ssim": "0.290", "is": "3.185", "mask_ssim": "0.805", "mask_is": "3.502", "ds": "0.720"}
    }
    assert row_of("fm", "fashion").values == {"ssim": "0.744", "is": "3.271"}
    assert row_of(REAL, "market").values["is"] == "3.86"
    assert row_of("full", "fashion").source.endswith("Tables 1 and 3")
    for row in ROWS:
        assert set(row.values) <= set(METRICS)
        assert all(float(value) > 0 for value in row.values.values())
        assert row.by_paper == (set(row.values) <= {"ssim", "mask_ssim", "is", "mask_is", "ds"})


def test_no_row_where_nothing_was_published():
    assert paper_row(None, "market") is None
    assert paper_row("full", None) is None
    assert published_rows(None) == []
    assert {row.dataset for row in published_rows("fashion")} == {"fashion"}
    assert len(published_rows("market")) == 7


def test_data_sets_are_known_at_the_papers_size():
    assert known_dataset("market", (128, 64)) == "market"
    assert known_dataset("fasion", [256, 256]) == "fashion"
    assert known_dataset("market", (64, 64)) is None
    assert known_dataset("fashion128", (128, 64)) is None
    assert known_dataset("demo", (128, 64)) is None
    assert known_dataset(None, (128, 64)) is None


@pytest.mark.parametrize("key", PRESET_TITLES)
def test_presets_are_known_by_their_settings(key):
    assert recorded_preset(recorded(key)) == key
    assert recorded_preset(recorded(key, "fasion", (256, 256))) == key
    assert recorded_preset(recorded(key, "own", (64, 64))) == key
    assert recorded_preset(recorded(key, width=0.25, norm="release", warp_interpolation="nearest")) == key


@pytest.mark.parametrize(
    "changed",
    [
        *({name: value} for name, value in OTHER_MODEL.items()),
        *({name: value} for name, value in OTHER_LOSS.items()),
        {"vgg_weights": "random"},
        {"vgg_weights": "vgg.h5", "width": 0.5, "nn_loss_reduction": "sum"},
    ],
    ids=str,
)
@pytest.mark.parametrize("key", PRESET_TITLES)
def test_what_is_recorded_is_judged_as_the_settings_are(key, changed):
    """A run's model file and the page of its scores name the same preset."""
    assert recorded_preset(recorded(key, **changed)) == preset_of(*configs(key, **changed), nn_window=3)


def test_settings_that_nobody_knows_are_no_preset():
    assert recorded_preset({}) is None
    assert recorded_preset({"dataset": "market"}) is None
    options = recorded("dsc")
    del options["training: disc_type"]
    assert recorded_preset(options) is None
    for size in ("128x64", [], ["a", "b"], None):
        assert recorded_preset(recorded("dsc", "own") | {"training: image_size": size}) is None
