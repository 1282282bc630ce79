"""Scores generated images that are there already, made by any program: `python -m pose_gan.evaluate`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_gan import options as flags
from pose_gan import runtime
from pose_gan.config import DataConfig
from pose_gan.errors import InputError, run_program
from pose_gan.files import dataset_path, make_folder
from pose_gan.keypoints import Annotations, read_annotations
from pose_gan.metrics import BY_DEFAULT, METRICS, MetricOptions, default_metrics
from pose_gan.metrics.scores import Scores, append_line, read_table
from pose_gan.report import write_grid, write_report
from pose_gan.scoring import Scorer
from pose_gan.skeleton import COCO18, Skeleton
from pose_gan.strips import JudgedImages, find_folders, find_strips

EXAMPLE = """
python -m pose_gan.evaluate output/generated_images --dataset market --report output/report.html
python -m pose_gan.evaluate --source photos --target truth --generated results --metrics ssim,lpips --output_dir scores
"""


def main(argv: Sequence[str] | None = None) -> int | None:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = parse(argv)
    check_outputs(args)
    runtime.configure()
    images = _find(args)
    output = make_folder(args.output_dir or images.folder)
    scores = make_scorer(args)(images)
    command = shlex.join(["python", "-m", "pose_gan.evaluate", *(sys.argv[1:] if argv is None else argv)])
    write_outputs(args, scores, output, command, {**vars(args), "skeleton": args.skeleton.name})


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = flags.program_parser(
        "Scores generated images against the real ones: strips source|target|generated, or three folders.", EXAMPLE
    )
    images = parser.add_argument_group("images")
    images.add_argument(
        "folder",
        nargs="?",
        metavar="FOLDER",
        help="strips of one size, named <from>_<to>.png as test.py and the release do; names and strips of PATN "
        "(five pictures) are understood too",
    )
    for kind in ("source", "target", "generated"):
        images.add_argument(f"--{kind}", metavar="DIR", help=f"instead of FOLDER: folder of the {kind} images")
    images.add_argument("--pairs", metavar="FILE.csv", help="score these pairs (default: all that are there)")
    poses = parser.add_argument_group("keypoints of the target images (mask and pose metrics need them)")
    poses.add_argument(
        "--annotations",
        action="append",
        default=[],
        metavar="FILE.csv",
        help="annotation file; may be given several times",
    )
    poses.add_argument("--dataset", metavar="NAME", help="take the data set's annotation files, of test and train")
    default = DataConfig().annotations_dir
    poses.add_argument(
        "--annotations_dir", default=default, metavar="DIR", help="where those are (default: %(default)s)"
    )
    poses.add_argument(
        "--skeleton", type=flags.skeleton, default=COCO18, metavar="FILE", help="joints (default: coco18)"
    )
    add_metric_arguments(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output_dir",
        metavar="DIR",
        help="folder of metrics.json, metrics.csv and metrics_per_pair.csv (default: that of the generated images)",
    )
    add_output_arguments(output)
    output.add_argument("--seed", type=seed, default=0, metavar="N", help="of example pairs (default: 0)")
    return parser.parse_args(argv)


# ------------------------------------------------------------- what all programs that score have


def add_metric_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--metrics --real` and a flag for each file that some metrics need."""
    group = parser.add_argument_group("metrics")
    group.add_argument(
        "--metrics",
        type=_metric_names,
        metavar="NAMES",
        help=f"separated by commas, or all, out of {', '.join(METRICS)} (default: {', '.join(BY_DEFAULT)}, and those "
        "whose files are given)",
    )
    group.add_argument(
        "--real",
        type=flags.boolean,
        default=False,
        metavar="0|1",
        help="score the real target images too, as the last row of the paper's Table 1 (default: 0)",
    )
    flags.add_config_arguments(parser, MetricOptions, "files that some metrics need")


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
    """Raises InputError: a file that `write_outputs` could not write, known before anything slow is done."""
    for flag, path, suffixes in (("report", args.report, (".html",)), ("grid", args.grid, (".png", ".jpg"))):
        if path and Path(path).suffix not in suffixes:
            raise InputError(f"--{flag} {path}: the name must end in {' or '.join(suffixes)}")
    if args.append_to:
        read_table(args.append_to)


def make_scorer(args: argparse.Namespace) -> Scorer:
    """What the flags of `add_metric_arguments` ask for. Raises InputError: bad names or files."""
    options = flags.pick(MetricOptions, args)
    return Scorer(args.metrics or default_metrics(options), options, args.real)


def write_outputs(
    args: argparse.Namespace,
    scores: Scores,
    folder: Path,
    command: str,
    options: Mapping[str, Any],
    history: Path | None = None,
) -> None:
    """Saves scores in `folder`, writes what the flags of `add_output_arguments` ask for, and prints the scores."""
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


# ------------------------------------------------------------------------------------- its own


def _metric_names(text: str) -> tuple[str, ...]:
    return tuple(METRICS) if text == "all" else tuple(text.split(","))


def _find(args: argparse.Namespace) -> JudgedImages:
    folders = (args.source, args.target, args.generated)
    if bool(args.folder) == any(folders) or (any(folders) and not all(folders)):
        raise InputError("give a FOLDER of strips, or all of --source DIR, --target DIR and --generated DIR")
    annotations = _annotations(args)
    if args.folder:
        return find_strips(args.folder, annotations, args.pairs, args.skeleton)
    return find_folders(*folders, annotations, args.pairs, args.skeleton)


def _annotations(args: argparse.Namespace) -> Annotations | None:
    paths = [Path(path) for path in args.annotations]
    if args.dataset:
        tails = [f"-annotation-{split}.csv" for split in ("test", "train")]
        named = [dataset_path(args.annotations_dir, args.dataset, tail) for tail in tails]
        there = [path for path in named if path.exists()]
        if not there:
            raise InputError(
                f"{named[0]}: no such annotation file; --annotations_dir says where to look, --annotations takes a path"
            )
        paths += there
    return _joined([read_annotations(path, args.skeleton) for path in paths], args.skeleton) if paths else None


def _joined(files: Sequence[Annotations], skeleton: Skeleton) -> Annotations:
    """One table of all; an image that stands in several files must have the same keypoints."""
    first: dict[str, tuple[Annotations, np.ndarray]] = {}
    for file in files:
        for name, row in file.rows.items():
            other, pose = first.setdefault(name, (file, file.keypoints[row]))
            if not np.array_equal(pose, file.keypoints[row]):
                raise InputError(f"{file.where(row)}: has other keypoints in {other.path}; give one of the two files")
    poses = np.array([pose for _, pose in first.values()]).reshape(-1, skeleton.num_joints, 2)
    return Annotations(tuple(first), poses, ", ".join(file.path for file in files))


if __name__ == "__main__":
    run_program(main)
