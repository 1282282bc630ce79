"""`pose-gan figure`: draws several runs side by side on the same pairs, like the paper's Fig. 4."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pose_gan.errors import InputError
from pose_gan.metrics import METRICS, RANKING
from pose_gan.poses.skeleton import COCO18
from pose_gan.programs import flags
from pose_gan.programs.verbs import verb_parser

CHOICES = ("random", "best", "worst")
SUFFIXES = (".png", ".pdf")
EPILOG = """examples:
  pose-gan figure output/baseline output/dsc output/full --output figure4.pdf
  pose-gan figure output/dsc output/full --output worst.png --choose worst --pairs 8 --names DSC ours"""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "figure", "Draws the images that several runs generated for the same pairs, side by side.", EPILOG
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="folder of strips and metrics.json, from pose-gan test or evaluate"
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="picture to write, .png or .pdf")
    parser.add_argument(
        "--names", nargs="+", metavar="NAME", help="headers, one per run (default: their presets, or their folders)"
    )
    pairs = parser.add_argument_group("pairs")
    pairs.add_argument("--rows", nargs="+", metavar="STRIP", help="show the pairs of these strips")
    pairs.add_argument(
        "--pairs", type=_number, default=6, metavar="N", help="without --rows: number of pairs (default: %(default)s)"
    )
    pairs.add_argument(
        "--choose", choices=CHOICES, default="random", help="choose pairs at random or by score (default: %(default)s)"
    )
    pairs.add_argument(
        "--by",
        choices=list(METRICS),
        default=RANKING,
        metavar="METRIC",
        help="the score for best and worst, averaged over runs (default: %(default)s)",
    )
    pairs.add_argument(
        "--seed", type=_number, default=0, metavar="N", help="seed of the random choice (default: %(default)s)"
    )
    poses = parser.add_argument_group("poses")
    poses.add_argument(
        "--annotations",
        action="append",
        default=[],
        metavar="FILE.csv",
        help="annotation file; may be given several times (default: the files with which the runs were scored)",
    )
    poses.add_argument(
        "--skeleton", type=flags.skeleton, default=COCO18, metavar="FILE", help="skeleton file (default: coco18)"
    )
    return parser


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    if Path(args.output).suffix not in SUFFIXES:
        raise InputError(f"--output {args.output}: the name must end in {' or '.join(SUFFIXES)}")
    if not args.pairs:
        raise InputError("--pairs 0: a figure needs at least one pair")
    from pose_gan.evaluation.figures import choose_pairs, draw, named_pairs, open_runs, write_figure

    runs = open_runs(args.runs, args.names, args.annotations, args.skeleton)
    pairs = (
        named_pairs(runs, args.rows) if args.rows else choose_pairs(runs, args.pairs, args.choose, args.by, args.seed)
    )
    if runs[0].images.annotations is None:
        print("no keypoints: poses are left out; --annotations FILE.csv adds them")
    write_figure(args.output, draw(runs, pairs))
    for pair in pairs:
        print(" -> ".join(pair))
    print(f"written: {args.output}")
    return 0
