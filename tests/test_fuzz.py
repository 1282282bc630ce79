"""The fuzzer: some damaged and hostile files of every kind, and faults put in, which it must find."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from checkout import ROOT

import pose_gan


def fuzz(*flags: object, path: str = "") -> subprocess.CompletedProcess[str]:
    places = [path, os.path.dirname(os.path.dirname(pose_gan.__file__))]
    return subprocess.run(
        [sys.executable, str(ROOT / "tests/fuzz.py"), *map(str, flags)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("--rounds", 1, "--batch", 3), id="a round"),
        pytest.param(("--minutes", 3, "--seed", 1), id="minutes", marks=pytest.mark.slow),
    ],
)
def test_it_finds_nothing(tmp_path, flags):
    done = fuzz(*flags, "--folder", tmp_path / "fuzz")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    _, *kinds, total = done.stdout.splitlines()
    assert "--rounds" not in flags or len(kinds) > 30
    name, inputs, read, refused, not_made, found = total.split()
    assert name == "all"
    assert int(inputs) == int(read) + int(refused) + int(not_made)
    assert int(refused) > 0
    assert int(found) == 0


FAULTY = """
import os, subprocess
import pose_gan.poses.skeleton as module

def load_skeleton(path):
    global calls
    calls += 1
    if calls == 1:
        raise KeyError("x")
    if calls == 2:
        subprocess.run(["true"])
    if calls == 3:
        open("stolen", "w").close()
    if calls == 4:
        os.utime(path, (1, 1))
    if calls == 5:
        os.abort()

calls = 0
module.load_skeleton = load_skeleton
"""


def test_it_finds_what_it_should(tmp_path):
    """Another error, a program, a file written or touched, a dead process, each in a reader; and it repeats one."""
    (tmp_path / "sitecustomize.py").write_text(FAULTY)
    done = fuzz("--kinds", "skeleton.json", "--folder", tmp_path / "fuzz", "--rounds", 3, path=str(tmp_path))
    assert done.returncode == 1, done.stderr
    for what in (
        "KeyError at sitecustomize.py",
        "did subprocess.Popen true",
        "did open stolen",
        "touched a file",
        "the process ended with status -6",
    ):
        assert f"skeleton.json: {what}" in done.stdout
    kept = {path.parent: path.read_text() for path in (tmp_path / "fuzz/found").glob("*/fault.txt")}
    assert len(kept) >= 5
    assert all((folder / "input/skeleton.json").exists() for folder in kept)
    again = fuzz("--repeat", next(folder for folder, what in kept.items() if "KeyError" in what), path=str(tmp_path))
    assert again.returncode == 1
    assert "load_skeleton: KeyError at sitecustomize.py" in again.stdout
