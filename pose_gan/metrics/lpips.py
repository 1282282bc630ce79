"""LPIPS: a distance of two images in the features of a network, with weights that were fitted to people's judgements.

There are three networks, and their distances are not comparable, so they are three metrics. The weights that were
fitted, a few kilobytes, are read from the package `lpips` of the authors; nothing of its code runs, and PyTorch is not
needed. The ImageNet weights of the networks are torchvision's files.

Reference: R. Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np

from pose_gan.errors import InputError
from pose_gan.files.torch_weights import read_state
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricOptions, MetricSpec, PerImage, image_pair
from pose_gan.metrics.perceptual_networks import SMALLEST, features, read_weights

BATCH = 32  # number of pairs that go through the network together
TITLES = {"alex": "AlexNet", "vgg": "VGG-16", "squeeze": "SqueezeNet 1.1"}
FILES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
"""Torchvision's names of its ImageNet weights."""

_PACKAGE = "lpips"
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of images in [-1, 1], by channel

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Two uint8 `(N, H, W, 3)`, RGB → float64 `(N,)`."""


def lpips(
    generated: np.ndarray,
    reference: np.ndarray,
    network: str = "alex",
    weights: str | os.PathLike[str] | None = None,
) -> np.ndarray:
    """LPIPS of each image, version 0.1. It is 0 for equal images; lower is better.

    Args:
        generated, reference: uint8 `(N, H, W, 3)` or `(H, W, 3)`, RGB.
        network: `alex`, `vgg` or `squeeze`.
        weights: the network's ImageNet weights: torchvision's `.pth`, or an `.npz`; None: torchvision's file in
            PyTorch's cache (`~/.cache/torch/hub/checkpoints`).
    Returns: float64 `(N,)`.
    Raises: CannotCompute: the weights are absent, or the package `lpips`; InputError: an array has another type, the
        shapes differ, a side is too small (31 pixels for `alex`), or the file holds other weights.
    Matches: `lpips.LPIPS(net=network)` on images scaled to [-1, 1], at their own size.
    """
    generated, reference = image_pair(generated, reference)
    if network not in FILES:
        raise InputError(f"LPIPS: network {network!r} is not known; allowed: {', '.join(FILES)}")
    if problem := _size_problem(generated, network):
        raise InputError(f"LPIPS: {problem}")
    distance = open_lpips(network, weights)
    parts = [
        distance(generated[start : start + BATCH], reference[start : start + BATCH])
        for start in range(0, len(generated), BATCH)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _size_problem(images: np.ndarray, network: str) -> str | None:
    size, least = images.shape[1:3], SMALLEST[network]
    return f"needs images of at least {least}x{least} pixels, got {size}" if min(size) < least else None


@cache
def open_lpips(network: str, weights: str | os.PathLike[str] | None = None) -> Distance:
    """The distance of one network, opened once. Args and errors as of `lpips`."""
    heads = _heads(network)
    path = Path(weights) if weights is not None else _cached(network)
    if path is None:
        raise CannotCompute(
            f"needs torchvision's ImageNet weights of {TITLES[network]}, {FILES[network]}: give the file with "
            f"--lpips_{network}, or put it into ~/.cache/torch/hub/checkpoints"
        )
    convolutions = read_weights(network, path, f"--lpips_{network}")

    import tensorflow as tf

    def normalised(images: tf.Tensor) -> list[tf.Tensor]:
        scaled = (tf.cast(images, tf.float32) / 127.5 - 1.0 - tf.constant(_SHIFT)) / tf.constant(_SCALE)
        maps = features(network, convolutions, scaled)
        return [map / (tf.norm(map, axis=-1, keepdims=True) + 1e-10) for map in maps]

    @tf.function
    def distance(generated: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
        pairs = zip(heads, normalised(generated), normalised(reference), strict=True)
        return tf.add_n([tf.reduce_mean(tf.square(a - b) @ head, axis=[1, 2, 3]) for head, a, b in pairs])

    return lambda generated, reference: distance(tf.constant(generated), tf.constant(reference)).numpy().astype(float)


def _heads(network: str) -> list[np.ndarray]:
    """The fitted weights of each feature map's channels: float32 `(C, 1)`."""
    try:
        package = importlib.metadata.distribution(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise CannotCompute(
            f"needs the package {_PACKAGE}, of which only a small file is used: pip install --no-deps {_PACKAGE} "
            "(with its dependencies it would bring PyTorch)"
        ) from None
    state = read_state(Path(str(package.locate_file(f"lpips/weights/v0.1/{network}.pth"))))
    return [array.astype(np.float32).reshape(-1, 1) for _, array in sorted(state.items())]


def _cached(network: str) -> Path | None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    path = Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub/checkpoints" / FILES[network]
    return path if path.is_file() else None


def _create(network: str, options: MetricOptions) -> PerImage:
    weights = getattr(options, f"lpips_{network}")
    open_lpips(network, weights)

    def score(batch: ImageBatch) -> np.ndarray:
        if problem := _size_problem(batch.generated, network):
            raise CannotCompute(problem)
        return lpips(batch.generated, batch.reference, network, weights)

    return PerImage(score)


def _spec(network: str, protocol: str) -> MetricSpec:
    return MetricSpec(
        name="lpips" if network == "alex" else f"lpips_{network}",
        title="LPIPS" if network == "alex" else f"LPIPS ({TITLES[network]})",
        higher_is_better=False,
        settings={
            "network": f"{TITLES[network]} with the linear layers of version 0.1, package lpips",
            "weights": f"lpips_{network}",
            "input": "RGB in [-1, 1], at the images' own size",
        },
        create=partial(_create, network),
        protocol=protocol,
        by_default=False,
        needs_target=True,
    )


SPECS: tuple[MetricSpec, ...] = (
    _spec("alex", "LPIPS (AlexNet) of later papers, such as Ren et al. 2020; not in the paper"),
    _spec("vgg", "LPIPS of papers that chose VGG; not in the paper"),
    _spec("squeeze", "a scale of its own; the smallest file (5 MB)"),
)
