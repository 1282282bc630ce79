"""Seconds from the shell to the first picture of `pose-gan generate`, in fresh processes, taken apart."""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Options, Table, ratio
from benchmarks.processor import in_turns
from pose_gan.errors import InputError
from pose_gan.model_files import formats
from pose_gan.model_files.run_folder import DEMO, EXPORTS
from pose_gan.model_files.saving import load_generator, read_info

ROOT = Path(__file__).parents[1]
PARTS = {
    "start": "Python, flags",
    "tensorflow": "TensorFlow",
    "open": "open",
    "scene": "draw the people",
    "generate": "generate",
    "write": "write",
}
EXPORTED = {
    "keras": "keras",
    "savedmodel": "tensorflow",
    "tflite": "ai_edge_litert",
    "onnx": "tf2onnx",
}  # what it needs
SILENT = (["--help"], ["generate", "--help"], ["info", DEMO])
NOTES = (
    "Seconds, medians. The people are drawn, so no pose is estimated. All forms are of the generator demo.",
    "Only the first form traces a graph. LiteRT (the extra [litert]) and ONNX Runtime ([onnx]) need no TensorFlow.",
)


def run(options: Options) -> list[Table]:
    columns = {"form": "form", **{part: f"{title} s" for part, title in PARTS.items()}, "total": "total s"}
    columns |= {"share": "of the first form", "cpu": "processor s", "cpu_share": "of the first form"}
    with tempfile.TemporaryDirectory() as folder:
        forms = _forms(Path(folder), options.quick)
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in forms}
        for _ in range(1 if options.quick else options.few_repeats):
            for name, (generator, form) in forms.items():
                taken[name].append(_first_picture(generator, f"{folder}/picture.png", form))
    rows = []
    for name, runs in taken.items():
        row = {part: statistics.median(times[part] for times in runs) for part in PARTS}
        total = statistics.median(sum(times[part] for part in PARTS) for times in runs)
        row |= {"total": total, "cpu": statistics.median(times["cpu"] for times in runs)}
        first = rows[0] if rows else row
        shares = {"share": ratio(total, first["total"]), "cpu_share": ratio(row["cpu"], first["cpu"])}
        rows.append({"form": name, **row, **shares})
    return [Table("From the shell to the first picture, 128x64", columns, rows, NOTES), _silent(options)]


def _silent(options: Options) -> Table:
    """The verbs that draw nothing."""
    commands = {f"pose-gan {' '.join(words)}": [sys.executable, "-m", "pose_gan", *words] for words in SILENT} | {
        "Python alone": [sys.executable, "-c", ""]
    }
    forms = {
        name: lambda words=words: subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        for name, words in commands.items()
    }
    used = in_turns(forms, options.few_repeats)
    rows = [{"command": name, "seconds": one.seconds, "cpu": one.processor} for name, one in used.items()]
    return Table("Commands that draw nothing", {"command": "command", "seconds": "s", "cpu": "processor s"}, rows)


def _forms(folder: Path, quick: bool) -> dict[str, tuple[str, str]]:
    """Name → generator and form of the call. The other formats are written from the generator demo."""
    forms = {"demo, traced": (DEMO, "graph"), "demo": (DEMO, "eager")}
    generator, info = load_generator(DEMO), read_info(DEMO)
    exported = [name for name, package in EXPORTED.items() if importlib.util.find_spec(package)]
    for name in exported[-1:] if quick else exported:
        formats.write(generator, folder / EXPORTS[name], name, info)
        forms[name] = (str(folder / EXPORTS[name]), "eager")
    return forms


def _first_picture(generator: str, output: str, form: str) -> dict[str, float]:
    """The seconds of each part of a fresh process."""
    script = Path(__file__).with_name("first_picture.py")
    words = [sys.executable, str(script), str(time.time()), generator, output, form]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"benchmark start: the process failed: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout.splitlines()[-1])
