"""Model files travel between the versions of Keras that `constraints.txt` gives to different Pythons."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from checkout import ROOT
from makers import config, inputs

import pose_gan
from pose_gan.errors import InputError
from pose_gan.model_files.saving import load_model, save_model
from pose_gan.networks import build_discriminator, build_generator
from pose_gan.programs import info

# The settings of Keras' own parts that Keras 3.12 knows, as it wrote them itself. `UpConv2D` is a `Conv2DTranspose`.
_LAYER = "dtype name trainable "
_WEIGHTS = "kernel_constraint kernel_initializer kernel_regularizer bias_constraint bias_initializer bias_regularizer "
_CONVOLUTION = (
    _LAYER + _WEIGHTS + "activation activity_regularizer data_format dilation_rate filters kernel_size strides "
)
KERAS_3_12 = {
    "Activation": _LAYER + "activation",
    "Concatenate": _LAYER + "axis",
    "Constant": "value",
    "Conv2D": _CONVOLUTION + "groups padding use_bias",
    "Cropping2D": _LAYER + "cropping data_format",
    "DTypePolicy": "name",
    "Dense": _LAYER + _WEIGHTS + "activation units use_bias",
    "Dropout": _LAYER + "noise_shape rate seed",
    "Flatten": _LAYER + "data_format",
    "Functional": "input_layers layers name output_layers trainable",
    "GlorotUniform": "seed",
    "InputLayer": "batch_shape dtype name ragged sparse",
    "LeakyReLU": _LAYER + "negative_slope",
    "ReLU": _LAYER + "max_value negative_slope threshold",
    "UpConv2D": _CONVOLUTION + "padding use_bias",
    "ZeroPadding2D": _LAYER + "data_format padding",
    "Zeros": "",
}
VARIANTS = [
    {},
    {"warp_skip": "full", "norm": "release", "image_size": (100, 64)},
    {"warp_skip": "stn", "use_bg": True},
    {"warp_skip": "none", "pose_rep_type": "stickman", "compat": "release"},
]


def described(path: Path) -> dict:
    """The description of the architecture in a model file."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    with h5py.File(path) as file:
        return json.loads(file.attrs["model_config"])  # pyright: ignore[reportArgumentType]


def parts(value) -> list[tuple[str, set[str]]]:
    """The name and the settings of each part in a description."""
    inside = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    found = [part for each in inside for part in parts(each)]
    if isinstance(value, dict) and "class_name" in value and isinstance(value.get("config"), dict):
        found.append((value["class_name"].removeprefix("pose_gan>"), set(value["config"])))
    return found


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_files_say_only_what_the_older_keras_knows_and_lose_nothing(tmp_path, values, suffix):
    for build in (build_generator, build_discriminator):
        model, path = build(config(**values)), tmp_path / f"{build.__name__}{suffix}"
        save_model(model, path)
        for name, settings in parts(described(path)):
            assert name not in KERAS_3_12 or settings <= set(KERAS_3_12[name].split()), name
        loaded = load_model(path)
        assert json.loads(loaded.to_json()) == json.loads(model.to_json())
        for mine, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, other)


def test_settings_with_another_value_than_their_default_stay(tmp_path):
    tensor = keras.Input((8, 8, 3))
    layer = keras.layers.Conv2D(2, 3, use_bias=False, kernel_initializer=keras.initializers.GlorotUniform(seed=3))
    model = keras.Model(tensor, layer(tensor))
    layer.trainable = False
    save_model(model, tmp_path / "m.keras")
    assert keras.saving.load_model(tmp_path / "m.keras").to_json() == model.to_json()  # pyright: ignore[reportOptionalMemberAccess]


def of_another_version(path: Path) -> None:
    """A file that a later Keras could have written, with a setting that this one does not know."""
    with h5py.File(path, "a") as file:
        description = json.loads(file.attrs["model_config"])  # pyright: ignore[reportArgumentType]
        layer = next(part for part in description["config"]["layers"] if part["class_name"] == "Conv2D")
        layer["config"]["from_the_future"] = 1
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(description), "3.99.1"


def test_the_message_names_both_versions(tmp_path):
    path = tmp_path / "generator.h5"
    save_model(build_generator(config()), path)
    of_another_version(path)
    here = re.escape(keras.__version__)
    with pytest.raises(InputError, match=rf'generator\.h5: Keras {here}.*Keras 3\.99\.1 wrote.*"keras==3\.99\.1"'):
        pose_gan.load_generator(path)


@pytest.mark.parametrize("version", ["3; rm -r /", "x" * 5000, "3.99.1 from http://evil"])
def test_a_version_that_is_none_is_not_repeated(tmp_path, version):
    path = tmp_path / "generator.h5"
    save_model(build_generator(config()), path)
    of_another_version(path)
    with h5py.File(path, "a") as file:
        file.attrs["keras_version"] = version
    with pytest.raises(InputError, match="damaged, or not a model") as caught:
        pose_gan.load_generator(path)
    assert version not in str(caught.value)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_info_shows_both_versions(tmp_path, capsys, suffix):
    path = tmp_path / f"generator{suffix}"
    save_model(build_generator(config()), path)
    version = keras.__version__
    info.main([str(path)])
    assert re.search(
        rf"^keras +{re.escape(version)} wrote the file, {re.escape(version)} is installed$",
        capsys.readouterr().out,
        re.M,
    )
    if suffix == ".h5":
        with h5py.File(path, "a") as file:
            file.attrs["keras_version"] = "3.99.1"
        info.main([str(path), "--json"])
        assert json.loads(capsys.readouterr().out)["keras"] == {"wrote": "3.99.1", "installed": version}


# ---------------------------------------------------------------------------- the other Keras itself

ELSEWHERE = """
import sys, keras, numpy as np, pose_gan
from pose_gan.model_files.saving import load_model, save_model
for path in sys.argv[1:]:
    model, batch = load_model(path), dict(np.load(path + '.npz'))
    np.save(path + '.npy', model([batch[tensor.name] for tensor in model.inputs]))
    stem, suffix = path.rsplit('.', 1)
    save_model(model, stem + '-back.' + suffix)
print(keras.__version__)
"""


@pytest.fixture(scope="module")
def other_keras(tmp_path_factory) -> tuple[str, Path]:
    """The oldest Keras in `constraints.txt`, in a folder of its own: its version and the folder."""
    pinned = re.findall(r"^keras==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    version = min(pinned, key=lambda text: [int(number) for number in text.split(".")])
    if version == keras.__version__:
        pytest.skip("the oldest Keras is the one that runs")
    folder = tmp_path_factory.mktemp("keras")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder),
        f"keras=={version}",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"keras {version} cannot be installed here: {done.stderr[-200:]}")
    return version, folder


@pytest.mark.slow
def test_the_oldest_keras_reads_what_this_one_writes_and_the_other_way(tmp_path, other_keras):
    version, folder = other_keras
    expected = {}
    for number, values in enumerate(VARIANTS):
        for build in (build_generator, build_discriminator):
            model = build(config(**values))
            batch = {name: np.asarray(value) for name, value in inputs(model).items()}
            for suffix in (".h5", ".keras"):
                path = tmp_path / f"{build.__name__}{number}{suffix}"
                save_model(model, path)
                np.savez(f"{path}.npz", **batch)  # pyright: ignore[reportArgumentType]
                expected[path] = np.asarray(model([batch[tensor.name] for tensor in model.inputs]))
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *map(str, expected)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == version
    for path, image in expected.items():
        np.testing.assert_allclose(np.load(f"{path}.npy"), image, atol=1e-5, err_msg=path.name)
        back = load_model(path.with_name(f"{path.stem}-back{path.suffix}"))
        batch = np.load(f"{path}.npz")
        np.testing.assert_allclose(back([batch[tensor.name] for tensor in back.inputs]), image, atol=1e-5)
