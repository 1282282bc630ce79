"""Checkpoints of the authors' release in the programs: test.py, train.py, convert, info."""

from __future__ import annotations

import json

import imageio.v3 as iio
import numpy as np
import pytest
from makers import people
from test_release import released_model

import train
from pose_gan import load_generator
from pose_gan.data.pairs import read_pairs
from pose_gan.errors import InputError
from pose_gan.model_files.metadata import ModelInfo
from pose_gan.model_files.saving import load_model, read_info
from pose_gan.networks import generator_config
from pose_gan.poses.keypoints import read_annotations, write_annotations
from pose_gan.programs import convert, info
from pose_gan.programs import test as program

SIZE = (96, 64)


@pytest.fixture
def upright_data(tiny_data):
    """The tiny data set with poses that a fit is determined by."""
    for split in ("train", "test"):
        names = read_annotations(tiny_data.annotations(split)).names
        poses = np.clip(people(len(names), SIZE, seed=7, missing=0), 1, np.array(SIZE) - 1)
        write_annotations(tiny_data.annotations(split), names, poses)
    return tiny_data


def flags(data, *more) -> list[str]:
    own = ["--dataset", "tiny", "--images_dir", data.root, "--annotations_dir", data.root, "--image_size", "96x64"]
    return [str(value) for value in (*own, *more)]


def test_test_writes_the_releases_image_to_the_last_grey_level(upright_data, tmp_path, capsys):
    model = released_model(tmp_path / "g.h5", size=SIZE, whole=True)
    out = tmp_path / "out"
    made = flags(upright_data, "--generator_checkpoint", tmp_path / "g.h5", "--generated_images_dir", out)
    program.main([*made, "--images_for_test", "2", "--metrics", "l1", "--warp_skip", "mask"])
    assert "2 images generated" in capsys.readouterr().out
    annotations = read_annotations(upright_data.annotations("test"))
    for fr, to in read_pairs(upright_data.pairs("test")).to_numpy()[:2]:
        source = iio.imread(out / f"{fr}_{to}.png")[:, : SIZE[1]] / 255.0 * 2 - 1
        poses = [annotations.keypoints[annotations.rows[name]] for name in (fr, to)]
        expected = (255 * ((model(source, *poses) + 1) / 2.0)).astype(np.uint8)  # as the release writes it
        got = iio.imread(out / "generated" / f"{fr}_{to}.png")
        differing = got != expected
        assert differing.mean() < 1e-3  # where a value lies at the border of two levels
        assert np.abs(got.astype(int) - expected).max() <= 1
    with pytest.raises(InputError, match=r"g\.h5: is of a generator with warp_skip mask, got warp_skip stn; leave"):
        program.main([*made, "--warp_skip", "stn"])
    with pytest.raises(InputError, match=r"--compat: .*g\.h5 was built with release, got paper; leave the flag out"):
        program.main([*made, "--compat", "paper"])


def test_training_goes_on_from_the_releases_weights(upright_data, tmp_path):
    """Both networks; the settings are those of the file, and the run's own generator keeps them."""
    released_model(tmp_path / "g.h5", size=SIZE, warp_skip="none")
    released_model(tmp_path / "d.h5", "discriminator", size=SIZE)
    given = ["--generator_checkpoint", tmp_path / "g.h5", "--discriminator_checkpoint", tmp_path / "d.h5"]
    short = ["--number_of_epochs", 1, "--iterations_per_epoch", 1, "--batch_size", 2, "--learning_rate", 1e-9]
    run = tmp_path / "run"
    train.main(flags(upright_data, *given, *short, "--output_dir", run))
    told = read_info(run)
    assert (told.model.warp_skip, told.model.compat, told.model.norm, told.model.width) == (
        *("none", "release", "release"),
        0.125,
    )
    assert told.training
    assert (told.training.begun_from, told.training.step, told.training.run) == ("g.h5", 1, "run")
    begun, ended = load_generator(tmp_path / "g.h5", image_size=SIZE), load_generator(run)
    for a, b in zip(begun.weights, ended.weights, strict=True):
        if a.dtype == "float32":
            np.testing.assert_allclose(a, b, atol=1e-6)  # the learning rate hardly moves them
    begun = load_model(tmp_path / "d.h5", image_size=SIZE)
    ended = load_model(next((run / "checkpoints").glob("step-*")) / "discriminator.h5")
    for a, b in zip(begun.weights, ended.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_training_explains_what_does_not_fit(upright_data, tmp_path):
    released_model(tmp_path / "g.h5", size=SIZE)
    run = ["--output_dir", tmp_path / "run"]
    given = flags(upright_data, "--generator_checkpoint", tmp_path / "g.h5", *run)
    with pytest.raises(InputError, match=r"is of a generator with warp_skip mask, got warp_skip none"):
        train.main([*given, "--warp_skip", "none"])
    with pytest.raises(
        InputError, match=r"do not fit the generator.*its settings are .*norm release.*check --warp_skip"
    ):
        train.main([*given, "--norm", "instance"])
    released_model(tmp_path / "d.h5", "discriminator", size=SIZE)
    with pytest.raises(InputError, match=r"d\.h5: its weights do not fit the discriminator.*--compat"):
        train.main(flags(upright_data, "--discriminator_checkpoint", tmp_path / "d.h5", "--width", 0.125, *run))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_convert_writes_our_format_once(tmp_path, capsys, suffix):
    released_model(tmp_path / "old.h5", size=SIZE, warp_skip="stn")
    new = tmp_path / f"new{suffix}"
    convert.main([str(tmp_path / "old.h5"), str(new), "--image_size", "96x64"])
    assert "warp_skip stn" in capsys.readouterr().out
    a, b = load_generator(tmp_path / "old.h5", image_size=SIZE), load_generator(new)
    assert generator_config(a) == generator_config(b)
    for x, y in zip(a.weights, b.weights, strict=True):
        np.testing.assert_array_equal(x, y)
    assert read_info(new) == ModelInfo("generator", generator_config(a), converted_from="old.h5")
    with pytest.raises(InputError, match=r"is there already; --overwrite 1 replaces it"):
        convert.main([str(tmp_path / "old.h5"), str(new)])
    with pytest.raises(InputError, match=r"new\.onnx: a model file ends in \.h5 or \.keras"):
        convert.main([str(tmp_path / "old.h5"), str(tmp_path / "new.onnx")])
    with pytest.raises(InputError, match=r"none\.h5: no such model file"):
        convert.main([str(tmp_path / "none.h5"), str(tmp_path / "x.h5")])


def test_convert_takes_discriminators_and_our_own_files(tmp_path):
    released_model(tmp_path / "d.h5", "discriminator", size=(64, 64), disc_type="sim")
    convert.main([str(tmp_path / "d.h5"), str(tmp_path / "d.keras"), "--image_size", "64x64"])
    told = read_info(tmp_path / "d.keras")
    assert (told.kind, told.model.disc_type, told.converted_from) == ("discriminator", "sim", "d.h5")
    convert.main([str(tmp_path / "d.keras"), str(tmp_path / "again.h5")])
    assert read_info(tmp_path / "again.h5") == told


def test_info_prints_what_a_file_knows(tmp_path, capsys):
    released_model(tmp_path / "old.h5", warp_skip="full", whole=True)
    info.main([str(tmp_path / "old.h5")])
    shown = dict(line.split(None, 1) for line in capsys.readouterr().out.replace("image size", "size").splitlines())
    assert shown["size"].startswith("64x64")
    assert shown["skips"] == "full, max, nearest"
    assert shown["normalisation"] == shown["follows"] == "release"
    assert "the authors' release" in shown["written"]
    info.main([str(tmp_path / "old.h5"), "--json"])
    assert json.loads(capsys.readouterr().out)["model"]["skeleton"]["name"] == "coco18"
    with pytest.raises(InputError, match=r"not the folder of a training run"):
        info.main([str(tmp_path)])
