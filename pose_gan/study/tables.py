"""The scores of a study as Markdown, LaTeX and CSV, beside the rows of the paper's Table 2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pose_gan.evaluation.published import DATASET_TITLES, PAPER, TABLE_2
from pose_gan.evaluation.score_tables import aligned, latex
from pose_gan.files.text import csv_text
from pose_gan.study.counting import DISPLAY, Answers
from pose_gan.study.plan import FIRST_DROPPED
from pose_gan.study.scoring import Scores, StudyScores
from pose_gan.study.statistics import Estimate

COLUMNS = ("model", "raters", "R2G", "G2R", "accuracy", "d′")
PREFERENCE_COLUMNS = ("system", "compared with", "preferred", "answers")
SHARES = ("r2g", "g2r", "accuracy", "d_prime")
FEW = 10  # raters below which intervals get a warning


def percent(estimate: Estimate) -> str:
    """A share in percent with its interval: `22.7 [18.1, 27.5]`; empty: there is none."""
    return _text(estimate, 100, 1)


def _text(estimate: Estimate, factor: float, decimals: int) -> str:
    if estimate.value is None:
        return "–"
    text = f"{factor * estimate.value:.{decimals}f}"
    if estimate.low is not None and estimate.high is not None:
        text += f" [{factor * estimate.low:.{decimals}f}, {factor * estimate.high:.{decimals}f}]"
    return text.replace("-", "−")


def score_lines(scores: StudyScores) -> list[list[str]]:
    """The cells of the measured rows, by `COLUMNS`; none of a study that has comparisons only."""
    study = scores.answers.folder.study
    return [
        [row.name, str(row.raters), *map(percent, (row.r2g, row.g2r, row.accuracy)), _text(row.d_prime, 1, 2)]
        for row in (scores.rows if study.count_real or study.count_generated else ())
    ]


def published_lines() -> list[list[str]]:
    """The cells of the published rows, by `COLUMNS`; those that were not printed are empty."""
    return [
        [f"{row.name} (paper, {DATASET_TITLES[row.dataset]})", "30" if row.counts else "", row.r2g, row.g2r, "", ""]
        for row in TABLE_2
    ]


def preference_lines(scores: StudyScores) -> list[list[str]]:
    """The cells of the comparisons, by `PREFERENCE_COLUMNS`; none without comparisons."""
    return [
        [one.system, one.other or "all others", percent(one.share), f"{one.preferred} of {one.total}"]
        for one in scores.preferences
        if one.other or len({other.system for other in scores.preferences}) > 2
    ]


# ------------------------------------------------------------------------------------- remarks


def remarks_of(scores: StudyScores) -> list[str]:
    """What a reader of the tables must know."""
    answers, study = scores.answers, scores.answers.folder.study
    remarks = [_about_answers(answers), *_about_intervals(scores), *study.remarks]
    if answers.simulated:
        remarks.insert(0, "The raters are simulated by a program: this is a rehearsal, and no judgement of people.")
    if answers.others:
        kind = "people" if answers.simulated else "simulated raters"
        remarks.append(f"Not scored, but in the folder too: {kind}, {answers.others}.")
    agreement = scores.agreement
    if agreement.pairwise is not None:
        kappa = "" if agreement.kappa is None else f", Fleiss' κ {agreement.kappa:.2f} (0: chance)".replace("-", "−")
        remarks.append(
            f"Two raters agree on {100 * agreement.pairwise:.1f} % of the {agreement.images} images that several "
            f"judged{kappa}."
        )
    times = (f"{name} {t.median:.0f} ({t.lower:.0f} to {t.upper:.0f})" for name, t in scores.times.items())
    if scores.times:
        remarks.append(f"Reaction times, median and quartiles in ms: {', '.join(times)}.")
    if study.systems_per_rater > 1 or study.count_real != study.count_generated:
        each = f"{study.count_real} real and {study.systems_per_rater * study.count_generated} generated images"
        remarks.append(f"A rater saw {each}; where these differ, raters may guess the more frequent class.")
    remarks.append(
        "R2G: share of real images that were rated generated; G2R: share of generated images rated real; in percent. "
        "d′: how well the classes were told apart, 0 for chance (log-linear correction, over all answers)."
    )
    remarks.append(
        f"Rows of the paper are not measured here: {PAPER}, Table 2; 30 volunteers who work in computer vision judged "
        "55 real and 55 generated images. Ma et al. asked AMT users."
    )
    return remarks


def _about_answers(answers: Answers) -> str:
    display_ms, left_out = answers.folder.study.display_ms, dict(answers.left_out)
    if DISPLAY in left_out:
        off = f"{DISPLAY} off {display_ms} ms by more than {answers.tolerance_ms:g} ms"
        left_out[off] = left_out.pop(DISPLAY)
    text = f"{_number(len(answers.raters), 'rater')}, {answers.finished} of whom saw everything; "
    text += f"{len(answers.counted):,} answers count, by the protocol {answers.protocol}"
    if answers.protocol == "pg2":
        text += f" (each rater's first {FIRST_DROPPED} do not)"
    if left_out:
        text += f"; left out: {', '.join(f'{reason} {count:,}' for reason, count in left_out.items())}"
    return f"{text}."


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _about_intervals(scores: StudyScores) -> list[str]:
    remarks, several = [], [row.raters for row in scores.rows if row.raters and row.raters > 1]
    if any(row.raters == 1 for row in scores.rows):
        remarks.append("One rater gives no interval: the numbers are this person's, and say nothing of other people.")
    if not several and scores.preferences:
        several = [len(scores.answers.raters)]
    if not several or max(several) < 2:
        return remarks
    drawn, images = ("raters and images", "other such") if scores.over == "both" else ("raters", "the same")
    remarks.append(
        f"In brackets stands the 95 % interval, a bootstrap over {drawn} (expanded percentiles, {scores.resamples:,} "
        f"resamples, seed {scores.seed}): it tells what other raters would say of {images} images. Where all answers "
        "are alike, it is Wilson's."
    )
    if scores.over == "both":
        remarks.append("Such intervals are rather too wide than too narrow.")
    elif min(several) < FEW:
        remarks.append(
            f"With {min(several)} raters an interval holds the true rate less often than in 95 % of all studies: with "
            "2 raters in about 50 %, 3 in 70 %, 5 in 90 %. Ask ten people or more before you compare systems."
        )
    return remarks


# ------------------------------------------------------------------------------------- formats


def to_markdown(scores: StudyScores) -> str:
    """The tables, and the remarks as paragraphs."""
    tables = [aligned(_escaped([COLUMNS, *score_lines(scores), *published_lines()]))]
    if lines := preference_lines(scores):
        tables.append(aligned(_escaped([PREFERENCE_COLUMNS, *lines]), 2))
    return "\n\n".join([*tables, *remarks_of(scores)]) + "\n"


def _escaped(lines: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[re.sub(r"([\\|*_`<])", r"\\\1", cell) for cell in line] for line in lines]


def to_latex(scores: StudyScores) -> str:
    """`tabular`s that need no package, and the remarks as a paragraph."""
    groups = [score_lines(scores), published_lines()]
    parts = [_tabular("lrrrrr", ("Model", *COLUMNS[1:-1], "d'"), groups)]
    if lines := preference_lines(scores):
        parts.append(_tabular("llrr", [column.capitalize() for column in PREFERENCE_COLUMNS], [lines]))
    notes = "\n\n".join(map(_latex, remarks_of(scores)))
    return "\n\n".join([*parts, "\n".join([r"{\footnotesize", notes, r"\par}"])]) + "\n"


def _tabular(places: str, titles: Sequence[str], groups: Sequence[Sequence[Sequence[str]]]) -> str:
    lines = [rf"\begin{{tabular}}{{{places}}}", r"\hline", rf"{' & '.join(map(_latex, titles))} \\", r"\hline"]
    for group in groups:
        lines += [rf"{' & '.join(map(_latex, cells))} \\" for cells in group]
        lines.append(r"\hline")
    return "\n".join([*lines, r"\end{tabular}"])


def _latex(text: str) -> str:
    return latex(text).replace("′", "$'$").replace("κ", r"$\kappa$")


def to_csv(scores: StudyScores) -> str:
    """A line per row, in shares of 1, with the counts and the ends of the intervals."""
    counts = ("real", "real_wrong", "generated", "generated_wrong")
    tails = ("", "_low", "_high")
    rows: list[list[Any]] = [
        ["model", "kind", "dataset", "raters", *counts, *(f"{name}{tail}" for name in SHARES for tail in tails)]
    ]
    for row in scores.rows:
        rows.append([row.name, "measured", "", row.raters, *(getattr(row, name) for name in counts), *_numbers(row)])
    for one in TABLE_2:
        wrong, misses, total = one.counts or ("", "", "")
        raters = 30 if one.counts else ""
        numbers = [f"{float(text) / 100:.6g}" if text else "" for text in (one.r2g, "", "", one.g2r, *("",) * 8)]
        rows.append([one.name, "published", one.dataset, raters, total, wrong, total, misses, *numbers])
    return csv_text(rows)


def _numbers(row: Scores) -> list[str]:
    return ["" if value is None else f"{value:.6g}" for name in SHARES for value in getattr(row, name)]


def answers_csv(answers: Answers) -> str:
    """A line per trial of every rater, counted or not.

    `system` is what generated the image, or what a comparison preferred.
    """
    titles = "rater trial part image comparison kind system answer wrong reaction_ms shown_ms counts left_out"
    rows: list[list[Any]] = [titles.split()]
    for one in answers.all:
        system = one.image.system if one.image else ""
        if one.comparison and one.answer:
            system = one.comparison.first_system if one.answer == "first" else one.comparison.second_system
        wrong = int(one.wrong) if one.image and one.answer else ""
        times = ["" if time is None else f"{time:.1f}" for time in (one.reaction_ms, one.shown_ms)]
        shown = ("" if number is None else number for number in (one.trial.image, one.trial.comparison))
        said = (one.kind, system, one.answer or "", wrong, *times, int(one.counts), one.left_out)
        rows.append([one.rater, one.trial.trial, one.trial.part, *shown, *said])
    return csv_text(rows)


def images_csv(scores: StudyScores) -> str:
    """A line per image of the main part: how many judged it, and how many took it for one of the other class."""
    rows: list[list[Any]] = [["image", "kind", "system", "from", "to", "judged", "wrong"]]
    for one in scores.votes:
        image = one.image
        rows.append([image.number, image.kind, image.system, image.source, image.target, one.total, one.wrong])
    return csv_text(rows)
