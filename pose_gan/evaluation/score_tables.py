"""Tables of scores with one row per run and one column per metric, as Markdown, LaTeX and CSV."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pose_gan.files.text import csv_text
from pose_gan.metrics import METRICS

DECIMALS = 3  # as in the paper's tables; CSV has more


@dataclass(frozen=True)
class Cell:
    """A score in a table. All attributes are empty if there is no score and no reason for its absence.

    Attributes:
        mean: the score, if it was measured.
        std: the standard deviation of the score, if it has one.
        printed: the score as it stands in a publication.
        reason: the reason why the score was not computed.
        best: whether no other run has a better score.
        interval: the 95 % confidence interval of the score, if it has one that the table shows.
        signed: whether the score is a difference, which is shown with its sign.
    """

    mean: float | None = None
    std: float | None = None
    printed: str = ""
    reason: str | None = None
    best: bool = False
    interval: tuple[float, float] | None = None
    signed: bool = False

    def text(self, std: bool = False, plus_minus: str = "±") -> str:
        """The score with `DECIMALS` decimals and its interval, and its standard deviation if `std` is set."""
        if self.mean is None:
            return self.printed
        style = f"{'+' if self.signed else ''}.{DECIMALS}f"
        more = f" {plus_minus} {self.std:.{DECIMALS}f}" if std and self.std is not None else ""
        if self.interval is not None:
            more += " [{:{style}}, {:{style}}]".format(*self.interval, style=style)
        shown = f"{self.mean:{style}}{more}"
        return shown.replace("-", "−") if self.signed else shown


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: name of the run, or of the row in a publication.
        kind: `measured`, `copied` (measured on copies of the source images), `real` (measured on the real images),
            `difference` (of two measured rows) or `published`.
        cells: metric → score.
        dataset: name that the runs give to the data set; empty if they give none.
        pairs: number of pairs.
        source: folder of the scores, or the publication for a published row.
    """

    name: str
    kind: str
    cells: dict[str, Cell]
    dataset: str
    pairs: int
    source: str


@dataclass(frozen=True)
class Table:
    """Scores of runs.

    Attributes:
        metrics: the columns.
        rows: the measured rows, then the rows of other kinds; rows of one kind stand together.
        remarks: further facts that a reader must know.
    """

    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()

    @property
    def reasons(self) -> dict[str, int]:
        """Reason why scores were not computed → number of its footnote, in the order of the table."""
        cells = (row.cells[metric] for row in self.rows for metric in self.metrics)
        reasons = dict.fromkeys(cell.reason for cell in cells if cell.reason is not None)
        return {reason: number for number, reason in enumerate(reasons, start=1)}


def with_best(rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """Marks the best score of each column that has at least two scores, and all scores that show the same number."""
    best: dict[str, str] = {}
    for metric in metrics:
        shown = [row.cells[metric].text() for row in rows if row.cells[metric].mean is not None]
        if len(shown) > 1:
            best[metric] = (max if METRICS[metric].higher_is_better else min)(shown, key=float)
    return [
        replace(
            row,
            cells={
                metric: replace(cell, best=metric in best and cell.text() == best[metric])
                for metric, cell in row.cells.items()
            },
        )
        for row in rows
    ]


def to_markdown(table: Table, std: bool = False) -> str:
    """The table, followed by its footnotes as paragraphs."""
    lines = [["run", *map(title_of, table.metrics)]]
    for row in table.rows:
        name = re.sub(r"([\\|*_`<])", r"\\\1", row.name)
        lines.append([name, *(_markdown_cell(row.cells[metric], table, std) for metric in table.metrics)])
    notes = [f"{_superscript(number)} not computed: {reason}" for reason, number in table.reasons.items()]
    return "\n\n".join([aligned(lines), *notes, *table.remarks]) + "\n"


def aligned(lines: Sequence[Sequence[str]], words: int = 1) -> str:
    """Lines of cells, the first with the titles, as a Markdown table.

    Args:
        lines: cells, whose vertical bars are escaped.
        words: number of the first columns that hold words, and stand to the left; the others hold numbers.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width if place < words else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    sides = [str.ljust if place < words else str.rjust for place in range(len(widths))]
    padded = [[to(cell, width) for to, cell, width in zip(sides, line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (padded[0], rule, *padded[1:]))


def title_of(metric: str) -> str:
    """The title of a metric's column, with an arrow in its better direction."""
    return f"{METRICS[metric].title} {'↑' if METRICS[metric].higher_is_better else '↓'}"


def _markdown_cell(cell: Cell, table: Table, std: bool) -> str:
    if cell.reason is not None:
        return f"–{_superscript(table.reasons[cell.reason])}"
    return f"**{cell.text(std)}**" if cell.best else cell.text(std)


def _superscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


_LATEX = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": r"\textendash{}"},
        **{"↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\to$", "±": r"$\pm$", "−": "$-$", "<": "$<$", ">": "$>$"},
    }
)


def to_latex(table: Table, std: bool = False) -> str:
    """A `tabular` that needs no package, with a line before each kind of rows, and the footnotes as a paragraph."""
    columns = " & ".join(latex(title_of(metric)) for metric in table.metrics)
    lines = [rf"\begin{{tabular}}{{l{'r' * len(table.metrics)}}}", r"\hline", rf"Model & {columns} \\"]
    kind = None
    for row in table.rows:
        if row.kind != kind:
            lines.append(r"\hline")
            kind = row.kind
        cells = " & ".join(_latex_cell(row.cells[metric], table, std) for metric in table.metrics)
        lines.append(rf"{latex(row.name)} & {cells} \\")
    lines += [r"\hline", r"\end{tabular}"]
    notes = [rf"\textsuperscript{{{number}}} not computed: {latex(text)}" for text, number in table.reasons.items()]
    notes += map(latex, table.remarks)
    if notes:
        lines += ["", r"{\footnotesize", "\n\n".join(notes), r"\par}"]
    return "\n".join(lines) + "\n"


def _latex_cell(cell: Cell, table: Table, std: bool) -> str:
    if cell.reason is not None:
        return rf"\textendash\textsuperscript{{{table.reasons[cell.reason]}}}"
    text = cell.text(std, r"$\pm$").replace("−", "$-$")
    return rf"\textbf{{{text}}}" if cell.best else text


def latex(text: str) -> str:
    """A text for LaTeX: characters that have a meaning there are escaped."""
    return text.translate(_LATEX).replace("--", "-{}-")  # so that flags keep both hyphens


def to_csv(table: Table) -> str:
    """One line per row: `run,kind,dataset,pairs,source`, then `<name>` and `<name>_std` of each metric.

    If some scores have intervals, `<name>_low` and `<name>_high`, the ends of the intervals, follow each metric.
    A score that was not computed is written as `not computed: why`. A score that was not published is empty.
    """
    lines: list[list[object]] = []
    intervals = any(cell.interval is not None for row in table.rows for cell in row.cells.values())
    tails = ("", "_std", "_low", "_high") if intervals else ("", "_std")
    columns = [f"{metric}{tail}" for metric in table.metrics for tail in tails]
    lines.append(["run", "kind", "dataset", "pairs", "source", *columns])
    for row in table.rows:
        cells = [text for metric in table.metrics for text in _csv_cells(row.cells[metric])[: len(tails)]]
        lines.append([row.name, row.kind, row.dataset, row.pairs, row.source, *cells])
    return csv_text(lines)


def _csv_cells(cell: Cell) -> tuple[str, ...]:
    """Mean, standard deviation and both ends of the interval."""
    if cell.reason is not None:
        return f"not computed: {cell.reason}", "", "", ""
    mean = cell.printed if cell.mean is None else f"{cell.mean:.6g}"
    numbers = (cell.std, *(cell.interval or (None, None)))
    return mean, *("" if number is None else f"{number:.6g}" for number in numbers)
