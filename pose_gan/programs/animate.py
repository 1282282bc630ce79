"""`pose-gan animate`: the person of one photo makes the movements of the person in other frames."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pose_gan import runtime
from pose_gan.config import FITS, AnimationConfig
from pose_gan.data.video import OUTPUTS, check_output
from pose_gan.errors import InputError
from pose_gan.estimators import EstimatorConfig, check_estimator, load_estimator
from pose_gan.evaluation.drawn import is_drawn
from pose_gan.model_files.run_folder import model_file
from pose_gan.poses.imports.reading import KINDS
from pose_gan.poses.imports.taking import Choice
from pose_gan.programs.flags import add_config_arguments, boolean, field_descriptions, pick
from pose_gan.programs.verbs import verb_parser

EPILOG = f"""examples:
  pose-gan animate --generator demo --source demo --targets demo --output walk.gif --side_by_side 1
  pose-gan animate --generator runs/00000-market-full --source photo.jpg --targets walk/ \\
      --pose_estimator pose_landmarker_full.task --output walk.gif --side_by_side 1
  pose-gan animate --generator generator.h5 --source a.jpg --source_keypoints poses.csv \\
      --targets poses.csv --output frames
  pose-gan animate --generator generator.h5 --source a.jpg --source_keypoints a_keypoints.json \\
      --targets openpose/ --output dance.gif

Files of keypoints are annotation CSVs, or what other programs wrote: {KINDS}."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "animate", "Gives the person of one photo the movements of the person in other frames.", EPILOG
    )
    needed, optional = parser.add_argument_group("required"), parser.add_argument_group("optional")
    motion = (
        "the motion: a folder of frames, an animated GIF, a video, or poses only: an annotation CSV, or a file or "
        "folder of keypoints that another program wrote; demo: a walk"
    )
    for flag, metavar, text in (
        (
            "--generator",
            "RUN_OR_FILE",
            "folder of a training run (its newest checkpoint), a model file, or demo, which knows drawn people only",
        ),
        ("--source", "IMAGE", "image of the person, of any size; demo: a drawn person"),
        ("--targets", "PATH", motion),
        ("--output", "PATH", OUTPUTS),
    ):
        needed.add_argument(flag, required=True, metavar=metavar, help=text)
    optional.add_argument("--pose_estimator", metavar="FILE", help="finds the poses that no file gives (default: none)")
    about = field_descriptions(AnimationConfig)
    for field in dataclasses.fields(AnimationConfig):
        shown = int(field.default) if isinstance(field.default, bool) else field.default
        options: dict[str, Any] = {
            "fit": {"choices": FITS},
            "side_by_side": {"type": boolean, "metavar": "0|1"},
            "fps": {"type": float, "metavar": "X"},
            "batch_size": {"type": int, "metavar": "N"},
        }.get(field.name, {"metavar": "CSV" if field.name == "keypoints_output" else "FILE"})
        help_text = f"{about[field.name]} (default: {'none' if shown is None else shown})"
        optional.add_argument(f"--{field.name}", default=field.default, help=help_text, **options)
    add_config_arguments(parser, Choice, "person and joints, in files of keypoints that other programs wrote")
    add_config_arguments(parser, EstimatorConfig, "pose estimator")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    settings, choice = pick(AnimationConfig, args), pick(Choice, args)
    check_output(args.output)
    for flag in ("source", "targets", "source_keypoints", "annotations"):
        path = getattr(args, flag)
        if path and not Path(path).exists() and not (is_drawn(path) and flag in ("source", "targets")):
            raise InputError(f"--{flag} {path}: no such file or folder")
    model_file(args.generator)
    if args.pose_estimator:
        check_estimator(args.pose_estimator)
    runtime.start()
    from pose_gan.evaluation.animation import animate
    from pose_gan.model_files.saving import load_generator

    generator = load_generator(args.generator)
    estimator = load_estimator(args.pose_estimator, pick(EstimatorConfig, args)) if args.pose_estimator else None
    motion = animate(generator, estimator, args.source, args.targets, args.output, settings, choice)
    print(
        f"{len(motion.names)} frames -> {args.output}; nobody was found in {motion.empty} of them (they hold the pose "
        f"before), {motion.filled} joints in the others were taken from other frames"
    )
    if settings.keypoints_output:
        print(f"poses used -> {settings.keypoints_output}")
    return 0
