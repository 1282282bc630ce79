"""Metadata: in every format, the same values; read back whole; damaged ones are named."""

from __future__ import annotations

import zipfile

import h5py
import pytest
from makers import TRAINING, config

from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.model_files import metadata
from pose_gan.model_files.metadata import ModelInfo
from pose_gan.model_files.opening import open_generator
from pose_gan.model_files.saving import load_generator, read_info, save_model
from pose_gan.networks import build_discriminator, build_generator

INFO = ModelInfo("generator", ModelConfig((96, 64), "stn", width=0.125, norm="release"), TRAINING)


def test_json_round_trip():
    assert ModelInfo.from_json(INFO.to_json(), "here") == INFO
    plain = ModelInfo("discriminator", ModelConfig(), converted_from="d.h5", pose_gan="0.0.9")
    assert ModelInfo.from_json(plain.to_json(), "here") == plain


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_models_carry_it_and_still_load(tmp_path, suffix):
    path = tmp_path / f"g{suffix}"
    save_model(build_generator(INFO.model), path, INFO)
    assert metadata.read(path) == read_info(path) == INFO
    assert load_generator(path).count_params() == build_generator(INFO.model).count_params()
    save_model(build_generator(INFO.model), path)  # what the layers tell
    assert read_info(path) == ModelInfo("generator", INFO.model)


def test_a_discriminator_keeps_what_it_was_given(tmp_path):
    info = ModelInfo("discriminator", config(disc_type="warp"), TRAINING)
    save_model(build_discriminator(info.model), tmp_path / "d.keras", info)
    assert read_info(tmp_path / "d.keras") == info
    save_model(build_discriminator(info.model), tmp_path / "d.h5")
    with pytest.raises(InputError, match=r"d\.h5: not a generator"):
        read_info(tmp_path / "d.h5")


def test_files_from_before_metadata_are_described_by_their_layers(tmp_path):
    path = tmp_path / "g.h5"
    save_model(build_generator(INFO.model), path)
    with h5py.File(path, "a") as file:
        del file.attrs[metadata.KEY]
    assert metadata.read(path) is None
    assert read_info(path) == ModelInfo("generator", INFO.model)


def test_attached_to_other_formats(tmp_path):
    """A TFLite file is what stands before the attachment; a SavedModel is a folder."""
    flat = tmp_path / "g.tflite"
    flat.write_bytes(b"TFL3" * 100)
    assert metadata.read(flat) is None
    metadata.attach(flat, INFO)
    assert flat.read_bytes().startswith(b"TFL3" * 100)
    assert metadata.read(flat) == INFO
    folder = tmp_path / "saved"
    folder.mkdir()
    assert metadata.read(folder) is None
    metadata.attach(folder, INFO)
    assert metadata.read(folder) == INFO
    with pytest.raises(ValueError, match="not a format"):
        metadata.attach(tmp_path / "g.txt", INFO)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"g\.keras: its metadata are damaged"),
        ('{"kind": "generator"}', r"g\.keras: metadata: key 'model' is missing"),
        ('{"kind": "picture", "model": {}}', r"g\.keras: metadata: kind 'picture' is not known; allowed: generator"),
        (
            '{"kind": "generator", "model": {"width": "x"}}',
            r"metadata\.model\.width: expected a finite number, got 'x'",
        ),
        ('{"kind": "generator", "model": {}, "x": 1}', r"unknown key 'x'"),
    ],
)
def test_damaged_metadata_are_named(tmp_path, text, message):
    with zipfile.ZipFile(tmp_path / "g.keras", "w") as archive:
        archive.comment = text.encode()
    with pytest.raises(InputError, match=message):
        metadata.read(tmp_path / "g.keras")


def test_what_is_no_model_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.h5: no such model file"):
        metadata.read(tmp_path / "none.h5")
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(InputError, match=r"x\.txt: not a model file: it ends in none of"):
        metadata.read(tmp_path / "x.txt")
    for name in ("x.h5", "x.keras"):
        (tmp_path / name).write_text("x")
        with pytest.raises(InputError, match=r"damaged"):
            metadata.read(tmp_path / name)
    (tmp_path / "x.tflite").write_text("x")
    with pytest.raises(InputError, match=r"x\.tflite: has no metadata: it was not written by this project"):
        read_info(tmp_path / "x.tflite")


def test_a_damaged_tflite_file_with_metadata_is_told(tmp_path):
    path = tmp_path / "g.tflite"
    path.write_bytes(b"no flat buffer" * 100)
    metadata.attach(path, INFO)
    with pytest.raises(InputError, match=r"g\.tflite: damaged: "):
        open_generator(path)
