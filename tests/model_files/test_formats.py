"""Exported generators: the same image in every format, the metadata, and what cannot be had."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from makers import TRAINING, config

from pose_gan import load_generator
from pose_gan.errors import InputError
from pose_gan.layers.forms import use_fast_forms
from pose_gan.model_files import formats
from pose_gan.model_files.run_folder import EXPORTS
from pose_gan.model_files.saving import describe, read_info, save_model, settings_of
from pose_gan.model_files.trial import samples
from pose_gan.networks import build_generator
from pose_gan.poses.drawing import to_uint8
from pose_gan.programs import export

OTHERS = ("savedmodel", "tflite", "onnx")
VARIANTS = [
    *(({}, name) for name in OTHERS),
    *(({"warp_skip": "stn", "use_bg": True, "image_size": (101, 70)}, name) for name in OTHERS),  # on a larger canvas
    ({"compat": "release"}, "savedmodel"),
    ({"compat": "release"}, "onnx"),
    ({"warp_skip": "full", "pose_rep_type": "stickman"}, "tflite"),
    ({"warp_skip": "none", "compat": "release"}, "tflite"),
]


def trained(**values) -> keras.Model:
    """A generator whose weights, the small net of `stn` included, are not those that it begins with."""
    keras.utils.set_random_seed(1)
    generator, random = build_generator(config(**values)), np.random.default_rng(0)
    generator.set_weights(
        [w + random.normal(0, 0.02, w.shape) if w.dtype == np.float32 else w for w in generator.get_weights()]
    )
    return generator


def images(generator: keras.Model, values) -> np.ndarray:
    return np.asarray(generator([values[tensor.name] for tensor in generator.inputs]))


@pytest.mark.parametrize(("values", "name"), VARIANTS, ids=str)
def test_the_same_images_in_every_format(tmp_path, values, name):
    """Of several batch sizes, integer joints among them, which outlines run through."""
    generator = trained(**values)
    info = dataclasses.replace(describe(generator), training=TRAINING)
    path = tmp_path / EXPORTS[name]
    formats.write(generator, path, name, info)
    assert read_info(path) == info
    run = formats.FORMATS[name].open(path)
    batch = samples(info, 5)
    for key in ("source_keypoints", "target_keypoints"):
        batch[key][2:] = np.rint(batch[key][2:])
    expected = images(generator, batch)
    assert expected.std() > 0.05
    np.testing.assert_allclose(run(batch), expected, atol=1e-4)
    np.testing.assert_allclose(run({key: value[:1] for key, value in batch.items()}), expected[:1], atol=1e-4)


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A generator, which computes on a larger canvas than its images, its settings, and its SavedModel."""
    generator = trained(image_size=(101, 70))
    use_fast_forms(generator, training=True)
    info, path = describe(generator), tmp_path_factory.mktemp("exported") / "saved_model"
    formats.write(generator, path, "savedmodel", info)
    return generator, info, path


def test_saved_model_has_no_form_of_the_training(saved_model):
    generator, _, path = saved_model
    assert any("call" in vars(layer) for layer in generator.layers if isinstance(layer, keras.layers.LeakyReLU))
    assert b"LeakyRelu" in (path / "saved_model.pb").read_bytes()
    assert b"LeakyReluGrad" not in (path / "saved_model.pb").read_bytes()


def test_saved_model_serves_uint8(saved_model):
    generator, info, path = saved_model
    batch = samples(info)
    photos = to_uint8(batch["source_image"])
    batch["source_image"] = photos / np.float32(127.5) - 1
    signature = tf.saved_model.load(str(path)).signatures["serve_uint8"]
    tensors = {key: tf.constant(value) for key, value in batch.items()} | {"source_image": tf.constant(photos)}
    served, expected = signature(**tensors)["image"].numpy(), to_uint8(images(generator, batch))
    assert served.dtype == np.uint8
    assert np.abs(served.astype(int) - expected).max() <= 1
    assert (served != expected).mean() < 1e-3


def test_saved_model_needs_nothing_of_this_package(saved_model, tmp_path):
    """In a fresh process that cannot import it."""
    generator, info, path = saved_model
    batch = samples(info)
    np.savez(tmp_path / "batch.npz", **batch)  # pyright: ignore[reportArgumentType]
    script = (
        "import sys\n"
        "sys.modules['pose_gan'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        f"loaded = tf.saved_model.load({str(path)!r})\n"
        "values = {name: tf.constant(value) for name, value in np.load('batch.npz').items()}\n"
        "np.save('image.npy', loaded.signatures['serving_default'](**values)['image'])\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "image.npy"), images(generator, batch), atol=1e-4)


def test_saved_model_loads_as_a_keras_model(saved_model):
    """For inference, in our programs and in others' models."""
    generator, info, path = saved_model
    loaded = load_generator(path)
    batch = samples(info)
    np.testing.assert_allclose(images(loaded, batch), images(generator, batch), atol=1e-4)
    assert settings_of(loaded) == info.model


def test_damaged_saved_models_are_named(saved_model, tmp_path):
    folder = tmp_path / "saved_model"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(InputError, match="has no metadata: it was not written by this project"):
        load_generator(folder)
    (folder / "assets.extra").mkdir()
    source = saved_model[2] / "assets.extra/pose_gan.json"
    (folder / "assets.extra/pose_gan.json").write_bytes(source.read_bytes())
    with pytest.raises(InputError, match="damaged, or not a SavedModel"):
        load_generator(folder)


def test_saved_models_that_touch_files_are_refused(saved_model, tmp_path):
    class Reader(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
        def serve(self, path):
            return {"image": tf.io.read_file(path)}

    module = Reader()
    tf.saved_model.save(module, str(tmp_path / "saved_model"), {"serving_default": module.serve})
    (tmp_path / "saved_model/assets.extra").mkdir()
    source = saved_model[2] / "assets.extra/pose_gan.json"
    (tmp_path / "saved_model/assets.extra/pose_gan.json").write_bytes(source.read_bytes())
    with pytest.raises(InputError, match=r"its graph holds .*ReadFile, which no model of this project has"):
        load_generator(tmp_path / "saved_model")


def test_export_writes_tries_and_keeps_what_is_there(tmp_path, capsys):
    save_model(trained(warp_skip="none"), tmp_path / "g.keras")
    command = [str(tmp_path / "g.keras"), "--format", "h5", "savedmodel"]
    export.main(command)
    rows = capsys.readouterr().out.splitlines()[-2:]
    assert [row.split()[0] for row in rows] == ["h5", "savedmodel"]
    assert all(float(row.split()[-3]) < 1e-4 for row in rows)
    assert all(row.endswith(" ms") for row in rows)
    assert sorted(path.name for path in (tmp_path / "export").iterdir()) == ["generator.h5", "saved_model"]
    with pytest.raises(InputError, match=r"export/generator\.h5: is there already; --overwrite 1 replaces it"):
        export.main(command)
    export.main([*command, "--overwrite", "1", "--check", "0"])
    assert "not compared" in capsys.readouterr().out
    with pytest.raises(InputError, match="an exported model cannot be exported again"):
        export.main([str(tmp_path / "export/saved_model"), "--format", "h5"])


def with_error(monkeypatch, error) -> None:
    """Lets `h5` files give other images than they hold."""
    real = formats.FORMATS["h5"]
    wrong = real._replace(open=lambda path: lambda values: real.open(path)(values) + error)
    monkeypatch.setitem(formats.FORMATS, "h5", wrong)


@pytest.mark.parametrize("error", [2e-4, np.nan])
def test_export_refuses_what_gives_other_images(tmp_path, monkeypatch, error):
    save_model(trained(warp_skip="none"), tmp_path / "g.keras")
    with_error(monkeypatch, error)
    with pytest.raises(InputError, match=r"generator\.h5: gives images that differ by .* do not use it"):
        export.main([str(tmp_path / "g.keras"), "--format", "h5"])


def test_export_bears_a_single_pixel(tmp_path, monkeypatch, capsys):
    """At the outline of a part, rounding may decide."""
    save_model(trained(warp_skip="none"), tmp_path / "g.keras")
    pixel = np.zeros((96, 64, 3))
    pixel[40, 30] = 0.2
    with_error(monkeypatch, pixel)
    export.main([str(tmp_path / "g.keras"), "--format", "h5"])
    assert "2.0e-01" in capsys.readouterr().out


def test_what_a_format_cannot_hold_is_said_before_anything_is_written(tmp_path, monkeypatch):
    save_model(trained(compat="release"), tmp_path / "g.keras")
    with pytest.raises(InputError, match=r"tflite: this generator looks up nearest.*use onnx or savedmodel"):
        export.main([str(tmp_path / "g.keras"), "--format", "h5", "tflite"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'onnx: needs the package tf2onnx; pip install .*\[onnx\]"'):
        export.main([str(tmp_path / "g.keras"), "--format", "h5", "onnx"])
    assert not (tmp_path / "export").exists()


def test_an_unknown_format_is_named(saved_model, tmp_path):
    generator, info, _ = saved_model
    with pytest.raises(InputError, match="format 'tf' is not known; allowed: h5, keras, savedmodel, tflite, onnx"):
        formats.write(generator, tmp_path / "g", "tf", info)


@pytest.mark.parametrize("name", ["savedmodel", "keras"])
def test_a_folder_of_others_is_not_replaced(saved_model, tmp_path, name):
    """Not a folder of photographs, nor a SavedModel of another program, nor our own by a file."""
    generator, info, path = saved_model
    photos, other = tmp_path / "photos", tmp_path / "other"
    for folder in (photos, other):
        folder.mkdir()
        (folder / "holiday.jpg").write_text("dear")
    (other / "saved_model.pb").write_text("of another program")
    for folder in (photos, other, *([path] if name == "keras" else [])):
        held = sorted(item.name for item in folder.rglob("*"))
        with pytest.raises(InputError, match=rf"{folder.name}: is a folder, but no SavedModel that this project wrote"):
            formats.write(generator, folder, name, info)
        assert sorted(item.name for item in folder.rglob("*")) == held
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(InputError, match="link: is a folder, but no SavedModel"):
        formats.write(generator, tmp_path / "link", name, info)
    (tmp_path / "file").write_text("dear")
    if name == "savedmodel":
        with pytest.raises(InputError, match="file: is a file, and a SavedModel is a folder"):
            formats.write(generator, tmp_path / "file", name, info)
    assert (tmp_path / "file").read_text() == "dear"


def test_our_own_saved_model_is_replaced(saved_model, tmp_path):
    generator, info, path = saved_model
    target = tmp_path / "saved_model"
    for number in (1, 2):
        formats.write(generator, target, "savedmodel", dataclasses.replace(info, converted_from=f"{number}.h5"))
        (target / "note").write_text("of an older one") if number == 1 else None
    found = read_info(target)
    assert found is not None
    assert found.converted_from == "2.h5"
    assert sorted(item.name for item in target.iterdir()) == sorted(item.name for item in path.iterdir())
    assert list(tmp_path.iterdir()) == [target]
