"""`pose-gan serve`: flags, and the whole program as a process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from makers import config
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.model_files.saving import save_model
from pose_gan.networks import build_generator
from pose_gan.programs.serve import build_parser, main, places


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--generator", "none.h5"], r"none\.h5: no such model file or folder"),
        (["--generator", "g.h5", "--images_dir", "none"], "none: no such folder of images; give --images_dir"),
        (["--generator", "g.h5", "--dataset", "none"], "none-dataset/test: no such folder of images"),
        (["--generator", "g.h5", "--annotations", "none.csv"], r"--annotations none\.csv: no such file"),
        (["--generator", "g.h5", "--annotations", "g.h5"], "--annotations are of the images in --images_dir"),
        (["--generator", "g.h5", "--pose_estimator", "none.task"], r"none\.task: no such file"),
        (["--generator", "g.h5", "--keypoints_output", "."], r"--keypoints_output \.: is a folder"),
        (["--generator", "g.h5", "--keypoints_output", "/proc/new/a.csv"], "/proc/new: cannot be written to"),
        (["--generator", "g.h5", "--port", "70000"], "--port must be 0 to 65535, got 70000"),
    ],
    ids=lambda value: " ".join(value[2:]) if isinstance(value, list) else "",
)
def test_bad_flags_are_told_before_anything_is_opened(tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.h5").touch()
    with pytest.raises(InputError, match=message):
        main(flags)


def test_without_tornado_it_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "g.h5").touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs the package tornado: pip install .*web"):
        main(["--generator", str(tmp_path / "g.h5")])


def test_the_folders_of_a_data_set_are_found(tiny_data, monkeypatch):
    def found(*flags: str) -> tuple:
        return places(build_parser().parse_args(["--generator", "g", *flags]))

    root = str(tiny_data.root)
    assert found() == (None, None)
    assert found("--images_dir", root) == (tiny_data.root / "test", None)
    assert found("--images_dir", f"{root}/train") == (tiny_data.root / "train", None)
    assert found("--dataset", "tiny", "--images_dir", root, "--split", "train") == (tiny_data.root / "train", None)
    annotations = tiny_data.annotations("train")
    flags = ["--images_dir", root, "--split", "train", "--annotations", str(annotations)]
    assert found(*flags) == (tiny_data.root / "train", annotations)
    home = tiny_data.root.parent
    monkeypatch.chdir(home)
    (home / "data").mkdir()
    tiny_data.root.rename(home / "data" / "tiny-dataset")
    (home / "annotations").mkdir()
    (home / "data/tiny-dataset/tiny-annotation-test.csv").rename(home / "annotations/tiny-annotation-test.csv")
    images, csv = found("--dataset", "tiny")
    assert str(images) == "data/tiny-dataset/test"
    assert str(csv) == "annotations/tiny-annotation-test.csv"


@pytest.mark.slow
def test_the_whole_program(tiny_data, tmp_path):
    """It prints its address, answers there, generates with a real network, and ends with Ctrl-C."""
    save_model(build_generator(config(image_size=tiny_data.image_size)), tmp_path / "generator.h5")
    flags = ["--generator", str(tmp_path / "generator.h5"), "--images_dir", str(tiny_data.root), "--port", "0"]
    flags += ["--annotations", str(tiny_data.annotations("test")), "--pose_estimator", "demo"]
    words = [sys.executable, "-m", "pose_gan", "serve", *flags]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            told = next(line for line in process.stdout if "shows the page" in line or "error" in line)
            address = re.match(r"(http://127\.0\.0\.1:[0-9]+)/ shows the page", told)
            assert address, told
            with urllib.request.urlopen(f"{address[1]}/api/start") as answer:
                start = json.load(answer)
            assert start["images"] == 9
            headers = {"X-Key": start["key"], "Content-Type": "application/json"}
            request = urllib.request.Request(f"{address[1]}/api/sources", b'{"image": 0}', headers)
            with urllib.request.urlopen(request) as answer:
                source = json.load(answer)
            with urllib.request.urlopen(f"{address[1]}/api/sources/{source['id']}") as answer:
                picture = np.asarray(Image.open(answer))
            assert picture.shape == (*tiny_data.image_size, 3)
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(urllib.request.Request(f"{address[1]}/", headers={"Host": "evil.example"}))
        finally:
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read() if process.stdout else ""
        assert process.wait() == 0
        assert rest.endswith("ended\n")
