"""The README's commands and code, run as they stand, on a data set of a few images."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT

from pose_gan import load_generator
from pose_gan.model_files.formats import FORMATS

README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALLER = {  # beginning of a command → flags that make it quick
    "data demo": "--train_persons 2 --test_persons 2 --images_per_person 3 --workers 1",
    "train": "--width 0.125 --iterations_per_epoch 2 --number_of_epochs 1",
}


def block(marker: str) -> str:
    """The code block after an HTML comment."""
    match = re.search(rf"<!-- {marker} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    assert match, marker
    return match[1]


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_demo_and_the_use_of_its_generator(tmp_path):
    for line in block("demo-commands").splitlines():
        _, *words = shlex.split(line)
        smaller = next((more for start, more in SMALLER.items() if " ".join(words).startswith(start)), "")
        out = run([sys.executable, "-m", "pose_gan", *words, *smaller.split()], tmp_path)
    assert "mask-SSIM" in out
    for made in ("demo/report.html", "demo/grid.png", "demo/generated/metrics.json", "demo/run/generator.h5"):
        assert (tmp_path / made).stat().st_size > 0, made
    run([sys.executable, "-c", block("use-commands")], tmp_path)
    assert (tmp_path / "generated.png").stat().st_size > 0
    check_every_exported_form(tmp_path)


def check_every_exported_form(folder: Path) -> None:
    """Each in a fresh process, and but for Keras' own formats in one that cannot import this package."""
    for line in block("export-commands").splitlines():
        out = run([sys.executable, "-m", "pose_gan", *shlex.split(line)[1:]], folder)
    assert "preset          -" in out  # the weight of its adversarial loss is of no row of the paper
    inputs = np.load(folder / "inputs.npz")
    generator = load_generator(folder / "demo/run")
    expected = np.asarray(generator([inputs[tensor.name] for tensor in generator.inputs]))
    for form in ("keras", "savedmodel", "tflite", "onnx"):
        alone = "" if form == "keras" else "import sys; sys.modules['pose_gan'] = None\n"
        run([sys.executable, "-c", f"{alone}{block(f'use-{form}')}\nnp.save('{form}.npy', image)"], folder)
        np.testing.assert_allclose(np.load(folder / f"{form}.npy"), expected, atol=1e-4, err_msg=form)
    code = block("use-keras").replace("generator.keras", "generator.h5")
    run([sys.executable, "-c", f"{code}\nnp.save('h5.npy', image)"], folder)
    np.testing.assert_allclose(np.load(folder / "h5.npy"), expected, atol=1e-4)


def test_every_exported_form_has_its_code():
    for form in FORMATS:
        assert block(f"use-{'keras' if form == 'h5' else form}")
        assert form in shlex.split(block("export-commands").splitlines()[0])


def test_make_demo_runs_the_same_commands():
    makefile = re.sub(r"\\\n\s*", "", (ROOT / "Makefile").read_text())
    recipes = {line.strip() for line in makefile.splitlines() if line.startswith("\t")}
    for line in block("demo-commands").splitlines():
        assert line.replace("pose-gan ", "$(BIN)/pose-gan ", 1) in recipes


def test_the_requirements_are_the_package_and_tensorflow():
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    required = {line.replace('"', "'") for line in lines if not line.startswith("#")}
    assert required == {*project["dependencies"], *project["optional-dependencies"]["tensorflow"]}
