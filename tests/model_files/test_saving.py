"""Models as files: the same image after a round trip, one clear message for what is not a model."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import threading
import zipfile
from types import SimpleNamespace
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from makers import config, inputs
from test_release import released_model

import pose_gan
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.model_files import release
from pose_gan.model_files.metadata import ModelInfo
from pose_gan.model_files.saving import load_model, read_info, save_model
from pose_gan.networks import build_discriminator, build_generator


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(
    "values", [{}, {"warp_skip": "full", "norm": "release"}, {"warp_skip": "stn", "use_bg": True}], ids=str
)
def test_round_trip(tmp_path, suffix, values):
    generator = build_generator(config(**values))
    batch = inputs(generator)
    values = [batch[t.name] for t in generator.inputs]
    save_model(generator, tmp_path / f"g{suffix}")
    loaded = pose_gan.load_generator(tmp_path / f"g{suffix}")
    assert [t.name for t in loaded.inputs] == [t.name for t in generator.inputs]
    np.testing.assert_allclose(loaded(values), generator(values), atol=1e-6)


def test_plain_keras_loads_it_after_importing_the_package(tmp_path):
    """In a fresh process, outside of the project's folder, with nothing but the import."""
    generator = build_generator(config())
    batch = inputs(generator)
    save_model(generator, tmp_path / "generator.h5")
    np.savez(tmp_path / "batch.npz", **{name: value.numpy() for name, value in batch.items()})  # pyright: ignore[reportArgumentType]
    script = (
        "import keras, numpy as np, pose_gan\n"
        "model = keras.models.load_model('generator.h5', compile=False)\n"
        "batch = np.load('batch.npz')\n"
        "np.save('image.npy', model([batch[t.name] for t in model.inputs]))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    expected = generator([batch[t.name] for t in generator.inputs])
    np.testing.assert_allclose(np.load(tmp_path / "image.npy"), expected, atol=1e-6)


def test_what_is_not_a_generator_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"model\.txt: no such model file or folder"):
        pose_gan.load_generator(tmp_path / "model.txt")
    with pytest.raises(InputError, match=r"none\.h5: no such model file"):
        pose_gan.load_generator(tmp_path / "none.h5")
    with pytest.raises(InputError, match=r"not the folder of a training run"):
        pose_gan.load_generator(tmp_path)
    save_model(build_discriminator(config()), tmp_path / "d.h5")
    with pytest.raises(InputError, match=r"d\.h5: not a generator: its inputs are"):
        pose_gan.load_generator(tmp_path / "d.h5")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_damaged_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"g{suffix}"
    path.write_bytes(b"not a model")
    with pytest.raises(InputError, match=r"damaged"):
        pose_gan.load_generator(path)
    save_model(build_generator(config()), path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"damaged"):
        pose_gan.load_generator(path)


@pytest.mark.parametrize("name", ["ours.keras", "ours.h5", "release.h5"])
def test_whatever_is_damaged_there_is_one_clear_error(tmp_path, name):
    """Files cut anywhere, or with wrong bytes at the beginning or anywhere, load, or an InputError says why."""
    if name == "release.h5":
        released_model(tmp_path / name, warp_skip="none")
    else:
        save_model(build_generator(config(warp_skip="none")), tmp_path / name)
    whole, random = (tmp_path / name).read_bytes(), np.random.default_rng(0)
    refused = []
    for turn in range(16):
        content = bytearray(whole)
        if turn % 2:
            content = content[: random.integers(len(whole))]
        else:
            for place in random.integers(0, len(whole) if turn % 4 else 4000, 20):
                content[place] = random.integers(256)
        path = tmp_path / f"damaged{turn}{name[-3:] if name.endswith('.h5') else '.keras'}"
        path.write_bytes(content)
        for read in (pose_gan.load_generator, read_info):
            try:
                read(path)
            except InputError as error:
                refused.append(str(path) in str(error))
    assert all(refused)
    assert len(refused) > 12


def test_failed_save_keeps_the_old_file(tmp_path):
    path = tmp_path / "g.h5"
    path.write_text("old")
    with pytest.raises(AttributeError):
        save_model(ModelConfig(), path)  # pyright: ignore[reportArgumentType]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def lambda_model() -> keras.Model:
    """A model that runs its author's code when it is loaded carelessly."""
    image = keras.Input((8, 8, 3), name="source_image")
    poses = [keras.Input((18, 2), name=name) for name in ("source_keypoints", "target_keypoints")]
    return keras.Model([image, *poses], keras.layers.Lambda(lambda x: x * 2)(image))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_models_with_code_are_refused_before_anything_is_made(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"g{suffix}"
    lambda_model().save(path)
    monkeypatch.setattr(keras.saving, "load_model", lambda *args, **values: pytest.fail("it was loaded"))
    with pytest.raises(InputError, match=r"g\.\w+: holds a part 'Lambda', which no model of this project has"):
        pose_gan.load_generator(path)


@pytest.mark.parametrize(
    "part",
    [
        {"module": "os", "class_name": "function", "config": "system"},
        {"module": "os", "class_name": "Conv2D", "config": {}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {}},
        {"module": ["keras"], "class_name": ["Conv2D"], "config": {}},
    ],
    ids=str,
)
def test_parts_from_elsewhere_are_refused_at_any_depth(tmp_path, part):
    path = tmp_path / "g.keras"
    save_model(build_generator(config()), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(members["config.json"])
    description["config"]["layers"][3]["config"]["activation"] = [{"deeper": part}]
    members["config.json"] = json.dumps(description).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match="which no model of this project has; it was not loaded"):
        pose_gan.load_generator(path)


def test_arrays_in_other_files_are_refused(tmp_path):
    path = tmp_path / "g.h5"
    save_model(build_generator(config()), path)
    with h5py.File(path, "a") as file:
        file["model_weights/more"] = h5py.ExternalLink("/etc/passwd", "x")
    with pytest.raises(InputError, match=r"hostile: model_weights/more leads to another file"):
        pose_gan.load_generator(path)


def test_a_compiled_generator_loads(tmp_path):
    """What belongs to its training is not read."""
    generator = build_generator(config())
    generator.compile(optimizer="adam", loss="mae")
    for suffix in (".h5", ".keras"):
        save_model(generator, tmp_path / f"g{suffix}")
        assert pose_gan.load_generator(tmp_path / f"g{suffix}").count_params() == generator.count_params()


def test_files_for_other_programs_are_named(tmp_path):
    for name in ("g.tflite", "g.onnx"):
        (tmp_path / name).touch()
        with pytest.raises(InputError, match=rf"{name}: is for other programs"):
            pose_gan.load_generator(tmp_path / name)


@pytest.mark.parametrize("read", [pose_gan.load_generator, load_model, read_info, release.load, release.settings])
def test_misspelled_settings_are_refused(tmp_path, read):
    """They would be taken for settings that the user does not know."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'warp_skips'"):
        read(tmp_path / "g.h5", warp_skips="full")
    with pytest.raises(TypeError, match="positional argument"):
        read(tmp_path / "g.h5", (128, 64))


def test_saving_leaves_out_one_message_and_no_other(tmp_path, caplog):
    """Not while it saves, not afterwards, and not those of other threads."""
    save_model(build_discriminator(config()), tmp_path / "whole.h5", ModelInfo("discriminator", config()))
    assert not caplog.records
    logger, filters = logging.getLogger("absl"), list(logging.getLogger("absl").filters)
    legacy = "You are saving your model as an HDF5 file via `model.save()`."

    def save(path: Any) -> None:
        logger.warning(legacy)
        logger.warning("something else")
        other = threading.Thread(target=logger.warning, args=[f"{legacy} In another thread."])
        other.start()
        other.join()
        shutil.copy(tmp_path / "whole.h5", path)

    model: Any = SimpleNamespace(save=save, weights=[])
    save_model(model, tmp_path / "d.h5", ModelInfo("discriminator", config()))
    assert [record.getMessage() for record in caplog.records] == ["something else", f"{legacy} In another thread."]
    assert (list(logger.filters), logger.level) == (filters, logging.getLogger("absl").level)
    logger.warning(legacy)
    assert caplog.records[-1].getMessage() == legacy
