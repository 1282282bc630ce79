"""VGG-19 (Simonyan and Zisserman 2014): its layers, and its weights from files that may hold only some of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pose_gan.errors import InputError
from pose_gan.files import hdf5
from pose_gan.files.atomic import atomic_path
from pose_gan.files.npz import read_arrays

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]
"""Layer → kernel `(3, 3, in, out)` and bias `(out,)`, float32."""

_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels, convolutions
LAYERS = tuple(
    name
    for block, (_, count) in enumerate(_BLOCKS, start=1)
    for name in (*(f"block{block}_conv{number}" for number in range(1, count + 1)), f"block{block}_pool")
)
"""Keras' names of the layers, in order. The paper's conv1_2 is `block1_conv2`, after its ReLU."""

BGR_MEANS = (103.939, 116.779, 123.68)
IMAGENET_MEAN_ACTIVATION = 50.0
"""About the mean of the features of Keras' ImageNet weights, to which features of files of mean 1 are scaled.

The loss weights of the paper were chosen for such features. The mean differs between layers and pictures.
"""
_NORMALISED = 10.0  # the features of files with a smaller mean activation were normalised to a mean of 1
_SCALE, _INPUT_KERNEL, _INPUT_BIAS = "feature_scale", "preprocess_kernel", "preprocess_bias"
RANDOM_SEED = 19  # so that random weights are the same in every run


class Weights(NamedTuple):
    """Weights of the first layers.

    Attributes:
        arrays: by layer.
        scale: what features must be multiplied by, so that they are as large as with Keras' ImageNet weights. None if
            the file does not say it.
    """

    arrays: Arrays
    scale: float | None = 1.0


def convolutions(upto: str) -> list[str]:
    """The convolutions that the features of the layer `upto` need, in order."""
    return [name for name in LAYERS[: LAYERS.index(upto) + 1] if "conv" in name]


def deepest(layers: Sequence[str]) -> str:
    """The layer of `layers` that comes last in the network. Raises InputError: VGG-19 has no such layer."""
    for name in layers:
        if name not in LAYERS:
            raise InputError(f"content_loss_layer: VGG-19 has no layer {name!r}; allowed: none, {', '.join(LAYERS)}")
    return max(layers, key=LAYERS.index)


def build(layers: Sequence[str], weights: Weights) -> Any:
    """A frozen Keras model up to the deepest of `layers`.

    Args:
        layers: names in `LAYERS`.
        weights: of every convolution up to the deepest layer.
    Returns: `(B, H, W, 3)` BGR in 0..255 less `BGR_MEANS` → one `(B, h, w, C)` per layer, times `weights.scale`.
    """
    import keras

    x = image = keras.Input((None, None, 3))
    outputs = {}
    for name in LAYERS[: LAYERS.index(deepest(layers)) + 1]:
        if "pool" in name:
            layer = keras.layers.MaxPooling2D(name=name)
        else:
            channels = weights.arrays[name][1].size
            layer = keras.layers.Conv2D(channels, 3, padding="same", activation="relu", name=name)
        x = outputs[name] = layer(x)
    model = keras.Model(image, [outputs[name] for name in layers])
    scale = weights.scale or 1.0
    for number, name in enumerate(convolutions(deepest(layers))):
        kernel, bias = weights.arrays[name]
        # Convolutions, ReLU and maxima pass a factor on: it is the first kernel's, and every bias'.
        model.get_layer(name).set_weights([kernel * (scale if number == 0 else 1.0), bias * scale])
    model.trainable = False
    return model


def random_weights(upto: str) -> Weights:
    """Seeded weights of the layers up to `upto`, of the spread of He et al. 2015; biases are 0."""
    rng = np.random.default_rng(RANDOM_SEED)
    arrays = {}
    for name, shape in _kernel_shapes(upto):
        kernel = rng.normal(0.0, np.sqrt(2.0 / np.prod(shape[:-1])), shape)
        rng.normal(size=shape[-1])  # so that kernels are those of version 0.1.0, which drew the zeros of the biases
        arrays[name] = (kernel.astype(np.float32), np.zeros(shape[-1], np.float32))
    return Weights(arrays)


def read(path: str | os.PathLike[str], upto: str) -> Weights:
    """The weights of the layers up to `upto` from a file; its further layers are left alone.

    Args:
        path: an `.h5` file of Keras (any version; VGG-19 whole, without its top, or its first layers), or an `.npz`
            file with the arrays `block1_conv1_kernel` (HWIO), `block1_conv1_bias`, and so on. An `.npz` file may also
            hold `feature_scale` (see `Weights.scale`), and the 1×1 convolution `preprocess_kernel`,
            `preprocess_bias` that makes the network's input from RGB in 0..1.
    Raises: InputError: there is no such file, it is damaged or hostile, lacks a layer, or is of another network.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(f"{path}: no such file of weights")
    if source.suffix not in (".h5", ".hdf5", ".npz"):
        raise InputError(f"{path}: not a weights file of VGG-19: such a file ends in .h5 or .npz")
    wanted = dict(_kernel_shapes(upto))
    try:
        arrays, scale = _read_npz(source, wanted) if source.suffix == ".npz" else (_read_hdf5(source, wanted), 1.0)
    except InputError as error:
        raise InputError(f"{path}: not a weights file of VGG-19 ({error})") from None
    for name, shape in wanted.items():
        kernel, bias = arrays[name]
        if (
            kernel.shape != shape
            or bias.shape != shape[-1:]
            or not (np.isfinite(kernel).all() and np.isfinite(bias).all())
        ):
            raise InputError(
                f"{path}: {name} has a kernel {kernel.shape} and a bias {bias.shape}, or numbers that are not finite; "
                f"VGG-19 has {shape} (height, width, in, out) there"
            )
    return Weights({name: (k.astype(np.float32), b.astype(np.float32)) for name, (k, b) in arrays.items()}, scale)


def save(path: str | os.PathLike[str], weights: Weights) -> None:
    """Writes an `.npz` file that `read` reads. It appears when it is whole."""
    kernels = {f"{name}_kernel": kernel for name, (kernel, _) in weights.arrays.items()}
    biases = {f"{name}_bias": bias for name, (_, bias) in weights.arrays.items()}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, feature_scale=np.float32(weights.scale or 1.0), **kernels, **biases)


def mean_activation(weights: Weights, upto: str) -> float:
    """The mean of the features of the layer `upto`, as they come from the file, on a picture with natural contrasts."""
    features = build([upto], weights._replace(scale=1.0))(_picture()[None])
    return float(np.mean(features))


def measured(weights: Weights, upto: str) -> Weights:
    """The same weights; where the file does not say the scale of its features, it is found by looking at them.

    Features of Keras' ImageNet weights have a mean of some tens. Some public files have filters that were scaled so
    that the mean is 1: their scale is `IMAGENET_MEAN_ACTIVATION`.
    """
    if weights.scale is not None:
        return weights
    normalised = mean_activation(weights, upto) < _NORMALISED
    return weights._replace(scale=IMAGENET_MEAN_ACTIVATION if normalised else 1.0)


def _kernel_shapes(upto: str) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    below, needed = 3, set(convolutions(upto))
    for block, (channels, count) in enumerate(_BLOCKS, start=1):
        for number in range(1, count + 1):
            if (name := f"block{block}_conv{number}") in needed:
                yield name, (3, 3, below, channels)
            below = channels


def _read_npz(path: Path, wanted: dict[str, Any]) -> tuple[Arrays, float | None]:
    arrays = read_arrays(path)
    if absent := [name for name in wanted if not {f"{name}_kernel", f"{name}_bias"} <= arrays.keys()]:
        raise InputError(_lacks(absent, wanted))
    if _INPUT_KERNEL in arrays:
        _check_input(arrays[_INPUT_KERNEL], arrays.get(_INPUT_BIAS, np.zeros(3)))
    scale = arrays.get(_SCALE)
    if scale is not None and not (scale.size == 1 and 0 < scale < np.inf):
        raise InputError(f"{_SCALE} is {scale}; it must be a positive number")
    found = {name: (arrays[f"{name}_kernel"], arrays[f"{name}_bias"]) for name in wanted}
    return found, None if scale is None else float(scale.item())


def _read_hdf5(path: Path, wanted: dict[str, Any]) -> Arrays:
    """Keras 1 and 2 keep a layer's arrays below a group of its name, Keras 3 in a group with an attribute `name`."""
    import h5py

    found: dict[str, dict[int, np.ndarray]] = {name: {} for name in wanted}
    with hdf5.opened(path) as file:

        def look(place: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.ndim in (1, 4):
                names = [*place.split("/"), hdf5.text(item.parent.attrs.get("name", ""))]
                for name in found.keys() & names:
                    found[name][item.ndim] = item[()]

        file.visititems(look)
    if absent := [name for name, both in found.items() if len(both) < 2]:
        raise InputError(_lacks(absent, wanted))
    return {name: (both[4], both[1]) for name, both in found.items()}


def _lacks(absent: Sequence[str], wanted: Sequence[str] | dict[str, Any]) -> str:
    return f"holds no {', '.join(absent)}; the loss needs {', '.join(wanted)}"


def _check_input(kernel: np.ndarray, bias: np.ndarray) -> None:
    expected = np.eye(3)[::-1] * 255.0  # RGB in 0..1 => BGR in 0..255
    if (
        kernel.size != 9
        or not np.allclose(kernel.reshape(3, 3), expected)
        or not np.allclose(bias, np.negative(BGR_MEANS))
    ):
        raise InputError(
            f"it was made for another input: {_INPUT_KERNEL} and {_INPUT_BIAS} must turn RGB in 0..1 into BGR in "
            f"0..255 less {BGR_MEANS}"
        )


def _picture(side: int = 64) -> np.ndarray:
    """Seeded noise with the spectrum of photographs (amplitude 1/f), as VGG's input: float32 (side, side, 3)."""
    rng = np.random.default_rng(RANDOM_SEED)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    frequency[0, 0] = np.inf
    grey = np.fft.ifft2(np.fft.fft2(rng.normal(size=(side, side))) / frequency).real
    grey = 110.0 + 60.0 * grey / grey.std()
    return (np.clip(grey, 0, 255)[..., None] - BGR_MEANS).astype(np.float32)
