"""`pose-gan data annotate`: finds the keypoints of images with a pose estimator, and writes them to a CSV."""

from __future__ import annotations

import argparse
import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep import SPLITS
from data_prep.journal import Entry, Journal
from data_prep.reading import read_batches
from pose_gan import runtime
from pose_gan.errors import InputError
from pose_gan.estimators import DEMO, Estimator, EstimatorConfig, check_estimator, load_estimator
from pose_gan.files.atomic import remove_parts
from pose_gan.files.folders import IMAGE_SUFFIXES, dataset_path, is_background, list_images, make_folder
from pose_gan.files.images import read_image
from pose_gan.files.lock import only_program
from pose_gan.poses.drawing import WHITE, draw_skeleton, grid, write_image
from pose_gan.poses.framing import Frame
from pose_gan.poses.keypoints import (
    Annotations,
    found,
    has_required_joints,
    name_problem,
    read_annotations,
    write_annotations,
)
from pose_gan.poses.skeleton import Skeleton, load_skeleton
from pose_gan.programs.flags import add_config_arguments, pick
from pose_gan.programs.verbs import verb_parser

FEW = 0.05  # if people are found in a smaller share of the images, something is wrong
SHEET_SIDE, SHEET_HEIGHT = 10, 256  # contact sheet: pictures per row and per column; height of a picture in pixels
PICTURE_SIDE = 1024  # pixels; pictures of larger images are made smaller
EPILOG = """examples:
  pose-gan data annotate --dataset demo --pose_estimator demo
  pose-gan data annotate --dataset mine --pose_estimator pose_landmarker_full.task --preview preview
  pose-gan data annotate --dataset market --pose_estimator pose_estimator.h5

The verb writes ANNOTATIONS_DIR/<dataset>-annotation-{train,test}.csv. Rows of images that the file
already has stay unchanged. A run that was stopped continues where it stopped, and gives the same file.
Images named <stem>_BG.jpg are backgrounds, and are left out. Every file that is left out is named, and so
is every image in which the estimator saw several people."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("data annotate", "Finds the keypoints of the person in each image.", EPILOG)
    parser.add_argument("--dataset", required=True, metavar="NAME", help="market, fashion, demo, or a name of your own")
    parser.add_argument(
        "--pose_estimator",
        required=True,
        metavar="FILE",
        help=f"{DEMO} (comes with the package, for demo people only); a MediaPipe .task file; a network that gives "
        "OpenPose's maps: .pb, .h5, .keras or the folder of a SavedModel",
    )
    parser.add_argument(
        "--split", choices=[*SPLITS, "both"], default="both", help="images to annotate (default: both, if present)"
    )
    parser.add_argument(
        "--images_dir", type=Path, metavar="DIR", help="holds train/, test/ (default: data/NAME-dataset)"
    )
    parser.add_argument(
        "--annotations_dir", type=Path, default=Path("annotations"), metavar="DIR", help="default: annotations"
    )
    parser.add_argument(
        "--batch_size", type=int, metavar="IMAGES", help="images of one size per step (default: the estimator's)"
    )
    parser.add_argument(
        "--preview",
        type=Path,
        metavar="DIR",
        help=f"write each image with its skeleton, at most {PICTURE_SIDE} pixels a side, and a contact sheet",
    )
    parser.add_argument(
        "--skeleton",
        metavar="FILE",
        help="skeleton file of the data set; its joints must be those that the estimator finds (default: they are)",
    )
    parser.add_argument("--overwrite", action="store_true", help="annotate all images anew (default: only new ones)")
    add_config_arguments(parser, EstimatorConfig, "pose estimator")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Annotates the splits. Every input is checked before the first image is processed.

    Raises: InputError: a flag is bad, there are no images, the estimator cannot be opened, or a stopped run
        had other settings.
    """
    args = build_parser().parse_args(argv)
    if args.batch_size is not None and args.batch_size < 1:
        raise InputError(f"--batch_size must be 1 or more, got {args.batch_size}")
    folders = _folders(args)
    check_estimator(args.pose_estimator)
    skeleton = load_skeleton(args.skeleton) if args.skeleton else None
    for place in filter(None, (args.annotations_dir, args.preview)):
        make_folder(place)
    config = pick(EstimatorConfig, args)
    print(f"opening the pose estimator {args.pose_estimator}", flush=True)
    runtime.start()
    estimator = load_estimator(args.pose_estimator, config)
    if skeleton:
        _check_joints(skeleton, estimator)
    settings = {"pose_estimator": estimator.name, "digest": _digest(args.pose_estimator), **asdict(config)}
    for split, folder in folders.items():
        path = dataset_path(args.annotations_dir, args.dataset, f"-annotation-{split}.csv")
        annotated = annotate(estimator, folder, path, settings, args.batch_size, args.overwrite)
        print(summary(annotated, estimator), flush=True)
        if args.preview:
            draw_preview(annotated, folder, args.preview / split, estimator)
            print(f"pictures -> {args.preview / split}, contact sheet -> {args.preview / split}.png")
    return 0


def annotate(
    estimator: Estimator,
    folder: Path,
    path: Path,
    settings: dict[str, Any],
    batch_size: int | None = None,
    overwrite: bool = False,
) -> Annotations:
    """Annotates the images of a folder, and writes a CSV when all of them are done.

    Until then the results stand in a journal beside the CSV (`<path>.journal`). The results of a batch are on
    disk before the next batch begins, and a later call continues from there. An interruption does not change
    the batches, so it does not change the CSV.

    Args:
        estimator: the estimator that finds the keypoints.
        folder: folder of the images.
        path: the CSV; its rows stay unchanged, and rows of new images follow them.
        settings: settings on which the results depend; a journal with other settings is refused.
        batch_size: images of one size per call; None: the estimator's choice.
        overwrite: whether the CSV and the journal are discarded first.
    Returns: all annotations that now stand in the CSV.
    Raises: InputError: the CSV cannot be read, the journal has other settings, or another program annotates these
        images.
    """
    make_folder(path.parent)
    with only_program(Path(f"{path}.lock"), path):
        remove_parts(path.parent, path.name)
        return _annotate(estimator, folder, path, settings, batch_size, overwrite)


def _annotate(
    estimator: Estimator,
    folder: Path,
    path: Path,
    settings: dict[str, Any],
    batch_size: int | None,
    overwrite: bool,
) -> Annotations:
    old = Annotations((), np.zeros((0, estimator.skeleton.num_joints, 2), np.int32), str(path))
    if path.exists() and not overwrite:
        old = read_annotations(path, estimator.skeleton)
    names = [name for name in list_images(folder) if not is_background(name) and name not in old.rows]
    size = batch_size or estimator.preferred_batch
    with Journal(Path(f"{path}.journal"), settings | {"batch_size": size}, overwrite) as journal:
        choice = _find_keypoints(estimator, folder, names, size, journal)
        outcomes = [journal.entries[name] for name in names]
        good = [entry for entry in outcomes if entry.error is None]
        fresh = np.array([entry.keypoints for entry in good], np.int32).reshape(-1, *old.keypoints.shape[1:])
        annotated = Annotations(
            (*old.names, *(entry.name for entry in good)), np.concatenate([old.keypoints, fresh]), str(path)
        )
        write_annotations(path, annotated.names, annotated.keypoints)
        journal.delete()
    if len(good) < len(outcomes):
        print(f"{len(outcomes) - len(good)} images could not be used and are not in {path}:")
        print("\n".join(f"  {entry.error}" for entry in outcomes if entry.error is not None))
    if others := other_files(folder):
        print(f"{folder}: {len(others)} other files, left out:")
        print("\n".join(f"  {folder / name}: {why}" for name, why in others.items()))
    if good:
        print(people_seen(good, choice))
    return annotated


def other_files(folder: Path) -> dict[str, str]:
    """The files of a folder that are not annotated, with the reason. Hidden files are not named."""
    images = set(list_images(folder))
    reasons = {}
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        if path.is_dir():
            reasons[path.name] = "a folder; move its images up"
        elif path.name not in images:
            reasons[path.name] = f"not an image; images end in {' '.join(IMAGE_SUFFIXES)}"
        elif is_background(path.name):
            reasons[path.name] = "a background"
    return reasons


def people_seen(entries: Sequence[Entry], choice: str) -> str:
    """How many people were seen in the images, and who was taken where there were several; each such image is named."""
    counts = {entry.name: entry.people for entry in entries if entry.people is not None}
    if not counts:
        return "people per image: not counted; this estimator looks for one person"
    shares = ", ".join(f"{people} in {number} images" for people, number in sorted(Counter(counts.values()).items()))
    several = {name: people for name, people in counts.items() if people > 1}
    if not several:
        return f"people per image: {shares}"
    chosen = choice or "one of them was taken"
    lines = [f"  {name}: {people} people" for name, people in several.items()]
    return "\n".join([f"people per image: {shares}; where there were several, {chosen}:", *lines])


def _find_keypoints(estimator: Estimator, folder: Path, names: list[str], size: int, journal: Journal) -> str:
    """Brings the journal up to date, so that it has an entry for each image.

    Returns: how the estimator chose among several people; empty if it was not asked or looks for one only.
    """
    choice = ""
    before = set(journal.entries) & set(names)
    if before:
        print(f"{folder}: {len(before)} of {len(names)} images were done before the break", flush=True)
    started = time.perf_counter()
    with tqdm(total=len(names), initial=len(before), desc=folder.name, unit="image") as progress:
        for batch in read_batches(folder, names, size, before):
            entries = [Entry(name, error=error) for name, error in batch.errors.items()]
            if batch.images is not None:
                poses = estimator(batch.images)
                choice = poses.choice
                people = [None] * len(batch.names) if poses.people is None else poses.people.tolist()
                entries += [
                    Entry(name, error=f"{folder / name}: {problem}")
                    if (problem := name_problem(name))
                    else Entry(name, pose, people=seen)
                    for name, pose, seen in zip(batch.names, poses.keypoints.tolist(), people, strict=True)
                ]
            entries = [entry for entry in entries if entry.name not in journal.entries]
            journal.add(entries)
            progress.update(len(entries))
    if len(names) > len(before):
        rate = (len(names) - len(before)) / (time.perf_counter() - started)
        print(f"{folder}: {len(names) - len(before)} images annotated, {rate:.2f} images/s", flush=True)
    return choice


def summary(annotated: Annotations, estimator: Estimator) -> str:
    """A summary of the found keypoints as text, with a warning if almost nothing was found."""
    is_found = found(annotated.keypoints)
    people = int(is_found.any(axis=1).sum())
    valid = int(has_required_joints(annotated.keypoints, estimator.skeleton).sum())
    count = len(annotated)
    lines = [f"{annotated.path}: {count} images, {people} with a person, {valid} valid (all required joints found)"]
    if count:
        shares = zip(estimator.skeleton.joints, is_found.mean(axis=0), strict=True)
        lines.append("joints found: " + ", ".join(f"{joint} {share:.0%}" for joint, share in shares))
    if people < FEW * count or not count:
        lines.append(
            f"warning: a person was found in {people} of {count} images. The usual reasons: the network takes "
            "another order of colours (--colour_order rgb or bgr) or range (--input_range bytes, unit, centred "
            "or signed); the people are too small for it (OpenPose's networks want 200 pixels of height: try "
            "--scales, or a MediaPipe .task file); 'demo' knows the people of the demo only. Look at --preview"
        )
    return "\n".join(lines)


def draw_preview(annotated: Annotations, folder: Path, output: Path, estimator: Estimator) -> None:
    """Writes each image with its skeleton into `output`, and up to 100 of them as one sheet, `<output>.png`.

    Skeletons are drawn at the size that is written, so a photo of many pixels takes little more memory than to read it.
    """
    present = [row for row, name in enumerate(annotated.names) if (folder / name).is_file()]
    every = -(-len(present) // SHEET_SIDE**2)
    thumbnails = []
    for number, row in enumerate(tqdm(present, f"{folder.name} pictures", unit="image")):
        image, keypoints = read_image(folder / annotated.names[row]), annotated.keypoints[row]
        height, width = image.shape[:2]
        scale = min(1, PICTURE_SIDE / max(height, width))
        frame = Frame.stretch((height, width), (max(1, round(height * scale)), max(1, round(width * scale))))
        write_image(output / f"{annotated.names[row]}.png", _drawn(image, keypoints, frame, estimator.skeleton))
        if number % every == 0:
            frame = Frame.letterbox((height, width), (SHEET_HEIGHT, SHEET_HEIGHT), WHITE)
            thumbnails.append(_drawn(image, keypoints, frame, estimator.skeleton))
    columns = min(SHEET_SIDE, len(thumbnails))
    while columns and len(thumbnails) % columns:
        thumbnails.append(np.full_like(thumbnails[0], 255))
    rows = [thumbnails[start : start + columns] for start in range(0, len(thumbnails), columns or 1)]
    if rows:
        write_image(output.with_name(f"{output.name}.png"), grid(rows))


def _drawn(image: np.ndarray, keypoints: np.ndarray, frame: Frame, skeleton: Skeleton) -> np.ndarray:
    """What a frame shows of an image and its pose."""
    return draw_skeleton(frame.keypoints(keypoints), frame.size, skeleton, frame.image(image))


def _folders(args: argparse.Namespace) -> dict[str, Path]:
    """Split → folder of its images. Each folder has at least one image."""
    root = args.images_dir or dataset_path("data", args.dataset, "-dataset")
    wanted = SPLITS if args.split == "both" else (args.split,)
    folders = {split: root / split for split in wanted if args.split != "both" or (root / split).is_dir()}
    if not folders:
        raise InputError(f"{root}: holds neither train/ nor test/; put the images there, or set --images_dir")
    for folder in folders.values():
        if not list_images(folder):
            raise InputError(f"{folder}: no images (.jpg, .png, …); put them there, or set --split or --images_dir")
    return folders


def _check_joints(skeleton: Skeleton, estimator: Estimator) -> None:
    """Raises InputError unless the estimator finds the joints of the skeleton."""
    if skeleton.joints != estimator.skeleton.joints:
        raise InputError(
            f"--skeleton: the joints of {skeleton.name!r} ({', '.join(skeleton.joints[:4])}, …) are not those that "
            f"{estimator.name} finds ({', '.join(estimator.skeleton.joints[:4])}, …); annotate the images with a "
            "program that finds the joints of this object, such as DeepLabCut, and take its file over with: "
            "pose-gan data import-keypoints"
        )


def _digest(path: str) -> str:
    """Hash of the estimator's file, so that a run is not continued with another estimator."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16] if Path(path).is_file() else ""
