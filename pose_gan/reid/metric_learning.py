"""Distances that are learnt from features of people whose images are known: KISSME and XQDA.

References: M. Köstinger et al., Large scale metric learning from equivalence constraints, CVPR 2012; S. Liao et al.,
Person re-identification by local maximal occurrence representation and metric learning, CVPR 2015.
"""

from __future__ import annotations

import math

import numpy as np

from pose_gan.errors import InputError
from pose_gan.reid.distances import Distance
from pose_gan.reid.images import whole_numbers

PCA_DIMENSIONS = 200  # of the features from which KISSME learns, as usual for features of networks
MOST_PAIRS = 200_000  # similar pairs that KISSME learns from; of more, as many are drawn
REGULARISATION = 0.001
LARGEST = 1e100  # magnitude of a feature, so that sums of fourth powers are finite
SMALLEST = 1e-10  # share of a sum of squares below which it is the error of rounding


def kissme(similar: np.ndarray, dissimilar: np.ndarray) -> np.ndarray:
    """KISSME: M = Σ_S⁻¹ − Σ_D⁻¹, where Σ is the mean of d dᵀ over the differences d of pairs.

    Args:
        similar: numbers `(n, d)`, the differences between the features of two images of one person.
        dissimilar: `(m, d)`, the same of two people.
    Returns: float64 `(d, d)`, symmetric and positive definite: the squared distance of a pair is dᵀ M d. Only if the
        formula gives another kind of matrix, its eigenvalues of at most 1e-10 become 1e-6.
    Raises: InputError: shapes do not fit, a value is not finite, or there are too few pairs for so many numbers.
    """
    similar, dissimilar = (_matrix(name, x) for name, x in (("similar", similar), ("dissimilar", dissimilar)))
    if similar.shape[1] != dissimilar.shape[1]:
        raise InputError(f"differences of {similar.shape[1]} and of {dissimilar.shape[1]} numbers: give one length")
    inverses = [
        _inverse(x.T @ x / len(x), f"the {len(x)} {name} pairs do not span {x.shape[1]} numbers a feature")
        for name, x in (("similar", similar), ("dissimilar", dissimilar))
    ]
    return _positive(_symmetric(inverses[0] - inverses[1]))


def xqda(
    x: np.ndarray, x_ids: np.ndarray, z: np.ndarray, z_ids: np.ndarray, regularisation: float = REGULARISATION
) -> tuple[np.ndarray, np.ndarray]:
    """XQDA: a projection W in which people differ much more than images of one person, and its M.

    Σ_I and Σ_E are the mean of (x − z)(x − z)ᵀ over the pairs of one person and of two people. W are the left singular
    vectors of (Σ_I + λI)⁻¹ Σ_E whose singular values are above 1, at least one, and
    M = (Wᵀ(Σ_I + λI)W)⁻¹ − (WᵀΣ_E W)⁻¹.

    Args:
        x, z: numbers `(n, d)` and `(m, d)`: features of two views. A pair has one of each.
        x_ids, z_ids: integers `(n,)` and `(m,)`: who is seen.
        regularisation: λ, which depends on the scale of the features; 0.001 is for features of length 1.
    Returns: W, float64 `(d, r)`, and M, float64 `(r, r)`. The distance of x and z is uᵀMu + vᵀMv − 2uᵀMv with
        u = Wᵀx and v = Wᵀz. It may be negative: M is not made positive.
    Raises: InputError: shapes do not fit, a value is not finite or a person no whole number, no person (or only one) is
        in both views, the features do not differ, λ is not 0 or more, or Σ_I is singular with λ = 0.
    Deviation: none from the authors' code, which decomposes into singular values where the paper has eigenvectors.
    """
    x, z = _matrix("x", x), _matrix("z", z)
    if not 0 <= regularisation < math.inf:
        raise InputError(f"regularisation must be 0 or more, got {regularisation}")
    if x.shape[1] != z.shape[1]:
        raise InputError(f"features of {x.shape[1]} and of {z.shape[1]} numbers: give one length")
    basis = None
    if x.shape[1] > len(x) + len(z):  # only the span of the features matters, which has n + m dimensions at most
        basis, coordinates = np.linalg.qr(np.concatenate([x, z]).T)
        x, z = coordinates.T[: len(x)], coordinates.T[len(x) :]
    within, between, pairs = scatter(x, x_ids, z, z_ids)
    others = len(x) * len(z) - pairs
    if not pairs or not others:
        raise InputError(f"XQDA needs pairs of one person and of two people, got {pairs} and {others} pairs")
    within = within / pairs + regularisation * np.eye(x.shape[1])
    between = between / others
    size = (np.sum(x**2) / len(x) + np.sum(z**2) / len(z)) * SMALLEST
    if np.trace(between) <= size:  # what is left is the error of rounding
        raise InputError("the features of two people do not differ, so there is no distance to learn")
    singular = "the pairs of one person do not span the features; give a regularisation above 0"
    left, values, _ = np.linalg.svd(_inverse(within, singular) @ between)
    projection = left[:, : max(1, np.count_nonzero(values > 1))]
    inverses = [
        _inverse(projection.T @ covariance @ projection, "the pairs of two people do not span the features")
        for covariance in (within, between)
    ]
    return projection if basis is None else basis @ projection, _symmetric(inverses[0] - inverses[1])


def scatter(x: np.ndarray, x_ids: np.ndarray, z: np.ndarray, z_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Sums of (x − z)(x − z)ᵀ over all pairs of one person (A) and of two people (B), without a loop over pairs.

    With n_k, m_k images of person k and their sums s_k, t_k:
    A = Σ_i m_y(i) x_i x_iᵀ + Σ_j n_y(j) z_j z_jᵀ − Σ_k (s_k t_kᵀ + t_k s_kᵀ), and
    B = m XᵀX + n ZᵀZ − s tᵀ − t sᵀ − A.

    Args: as for `xqda`.
    Returns: A and B, float64 `(d, d)`, and the number of pairs of one person.
    Raises: InputError: a view has not one person a feature.
    """
    x_ids, z_ids = whole_numbers("x_ids", x_ids), whole_numbers("z_ids", z_ids)
    for name, features, ids in (("x", x, x_ids), ("z", z, z_ids)):
        if ids.shape != (len(features),):
            raise InputError(f"{name}_ids: expected one person for each of {len(features)} features, got {ids.shape}")
    people, numbers = np.unique(np.concatenate([x_ids, z_ids]), return_inverse=True)
    x_of, z_of = numbers[: len(x)], numbers[len(x) :]
    in_x, in_z = (np.bincount(of, minlength=len(people)) for of in (x_of, z_of))
    sums_x, sums_z = (_sums(features, of, len(people)) for features, of in ((x, x_of), (z, z_of)))
    crossed = sums_x.T @ sums_z
    within = (x.T * in_z[x_of]) @ x + (z.T * in_x[z_of]) @ z - crossed - crossed.T
    total = np.outer(x.sum(axis=0), z.sum(axis=0))
    between = len(z) * x.T @ x + len(x) * z.T @ z - total - total.T - within
    return within, between, int(in_x @ in_z)


def pca(features: np.ndarray, dimensions: int = PCA_DIMENSIONS) -> np.ndarray:
    """The directions in which features vary most, without those in which they do not vary.

    Args:
        features: numbers `(n, d)`. Their mean is not kept, since differences do not depend on it.
        dimensions: the most directions, r.
    Returns: float64 `(d, r)`, orthonormal columns.
    Raises: InputError: the features do not differ.
    """
    centred = _matrix("features", features) - np.mean(features, axis=0, dtype=np.float64)
    if len(centred) < centred.shape[1]:  # then this is much faster
        _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
        values, vectors = lengths**2, directions.T
    else:
        values, vectors = (result[..., ::-1] for result in np.linalg.eigh(centred.T @ centred))
    count = min(dimensions, np.count_nonzero(values > values[0] * SMALLEST))
    if not count:
        raise InputError(f"all {len(centred)} features are the same, so there is no distance to learn")
    return vectors[:, :count]


def kissme_pairs(people: np.ndarray, cameras: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of images that KISSME learns from.

    Similar pairs are all of one person by two cameras (at most `MOST_PAIRS`, drawn at random). Dissimilar pairs are
    drawn at random from images of two people by two cameras, as many.

    Args:
        people, cameras: integers `(n,)`; people of −1 and 0 are nobody, and are left out.
        seed: seed of the draws.
    Returns: similar and dissimilar pairs, int `(pairs, 2)` each: numbers of images.
    Raises: InputError: there are none.
    """
    random = np.random.default_rng(seed)
    similar = []
    for person in np.unique(people[people > 0]):
        rows = np.flatnonzero(people == person)
        first, second = np.triu_indices(len(rows), 1)
        pairs = np.stack([rows[first], rows[second]], axis=1)
        similar.append(pairs[cameras[pairs[:, 0]] != cameras[pairs[:, 1]]])
    found = np.concatenate(similar) if similar else np.zeros((0, 2), int)
    if not len(found):
        raise InputError("no person is seen by two cameras, so there is no pair to learn a distance from")
    if len(found) > MOST_PAIRS:
        found = found[np.sort(random.choice(len(found), MOST_PAIRS, replace=False))]
    known = np.flatnonzero(people > 0)
    different: list[np.ndarray] = []
    for _ in range(1000):  # half of the draws fit where there are many people; where few do, this ends
        drawn = random.choice(known, (len(found), 2))
        fits = (people[drawn[:, 0]] != people[drawn[:, 1]]) & (cameras[drawn[:, 0]] != cameras[drawn[:, 1]])
        different.append(drawn[fits])
        if sum(map(len, different)) >= len(found):
            return found, np.concatenate(different)[: len(found)]
    raise InputError("hardly two people are seen by two cameras, so there is no pair to learn a distance from")


def halves(people: np.ndarray, cameras: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The two views that XQDA learns from: of each person, shuffled images in two halves.

    The i-th images of both halves are a pair, and only pairs by two cameras are kept.

    Args: as for `kissme_pairs`.
    Returns: numbers of images, int `(n,)` each.
    Raises: InputError: there are none.
    """
    random = np.random.default_rng(seed)
    first, second = [], []
    for person in np.unique(people[people > 0]):
        rows = random.permutation(np.flatnonzero(people == person))
        half = len(rows) // 2
        ours, theirs = rows[:half], rows[half : 2 * half]
        kept = cameras[ours] != cameras[theirs]
        first.append(ours[kept])
        second.append(theirs[kept])
    if not sum(map(len, first)):
        raise InputError("no person is seen by two cameras, so there is no pair to learn a distance from")
    return np.concatenate(first), np.concatenate(second)


def learn_kissme(features: np.ndarray, people: np.ndarray, cameras: np.ndarray, seed: int = 0) -> Distance:
    """The distance that KISSME learns in the first `PCA_DIMENSIONS` principal directions.

    The pairs of one person span as many directions as there are images beyond one a person; of a small set, as many
    directions are taken as half of that.

    Args:
        features: numbers `(n, d)`.
        people, cameras, seed: as for `kissme_pairs`.
    Raises: InputError: there are too few images of people by two cameras.
    """
    known = people[people > 0]
    spanned = len(known) - len(np.unique(known))
    projection = pca(features, max(1, min(PCA_DIMENSIONS, spanned // 2)))
    values = features @ projection
    differences = [values[pairs[:, 0]] - values[pairs[:, 1]] for pairs in kissme_pairs(people, cameras, seed)]
    return Distance("kissme", "learnt", projection=projection, matrix=kissme(*differences))


def learn_xqda(
    features: np.ndarray,
    people: np.ndarray,
    cameras: np.ndarray,
    seed: int = 0,
    regularisation: float = REGULARISATION,
) -> Distance:
    """The distance that XQDA learns from `halves`. The arguments are those of `learn_kissme` and of `xqda`."""
    x, z = halves(people, cameras, seed)
    projection, matrix = xqda(features[x], people[x], features[z], people[z], regularisation)
    return Distance("xqda", "learnt", projection=projection, matrix=matrix)


def _matrix(name: str, values: np.ndarray) -> np.ndarray:
    try:
        values = np.asarray(values)
    except ValueError:  # rows of several lengths
        raise InputError(f"{name}: expected numbers (n, d), got rows of several lengths") from None
    if values.ndim != 2 or 0 in values.shape or values.dtype.kind not in "fiub":
        raise InputError(
            f"{name}: expected numbers (n, d), at least one row, got the shape {values.shape} of {values.dtype}"
        )
    values = values.astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        raise InputError(f"{name}: {np.count_nonzero(~np.isfinite(values))} of {values.size} values are not finite")
    if np.abs(values).max() > LARGEST:
        raise InputError(f"{name}: has values above {LARGEST:g}; divide the features by their lengths")
    return values


def _sums(features: np.ndarray, of: np.ndarray, people: int) -> np.ndarray:
    """The sum of the features of each person, `(people, d)`."""
    result = np.zeros((people, features.shape[1]))
    np.add.at(result, of, features)
    return result


def _inverse(matrix: np.ndarray, problem: str) -> np.ndarray:
    """The inverse of a covariance. Raises InputError with the problem if it has none that means anything."""
    if np.linalg.cond(matrix) > 1 / np.finfo(float).eps:
        raise InputError(f"{problem}: give more pairs, or fewer numbers a feature (PCA)")
    return np.linalg.inv(matrix)


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2


def _positive(matrix: np.ndarray) -> np.ndarray:
    """The matrix itself if it is positive definite, else with its small eigenvalues replaced."""
    values, vectors = np.linalg.eigh(matrix)
    if values[0] > 0:
        return matrix
    values = np.where(values <= 1e-10, 1e-6, values)
    return _symmetric((vectors * values) @ vectors.T)
