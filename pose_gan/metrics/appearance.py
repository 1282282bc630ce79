"""A descriptor of how a person looks, by colours and textures: no network, and no file.

It tells people apart by their clothes, as the hand-made descriptors of early person re-identification do (Gray and Tao,
Viewpoint invariant pedestrian recognition with an ensemble of localized features, ECCV 2008). It is made for drawn
people before plain walls, where networks that were trained on photographs mean little.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

STRIPES = 12  # rows of the body, each with its own histograms
BINS = (12, 4, 4)  # hue, saturation, value
ORIENTATIONS = 8
TEXTURE = 1.0  # weight of the textures beside the colours
_SIZE = (128, 64)  # height and width at which images are described, pixels


def describe(images: np.ndarray) -> np.ndarray:
    """The appearance of the person in the middle of each image.

    For each of `STRIPES` rows of equal height, overlapping by half: the joint histogram of hue, saturation and value,
    and the histogram of the directions of grey-level edges, weighted by their strength. Pixels count less towards the
    left and right borders (Gaussian weights, σ a fifth of the width). Square roots of shares are compared (Hellinger's
    distance).

    Args:
        images: uint8 `(N, H, W, 3)`, RGB.
    Returns: float32 `(N, D)`, each of length 1.
    """
    return np.stack([_describe(image) for image in images]).astype(np.float32)


def _describe(image: np.ndarray) -> np.ndarray:
    height, width = _SIZE
    picture = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    colour = _colour_bins(np.asarray(picture.convert("HSV"), np.float32))
    direction, strength = _edges(np.asarray(picture.convert("L"), np.float32))
    across = np.exp(-0.5 * ((np.arange(width) - (width - 1) / 2) / (width / 5)) ** 2)
    step = height // (STRIPES + 1)
    parts = []
    for top in range(0, STRIPES * step, step):
        rows = slice(top, top + 2 * step)
        weights = np.broadcast_to(across, colour[rows].shape)
        parts.append(_shares(colour[rows], weights, int(np.prod(BINS))))
        edges = _shares(direction[rows], weights * strength[rows], ORIENTATIONS)
        parts.append(TEXTURE * np.sqrt(strength[rows].mean() / 255) * edges)
    found = np.concatenate(parts)
    return found / max(float(np.linalg.norm(found)), 1e-12)


def _colour_bins(hsv: np.ndarray) -> np.ndarray:
    """The number of each pixel's bin. Hue is meaningless for grey pixels, which all count as of one hue."""
    hue, saturation, value = (
        np.minimum((hsv[..., axis] * count / 256).astype(int), count - 1) for axis, count in enumerate(BINS)
    )
    hue = np.where(saturation == 0, 0, hue)
    return (hue * BINS[1] + saturation) * BINS[2] + value


def _edges(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Direction (bin, opposite ones are the same) and strength of the change of grey levels at each pixel."""
    down, right = np.gradient(grey)
    angle = np.mod(np.arctan2(down, right), np.pi)
    return np.minimum((angle * ORIENTATIONS / np.pi).astype(int), ORIENTATIONS - 1), np.hypot(down, right)


def _shares(bins: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Square roots of the shares of the bins."""
    sums = np.bincount(bins.ravel(), weights.ravel(), count)
    return np.sqrt(sums / max(float(sums.sum()), 1e-12))
