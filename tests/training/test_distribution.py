"""Training on several devices gives the numbers of one; which devices there are; which pairs each worker reads."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from fake_gan import flags
from workers import Workers

from pose_gan.config import TrainConfig
from pose_gan.data.batches import iterate, training_batches
from pose_gan.data.pair_data import open_pairs
from pose_gan.errors import InputError, InputWarning
from pose_gan.programs import train
from pose_gan.training.devices import Cluster, Devices, cluster_of, devices
from pose_gan.training.distribution import Distribution, find_cluster, open_distribution
from pose_gan.training.team import Team

PROGRAM = Path(__file__).with_name("replica_runs.py")
ALL_LOSSES = {"discriminator", "adversarial", "nearest_neighbour", "total_variation", "structure", "generator"}

NEIGHBOURS = ("full", "full, two passes", "sum over pixels", "small")


def replica_runs(count: int, *names: str) -> dict[str, Any]:
    command = [sys.executable, str(PROGRAM), str(count), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def assert_same(name: str, found: dict[str, Any]) -> None:
    """Losses to 1e-5, relative; weights to 1e-5; gradients to 2e-5 of the largest of an array.

    Gradients of the NN loss are looser: of two neighbours that are equally near but for rounding, either may be chosen.
    The weights' bound is two hundredths of the change that Adam has made by then; the gradients tell what it hides: a
    loss that is some factor too large.
    """
    bounds = {"losses": 1e-5, "first": 5e-3 if name in NEIGHBOURS else 2e-5, "copies": 0}
    bounds |= {"generator apart": 1e-5, "discriminator apart": 1e-5}
    assert [key for key, bound in bounds.items() if found[key] > bound] == [], (name, found)


@pytest.fixture(scope="module")
def two() -> dict[str, Any]:
    return replica_runs(2, "small", "masks", "adam", "interchange")


def test_two_replicas_equal_one_device(two):
    """With all losses, of which some are sums; `two_passes` and other settings are compared in the slow tests."""
    assert_same("small", two["small"])
    assert set(two["small"]["names"]) == ALL_LOSSES


def test_two_workers_equal_one_device(tmp_path):
    """The gradients go over the network, and each worker is given its own pairs only."""
    for each in Workers(tmp_path, ["1", "baseline"], program=[str(PROGRAM)]).ended():
        assert each.status == 0, each.text
        assert_same("baseline", json.loads(each.text.splitlines()[-1])["baseline"])


def test_dropout_differs_between_replicas_and_can_be_repeated(two):
    masks = two["masks"]
    assert masks["different masks"] == 4  # two replicas, two draws
    assert masks["repeatable"]
    assert masks["first replica as one device"]
    assert len({tuple(state) for state in masks["states"]}) == 1  # what a checkpoint notes of it


def test_the_fused_optimizer_is_adam_on_replicas_too(two):
    assert two["adam"] < 1e-5


def test_checkpoints_pass_between_numbers_of_devices(two):
    assert set(two["interchange"].values()) == {True}, two["interchange"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["baseline", "dsc", "fm", "full"])
def test_two_replicas_equal_one_device_in_every_preset(name):
    names = [name, f"{name}, two passes"]
    found = replica_runs(2, *names)
    for each in names:
        assert_same(each, found[each])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["everything", "sum over pixels", "no discriminator"])
def test_two_replicas_equal_one_device_with_other_settings(name):
    assert_same(name, replica_runs(2, name)[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["baseline", "full", "sum over pixels"])
def test_four_replicas_equal_one_device(name):
    found = replica_runs(4, name, "masks", "adam")
    assert_same(name, found[name])
    assert found["adam"] < 1e-5
    assert found["masks"]["different masks"] == 8


@pytest.mark.slow
def test_bfloat16_differs_by_its_rounding():
    found = replica_runs(2, "bfloat16")["bfloat16"]
    bounds = {"losses": 1e-2, "first": 0.1, "copies": 0}
    assert [key for key, bound in bounds.items() if found[key] > bound] == [], found


def test_workers_share_the_batches_of_one(tiny_data):
    """Worker w of W has the pairs [w·G/W, (w+1)·G/W) of each batch, over the end of a pass and from any position."""
    data = open_pairs(tiny_data.config, "train", tiny_data.image_size)

    def some(position: int, worker: int = 0, workers: int = 1) -> list[dict[str, np.ndarray]]:
        batches = iterate(training_batches(data, 4, 3, position, worker, workers), data)
        return [{name: np.array(values) for name, values in next(batches).items()} for _ in range(6)]

    for position in (0, 12):
        whole = some(position)
        for workers in (2, 4):
            shares = [some(position, worker, workers) for worker in range(workers)]
            for step, batch in enumerate(whole):
                for name, values in batch.items():
                    parts = [share[step][name] for share in shares]
                    assert all(len(part) == 4 // workers for part in parts)
                    np.testing.assert_array_equal(np.concatenate(parts), values)


def test_a_worker_reads_its_own_images_only(tiny_data):
    """The images of the other worker's share of the first batch are damaged, and it does not notice."""
    data = open_pairs(tiny_data.config, "train", tiny_data.image_size)
    order = np.random.default_rng([0, 0]).permutation(len(data))
    mine, others = ({data.names[i] for i in np.ravel(data.numbers[rows])} for rows in (order[:1], order[1:2]))
    for name in others - mine:
        data.image_path(name).write_bytes(b"no image")
    assert others - mine
    next(iter(training_batches(data, 2, 0, 0, 0, 2)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", Devices()),
        ("cpu", Devices("CPU")),
        ("all", Devices("GPU", None)),
        ("2", Devices("GPU", (0, 1))),
        ("0,2", Devices("GPU", (0, 2))),
        ("GPU:1", Devices("GPU", (1,))),
        ("gpu:0, gpu:3", Devices("GPU", (0, 3))),
        ("CPU:0,CPU:1", Devices("CPU", (0, 1))),
        ("slurm", Devices(slurm=True)),
    ],
)
def test_devices_are_understood(text, expected):
    assert devices(text) == expected


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "GPU", "GPU:0,CPU:0", "0,0", "1.5", "CPU:0,,CPU:1", "99999"])
def test_what_names_no_devices_is_refused(text, tiny_data, capsys):
    with pytest.raises(InputError, match=r"names no devices; allowed: auto, cpu, all|names a device twice"):
        devices(text)
    with pytest.raises(SystemExit, match="2"):
        train.main(flags(tiny_data, f"--devices={text}"))
    assert "argument --devices" in capsys.readouterr().err


class Machine:
    """Stands for a machine with some GPUs; notes what TensorFlow is told to see of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
        self.gpus, self.seen = [f"gpu {number}" for number in range(gpus)], None
        found = {"GPU": self.gpus, "CPU": ["cpu"]}
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: found[kind])
        monkeypatch.setattr(tf.config, "set_visible_devices", self._see)

    def _see(self, shown: list[str], kind: str) -> None:
        assert kind == "GPU"
        self.seen = shown


@pytest.mark.parametrize(
    ("gpus", "text", "message"),
    [
        (0, "all", "asks for all GPUs; this machine has no GPU that TensorFlow can use and a CPU"),
        (2, "3", "asks for GPU:0,GPU:1,GPU:2; this machine has GPU:0, GPU:1 and a CPU"),
        (2, "GPU:7", "asks for GPU:7; this machine has GPU:0, GPU:1"),
    ],
)
def test_devices_that_are_not_there_are_refused(monkeypatch, gpus, text, message):
    Machine(monkeypatch, gpus)
    with pytest.raises(InputError, match=re.escape(message)):
        open_distribution(devices(text), Team())


@pytest.mark.parametrize(
    ("gpus", "text", "number", "seen"),
    [
        (1, "auto", 0, None),
        (3, "auto", 0, ["gpu 0"]),
        (3, "auto", 2, ["gpu 2"]),
        (1, "slurm", 5, None),  # srun shows each task its own GPU
        (3, "GPU:1", 0, ["gpu 1"]),
        (1, "all", 0, None),
        (2, "cpu", 0, []),
        (0, "cpu", 0, None),
    ],
)
def test_one_device_is_chosen(monkeypatch, gpus, text, number, seen):
    """And where TensorFlow would do the same, it is told nothing."""
    machine = Machine(monkeypatch, gpus)
    assert open_distribution(devices(text), Team(), number).replicas == 1
    assert machine.seen == seen


def test_what_several_devices_cannot_train_is_refused():
    class Eight(Distribution):
        def __init__(self) -> None:
            super().__init__()
            self.replicas = 8

    Eight().check(TrainConfig(batch_size=16))
    Eight().check(TrainConfig(batch_size=8, precision="mixed_bfloat16"))
    with pytest.raises(InputError, match=r"--batch_size 20 cannot be shared among 8 devices.*such as 16 or 24"):
        Eight().check(TrainConfig(batch_size=20))
    with pytest.raises(InputError, match=r"--batch_size 4 cannot be shared among 8 devices.*such as 8$"):
        Eight().check(TrainConfig(batch_size=4))
    with pytest.raises(InputError, match="--precision mixed_float16 works on one device only"):
        Eight().check(TrainConfig(batch_size=8, precision="mixed_float16"))
    Distribution().check(TrainConfig(precision="mixed_float16"))


def described(index: int = 0, kind: str = "worker", **jobs: list[str]) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})}


def test_tf_config_is_understood():
    assert cluster_of({}) is None
    assert cluster_of({"TF_CONFIG": "{}"}) is None
    assert cluster_of(described(worker=["a:1"])) is None
    assert cluster_of(described(1, worker=["a:1", "b:2"])) == Cluster(("a:1", "b:2"), 1)
    assert cluster_of(described(0, worker=["a:1", "b:2"], chief=["c:3"])) == Cluster(("c:3", "a:1", "b:2"), 1)
    assert cluster_of(described(2, worker=["a:1", "b:2", "a:3"])) == Cluster(("a:1", "b:2", "a:3"), 2, on_machine=1)
    assert cluster_of(described(0, "chief", worker=["a:1"], chief=["c:3"])) == Cluster(("c:3", "a:1"), 0)


def test_a_tf_config_without_a_cluster_is_noted():
    with pytest.warns(InputWarning, match="no 'cluster', so this process trains alone"):
        assert cluster_of({"TF_CONFIG": '{"clusters": {"worker": ["a:1", "b:2"]}}'}) is None


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TF_CONFIG": "{"}, "TF_CONFIG: no description of a cluster"),
        ({"TF_CONFIG": "[]"}, "TF_CONFIG: no description of a cluster"),
        (described(2, worker=["a:1", "b:2"]), "there is no worker 2 in the cluster"),
        (described(0, "evaluator", worker=["a:1", "b:2"]), "there is no evaluator 0"),
        (described(0, worker=["a:1", "b:2"], ps=["c:3"]), "tasks ps have nothing to do here; allowed: worker, chief"),
        (described(0, worker=["a:1", "b"]), "'b' is no address, expected HOST:PORT"),
        (described(0, worker=["a:1", "http://b:2"]), "'http://b:2' is no address"),
        (described(0, worker=["a:1", "b:70000"]), "'b:70000' is no address"),
        (described(0, worker=["a:1", "a:1"]), "the address a:1 is there twice"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:2"]}}'}, "which worker is this?"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker"}}'}, "which worker is this?"),
    ],
)
def test_a_tf_config_that_makes_no_sense_is_refused(environment, message):
    with pytest.raises(InputError, match=message):
        cluster_of(environment)


def test_the_step_of_slurm_is_understood(monkeypatch):
    """Twelve machines, of which the first has two tasks; the numbers of machines are not padded."""
    hosts = [f"node{number}" for number in range(1, 13)]
    step = {
        "SLURM_JOB_ID": "4711",
        "SLURM_STEP_NUM_TASKS": "13",
        "SLURM_STEP_NODELIST": "node[1-12]",
        "SLURM_STEP_TASKS_PER_NODE": "2,1(x11)",
        "SLURM_PROCID": "12",
        "SLURM_LOCALID": "0",
        "SLURMD_NODENAME": "node12",
    }
    for name, value in step.items():
        monkeypatch.setenv(name, value)
    cluster = find_cluster(devices("slurm"), step)
    assert cluster is not None
    assert cluster.index == 12
    assert [address.split(":")[0] for address in cluster.addresses] == ["node1", *hosts]
    assert len(set(cluster.addresses)) == 13
    monkeypatch.setenv("SLURM_PROCID", "3")
    with pytest.raises(InputError, match=r"task 3 runs on node12.*node3:\d+; give srun --distribution=block"):
        find_cluster(devices("slurm"), {**step, "SLURM_PROCID": "3"})
    with pytest.raises(InputError, match="--devices slurm: no step of srun is to be seen"):
        find_cluster(devices("slurm"), {})
