"""Fréchet Inception distance (FID) between the generated images and real ones.

Reference: M. Heusel et al., GANs trained by a two time-scale update rule converge to a local Nash equilibrium, NIPS
2017.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pose_gan.errors import InputError
from pose_gan.files.folders import list_images
from pose_gan.files.images import read_image
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricOptions, MetricSpec, Result, State
from pose_gan.metrics.inception import BATCH, SCALES, Inception, Scale, bicubic


class Moments:
    """Mean and covariance of vectors that come in batches. The memory is one float64 matrix for any number of vectors.

    Reference: T. Chan et al., Updating formulae and a pairwise algorithm for computing sample variances, 1979. Batches
        are centred before they are squared, so that large means cause no loss of digits.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(0)
        self._scatter = np.zeros((0, 0))

    def update(self, vectors: np.ndarray) -> None:
        """Adds the rows of `(N, D)`, N ≥ 1."""
        vectors = np.asarray(vectors, np.float64)
        mean = vectors.mean(axis=0)
        self._add(len(vectors), mean, vectors - mean)

    def _add(self, added: int, mean: np.ndarray, rows: np.ndarray, scatter: np.ndarray | float = 0.0) -> None:
        """Adds vectors of which the mean is known, and `rowsᵀ rows + scatter`, their scatter about it."""
        if not self.count:
            self.mean, self._scatter = np.zeros_like(mean), np.zeros((len(mean), len(mean)))
        total = self.count + added
        shift = mean - self.mean
        # The shift of the means is one more row beside the centred rows, so one matrix product suffices
        rows = np.vstack([rows, np.sqrt(self.count * added / total) * shift])
        self._scatter += rows.T @ rows + scatter
        self.mean = self.mean + shift * (added / total)
        self.count = total

    def state(self) -> State:
        return {"count": np.array(self.count), "mean": self.mean, "scatter": self._scatter}

    def merge(self, state: State) -> None:
        """Adds the vectors of which `state()` of others tells."""
        if count := int(state["count"]):
            self._add(count, state["mean"], np.empty((0, len(state["mean"]))), state["scatter"])

    @property
    def covariance(self) -> np.ndarray:
        """Float64 `(D, D)`, divided by the number of vectors minus one, as in `numpy.cov`. It needs two vectors."""
        return self._scatter / (self.count - 1)


def frechet_distance(mean1: np.ndarray, covariance1: np.ndarray, mean2: np.ndarray, covariance2: np.ndarray) -> float:
    """‖μ₁ − μ₂‖² + tr(C₁ + C₂ − 2 (C₁C₂)^½): the squared Fréchet distance of two Gaussians (Heusel et al., Eq. 6).

    Each covariance is written as C = F Fᵀ, where F comes from the eigenvectors of C and the roots of its eigenvalues.
    Then the trace of (C₁C₂)^½ is the sum of the singular values of F₁ᵀF₂. So no root of an unsymmetric matrix is
    needed, no imaginary part arises, and singular covariances (fewer images than dimensions) need no offset.

    Args:
        mean1, mean2: `(D,)`.
        covariance1, covariance2: `(D, D)`, symmetric, positive semidefinite.
    Returns: the distance, at least 0.
    Raises: InputError: the shapes do not go together.
    """
    mean1, mean2 = np.asarray(mean1, np.float64), np.asarray(mean2, np.float64)
    covariances = [np.asarray(covariance, np.float64) for covariance in (covariance1, covariance2)]
    shapes = [mean1.shape, mean2.shape, *(covariance.shape for covariance in covariances)]
    if mean1.ndim != 1 or shapes != [(len(mean1),)] * 2 + [(len(mean1),) * 2] * 2:
        raise InputError(f"Fréchet distance: expected means (D,) and covariances (D, D), got {shapes}")
    factor1, factor2 = (_factor(covariance) for covariance in covariances)
    root_trace = np.linalg.svd(factor1.T @ factor2, compute_uv=False).sum()
    traces = sum(np.trace(covariance) for covariance in covariances)
    distance = np.sum((mean1 - mean2) ** 2) + traces - 2 * root_trace
    return max(0.0, float(distance))  # rounding errors may make a distance of 0 negative


def _factor(covariance: np.ndarray) -> np.ndarray:
    """F `(D, rank)` with F Fᵀ = C. Eigenvalues that are rounding errors are dropped: their roots are not small."""
    values, vectors = np.linalg.eigh(covariance)
    noise = len(values) * np.finfo(np.float64).eps * max(values.max(initial=0.0), 0.0)
    kept = values > noise
    return vectors[:, kept] * np.sqrt(values[kept])


class FID:
    """FID of the generated images, a score of the whole set.

    Args:
        network: the network that gives the features.
        reference: moments of the real images; None: those of the target images that come with the generated ones.
    """

    def __init__(self, network: Inception, reference: Moments | None = None) -> None:
        self._network = network
        self._generated = Moments()
        self._reference = reference or Moments()
        self._pairs = reference is None

    def update(self, batch: ImageBatch) -> None:
        self._generated.update(self._network.of_resized(batch).features)
        if self._pairs:
            self._reference.update(self._network.of_resized_targets(batch).features)

    def _parts(self) -> dict[str, Moments]:
        """The moments that the images change."""
        return {"generated": self._generated, **({"reference": self._reference} if self._pairs else {})}

    def state(self) -> State:
        parts = self._parts().items()
        return {f"{part}_{name}": array for part, moments in parts for name, array in moments.state().items()}

    def merge(self, state: State) -> None:
        for part, moments in self._parts().items():
            moments.merge({name: state[f"{part}_{name}"] for name in moments.state()})

    def result(self) -> Result:
        """The distance. `details` holds the number of reference images.

        Raises: InputError: there were no images; CannotCompute: there were fewer than two generated or real images.
        """
        generated, reference = self._generated, self._reference
        if not generated.count:
            raise InputError("no images to score")
        if min(generated.count, reference.count) < 2:
            raise CannotCompute(
                f"needs two images on each side, got {generated.count} generated and {reference.count} real"
            )
        distance = frechet_distance(generated.mean, generated.covariance, reference.mean, reference.covariance)
        return Result(distance, None, generated.count, details={"reference_images": float(reference.count)})


@cache
def folder_moments(network: Inception, folder: str | os.PathLike[str]) -> Moments:
    """Moments of the features of a folder's images, which may have any sizes.

    They are computed only once for the same network and folder.

    Raises: InputError: the folder is absent or has no images, or an image cannot be read.
    """
    names = list_images(folder)
    if not names:
        raise InputError(f"--fid_reference: {folder}: holds no images")
    moments = Moments()
    with tqdm(total=len(names), unit="image", desc="FID reference") as progress:
        for start in range(0, len(names), BATCH):
            part = names[start : start + BATCH]
            images = np.concatenate([bicubic(read_image(Path(folder) / name)[None]) for name in part])
            moments.update(network(images).features)
            progress.update(len(part))
    return moments


def _spec(scale: Scale) -> MetricSpec:
    def create(options: MetricOptions) -> FID:
        network = scale.open(options)
        if options.fid_reference is None:
            return FID(network)
        return FID(network, folder_moments(network, os.fspath(options.fid_reference)))

    return MetricSpec(
        name="fid" + scale.suffix,
        title="FID" + scale.title,
        higher_is_better=False,
        settings={
            **scale.settings,
            "features": "pool_3, 2048 numbers an image",
            "resizing": "Pillow bicubic with smoothing, on floats, to 299x299, from 8-bit images without loss (PNG)",
            "reference": "fid_reference; without one, the target image of every pair",
            "covariance": "divided by the number of images minus one",
            "bias": "larger the fewer images on either side: compare equal counts only; below 2048 it is large",
        },
        create=create,
        protocol=(
            "a scale of its own: no published numbers"
            if scale.suffix
            else "published FID, whose reference for pose transfer is all training images (fid_reference); "
            "not in the paper, and later papers resize in other ways: same scale, not the same digits"
        ),
        by_default=False,
    )


SPECS: tuple[MetricSpec, ...] = tuple(_spec(scale) for scale in SCALES)
