"""`generate` and `explain` write their pictures, name the flag of a fault, and do without TensorFlow if they can."""

from __future__ import annotations

import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest
from checkout import ROOT

from pose_gan.errors import InputError, InputWarning
from pose_gan.evaluation.drawn import drawn_person
from pose_gan.poses.keypoints import write_annotations
from pose_gan.programs import explain, generate
from pose_gan.programs import export as export_program

pytestmark = pytest.mark.filterwarnings("ignore::pose_gan.errors.InputWarning")


def test_the_demo_writes_source_pose_and_result(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.warns(InputWarning, match="knows drawn people only"):
        assert generate.main(["--source", "demo", "--pose", "demo"]) == 0
    assert "generated.png: the person of demo in the pose of demo" in capsys.readouterr().out
    sheet = iio.imread("generated.png")
    source, pose = drawn_person("demo", 4, (128, 64))
    top = sheet.shape[0] - 384 - 4  # the source stands in the sheet, three times as large
    np.testing.assert_array_equal(sheet[top : top + 384 : 3, 4 : 4 + 192 : 3], source)
    iio.imwrite("anna.png", source)
    write_annotations("anna.csv", ["anna.png"], pose[None])
    words = ["--source", "anna.png", "--source_keypoints", "anna.csv", "--pose", "anna.csv", "--output", "new.png"]
    assert generate.main(words) == 0
    assert iio.imread("new.png").shape == source.shape  # put back into the photo
    assert explain.main(["--source", "demo", "--pose", "anna.csv"]) == 0
    assert "explained.png: 26 pictures" in capsys.readouterr().out
    assert iio.imread("explained.png").shape[1] > 1000


@pytest.mark.parametrize("program", [generate, explain])
def test_faults_name_their_flag_before_anything_is_opened(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    iio.imwrite("a.png", np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "g.h5").touch()
    (tmp_path / "folder.png").mkdir()

    def run(**changes: str) -> None:
        values = {"source": "demo", "pose": "demo"} | changes
        program.main([word for name, value in values.items() for word in (f"--{name}", value)])

    for changes, message in (
        ({"source": "none.jpg"}, r"--source none\.jpg: no such file"),
        ({"pose": "none.jpg"}, r"--pose none\.jpg: no such file"),
        ({"source_keypoints": "none.csv"}, r"--source_keypoints none\.csv: no such file"),
        ({"output": "a.gif"}, r"--output a\.gif: give a name that ends in \.png or \.jpg"),
        ({"source": "a.png", "output": "a.png"}, r"--output a\.png: would replace --source"),
        ({"output": "folder.png"}, r"--output folder\.png: is a folder"),
        ({"output": "/proc/new/a.png"}, r"/proc/new: cannot be written to"),
        ({"generator": "none.h5"}, r"none\.h5: no such model file or folder"),
        ({"generator": "g.h5", "source": "a.png"}, r"a\.png: nothing tells its pose; give --pose_estimator"),
        ({"source": "a.png", "pose_estimator": "none.task"}, r"pose_estimator: none\.task: no such file"),
    ):
        with pytest.raises(InputError, match=message):
            run(**changes)


def test_explain_takes_one_pose(tmp_path):
    pose = drawn_person("demo:2", 1, (128, 64))[1]
    write_annotations(tmp_path / "poses.csv", ["a", "b"], [pose, pose])
    with pytest.raises(InputError, match=r"poses\.csv: holds 2 poses; choose one with --rows"):
        explain.main(["--source", "demo", "--pose", str(tmp_path / "poses.csv")])


@pytest.mark.slow
@pytest.mark.parametrize(("form", "package"), [("tflite", "ai_edge_litert"), ("onnx", "tf2onnx")])
def test_an_exported_file_draws_the_same_picture_without_tensorflow(tmp_path, form, package):
    pytest.importorskip(package)
    assert export_program.main(["demo", "--format", form, "--output", str(tmp_path)]) == 0
    words = ["--source", "demo", "--pose", "demo", "demo:5"]
    assert generate.main([*words, "--output", str(tmp_path / "keras.png")]) == 0
    words += ["--output", str(tmp_path / "other.png"), "--generator", str(tmp_path / f"generator.{form}")]
    script = f"import sys\nfrom pose_gan.programs import generate\ngenerate.main({words!r})\n"
    script += "assert not {'tensorflow', 'keras'} & sys.modules.keys()\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    images = [iio.imread(tmp_path / name).astype(int) for name in ("keras.png", "other.png")]
    assert np.abs(images[0] - images[1]).max() <= 1
