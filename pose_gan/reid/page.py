"""Pictures of an evaluation: the first answers to some queries, as an HTML page and as one picture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pose_gan.evaluation.pages import data_url, page_template
from pose_gan.files.images import read_image
from pose_gan.files.text import write_text
from pose_gan.poses.drawing import grid, write_image
from pose_gan.reid.evaluation import LEFT_OUT, RIGHT, SCORES, SHOWN_ANSWERS, WRONG, Evaluation
from pose_gan.reid.images import Images, source_stem
from pose_gan.versions import versions

SIZE = (128, 64)  # of the pictures, height and width in pixels
MARKS = {RIGHT: "✓", WRONG: "✗", LEFT_OUT: "–"}
COLOURS = {RIGHT: (17, 108, 61), WRONG: (179, 38, 30), LEFT_OUT: (120, 128, 140), "query": (40, 40, 40)}
SOURCES = 6  # images that are shown with what was generated from them
FRAME, LINE = 5, 16  # width of a frame and height of the line of text below a picture, pixels


class Shown(NamedTuple):
    """A picture and what is known of it; `rank` counts answers that are not junk, from 1, and is empty for junk."""

    path: Path
    kind: str
    rank: str


def write_page(
    path: str | os.PathLike[str],
    evaluation: Evaluation,
    query: Images,
    gallery: Images,
    title: str,
    settings: Mapping[str, Any],
    command: str = "",
    train: Images | None = None,
) -> None:
    """Writes a self-contained HTML page: scores, and the first answers to the queries of `evaluation.answers`.

    Args:
        path: the file, `.html`.
        evaluation: the scores.
        query, gallery: the images, in the order of the features.
        title: title of the page.
        settings: name → value, shown by `str`.
        command: the command line, to be shown.
        train: images for training; if there are generated ones among them, some are shown beside their sources.
    Raises: InputError: an image cannot be read.
    """
    queries = []
    for (asked, *shown), first in _rows(evaluation, query, gallery):
        cards = [
            {"url": _url(one.path), "name": one.path.name, "kind": one.kind, "rank": one.rank, "mark": MARKS[one.kind]}
            for one in shown
        ]
        found = f"first right answer: rank {first}" if first else "no right answer in the gallery"
        queries.append({"url": _url(asked.path), "name": asked.path.name, "found": found, "answers": cards})
    page = page_template("reid.html.j2", "pose_gan.reid").render(
        title=title,
        subject=f"{len(query):,} queries from {query.folder}, {len(gallery):,} images from {gallery.folder}",
        columns=list(SCORES.values()),
        distance=evaluation.title,
        cells=[score.text() for score in evaluation.scores.values()],
        remarks=evaluation.remarks,
        queries=queries,
        sources=[] if train is None else _sources(train, evaluation.seed),
        seed=evaluation.seed,
        command=command,
        versions=versions(),
        settings=[(name, "none" if value is None else str(value)) for name, value in settings.items()],
        height=SIZE[0],
        width=SIZE[1],
    )
    write_text(path, page)


def write_figure(path: str | os.PathLike[str], evaluation: Evaluation, query: Images, gallery: Images) -> None:
    """Writes one picture of the same queries and answers, a query per row.

    Below each picture stands what it is in words, so that nobody needs the colours of the frames.

    Args: as for `write_page`; the suffix of `path` chooses the format.
    """
    rows = [[_framed(one) for one in shown] for shown, _ in _rows(evaluation, query, gallery)]
    length = max(map(len, rows))
    blank = np.full_like(rows[0][0], 255)
    write_image(path, grid([row + [blank] * (length - len(row)) for row in rows]))


def _rows(evaluation: Evaluation, query: Images, gallery: Images) -> Iterator[tuple[list[Shown], int]]:
    """For each query: the query and its answers, and the rank of its first right answer (0: none)."""
    queries, answers = query.paths(), gallery.paths()
    for number, found in evaluation.answers.items():
        shown, rank = [Shown(queries[number], "query", "")], 0
        for answer in found:
            rank += answer.kind != LEFT_OUT
            shown.append(Shown(answers[answer.place], answer.kind, "" if answer.kind == LEFT_OUT else str(rank)))
        yield shown, int(evaluation.ranking.first_right[number])


def _sources(train: Images, seed: int) -> list[dict[str, Any]]:
    """Some sources, drawn at random, and images that were generated from them."""
    stems = {Path(name).stem: number for number, name in enumerate(train.names)}
    generated: dict[int, list[Path]] = {}
    for row in np.flatnonzero(train.generated):
        stem = source_stem(train.names[row], stems)
        if stem is not None:
            generated.setdefault(stems[stem], []).append(train.folder / train.names[row])
    drawn = np.random.default_rng(seed).permutation(list(generated))[:SOURCES].tolist()
    return [
        {
            "url": _url(train.folder / train.names[source]),
            "name": train.names[source],
            "generated": [{"url": _url(path), "name": path.name} for path in generated[source][:SHOWN_ANSWERS]],
        }
        for source in sorted(drawn)
    ]


def _picture(path: Path) -> np.ndarray:
    height, width = SIZE
    return np.asarray(Image.fromarray(read_image(path)).resize((width, height), Image.Resampling.BILINEAR))


def _url(path: Path) -> str:
    return data_url(_picture(path))


def _framed(shown: Shown) -> np.ndarray:
    """A picture in a frame of its kind's colour, with a line of text below."""
    height, width = SIZE
    sheet = Image.new("RGB", (width + 2 * FRAME, height + 2 * FRAME + LINE), COLOURS[shown.kind])
    picture = _picture(shown.path)
    if shown.kind == LEFT_OUT:
        picture = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    sheet.paste(Image.fromarray(picture), (FRAME, FRAME))
    pen, place = ImageDraw.Draw(sheet), (sheet.width / 2, height + 2 * FRAME + LINE / 2 - 2)
    pen.text(place, f"{shown.rank} {shown.kind}".strip(), (255, 255, 255), ImageFont.load_default(13), "mm")
    return np.asarray(sheet)
