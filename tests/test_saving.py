"""Models as files: the same image after a round trip, one clear message for what is not a model."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import pose_gan
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.networks import build_discriminator, build_generator
from pose_gan.saving import save_model
from tests.test_networks import config, inputs


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
    with pytest.raises(InputError, match=r"model\.txt: no such file or folder; a model file ends in \.h5 or \.keras"):
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


def test_failed_save_keeps_the_old_file(tmp_path):
    path = tmp_path / "g.h5"
    path.write_text("old")
    with pytest.raises(AttributeError):
        save_model(ModelConfig(), path)  # pyright: ignore[reportArgumentType]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
