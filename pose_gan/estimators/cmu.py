"""The CMU network of OpenPose's first version, loaded from the HDF5 files that Keras 1 and 2 wrote.

Those files hold whole models that Keras 3 cannot load. So this module builds the network anew and finds its
weights by the names of the layers, which are the same in all ports of the network.

Source: Cao et al. 2017, Figure 3: VGG-19 up to conv4_2, two reducing convolutions, then six stages with
two branches each. Branch `L1` gives 38 part affinity maps, and branch `L2` gives 19 heat maps. Each stage
also sees the maps of the stage before it.
"""

from __future__ import annotations

import os
from typing import Any

import h5py
import keras
import numpy as np

from pose_gan.errors import InputError
from pose_gan.estimators.decoding import NUM_AFFINITIES, NUM_HEATMAPS
from pose_gan.files import hdf5

STAGES = 6
_VGG = (("conv1_1", "conv1_2"), ("conv2_1", "conv2_2"), ("conv3_1", "conv3_2", "conv3_3", "conv3_4"))
_REDUCED = ("conv4_1", "conv4_2", "conv4_3_CPM", "conv4_4_CPM")
_BRANCHES = (("L1", NUM_AFFINITIES), ("L2", NUM_HEATMAPS))

Weights = dict[str, tuple[np.ndarray, np.ndarray]]  # layer → kernel and bias


def is_cmu(file: h5py.File) -> bool:
    """Whether an HDF5 file holds the network's layers."""
    root = _layers(file)
    return "conv1_1" in root and f"Mconv7_stage{STAGES}_L2" in root


def load(path: str | os.PathLike[str]) -> keras.Model:
    """Builds the network and loads the weights of a file. The kernels in the file determine the layers' widths.

    Returns: a model from `(B, H, W, 3)` to `[affinities (B, H/8, W/8, 38), heat maps (B, H/8, W/8, 19)]`.
    Raises: InputError: a layer is absent or has kernels of another shape, or the file is damaged or hostile.
    """
    with hdf5.opened(path) as file:
        weights = _read(file, path)
    image = keras.Input((None, None, 3), name="image")
    x: Any = image
    for block, layers in enumerate(_VGG, start=1):
        for layer in layers:
            x = _convolution(layer, x, weights)
        x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)
    for layer in _REDUCED:
        x = _convolution(layer, x, weights)
    features, maps = x, []
    for stage in range(1, STAGES + 1):
        seen = keras.layers.Concatenate(name=f"stage{stage}_in")([*maps, features]) if maps else features
        maps = [_branch(stage, branch, seen, weights) for branch, _ in _BRANCHES]
    model = keras.Model(image, maps, name="cmu")
    for name, values in weights.items():
        layer = model.get_layer(name)
        wanted = [tuple(weight.shape) for weight in layer.weights]
        if [value.shape for value in values] != wanted:
            got = [value.shape for value in values]
            raise InputError(f"pose_estimator: {path}: layer {name} has weights {got}, the network needs {wanted}")
        layer.set_weights(values)
    for (branch, count), out in zip(_BRANCHES, model.outputs, strict=True):
        if out.shape[-1] != count:
            raise InputError(f"pose_estimator: {path}: branch {branch} gives {out.shape[-1]} maps, not {count}")
    model.trainable = False
    return model


def _branch(stage: int, branch: str, x: Any, weights: Weights) -> Any:
    names = stage_layers(stage, branch)
    for name in names:
        x = _convolution(name, x, weights, activation=None if name == names[-1] else "relu")
    return x


def stage_layers(stage: int, branch: str) -> list[str]:
    """Names of the convolutions in one branch of a stage. The last convolution gives the maps."""
    if stage == 1:
        return [f"conv5_{i}_CPM_{branch}" for i in range(1, 6)]
    return [f"Mconv{i}_stage{stage}_{branch}" for i in range(1, 8)]


def layer_names() -> list[str]:
    """Names of all convolutions."""
    trunk = [name for block in _VGG for name in block] + list(_REDUCED)
    return trunk + [name for s in range(1, STAGES + 1) for branch, _ in _BRANCHES for name in stage_layers(s, branch)]


def _convolution(name: str, x: Any, weights: Weights, activation: str | None = "relu") -> Any:
    kernel = weights[name][0]
    return keras.layers.Conv2D(kernel.shape[3], kernel.shape[:2], padding="same", activation=activation, name=name)(x)


def _layers(file: h5py.File) -> Any:
    """The group that holds the layers. In the file of a whole model it is `model_weights`."""
    return file.get("model_weights", file)


def _read(file: h5py.File, path: str | os.PathLike[str]) -> Weights:
    """Kernels `(h, w, in, out)` and biases `(out,)` of all convolutions. Their names differ between Keras versions."""
    root, weights = _layers(file), {}
    for name in layer_names():
        arrays = _arrays(root[name]) if name in root else []
        by_rank = {array.ndim: array.astype(np.float32) for array in arrays}
        if len(arrays) != 2 or set(by_rank) != {1, 4}:
            raise InputError(
                f"pose_estimator: {path}: layer {name}: expected a kernel and a bias, got {len(arrays)} arrays"
            )
        weights[name] = (by_rank[4], by_rank[1])
    return weights


def _arrays(group: Any) -> list[np.ndarray]:
    """All arrays in an HDF5 group, at any depth; of an array, itself."""
    if isinstance(group, h5py.Dataset):
        return [group[()]]
    arrays: list[np.ndarray] = []
    group.visititems(lambda _, item: arrays.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    return arrays
