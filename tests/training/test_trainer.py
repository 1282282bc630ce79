"""Runs: resume as if never stopped, stop cleanly, refuse what would lose something."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT

from pose_gan import load_generator
from pose_gan.errors import InputError
from pose_gan.model_files.run_folder import latest_checkpoint, latest_generator, new_run_dir
from pose_gan.programs import train
from pose_gan.training.checkpoint import restore_checkpoint, save_checkpoint
from pose_gan.training.run_log import RunLog, read_history


def flags(tiny_data, *more: str) -> list[str]:
    """A run of two iterations an epoch on the tiny data set."""
    height, width = tiny_data.image_size
    data = ["--dataset", "tiny", "--images_dir", str(tiny_data.root), "--annotations_dir", str(tiny_data.root)]
    model = ["--image_size", f"{height}x{width}", "--width", "0.125", "--batch_size", "2"]
    return [*data, *model, "--iterations_per_epoch", "2", *more]


def variables(run: Path) -> dict[str, np.ndarray]:
    checkpoint = latest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    with np.load(checkpoint / "variables.npz") as arrays:
        return dict(arrays)


def train_in_one_thread(arguments: list[str]) -> None:
    """Trains in a process of its own, where sums are made in one order and so repeat to the last bit."""
    threads = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")
    subprocess.run(
        [sys.executable, "train.py", *arguments], cwd=ROOT, env=os.environ | threads, check=True, capture_output=True
    )


def test_two_and_two_steps_equal_four(tiny_data, tmp_path):
    """To the last bit: weights, optimizer slots, dropout states, losses; also over the end of a pass over the pairs."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    more = ["--log_interval", "1", "--training_ratio", "3"]
    train_in_one_thread(flags(tiny_data, "--number_of_epochs", "2", "--output_dir", str(whole), *more))
    train_in_one_thread(flags(tiny_data, "--number_of_epochs", "1", "--output_dir", str(parts), *more))
    train_in_one_thread(["--resume", str(parts), "--number_of_epochs", "2"])
    expected, got = variables(whole), variables(parts)
    assert set(expected) == set(got)
    for key, value in expected.items():
        np.testing.assert_array_equal(got[key], value, key)
    assert any("optimizer" in key for key in expected)
    assert any(value.dtype == np.int64 and value.shape == (2,) for value in expected.values())  # random states
    curves, resumed = read_history(whole / "metrics.jsonl"), read_history(parts / "metrics.jsonl")
    for name, (steps, values) in curves.items():
        if not name.endswith("seconds_per_iteration"):
            assert steps == resumed[name][0]
            np.testing.assert_array_equal(resumed[name][1], values, name)
    assert curves["l1"][0] == [1, 2, 3, 4]


def test_a_run_leaves_everything_that_is_promised(tiny_data, tmp_path, capsys):
    run = tmp_path / "run"
    train.main(
        flags(tiny_data, "--number_of_epochs", "2", "--output_dir", str(run), "--seed", "3", "--keep_checkpoints", "1")
    )
    options = json.loads((run / "options.json").read_text())
    assert options["config"]["train"]["seed"] == 3
    assert options["versions"]["keras"]
    assert [path.name for path in sorted((run / "checkpoints").iterdir())] == ["LAST", "step-00000004"]
    assert len(list((run / "samples").glob("*.png"))) == 2
    assert list((run / "tensorboard").glob("events*"))
    assert "saved" in (run / "log.txt").read_text()
    assert {"test: ssim", "test: l1", "test: generator"} <= set(read_history(run / "metrics.jsonl"))
    assert "left" in capsys.readouterr().out
    assert load_generator(run).output_shape == (None, *tiny_data.image_size, 3)
    ours, copy = load_generator(latest_generator(run)).get_weights(), load_generator(run / "generator.h5").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(ours, copy, strict=True))


def test_checkpoints_dir_may_be_the_output_dir(tiny_data, tmp_path):
    """As in the release's README commands."""
    run = str(tmp_path / "full")
    train.main(flags(tiny_data, "--number_of_epochs", "1", "--output_dir", run, "--checkpoints_dir", run))
    assert load_generator(run)
    Path(run).rename(tmp_path / "moved")  # checkpoints are found from the run's folder, wherever it is
    assert load_generator(tmp_path / "moved")


def test_a_run_is_never_overwritten(tiny_data, tmp_path, capsys):
    run = str(tmp_path / "run")
    train.main(flags(tiny_data, "--number_of_epochs", "1", "--output_dir", run))
    with pytest.raises(InputError, match=r"holds the run of step-00000002 already; continue it with --resume"):
        train.main(flags(tiny_data, "--number_of_epochs", "1", "--output_dir", run))
    before = variables(tmp_path / "run")
    train.main(["--resume", run])
    assert "is trained to step 2 already; --number_of_epochs above 1 trains on" in capsys.readouterr().out
    assert all(np.array_equal(value, before[key]) for key, value in variables(tmp_path / "run").items())
    with pytest.raises(InputError, match=r"--warp_skip: a resumed run keeps its model: it has mask, got none"):
        train.main(["--resume", run, "--warp_skip", "none"])
    with pytest.raises(InputError, match=r"--batch_size: a resumed run keeps the order of its data"):
        train.main(["--resume", run, "--batch_size", "3"])
    with pytest.raises(InputError, match=r"--warp_skip: a resumed run keeps its model: it has mask, got none"):
        train.main(["--resume", run, "--preset", "baseline"])
    with pytest.raises(InputError, match=r"--output_dir other: a resumed run stays in its folder"):
        train.main(["--resume", run, "--output_dir", "other"])


@pytest.mark.parametrize("content", [b"", b"text", b"[]", b"{}", b"\xff\xfe"])
def test_damaged_files_of_a_run_are_named(tmp_path, content):
    for name in ("options.json", "variables.npz", "state.json"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"options\.json: damaged"):
        train.main(["--resume", str(tmp_path)])
    with pytest.raises(InputError, match=f"{tmp_path}: a damaged checkpoint"):
        restore_checkpoint(tmp_path, {})
    (tmp_path / "state.json").write_text('{"step": 1, "position": 2}')
    with pytest.raises(InputError, match=f"{tmp_path}: a damaged checkpoint"):
        restore_checkpoint(tmp_path, {})


def test_a_kill_leaves_a_checkpoint_without_its_name(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    first = save_checkpoint(tmp_path, 1, {}, {}, {"position": 2})
    (tmp_path / "LAST").unlink()
    (tmp_path / ".step-00000002.x").mkdir()
    assert latest_checkpoint(tmp_path) == first
    second = save_checkpoint(tmp_path, 2, {}, {}, {"position": 4})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LAST", first.name, second.name]


def test_steps_after_an_older_checkpoint_are_written_anew(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, {}, {}, {"position": step})
    (tmp_path / "LAST").write_text("step-00000001")
    second = save_checkpoint(tmp_path, 2, {}, {}, {"position": 7})
    assert restore_checkpoint(second, {}) == {"step": 2, "position": 7}
    (tmp_path / "LAST").write_text("")
    with pytest.raises(InputError, match="LAST names '', which is not there"):
        latest_checkpoint(tmp_path)


def test_nothing_is_made_before_all_is_known_to_be_good(tiny_data, tmp_path):
    run, file = tmp_path / "run", tmp_path / "file"
    file.write_text("x")
    with pytest.raises(InputError, match="file/checkpoints: cannot be written to: Not a directory"):
        train.main(flags(tiny_data, "--output_dir", str(file)))
    image = tiny_data.images("test")[0]
    image.write_bytes(image.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged or changed while in use"):
        train.main(flags(tiny_data, "--output_dir", str(run)))
    assert not run.exists()


def test_resume_needs_a_run(tmp_path):
    with pytest.raises(InputError, match="not the folder of a training run"):
        train.main(["--resume", str(tmp_path)])
    with pytest.raises(InputError, match="--resume auto needs --output_dir"):
        train.main(["--resume", "auto"])


def test_given_weights_are_the_start(tiny_data, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    train.main(flags(tiny_data, "--number_of_epochs", "1", "--output_dir", str(first)))
    start = ["--generator_checkpoint", str(first / "generator.h5"), "--start_epoch", "1", "--number_of_epochs", "2"]
    train.main(flags(tiny_data, *start, "--output_dir", str(second), "--learning_rate", "1e-12"))
    ours, theirs = (load_generator(run / "generator.h5").get_weights() for run in (first, second))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)
    with pytest.raises(
        InputError, match=r"its weights do not fit the generator of these settings .* check --warp_skip"
    ):
        train.main(flags(tiny_data, *start, "--output_dir", str(tmp_path / "third"), "--warp_skip", "none"))


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(tiny_data, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(SystemExit, match=r"error: the loss '\w+' became (nan|inf) between steps \d+ and \d+"):
        train.main(flags(tiny_data, "--number_of_epochs", "20", "--output_dir", str(run), "--learning_rate", "1e30"))
    assert latest_checkpoint(run / "checkpoints") is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_cleanly(tiny_data, tmp_path, number):
    run = tmp_path / "run"
    command = [
        sys.executable,
        "train.py",
        *flags(tiny_data, "--output_dir", str(run), "--iterations_per_epoch", "1000"),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        deadline = time.monotonic() + 120
        while "step 1/" not in (run / "log.txt").read_text() if (run / "log.txt").exists() else True:
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        os.kill(process.pid, number)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, out
    checkpoint = latest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    assert f"stopped at step {int(checkpoint.name[5:])}; continue with: pose-gan train --resume" in out


def test_records_after_the_checkpoint_are_dropped_on_resume(tmp_path):
    log = RunLog(tmp_path)
    for step in (1, 2, 3):
        log.record(step, {"l1": float(step)})
    log.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "l')  # a kill in the middle of a line
    RunLog(tmp_path, first_step=2).close()
    assert read_history(tmp_path / "metrics.jsonl") == {"l1": ([1, 2], [1.0, 2.0])}


def test_a_broken_record_is_named_on_resume(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('[1]\n{"step": 1}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl, line 1: expected a JSON object"):
        RunLog(tmp_path)


def test_run_folders_are_numbered(tmp_path):
    assert new_run_dir(tmp_path, "market-mask").name == "00000-market-mask"
    (tmp_path / "00007-x").mkdir()
    assert new_run_dir(tmp_path, "y").name == "00008-y"
