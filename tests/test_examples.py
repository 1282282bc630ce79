"""The programs in `examples/`, run as a user runs them, and its notebook."""

from __future__ import annotations

import base64
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import nbformat
import numpy as np
import pytest
from checkout import ROOT, load_program
from nbclient import NotebookClient

import data_prep.demo
import data_prep.pairs
import pose_gan
from pose_gan.config import DataConfig, ModelConfig
from pose_gan.data.batches import ordered_batches
from pose_gan.data.pair_data import open_pairs
from pose_gan.errors import InputError
from pose_gan.files.images import read_image
from pose_gan.layers import DeformableSkip
from pose_gan.model_files.saving import GENERATOR_INPUTS, save_model
from pose_gan.networks import build_generator
from pose_gan.poses.drawing import to_float, to_uint8, write_image
from pose_gan.poses.keypoints import Annotations, read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18

EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "demo.ipynb"


@dataclass(frozen=True)
class Demo:
    """A folder with a few images of the demo's people, their keypoints and pairs, and an untrained generator."""

    folder: Path

    @property
    def files(self) -> DataConfig:
        return DataConfig("demo", str(self.folder / "data/demo-dataset"), str(self.folder / "annotations"))

    @property
    def poses(self) -> Annotations:
        return read_annotations(self.folder / "annotations/demo-annotation-test.csv")

    @property
    def generator(self) -> Path:
        return self.folder / "generator.h5"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    demo = Demo(tmp_path_factory.mktemp("examples"))
    people = "--train_persons 3 --test_persons 2 --images_per_person 3 --workers 1"
    folders = ["--images_dir", str(demo.files.images_dir), "--annotations_dir", demo.files.annotations_dir]
    data_prep.demo.main([*people.split(), *folders])
    data_prep.pairs.main(["--dataset", "demo", *folders[2:]])
    keras.utils.set_random_seed(0)
    save_model(build_generator(ModelConfig(width=0.125)), demo.generator)
    return demo


def run(name: str, flags: str, folder: Path) -> str:
    """What an example prints: its command in `examples/README.md`, with flags after it that make it small."""
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(rf"^python examples/{name} (.*)$", readme, re.MULTILINE)
    words = [sys.executable, str(EXAMPLES / name), *shlex.split(command), *shlex.split(flags)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def numbers(pattern: str, text: str) -> list[float]:
    found = re.search(pattern, text)
    assert found, text
    return [float(number) for number in found.groups()]


def test_generate_writes_what_the_generator_gives(demo):
    source, target = demo.poses.names[:2]
    image = demo.folder / "data/demo-dataset/test" / source
    run("generate.py", f"--generator generator.h5 --image {image} --target {target} --output new/pose.png", demo.folder)
    generator, poses = pose_gan.load_generator(demo.generator), demo.poses.keypoints
    expected = to_uint8(generator([to_float(read_image(image))[np.newaxis], poses[[0]], poses[[1]]])[0].numpy())
    written = read_image(demo.folder / "new/pose.png")
    assert written.shape == (128, 64, 3)
    assert np.abs(written.astype(int) - expected).max() <= 1  # rounding: another process may add in another order


def test_generate_says_what_is_wrong(demo, tmp_path):
    main = load_program("examples/generate.py").main
    poses, (source, target) = demo.poses, demo.poses.names[:2]
    photo = demo.folder / "data/demo-dataset/test" / source
    without_hip = poses.keypoints.copy()
    without_hip[1, COCO18.index("Lhip")] = -1
    write_annotations(tmp_path / "hip.csv", poses.names, without_hip)
    write_image(tmp_path / source, np.zeros((64, 64, 3), np.uint8))

    def error(image: Path = photo, target: str = target, annotations: str = poses.path) -> str:
        flags = {"--generator": demo.generator, "--image": image, "--annotations": annotations, "--target": target}
        with pytest.raises(InputError) as caught:
            main([str(word) for flag in flags.items() for word in flag] + ["--output", str(tmp_path / "none.png")])
        assert not (tmp_path / "none.png").exists()
        return str(caught.value)

    assert error(target="nobody.jpg") == f"{poses.path}: no row named nobody.jpg"
    assert "64x64 pixels (height x width), the generator takes 128x64" in error(image=tmp_path / source)
    assert re.search(r"hip.csv, row 3 .*joints are missing.*Lhip", error(annotations=str(tmp_path / "hip.csv")))


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("finetune.py", "--output generator.bin", "--output generator.bin: a model file ends in .h5 or .keras"),
        ("finetune.py", "--steps 0", "--steps, --batch_size and --test_pairs must be 1 or more"),
        ("deformable_skip.py", "--seed -1", "--scenes and --epochs must be 1 or more, --seed 0 or more"),
    ],
)
def test_bad_flags_are_named(name, flags, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        load_program(f"examples/{name}").main(flags.split())


def test_finetune_trains_the_decoder_and_nothing_else(demo):
    flags = "--generator generator.h5 --steps 10 --learning_rate 1e-3 --batch_size 2 --test_pairs 4"
    out = run("finetune.py", flags, demo.folder)
    before, after = numbers(r"(\d+\.\d+) before, (\d+\.\d+) after", out)
    assert after < 0.95 * before
    old, new = (pose_gan.load_generator(path) for path in (demo.generator, demo.folder / "demo/finetuned.keras"))
    for layer in old.layers:
        pairs = zip(layer.get_weights(), new.get_layer(layer.name).get_weights(), strict=True)
        if not layer.name.startswith("decoder"):
            assert all(np.array_equal(a, b) for a, b in pairs), layer.name
        elif layer.weights:
            assert not all(np.array_equal(a, b) for a, b in pairs), layer.name
    assert len(new.trainable_weights) == len(old.trainable_weights)
    for generator, loss in ((old, before), (new, after)):
        assert l1_in_grey_levels(generator, demo.files) == pytest.approx(loss, abs=0.01)


def l1_in_grey_levels(generator: keras.Model, files: DataConfig) -> float:
    (batch,) = ordered_batches(open_pairs(files, "test", (128, 64), limit=4), 4)
    image = generator([batch[name] for name in GENERATOR_INPUTS])
    return 127.5 * float(np.abs(image - batch["target_image"]).mean())


def test_deformable_skips_beat_plain_ones_at_another_task(tmp_path):
    out = run("deformable_skip.py", "--scenes 160 --epochs 1", tmp_path)
    (plain,) = numbers(r"plain skips +moving shapes (\S+),", out)
    (deformable,) = numbers(r"deformable +moving shapes (\S+),", out)
    assert deformable < 0.75 * plain
    picture = read_image(tmp_path / "demo/deformable_skip.png")
    assert picture.std() > 30


def test_the_scenes_of_the_deformable_skip_move_as_they_say(monkeypatch):
    """The first frame, moved by the layer, is the second one, wherever a part is seen in both."""
    example = load_program("examples/deformable_skip.py")
    monkeypatch.setattr(example, "NOISE", 0.0)
    scenes = example.draw_scenes(4, seed=1)
    frame, next_frame = ((scenes[key] + 1) / 2 for key in ("frame", "next_frame"))  # not below the 0 outside of masks
    moved = DeformableSkip(interpolation="nearest")([frame, scenes["transforms"], scenes["masks"]]).numpy()
    shapes = scenes["masks"][:, 1:].any(axis=1)
    assert shapes.mean() > 0.1
    assert np.abs(moved - next_frame)[shapes].mean() < 0.05
    assert np.abs(frame - next_frame)[shapes].mean() > 0.15


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("POSE_GAN_QUICK", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()  # raises where a cell does
    assert read_image(tmp_path / "demo/generated.png").std() > 20
    assert len(pictures(notebook)) == len(pictures(nbformat.read(NOTEBOOK, as_version=4)))


def test_the_notebook_is_kept_with_its_outputs():
    text = NOTEBOOK.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    assert len(text) < 400_000
    assert notebook.metadata.kernelspec.name == "python3"
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert all(output.output_type != "error" and output.get("name") != "stderr" for output in outputs)
    assert not re.search(r"(?<![\w.])/\w+/", " ".join(output.get("text", "") for output in outputs))  # absolute path
    assert len(pictures(notebook)) >= 5


def pictures(notebook: nbformat.NotebookNode) -> list[bytes]:
    data = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    return [base64.b64decode(entry["image/jpeg"]) for entry in data if "image/jpeg" in entry]
