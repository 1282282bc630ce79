"""The table of re-identification as Markdown, LaTeX, CSV and a page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pose_gan.evaluation.ablation_table import RESAMPLES
from pose_gan.evaluation.pages import page_template
from pose_gan.evaluation.published import PAPER, TABLE_4
from pose_gan.evaluation.score_tables import latex
from pose_gan.files.text import csv_text, write_text
from pose_gan.reid.evaluation import DISTANCE_TITLES, markdown
from pose_gan.reid.table import MEASURES, Difference, Mean, Model, ReidTable
from pose_gan.versions import versions

METHOD_TITLES = {"ide": "IDE", "embedding": "Discriminative Embedding"}
PUBLISHED = {"T": "standard", "A": "augmented"}  # training sets of Table 4 → where their numbers stand


def title_of(model: Model) -> str:
    """The name of a row, as in Table 4: `IDE + XQDA`."""
    return f"{METHOD_TITLES[model.method]} + {DISTANCE_TITLES[model.distance]}"


def text_of(score: Mean | Difference) -> str:
    """A score in percent: `73.9 ± 0.4`, or `+4.6 ± 0.7 [+3.9, +5.3]`."""
    is_difference = isinstance(score, Difference)
    text = f"{100 * score.mean:{'+' if is_difference else ''}.1f}"
    text += "" if score.std is None else f" ± {100 * score.std:.1f}"
    text += f" [{100 * score.low:+.1f}, {100 * score.high:+.1f}]" if is_difference else ""
    return text.replace("-", "−")


def score_lines(table: ReidTable, paper: bool = False) -> list[list[str]]:
    """The cells of the rows: the model, and for each training the scores, then the published rows."""
    lines = [
        [title_of(model), *(text_of(cells[name]) for cells in means.values() for name in MEASURES)]
        for model, means in table.means.items()
    ]
    if paper:
        for row in TABLE_4:
            numbers = (getattr(row, PUBLISHED[of]) if of in PUBLISHED else ("", "") for of in table.trainings)
            lines.append([f"{row.name} (paper)", *(number for pair in numbers for number in pair)])
    return lines


def difference_lines(table: ReidTable) -> list[list[str]]:
    """The cells of the rows of differences: the model, what is compared, and the differences."""
    return [
        [title_of(model), f"{training} − {table.trainings[0]}", *(text_of(cells[name]) for name in MEASURES)]
        for model, columns in table.differences.items()
        for training, cells in columns.items()
    ]


def remarks_of(table: ReidTable, about: Sequence[str] = (), paper: bool = False) -> list[str]:
    """What a reader of the table must know; `about` are remarks on the trainings."""
    count = len(table.seeds)
    remarks = [
        *about,
        f"In percent, of {table.queries:,} queries in a gallery of {table.gallery:,} images; mAP by the "
        "trapezoid rule, as in the paper. KISSME and XQDA are learnt on the real training images.",
    ]
    remarks.append(
        f"± is the standard deviation over {count} seeds of training (N − 1 in the denominator); that of a difference "
        "is over the differences of two trainings with the same seed."
        if count > 1
        else "Each number is of one seed of training, so the table shows no spread over seeds."
    )
    if len(table.trainings) > 1:
        remarks.append(
            "In brackets stands the 95 % interval of a difference: a percentile bootstrap over the queries, of scores "
            f"that were averaged over the seeds first ({RESAMPLES:,} resamples, seed {table.seed}). It tells how far "
            "the choice of queries decides the difference, not how far the seeds of training do."
        )
    if paper:
        remarks.append(
            f"Rows of the paper are not measured here: {PAPER}, Table 4, on Market-1501; T was trained for 50,000 "
            "iterations there, and A for 100,000."
        )
    return remarks


def to_markdown(table: ReidTable, about: Sequence[str] = (), paper: bool = False) -> str:
    """The table, the differences, and the remarks as paragraphs."""
    columns = ["model", *(f"{of}, {title}" for of in table.trainings for title in MEASURES.values())]
    parts = [markdown(columns, score_lines(table, paper), 1)]
    if len(table.trainings) > 1:
        parts.append(markdown(["model", "difference", *MEASURES.values()], difference_lines(table), 2))
    return "\n".join([*parts, "\n\n".join(remarks_of(table, about, paper))]) + "\n"


def to_latex(table: ReidTable, about: Sequence[str] = (), paper: bool = False) -> str:
    """Two `tabular` that need no package, and the remarks as a paragraph."""
    count = len(MEASURES)
    sets = " & ".join(rf"\multicolumn{{{count}}}{{c}}{{{latex(of)}}}" for of in table.trainings)
    heads = " & ".join(latex(title) for _ in table.trainings for title in MEASURES.values())
    lines = [rf"\begin{{tabular}}{{l{'r' * count * len(table.trainings)}}}", r"\hline", rf"Model & {sets} \\"]
    lines += [rf" & {heads} \\", r"\hline", *_latex(score_lines(table, paper)), r"\hline", r"\end{tabular}"]
    if len(table.trainings) > 1:
        lines += ["", rf"\begin{{tabular}}{{ll{'r' * count}}}", r"\hline"]
        lines += [rf"Model & Difference & {' & '.join(map(latex, MEASURES.values()))} \\", r"\hline"]
        lines += [*_latex(difference_lines(table)), r"\hline", r"\end{tabular}"]
    notes = "\n\n".join(map(latex, remarks_of(table, about, paper)))
    return "\n".join([*lines, "", r"{\footnotesize", notes, r"\par}"]) + "\n"


def _latex(rows: Sequence[Sequence[str]]) -> list[str]:
    return [rf"{' & '.join(map(latex, row))} \\" for row in rows]


def to_csv(table: ReidTable) -> str:
    """A line per model and training, in shares of 1: means, standard deviations, differences and their intervals."""
    tails = ("", "_std", *(f"_difference{tail}" for tail in ("", "_std", "_low", "_high")))
    rows: list[list[Any]] = []
    rows.append(["method", "distance", "training", "seeds", *(f"{name}{tail}" for name in MEASURES for tail in tails)])
    for model, means in table.means.items():
        for training, cells in means.items():
            line: list[Any] = [*model, training, len(table.seeds)]
            for name, score in cells.items():
                difference = table.differences[model].get(training, {}).get(name, (None,) * 4)
                line += ["" if value is None else f"{value:.6g}" for value in (*score, *difference)]
            rows.append(line)
    return csv_text(rows)


def write_page(
    path: str | os.PathLike[str],
    table: ReidTable,
    title: str,
    settings: Mapping[str, Any],
    about: Sequence[str] = (),
    paper: bool = False,
) -> None:
    """Writes a self-contained HTML page with the table, the differences and the settings, atomically.

    Args:
        path: the file, `.html`.
        table: from `read_table`.
        title: title of the page.
        settings: name → value, shown by `str`.
        about: remarks on the trainings.
        paper: whether the published rows are shown.
    """
    lines, measured = score_lines(table, paper), len(table.means)
    page = page_template("reid_table.html.j2", "pose_gan.reid").render(
        title=title,
        trainings=table.trainings,
        measures=list(MEASURES.values()),
        groups=[group for group in (lines[:measured], lines[measured:]) if group],
        differences=difference_lines(table),
        remarks=remarks_of(table, about, paper),
        settings=list(settings.items()),
        versions=versions(),
    )
    write_text(path, page)
