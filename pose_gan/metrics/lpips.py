"""LPIPS: a distance of two images in the features of AlexNet, with weights that were fitted to people's judgements.

Reference: R. Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018. The
authors' own package, `lpips`, computes it. The package is an optional extra, since it needs PyTorch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache

import numpy as np

from pose_gan.errors import InputError
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricOptions, MetricSpec, PerImage, image_pair

BATCH = 32  # number of pairs that go through the network together
SMALLEST = 31  # pixels; smaller sides vanish in AlexNet's strides

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Two uint8 `(N, H, W, 3)`, RGB → float64 `(N,)`."""


def lpips(generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """LPIPS of each image, version 0.1 with AlexNet, on the CPU. It is 0 for equal images; lower is better.

    Args:
        generated, reference: uint8 `(N, H, W, 3)` or `(H, W, 3)`, RGB.
    Returns: float64 `(N,)`.
    Raises: CannotCompute: the package or AlexNet's weights are absent; InputError: an array has another type, the
        shapes differ, or a side is below 31 pixels.
    Matches: `lpips.LPIPS(net="alex")` on images scaled to [-1, 1], at their own size.
    """
    generated, reference = image_pair(generated, reference)
    if problem := _size_problem(generated):
        raise InputError(f"LPIPS: {problem}")
    distance = open_lpips()
    parts = [
        distance(generated[start : start + BATCH], reference[start : start + BATCH])
        for start in range(0, len(generated), BATCH)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _size_problem(images: np.ndarray) -> str | None:
    size = images.shape[1:3]
    return f"needs images of at least {SMALLEST}x{SMALLEST} pixels, got {size}" if min(size) < SMALLEST else None


@cache
def open_lpips() -> Distance:
    """The network of the package `lpips`, opened once. Raises CannotCompute if it or AlexNet's weights are absent."""
    try:
        torch, package = importlib.import_module("torch"), importlib.import_module("lpips")
    except ImportError as error:
        raise CannotCompute(
            f'needs the package lpips, which does not import here ({error}): pip install "pose_gan[lpips]"'
        ) from None
    try:
        network = package.LPIPS(net="alex", version="0.1", verbose=False)
    except Exception as error:  # a download may raise many kinds of errors
        raise CannotCompute(
            f"the package lpips could not open its AlexNet ({error}). torchvision fetches AlexNet's ImageNet weights "
            "once (alexnet-owt-7be5be79.pth, 244 MB): run it on a machine with internet access, or put the file into "
            "~/.cache/torch/hub/checkpoints"
        ) from None

    def tensor(images: np.ndarray):
        scaled = images.astype(np.float32) / 127.5 - 1.0
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(scaled, -1, 1)))  # NHWC => NCHW

    def distance(generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            values = network(tensor(generated), tensor(reference))  # (N, 1, 1, 1)
        return values.numpy().reshape(-1).astype(np.float64)

    return distance


def _create(options: MetricOptions) -> PerImage:
    open_lpips()

    def score(batch: ImageBatch) -> np.ndarray:
        if problem := _size_problem(batch.generated):
            raise CannotCompute(problem)
        return lpips(batch.generated, batch.reference)

    return PerImage(score)


SPECS: tuple[MetricSpec, ...] = (
    MetricSpec(
        name="lpips",
        title="LPIPS",
        higher_is_better=False,
        settings={
            "network": "AlexNet with the linear layers of version 0.1, package lpips",
            "input": "RGB in [-1, 1], at the images' own size",
        },
        create=_create,
        protocol="LPIPS (AlexNet) of later papers, such as Ren et al. 2020; not in the paper",
        by_default=False,
    ),
)
