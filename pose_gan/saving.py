"""Trained networks as files, in and out. `pose_gan.export` writes the formats for other programs."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from pose_gan import hdf5, metadata, release
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.files import atomic_path
from pose_gan.metadata import ModelInfo
from pose_gan.networks import generator_config

MODEL_SUFFIXES = (".h5", ".keras")
GENERATOR_INPUTS = ("source_image", "source_keypoints", "target_keypoints")
EXPORTED_SUFFIXES = (".tflite", ".onnx")
SAVED_MODEL = "saved_model.pb"
_MAX_DESCRIPTION = 32 << 20  # bytes; ours have some tens of thousands

# What our models are made of. Others may run code of the file's author (Lambda), or read other files.
_STOCK = ("Activation", "Concatenate", "Conv2D", "Dense", "Dropout", "Flatten", "LeakyReLU", "ReLU", "ZeroPadding2D")
_OURS = (
    "DeformableSkip",
    "InstanceNormalization",
    "PartGeometry",
    "PoseMaps",
    "SpatialTransformer",
    "UniformTransform",
)
_OTHERS = ("Functional", "Model", "InputLayer", "DTypePolicy", "Constant", "GlorotUniform", "Ones", "Zeros")
_PARTS = {*_STOCK, *_OURS, "UniformTransform", "UpConv2D", *_OTHERS, "__keras_tensor__", "__numpy__"}
_MODULES = (None, "keras", "keras.layers", "keras.initializers", "pose_gan.layers", "pose_gan.upsampling")
_MODULES += ("keras.src.models.functional", "keras.models", "builtins")
_OPERATORS_WITH_EFFECTS = {"ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "PyFuncStateless", "EagerPyFunc"}
_OPERATORS_WITH_EFFECTS |= {"PrintV2", "Print", "LoadAndRemapMatrix", "Save", "SaveSlices", "Restore", "RestoreSlice"}


def save_model(model: keras.Model, path: str | os.PathLike[str], info: ModelInfo | None = None) -> None:
    """Writes a whole model (architecture, weights, metadata), atomically.

    Args:
        model: a network, in float32.
        path: `.h5` or `.keras`; the suffix chooses the format.
        info: the metadata; None: what can be read off a generator.
    """
    if info is None and is_generator(model):
        info = describe(model)
    with atomic_path(path) as temporary, _quiet_about_hdf5():
        model.save(temporary)
        if info is not None:
            metadata.attach(temporary, info.written_now())


@contextlib.contextmanager
def _quiet_about_hdf5() -> Iterator[None]:
    """Keras warns at every `.h5` file that the format is legacy; here it is a documented choice."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def is_generator(model: keras.Model) -> bool:
    """Whether a model has a generator's inputs."""
    return {tensor.name for tensor in model.inputs} - {"background"} == set(GENERATOR_INPUTS)


def describe(generator: keras.Model) -> ModelInfo:
    """Metadata of a generator of which only the model is at hand."""
    return ModelInfo("generator", settings_of(generator))


def settings_of(generator: keras.Model) -> ModelConfig:
    """Settings of a generator that `load_generator` gave. Raises: ValueError: another model."""
    exported = [layer for layer in generator.layers if isinstance(layer, ExportedGenerator)]
    return exported[0].config if exported else generator_config(generator)


def load_model(path: str | os.PathLike[str], **known: Any) -> keras.Model:
    """Reads a network, with nothing of the file run as code.

    Args:
        path: a file that `save_model` wrote, or a checkpoint of the authors' release.
        known: for the release's checkpoints: settings of `ModelConfig` that the weights do not tell.
    Raises: InputError: naming the file and what is wrong with it.
    """
    path = Path(path)
    if path.suffix in EXPORTED_SUFFIXES:
        raise InputError(
            f"{path}: is for other programs, which README.md shows; here give the .h5, .keras or SavedModel of it"
        )
    if path.suffix not in MODEL_SUFFIXES:
        absent = "" if path.exists() else "no such file or folder; "
        raise InputError(f"{path}: {absent}a model file ends in {' or '.join(MODEL_SUFFIXES)}")
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    if path.suffix == ".h5" and release.is_release(path):
        return release.load(path, **known)
    _check_parts(path, _description(path))
    metadata.read(path)  # of a truncated archive these may be all that is damaged
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(path, "a model", error) from None


def load_generator(path: str | os.PathLike[str], **known: Any) -> keras.Model:
    """A trained generator from a model file, an exported SavedModel or a training run's folder.

    Args:
        path: a `.h5` or `.keras` file; a SavedModel of `pose_gan.export` (for inference only); a run folder (its
            newest checkpoint is taken); or a generator checkpoint of the authors' release, which is recognised
            and computed as there (`compat="release"`).
        known: for the release's checkpoints: settings of `ModelConfig` that the weights do not tell:
            `image_size` (default: 128×64, or 256×256 for seven levels), `warp_skip` (`mask`, where it might be
            `full`), `warp_agg` (`max`).
    Returns: a Keras model with the inputs `source_image` `(B, H, W, 3)` float32 in [-1, 1],
        `source_keypoints` and `target_keypoints` `(B, J, 2)`, (y, x) in pixels, −1 where missing
        (and `background` for models with one); it returns the image, `(B, H, W, 3)` in [-1, 1].
    Raises: InputError: no such file, a damaged or hostile one, or a model that is not a generator.
    Example:
        generator = pose_gan.load_generator("runs/00000-market-mask/generator.h5")
        image = generator([photo[None] / 127.5 - 1, pose_in_photo[None], wanted_pose[None]])
    """
    path = generator_file(path)
    model = _open_saved_model(path) if path.is_dir() else load_model(path, **known)
    if not is_generator(model):
        names = [tensor.name for tensor in model.inputs]
        raise InputError(f"{path}: not a generator: its inputs are {names}, expected {list(GENERATOR_INPUTS)}")
    return model


def generator_file(path: str | os.PathLike[str]) -> Path:
    """`path` itself, or if it is a training run's folder, the generator of its newest checkpoint."""
    path = Path(path)
    if path.is_dir() and not (path / SAVED_MODEL).is_file():
        from pose_gan.checkpoint import latest_generator

        return latest_generator(path)
    return path


def read_info(path: str | os.PathLike[str], **known: Any) -> ModelInfo:
    """What a model file of any format knows of itself, or what can be worked out.

    Args:
        path: as of `load_generator`; also a `.tflite` or `.onnx` file, and discriminators.
        known: as of `load_generator`.
    Raises: InputError: no such file, a damaged one, or one that is no model of ours or of the release.
    """
    path = generator_file(path)
    if path.suffix == ".h5" and release.is_release(path):
        kind, config = release.settings(path, **known)
        return ModelInfo(kind, config, converted_from=path.name, pose_gan="")
    info = metadata.read(path)
    if info is None and path.suffix in MODEL_SUFFIXES:  # written before there were metadata
        info = describe(load_generator(path))
    if info is None:
        raise InputError(f"{path}: has no metadata: it was not written by this project")
    return info


class ExportedGenerator(keras.layers.Layer):
    """A SavedModel of `pose_gan.export` as a layer, for inference.

    Args:
        path: the folder.
        config: settings of the generator in it.

    Call arguments: its inputs by name. Returns the image `(B, H, W, 3)`.
    """

    def __init__(self, path: str | os.PathLike[str], config: ModelConfig, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        self.config = config
        self._loaded = tf.saved_model.load(str(path))
        self._serve = self._loaded.signatures["serving_default"]

    def call(self, inputs: dict[str, Any]) -> Any:
        return self._serve(**inputs)["image"]

    def compute_output_shape(self, input_shape: dict[str, tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return tuple(input_shape["source_image"])


def _open_saved_model(path: Path) -> keras.Model:
    """A SavedModel as a Keras model. The metadata give the shapes."""
    config = read_info(path).model
    _check_operators(path)
    image = (*config.image_size, 3)
    shapes = {name: (config.skeleton.num_joints, 2) if "keypoints" in name else image for name in GENERATOR_INPUTS}
    shapes |= {"background": image} if config.use_bg else {}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    try:
        return keras.Model(list(inputs.values()), ExportedGenerator(path, config)(inputs), name="generator")
    except Exception as error:  # TensorFlow raises many kinds for a damaged folder
        raise _damaged(path, "a SavedModel", error) from None


def _damaged(path: Path, kind: str, error: Exception) -> InputError:
    return InputError(f"{path}: damaged, or not {kind} of this project: {' '.join(str(error).split())[:300]}")


# --------------------------------------------------------------------------------------- safety


def _description(path: Path) -> Any:
    """The description of the architecture that a model file holds, as JSON values."""
    try:
        if path.suffix == ".h5":
            with hdf5.opened(path) as file:
                if "model_config" not in file.attrs:
                    raise InputError(f"{path}: damaged, or not a model of this project: it has no model_config")
                return json.loads(hdf5.text(file.attrs["model_config"]))
        with zipfile.ZipFile(path) as archive, archive.open("config.json") as member:
            return json.loads(member.read(_MAX_DESCRIPTION))
    except InputError:
        raise
    except (OSError, KeyError, ValueError, RecursionError, NotImplementedError, zipfile.BadZipFile) as error:
        raise _damaged(path, "a model", error) from None


def _check_parts(path: Path, description: Any) -> None:
    """Refuses a model with a part that ours do not have, before any of it is made."""
    waiting = [description]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += [item for key, item in value.items() if key != "compile_config"]  # which is not read
            name = value.get("class_name")
            if name is not None and not (_is_part(name) and value.get("module") in _MODULES):
                raise InputError(
                    f"{path}: holds a part {str(name)[:60]!r}, which no model of this project has; it was not loaded"
                )


def _check_operators(path: Path) -> None:
    """Refuses a SavedModel whose graph would read or write files, or call Python, when it is run."""
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((path / SAVED_MODEL).read_bytes())
    except Exception as error:  # protobuf's DecodeError
        raise _damaged(path, "a SavedModel", error) from None
    for graph in (meta.graph_def for meta in saved.meta_graphs):
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        found = sorted({node.op for node in nodes if node.op in _OPERATORS_WITH_EFFECTS})
        if found:
            raise InputError(
                f"{path}: its graph holds {', '.join(found)}, which no model of this project has; it was not loaded"
            )


def _is_part(name: Any) -> bool:
    return isinstance(name, str) and name.removeprefix("pose_gan>") in _PARTS
