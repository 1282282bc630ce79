"""`pose-gan reid augment`: adds generated images to a training set for re-identification."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pose_gan import runtime
from pose_gan.errors import InputError
from pose_gan.files.images import QUALITY
from pose_gan.model_files.run_folder import model_file
from pose_gan.programs.flags import add_shard_arguments, count
from pose_gan.programs.flags import skeleton as skeleton_file
from pose_gan.programs.score_flags import seed
from pose_gan.programs.verbs import command_line, verb_parser

if TYPE_CHECKING:
    from pose_gan.reid.augmentation_plan import Plan

REAL = ("link", "copy", "none")
EPILOG = """examples:
  pose-gan reid augment --images Market-1501/bounding_box_train --annotations annotations/market-annotation-train.csv \\
      --generator runs/00000-market-full --output_dir augmented
  pose-gan reid augment --images Market-1501 --annotations annotations/market-annotation-train.csv \\
      --generator generator.keras --output_dir augmented --shard 1/4

Each valid image gets --per_image target poses from the other images, of any person. The generated images
<stem of the source>g0.jpg, ...g1.jpg, ... stand beside the real ones, so OUT takes the place of the folder of the
images in every verb; augmentation.csv lists them with their sources, target poses and persons. The images do not
depend on --shard; after all shards, --merge 4 checks that nothing is missing. Given again, the command goes on where it
was stopped or killed."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "reid augment", "Generates further poses of each training image, beside the real ones.", EPILOG
    )
    needed = parser.add_argument_group("required")
    for flag, metavar, text in (
        ("--images", "DIR", "folder of the training images, or Market-1501's folder, which holds bounding_box_train"),
        ("--annotations", "CSV", "keypoints of the images, from pose-gan data annotate"),
        (
            "--generator",
            "RUN_OR_FILE",
            "folder of a training run (its newest checkpoint), a model file, or a SavedModel",
        ),
        ("--output_dir", "OUT", "folder for the real and the generated images"),
    ):
        needed.add_argument(flag, required=True, metavar=metavar, help=text)
    choice = parser.add_argument_group("sources and poses")
    choice.add_argument("--per_image", type=count, default=10, metavar="N", help="target poses per image (default: 10)")
    choice.add_argument("--seed", type=seed, default=0, metavar="N", help="seed of the choice of poses (default: 0)")
    choice.add_argument(
        "--pattern",
        metavar="REGEX",
        help="how a name tells the person: a regular expression with a group (?P<person>...) (default: Market-1501's)",
    )
    choice.add_argument(
        "--test_share",
        type=float,
        default=0.0,
        metavar="X",
        help="leave out the people whom the same flag of the other verbs of pose-gan reid keeps for the test (default: "
        "0: nobody)",
    )
    choice.add_argument("--split_seed", type=seed, default=0, metavar="N", help="seed of that split (default: 0)")
    choice.add_argument(
        "--skeleton",
        type=skeleton_file,
        metavar="FILE",
        help="skeleton file, for a generator that does not tell its own (default: the 18 COCO joints)",
    )
    work = parser.add_argument_group("work and files")
    work.add_argument("--batch_size", type=count, default=16, metavar="N", help="images per batch (default: 16)")
    add_shard_arguments(work, "images", "check that all images are there")
    work.add_argument(
        "--quality",
        type=_quality,
        default=QUALITY,
        metavar="Q",
        help=f"of the JPEG files, 1 to 100 (default: {QUALITY})",
    )
    work.add_argument(
        "--real",
        choices=REAL,
        default=REAL[0],
        help="how the real images get there: as hard links (copies where links cannot be made), as copies, or not "
        "(default: link)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    given = list(sys.argv[1:] if argv is None else argv)
    args = build_parser().parse_args(given)
    if not Path(args.images).is_dir():
        raise InputError(f"--images {args.images}: no such folder")
    if not Path(args.annotations).is_file():
        raise InputError(
            f"--annotations {args.annotations}: no such file; pose-gan data annotate finds the keypoints of images"
        )
    model_file(args.generator)
    runtime.start()
    from pose_gan.model_files.saving import load_generator
    from pose_gan.reid.augmentation import LIST, augment, merge, needs_of
    from pose_gan.reid.augmentation_plan import plan_augmentation

    generator = load_generator(args.generator)
    needs = needs_of(generator, args.skeleton)
    plan = plan_augmentation(
        args.images,
        args.annotations,
        needs.image_size,
        needs.skeleton,
        needs.use_bg,
        args.per_image,
        args.seed,
        args.pattern,
        args.test_share,
        args.split_seed,
    )
    print("\n".join(_about(plan)), flush=True)
    if args.merge:
        merge(generator, plan, args.output_dir, args.merge, args.batch_size, args.quality, args.real)
        print(f"all {args.merge} shards are there and whole: {args.output_dir}")
        return 0
    shard, started = args.shard, time.perf_counter()
    command = command_line("reid augment", given)
    made = augment(generator, plan, args.output_dir, shard, args.batch_size, args.quality, args.real, command)
    seconds = time.perf_counter() - started
    of_shard = f"shard {shard}: " if shard.count > 1 else ""
    rate = f" in {seconds:.1f} s ({made / seconds:.1f} images/s)" if made else ""
    print(f"{of_shard}{made:,} images generated{rate} -> {args.output_dir}")
    print(f"list -> {Path(args.output_dir) / LIST}")
    return 0


def _about(plan: Plan) -> list[str]:
    """Lines on the plan."""
    sources = len(dict.fromkeys(plan.data.pairs["from"]))
    lines = [
        f"{len(plan.real):,} images in {plan.data.images_dir}; {sources:,} sources of {len(set(plan.people)):,} "
        f"persons, {len(plan.files) // sources} target poses each: {len(plan.files):,} images"
    ]
    for rule, number in plan.left_out.items():
        lines.append(f"  left out     {number:,} {'image' if number == 1 else 'images'}: {rule}")
    return lines


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 100, got {text!r}")
    return int(text)
