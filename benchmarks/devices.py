"""What several devices cost: processes of this machine that train together, and the speed-up to expect elsewhere."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import Options, Table, ratio
from benchmarks.inputs import SIZE, size_text
from pose_gan.presets import DATASETS

ROOT = Path(__file__).resolve().parents[1]
WIDTH, QUICK_WIDTH, QUICK_SIZE = 0.25, 0.0625, (64, 64)
PAIRS = 2  # per device
REPLICAS = (2, 8, 32)
NETWORKS = {
    "1 Gbit/s": 0.125e9,
    "10 Gbit/s": 1.25e9,
    "100 Gbit/s": 12.5e9,
    "PCIe 4, 25 GB/s": 25e9,
    "NVLink, 400 GB/s": 4e11,
}
WAIT = 600  # seconds for a process


@dataclass(frozen=True)
class Form:
    """A way to train: `processes` of `devices` CPU devices each, every process on the cores `cores` of it."""

    name: str
    processes: int
    devices: int
    cores: tuple[tuple[int, ...], ...]

    @property
    def replicas(self) -> int:
        return self.processes * self.devices


FORMS = (
    Form("1 process, 1 core", 1, 1, ((0,),)),
    Form("2 processes, 1 core each", 2, 1, ((0,), (1,))),
    Form("1 process, 2 cores", 1, 1, ((0, 1),)),
    Form("1 process, 2 devices on 2 cores", 1, 2, ((0, 1),)),
)


def run(options: Options) -> list[Table]:
    size, width = (QUICK_SIZE, QUICK_WIDTH) if options.quick else (DATASETS["market"].image_size, WIDTH)
    tables = [_on_this_machine(size, width, options)]
    return [*tables, *_on_paper(options)]


def _on_this_machine(size: SIZE, width: float, options: Options) -> Table:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    forms = [form for form in FORMS if max(max(each) for each in form.cores) < len(cores)]
    rows: list[dict[str, Any]] = []
    for form in forms:
        for pairs in dict.fromkeys((PAIRS * form.replicas, PAIRS * 2)):
            seconds = _time(form, pairs, size, width, options.few_repeats, cores)
            rows.append({"form": form.name, "pairs": pairs, "ms": 1000 * seconds, "rate": pairs / seconds})
    first = rows[0]["rate"]
    for row in rows:
        row["speedup"] = row["rate"] / first
    columns = {
        "form": "training",
        "pairs": "pairs per iteration",
        "ms": "ms",
        "rate": "pairs/s",
        "speedup": "times the first",
    }
    notes = [
        f"preset full, {size_text(size)}, width {width:g}. The gradients of all numbers are added up in every "
        "iteration, between processes over the loopback network. A process keeps to its cores."
    ]
    return Table("Training with several devices on this machine", columns, rows, notes)


def _time(form: Form, pairs: int, size: SIZE, width: float, repeats: int, cores: list[int]) -> float:
    """Median seconds of an iteration, as the chief sees it."""
    ports = [_free_port() for _ in range(form.processes)]
    addresses = [f"localhost:{port}" for port in ports]
    running = []
    for index in range(form.processes):
        request = {
            "addresses": addresses if form.processes > 1 else [""],
            "index": index,
            "devices": form.devices,
            "cores": [cores[core] for core in form.cores[index]],
            "pairs": pairs,
            "image_size": size,
            "width": width,
            "repeats": repeats,
        }
        command = [sys.executable, "-m", "benchmarks.devices", json.dumps(request)]
        running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    try:
        said = [process.communicate(timeout=WAIT) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, (_, errors) in zip(running, said, strict=True):
        if process.returncode:
            raise RuntimeError(f"training with {form.name} failed:\n{errors[-2000:]}")
    return float(said[0][0].splitlines()[-1])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def main(request: str) -> None:
    """One of the processes. The chief prints the median seconds of an iteration."""
    values = json.loads(request)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, values["cores"])
    from pose_gan import runtime

    runtime.start()
    from benchmarks.inputs import random_batch
    from benchmarks.step import make_config
    from pose_gan.training.devices import Devices
    from pose_gan.training.distribution import open_distribution
    from pose_gan.training.gan import GAN
    from pose_gan.training.team import Team

    team = Team(values["addresses"], values["index"])
    with team.joined():
        distribution = open_distribution(Devices("CPU", tuple(range(values["devices"]))), team)
        gan = GAN(make_config("full", tuple(values["image_size"]), values["pairs"], 3, values["width"]), distribution)
        batch = random_batch(values["pairs"] // team.size, tuple(values["image_size"]))
        seconds = []
        for _ in range(2 + values["repeats"]):
            started = time.perf_counter()
            float(gan.train_step([batch] * gan.batches_per_iteration)["generator"])
            seconds.append(time.perf_counter() - started)
    if team.is_chief:
        print(median(seconds[2:]))


def _on_paper(options: Options) -> list[Table]:
    """The speed-up to expect of more devices, from the bytes that they exchange, and the images that they need."""
    from benchmarks.step import make_config, make_gan

    item = DATASETS["market"]
    gan = make_gan("full", make_config("full", item.image_size, item.batch_size, item.nn_window, 1.0))
    numbers = sum(model.count_params() for model in (gan.generator, gan.discriminator))
    seconds = options.iteration_ms / 1000
    rows = []
    for name, bandwidth in NETWORKS.items():
        row: dict[str, Any] = {"network": name, "ms": 1000 * exchange_seconds(4 * numbers, 2, bandwidth)}
        for count in REPLICAS:
            together = seconds + exchange_seconds(4 * numbers, count, bandwidth)
            row[str(count)] = ratio(count * seconds, together)
        rows.append(row)
    columns = {"network": "between devices", "ms": "ms exchanged, 2 devices"}
    columns |= {str(count): f"speed-up of {count}" for count in REPLICAS}
    notes = [
        f"{numbers / 1e6:.1f} M numbers of 4 bytes, added up in a ring: every device sends and receives 2·(n − 1)/n of "
        f"them in an iteration, which takes {options.iteration_ms:g} ms (--iteration_ms) on one device. Nothing is "
        "exchanged while the devices compute: the real speed-up lies between this and n. Each device has a batch of "
        "its own, so the whole batch is n times as large.",
        f"{2 * item.batch_size / seconds:,.0f} images/s are read for each device, at {item.batch_size} pairs an "
        "iteration; `python -m benchmarks pipeline` measures what this machine can read.",
    ]
    return [Table("Speed-up to expect, width 1, on paper", columns, rows, notes)]


def exchange_seconds(content: float, count: int, bandwidth: float) -> float:
    """Seconds in which a ring of `count` devices adds up `content` bytes, at `bandwidth` bytes/s of each device."""
    return 2 * (count - 1) / count * content / bandwidth


if __name__ == "__main__":
    main(sys.argv[1])
