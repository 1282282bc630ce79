"""`pose-gan generate`: the person of a photo in another pose, as one picture."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from pose_gan import runtime
from pose_gan.config import FITS
from pose_gan.errors import InputError
from pose_gan.estimators import EstimatorConfig, check_estimator, load_estimator
from pose_gan.evaluation.drawn import is_drawn
from pose_gan.evaluation.transfer import Scene, open_scene, unposed
from pose_gan.files.folders import make_folder
from pose_gan.model_files.opening import Opened, needs_tensorflow, open_generator
from pose_gan.model_files.run_folder import DEMO, model_file
from pose_gan.poses.imports.reading import KINDS
from pose_gan.poses.imports.taking import Choice
from pose_gan.programs.flags import add_config_arguments, boolean, pick
from pose_gan.programs.verbs import verb_parser

FORMATS = (".png", ".jpg", ".jpeg")
OUTPUT = "generated.png"
EPILOG = f"""examples:
  pose-gan generate --generator demo --source demo --pose demo
  pose-gan generate --source anna.jpg --pose dancer.jpg --output anna-dances.png \\
      --generator runs/00000-market-full --pose_estimator pose_landmarker_full.task
  pose-gan generate --source demo:3 --pose demo:5 demo:7 demo:9 --output sheet.png
  pose-gan generate --source anna.jpg --pose pose.csv --source_keypoints anna.csv --generator generator.tflite

The generator demo, which comes with the package, knows drawn people only, and demo as a source or a pose is a
drawn person (demo:1 to demo:20). For photos of people, train a generator, or convert one of the authors'.

Files of keypoints are annotation CSVs (also a pose that the page of pose-gan serve saved), or what other
programs wrote: {KINDS}."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("generate", "Draws the person of a photo in another pose.", EPILOG)
    add_inputs(parser, OUTPUT, several=True)
    return parser


def add_inputs(parser: argparse.ArgumentParser, output: str, several: bool) -> None:
    """Adds the flags for a person, target poses and a generator, which `explain` has too."""
    needed, optional = parser.add_argument_group("required"), parser.add_argument_group("optional")
    needed.add_argument("--source", required=True, metavar="IMAGE", help="photo of the person, of any size, or demo")
    pose = "image of a person in the wanted pose, file of keypoints, or demo"
    more = {"nargs": "+", "help": f"{pose}; several give a sheet"} if several else {"nargs": 1, "help": pose}
    needed.add_argument("--pose", required=True, metavar="IMAGE_OR_FILE", **more)
    for flag, metavar, default, text in (
        ("--output", "FILE", output, "picture to write, a .png or .jpg; it is replaced if it is there"),
        (
            "--generator",
            "RUN_OR_FILE",
            DEMO,
            "folder of a training run (its newest checkpoint), a model file, also a .tflite or .onnx, or demo, which "
            "knows drawn people only",
        ),
    ):
        optional.add_argument(flag, metavar=metavar, default=default, help=f"{text} (default: {default})")
    optional.add_argument(
        "--pose_estimator",
        metavar="FILE",
        help="finds the poses that no file gives (default: demo for the generator demo, else none)",
    )
    optional.add_argument(
        "--source_keypoints", metavar="FILE", help="keypoints of the photo (default: its pose is estimated)"
    )
    optional.add_argument(
        "--rows", nargs="+", default=[], metavar="NAME", help="rows of files of keypoints to take (default: all)"
    )
    optional.add_argument(
        "--fit",
        choices=FITS,
        default=FITS[0],
        help="part of an image that the generator sees: a rectangle around the person, the whole image with its aspect "
        f"ratio kept, or stretched (default: {FITS[0]})",
    )
    if several:
        optional.add_argument(
            "--side_by_side",
            type=boolean,
            metavar="0|1",
            help="show source and pose beside the generated image, as the generator sees them, as is always done for "
            "several poses; 0 puts the person back into the photo (default: 1 for a drawn source, else 0)",
        )
    add_config_arguments(parser, Choice, "person and joints, in files of keypoints that other programs wrote")
    add_config_arguments(parser, EstimatorConfig, "pose estimator")


def opened(args: argparse.Namespace, tensorflow: bool = False) -> tuple[Opened, Scene]:
    """The generator and the scene of the flags. Every flag is checked before TensorFlow is imported.

    Args:
        args: the flags of `add_inputs`.
        tensorflow: whether TensorFlow is needed for something else.

    Raises: InputError: a file is absent or cannot be used, or a pose is told by nothing.
    """
    missing, estimator = _check(args)
    if tensorflow or needs_tensorflow(args.generator) or (missing and not str(estimator).endswith(".task")):
        runtime.start()
    generator = open_generator(args.generator)
    finder = load_estimator(estimator, pick(EstimatorConfig, args)) if missing and estimator else None
    choice = pick(Choice, args)
    keypoints = args.source_keypoints
    scene = open_scene(args.source, args.pose, generator.settings, finder, keypoints, args.rows, args.fit, choice)
    return generator, scene


def _check(args: argparse.Namespace) -> tuple[str | None, str | None]:
    """The input whose pose must be estimated, if any, and the estimator for it. Raises InputError: see `opened`."""
    if Path(args.output).suffix.lower() not in FORMATS:
        raise InputError(f"--output {args.output}: give a name that ends in .png or .jpg")
    if Path(args.output).is_dir():
        raise InputError(f"--output {args.output}: is a folder; give the name of a picture in it")
    for flag, value in (("source", args.source), *(("pose", pose) for pose in args.pose)):
        if not is_drawn(value) and not Path(value).exists():
            raise InputError(f"--{flag} {value}: no such file")
        if Path(value).exists() and Path(args.output).exists() and Path(value).samefile(args.output):
            raise InputError(f"--output {args.output}: would replace --{flag}; give another name")
    if args.source_keypoints and not Path(args.source_keypoints).exists():
        raise InputError(f"--source_keypoints {args.source_keypoints}: no such file")
    model_file(args.generator)
    missing = unposed(args.source, args.pose, args.source_keypoints)
    estimator = args.pose_estimator or (DEMO if args.generator == DEMO else None)
    if missing and not estimator:
        raise InputError(f"{missing}: nothing tells its pose; give --pose_estimator, or a file of keypoints")
    if missing and estimator:
        check_estimator(estimator)
    make_folder(Path(args.output).parent)
    return missing, estimator


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    started = time.perf_counter()
    args = build_parser().parse_args(argv)
    from pose_gan.poses.drawing import write_image

    generator, scene = opened(args)
    images = scene.generate(generator.run)
    sheet = is_drawn(args.source) if args.side_by_side is None else args.side_by_side
    write_image(args.output, scene.sheet(images) if sheet or len(images) > 1 else scene.put_back(images[0]))
    poses = f"{len(images)} poses" if len(images) > 1 else "the pose"
    print(
        f"{args.output}: the person of {args.source} in {poses} of {', '.join(args.pose)}; "
        f"{time.perf_counter() - started:.1f} s"
    )
    return 0
