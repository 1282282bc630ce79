"""`pose-gan compare`: scores of several runs as one table with one row per run, like the paper's Table 3."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pose_gan.files.text import write_text
from pose_gan.programs.verbs import verb_parser

FORMATS = {"markdown": "Markdown", "latex": "LaTeX", "csv": "CSV, with standard deviations"}
EPILOG = """examples:
  pose-gan compare output/baseline output/dsc output/full --paper
  pose-gan compare output/dsc output/full --metrics ssim,mask_ssim,l1 --std --latex table.tex --csv table.csv"""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("compare", "Puts the scores of several runs into one table, with one row per run.", EPILOG)
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="folder with the metrics.json of pose-gan test or evaluate"
    )
    parser.add_argument(
        "--names", nargs="+", metavar="NAME", help="names of the runs (default: their presets, or their folders)"
    )
    parser.add_argument("--metrics", metavar="NAMES", help="columns, separated by commas (default: all of the runs)")
    parser.add_argument("--std", action="store_true", help="show standard deviations too (default: means only)")
    parser.add_argument(
        "--paper", action="store_true", help="add published rows of the data set (default: only measured rows)"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="allow runs with different pairs or protocols, and note it under the table (default: refuse them)",
    )
    output = parser.add_argument_group("output (Markdown is always printed)")
    for name, title in FORMATS.items():
        output.add_argument(f"--{name}", metavar="FILE", help=f"write the table as {title}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    from pose_gan.evaluation import score_tables
    from pose_gan.evaluation.comparison import compare
    from pose_gan.evaluation.saved_scores import read_scores

    runs = [read_scores(folder) for folder in args.runs]
    metrics = args.metrics.split(",") if args.metrics else None
    table = compare(runs, args.names, metrics, args.paper, args.force)
    texts = {
        "markdown": score_tables.to_markdown(table, args.std),
        "latex": score_tables.to_latex(table, args.std),
        "csv": score_tables.to_csv(table),
    }
    print(texts["markdown"], end="")
    for name in FORMATS:
        if path := getattr(args, name):
            write_text(path, texts[name])
            print(f"written: {path}")
    return 0
