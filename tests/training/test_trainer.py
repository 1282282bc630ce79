"""Runs: the loop, its records, signals, and what a run leaves.

Most tests train a `FakeGAN`, whose losses are known; a few train the networks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from checkout import ROOT
from fake_gan import FakeGAN, flags, same, variables
from PIL import Image

from pose_gan import load_generator
from pose_gan.config import ModelConfig, RunConfig, TrainConfig
from pose_gan.data.pair_data import open_pairs
from pose_gan.errors import InputError
from pose_gan.model_files.run_folder import latest_checkpoint, latest_generator, new_run_dir
from pose_gan.model_files.saving import save_model
from pose_gan.programs import train
from pose_gan.training import progress
from pose_gan.training.gan import GAN
from pose_gan.training.given_weights import load_given_weights
from pose_gan.training.run_log import read_history
from pose_gan.training.validation import validate

# ----------------------------------------------------------------------------------- with a FakeGAN


def test_logged_losses_are_means_over_the_interval(begin, run, fake):
    """In intervals of three steps; the first step and the ends of epochs are logged besides."""
    fake.loss_of = lambda step: float(step**2)
    begin("--iterations_per_epoch", "8", "--log_interval", "3")
    steps, values = read_history(run / "metrics.jsonl")["l1"]
    assert steps == [1, 4, 7, 8, 11, 14, 16]
    for first, last, value in zip([0, *steps], steps, values, strict=False):
        mean = np.mean([step**2 for step in range(int(first) + 1, int(last) + 1)])
        assert value == pytest.approx(mean), (first, last)


def test_validation_is_a_mean_over_pairs_and_not_over_batches(tiny_data):
    """Batches of 7, 7 and 4 pairs, of which the last are brighter."""
    bright = "0003"
    for path in tiny_data.images("test"):
        Image.new("L", tiny_data.image_size[::-1], 200 if path.name.startswith(bright) else 20).save(path)
    model = ModelConfig(image_size=tiny_data.image_size)
    pairs = open_pairs(tiny_data.config, "test", model.image_size)
    values = validate(FakeGAN(RunConfig(model=model)), pairs, 7)  # pyright: ignore[reportArgumentType]
    expected = np.mean([(200 if name.startswith(bright) else 20) / 127.5 - 1 for name in pairs.pairs["to"]])
    assert values["brightness"] == pytest.approx(expected, abs=0.01)
    assert values["ssim"] == pytest.approx(1)  # the fake returns the source, which is as bright as its target


@pytest.mark.parametrize("interval", [1, 50])
@pytest.mark.parametrize("broken", [3, 4])
def test_broken_losses_stop_the_run_before_anything_is_saved(begin, run, fake, interval, broken):
    """Also where they are seen at the end of an epoch only."""
    fake.loss_of = lambda step: float("nan") if step == broken else 1.0
    message = r"error: the loss 'l1' became nan between steps \d and [34]; the last checkpoint is from before"
    with pytest.raises(SystemExit, match=message):
        begin("--log_interval", str(interval))
    assert latest_checkpoint(run / "checkpoints") == run / "checkpoints" / "step-00000002"
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(value) for record in records for value in record.values() if isinstance(value, float))
    assert not (run / "samples" / "step-00000004.png").exists()


def test_broken_losses_are_not_saved_when_the_run_is_stopped(begin, run, fake):
    fake.loss_of = lambda step: float("inf") if step == 3 else 1.0
    fake.before_step = lambda step: signal.raise_signal(signal.SIGTERM) if step == 3 else None
    with pytest.raises(SystemExit, match="the loss 'l1' became inf between steps 3 and 3"):
        begin()
    assert latest_checkpoint(run / "checkpoints") == run / "checkpoints" / "step-00000002"


def test_broken_weights_are_not_saved(begin, run, fake, monkeypatch):
    """An update may break the weights after the losses were computed, which are finite then."""
    step_of = fake.train_step

    def train_step(self, batches):
        losses = step_of(self, batches)
        if int(self.steps.numpy()) == 4:
            kernel = self.generator.weights[0]
            kernel.assign(np.where(np.arange(9).reshape(1, 1, 3, 3) == 5, np.inf, kernel.numpy()))
        return losses

    monkeypatch.setattr(fake, "train_step", train_step)
    with pytest.raises(SystemExit, match="error: weights of the generator are no finite numbers after step 4"):
        begin()
    assert latest_checkpoint(run / "checkpoints") == run / "checkpoints" / "step-00000002"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_and_the_run_goes_on(begin, run, fake, tmp_path, capsys, number):
    begin("--output_dir", str(tmp_path / "whole"))
    before, during = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}, []

    def step(step: int) -> None:
        if step == 3:
            signal.raise_signal(number)
            during.extend(signal.getsignal(each) for each in before)

    fake.before_step = step
    begin()
    assert during == [signal.SIG_DFL] * 2  # the second one ends the process at once
    assert {each: signal.getsignal(each) for each in before} == before
    out = capsys.readouterr().out
    assert f"{number.name}: finishing this iteration, then saving; again to quit at once" in out
    assert f"stopped at step 3; continue with: pose-gan train --resume {run}" in out
    assert latest_checkpoint(run / "checkpoints") == run / "checkpoints" / "step-00000003"
    assert not (run / "samples" / "step-00000003.png").exists()
    fake.before_step = lambda step: None
    train.main(["--resume", str(run)])
    assert same(variables(run), variables(tmp_path / "whole"))


def test_a_signal_while_a_checkpoint_is_saved(begin, run, fake, monkeypatch, capsys):
    from pose_gan.training import checkpoint

    write = checkpoint.write_json
    monkeypatch.setattr(checkpoint, "write_json", lambda *a: (signal.raise_signal(signal.SIGTERM), write(*a)))
    begin()
    out = capsys.readouterr().out
    assert out.count("saved ") == 1
    assert out.count("on 5 test pairs") == 1
    assert "stopped at step 2" in out
    assert (run / "checkpoints" / "LAST").read_text() == "step-00000002\n"


def test_a_signal_to_the_process_saves_and_ends_it(tiny_data, run):
    """The first statement of a program that trains a `FakeGAN`, and then a signal from outside."""
    program = "import sys; sys.path[:0] = ['tests', 'tests/training']; import fake_gan; fake_gan.main(sys.argv[1:])"
    arguments = flags(tiny_data, "--output_dir", str(run), "--iterations_per_epoch", "10000000")
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        log = run / "log.txt"
        while not (log.exists() and "step 1/" in log.read_text()):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 0, out
    checkpoint = latest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    assert f"stopped at step {int(checkpoint.name[5:])}; continue with: pose-gan train --resume" in out


def test_memory_is_shown_where_the_system_tells_it(begin, run, monkeypatch):
    begin()
    assert " GB" in (run / "log.txt").read_text()
    memory = progress.peak_memory()
    assert memory is not None
    assert 1e8 < memory < 1e12  # bytes
    monkeypatch.setitem(sys.modules, "resource", None)  # Windows has no such module
    assert progress.peak_memory() is None
    (run / "log.txt").unlink()
    train.main(["--resume", str(run), "--number_of_epochs", "3"])
    assert "step 6/6" in (run / "log.txt").read_text()
    assert " GB" not in (run / "log.txt").read_text()


def test_checkpoints_and_samples_come_at_the_epochs_asked_for(begin, run):
    more = ["--number_of_epochs", "7", "--checkpoint_ratio", "3", "--display_ratio", "2", "--keep_checkpoints", "2"]
    begin(*more)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["LAST", "step-00000012", "step-00000014"]
    assert [int(path.stem[5:]) for path in sorted((run / "samples").iterdir())] == [4, 8, 12, 14]
    assert read_history(run / "metrics.jsonl")["test: ssim"][0] == [6, 12, 14]


def test_nothing_is_made_before_all_is_known_to_be_good(tiny_data, tmp_path, run, fake):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(InputError, match="file: cannot be written to: File exists"):
        train.main(flags(tiny_data, "--output_dir", str(file)))
    image = tiny_data.images("test")[0]
    image.write_bytes(image.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged or changed while in use"):
        train.main(flags(tiny_data, "--output_dir", str(run)))
    assert not run.exists()


def test_run_folders_are_numbered(tmp_path):
    assert new_run_dir(tmp_path, "market-mask").name == "00000-market-mask"
    (tmp_path / "00007-x").mkdir()
    assert new_run_dir(tmp_path, "y").name == "00008-y"


# --------------------------------------------------------------------------------- with the networks

TWICE = """
import functools, shutil, sys
from pathlib import Path
from pose_gan.programs import train
from pose_gan.training import trainer
trainer.GAN = functools.cache(trainer.GAN)
arguments, whole, parts = sys.argv[3:], Path(sys.argv[1]), Path(sys.argv[2])
train.main([*arguments, "--output_dir", str(whole)])
shutil.copytree(whole, parts)
shutil.rmtree(parts / "checkpoints/step-00000004")
(parts / "checkpoints/LAST").write_text("step-00000002")
train.main(["--resume", str(parts)])
"""


def test_two_and_two_steps_equal_four(tiny_data, tmp_path):
    """To the last bit: weights, optimizer slots, dropout states, losses; also over the end of a pass over the pairs.

    In a process of its own with one thread, where sums are made in one order and so repeat to the last bit. The second
    run has the networks of the first, because compiling them takes most of the time; whatever a checkpoint did not
    restore would still have its value of step 4.
    """
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    more = ["--number_of_epochs", "2", "--log_interval", "1", "--training_ratio", "2", "--batch_size", "3"]
    more += ["--use_validation", "0"]
    threads = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")
    command = [sys.executable, "-c", TWICE, str(whole), str(parts), *flags(tiny_data, *more)]
    subprocess.run(command, cwd=ROOT, env=os.environ | threads, check=True, capture_output=True)
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


def test_a_run_leaves_everything_that_is_promised(tiny_data, run, capsys):
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
    arrays = variables(run)
    saved = [arrays[f"generator/{number}"] for number in range(len(arrays)) if f"generator/{number}" in arrays]
    floats = [array for array in saved if array.dtype == np.float32]  # the others are random states
    assert all(np.array_equal(a, b) for a, b in zip(ours, floats, strict=True))


def test_given_weights_are_the_start(tiny_data, tmp_path):
    model = ModelConfig(image_size=tiny_data.image_size, width=0.02)
    first = GAN(RunConfig(model=model, train=TrainConfig(seed=1)))
    paths = {}
    for name, network in (("generator", first.generator), ("discriminator", first.discriminator)):
        paths[f"{name}_checkpoint"] = str(tmp_path / f"{name}.h5")
        save_model(network, tmp_path / f"{name}.h5")
    config = RunConfig(model=model, train=TrainConfig(seed=2, **paths))
    second = GAN(config)
    load_given_weights(config, second)
    for ours, theirs in ((first.generator, second.generator), (first.discriminator, second.discriminator)):
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    plain = ModelConfig(image_size=tiny_data.image_size, width=0.02, warp_skip="none")
    other = RunConfig(model=plain, train=TrainConfig(**paths))
    message = r"its weights do not fit the generator of these settings .* check --warp_skip"
    with pytest.raises(InputError, match=message):
        load_given_weights(other, GAN(other))
