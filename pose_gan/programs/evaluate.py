"""`pose-gan evaluate`: scores existing generated images, which any program may have made."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pose_gan import runtime
from pose_gan.config import DataConfig
from pose_gan.data.pairs import person_by
from pose_gan.errors import InputError
from pose_gan.files.folders import dataset_path, make_folder
from pose_gan.poses.keypoints import Annotations, read_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton
from pose_gan.programs import flags
from pose_gan.programs.score_flags import (
    add_metric_arguments,
    add_output_arguments,
    check_outputs,
    make_scorer,
    score_share,
    seed,
    write_outputs,
)
from pose_gan.programs.verbs import command_line, verb_parser

if TYPE_CHECKING:
    from pose_gan.evaluation.strips import JudgedImages

EPILOG = """examples:
  pose-gan evaluate output/generated_images --dataset market --report output/report.html
  pose-gan evaluate --source photos --target truth --generated results --metrics ssim,lpips --output_dir scores
  pose-gan evaluate --target truth --generated results --output_dir scores"""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "evaluate",
        "Scores generated images against the real ones: strips source|target|generated, or separate folders.",
        EPILOG,
    )
    images = parser.add_argument_group("images")
    images.add_argument(
        "folder",
        nargs="?",
        metavar="FOLDER",
        help="folder of strips of one size, named <from>_<to>.png as by pose-gan test and the release; names and "
        "strips of PATN (five pictures) are understood too",
    )
    for kind in ("target", "generated"):
        images.add_argument(f"--{kind}", metavar="DIR", help=f"instead of FOLDER: folder of the {kind} images")
    images.add_argument(
        "--source",
        metavar="DIR",
        help="with these two: folder of the source images (default: none; only identity, and the scores of copied "
        "sources, need it)",
    )
    images.add_argument("--pairs", metavar="FILE.csv", help="score these pairs (default: all pairs found)")
    flags.add_person_argument(images)
    poses = parser.add_argument_group("keypoints of the target images (mask and pose metrics need them)")
    poses.add_argument(
        "--annotations",
        action="append",
        default=[],
        metavar="FILE.csv",
        help="annotation file; may be given several times",
    )
    poses.add_argument("--dataset", metavar="NAME", help="use the annotation files of this data set, test and train")
    default = DataConfig().annotations_dir
    poses.add_argument(
        "--annotations_dir", default=default, metavar="DIR", help="folder of these files (default: %(default)s)"
    )
    poses.add_argument(
        "--skeleton", type=flags.skeleton, default=COCO18, metavar="FILE", help="skeleton file (default: coco18)"
    )
    add_metric_arguments(parser)
    flags.add_shard_arguments(parser.add_argument_group("several programs"), "pairs", "write the scores of all pairs")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output_dir",
        metavar="DIR",
        help="folder of metrics.json, metrics.csv and metrics_per_pair.csv (default: the generated images' folder)",
    )
    add_output_arguments(output)
    output.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="seed of the choice of example pairs (default: 0)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    check_outputs(args)
    images = _find(args)
    output = make_folder(args.output_dir or images.folder)
    runtime.start()
    scores = score_share(args, make_scorer(args), images, output)
    if scores is None:
        return 0
    options = {name: value for name, value in vars(args).items() if name not in ("shard", "merge")}
    options["skeleton"] = args.skeleton.name
    write_outputs(args, scores, output, command_line("evaluate", argv), options)
    return 0


def _find(args: argparse.Namespace) -> JudgedImages:
    from pose_gan.evaluation.strips import find_folders, find_strips

    folders = (args.source, args.target, args.generated)
    if bool(args.folder) == any(folders) or (any(folders) and not all(folders[1:])):
        raise InputError(
            "give a FOLDER of strips, or both --target DIR and --generated DIR, with or without --source DIR"
        )
    annotations = _annotations(args)
    if args.folder:
        images = find_strips(args.folder, annotations, args.pairs, args.skeleton)
    else:
        images = find_folders(*folders, annotations, args.pairs, args.skeleton)
    tells_persons = args.dataset or args.person  # images of any program may have names that mean nothing
    return dataclasses.replace(images, person=person_by(args.person) if tells_persons else None)


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
    """One table from all files. An image that stands in several files must have the same keypoints in all."""
    first: dict[str, tuple[Annotations, np.ndarray]] = {}
    for file in files:
        for name, row in file.rows.items():
            other, pose = first.setdefault(name, (file, file.keypoints[row]))
            if not np.array_equal(pose, file.keypoints[row]):
                raise InputError(f"{file.where(row)}: has other keypoints in {other.path}; give one of the two files")
    poses = np.array([pose for _, pose in first.values()]).reshape(-1, skeleton.num_joints, 2)
    return Annotations(tuple(first), poses, ", ".join(file.path for file in files))
