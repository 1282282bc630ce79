"""Re-ranking by k-reciprocal neighbours, without the matrix of all images against all.

Reference: Z. Zhong et al., Re-ranking person re-identification with k-reciprocal encoding, CVPR 2017.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

from pose_gan.errors import InputError
from pose_gan.reid.distances import Distance

TINY = np.finfo(np.float32).tiny


@dataclasses.dataclass(frozen=True)
class ReRanking:
    """The settings of re-ranking; the defaults are the paper's for Market-1501.

    Attributes:
        k1: neighbours among which mutual ones are looked for.
        k2: neighbours over which the encodings are averaged.
        weight: share of the original distance in the result, 0 to 1; the rest is Jaccard's.
    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3

    def __post_init__(self) -> None:
        if self.k1 < 1 or not 1 <= self.k2 <= self.k1 + 1 or not 0 <= self.weight <= 1:
            raise InputError(
                f"re-ranking: k1 must be 1 or more, k2 1 to k1 + 1, the weight 0 to 1; got {self.k1}, {self.k2}, "
                f"{self.weight}"
            )


def re_ranked(
    distance: Distance,
    x: np.ndarray,
    z: np.ndarray,
    settings: ReRanking = ReRanking(),
    progress: Callable[[int], object] = lambda rows: None,
) -> Iterator[np.ndarray]:
    """The new distances of queries to the gallery, in blocks of rows.

    Queries and gallery are one set of N images. The memory is that of N · k1 numbers and of a few blocks of distances,
    not of N². Euclidean distances count squared, as in the authors' code.

    Args:
        distance: the original distance.
        x, z: features of the queries `(n, d)` and of the gallery `(m, d)`.
        settings: the paper's k₁, k₂ and λ.
        progress: is told the number of rows that were just compared with all images; 2 N + n rows in all.
    Yields: float32 `(rows, m)`, for consecutive rows of `x`.
    Raises: InputError: there are no more than k1 images.
    Deviation: none; images at equal distances come in the order of their rows.
    """
    if len(x) + len(z) <= settings.k1:
        raise InputError(f"re-ranking with k1 = {settings.k1} needs more than as many images, got {len(x) + len(z)}")
    if distance.kind == "euclidean":
        distance = dataclasses.replace(distance, kind="squared")
    features = np.concatenate([x, z])
    neighbours, largest = _neighbours(distance, features, settings.k1 + 1, progress)
    encoding = _encode(distance, features, _expanded(neighbours, settings.k1), largest, progress)
    if settings.k2 > 1:
        encoding = sparse.csr_array(_sets(neighbours[:, : settings.k2]) @ encoding / settings.k2)
    by_column = encoding.tocsc()
    for rows, block in distance.blocks(x, z):
        block /= largest[rows, None]
        block *= settings.weight
        for number, row in zip(range(rows.start, rows.stop), block, strict=True):
            row += (1 - settings.weight) * _jaccard(encoding, by_column, number)[len(x) :]
        yield block
        progress(len(block))


def _neighbours(
    distance: Distance, features: np.ndarray, count: int, progress: Callable[[int], object]
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest images of each image, itself among them, int `(N, count)`, and its largest distance, `(N,)`."""
    nearest = np.empty((len(features), count), np.int64)
    largest = np.empty(len(features), np.float32)
    for rows, block in distance.blocks(features, features):
        candidates = np.sort(np.argpartition(block, count - 1, axis=1)[:, :count], axis=1)
        order = np.argsort(np.take_along_axis(block, candidates, axis=1), axis=1, kind="stable")
        nearest[rows] = np.take_along_axis(candidates, order, axis=1)
        largest[rows] = np.maximum(block.max(axis=1), TINY)  # 0 if all images are alike
        progress(len(block))
    return nearest, largest


def _sets(neighbours: np.ndarray) -> sparse.csr_array:
    """Sets of images as a matrix of ones, `(N, N)`: row i has a one for each image in the i-th set."""
    count, each = neighbours.shape
    starts = np.arange(0, count * each + 1, each)
    return sparse.csr_array((np.ones(count * each, np.float32), neighbours.ravel(), starts), shape=(count, count))


def _reciprocal(neighbours: np.ndarray) -> sparse.csr_array:
    """The neighbours of whom an image is a neighbour too (the paper's R), as `_sets`."""
    sets = _sets(neighbours)
    return sparse.csr_array(sets.multiply(sets.T))


def _expanded(neighbours: np.ndarray, k1: int) -> sparse.csr_array:
    """The paper's R*: R(i, k₁), and all of R(c, k₁/2) for those c in it whose R(c, k₁/2) is mostly in R(i, k₁)."""
    mutual = _reciprocal(neighbours)
    halved = _reciprocal(neighbours[:, : int(np.around(k1 / 2)) + 1])
    common = sparse.coo_array(mutual.multiply(mutual @ halved.T))
    mostly = common.data > 2 / 3 * np.diff(halved.indptr)[common.col]
    rows, columns = common.row[mostly], common.col[mostly]
    chosen = sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=mutual.shape)
    expanded = sparse.csr_array(mutual + chosen @ halved)
    expanded.sort_indices()
    return expanded


def _encode(
    distance: Distance,
    features: np.ndarray,
    sets: sparse.csr_array,
    largest: np.ndarray,
    progress: Callable[[int], object],
) -> sparse.csr_array:
    """The paper's V: for each image exp(−distance) of the images in its set, with sum 1; others have 0."""
    encoding = sparse.csr_array(sets, dtype=np.float32)
    for rows, block in distance.blocks(features, features):
        for number, row in zip(range(rows.start, rows.stop), block, strict=True):
            place = slice(*encoding.indptr[number : number + 2])
            weights = np.exp(-row[encoding.indices[place]] / largest[number])
            encoding.data[place] = weights / weights.sum()
        progress(len(block))
    return encoding


def _jaccard(encoding: sparse.csr_array, by_column: sparse.csc_array, number: int) -> np.ndarray:
    """Jaccard's distance of one image to all, float `(N,)`: 1 − Σ min(V_i, V_j) / (2 − Σ min(V_i, V_j))."""
    place = slice(*encoding.indptr[number : number + 2])
    columns, weights = encoding.indices[place], encoding.data[place]
    starts, stops = by_column.indptr[columns], by_column.indptr[columns + 1]
    lengths = stops - starts
    places = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(lengths.sum())
    smaller = np.minimum(np.repeat(weights, lengths), by_column.data[places])
    common = np.bincount(by_column.indices[places], smaller, len(encoding.indptr) - 1)
    return 1 - common / (2 - common)
