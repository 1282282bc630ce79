"""Parts shared by the programs that score: the flags for metrics and outputs, and the writing of the outputs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_gan.errors import InputError
from pose_gan.metrics import BY_DEFAULT, METRICS, MetricOptions, default_metrics
from pose_gan.programs import flags

if TYPE_CHECKING:
    from pose_gan.evaluation.scores import Scores
    from pose_gan.evaluation.scoring import Scorer
    from pose_gan.evaluation.strips import JudgedImages


def add_metric_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--metrics --real` and a flag for each file that some metrics need."""
    group = parser.add_argument_group("metrics")
    group.add_argument(
        "--metrics",
        type=_metric_names,
        metavar="NAMES",
        help=f"metrics separated by commas, or all; allowed: {', '.join(METRICS)} (default: {', '.join(BY_DEFAULT)}, "
        "and those whose files are given)",
    )
    group.add_argument(
        "--real",
        type=flags.boolean,
        default=False,
        metavar="0|1",
        help="score the real target images too, as in the last row of the paper's Table 1 (default: 0)",
    )
    flags.add_config_arguments(parser, MetricOptions, "files that some metrics need")


def _metric_names(text: str) -> tuple[str, ...]:
    return tuple(METRICS) if text == "all" else tuple(text.split(","))


def add_output_arguments(group: argparse._ArgumentGroup) -> None:
    """Adds `--append_to --report --grid`."""
    group.add_argument("--append_to", metavar="FILE.csv", help="add the line of metrics.csv to this table too")
    group.add_argument("--report", metavar="FILE.html", help="write a page with scores and example pairs")
    group.add_argument("--grid", metavar="FILE.png", help="write a picture of example pairs")


def seed(text: str) -> int:
    """Type of the flag that takes a seed."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {2**32 - 1}, got {text!r}")
    return int(text)


def check_outputs(args: argparse.Namespace) -> None:
    """Raises InputError if `write_outputs` could not write a file. This is checked before any slow step."""
    for flag, path, suffixes in (("report", args.report, (".html",)), ("grid", args.grid, (".png", ".jpg"))):
        if path and Path(path).suffix not in suffixes:
            raise InputError(f"--{flag} {path}: the name must end in {' or '.join(suffixes)}")
    if args.append_to:
        from pose_gan.evaluation.scores import read_table

        read_table(args.append_to)


def make_scorer(args: argparse.Namespace) -> Scorer:
    """The scorer for the flags of `add_metric_arguments`. Raises InputError for bad names or files."""
    from pose_gan.evaluation.scoring import Scorer

    options = flags.pick(MetricOptions, args)
    return Scorer(args.metrics or default_metrics(options), options, args.real)


def score_share(
    args: argparse.Namespace, scorer: Scorer, images: JudgedImages, folder: Path, batches: int | None = None
) -> Scores | None:
    """The scores of all images, which `--merge` adds up; None: of a share, which `--shard` has saved in `folder`.

    Args: as of `score_shard`; `batches` None: those of the scoring.
    """
    from pose_gan.evaluation.scoring import BATCH
    from pose_gan.evaluation.sharded_scores import merge_scores, score_shard

    if args.merge:
        return merge_scores(scorer, images, folder, args.merge, batches or BATCH)
    if args.shard.count == 1:
        return scorer(images)
    path = score_shard(scorer, images, folder, args.shard, batches or BATCH)
    pairs = len(args.shard.rows(len(images), batches or BATCH))
    print(f"shard {args.shard}: {pairs:,} of {len(images):,} pairs scored -> {path}")
    print(f"after all shards: the same command with --merge {args.shard.count} in place of --shard {args.shard}")
    return None


def write_outputs(
    args: argparse.Namespace,
    scores: Scores,
    folder: Path,
    command: str,
    options: Mapping[str, Any],
    history: Path | None = None,
) -> None:
    """Saves the scores in `folder`, writes the outputs that `add_output_arguments` offers, and prints the scores."""
    from pose_gan.evaluation.report import write_grid, write_report
    from pose_gan.evaluation.scores import append_line

    options = {**options, "metrics": ",".join(scores.rows["generated"])}
    scores.save(folder, {"command": command, "options": options})
    if args.append_to:
        append_line(args.append_to, scores.line())
    if args.report:
        write_report(args.report, scores, options, command, history, seed=args.seed)
    if args.grid:
        write_grid(args.grid, scores, seed=args.seed)
    print(scores.table())
    written = [str(folder / "metrics.json"), args.append_to, args.report, args.grid]
    print("written:", ", ".join(path for path in written if path))
    if args.merge:
        from pose_gan.evaluation.sharded_scores import remove_shards

        remove_shards(folder, args.merge)
