"""The scores of a study: how often images were taken for those of the other class (paper, Section 6.2, Table 2).

R2G is the share of real images that were rated generated, and G2R that of generated images rated real.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from pose_gan.study import statistics
from pose_gan.study.counting import Answer, Answers
from pose_gan.study.plan import Image
from pose_gan.study.rates import COMPARED, CountTable, Draws, Scores, rates_from_counts, score_row
from pose_gan.study.statistics import Agreement, Estimate, ratio

__all__ = ["OVER", "Scores", "StudyScores", "rates_from_counts", "score"]

Over = Literal["raters", "both"]
OVER: tuple[Over, ...] = get_args(Over)
ALL = "all systems"


class Preference(NamedTuple):
    """How often a system was preferred: of all its comparisons (`other` is empty; Jab), or of those with `other`."""

    system: str
    other: str
    preferred: int
    total: int
    share: Estimate


class Votes(NamedTuple):
    """How often an image was taken for one of the other class."""

    image: Image
    wrong: int
    total: int


class Times(NamedTuple):
    """Quartiles of the reaction times of counted answers, milliseconds."""

    count: int
    lower: float
    median: float
    upper: float


class RaterScores(NamedTuple):
    """The counts of a rater, over all systems, and the median reaction time in milliseconds."""

    rater: str
    real: int
    real_wrong: int
    generated: int
    generated_wrong: int
    left_out: int
    median_ms: float | None


@dataclass(frozen=True)
class StudyScores:
    """The scores of a study.

    Attributes:
        answers: what was scored.
        rows: a row per system, and one of all together if there are several.
        agreement: of the raters, on the images of the main part.
        times: `real`, `generated`, `comparison` → reaction times; absent where there are none.
        votes: per image of the main part that was judged, by their numbers.
        raters: per rater.
        preferences: per system, then per pair of systems.
        over: what the intervals were drawn from: raters, or raters and images (`both`).
        resamples: number of resamples.
        seed: of the resamples.
    """

    answers: Answers
    rows: tuple[Scores, ...]
    agreement: Agreement
    times: Mapping[str, Times]
    votes: tuple[Votes, ...]
    raters: tuple[RaterScores, ...]
    preferences: tuple[Preference, ...]
    over: Over
    resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """The scores as values that JSON can hold."""
        answers = self.answers
        return {
            "raters": len(answers.raters),
            "finished": answers.finished,
            "simulated": answers.simulated,
            "protocol": answers.protocol,
            "tolerance_ms": answers.tolerance_ms,
            "answers": {"counted": len(answers.counted), "left_out": answers.left_out},
            "bootstrap": {"over": self.over, "resamples": self.resamples, "seed": self.seed},
            "systems": [_plain(vars(row)) for row in self.rows],
            "agreement": self.agreement._asdict(),
            "reaction_ms": {name: times._asdict() for name, times in self.times.items()},
            "preferences": [_plain(one._asdict()) for one in self.preferences],
            "per_rater": [one._asdict() for one in self.raters],
        }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one._asdict() if isinstance(one, Estimate) else one for name, one in values.items()}


def score(answers: Answers, over: Over = "raters", resamples: int = statistics.RESAMPLES, seed: int = 0) -> StudyScores:
    """Scores a study.

    The intervals are bootstraps: in each resample, raters are drawn with replacement and keep all their answers; with
    `both`, so are the images (real and generated ones apart), and an answer counts as often as its rater times its
    image (Owen, The pigeonhole bootstrap, 2007: rather too wide than too narrow). The first tells what other raters
    would say of these images, and the second what they would say of other images of the same kind.

    Args:
        answers: from `count_answers`.
        over: what is drawn.
        resamples: number of resamples.
        seed: of the resamples.
    """
    draws, judged = Draws(over == "both", resamples, seed), [one for one in answers.counted if one.image]
    rows = []
    for system in (systems := answers.folder.study.systems):
        rows.append(score_row(system, [one for one in judged if _is_of(answers, one, system)], draws))
    if len(systems) > 1:
        rows.append(score_row(ALL, judged, draws))
    votes = _votes(judged)
    says_real = [one.wrong if one.image.system else one.total - one.wrong for one in votes]
    by_answer = np.array([(real, one.total - real) for real, one in zip(says_real, votes, strict=True)])
    return StudyScores(
        answers,
        tuple(rows),
        statistics.agreement(by_answer.reshape(-1, 2)),
        _times(answers.counted),
        votes,
        tuple(_rater(answers, name) for name in answers.raters),
        tuple(_preferences(answers, draws)),
        over,
        resamples,
        seed,
    )


def _is_of(answers: Answers, answer: Answer, system: str) -> bool:
    """Whether an answer belongs to a system: one to a real image belongs to all that its rater judges."""
    shown = answer.image.system if answer.image else ""
    return shown == system if shown else system in answers.raters[answer.rater]


def _preferences(answers: Answers, draws: Draws) -> Iterator[Preference]:
    """Per system, then per pair of systems; nothing if no comparison was answered."""
    systems, counted = answers.folder.study.systems, [one for one in answers.counted if one.comparison]
    pairs = itertools.combinations(systems, 2)
    for system, other in [*((system, "") for system in systems), *pairs] if counted else []:
        asked = {system, other} if other else {system}
        own = [one for one in counted if asked <= {*_compared(one)}]
        raters = sorted({one.rater for one in own})
        table = CountTable.of(((one, _compared(one)[one.answer == "second"] == system) for one in own), raters)
        preferred, total = int(table.hits.sum()), int(table.total.sum())
        shares = ratio(*table.drawn(draws, COMPARED))
        share = statistics.estimate_share(preferred, total, shares, table.count(draws))
        yield Preference(system, other, preferred, total, share)


def _compared(answer: Answer) -> tuple[str, str]:
    """The systems of the images named `first` and `second`."""
    assert answer.comparison is not None
    return answer.comparison.first_system, answer.comparison.second_system


def _votes(judged: Iterable[Answer]) -> tuple[Votes, ...]:
    votes: dict[int, Votes] = {}
    for answer in judged:
        assert answer.image is not None
        image, wrong, total = votes.get(answer.item, Votes(answer.image, 0, 0))
        votes[answer.item] = Votes(image, wrong + answer.wrong, total + 1)
    return tuple(votes[number] for number in sorted(votes))


def _rater(answers: Answers, name: str) -> RaterScores:
    own = [answer for answer in answers.all if answer.rater == name]
    real, generated = ([one.wrong for one in own if one.counts and one.kind == kind] for kind in ("real", "generated"))
    times = [one.reaction_ms for one in own if one.counts and one.reaction_ms is not None]
    median, left_out = float(np.median(times)) if times else None, sum(not one.counts for one in own)
    return RaterScores(name, len(real), sum(real), len(generated), sum(generated), left_out, median)


def _times(counted: Iterable[Answer]) -> dict[str, Times]:
    found: dict[str, list[float]] = {"real": [], "generated": [], "comparison": []}
    for answer in counted:
        if answer.reaction_ms is not None:
            found[answer.kind].append(answer.reaction_ms)
    quartiles = {name: np.quantile(times, (0.25, 0.5, 0.75)).tolist() for name, times in found.items() if times}
    return {name: Times(len(found[name]), *ends) for name, ends in quartiles.items()}
