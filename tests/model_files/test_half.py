"""Half precision: a small file, and the rounded weights, exactly. The generator that comes with the package."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from data_prep.people import sample_identity
from pose_gan import load_generator, runtime
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError, InputWarning
from pose_gan.model_files import half
from pose_gan.model_files.run_folder import DEMO_FILE, model_file
from pose_gan.model_files.saving import read_info, save_model
from pose_gan.networks import build_generator
from pose_gan.programs import export, info


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_generator(ModelConfig(image_size=(64, 64), width=0.125, warp_skip="none"))


def floats(model: keras.Model) -> list[np.ndarray]:
    return [weight.numpy() for weight in model.weights if "float" in weight.dtype]


def test_the_packed_file_holds_the_rounded_weights_exactly_in_less_than_half_the_space(generator, tmp_path, capsys):
    whole, packed = tmp_path / "whole.h5", tmp_path / "packed/generator.h5"
    save_model(generator, whole)
    words = [str(whole), "--format", "h5", "--half_precision", "1", "--output", str(packed.parent)]
    with runtime.untraced():
        assert export.main(words) == 0
    assert "0.0e+00" in capsys.readouterr().out.splitlines()[-1]  # compared with the generator of the rounded weights
    assert packed.stat().st_size < 0.5 * whole.stat().st_size
    loaded = load_generator(packed)
    for before, after in zip(floats(generator), floats(loaded), strict=True):
        assert after.dtype == np.float32
        np.testing.assert_array_equal(after, before.astype(np.float16).astype(np.float32))
    assert read_info(packed) == read_info(whole)


def test_no_person_of_the_demos_test_was_in_the_training_of_the_packages_generator():
    """`make demo-generator` has seed 7, `make demo` seed 0; a person depends on seed, split and number."""
    trained = {repr(sample_identity(np.random.default_rng([7, 0, person]))) for person in range(1200)}
    tested = {repr(sample_identity(np.random.default_rng([0, 1, person]))) for person in range(20)}
    assert (len(trained), len(tested), len(trained & tested)) == (1200, 20, 0)


def test_weights_beyond_half_precision_are_refused(generator):
    twin = keras.models.clone_model(generator)
    twin.weights[0].assign(twin.weights[0] + 1e5)
    with pytest.raises(InputError, match=r"half precision: the weight .* has values that it cannot hold"):
        half.round_weights(twin)


def test_the_generator_of_the_package_is_small_rounded_and_says_whom_it_knows(tmp_path, monkeypatch, capsys):
    assert DEMO_FILE.stat().st_size <= 4_000_000
    (tmp_path / "demo").mkdir()  # the folder that `make demo` makes is not meant
    monkeypatch.chdir(tmp_path)
    assert model_file("demo") == DEMO_FILE
    with pytest.raises(InputError, match="not the folder of a training run"):
        model_file("./demo")
    with pytest.warns(InputWarning, match="knows drawn people only"):
        loaded = load_generator("demo")
    for values in floats(loaded):
        np.testing.assert_array_equal(values, values.astype(np.float16).astype(np.float32))
    assert info.main(["demo"]) == 0
    assert "knows           drawn people only" in capsys.readouterr().out
