"""Distances between features, in blocks of rows: what is needed at a time besides the features stays small.

All of them come from one matrix product. For Euclid and learnt matrices M it is, with M = I for Euclid,
(x − z)ᵀ M (x − z) = xᵀMx + zᵀMz − 2 xᵀMz.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pose_gan.errors import InputError

BLOCK = 1 << 22  # distances of one block; 16 MB
MOST = 1e37  # the sum of squares of a feature; distances of four times as much are still float32


@dataclass(frozen=True, eq=False)
class Distance:
    """How far apart two features are.

    Attributes:
        name: for records: `euclidean`, `cosine`, `kissme`, `xqda`.
        kind: `euclidean`: ‖x − z‖; `squared`: ‖x − z‖²; `cosine`: 1 − xᵀz; `learnt`: (x − z)ᵀ M (x − z), which is below
            0 for some features if M is not positive definite.
        unit: whether features are divided by their lengths first.
        projection: float `(d, r)`: features are multiplied by it then; None: they are taken as they are.
        matrix: float `(r, r)`, symmetric: the M of a learnt distance.
    """

    name: str
    kind: Literal["euclidean", "squared", "cosine", "learnt"]
    unit: bool = False
    projection: np.ndarray | None = None
    matrix: np.ndarray | None = None

    def between(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """All distances at once. Arguments and errors are those of `blocks`. Returns: float32 `(n, m)`."""
        result = np.empty((len(x), len(z)), np.float32)
        for rows, block in self.blocks(x, z):
            result[rows] = block
        return result

    def blocks(self, x: np.ndarray, z: np.ndarray, rows: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
        """The distances of consecutive rows of `x`. A block is overwritten when the next one is asked for.

        Args:
            x, z: numbers `(n, d)` and `(m, d)`.
            rows: rows of a block; None: so many that a block has about `BLOCK` distances.
        Yields: the rows, and their distances, float32 `(rows, m)`.
        Raises: InputError: the features differ in length, or have another one than the distance was learnt for; or they
            are not finite, or so large that their distances are not.
        """
        x, z = self._checked(x), self._checked(z)
        if x.shape[1] != z.shape[1]:
            raise InputError(f"features of {x.shape[1]} and of {z.shape[1]} numbers have no distance")
        others, other_squares = self._prepared(z)
        rows = rows or max(1, BLOCK // max(len(z), 1))
        space = np.empty((min(rows, len(x)), len(z)), np.float32)
        for start in range(0, len(x), rows):
            values, squares = self._prepared(x[start : start + rows])
            block = space[: len(values)]
            np.matmul(values if self.matrix is None else values @ self.matrix.astype(np.float32), others.T, out=block)
            yield slice(start, start + len(values)), self._finished(block, squares, other_squares)

    def _finished(self, products: np.ndarray, squares: np.ndarray, other_squares: np.ndarray) -> np.ndarray:
        """Turns products into distances, in place."""
        if self.kind == "cosine":
            return np.subtract(1, products, out=products)
        products *= -2
        products += squares[:, None]
        products += other_squares
        if self.kind != "learnt":
            np.maximum(products, 0, out=products)  # of equal features, by rounding
        return np.sqrt(products, out=products) if self.kind == "euclidean" else products

    def _prepared(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features as they enter the product, float32 `(n, r)`, and the xᵀMx of each."""
        values = normalised(features) if self.unit else np.asarray(features, np.float32)
        if self.projection is not None:
            values = values @ self.projection.astype(np.float32)
        weighted = values if self.matrix is None else values @ self.matrix.astype(np.float32)
        squares = np.einsum("ij,ij->i", values, weighted, dtype=np.float64)
        if not (np.abs(squares) < MOST).all():  # NaN is not below it either
            raise InputError(
                f"{self.name}: the features are not finite, or too large: their squares sum up to {MOST:g}"
            )
        return values, squares.astype(np.float32)

    def _checked(self, features: np.ndarray) -> np.ndarray:
        features = np.asarray(features)
        first = self.projection if self.projection is not None else self.matrix
        if features.ndim != 2 or not features.shape[1] or (first is not None and features.shape[1] != len(first)):
            wanted = "d" if first is None else str(len(first))
            raise InputError(f"{self.name}: expected features (n, {wanted}), got {features.shape}")
        return features


EUCLIDEAN = Distance("euclidean", "euclidean")
COSINE = Distance("cosine", "cosine", unit=True)


def normalised(features: np.ndarray) -> np.ndarray:
    """Features `(n, d)` divided by their lengths, float32; a feature of zeros stays so."""
    features = np.asarray(features, np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", features, features, dtype=np.float64))  # whose squares float32 may not hold
    return features / np.maximum(lengths, 1e-12).astype(np.float32)[:, None]
