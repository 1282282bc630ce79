"""What `pose-gan ablate` costs beside the trainings and tests that it starts, each in a process of its own.

The naive form starts the same trainings and tests from a shell, so it lacks the check of the metrics and what `ablate`
does itself. The trainings are tiny, so that what is spent around them is seen.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from unittest import mock

from benchmarks.harness import Options, Table, ratio
from benchmarks.processor import Used, measured, median
from data_prep import demo, pairs
from pose_gan.errors import InputError
from pose_gan.evaluation import ablation
from pose_gan.programs import ablate

PERSONS, ITERATIONS, PRESETS, SEEDS = 20, 50, ("baseline", "dsc"), ("0", "1")
QUICK = (2, 2, ("baseline",), ("0",))
START = "from pose_gan import runtime; runtime.start(); import pose_gan.training.trainer"
CHECK, TRAINING, TEST = "check of the metrics", "trainings", "tests: images and scores"
OWN = "ablate itself: flags, data, record, tables, figure, page"
COLUMNS = {
    "part": "part",
    "processes": "processes",
    "seconds": "s",
    "processor": "processor s",
    "share": "% of it",
    "starts": "of which starts, processor s",
}


def run(options: Options) -> list[Table]:
    persons, iterations, presets, seeds = QUICK if options.quick else (PERSONS, ITERATIONS, PRESETS, SEEDS)
    with tempfile.TemporaryDirectory() as scratch:
        data = make_data(scratch, persons)
        words = [*data, "--presets", *presets, "--seeds", *seeds, "--output_dir", f"{scratch}/ablation"]
        words += ["--width", "0.125", "--batch_size", "2", "--metrics", "ssim,l1", "--figure_pairs", "2"]
        words += ["--number_of_epochs", "1", "--iterations_per_epoch", str(iterations)]
        whole, parts = carry_out(words)
        start = median([measured(lambda: python("-c", START)) for _ in range(options.few_repeats)])
        again, _ = carry_out(words)
    rows = [_row(part, used, whole, start) for part, used in parts.items()]
    started = [one for used in parts.values() for one in used]
    own = Used(whole.seconds - sum(s for s, _ in started), whole.processor - sum(p for _, p in started))
    own_row = {**_row(OWN, [own], whole, start), "processes": None, "starts": None}
    total = {**_row("all", [whole], whole, start), "processes": len(started), "starts": len(started) * start.processor}
    last = {**_row("the same command again: all is done", [again], whole, start), "processes": 0, "starts": None}
    title = (
        f"Ablation: {len(presets)} presets, {len(seeds)} seeds, {iterations} iterations of 2 pairs, 128x64, width 0.125"
    )
    notes = [
        "A start is that of Python, TensorFlow and the modules of a training.",
        "From a shell, one would start the trainings and tests alone.",
    ]
    return [Table(title, COLUMNS, [*rows, own_row, total, last], notes)]


def _row(part: str, used: Sequence[Used], whole: Used, start: Used) -> dict[str, str | int | float | None]:
    processor = sum(one.processor for one in used)
    return {
        "part": part,
        "processes": len(used),
        "seconds": sum(one.seconds for one in used),
        "processor": processor,
        "share": ratio(100 * processor, whole.processor),
        "starts": len(used) * start.processor,
    }


def make_data(folder: str, persons: int) -> list[str]:
    """A drawn data set. Returns: the flags that name it."""
    places = ["--images_dir", f"{folder}/images", "--annotations_dir", f"{folder}/annotations"]
    drawn = ["--train_persons", str(persons), "--test_persons", str(persons), "--images_per_person", "4"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        demo.main([*places, *drawn, "--workers", "1"])
        pairs.main(["--dataset", "demo", *places[2:], "--images_for_test", "40"])
    return ["--dataset", "demo", *places]


def carry_out(words: Sequence[str]) -> tuple[Used, dict[str, list[Used]]]:
    """Runs `pose-gan ablate`. Returns: what it used in all, and each process that it started, by what it does."""
    parts: dict[str, list[Used]] = {CHECK: [], TRAINING: [], TEST: []}

    def run_process(verb: Sequence[str]) -> int:
        part = CHECK if "--dry_run" in verb else TRAINING if verb[0] == "train" else TEST
        parts[part].append(measured(lambda: python("-m", "pose_gan", *verb)))
        return 0

    with mock.patch.object(ablation, "run_process", run_process), contextlib.redirect_stdout(io.StringIO()):
        return measured(lambda: ablate.main(words)), parts


def python(*words: str) -> None:
    """Runs Python in a process of its own."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"benchmark ablation: {' '.join(words)[:100]} failed: {done.stderr.strip()[-300:]}")
