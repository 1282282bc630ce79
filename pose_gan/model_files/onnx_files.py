"""Generators in the format ONNX, run by ONNX Runtime (the extra `[onnx]`), without TensorFlow.

A file is looked at before ONNX Runtime gets it: it passes if it holds only what our exports hold.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pose_gan.errors import InputError, reason
from pose_gan.files import graphs
from pose_gan.versions import install

OUTPUT = "image"
Values = dict[str, Any]

_OPERATORS = """
    Abs Add And Cast Ceil Concat ConstantOfShape Conv ConvTranspose DepthToSpace Div Equal Exp Expand Floor
    Gather Greater GreaterOrEqual LeakyRelu Less LessOrEqual MatMul Max Min Mul Neg Not Or Pad Range Reciprocal
    ReduceMax ReduceMean ReduceSum Relu Reshape Shape Sign Slice Split Sqrt Squeeze Sub Sum Tanh Tile Transpose
    Unsqueeze Where
"""
OPERATORS = {*_OPERATORS.split()}
"""Every operator of the ONNX files that this project writes, whatever their settings, and no other."""


def open_onnx(path: Path, optimised: bool = False) -> Callable[[Values], np.ndarray]:
    """An ONNX file as a function of a batch: input name → float32 values; it returns images `(B, H, W, 3)`.

    Args:
        path: the file.
        optimised: whether ONNX Runtime rewrites the graph first, which takes as long as it saves in some ten images.
    Raises: InputError: the file is absent, damaged or hostile, or ONNX Runtime is not installed. The function raises it
        for a batch that the file does not take.
    """
    check(path)
    runtime = package("onnxruntime", path)
    options = runtime.SessionOptions()
    if not optimised:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has many kinds
        raise InputError(f"{path}: damaged: {reason(error)}") from None

    def run(values: Values) -> np.ndarray:
        try:
            (image,) = session.run([OUTPUT], {name: np.asarray(value, np.float32) for name, value in values.items()})
        except Exception as error:  # ValueError for names, ONNX Runtime's own for shapes
            raise InputError(f"{path}: cannot be run: {reason(error)}") from None
        return np.asarray(image)

    return run


def check(path: Path) -> None:
    """Refuses a file with an operator or a function that our exports do not have, or with arrays in other files.

    Raises: InputError: naming what it holds, or that it is absent or damaged, or that the package onnx is.
    """
    model = load(path)
    nodes, arrays = set[str](), list[Any]()
    for part in _parts(model):
        if part.DESCRIPTOR.name == "NodeProto":
            nodes.add(f"{part.domain}::{part.op_type}" if part.domain else part.op_type)
        elif part.DESCRIPTOR.name == "TensorProto":
            arrays.append(part)
    outside = [array.name for array in arrays if array.data_location or array.external_data]
    if outside:
        raise InputError(
            f"{path}: its array {outside[0][:60]!r} stands in another file, as in no model of this project; it was not "
            "loaded"
        )
    if model.functions:
        raise InputError(f"{path}: has functions of its own, as no model of this project; it was not loaded")
    graphs.check({graphs.RUN: nodes}, {graphs.RUN: OPERATORS}, str(path), "model of this project")


def load(path: Path) -> Any:
    """The content of a file, a `ModelProto`, without arrays that stand in other files.

    Raises: InputError: the file is damaged, or the package onnx is not installed.
    """
    onnx = package("onnx", path)
    try:
        return onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's DecodeError
        raise InputError(f"{path}: damaged, or not an ONNX model: {reason(error)}") from None


def _parts(message: Any) -> Iterator[Any]:
    """A message of protobuf and all messages in it, at any depth: branches and functions too."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in (value,) if hasattr(value, "ListFields") else value:
                yield from _parts(part)


def package(name: str, path: Path) -> Any:
    """The package `onnx` or `onnxruntime`, for a file. Raises InputError: it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{path}: ONNX files need the package {name}; {install('onnx')}") from None
