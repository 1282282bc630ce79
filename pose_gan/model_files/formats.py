"""The formats in which a trained generator can be written, so that other programs can read it.

| name | file | needed to run it | batch size |
| --- | --- | --- | --- |
| `h5` | `generator.h5` | this package, Keras | any |
| `keras` | `generator.keras` | this package, Keras | any |
| `savedmodel` | folder `saved_model/` | TensorFlow | any |
| `tflite` | `generator.tflite` | LiteRT (`ai-edge-litert`), or TensorFlow | any |
| `onnx` | `generator.onnx` | ONNX Runtime | any |

All formats take the inputs of a generator by their names and return `image`. Only `h5` and `keras` files can be
trained further.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.layers import DeformableSkip, PoseLayer
from pose_gan.model_files import metadata
from pose_gan.model_files.metadata import ModelInfo
from pose_gan.model_files.onnx_files import open_onnx
from pose_gan.model_files.opening import Values, open_tflite
from pose_gan.model_files.run_folder import SAVED_MODEL
from pose_gan.model_files.saving import load_generator, save_model
from pose_gan.networks import compiled
from pose_gan.versions import install

OPSET = 18  # version of the ONNX operator set

Run = Callable[[Values], np.ndarray]


class Format(NamedTuple):
    """A format of model files.

    write: writes a generator and its metadata to a file.
    open: opens such a file as a function, which maps arrays (by input name) to images `(B, H, W, 3)`.
    """

    write: Callable[[keras.Model, Path, ModelInfo], None]
    open: Callable[[Path], Run]


def write(generator: keras.Model, path: str | os.PathLike[str], name: str, info: ModelInfo) -> None:
    """Writes a generator and its metadata in one of the formats, atomically.

    Args:
        generator: a float32 model, as `build_generator` makes it.
        path: the file, or the folder for `savedmodel`. An existing file is replaced; an existing folder is replaced
            only if it is a SavedModel that this project wrote.
        name: the name of the format.
        info: the metadata of the generator.
    Raises: InputError: the format is unknown, it cannot hold this generator, it needs a package that is not
        installed, or what stands at `path` is not replaced.
    """
    check(name, info)
    path = Path(path)
    _check_replaceable(path, name)
    with atomic_path(path) as temporary:
        FORMATS[name].write(generator, temporary, info)
        if path.is_dir():  # unlike a file, a folder cannot be replaced in one step; the block's end deletes this one
            os.replace(path, temporary.with_name(f"{path.name}.replaced"))


def _check_replaceable(path: Path, name: str) -> None:
    """Raises InputError if something stands at `path` that a model in this format must not replace."""
    if name == "savedmodel" and path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file, and a SavedModel is a folder; give another name, or delete it")
    if not path.is_dir():
        return
    ours = not path.is_symlink() and (path / SAVED_MODEL).is_file() and metadata.read(path) is not None
    if name != "savedmodel" or not ours:
        raise InputError(
            f"{path}: is a folder, but no SavedModel that this project wrote, so it is not replaced; give another "
            "name, or delete it"
        )


def check(name: str, info: ModelInfo) -> None:
    """Raises InputError if the format is unknown, cannot hold the generator, or needs a package that is absent."""
    if name not in FORMATS:
        raise InputError(f"format {name!r} is not known; allowed: {', '.join(FORMATS)}")
    model = info.model
    if name == "onnx" and not importlib.util.find_spec("tf2onnx"):
        raise InputError(f"onnx: needs the package tf2onnx; {install('onnx')}")
    exact = model.warp_interpolation == "nearest" or model.compat == "release"
    if name == "tflite" and exact and model.warp_skip in ("mask", "full"):
        raise InputError(
            "tflite: this generator looks up nearest neighbours, or fits transforms as the authors' release does; both "
            "need float64, which TFLite does not have; use onnx or savedmodel"
        )


# ------------------------------------------------------------------------------------ SavedModel


def _write_saved_model(generator: keras.Model, path: Path, info: ModelInfo) -> None:
    """Writes the signatures `serving_default` (float32 images in [-1, 1]) and `serve_uint8` (uint8 in and out)."""
    twin: Any = keras.models.clone_model(generator)  # without the forms that `layers.forms` may have given its layers
    twin.set_weights(generator.get_weights())

    def serve_uint8(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        scaled = [tf.cast(t, tf.float32) / 127.5 - 1.0 if t.dtype == tf.uint8 else t for t in tensors]
        levels = (twin(scaled, training=False) + 1.0) * 127.5
        levels = tf.floor(levels) if info.model.compat == "release" else tf.round(levels)  # as drawing.to_uint8
        return {"image": tf.cast(tf.clip_by_value(levels, 0.0, 255.0), tf.uint8)}

    archive = keras.export.ExportArchive()  # `track` is not called, since it would write all weights twice
    archive.add_endpoint("serving_default", _served(twin), _specs(twin))
    archive.add_endpoint("serve_uint8", serve_uint8, _specs(twin, tf.uint8))
    archive.write_out(str(path), verbose=False)
    metadata.attach(path, info.written_now())


def _open_saved_model(path: Path) -> Run:
    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]

    def run(values: Values) -> np.ndarray:
        image = signature(**{name: tf.constant(value, tf.float32) for name, value in values.items()})["image"]
        return image.numpy()

    run.owner = loaded  # keeps the variables alive
    return run


# ---------------------------------------------------------------------------------------- TFLite


def _write_tflite(generator: keras.Model, path: Path, info: ModelInfo) -> None:
    """Uses only operators that every LiteRT runtime has. These lack float64, so positions are computed in float32."""
    twin = _exportable(generator, precision="float32")
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", _served(twin), _specs(twin))
    with tempfile.TemporaryDirectory() as folder:  # a conversion from a function would lose Keras' weights
        archive.write_out(folder, verbose=False)
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
    metadata.attach(path, info.written_now())


# ------------------------------------------------------------------------------------------ ONNX


def _write_onnx(generator: keras.Model, path: Path, info: ModelInfo) -> None:
    import tf2onnx

    twin = _exportable(generator)
    tf2onnx.convert.from_function(tf.function(_served(twin)), _specs(twin), opset=OPSET, output_path=str(path))
    metadata.attach(path, info.written_now())


# ---------------------------------------------------------------------------------------- shared


def _served(model: keras.Model) -> Callable[..., dict[str, tf.Tensor]]:
    """The generator as a function of its inputs, with a name for its output."""
    return lambda *tensors: {"image": model(list(tensors), training=False)}


def _specs(model: keras.Model, image_dtype: tf.DType = tf.float32) -> list[tf.TensorSpec]:
    """The named inputs of a model, for any number of samples."""
    return [
        tf.TensorSpec(tensor.shape, image_dtype if len(tensor.shape) == 4 else tf.float32, name=tensor.name)
        for tensor in model.inputs
    ]


def _exportable(generator: keras.Model, **geometry: str) -> keras.Model:
    """The same generator, made of operators that converters know."""

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        settings = layer.get_config()
        if isinstance(layer, DeformableSkip):
            settings["method"] = "dense"
        elif isinstance(layer, PoseLayer):
            settings |= geometry
        return type(layer).from_config(settings)

    twin: Any = keras.models.clone_model(generator, clone_function=clone)
    twin.set_weights(generator.get_weights())
    return twin


def _open_keras(path: Path) -> Run:
    run = compiled(load_generator(path))
    return lambda values: run({name: tf.constant(value, tf.float32) for name, value in values.items()}).numpy()


FORMATS = {
    "h5": Format(save_model, _open_keras),
    "keras": Format(save_model, _open_keras),
    "savedmodel": Format(_write_saved_model, _open_saved_model),
    "tflite": Format(_write_tflite, open_tflite),
    "onnx": Format(_write_onnx, partial(open_onnx, optimised=True)),
}
