"""The weights with which a re-identification network begins: ImageNet's, an earlier run's, or those of torchreid."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from pose_gan.errors import InputError, reason
from pose_gan.estimators import foreign
from pose_gan.files import keras_files
from pose_gan.reid.features import NETWORK
from pose_gan.reid.networks import NORM_EPSILON
from pose_gan.reid.settings import IMAGENET, RANDOM, ReidConfig
from pose_gan.versions import install

_ALLOWED = (
    "give random, imagenet (resnet50), the folder of a run, or a .keras, .h5 (resnet50) or .onnx (osnet_x0_25) file"
)


def put_given_weights(trunk: keras.Model, config: ReidConfig) -> None:
    """Puts the weights that `config.backbone_weights` names into a trunk.

    Raises: InputError: they cannot be had, the file is damaged, or they belong to another network.
    """
    given = config.backbone_weights
    if given == RANDOM:
        return
    if given == IMAGENET:
        _put_resnet50(trunk, _imagenet())
        return
    path = weights_file(given)
    if path.suffix == ".onnx" and config.backbone == "osnet_x0_25":
        _put_onnx(trunk, path)
    elif path.suffix == ".keras":
        _put_run(trunk, path)
    elif path.suffix in (".h5", ".hdf5") and config.backbone == "resnet50":
        model = keras.applications.ResNet50(include_top=False, weights=None, pooling="avg")
        foreign.load_weights(model, path, "Keras' ResNet-50 without its top")
        _put_resnet50(trunk, model)
    else:
        raise InputError(f"--backbone_weights {given}: not a file of weights of {config.backbone}; {_ALLOWED}")


def weights_file(given: str) -> Path:
    """The file of weights at a path, which may be the folder of a run. Raises InputError: there is none."""
    path = Path(given)
    path = path / NETWORK if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"--backbone_weights {given}: no such file; {_ALLOWED}")
    return path


def _imagenet() -> keras.Model:
    try:
        return keras.applications.ResNet50(include_top=False, weights="imagenet", pooling="avg")
    except Exception as error:  # Keras raises a plain Exception where it cannot download
        raise InputError(
            f"--backbone_weights {IMAGENET}: Keras could not download them ({reason(error)}); give the path of "
            "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5, or random"
        ) from None


def _put_resnet50(trunk: keras.Model, model: keras.Model) -> None:
    for layer in model.layers:
        if layer.weights:
            trunk.get_layer(layer.name).set_weights(layer.get_weights())


def _put_run(trunk: keras.Model, path: Path) -> None:
    """Puts the weights of a run's `network.keras` of the same backbone, for images of any size, into a trunk."""
    foreign.check_keras(path)
    whose = f"the network of a run with --backbone {trunk.name}"
    try:
        weights = keras.saving.load_model(path, compile=False).get_layer(trunk.name).get_weights()
    except Exception as error:  # Keras raises many kinds
        raise keras_files.damaged(path, whose, error) from None
    if [array.shape for array in weights] != [variable.shape for variable in trunk.weights]:
        raise InputError(f"{path}: not {whose}: its layers have other sizes")
    trunk.set_weights(weights)


def _put_onnx(trunk: keras.Model, path: Path) -> None:
    """Puts the weights of torchreid's OSNet x0.25, exported to ONNX, into a trunk of `osnet_x0_25`.

    The export folds each batch normalisation that follows a convolution into it, so all but the last one become a bias
    here. The features stay the same as long as they are frozen.
    """
    try:
        onnx = importlib.import_module("onnx")
    except ImportError as error:
        raise InputError(f"--backbone_weights {path}: needs ONNX ({error}): {install('onnx')}") from None
    try:
        graph = onnx.load(os.fspath(path)).graph
        arrays = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
        found = {node.name: [arrays[name] for name in node.input if name in arrays] for node in graph.node}
        for layer in trunk.layers:
            if layer.weights and layer.name != "preprocess":
                layer.set_weights(_of_layer(layer, found[_node(layer.name)]))
    except Exception as error:  # protobuf, ONNX and Keras raise many kinds
        raise keras_files.damaged(path, "OSNet x0.25 of torchreid", error) from None


def _of_layer(layer: keras.Layer, weights: list[np.ndarray]) -> list[Any]:
    """The weights of a layer from those of its node."""
    if isinstance(layer, layers.BatchNormalization) and len(weights) == 2:  # a folded one: what is left is the bias
        one = np.ones_like(weights[1])
        return [one, weights[1], 0 * one, one - NORM_EPSILON]
    if isinstance(layer, layers.DepthwiseConv2D):
        return [np.transpose(weights[0], (2, 3, 0, 1))]  # C1HW => HWC1
    if isinstance(layer, layers.Conv2D):
        return [np.transpose(weights[0], (2, 3, 1, 0)), *weights[1 : len(layer.weights)]]  # OIHW => HWIO
    if isinstance(layer, layers.Dense):
        return [weights[0].T, weights[1]]
    return weights


def _node(layer: str) -> str:
    """The node of a layer: `conv2_1_3_2` (stage 2, block 1, stream 3, depth 2) → `/conv2/conv2.0/conv2c/conv2c.1/…`."""
    if layer in ("fc", "fc_norm"):
        return "/fc/fc.0/Gemm" if layer == "fc" else "/fc/fc.1/BatchNormalization"
    layer = layer.removesuffix("_norm")
    match = re.fullmatch(r"conv(\d)(?:_(\d))?(?:_(\w+))?", layer)
    assert match, layer
    stage, block, part = match.groups()
    if block is None:
        return f"/conv{stage}/conv/Conv"
    if part is None:
        return f"/conv{stage}/conv{stage}.2/conv{stage}.2.0/conv/Conv"
    inside = {"in": "conv1/conv", "out": "conv3/conv", "skip": "downsample/conv"}
    inside |= {"gate_in": "gate/fc1", "gate_out": "gate/fc2"}
    if part not in inside:
        stream, depth, *point = part.split("_")
        letter = "abcd"[int(stream) - 1]
        deeper = f"/conv2{letter}.{int(depth) - 1}" if stream != "1" else ""
        inside[part] = f"conv2{letter}{deeper}/{'conv1' if point else 'conv2'}"
    return f"/conv{stage}/conv{stage}.{int(block) - 1}/{inside[part]}/Conv"
