"""`pose-gan train --profile`: a trace of the steps that were asked for, and the numbers of any other run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from fake_gan import same, variables
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from pose_gan.training.profiling import WARM_UP, Profile


def traced_steps(run) -> list[int]:
    """The numbers of the steps that a trace has."""
    (path,) = run.glob("profile/plugins/profile/*/*.xplane.pb")
    space, steps = xplane_pb2.XSpace(), []  # pyright: ignore[reportAttributeAccessIssue]
    space.ParseFromString(path.read_bytes())
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                if plane.event_metadata[event.metadata_id].name == "train":
                    stats = {plane.stat_metadata[stat.metadata_id].name: stat.int64_value for stat in event.stats}
                    steps.append(stats["step_num"])
                    assert event.duration_ps > 0
    return sorted(steps)


def losses(run) -> list[dict]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if "seconds" not in name} for record in records]


def test_a_run_writes_a_trace_and_the_numbers_stay(begin, run, fake, capsys):
    fake.loss_of = lambda step: float(step**2)
    steps = ["--iterations_per_epoch", "4", "--log_interval", "2"]
    begin(*steps)
    plain = run.rename(run.with_name("plain"))
    assert not (plain / "profile").exists()
    begin(*steps, "--profile", "2")
    assert traced_steps(run) == [WARM_UP + 1, WARM_UP + 2]
    said = (run / "log.txt").read_text()
    assert (
        f"profile of the steps 4 to 5 -> {run / 'profile'}; to look at it: pip install xprof, and xprof --log" in said
    )
    assert losses(run) == losses(plain)
    assert same(variables(run), variables(plain))
    options = [json.loads((folder / "options.json").read_text())["config"] for folder in (run, plain)]
    assert options[0] == options[1]  # it is no setting of the run


def test_a_run_that_ends_first_writes_what_there_is(begin, run, fake):
    begin("--profile")  # of four steps: the last one is left
    assert traced_steps(run) == [4]
    assert "profile of the steps 4 to 4 -> " in (run / "log.txt").read_text()


def test_a_run_that_is_too_short_says_so(begin, run, fake):
    begin("--number_of_epochs", "1", "--profile", "9")
    assert "no profile: it takes more than 3 steps, and there were 2" in (run / "log.txt").read_text()
    assert not (run / "profile").exists()


def test_an_error_in_a_step_is_the_one_to_see(tmp_path):
    said = []

    def fail():
        with Profile(tmp_path, 5, said.append) as profile:
            for number in range(100, 106):
                profile.next_step(number)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    assert traced_steps(tmp_path) == [103, 104, 105]
    with Profile(tmp_path / "other", 1, said.append) as profile:  # the trace before has ended
        for number in range(6):
            profile.next_step(number)
            tf.add(tf.constant(np.ones(3)), 1)
    assert traced_steps(tmp_path / "other") == [3]


@pytest.mark.parametrize("value", ["0", "x"])
def test_the_number_of_steps_is_checked(begin, value, capsys):
    with pytest.raises(SystemExit, match="2"):
        begin("--profile", value)
    assert "--profile: expected a whole number above 0" in capsys.readouterr().err
