"""Generators opened for a few images: what takes the least time from the start of a process to the first picture.

A Keras model is run without tracing a graph, since tracing takes longer than some images. A TFLite file is run by
LiteRT, if it is installed (the extra `[litert]`), and an ONNX file by ONNX Runtime (the extra `[onnx]`), without
TensorFlow, whose import takes most of the time.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pose_gan import runtime
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError, reason
from pose_gan.model_files import metadata
from pose_gan.model_files.onnx_files import open_onnx
from pose_gan.model_files.run_folder import model_file

TFLITE, ONNX = ".tflite", ".onnx"
Values = dict[str, Any]


class Opened(NamedTuple):
    """A generator that is ready to run.

    Attributes:
        run: batch (input name → float32 values) → images `(B, H, W, 3)` in [-1, 1].
        settings: its settings.
    """

    run: Callable[[Values], np.ndarray]
    settings: ModelConfig


def needs_tensorflow(path: str | os.PathLike[str]) -> bool:
    """Whether TensorFlow runs a model file: all but ONNX files and, where LiteRT is installed, TFLite files."""
    suffix = Path(path).suffix
    return suffix != ONNX and (suffix != TFLITE or importlib.util.find_spec("ai_edge_litert") is None)


def open_generator(path: str | os.PathLike[str]) -> Opened:
    """Opens a generator for a few images.

    Args:
        path: as for `load_generator`, or a `.tflite` or `.onnx` file.
    Raises: InputError: the file cannot be used; see `load_generator`.
    """
    if (suffix := Path(path).suffix) in (TFLITE, ONNX):
        info = metadata.read(model_file(path))
        if info is None:
            raise InputError(f"{path}: has no metadata: it was not written by this project")
        return Opened((open_tflite if suffix == TFLITE else open_onnx)(Path(path)), info.model)
    from pose_gan.model_files.saving import load_generator

    return of_model(load_generator(path))


def of_model(generator: Any) -> Opened:
    """A Keras model, as `load_generator` returns it. Raises InputError: it is none."""
    import keras

    from pose_gan.model_files.saving import settings_of

    if not isinstance(generator, keras.Model):
        raise InputError(
            f"generator: expected the name of a file or a model of load_generator, got {type(generator).__name__}"
        )
    names = [tensor.name for tensor in generator.inputs]

    def run(values: Values) -> np.ndarray:
        return np.asarray(generator([np.asarray(values[name], np.float32) for name in names], training=False))

    try:
        return Opened(run, settings_of(generator))
    except (ValueError, StopIteration):  # a discriminator has some of the layers
        raise InputError(f"generator: {generator.name} is no generator that load_generator returned") from None


def open_tflite(path: Path) -> Callable[[Values], np.ndarray]:
    """A TFLite file as a function, run by LiteRT or, if that is not installed, by TensorFlow."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        runtime.start()
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    try:
        runner = Interpreter(model_path=str(path), num_threads=os.cpu_count()).get_signature_runner("serving_default")
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path}: damaged: {reason(error)}") from None
    return lambda values: runner(**{name: np.asarray(value, np.float32) for name, value in values.items()})["image"]
