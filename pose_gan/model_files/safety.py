"""Checks of model files that may be hostile. A file's content is checked before any part of it is made or run."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

from pose_gan.errors import InputError
from pose_gan.files import hdf5
from pose_gan.model_files.run_folder import SAVED_MODEL

_MAX_DESCRIPTION = 32 << 20  # bytes; descriptions of our models have some tens of thousands

# The classes of which our models are made. Other classes may run code of the file's author (Lambda) or read files.
_STOCK = ("Activation", "Concatenate", "Conv2D", "Dense", "Dropout", "Flatten", "LeakyReLU", "ReLU", "ZeroPadding2D")
_OURS = ("DeformableSkip", "InstanceNormalization", "PartGeometry", "PoseMaps", "SpatialTransformer")
_OTHERS = ("Functional", "Model", "InputLayer", "DTypePolicy", "Constant", "GlorotUniform", "Ones", "Zeros")
_PARTS = {*_STOCK, *_OURS, "UniformTransform", "UpConv2D", *_OTHERS, "__keras_tensor__", "__numpy__"}
_MODULES = (None, "keras", "keras.layers", "keras.initializers", "keras.models", "keras.src.models.functional")
_MODULES += ("builtins", "pose_gan.layers", "pose_gan.upsampling")  # version 0.1 wrote the last one
_OPERATORS_WITH_EFFECTS = {"ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "PyFuncStateless", "EagerPyFunc"}
_OPERATORS_WITH_EFFECTS |= {"PrintV2", "Print", "LoadAndRemapMatrix", "Save", "SaveSlices", "Restore", "RestoreSlice"}


def check_parts(path: Path) -> None:
    """Refuses a `.h5` or `.keras` file with a part that our models do not have, before any part of it is made.

    Raises: InputError: the file has such a part, or it is damaged.
    """
    waiting = [_description(path)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += [item for key, item in value.items() if key != "compile_config"]  # this key is not read
            name = value.get("class_name")
            if name is not None and not (_is_part(name) and value.get("module") in _MODULES):
                raise InputError(
                    f"{path}: holds a part {str(name)[:60]!r}, which no model of this project has; it was not loaded"
                )


def check_operators(path: Path) -> None:
    """Refuses a SavedModel whose graph would read or write files, or call Python, when it is run.

    Raises: InputError: the graph has such an operator, or the file is damaged.
    """
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((path / SAVED_MODEL).read_bytes())
    except Exception as error:  # protobuf's DecodeError
        raise damaged(path, "a SavedModel", error) from None
    for graph in (meta.graph_def for meta in saved.meta_graphs):
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        found = sorted({node.op for node in nodes if node.op in _OPERATORS_WITH_EFFECTS})
        if found:
            raise InputError(
                f"{path}: its graph holds {', '.join(found)}, which no model of this project has; it was not loaded"
            )


def _description(path: Path) -> Any:
    """The description of the architecture in a model file, as JSON values."""
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
        raise damaged(path, "a model", error) from None


def _is_part(name: Any) -> bool:
    return isinstance(name, str) and name.removeprefix("pose_gan>") in _PARTS


def damaged(path: Path, kind: str, error: Exception) -> InputError:
    """The error for a model file that cannot be read."""
    return InputError(f"{path}: damaged, or not {kind} of this project: {' '.join(str(error).split())[:300]}")
