"""Files that version 0.1.0 wrote load, and give the images that they gave then.

`version_0.1.0.tar.xz` was made by that version: a data set of drawn people of 64×64 pixels, a run of two iterations
at width 0.02 (`run`), the five forms of its generator (`export`), and inputs with the outputs of both networks
(`expected.npz`).
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
from checkout import ROOT

from pose_gan import load_generator
from pose_gan.model_files.formats import FORMATS
from pose_gan.model_files.run_folder import EXPORTS
from pose_gan.model_files.saving import load_model, read_info
from pose_gan.programs import train


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("version_0_1")
    with tarfile.open(ROOT / "tests/model_files/version_0.1.0.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def expected(old) -> dict[str, np.ndarray]:
    return dict(np.load(old / "expected.npz"))


@pytest.mark.parametrize("name", EXPORTS)
def test_every_form_gives_the_images_of_then(old, expected, name):
    path = old / "export" / EXPORTS[name]
    values = {key: expected[key] for key in ("source_image", "source_keypoints", "target_keypoints")}
    np.testing.assert_allclose(FORMATS[name].open(path)(values), expected["image"], atol=1e-4)
    info = read_info(path)
    assert (info.pose_gan, info.model.image_size, info.model.width) == ("0.1.0", (64, 64), 0.02)
    assert info.training is not None
    assert info.training.step == 2


def test_keras_alone_loads_them_once_this_package_is_imported(old, expected):
    for name in ("generator.h5", "generator.keras"):
        model = keras.saving.load_model(old / "export" / name, compile=False)
        image = model([expected[tensor.name] for tensor in model.inputs])
        np.testing.assert_allclose(image, expected["image"], atol=1e-5)


def test_a_run_loads_and_goes_on(old, expected, monkeypatch):
    monkeypatch.chdir(old)
    generator = load_generator("run")
    image = generator([expected[tensor.name] for tensor in generator.inputs])
    np.testing.assert_allclose(image, expected["image"], atol=1e-5)
    discriminator = load_model("run/checkpoints/step-00000002/discriminator.h5")
    score = discriminator([expected[tensor.name] for tensor in discriminator.inputs])
    np.testing.assert_allclose(score, expected["score"], atol=1e-5)

    train.main(["--resume", "run", "--number_of_epochs", "3"])
    assert (old / "run/checkpoints/LAST").read_text() == "step-00000003\n"
    records = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert records[-1]["step"] == 3
