"""The records of a run."""

from __future__ import annotations

import errno
import importlib.util
import os

import numpy as np
import pytest
import tensorflow as tf

from pose_gan.errors import InputError
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


def test_what_is_later_than_the_checkpoint_is_dropped_on_resume(tmp_path):
    log = RunLog(tmp_path)
    for step in (1, 2, 3):
        log.record(step, {"l1": float(step)})
        log.picture(step, np.zeros((4, 4, 3), np.uint8))
    log.record(2, {"l1": 5.0}, split="test")
    log.close()
    (tmp_path / "samples" / "step-by-step.png").touch()
    (tmp_path / "samples" / ".step-00000003.x.png.part").mkdir()
    (tmp_path / ".metrics.x.jsonl.part").mkdir()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "l')  # a kill in the middle of a line
    log = RunLog(tmp_path, first_step=2)
    assert read_history(tmp_path / "metrics.jsonl") == {"l1": ([1, 2], [1.0, 2.0]), "test: l1": ([2], [5.0])}
    names = ["step-00000001.png", "step-00000002.png", "step-by-step.png"]
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == names
    assert not list(tmp_path.glob("*.part"))
    assert [log.has_record(step, split) for step in (1, 2, 3) for split in ("train", "test")] == [1, 0, 1, 1, 0, 0]
    assert [log.has_picture(step) for step in (1, 2, 3)] == [True, True, False]
    log.record(3, {"l1": 3.0})
    assert log.has_record(3)
    log.close()


def test_a_broken_record_is_named_on_resume(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('[1]\n{"step": 1}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl, line 1: expected a JSON object"):
        RunLog(tmp_path)


@pytest.mark.parametrize(
    ("error", "number"), [(tf.errors.ResourceExhaustedError, errno.ENOSPC), (tf.errors.UnknownError, errno.EIO)]
)
def test_a_disk_that_fails_under_tensorboard_is_told_as_any_other(tmp_path, monkeypatch, error, number):
    log = RunLog(tmp_path)

    def fail(*arguments, **options):
        raise error(None, None, "several\nlines")

    monkeypatch.setattr(tf.summary, "scalar", fail)
    monkeypatch.setattr(tf.summary, "image", fail)
    for write in (lambda: log.record(1, {"l1": 1.0}), lambda: log.picture(1, np.zeros((4, 4, 3), np.uint8))):
        with pytest.raises(OSError, match=f"{os.strerror(number)}: '.*tensorboard'") as caught:
            write()
        assert caught.value.errno == number
    monkeypatch.setattr(tf.summary, "create_file_writer", fail)
    with pytest.raises(OSError, match="tensorboard"):
        RunLog(tmp_path)
