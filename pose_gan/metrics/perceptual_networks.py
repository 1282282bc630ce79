"""The networks behind LPIPS: AlexNet, VGG-16 and SqueezeNet 1.1 up to their last convolution, in TensorFlow.

They compute as torchvision's networks do, so that they take torchvision's ImageNet weights, for which LPIPS was fitted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pose_gan.errors import InputError
from pose_gan.files.npz import read_arrays
from pose_gan.files.torch_weights import read_state

Weights = list[tuple[np.ndarray, np.ndarray]]
"""Kernel (HWIO) and bias of each convolution, in the order of the forward pass."""


class Conv(NamedTuple):
    """A convolution and its ReLU: `channels` outputs, a square kernel."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0


class Pool(NamedTuple):
    """Maximum over a square window; `ceil`: a window may reach over the border."""

    window: int
    stride: int
    ceil: bool = False


class Fire(NamedTuple):
    """SqueezeNet's block: a 1×1 convolution to `squeeze` channels, then 1×1 and 3×3 beside each other."""

    squeeze: int
    expand: int


class Tap(NamedTuple):
    """LPIPS looks at the features here."""


Step = Conv | Pool | Fire | Tap
_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # of VGG-16: channels, convolutions
NETWORKS: dict[str, tuple[Step, ...]] = {
    "alex": (
        *(Conv(64, 11, 4, 2), Tap(), Pool(3, 2), Conv(192, 5, 1, 2), Tap(), Pool(3, 2)),
        *(Conv(384, 3, 1, 1), Tap(), Conv(256, 3, 1, 1), Tap(), Conv(256, 3, 1, 1), Tap()),
    ),
    "vgg": tuple(
        step
        for block, (channels, count) in enumerate(_BLOCKS)
        for step in (*([Pool(2, 2)] if block else []), *[Conv(channels, 3, 1, 1)] * count, Tap())
    ),
    "squeeze": (
        *(Conv(64, 3, 2), Tap(), Pool(3, 2, True), Fire(16, 64), Fire(16, 64), Tap()),
        *(Pool(3, 2, True), Fire(32, 128), Fire(32, 128), Tap(), Pool(3, 2, True), Fire(48, 192), Tap()),
        *(Fire(48, 192), Tap(), Fire(64, 256), Tap(), Fire(64, 256), Tap()),
    ),
}
SMALLEST = {"alex": 31, "vgg": 16, "squeeze": 17}
"""The smallest side, in pixels, of which every layer leaves something."""


def features(network: str, weights: Weights, images):
    """The feature maps that LPIPS looks at.

    Args:
        network: a name in `NETWORKS`.
        weights: from `read_weights`.
        images: float32 tensor `(N, H, W, 3)`, normalised as for torchvision.
    Returns: a list of tensors `(N, h, w, C)`.
    """
    import tensorflow as tf

    waiting, found, x = iter(weights), [], images

    def conv(x, stride: int = 1, padding: int = 0):
        kernel, bias = next(waiting)
        x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
        return tf.nn.relu(tf.nn.conv2d(x, kernel, stride, "VALID") + bias)

    for step in NETWORKS[network]:
        if isinstance(step, Conv):
            x = conv(x, step.stride, step.padding)
        elif isinstance(step, Pool):
            over = [_overhang(size, step) for size in x.shape[1:3]]
            x = tf.pad(x, [[0, 0], *([0, size] for size in over), [0, 0]])  # after a ReLU, zeros win nothing
            x = tf.nn.max_pool2d(x, step.window, step.stride, "VALID")
        elif isinstance(step, Fire):
            x = conv(x)
            x = tf.concat([conv(x), conv(x, padding=1)], axis=-1)
        else:
            found.append(x)
    return found


def _overhang(size: int, pool: Pool) -> int:
    """Pixels by which the last window reaches over the border; it must begin inside of the image."""
    rest = (size - pool.window) % pool.stride
    return pool.stride - rest if pool.ceil and rest and size >= pool.window else 0


def kernel_shapes(network: str) -> list[tuple[int, int, int, int]]:
    """The shapes of all kernels (HWIO), in the order of the forward pass."""

    def shapes() -> Iterator[tuple[int, int, int, int]]:
        below = 3
        for step in NETWORKS[network]:
            if isinstance(step, Conv):
                yield step.kernel, step.kernel, below, step.channels
                below = step.channels
            elif isinstance(step, Fire):
                yield 1, 1, below, step.squeeze
                yield 1, 1, step.squeeze, step.expand
                yield 3, 3, step.squeeze, step.expand
                below = 2 * step.expand

    return list(shapes())


def read_weights(network: str, path: str | os.PathLike[str], flag: str) -> Weights:
    """The weights of a network from a file.

    Args:
        network: a name in `NETWORKS`.
        path: torchvision's `.pth`, or an `.npz` whose arrays, sorted by name, are kernels (OIHW as in PyTorch, or
            HWIO) and biases in the order of the forward pass. What follows the last convolution is left out.
        flag: what the user called the file, for messages.
    Raises: InputError: no such file, or other weights.
    """
    arrays = _read_arrays(Path(path), flag)
    kernels = [array for array in arrays if array.ndim == 4]
    biases = [array for array in arrays if array.ndim == 1]
    wanted = kernel_shapes(network)
    if min(len(kernels), len(biases)) < len(wanted):
        raise InputError(
            f"{flag}: {path}: holds {len(kernels)} kernels and {len(biases)} biases, the network {network!r} has "
            f"{len(wanted)} convolutions; give torchvision's ImageNet weights of it"
        )
    weights: Weights = []
    for number, (kernel, bias, shape) in enumerate(zip(kernels, biases, wanted, strict=False), start=1):
        turned = kernel.transpose(2, 3, 1, 0)  # OIHW => HWIO
        fitting = next((form for form in (turned, kernel) if form.shape == shape), None)
        if fitting is None or bias.shape != shape[-1:] or not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise InputError(
                f"{flag}: {path}: convolution {number} has the shapes {kernel.shape} and {bias.shape}, or numbers that "
                f"are not finite; the network {network!r} has {shape} (height, width, in, out) there"
            )
        weights.append((fitting.astype(np.float32), bias.astype(np.float32)))
    return weights


def _read_arrays(path: Path, flag: str) -> Sequence[np.ndarray]:
    try:
        arrays = read_arrays(path) if path.suffix == ".npz" else None
        return [arrays[name] for name in sorted(arrays)] if arrays is not None else list(read_state(path).values())
    except InputError as error:
        raise InputError(f"{flag}: {error}") from None
