"""`pose-gan data flip`: adds a mirrored copy of each training image, and of its keypoints, to a data set."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from data_prep import SPLITS
from data_prep.conversion import (
    Picture,
    Rows,
    add_data_arguments,
    background_name,
    check_joints,
    convert_pictures,
    find_splits,
    read_pictures,
)
from pose_gan.errors import InputError
from pose_gan.files.images import read_image, save_image, trainable_name
from pose_gan.poses.keypoints import MISSING, found
from pose_gan.poses.skeleton import COCO18, Skeleton, load_skeleton
from pose_gan.programs.verbs import verb_parser

EPILOG = """examples:
  pose-gan data flip --dataset market --output_dataset market-flipped
  pose-gan data pairs --dataset market-flipped

Each image of the chosen split gets a mirror image, named <stem>r.jpg as in the release. Left and right
joints change places, and backgrounds (<stem>_BG.jpg) are mirrored too. The other split is copied. A
mirror image counts as the same person as its image, so pairs are made of both."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("data flip", "Doubles a data set by mirror images.", EPILOG)
    add_data_arguments(parser)
    parser.add_argument(
        "--split",
        choices=[*SPLITS, "both"],
        default="train",
        help="split whose images get mirror images (default: train)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the data set. Flags, annotations and names are checked before the first file is written.

    Raises: InputError: a flag is bad, there are no images, an annotation file is broken, an output is in use, or
        images already have mirror images.
    """
    started = time.perf_counter()
    options = build_parser().parse_args(argv)
    skeleton = load_skeleton(options.skeleton) if options.skeleton else COCO18
    mirrored = SPLITS if options.split == "both" else (options.split,)
    splits = find_splits(options, SPLITS)
    if not splits.keys() & set(mirrored):
        raise InputError(f"--split {options.split}: there is only {', '.join(splits)}")
    pictures = {split: read_pictures(source, skeleton) for split, (source, _) in splits.items()}
    for split in splits.keys() & set(mirrored):
        _refuse_flipped(pictures[split])
    for split, (_, target) in splits.items():
        convert_pictures(pictures[split], target, partial(_flip, skeleton=skeleton) if split in mirrored else _copy)
    print(f"done in {time.perf_counter() - started:.1f} s")
    return 0


def flip_keypoints(keypoints: np.ndarray, width: int, skeleton: Skeleton = COCO18) -> np.ndarray:
    """Keypoints of the mirror image: `x → width − 1 − x`, and left and right joints change places.

    Args:
        keypoints: integers `(…, joints, 2)`, (y, x) in pixels, −1 where missing.
        width: width of the image in pixels.
        skeleton: the skeleton of the keypoints.
    Returns: int32, the same shape.
    Deviation: the release flips only the images, and annotates them anew.
    """
    keypoints = np.asarray(keypoints)[..., skeleton.flip_order, :]
    flipped = np.stack([keypoints[..., 0], width - 1 - keypoints[..., 1]], axis=-1)
    return np.where(found(keypoints)[..., None], flipped, MISSING).astype(np.int32)


def mirror_name(name: str) -> str:
    """The name of an image's mirror image: `a.jpg` → `ar.jpg`."""
    path = Path(trainable_name(name))
    return f"{path.stem}r{path.suffix}"


def _refuse_flipped(pictures: Sequence[Picture]) -> None:
    stems = {picture.path.stem for picture in pictures}
    for picture in pictures:
        if f"{picture.path.stem}r" in stems:
            raise InputError(
                f"{picture.path}: its mirror image, {mirror_name(picture.path.name)}, is there already; "
                "flip a data set only once"
            )


def _copy(picture: Picture, folder: Path) -> Rows:
    """Copies the files of a picture, and returns its row."""
    for path in (picture.path, picture.background):
        if path:
            shutil.copyfile(path, folder / path.name)
    return [(picture.path.name, picture.keypoints)]


def _flip(picture: Picture, folder: Path, skeleton: Skeleton) -> Rows:
    """Copies the files of a picture, writes their mirror images, and returns the rows of both."""
    image = read_image(picture.path)
    check_joints(picture, (image.shape[0], image.shape[1]), skeleton)
    name = mirror_name(picture.path.name)
    mirrored = {name: image[:, ::-1]}
    if picture.background:
        mirrored[background_name(name)] = read_image(picture.background)[:, ::-1]
    for file, pixels in mirrored.items():
        save_image(folder / file, np.ascontiguousarray(pixels))
    pose = picture.keypoints
    flipped = None if pose is None else flip_keypoints(pose, image.shape[1], skeleton)
    return [*_copy(picture, folder), (name, flipped)]
