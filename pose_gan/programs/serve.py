"""`pose-gan serve`: a page in the browser on which a person takes the pose that is drawn, at once."""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pose_gan import runtime
from pose_gan.config import DataConfig
from pose_gan.data.places import places_of
from pose_gan.errors import InputError
from pose_gan.estimators import EstimatorConfig, check_estimator, load_estimator
from pose_gan.files.folders import make_folder
from pose_gan.model_files.run_folder import DEMO, model_file
from pose_gan.programs.flags import add_config_arguments, pick
from pose_gan.programs.verbs import verb_parser
from pose_gan.versions import install

SPLITS = ("train", "test")
EPILOG = """examples:
  pose-gan serve --open
  pose-gan serve --generator demo/run --dataset demo --pose_estimator demo --open
  pose-gan serve --generator runs/00000-market-full --dataset market
  pose-gan serve --generator generator.h5 --pose_estimator pose_landmarker_full.task --keypoints_output mine.csv
  pose-gan serve --generator generator.h5 --images_dir photos --annotations photos.csv --keypoints_output photos.csv

Without flags, the generator that comes with the package moves drawn people, the only ones whom it knows.
Only this machine can open the page. Uploaded photos stay in memory, and are forgotten when the program ends."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "serve", "Shows a page on which you drag the joints of a pose, and the person of a photo follows.", EPILOG
    )
    optional = parser.add_argument_group("optional")
    optional.add_argument(
        "--generator",
        default=DEMO,
        metavar="RUN_OR_FILE",
        help="folder of a training run (its newest checkpoint), a model file, or demo, which knows drawn people only "
        f"(default: {DEMO})",
    )
    optional.add_argument(
        "--pose_estimator",
        metavar="FILE",
        help="finds the poses of photos (default: demo for the generator demo, else none: you place the joints)",
    )
    optional.add_argument("--dataset", metavar="NAME", help="data set whose images can be chosen (default: none)")
    optional.add_argument("--split", choices=SPLITS, default="test", help="split of the data set (default: test)")
    optional.add_argument(
        "--images_dir",
        type=Path,
        metavar="DIR",
        help="folder of images to choose from, or one that holds train/ and test/ (default: that of the data set; "
        "drawn people for the generator demo)",
    )
    optional.add_argument(
        "--annotations",
        type=Path,
        metavar="CSV",
        help="keypoints of these images; the poses of other images are estimated (default: those of the data set)",
    )
    optional.add_argument(
        "--keypoints_output", type=Path, metavar="CSV", help="annotation CSV that gets the rows saved on the page"
    )
    optional.add_argument("--port", type=int, default=8000, metavar="N", help="0: any free one (default: 8000)")
    optional.add_argument("--open", action="store_true", help="open the page in the browser")
    add_config_arguments(parser, EstimatorConfig, "pose estimator")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Serves the page until Ctrl-C. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    folder, annotations = places(args)
    path = model_file(args.generator)
    finder = args.pose_estimator or (DEMO if args.generator == DEMO else None)
    if finder:
        check_estimator(finder)
    rows = args.keypoints_output
    if rows is not None and rows.is_dir():
        raise InputError(f"--keypoints_output {rows}: is a folder; give the name of a CSV in it")
    if not 0 <= args.port <= 65535:
        raise InputError(f"--port must be 0 to 65535, got {args.port}")
    if not importlib.util.find_spec("tornado"):
        raise InputError(f"serve needs the package tornado: {install('web')}")
    from pose_gan.web.server import bind, serve

    if rows is not None:
        make_folder(rows.parent)
    sockets = bind(args.port)
    print(f"opening {path}", flush=True)
    runtime.start()
    from pose_gan.evaluation.drawn import draw_people
    from pose_gan.model_files.saving import load_generator, read_info, settings_of
    from pose_gan.networks import compiled
    from pose_gan.web.images import Images
    from pose_gan.web.serving import LARGEST, page
    from pose_gan.web.studio import Studio

    generator = load_generator(path)
    settings = settings_of(generator)
    estimator = load_estimator(finder, pick(EstimatorConfig, args)) if finder else None
    training = read_info(path).training
    about = f"{training.run}, step {training.step:,}, trained on {training.dataset}" if training else path.name
    with tempfile.TemporaryDirectory() as drawings:
        if folder is None and args.generator == DEMO:
            folder, annotations = Path(drawings), draw_people(Path(drawings), settings.image_size)
        images = Images.of(folder, annotations, settings.skeleton) if folder else None
        studio = Studio(compiled(generator), settings, estimator, images, rows, about)
        studio.warm_up()
        serve(page(studio), sockets, LARGEST, args.open)
    return 0


def places(args: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """The folder of images and their annotations, as far as there are any.

    Raises: InputError: one that was named does not exist.
    """
    folder, annotations = args.images_dir, args.annotations
    if args.dataset:
        of_dataset = places_of(DataConfig(args.dataset, None if folder is None else str(folder)), args.split)
        folder = of_dataset.images if folder is None or of_dataset.images.is_dir() else folder
        if annotations is None and of_dataset.annotations.exists():
            annotations = of_dataset.annotations
    elif folder is not None and (folder / args.split).is_dir():
        folder = folder / args.split
    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder}: no such folder of images; give --images_dir, or leave --dataset out")
    if annotations is not None and not annotations.exists():
        raise InputError(f"--annotations {annotations}: no such file")
    if annotations is not None and folder is None:
        raise InputError("--annotations are of the images in --images_dir or --dataset; give one of these")
    return folder, annotations
