"""Scores come back from disk as they were; whatever is not such a file is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pose_gan.config import LossConfig, ModelConfig
from pose_gan.errors import InputError
from pose_gan.evaluation.saved_scores import read_scores, run_names
from pose_gan.evaluation.scores import Scores
from pose_gan.evaluation.strips import JudgedImages
from pose_gan.metrics import NotComputed, Result
from pose_gan.presets import preset

PAIRS = [("0001_a.jpg", "0001_b.jpg"), ("NA", "007"), ("x", "y")]


def save(folder, options=None):
    values = np.array([0.1, 0.2, 0.6])
    outcomes = {"ssim": Result(0.3, 0.2, 3, values), "is": NotComputed("needs a file")}
    images = JudgedImages(pd.DataFrame(PAIRS, columns=["from", "to"]), [(Path("a"),)] * 3, (128, 64), Path("strips"))
    Scores({"generated": outcomes, "copy_source": outcomes}, images).save(folder, {"options": options or {}})
    return folder


def trained(key):
    settings = {**vars(ModelConfig()), **vars(LossConfig()), **preset(key, 3), "image_size": [128, 64]}
    return {"dataset": "market", **{f"training: {k}": v for k, v in settings.items() if k != "skeleton"}}


def edit(folder, change):
    path = folder / "metrics.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_scores_are_read_as_they_were_saved(tmp_path):
    scores = read_scores(save(tmp_path / "a", trained("fm")))
    assert (scores.count, scores.image_size, scores.images) == (3, (128, 64), Path("strips"))
    assert scores.metrics["ssim"]["generated"]["mean"] == 0.3
    assert scores.metrics["is"]["generated"] == {"not_computed": "needs a file"}
    assert (scores.preset, scores.dataset) == ("fm", "market")
    assert list(zip(scores.per_pair["from"], scores.per_pair["to"], strict=True)) == PAIRS
    assert scores.per_pair["ssim"].tolist() == [0.1, 0.2, 0.6]


def test_folders_without_scores_say_where_to_look(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_scores(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no metrics\.json; score its images with pose-gan evaluate"):
        read_scores(tmp_path)
    (tmp_path / "options.json").write_text("{}")
    with pytest.raises(InputError, match=r"it is the folder of a training run; .* \(--generated_images_dir\)"):
        read_scores(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.pop("metrics"),
        lambda values: values.update(count="many"),
        lambda values: values.update(image_size=[128]),
        lambda values: values["metrics"]["ssim"].pop("generated"),
        lambda values: values["metrics"]["ssim"]["generated"].update(mean=None),
        lambda values: values["metrics"]["ssim"].pop("settings"),
        lambda values: values.update(metrics=[1, 2]),
        lambda values: values.update(run="python test.py"),
    ],
)
def test_other_json_is_refused(tmp_path, change):
    edit(save(tmp_path), change)
    with pytest.raises(InputError, match=r"metrics.json: not the scores of pose-gan test or evaluate"):
        read_scores(tmp_path)


def test_damaged_files_are_refused(tmp_path):
    edit(save(tmp_path), lambda values: values["metrics"].update(fame=values["metrics"]["ssim"]))
    with pytest.raises(InputError, match=r"metrics.json: metric 'fame' is not known; allowed: ssim"):
        read_scores(tmp_path)
    (tmp_path / "metrics.json").write_text('{"metrics":')
    with pytest.raises(InputError, match="not the scores of"):
        read_scores(tmp_path)


def test_the_table_of_pairs_is_checked_when_it_is_needed(tmp_path):
    table = save(tmp_path) / "metrics_per_pair.csv"
    for text in ("", "from,to,ssim\na,b,high\n", "to,ssim\na,0.5\n", "source,target,ssim\na,b,0.5\n"):
        table.write_text(text)
        with pytest.raises(InputError, match=r"metrics_per_pair.csv: .* score the images again"):
            _ = read_scores(tmp_path).per_pair
    table.unlink()
    with pytest.raises(InputError, match=r"metrics_per_pair.csv: no such file"):
        _ = read_scores(tmp_path).per_pair


def test_runs_are_called_by_preset_or_folder(tmp_path):
    folders = [
        save(tmp_path / "one", trained("baseline")),
        save(tmp_path / "two", trained("full")),
        save(tmp_path / "three", trained("full")),
        save(tmp_path / "four"),
        save(tmp_path / "deep/four"),
    ]
    runs = [read_scores(folder) for folder in folders]
    assert run_names(runs) == ["Baseline", "two", "three", str(folders[3]), str(folders[4])]
    assert run_names(runs[:2]) == ["Baseline", "Full"]
    assert run_names(runs[:2], ["a", "b"]) == ["a", "b"]
    with pytest.raises(InputError, match="--names: 1 names for 2 runs"):
        run_names(runs[:2], ["a"])
    with pytest.raises(InputError, match="two runs are called 'a'"):
        run_names(runs[:2], ["a", "a"])
    with pytest.raises(InputError, match="two runs are called"):
        run_names([runs[3], runs[3]])
