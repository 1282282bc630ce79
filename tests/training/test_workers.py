"""Training in several processes: what they share, and how they end together. The processes are real ones."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from fake_gan import flags, variables
from workers import Workers

from pose_gan import load_generator
from pose_gan.model_files.run_folder import checkpoints_in, latest_checkpoint, step_of
from pose_gan.versions import versions


@pytest.fixture
def command(tiny_data, run: Path) -> list[str]:
    """The flags of a run of eight steps, of which every second is saved."""
    return flags(
        tiny_data, "--number_of_epochs", "4", "--batch_size", "4", "--log_interval", "1", "--output_dir", str(run)
    )


def losses(run: Path) -> dict[int, float]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {record["step"]: record["l1"] for record in records if record["split"] == "train"}


def whole_checkpoints(run: Path) -> list[int]:
    """The steps of all checkpoints; each can be read to its end."""
    for checkpoint in checkpoints_in(run / "checkpoints"):
        with np.load(checkpoint / "variables.npz") as arrays:
            assert all(arrays[key].size for key in arrays)
        assert json.loads((checkpoint / "state.json").read_text())["step"] == step_of(checkpoint)
        load_generator(checkpoint / "generator.h5")
    return [step_of(checkpoint) for checkpoint in checkpoints_in(run / "checkpoints")]


def assert_close(run: Path, other: Path) -> None:
    """Two runs saw the same pairs, step by step, and ended with the same weights."""
    ours, theirs = variables(run), variables(other)
    assert set(ours) == set(theirs)
    for key in ours:
        np.testing.assert_allclose(ours[key], theirs[key], atol=1e-6, err_msg=key)
    assert losses(run) == pytest.approx(losses(other), abs=1e-6)


def test_a_signal_at_one_worker_stops_both_and_one_device_goes_on(command, run, tmp_path):
    """All stop after the same step, and the run sees the pairs that it would have seen on one device."""
    whole = tmp_path / "whole"
    alone = Workers(tmp_path, [*command, "--output_dir", str(whole)], [()])
    stopped = Workers(tmp_path, command, fates={1: {"at": {"3": "terminate"}}}).ended()
    assert alone.ended()[0].status == 0
    assert [each.status for each in stopped] == [0, 0], stopped
    assert "stopped at step 5; continue with: pose-gan train --resume" in stopped[0].text
    assert "on 2 devices in 2 processes" in stopped[0].text
    assert "SIGTERM: finishing this iteration" in stopped[1].text
    assert "step 5" not in stopped[1].text
    assert "worker 1 of 2" in stopped[1].text
    assert latest_checkpoint(run / "checkpoints") == run / "checkpoints" / "step-00000005"
    resumed = Workers(tmp_path, ["--resume", str(run)], [()]).ended()
    assert resumed[0].status == 0, resumed[0].text
    assert_close(run, whole)


def test_a_killed_worker_ends_the_others(command, run, tmp_path):
    killed = Workers(tmp_path, command, fates={1: {"at": {"6": "kill"}}}).ended()
    assert killed[1].status == -9
    assert killed[0].status == 1, killed[0].text
    assert killed[0].seconds - killed[1].seconds < 60
    message = r"error: worker 1 \(localhost:\d+\) ended without a word \(it was killed.*\); the last checkpoint is "
    assert re.search(message + r".*step-00000004; to go on from there, .*--resume", killed[0].text), killed[0].text
    assert whole_checkpoints(run) == [2, 4]


def test_differences_are_named_on_every_worker(command, run, tiny_data, tmp_path):
    """Versions, settings and data; the run's folder is not even made."""
    other = tmp_path / "other"
    shutil.copytree(tiny_data.root, other)
    lines = tiny_data.pairs().read_text().splitlines()
    (other / tiny_data.pairs().name).write_text("\n".join(lines[:-1]) + "\n")
    fates = {1: {"patch": {"pose_gan.training.handshake.versions": {"keras": "3.13.0"}}}}
    ended = Workers(tmp_path, command, [[], ["--pairs_dir", str(other), "--seed", "3"]], fates).ended()
    for each in ended:
        assert each.status == 2, each.text
        assert "error: the workers cannot train together: worker 1 (localhost:" in each.text
        assert f"has keras 3.13.0, the chief {versions()['keras']}" in each.text
        assert "has tensorflow-cpu nothing, the chief" in each.text or "has tensorflow nothing" in each.text
        assert "has --seed 3, the chief 0" in each.text
        assert "has training pairs 17, the chief 18" in each.text
    assert not run.exists()


@pytest.mark.slow
def test_other_workers_go_on_with_a_run_of_one_device(command, run, tmp_path):
    whole = tmp_path / "whole"
    assert Workers(tmp_path, [*command, "--output_dir", str(whole)], [()]).ended()[0].status == 0
    for count, more in ((1, []), (2, ["--resume", "auto"]), (4, ["--resume", "auto"])):
        fates = {0: {"at": {str(2 * count - 1): "terminate"}}}
        ended = Workers(tmp_path, [*command, *more], [()] * count, fates).ended()
        assert [each.status for each in ended] == [0] * count, ended
    assert_close(run, whole)


@pytest.mark.slow
@pytest.mark.parametrize("who", [0, 1])
def test_a_frozen_worker_ends_the_others(command, run, tmp_path, who):
    workers = Workers(tmp_path, command, fates={who: {"at": {"6": "freeze"}}})
    workers.wait_for(0, "step 5/8")
    began = time.monotonic()
    other = workers.processes[1 - who]
    assert other.wait(70) == 1, workers.text(1 - who)
    assert time.monotonic() - began < 60
    workers.processes[who].kill()
    assert f"error: worker {who} (localhost:" in workers.text(1 - who)
    assert "no sign of life for 30 s" in workers.text(1 - who)
    assert whole_checkpoints(run) == [2, 4]


@pytest.mark.slow
def test_the_chief_is_killed_while_it_saves(command, run, tmp_path):
    """What stood before is whole, and the run goes on from there as if nothing had happened."""
    whole = tmp_path / "whole"
    assert Workers(tmp_path, [*command, "--output_dir", str(whole)], [()]).ended()[0].status == 0
    killed = Workers(tmp_path, command, fates={0: {"at": {"6": "kill_while_saving"}}}).ended()
    assert [each.status for each in killed] == [-9, 1], killed
    assert "error: worker 0 (localhost:" in killed[1].text
    assert ", the chief, ended without a word" in killed[1].text
    assert killed[1].seconds - killed[0].seconds < 60
    assert whole_checkpoints(run) == [2, 4]
    again = Workers(tmp_path, [*command, "--resume", "auto"]).ended()
    assert [each.status for each in again] == [0, 0], again
    assert_close(run, whole)


@pytest.mark.slow
def test_a_worker_that_is_killed_while_the_chief_saves_does_not_spoil_the_checkpoint(command, run, tmp_path):
    workers = Workers(tmp_path, command, fates={0: {"at": {"6": "slow_saving"}}})
    workers.wait_for(0, "SAVING")
    workers.processes[1].kill()
    assert [each.status for each in workers.ended()] == [1, -9]
    assert "error: worker 1 (localhost:" in workers.text(0)
    assert whole_checkpoints(run) == [2, 4, 6]


@pytest.mark.slow
def test_a_full_disk_at_the_chief_ends_all_in_order(command, run, tmp_path):
    ended = Workers(tmp_path, command, fates={0: {"at": {"6": "fill_disk"}}}).ended()
    assert [each.status for each in ended] == [1, 1], ended
    assert re.search(r"error: .*File too large.*step-00000006", ended[0].text), ended[0].text
    assert re.search(r"error: worker 0 .*, the chief, has an error: .*File too large", ended[1].text), ended[1].text
    assert whole_checkpoints(run) == [2, 4]


@pytest.mark.slow
def test_an_error_at_one_worker_is_told_by_all(command, run, tmp_path):
    ended = Workers(tmp_path, command, fates={1: {"at": {"6": "fail"}}}).ended()
    assert [each.status for each in ended] == [1, 2], ended
    assert "error: 000.jpg: damaged or changed while in use" in ended[1].text
    assert re.search(r"error: worker 1 .* ended: 000.jpg: damaged or changed while in use; the last", ended[0].text)


@pytest.mark.slow
def test_losses_that_are_no_numbers_end_all(command, run, tmp_path):
    fates = {who: {"divisor": 0.0} for who in (0, 1)}
    for each in Workers(tmp_path, command, fates=fates).ended():
        assert each.status == 1
        assert "error: the loss 'l1' became -inf between steps 1 and 1" in each.text, each.text


@pytest.mark.slow
def test_workers_wait_for_one_that_is_late(command, run, tmp_path):
    ended = Workers(tmp_path, command, late=12).ended()
    assert [each.status for each in ended] == [0, 0], ended
    assert "waiting for worker 1 (localhost:" in ended[0].text


@pytest.mark.slow
def test_workers_that_never_come_are_named(command, tmp_path):
    patch = {"patch": {"pose_gan.training.joining.JOIN_SECONDS": 3.0}}
    for present in (0, 1):
        workers = Workers(tmp_path, command, fates={0: patch, 1: patch}, late=0)
        workers.processes[1 - present].kill()
        assert workers.processes[present].wait(60) == 2
        assert f"worker {1 - present} (localhost:" in workers.text(present), workers.text(present)


@pytest.mark.slow
def test_folders_that_are_not_shared_are_refused(command, tmp_path):
    fates = {1: {"patch": {"pose_gan.training.handshake.PATIENCE_SECONDS": 1.0}}}
    own = [[], ["--output_dir", str(tmp_path / "another")]]
    ended = Workers(tmp_path, command, own, fates).ended()
    assert [each.status for each in ended] == [2, 2], ended
    assert "this is not the folder into which the chief writes" in ended[0].text
    assert "this is not the folder into which the chief writes" in ended[1].text


@pytest.mark.slow
def test_a_mistake_of_one_worker_is_told_by_all(command, tmp_path):
    """No images there; and the batches cannot be shared."""
    ended = Workers(tmp_path, command, [[], ["--images_dir", str(tmp_path / "absent")]]).ended()
    assert [each.status for each in ended] == [2, 2], ended
    assert "absent" in ended[0].text
    assert "error: worker 1 (localhost:" in ended[0].text
    for each in Workers(tmp_path, [*command, "--batch_size", "3"]).ended():
        assert each.status == 2
        assert "--batch_size 3 cannot be shared among 2 devices" in each.text
        assert "such as 2 or 4" in each.text
