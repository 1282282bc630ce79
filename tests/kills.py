"""Kills the long programs at random moments, again and again, and compares their end with that of an unbroken run.

    python tests/kills.py --times 100 --folder kills

Each program runs at a small size, in one thread, so that sums repeat to the last bit. It is killed with kill -9 at a
random moment: before its work has begun, or up to `--seconds` (at most half the time of the whole work) after that.
Then the same command is given again, until it reaches its end. What it leaves must be what the unbroken run left, bit
for bit: weights, optimizer slots, random states, records, CSVs and pictures. After each kill, what stands on disk must
be whole.

| program | what happens to it |
| --- | --- |
| train, annotate, test | kill -9 |
| signals | SIGTERM while `train` saves, and Ctrl-C twice |
| disk | each of the three on a disk that is too small (as root, for a tmpfs is mounted; else it is skipped) |

The exit status is 1 if anything was lost; the folder then keeps what was found.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import h5py
import numpy as np
import pandas as pd
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")
EARLY = 0.2  # share of the kills that come before the work has begun
PROGRAMS = ("train", "annotate", "test", "signals", "disk")


class LostError(Exception):
    """A program lost something, or ended as it should not."""


@dataclass(frozen=True)
class Work:
    """A program that is killed.

    Attributes:
        name: its name.
        command: folder of its output → its command line; given again, it goes on where it was.
        done: folder → a number that grows as the work goes on, 0 if it has not begun.
        check: checks what stands in a folder after a kill. Raises AssertionError.
        content: folder → what the work left, by name.
    """

    name: str
    command: Callable[[Path], list[str]]
    done: Callable[[Path], int]
    check: Callable[[Path], None]
    content: Callable[[Path], dict[str, Any]]


@dataclass
class Report:
    """What happened to a program.

    Attributes:
        kills: kills, signals or full disks.
        early: kills before the work had begun.
        ends: runs that reached their end after kills, and were compared.
        lost: what was found to be wrong.
        skipped: why nothing was done; empty if something was.
        seconds: the time of it all.
    """

    kills: int = 0
    early: int = 0
    ends: int = 0
    lost: list[str] = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0


# --------------------------------------------------------------------------------------- the programs


def works(data: Path) -> dict[str, Work]:
    """The programs, on the data set in a folder; `test` uses the generator `data/generator.h5`."""
    python, own = sys.executable, ["--dataset", "demo", "--images_dir", str(data / "images")]
    own_test = [*own, "--annotations_dir", str(data / "annotations")]
    own_train = [*own_test, "--pairs_dir", str(data / "few_pairs")]
    sizes = ["--width", "0.02", "--batch_size", "2", "--iterations_per_epoch", "3", "--number_of_epochs", "6"]
    train = [python, str(ROOT / "train.py"), *own_train, *sizes, "--log_interval", "1"]
    annotate = [python, "-m", "data_prep", "annotate", *own, "--pose_estimator", "demo", "--split", "train"]
    generator = ["--generator_checkpoint", str(data / "generator.h5"), "--batch_size", "3", "--metrics", "ssim,l1"]
    return {
        "train": Work(
            "train",
            lambda folder: [*train, "--output_dir", str(folder), "--resume", "auto"],
            lambda folder: _text(folder / "log.txt").count("s/it"),
            _check_run,
            _run,
        ),
        "annotate": Work(
            "annotate",
            lambda folder: [*annotate, "--batch_size", "1", "--annotations_dir", str(folder)],
            lambda folder: _text(folder / "demo-annotation-train.csv.journal").count("\n"),
            lambda folder: None,
            lambda folder: _files(folder),
        ),
        "test": Work(
            "test",
            lambda folder: [
                *(python, str(ROOT / "test.py"), *own_test, *generator),
                *("--generated_images_dir", str(folder), "--images_for_test", "150"),
            ],
            lambda folder: len(list(folder.glob("*.png"))),
            _check_pictures,
            lambda folder: _files(folder, leave_out=("metrics.json", "metrics.csv")),  # they tell folder and time
        ),
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _files(folder: Path, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in leave_out)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _run(folder: Path) -> dict[str, Any]:
    """A training run: its files, except the console's and TensorBoard's; of those that tell the time, the rest."""
    content = {name: value for name, value in _files(folder).items() if not name.startswith(("tensorboard", "log.txt"))}
    content["options.json"] = json.loads(content["options.json"])["config"]
    lines = map(json.loads, content["metrics.jsonl"].decode().splitlines())
    content["metrics.jsonl"] = [{k: v for k, v in line.items() if "seconds" not in k} for line in lines]
    for name in content:
        if name.endswith(".npz"):
            with np.load(folder / name) as arrays:
                content[name] = {key: arrays[key].tobytes() for key in arrays.files}
        elif name.endswith(".h5"):
            content[name] = {}
            with h5py.File(folder / name) as file:
                file.visititems(
                    lambda key, item, values=content[name]: (
                        values.update({key: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
                    )
                )
    return content


def _check_run(folder: Path) -> None:
    """Every checkpoint is whole, and the last one is there."""
    checkpoints = list((folder / "checkpoints").glob("step-*"))
    for path in checkpoints:
        assert json.loads((path / "state.json").read_text())["step"] == int(path.name[5:])
        with np.load(path / "variables.npz") as arrays:
            assert all(np.isfinite(arrays[key]).all() for key in arrays.files)
        for name in ("generator.h5", "discriminator.h5"):
            with h5py.File(path / name) as file:
                assert "model_weights" in file
    if (folder / "checkpoints" / "LAST").exists():
        assert folder / "checkpoints" / _text(folder / "checkpoints" / "LAST").strip() in checkpoints


def _check_pictures(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        if ".part" not in str(path):
            with Image.open(path) as image:
                image.load()


# ------------------------------------------------------------------------------------------ the kills


@dataclass
class Killer:
    """Kills programs in a folder.

    Attributes:
        folder: where all files go.
        seconds: the longest time from the beginning of the work to a kill.
        random: all chance.
    """

    folder: Path
    seconds: float
    random: random.Random

    def kill(self, work: Work, times: int) -> Report:
        """Kills a program at random moments, until it has been killed that often and has reached an end after that."""
        whole, startup, duration = self.unbroken(work)
        delays = min(self.seconds, duration / 2)

        def one(folder: Path, report: Report) -> bool:
            early = self.random.random() < EARLY
            with self._started(work, folder) as process:
                before = work.done(folder)
                begun = time.monotonic()
                if not early:
                    _wait(process, lambda: work.done(folder) != before)
                    begun = time.monotonic()
                end = begun + self.random.uniform(0, startup if early else delays)
                _wait(process, lambda: time.monotonic() > end)
                if process.poll() is not None:
                    return self._ended(process, folder)
                process.kill()
            report.kills += 1
            report.early += early
            return False

        return self._again(work, times, whole, one)

    def signals(self, work: Work, times: int) -> Report:
        """SIGTERM while a checkpoint is being saved, and Ctrl-C twice, in turn."""
        whole, _, duration = self.unbroken(work)
        saving = lambda folder: any((folder / "checkpoints").glob(".step-*"))  # noqa: E731

        def one(folder: Path, report: Report) -> bool:
            twice = self.random.random() < 0.5
            with self._started(work, folder) as process:
                before = work.done(folder)
                _wait(process, lambda: work.done(folder) != before)
                end = time.monotonic() + self.random.uniform(0, min(self.seconds, duration / 2))
                _wait(process, lambda: time.monotonic() > end)
                if not twice:
                    _wait(process, lambda: saving(folder), 0.0005)
                if process.poll() is not None:
                    return self._ended(process, folder)
                process.send_signal(signal.SIGINT if twice else signal.SIGTERM)
                if twice:
                    _wait(process, lambda: "finishing this iteration" in _text(self._console(folder)), 0.0005)
                    end = time.monotonic() + self.random.uniform(0, 0.05)
                    _wait(process, lambda: time.monotonic() > end, 0.0005)
                    process.send_signal(signal.SIGINT)
                process.wait()
                if process.returncode not in ((0, -signal.SIGINT) if twice else (0,)):
                    raise LostError(f"status {process.returncode} after a signal: {self._errors(folder)}")
            report.kills += 1
            return False

        return self._again(work, times, whole, one)

    def full_disks(self, each: Sequence[Work], times: int) -> Report:
        """Runs programs in turn on disks that are too small, and then on a large one from what is there."""
        report, started = Report(), time.monotonic()
        disk = self.folder / "disk"
        disk.mkdir()
        if reason := _mount(disk, 1 << 20):
            report.skipped = reason
            return report
        _unmount(disk)
        wholes = {work.name: self.unbroken(work)[0] for work in each}
        for number in range(times):
            work = each[number % len(each)]
            whole = self.folder / "whole" / work.name
            needed = sum(-(-path.stat().st_size // 4096) * 4096 for path in whole.rglob("*") if path.is_file())
            with self._noting(report, work, number) as folder:
                _mount(disk, 4096 * self.random.randint(2, max(3, needed // 4096)))
                try:
                    with self._started(work, disk / "output") as process:
                        process.wait()
                    told = [line for line in self._errors(disk / "output").splitlines() if line.startswith("error: ")]
                    if process.returncode != 0:
                        if process.returncode != 1 or len(told) != 1 or "No space left" not in told[0]:
                            raise LostError(f"status {process.returncode}: {self._errors(disk / 'output')}")
                        report.kills += 1
                    if (disk / "output").exists():
                        work.check(disk / "output")
                        shutil.copytree(disk / "output", folder)
                finally:
                    _unmount(disk)
                self._to_the_end(work, folder)
                self._compare(work, folder, wholes[work.name])
                report.ends += 1
        report.seconds = time.monotonic() - started
        return report

    def unbroken(self, work: Work) -> tuple[dict[str, Any], float, float]:
        """What a run without a break leaves, the seconds until its work begins, and those of the work."""
        folder = self.folder / "whole" / work.name
        started = time.monotonic()
        with self._started(work, folder) as process:
            _wait(process, lambda: work.done(folder) > 0)
            begun = time.monotonic()
            process.wait()
            self._ended(process, folder)
        return work.content(folder), begun - started, time.monotonic() - begun

    def _again(self, work: Work, times: int, whole: dict[str, Any], one: Callable[[Path, Report], bool]) -> Report:
        """Runs `one` in the same folder until the work has ended, and in a new folder then."""
        report, started, number = Report(), time.monotonic(), 0
        while report.kills < times and not report.lost:
            with self._noting(report, work, number) as folder:
                while not (one(folder, report) if report.kills < times else self._to_the_end(work, folder)):
                    if folder.exists():
                        work.check(folder)
                self._compare(work, folder, whole)
                report.ends += 1
            number += 1
        report.seconds = time.monotonic() - started
        return report

    def _to_the_end(self, work: Work, folder: Path) -> bool:
        with self._started(work, folder) as process:
            process.wait()
            return self._ended(process, folder)

    def _compare(self, work: Work, folder: Path, whole: dict[str, Any]) -> None:
        content = work.content(folder)
        different = [name for name in {*content, *whole} if content.get(name) != whole.get(name)]
        if different:
            raise LostError(f"other than after the unbroken run: {', '.join(sorted(different))}")

    @contextlib.contextmanager
    def _noting(self, report: Report, work: Work, number: int) -> Iterator[Path]:
        """A new folder for the output; it is kept if something was lost."""
        folder = self.folder / f"{work.name}-{number}-{report.kills}"
        try:
            yield folder
        except (LostError, AssertionError, OSError, ValueError, KeyError) as error:
            report.lost.append(f"{folder}: {type(error).__name__}: {error}")
            print(f"LOST {report.lost[-1]}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{work.name}: {report.kills} kills, {report.ends} ends compared", flush=True)

    @contextlib.contextmanager
    def _started(self, work: Work, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
        """The program, whose output goes to files. It does not outlive the block."""
        console = self._console(folder)
        console.parent.mkdir(parents=True, exist_ok=True)
        path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        env = os.environ | ONE_THREAD | {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"}
        with console.open("wb") as out, console.with_suffix(".err").open("wb") as errors:
            process = subprocess.Popen(work.command(folder), cwd=self.folder, env=env, stdout=out, stderr=errors)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def _console(self, folder: Path) -> Path:
        """What the program said that has this folder; what it said of errors stands beside it, in `….err`."""
        return self.folder / "console" / f"{folder.name}.out"

    def _errors(self, folder: Path) -> str:
        return _text(self._console(folder).with_suffix(".err"))[-2000:]

    def _ended(self, process: subprocess.Popen[bytes], folder: Path) -> bool:
        if process.returncode != 0:
            raise LostError(f"status {process.returncode}: {self._errors(folder)}")
        return True


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool], pause: float = 0.005) -> None:
    """Waits until something is the case, or the process has ended."""
    while process.poll() is None and not ready():
        time.sleep(pause)


def _mount(folder: Path, size: int) -> str:
    """Mounts a disk of some bytes. Returns why it cannot; empty if it did."""
    try:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, text=True).stderr.strip()
    except OSError as error:
        return f"no tmpfs can be mounted: {error}"


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)


# ---------------------------------------------------------------------------------------- the program


def make_data(folder: Path, persons: int) -> None:
    """A small demo data set: `images`, `annotations` with all pairs, `few_pairs` for the training."""

    def run(*arguments: object) -> None:
        command = [sys.executable, "-m", "pose_gan", "data", *map(str, arguments)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    annotations, size = folder / "annotations", ("--train_persons", persons, "--test_persons", 3)
    run("demo", "--images_dir", folder / "images", "--annotations_dir", annotations, *size)
    run("pairs", "--dataset", "demo", "--annotations_dir", annotations)
    (folder / "few_pairs").mkdir()
    for split, count in (("train", 16), ("test", 6)):
        name = f"demo-pairs-{split}.csv"
        pd.read_csv(annotations / name).head(count).to_csv(folder / "few_pairs" / name, index=False)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10, metavar="N", help="kills of each program (default: 10)")
    parser.add_argument(
        "--seconds", type=float, default=60.0, metavar="S", help="from the work's beginning to a kill (default: 60)"
    )
    parser.add_argument("--program", nargs="+", choices=PROGRAMS, default=PROGRAMS, help="which ones (default: all)")
    parser.add_argument("--persons", type=int, default=30, metavar="N", help="persons in the data (default: 30)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all chance (default: 0)")
    parser.add_argument("--folder", type=Path, help="a new folder, for the report and what was found (default: none)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "kills"
        folder.mkdir(parents=True)
        folder = folder.resolve()
        make_data(folder / "data", args.persons)
        each = works(folder / "data")
        killer = Killer(folder, args.seconds, random.Random(args.seed))
        if {"test", "disk"} & {*args.program}:
            killer.unbroken(each["train"])
            shutil.copy(folder / "whole" / "train" / "generator.h5", folder / "data")
        reports = {}
        for name in args.program:
            shutil.rmtree(folder / "whole", ignore_errors=True)
            if name == "signals":
                reports[name] = killer.signals(each["train"], args.times)
            elif name == "disk":
                reports[name] = killer.full_disks(list(each.values()), args.times)
            else:
                reports[name] = killer.kill(each[name], args.times)
        print(table(reports))
        (folder / "report.json").write_text(json.dumps({k: vars(v) for k, v in reports.items()}, indent=2) + "\n")
    return int(any(report.lost for report in reports.values()))


def table(reports: dict[str, Report]) -> str:
    lines = [
        "| program | kills | of these before the work | ends compared | lost | minutes |",
        "|---|---|---|---|---|---|",
    ]
    for name, report in reports.items():
        numbers = (report.kills, report.early, report.ends, len(report.lost), f"{report.seconds / 60:.1f}")
        lines.append(f"| {name} | " + (report.skipped or " | ".join(map(str, numbers))) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
