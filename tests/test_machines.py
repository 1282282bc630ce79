"""Other machines: what is required exists for them, and what is said about installing fits how the package came."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

PLATFORMS = {  # as uv names them → the build of TensorFlow that the extra `cpu` takes there
    "x86_64-unknown-linux-gnu": "tensorflow-cpu",
    "aarch64-unknown-linux-gnu": "tensorflow",
    "aarch64-apple-darwin": "tensorflow",
    "x86_64-pc-windows-msvc": "tensorflow-cpu",
}
UNREACHABLE = ("Failed to fetch", "error sending request", "Network connectivity is disabled")


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_make_installs_exists_as_wheels(platform, python):
    """pip's own `--platform` does not do here: it judges the markers by the machine on which it runs."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        pytest.skip("uv, which resolves for other platforms, is not installed")
    words = (
        f"pip compile --quiet --python-platform {platform} --python-version {python} --only-binary :all: --extra cpu"
    )
    done = subprocess.run(
        [
            uv,
            *words.split(),
            *["--extra", "dev", "--constraint", "constraints.txt", "--no-header", "--no-annotate"],
            "pyproject.toml",
        ],
        cwd=ROOT,
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},
        capture_output=True,
        text=True,
    )
    if done.returncode and any(words in done.stderr for words in UNREACHABLE):
        pytest.skip(f"the package index cannot be reached: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    builds = [line.split("==")[0] for line in done.stdout.splitlines() if line.startswith("tensorflow")]
    assert builds == [PLATFORMS[platform]]


# ------------------------------------------------------------------------- what installs an extra

GIT = {"url": "https://example.org/them/pose.git", "vcs_info": {"vcs": "git", "commit_id": "0123abc"}}
WHEEL = {"url": "file:///wheels/pose_gan-1-py3-none-any.whl", "archive_info": {}}


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, 'pip install "pose_gan[heic]"'),
        ("index", 'pip install "pose_gan[heic]"'),
        (GIT, 'pip install "pose_gan[heic] @ git+https://example.org/them/pose.git@0123abc"'),
        (WHEEL, f'pip install "pose_gan[heic] @ {WHEEL["url"]}"'),
        ({"url": "{here}", "dir_info": {}}, 'pip install ".[heic]"'),
        ({"url": "{here}", "dir_info": {"editable": True}}, 'pip install --editable ".[heic]"'),
        ({"url": "file:///else/where%20now", "dir_info": {}}, 'pip install "/else/where now[heic]"'),
        ({"url": "file:///else", "dir_info": {"editable": True}}, 'pip install --editable "/else[heic]"'),
    ],
    ids=["no metadata", "index", "git", "wheel", "here", "here, editable", "elsewhere", "elsewhere, editable"],
)
def test_hints_fit_how_the_package_was_installed(tmp_path, origin, expected):
    site, here = tmp_path / "site", tmp_path / "here"
    (site / "pose_gan").mkdir(parents=True)
    here.mkdir()
    (site / "pose_gan/__init__.py").touch()
    shutil.copy(ROOT / "pose_gan/versions.py", site / "pose_gan")
    if origin is not None:
        info = site / "pose_gan-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pose_gan\nVersion: 1\n", encoding="utf-8")
    if isinstance(origin, dict):
        text = json.dumps(origin).replace("{here}", here.as_uri())
        (site / "pose_gan-1.dist-info/direct_url.json").write_text(text, encoding="utf-8")
    assert hint(site, here) == expected


def test_hints_of_a_checkout_that_is_not_installed(tmp_path):
    (tmp_path / "pose_gan").mkdir()
    shutil.copy(ROOT / "pose_gan/versions.py", tmp_path / "pose_gan")
    (tmp_path / "pyproject.toml").touch()
    assert hint(tmp_path, tmp_path) == 'pip install ".[heic]"'
    assert hint(tmp_path, tmp_path.parent) == f'pip install "{tmp_path}[heic]"'


def hint(site: Path, folder: Path) -> str:
    """The hint of a package in `site` that runs in `folder`, where nothing else is installed."""
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); from pose_gan.versions import install; print(install('heic'))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


# ------------------------------------------------------------------------------ without TensorFlow


ABSENT = (
    "from importlib.machinery import PathFinder; find = PathFinder.find_spec\n"
    "PathFinder.find_spec = classmethod(lambda cls, name, *more: None if name == 'tensorflow' else find(name, *more))\n"
)


@pytest.mark.parametrize(
    ("code", "status", "lines"),
    [
        ("import pose_gan", 0, 1),
        ("import pose_gan; pose_gan.load_generator", 1, None),
        ("from pose_gan import networks", 1, None),
        ("from pose_gan import poses, files, errors", 0, 1),
        ("from pose_gan import errors, runtime; errors.run_program(runtime.start)", 2, 2),
    ],
)
def test_without_tensorflow_one_line_says_what_to_install(code, status, lines):
    done = subprocess.run(
        [sys.executable, "-c", f"{ABSENT}{code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    said = done.stderr.splitlines()
    assert "InputWarning: TensorFlow is not installed: pip install" in said[0]
    assert "TensorFlow is not installed: pip install" in said[-1]
    assert "[cpu]" in said[-1]
    assert "Error: No module" not in done.stderr
    assert lines is None or len(said) == lines


def test_a_file_that_has_no_arrows_stops_nobody(tmp_path):
    """Output that goes into a file has the system's encoding, which on Windows is a code page."""
    code = "from pose_gan.errors import run_program; run_program(lambda: print('SSIM ↑ 0.5'))"
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True)
    assert (done.returncode, done.stdout.split()) == (0, [b"SSIM", b"?", b"0.5"])


def test_nothing_that_only_some_systems_have_is_needed():
    """The programs start where Python has no `resource` and no `fcntl`, as on Windows."""
    code = (
        "import sys\n"
        "for name in ('resource', 'fcntl', 'pwd', 'grp', 'termios'): sys.modules[name] = None\n"
        "import os; del os.sched_getaffinity, os.fork\n"
        "import importlib, pkgutil, pose_gan, data_prep\n"
        "for package in (pose_gan, data_prep):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
        "from pose_gan.training.progress import peak_memory\n"
        "assert peak_memory() is None\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
