"""Scores of a user study with bootstrap intervals, against a loop that draws raters resample by resample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness import Options, Table, ratio
from benchmarks.processor import in_turns
from pose_gan.study.counting import Answer, Answers
from pose_gan.study.plan import Image, Kind, Study, StudyFolder, Trial
from pose_gan.study.rates import RATERS, Scores
from pose_gan.study.scoring import score
from pose_gan.study.statistics import d_prime, interval

SIZE, QUICK_SIZE = (30, 110, 10_000), (5, 20, 200)  # raters, images (half of them generated), resamples
SYSTEM = "ours"
KINDS: tuple[Kind, Kind] = ("real", "generated")
WRONG = {"real": 0.1, "generated": 0.4}  # shares
Interval = tuple[float, float]


def run(options: Options) -> list[Table]:
    raters, images, resamples = QUICK_SIZE if options.quick else SIZE
    answers = make_answers(raters, images)
    forms = {
        "a loop over resamples and raters": lambda: loop(answers.all, resamples),
        "score, raters drawn": lambda: score(answers, "raters", resamples),
        "score, raters and images drawn": lambda: score(answers, "both", resamples),
    }
    expected, (row,) = loop(answers.all, resamples), score(answers, "raters", resamples).rows
    used = in_turns(forms, min(options.few_repeats, 3))
    first = next(iter(used.values()))
    rows = [
        {
            "form": form,
            "seconds": one.seconds,
            "processor": one.processor,
            "ratio": ratio(first.processor, one.processor),
            "difference": difference(row, expected) if form == "score, raters drawn" else None,
        }
        for form, one in used.items()
    ]
    columns = {
        "form": "form",
        "seconds": "s",
        "processor": "processor s",
        "ratio": "times faster",
        "difference": "largest difference of an interval's end",
    }
    title = f"Scores of a study: {raters} raters, {images} images each, {resamples:,} resamples"
    notes = ["R2G, G2R, accuracy and d′ with their intervals. score also gives agreement, reaction times and votes."]
    return [Table(title, columns, rows, notes)]


def make_answers(raters: int, images: int) -> Answers:
    """All raters judge all images; they are wrong at random."""
    random = np.random.default_rng(0)
    shown = {
        number: Image(number, "main", KINDS[number % 2], SYSTEM if number % 2 else "", f"{number}.png", f"{number}.png")
        for number in range(1, images + 1)
    }
    study = Study(0, "paper", (SYSTEM,), 1, images // 2, images - images // 2, 0, 0, (128, 64))
    found = [
        Answer(f"r{rater:03d}", Trial(image.number, "main", image.number), image, None, said, 600.0, 1000.0, "")
        for rater in range(1, raters + 1)
        for image in shown.values()
        for said in (KINDS[(image.kind == "generated") != (random.random() < WRONG[image.kind])],)
    ]
    names = {f"r{rater:03d}": (SYSTEM,) for rater in range(1, raters + 1)}
    folder = StudyFolder(Path("study"), study, shown, {})
    return Answers(folder, tuple(found), names, raters, "paper", 50.0, False, 0)


def loop(answers: Sequence[Answer], resamples: int) -> dict[str, Interval]:
    """The usual form: in each resample the answers of the raters that were drawn are counted again."""
    names = sorted({answer.rater for answer in answers})
    of_rater = {name: [(one.kind, one.wrong) for one in answers if one.rater == name] for name in names}
    random, drawn = np.random.default_rng([0, RATERS]), []
    for _ in range(resamples):
        counts = {"real": [0, 0], "generated": [0, 0]}
        for number in random.integers(len(names), size=len(names)):
            for kind, wrong in of_rater[names[number]]:
                counts[kind][0] += wrong
                counts[kind][1] += 1
        (real_wrong, real), (made_wrong, made) = counts.values()
        accuracy = 1 - (real_wrong + made_wrong) / (real + made)
        drawn.append(
            (real_wrong / real, made_wrong / made, accuracy, float(d_prime(real_wrong, real, made_wrong, made)))
        )
    ends = [interval(np.array(values), len(names)) for values in zip(*drawn, strict=True)]
    measures = ("r2g", "g2r", "accuracy", "d_prime")
    return {
        name: (low, high)
        for name, (low, high) in zip(measures, ends, strict=True)
        if low is not None and high is not None
    }


def difference(row: Scores, expected: dict[str, Interval]) -> float:
    """The largest difference of an end of an interval."""
    ends = {name: getattr(row, name)[1:] for name in expected}
    return max(abs(a - b) for name, pair in expected.items() for a, b in zip(ends[name], pair, strict=True))
