"""`python -m data_prep train-estimator`: trains the small pose network of the demo on drawn people."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import math
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from data_prep.augment import augment
from data_prep.parsing import verb_parser
from data_prep.people import Camera, make_cameras, render_person, sample_identity, sample_shot
from data_prep.people.scene import background
from pose_gan.checkpoint import latest_checkpoint, restore_checkpoint, save_checkpoint
from pose_gan.errors import InputError
from pose_gan.estimators.heatmap import HEIGHT, THRESHOLD, HeatMapEstimator, build_network, location_loss
from pose_gan.files import atomic_path, make_folder, write_json
from pose_gan.images import read_image
from pose_gan.keypoints import MISSING, read_annotations
from pose_gan.metrics.pckh import pckh
from pose_gan.optimizer import FusedAdam
from pose_gan.skeleton import COCO18

SIZE = (HEIGHT, HEIGHT // 2)
SPLIT = 2  # of the seeds; the demo data set's people come from 0 and 1, so nobody here is one of them
IMAGES_PER_PERSON = 4
NOBODY, VALIDATION = 20, 20  # of 20 persons the first is nobody and the last is kept for validation
BATCH, PEAK_RATE, WARM_UP, WEIGHT_DECAY, EMA = 32, 2e-3, 200, 0.004, 0.998
HARD = 0.25  # share of the images that get an object in front


def draw_person(index: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All training images of one person: uint8 `(n, 128, 64, 3)` and keypoints, int32 `(n, 18, 2)`.

    Unlike in the demo data set each image has a place of its own, more of them have an object in front, and no
    joint behind the person's own body is missing by chance. Every 20th person is nobody.
    """
    identity = sample_identity(np.random.default_rng([seed, SPLIT, index]))
    drawn = []
    for number in range(1, IMAGES_PER_PERSON + 1):
        rng = np.random.default_rng([seed, SPLIT, index, number])
        cameras = make_cameras(int(rng.integers(2**31)))
        shot = dataclasses.replace(sample_shot(rng, cameras[rng.integers(len(cameras))]), miss=0.0)
        if rng.random() < HARD:
            occluder = str(rng.choice(["pole", "box", "bicycle", "edge", "person"]))
            shot = dataclasses.replace(shot, occluder=occluder, company=bool(rng.random() < 0.5))
        if index % NOBODY == 0:
            image, keypoints = _draw_nobody(shot.camera, rng), np.full((COCO18.num_joints, 2), MISSING, np.int32)
        else:
            image, keypoints = render_person(identity, shot, SIZE)
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=int(rng.integers(50, 96)))
        drawn.append((np.asarray(Image.open(buffer)), keypoints))
    images, keypoints = zip(*drawn, strict=True)
    return np.stack(images), np.stack(keypoints)


def _draw_nobody(camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """A place without a person, or noise of any grain: uint8 `(128, 64, 3)`."""
    if rng.random() < 0.5:
        image = background(camera, SIZE, rng)
    else:
        grain = (*np.maximum(1, np.array(SIZE) // rng.integers(1, 17)), 3)
        image = rng.normal(rng.uniform(30, 225), rng.uniform(0, 80), grain)
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    return np.asarray(picture.resize((SIZE[1], SIZE[0]), Image.Resampling.BILINEAR))


def train(
    network: keras.Model, images: np.ndarray, keypoints: np.ndarray, epochs: int, seed: int, checkpoints: Path
) -> None:
    """Trains in place, on shuffled and augmented images; goes on from the last checkpoint, where there is one.

    Args:
        network: see `build_network`.
        images: uint8 `(N, H, W, 3)`.
        keypoints: int32 `(N, joints, 2)`, (y, x) in pixels, −1 where missing.
        epochs: in all, with those before the checkpoint.
        seed: of order and augmentation.
        checkpoints: folder; one checkpoint an epoch is written, the last one is kept.
    """
    steps = math.ceil(len(images) / BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        PEAK_RATE / 100, epochs * steps, warmup_target=PEAK_RATE, warmup_steps=min(WARM_UP, steps)
    )
    optimizer = FusedAdam(rate, weight_decay=WEIGHT_DECAY, clipnorm=5.0, use_ema=True, ema_momentum=EMA)
    optimizer.build(network.trainable_variables)
    variables = {"network": network.variables, "optimizer": optimizer.variables}
    last = latest_checkpoint(checkpoints)
    first = restore_checkpoint(last, variables)["position"] if last else 0

    shapes = (None, *SIZE, 3), (None, *keypoints.shape[1:]), (2,)
    types = tf.uint8, tf.int32, tf.int32

    @tf.function(input_signature=list(map(tf.TensorSpec, shapes, types)))
    def step(images: tf.Tensor, keypoints: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seen, places, present = augment(images, keypoints, seed)
        with tf.GradientTape() as tape:
            loss = location_loss(network(seen, training=True), places, present)
        weights = network.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    with tqdm(total=epochs * steps, initial=first * steps, desc="training", unit="step") as progress:
        for epoch in range(first, epochs):
            order = np.random.default_rng([seed, epoch]).permutation(len(images))
            losses = []
            for number, rows in enumerate(np.array_split(order, steps)):
                losses.append(step(images[rows], keypoints[rows], tf.constant([seed, epoch * steps + number])))
                progress.update()
            progress.set_postfix(loss=f"{np.mean(losses):.3f}")
            save_checkpoint(checkpoints, epoch + 1, {}, variables, {"position": epoch + 1}, keep=1)
    optimizer.finalize_variable_values(network.trainable_variables)  # the moving averages


EPILOG = """examples:
  python -m data_prep train-estimator --output estimator.weights.h5
  python -m data_prep train-estimator --output tiny.weights.h5 --images 400 --epochs 2

The images are drawn: no data set is needed. A run that was stopped goes on from its last epoch when the
same command is given again; until it is done, its work lies in a folder FILE.training. The network knows
drawn people only. If the demo data set is there (python -m data_prep demo), it is tested on it.
In Python: HeatMapEstimator(load_network(FILE)), both of pose_gan.estimators.heatmap."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("train-estimator", "Trains the small pose network of the demo on drawn people.", EPILOG)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.weights.h5", help="the trained network")
    for flag, metavar, default, text in (
        ("--images", "IMAGES", 10_000, "drawn images, for training and validation"),
        ("--epochs", "EPOCHS", 18, "passes over them"),
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
    """Draws, trains, writes the network, tests. Every flag is checked before the first file is written.

    Raises: InputError: a bad flag, or the unfinished work of other flags.
    """
    started = time.perf_counter()
    flags = build_parser().parse_args(argv)
    _check(flags)
    work = make_folder(flags.output.with_name(flags.output.name + ".training"))
    _claim(work, {name: getattr(flags, name) for name in ("images", "epochs", "width", "seed")})
    images, keypoints = draw_data(work / "images.npz", flags.images, flags.seed, flags.workers)
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
        print(f"not tested: no {csv} or no {folder}; python -m data_prep demo makes them")
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
    """Notes the options of the work in a folder. Raises InputError if it is the work of others, or somebody's own."""
    path = work / "options.json"
    if not any(work.iterdir()):
        write_json(path, options)
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise InputError(f"{work}: not the work of a training run; move it, or give another --output") from None
    if noted != options:
        raise InputError(f"{work}: unfinished work of other flags, {noted}; give the same flags, or delete the folder")


def draw_data(cache: Path, count: int, seed: int, workers: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` images and their keypoints, whole persons of `draw_person`; kept in the file `cache`."""
    if not cache.exists():
        people = range(math.ceil(count / IMAGES_PER_PERSON))
        # Spawned: a forked copy of a process with TensorFlow may hang
        with get_context("spawn").Pool(workers) if workers > 1 else nullcontext() as pool:
            drawn = (pool.imap if pool else map)(partial(draw_person, seed=seed), people)
            images, keypoints = zip(*tqdm(drawn, "drawing", len(people), unit="person"), strict=True)
        with atomic_path(cache) as temporary:
            np.savez(temporary, images=np.concatenate(images), keypoints=np.concatenate(keypoints))
    with np.load(cache) as arrays:
        return arrays["images"], arrays["keypoints"]


def threshold_table(network: keras.Model, images: np.ndarray, keypoints: np.ndarray) -> str:
    """What different thresholds make of the validation images; `heatmap.THRESHOLD` was chosen by it."""
    lines = [f"on {len(images)} validation images:", "threshold    PCKh  missing: precision, recall  told wrongly"]
    answer = HeatMapEstimator(network, threshold=0.0)(images)
    for threshold in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        result = pckh(np.where(answer.scores[..., None] >= threshold, answer.keypoints, MISSING), keypoints)
        precision = (~result.present & ~result.found).sum() / max(1, (~result.found).sum())
        chosen = " *" if threshold == THRESHOLD else ""
        wrong = (result.present != result.found).mean()
        recall = 1 - result.false_positive_share
        lines.append(f"{threshold:9.1f}  {result.mean:6.1%}  {precision:18.1%}  {recall:7.1%}  {wrong:12.1%}{chosen}")
    return "\n".join(lines)


def joint_table(estimator: HeatMapEstimator, folder: Path, csv: Path) -> str:
    """PCKh on annotated images, a joint a line; below it the mean and the joints that are told wrongly."""
    annotations = read_annotations(csv)
    images = np.stack([read_image(folder / name) for name in annotations.names])
    result = pckh(estimator(images).keypoints, annotations.keypoints)
    rows = zip(COCO18.joints, result.per_joint, result.counts, strict=True)
    joints = "\n".join(f"{joint:>5} {share:7.1%} of {count}" for joint, share, count in rows)
    return (
        f"on {len(images)} images of {csv}:\n{joints}\nPCKh@0.5 {result.mean:.1%}; "
        f"{result.false_positive_share:.1%} of the missing joints were found all the same, "
        f"{result.false_negative_share:.1%} of the others were not found"
    )
