"""The README's commands and code, run as they stand, on a data set of a few images."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from checkout import ROOT

from pose_gan import load_generator
from pose_gan.__main__ import main
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


def test_the_demo_and_the_use_of_its_generator(tmp_path, monkeypatch, capsys):
    """In this process, where TensorFlow is loaded already; what is exported runs in others."""
    monkeypatch.chdir(tmp_path)
    for line in block("demo-commands").splitlines():
        _, *words = shlex.split(line)
        smaller = next((more for start, more in SMALLER.items() if " ".join(words).startswith(start)), "")
        assert main([*words, *smaller.split()]) == 0
    assert "mask-SSIM" in capsys.readouterr().out
    for made in ("demo/report.html", "demo/grid.png", "demo/generated/metrics.json", "demo/run/generator.h5"):
        assert (tmp_path / made).stat().st_size > 0, made
    exec(block("use-commands"), {})
    assert (tmp_path / "generated.png").stat().st_size > 0
    for line in block("export-commands").splitlines():
        assert main(shlex.split(line)[1:]) == 0
    assert (
        "preset          -" in capsys.readouterr().out
    )  # the weight of its adversarial loss is of no row of the paper
    check_every_exported_form()


def check_every_exported_form() -> None:
    """Keras' own formats in a fresh process, and the others in one that cannot import this package."""
    keras = block("use-keras")
    assert "generator.keras" in keras
    codes = {"keras": keras, "h5": keras.replace("generator.keras", "generator.h5")}
    others = {form: block(f"use-{form}") for form in ("savedmodel", "tflite", "onnx")}
    for start, group in (("", codes), ("import sys\nsys.modules['pose_gan'] = None\n", others)):
        lines = [f"{start}from numpy import save"]
        lines += [
            f"names = {{}}\nexec({code!r}, names)\nsave({f'{form}.npy'!r}, names['image'])"
            for form, code in group.items()
        ]
        done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    inputs, generator = np.load("inputs.npz"), load_generator("demo/run")
    expected = np.asarray(generator([inputs[tensor.name] for tensor in generator.inputs]))
    for form in (*codes, *others):
        np.testing.assert_allclose(np.load(f"{form}.npy"), expected, atol=1e-4, err_msg=form)


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
