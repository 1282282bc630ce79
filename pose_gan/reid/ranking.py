"""The protocol of Market-1501: CMC and mean average precision of distances between queries and a gallery.

For a query, a good answer is an image of the same person by another camera. Images of the same person by the same
camera, and junk, are no answers at all: they are taken out of the ranking. Distractors stay, as wrong answers.

Reference: L. Zheng et al., Scalable person re-identification: a benchmark, ICCV 2015.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pose_gan.errors import InputError
from pose_gan.metrics.ranking import good_ranks, precision_by_step, precision_by_trapezoid
from pose_gan.reid.images import DISTRACTOR, JUNK, whole_numbers


@dataclass(frozen=True, eq=False)
class Ranking:
    """How well the queries found their people. A share is 0 to 1.

    A query without a good answer in the gallery (`answerable` is False) counts as not found at all, with an average
    precision of 0, as in the evaluation that came with Market-1501 (whose queries all have one). `answerable_only`
    gives the scores of the others, which are what torchreid and fast-reid report.

    Attributes:
        cmc: float64 `(gallery,)`: the share of queries with a good answer among the first 1, 2, 3, … answers.
        first_right: int64 `(queries,)`: the rank of the first good answer, from 1; 0: there is none.
        average_precision: float64 `(queries,)`, by the trapezoid rule.
        average_precision_step: float64 `(queries,)`, by the step rule.
    """

    cmc: np.ndarray
    first_right: np.ndarray
    average_precision: np.ndarray
    average_precision_step: np.ndarray

    @property
    def answerable(self) -> np.ndarray:
        """bool `(queries,)`: whether the gallery holds a good answer."""
        return self.first_right > 0

    @property
    def mean_average_precision(self) -> float:
        """Over all queries, by the trapezoid rule: the paper's mAP."""
        return float(self.average_precision.mean())

    @property
    def mean_average_precision_step(self) -> float:
        """Over all queries, by the step rule, as most libraries since 2018 compute it; 0.005 to 0.03 higher."""
        return float(self.average_precision_step.mean())

    def found_within(self, rank: int) -> np.ndarray:
        """bool `(queries,)`: whether a good answer is among the first `rank`."""
        return self.answerable & (self.first_right <= rank)

    def answerable_only(self) -> Ranking:
        """The same for the queries that have a good answer. Raises InputError: none has."""
        if not self.answerable.any():
            raise InputError("no query has a good answer in the gallery: the same person by another camera")
        kept = self.answerable
        return _ranking(
            len(self.cmc), self.first_right[kept], self.average_precision[kept], self.average_precision_step[kept]
        )


def evaluate_ranking(
    distances: np.ndarray | Iterable[np.ndarray],
    query_ids: npt.ArrayLike,
    gallery_ids: npt.ArrayLike,
    query_cameras: npt.ArrayLike,
    gallery_cameras: npt.ArrayLike,
) -> Ranking:
    """Ranks the gallery for each query, by the protocol above. Equal distances keep the order of the gallery.

    Args:
        distances: numbers `(queries, gallery)`, small for images that look alike; or its rows in blocks `(n, gallery)`,
            one after the other, so that the whole need not be in memory.
        query_ids, gallery_ids: whole numbers `(queries,)` and `(gallery,)`: who is seen; −1: junk, 0: a distractor.
        query_cameras, gallery_cameras: whole numbers of the same shapes: by which camera.
    Returns: the scores of the queries and of all together.
    Raises: InputError: shapes do not fit together, there is no query or no gallery, a distance is not a number, or a
        person or camera is no whole number.
    Matches: the MATLAB evaluation of Market-1501 (mAP by the trapezoid) and torchreid's (mAP by the step), the latter
        for queries that have a good answer.
    Deviation: the sort is stable.
    """
    queries, gallery = (
        _labels(*arrays) for arrays in (("query", query_ids, query_cameras), ("gallery", gallery_ids, gallery_cameras))
    )
    first = np.zeros(len(queries[0]), np.int64)
    precision, precision_step = np.zeros(len(first)), np.zeros(len(first))
    count = 0
    for number, row in enumerate(_rows(distances)):
        if row.shape != gallery[0].shape or number >= len(first):
            raise InputError(
                f"distances: expected ({len(first)}, {len(gallery[0])}), one row a query and one column an image of "
                f"the gallery; got a row {number} of {row.size} numbers"
            )
        if row.dtype.kind not in "fiub" or np.isnan(row).any():
            raise InputError(f"distances: row {number} has a value that is not a number")
        person, camera = queries[0][number], queries[1][number]
        good, left_out = answers(person, camera, *gallery)
        ranks = good_ranks(row, good, left_out)
        if len(ranks):
            first[number] = ranks[0]
            precision[number], precision_step[number] = precision_by_trapezoid(ranks), precision_by_step(ranks)
        count = number + 1
    if count != len(first):
        raise InputError(f"distances: expected {len(first)} rows, one a query, got {count}")
    return _ranking(len(gallery[0]), first, precision, precision_step)


def answers(
    person: int, camera: int, gallery_ids: np.ndarray, gallery_cameras: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the images of the gallery are to a query.

    Returns: `good`, the right answers, and `left_out`, what is no answer (junk): bool `(gallery,)` each.
    """
    same, seen_there = gallery_ids == person, gallery_cameras == camera
    good = same & ~seen_there if person not in (JUNK, DISTRACTOR) else np.zeros(len(gallery_ids), bool)
    return good, (gallery_ids == JUNK) | (same & seen_there)


def _ranking(gallery: int, first: np.ndarray, precision: np.ndarray, precision_step: np.ndarray) -> Ranking:
    found = np.bincount(first, minlength=gallery + 1)[1:]
    return Ranking(np.cumsum(found) / len(first), first, precision, precision_step)


def _rows(distances: np.ndarray | Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    if hasattr(distances, "__array__"):  # also a tensor or a table, whose rows are not what a loop over it gives
        yield from np.atleast_2d(np.asarray(distances))
        return
    if not isinstance(distances, Iterable):
        raise InputError(f"distances: expected numbers (queries, gallery), or their rows in blocks, got {distances!r}")
    for block in distances:
        yield from np.atleast_2d(np.asarray(block))


def _labels(name: str, ids: npt.ArrayLike, cameras: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    ids, cameras = whole_numbers(f"{name}_ids", ids), whole_numbers(f"{name}_cameras", cameras)
    if ids.ndim != 1 or ids.shape != cameras.shape or not len(ids):
        raise InputError(
            f"{name}_ids and {name}_cameras: expected one number each for at least one image, got shapes {ids.shape} "
            f"and {cameras.shape}"
        )
    return ids, cameras
