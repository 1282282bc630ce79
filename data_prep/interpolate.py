"""`pose-gan data interpolate`: fills in joints that were not found in some frames of a sequence."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pose_gan.errors import InputError
from pose_gan.poses.keypoints import found, read_annotations, write_annotations
from pose_gan.poses.sequences import METHODS, fill_missing, frame_order
from pose_gan.poses.skeleton import COCO18, load_skeleton
from pose_gan.programs.verbs import verb_parser

EPILOG = """examples:
  pose-gan data interpolate --annotations walk.csv --output walk-filled.csv
  pose-gan data interpolate --annotations walk.csv --output walk-filled.csv --method linear --max_gap 5

The rows of the file are the frames of one person's movement. They are ordered by their names (frame2
comes before frame10). A joint that was found in no frame stays missing."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "data interpolate", "Fills joints that were not found in some frames of a sequence from other frames.", EPILOG
    )
    parser.add_argument("--annotations", type=Path, required=True, metavar="FILE.csv", help="keypoints of the frames")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE.csv", help="file to write, with joints filled in"
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default=METHODS[0],
        help="previous: take the joint's place in the frame before, as in the release; linear: interpolate between the "
        "frames before and after (default: %(default)s)",
    )
    parser.add_argument(
        "--max_gap",
        type=int,
        metavar="FRAMES",
        help="do not fill joints that are missing in more successive frames than this (default: fill all)",
    )
    parser.add_argument(
        "--skeleton", metavar="FILE", help="skeleton file, .json or .toml (default: the 18 COCO joints)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output (default: refuse)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Fills the joints. Raises InputError if a file cannot be read, the output exists, or the gap is bad."""
    options = build_parser().parse_args(argv)
    skeleton = load_skeleton(options.skeleton) if options.skeleton else COCO18
    annotations = read_annotations(options.annotations, skeleton)
    if options.output.exists() and not options.overwrite:
        raise InputError(f"{options.output}: already there; choose another --output or pass --overwrite to replace it")
    order = frame_order(annotations.names)
    filled = np.empty_like(annotations.keypoints)
    filled[order] = fill_missing(annotations.keypoints[order], options.method, options.max_gap)
    write_annotations(options.output, annotations.names, filled)

    missing, left = (int((~found(keypoints)).sum()) for keypoints in (annotations.keypoints, filled))
    print(
        f"{len(annotations)} frames, {missing} of {len(annotations) * skeleton.num_joints} joints missing, "
        f"{missing - left} filled -> {options.output}"
    )
    never = [
        joint for joint, track in zip(skeleton.joints, filled.swapaxes(0, 1), strict=True) if not found(track).any()
    ]
    if never and len(annotations):
        print(f"never found, so still missing: {', '.join(never)}")
    return 0
