"""Scores of features: CMC and mAP with intervals, as tables and as records."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pose_gan.errors import InputError
from pose_gan.evaluation.ablation_table import bootstrap_interval
from pose_gan.evaluation.score_tables import aligned
from pose_gan.files.atomic import atomic_path
from pose_gan.metrics.ranking import order
from pose_gan.reid.distances import COSINE, EUCLIDEAN, Distance, normalised
from pose_gan.reid.features import Features
from pose_gan.reid.images import DISTRACTOR, JUNK
from pose_gan.reid.metric_learning import learn_kissme, learn_xqda
from pose_gan.reid.ranking import Ranking, answers, evaluate_ranking
from pose_gan.reid.re_ranking import ReRanking, re_ranked
from pose_gan.reid.settings import DISTANCES, LEARNT

RECORD, PER_QUERY = "reid.json", "reid_per_query.csv"
"""The files of an evaluation from which tables are made."""
DISTANCE_TITLES = {"euclidean": "Euclidean", "cosine": "cosine", "kissme": "KISSME", "xqda": "XQDA"}
RANKS = (1, 5, 10, 20)
SCORES = {**{f"rank{rank}": f"rank-{rank}" for rank in RANKS}, "map": "mAP", "map_step": "mAP (step)"}
"""Score → its title, in the order of tables."""
SHOWN_ANSWERS = 10
RIGHT, WRONG, LEFT_OUT = "right", "wrong", "junk"


class Score(NamedTuple):
    """A share, 0 to 1, and the ends of its 95 % interval (a percentile bootstrap over the queries)."""

    value: float
    low: float
    high: float

    def text(self) -> str:
        """In percent: `73.9 [72.4, 75.4]`."""
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


class Answer(NamedTuple):
    """An image of the gallery as an answer to a query: its place, and whether it is `right`, `wrong` or `junk`."""

    place: int
    kind: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well people were found again.

    Attributes:
        ranking: the scores of the queries.
        scores: name in `SCORES` → score of all queries.
        answerable: the same of the queries that have a good answer; None: all have one.
        distance: the name of the distance.
        re_ranking: the settings of re-ranking; None: there was none.
        seed: seed of the bootstrap.
        counts: numbers of `queries`, images of the `gallery`, and `junk` and `distractors` among these.
        answers: number of a query → its nearest images, the nearest first, for those that were asked for.
    """

    ranking: Ranking
    scores: Mapping[str, Score]
    answerable: Mapping[str, Score] | None
    distance: str
    re_ranking: ReRanking | None
    seed: int
    counts: Mapping[str, int]
    answers: Mapping[int, list[Answer]]

    @property
    def title(self) -> str:
        """The distance in words: `XQDA, re-ranked`."""
        return DISTANCE_TITLES.get(self.distance, self.distance) + (", re-ranked" if self.re_ranking else "")

    @property
    def remarks(self) -> list[str]:
        """What a reader of the scores must know."""
        queries, junk, distractors = (self.counts[name] for name in ("queries", "junk", "distractors"))
        texts = [
            f"{queries:,} queries; {self.counts['gallery']:,} images in the gallery, of which {junk:,} are junk (taken "
            f"out) and {distractors:,} distractors. Percent, with 95 % intervals by a bootstrap over queries (seed "
            f"{self.seed}). mAP is by the trapezoid rule, as in the paper; mAP (step) is what most libraries report."
        ]
        if self.answerable is not None:
            without = queries - int(self.ranking.answerable.sum())
            shown = ", ".join(f"{SCORES[name]} {score.text()}" for name, score in self.answerable.items())
            texts.append(
                f"{without:,} of the queries have no good answer in the gallery (the same person by another camera). "
                f"They count as not found, as in the evaluation that came with Market-1501. Without them: {shown}."
            )
        return texts

    def to_dict(self) -> dict[str, Any]:
        """All but the single queries, as values that JSON can hold."""
        return {
            "scores": _score_dict(self.scores),
            "answerable_only": None if self.answerable is None else _score_dict(self.answerable),
            "cmc": self.ranking.cmc[: max(RANKS)].tolist(),
            "counts": {**self.counts, "without_good_answer": int((~self.ranking.answerable).sum())},
            "distance": self.distance,
            "re_ranking": None if self.re_ranking is None else dataclasses.asdict(self.re_ranking),
            "protocol": "Market-1501: same person and camera, and junk, taken out; map: trapezoid, map_step: step",
            "interval": {"level": 0.95, "method": "percentile bootstrap over queries", "seed": self.seed},
        }


def make_distance(name: str, train: Features | None = None, unit: bool = True, seed: int = 0) -> Distance:
    """A distance by its name, learnt if need be.

    Args:
        name: one of `DISTANCES`.
        train: features of images to learn from; `LEARNT` need them. Generated images should not be among them.
        unit: divide features by their lengths first, as is usual.
        seed: seed of the pairs that are drawn.
    Raises: InputError: the name is unknown, or there is nothing, or too little, to learn from.
    """
    if name not in DISTANCES:
        raise InputError(f"distance {name!r} is not known; allowed: {', '.join(DISTANCES)}")
    if name not in LEARNT:
        return COSINE if name == "cosine" else dataclasses.replace(EUCLIDEAN, unit=unit)
    if train is None or not len(train):
        raise InputError(f"distance {name}: is learnt, and needs the features of images for training")
    learn = {"kissme": learn_kissme, "xqda": learn_xqda}[name]
    values = normalised(train.values) if unit else train.values
    return dataclasses.replace(learn(values, train.people, train.cameras, seed), unit=unit)


def evaluate(
    query: Features,
    gallery: Features,
    distance: Distance,
    re_ranking: ReRanking | None = None,
    seed: int = 0,
    shown: int = 0,
    progress: Callable[[int], object] = lambda rows: None,
) -> Evaluation:
    """Scores features by the protocol of `pose_gan.reid.ranking`. Memory: the features twice, and a few blocks.

    Args:
        query, gallery: the features.
        distance: from `make_distance`.
        re_ranking: the settings of re-ranking; None: none is done.
        seed: seed of the bootstrap, and of the choice of queries to show.
        shown: the number of queries, drawn at random, whose first answers are kept.
        progress: is told how many rows of distances more are done; `rows_of` gives their number in all.
    Raises: InputError: there are no features, or they do not fit together, or no query has a good answer.
    """
    if not len(query) or not len(gallery):
        raise InputError(f"nothing to rank: {len(query)} queries and {len(gallery)} images in the gallery")
    chosen = np.random.default_rng(seed).permutation(len(query))[:shown]
    kept: dict[int, list[Answer]] = {number: [] for number in sorted(chosen.tolist())}
    blocks = _keeping(_blocks(query, gallery, distance, re_ranking, progress), query, gallery, kept)
    ranking = evaluate_ranking(blocks, query.people, gallery.people, query.cameras, gallery.cameras)
    answerable = ranking.answerable_only()  # which raises if there is nothing to find
    return Evaluation(
        ranking,
        _scores(ranking, seed),
        None if len(answerable.first_right) == len(query) else _scores(answerable, seed),
        distance.name,
        re_ranking,
        seed,
        {
            "queries": len(query),
            "gallery": len(gallery),
            "junk": int(np.count_nonzero(gallery.people == JUNK)),
            "distractors": int(np.count_nonzero(gallery.people == DISTRACTOR)),
        },
        kept,
    )


def rows_of(query: Features, gallery: Features, re_ranking: ReRanking | None) -> int:
    """The number of rows of distances that `evaluate` computes, for its progress."""
    return len(query) + (2 * (len(query) + len(gallery)) if re_ranking else 0)


def table(rows: Mapping[str, Evaluation]) -> str:
    """Scores in percent with their intervals as a Markdown table: name of the features → scores."""
    lines = [[name, found.title, *(score.text() for score in found.scores.values())] for name, found in rows.items()]
    return markdown(["features", "distance", *SCORES.values()], lines, 2)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    """A Markdown table whose first columns, `words` of them, hold words, and the others numbers."""
    lines = [[" ".join(cell.replace("|", "\\|").split()) for cell in line] for line in (columns, *rows)]
    return aligned(lines, words) + "\n"


def write_per_query(path: str | os.PathLike[str], query: Features, evaluation: Evaluation) -> None:
    """Writes a CSV, atomically: a line per query with the rank of its first good answer and its average precision.

    The columns are `query,person,camera,first_right,average_precision,average_precision_step`. `first_right` is 0 if
    the gallery holds no good answer.
    """
    ranking = evaluation.ranking
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["query", "person", "camera", "first_right", "average_precision", "average_precision_step"])
        for row in zip(
            query.names,
            query.people.tolist(),
            query.cameras.tolist(),
            ranking.first_right.tolist(),
            ranking.average_precision.tolist(),
            ranking.average_precision_step.tolist(),
            strict=True,
        ):
            writer.writerow(row)


def _blocks(
    query: Features,
    gallery: Features,
    distance: Distance,
    re_ranking: ReRanking | None,
    progress: Callable[[int], object],
) -> Iterator[np.ndarray]:
    if re_ranking is not None:
        yield from re_ranked(distance, query.values, gallery.values, re_ranking, progress)
        return
    for _, block in distance.blocks(query.values, gallery.values):
        yield block
        progress(len(block))


def _keeping(
    blocks: Iterator[np.ndarray], query: Features, gallery: Features, kept: dict[int, list[Answer]]
) -> Iterator[np.ndarray]:
    """Passes blocks on, and keeps the first answers of the queries in `kept`."""
    start = 0
    for block in blocks:
        for number in kept:
            if start <= number < start + len(block):
                kept[number] = _first(block[number - start], query.people[number], query.cameras[number], gallery)
        yield block
        start += len(block)


def _first(distances: np.ndarray, person: int, camera: int, gallery: Features) -> list[Answer]:
    good, left_out = answers(person, camera, gallery.people, gallery.cameras)
    places = order(distances, np.zeros(len(distances), bool))[:SHOWN_ANSWERS]
    return [Answer(int(p), LEFT_OUT if left_out[p] else RIGHT if good[p] else WRONG) for p in places]


def _scores(ranking: Ranking, seed: int) -> dict[str, Score]:
    columns = [ranking.found_within(rank) for rank in RANKS]
    values = np.stack([*columns, ranking.average_precision, ranking.average_precision_step], axis=1).astype(float)
    low, high = bootstrap_interval(values, seed)
    ends = zip(SCORES, values.mean(axis=0), low, high, strict=True)
    return {name: Score(*map(float, numbers)) for name, *numbers in ends}


def _score_dict(scores: Mapping[str, Score]) -> dict[str, Any]:
    return {name: {"value": score.value, "interval_95": [score.low, score.high]} for name, score in scores.items()}
