"""`pose-gan data train-estimator`: trains the small pose network of the demo on drawn people."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.estimator_data import IMAGES_PER_PERSON, draw_data
from pose_gan import runtime
from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.files.folders import make_folder
from pose_gan.files.text import write_json
from pose_gan.programs.verbs import verb_parser

VALIDATION = 20  # of every 20 persons, the last is kept for validation


EPILOG = """examples:
  pose-gan data train-estimator --output estimator.weights.h5
  pose-gan data train-estimator --output tiny.weights.h5 --images 400 --epochs 2

The images are drawn, so no data set is needed. If a run was stopped, the same command continues it from
its last epoch. Until the run is done, its work lies in a folder FILE.training. The network knows only
drawn people. If the demo data set exists (pose-gan data demo), the network is tested on it.
In Python, use HeatMapEstimator(load_network(FILE)), both from pose_gan.estimators.heatmap."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("data train-estimator", "Trains the small pose network of the demo on drawn people.", EPILOG)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.weights.h5", help="the trained network")
    for flag, metavar, default, text in (
        ("--images", "IMAGES", 10_000, "drawn images, for training and validation"),
        ("--epochs", "EPOCHS", 18, "passes over the training images"),
        ("--width", "CHANNELS", 16, "channels of the network's first level"),
        ("--seed", "N", 0, "another seed gives other people and other first weights"),
        ("--workers", "PROCESSES", cpus, "processes that draw; default here: the number of CPUs"),
    ):
        parser.add_argument(flag, type=int, metavar=metavar, default=default, help=f"{text} (default: %(default)s)")
    for flag, default, text in (
        ("--images_dir", "data/demo-dataset", "demo data set to test on; its folder test/ is read"),
        ("--annotations_dir", "data/demo-dataset/exact", "folder of its exact demo-annotation-test.csv"),
    ):
        parser.add_argument(
            flag, type=Path, metavar="DIR", default=Path(default), help=f"{text} (default: %(default)s)"
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Draws images, trains the network, writes it and tests it.

    Every flag is checked before the first file is written.

    Raises: InputError: a flag is bad, or the folder holds unfinished work with other flags.
    """
    started = time.perf_counter()
    flags = build_parser().parse_args(argv)
    _check(flags)
    work = make_folder(flags.output.with_name(flags.output.name + ".training"))
    _claim(work, {name: getattr(flags, name) for name in ("images", "epochs", "width", "seed")})
    images, keypoints = draw_data(work / "images.npz", flags.images, flags.seed, flags.workers)
    runtime.start()
    import keras

    from data_prep.estimator_training import joint_table, threshold_table, train
    from pose_gan.estimators.heatmap import HeatMapEstimator, build_network

    checked = np.arange(len(images)) // IMAGES_PER_PERSON % VALIDATION == VALIDATION - 1
    keras.utils.set_random_seed(flags.seed)
    network = build_network(width=flags.width)
    print(f"{network.count_params():,} parameters; {np.sum(~checked)} images for training", flush=True)
    train(network, images[~checked], keypoints[~checked], flags.epochs, flags.seed, work / "checkpoints")
    with atomic_path(flags.output) as temporary:
        network.save_weights(temporary)
    shutil.rmtree(work)
    print(f"{flags.output}: {flags.output.stat().st_size / 1e6:.2f} MB, {(time.perf_counter() - started) / 60:.1f} min")
    print(threshold_table(network, images[checked], keypoints[checked]))
    folder, csv = flags.images_dir / "test", flags.annotations_dir / "demo-annotation-test.csv"
    if csv.exists() and folder.is_dir():
        print(joint_table(HeatMapEstimator(network), folder, csv))
    else:
        print(f"not tested: no {csv} or no {folder}; pose-gan data demo makes them")
    return 0


def _check(flags: argparse.Namespace) -> None:
    if not flags.output.name.endswith(".weights.h5"):
        raise InputError(f"--output: got '{flags.output}'; give a name that ends in .weights.h5")
    for flag, low, high in (
        ("images", IMAGES_PER_PERSON * VALIDATION, 1_000_000),  # one person for validation
        ("epochs", 1, 100_000),
        ("width", 1, 1024),
        ("seed", 0, 2**31 - 1),
        ("workers", 1, 1024),
    ):
        if not low <= getattr(flags, flag) <= high:
            raise InputError(f"--{flag}: got {getattr(flags, flag)}; give a whole number from {low} to {high}")


def _claim(work: Path, options: dict[str, int]) -> None:
    """Records the options in the folder of the work.

    Raises InputError if the folder holds work with other options, or files that are not from this program.
    """
    path = work / "options.json"
    if not any(work.iterdir()):
        write_json(path, options)
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise InputError(f"{work}: not the work of a training run; move it, or give another --output") from None
    if noted != options:
        raise InputError(f"{work}: unfinished work of other flags, {noted}; give the same flags, or delete the folder")
