"""`pose-gan study score`: R2G and G2R of a user study, as the paper's Table 2."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from pose_gan.config import value_in_words
from pose_gan.files.folders import make_folder
from pose_gan.files.text import write_json, write_text
from pose_gan.programs.score_flags import seed
from pose_gan.programs.verbs import command_line, verb_parser
from pose_gan.study.counting import TOLERANCE_MS
from pose_gan.study.plan import PROTOCOLS

OVER = ("raters", "both")
EPILOG = """examples:
  pose-gan study score study
  pose-gan study score study --over both --protocol pg2
  pose-gan study score study --simulated --output_dir rehearsal

Writes study.md, study.tex and study.csv (the table), study.html (with the images most often taken for those of the
other class), answers.csv (every trial, and why it does not count), images.csv and scores.json."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "study score", "Says how often real images were taken for generated ones, and the reverse.", EPILOG
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of a study, with the answers of raters")
    counted = parser.add_argument_group("answers")
    counted.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        help="paper: every answer of the main part counts; pg2: each rater's first ten do not (default: the study's)",
    )
    counted.add_argument(
        "--tolerance_ms",
        type=_milliseconds,
        default=TOLERANCE_MS,
        metavar="MS",
        help="leave out an image that was shown longer or shorter than asked for by more than this "
        f"(default: {TOLERANCE_MS:g})",
    )
    counted.add_argument("--simulated", action="store_true", help="score the simulated raters of a rehearsal")
    intervals = parser.add_argument_group("intervals")
    intervals.add_argument(
        "--bootstrap", type=_resamples, default=10_000, metavar="N", help="number of resamples (default: 10000)"
    )
    intervals.add_argument(
        "--over",
        choices=OVER,
        default=OVER[0],
        help="what is drawn: raters, for what others would say of these images, or both raters and images, for what "
        "others would say of other images (default: raters)",
    )
    intervals.add_argument("--seed", type=seed, default=0, metavar="N", help="of the resamples (default: 0)")
    output = parser.add_argument_group("output")
    output.add_argument("--output_dir", metavar="DIR", help="folder of the files (default: STUDY/scores)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    from pose_gan.study import tables
    from pose_gan.study.answers import read_raters
    from pose_gan.study.counting import count_answers
    from pose_gan.study.page import write_page
    from pose_gan.study.plan import read_study
    from pose_gan.study.scoring import score

    folder = read_study(args.study)
    answers = count_answers(folder, read_raters(folder), args.protocol, args.tolerance_ms, args.simulated)
    scores = score(answers, args.over, args.bootstrap, args.seed)
    output, command = make_folder(args.output_dir or args.study / "scores"), command_line("study score", argv)
    text = tables.to_markdown(scores)
    for name, content in (
        ("study.md", text),
        ("study.tex", tables.to_latex(scores)),
        ("study.csv", tables.to_csv(scores)),
        ("answers.csv", tables.answers_csv(answers)),
        ("images.csv", tables.images_csv(scores)),
    ):
        write_text(output / name, content)
    write_json(output / "scores.json", {**scores.to_dict(), "command": command})
    settings = {name: value for name, value in vars(folder.study).items() if name not in ("introduction", "remarks")}
    settings |= {"systems": ", ".join(folder.study.systems), "image_size": value_in_words(folder.study.image_size)}
    write_page(output / "study.html", scores, f"User study: {', '.join(folder.study.systems)}", settings, command)
    print(text, end="")
    print("written:", f"{output}/study.md, .tex, .csv and .html, answers.csv, images.csv, scores.json")
    return 0


def _milliseconds(text: str) -> float:
    """Type of the flag that takes a time."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected milliseconds, 0 or more, got {text!r}")
    return value


def _resamples(text: str) -> int:
    """Type of the flag that takes the number of resamples."""
    if not text.isdecimal() or not 100 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 100 to 1000000, got {text!r}")
    return int(text)
