"""The records of a run."""

from __future__ import annotations

import importlib.util

import numpy as np

from pose_gan.training.run_log import RunLog, read_history


def test_a_run_is_recorded_where_tensorboard_is_not_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    log = RunLog(tmp_path)
    log.say("begun")
    log.record(1, {"l1": 0.5})
    log.picture(1, np.zeros((4, 4, 3), np.uint8))
    log.close()
    assert read_history(tmp_path / "metrics.jsonl") == {"l1": ([1], [0.5])}
    assert (tmp_path / "log.txt").read_text() == capsys.readouterr().out == "begun\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.txt", "metrics.jsonl", "samples"]
