"""`pose-gan data resize`: brings images of any sizes, and their keypoints, to the size that the networks see."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from data_prep import SPLITS
from data_prep.conversion import (
    Picture,
    Rows,
    Split,
    add_data_arguments,
    background_name,
    check_joints,
    convert_pictures,
    find_splits,
    read_pictures,
)
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.files.images import read_image, save_image, trainable_name
from pose_gan.poses.framing import MARGIN, MAX_ENLARGEMENT, MAX_MARGIN, Frame
from pose_gan.poses.keypoints import found
from pose_gan.poses.skeleton import COCO18, Skeleton, load_skeleton
from pose_gan.programs.flags import image_size
from pose_gan.programs.verbs import verb_parser

FITS = ("stretch", "letterbox", "cover", "person")
EPILOG = """examples:
  pose-gan data resize --dataset mine --output_dataset mine128 --image_size 128x64 --fit person
  pose-gan data resize --dataset fashion --output_dataset fashion128 --image_size 128x64 --crop 40,40,0,0
  pose-gan data resize --dataset mouse --output_dataset mouse64 --image_size 64x64 --fit person --scale 0.33 \\
    --skeleton examples/skeletons/mouse.toml

The verb reads data/<dataset>-dataset/{train,test} and ANNOTATIONS_DIR/<dataset>-annotation-{train,test}.csv
and writes the same files for the output data set. Images turned by EXIF are set upright. JPEG and PNG files
keep their names, and other formats become .png. A background <stem>_BG.jpg gets the same frame as its image.
Without annotations, only images are resized. The second example makes the release's fashion128. In the third
one, the camera stands still: with --scale, the animal has the same size in all images."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("data resize", "Brings all images of a data set, and their keypoints, to one size.", EPILOG)
    add_data_arguments(parser)
    parser.add_argument(
        "--split", choices=[*SPLITS, "both"], default="both", help="splits to resize (default: both, if present)"
    )
    parser.add_argument(
        "--image_size",
        type=image_size,
        required=True,
        metavar="HxW",
        help="height and width of the new images in pixels",
    )
    parser.add_argument(
        "--fit",
        choices=FITS,
        default=FITS[0],
        help="stretch: the whole image in another aspect ratio; the other choices keep the aspect ratio: letterbox: "
        "the whole image, with its border pixels continued; cover: the middle; person: the area around the keypoints, "
        "of a person or of another object, without images in which nobody was found (default: %(default)s)",
    )
    parser.add_argument(
        "--crop", metavar="LEFT,RIGHT,TOP,BOTTOM", help="first cut off these numbers of pixels (with --fit stretch)"
    )
    parser.add_argument(
        "--margin",
        type=float,
        metavar="SHARE",
        help=f"free share of the height and width around the joints (with --fit person; default: {MARGIN})",
    )
    parser.add_argument(
        "--scale",
        type=float,
        metavar="X",
        help="new pixels per pixel of an image, the same for all images (with --fit person, instead of --margin)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Resizes the splits. Flags, annotations and names are checked before the first file is written.

    Raises: InputError: a flag is bad, there are no images, an annotation file is broken, or an output is in use.
    """
    started = time.perf_counter()
    options = build_parser().parse_args(argv)
    ModelConfig(image_size=options.image_size)  # raises for sizes that the networks do not take
    framing = _framing(options)
    skeleton = load_skeleton(options.skeleton) if options.skeleton else COCO18
    splits = find_splits(options, SPLITS if options.split == "both" else (options.split,))
    pictures = {split: read_pictures(source, skeleton) for split, (source, _) in splits.items()}
    if options.fit == "person":
        pictures = {split: _with_person(pictures[split], source) for split, (source, _) in splits.items()}
    for split, (_, target) in splits.items():
        done = convert_pictures(pictures[split], target, partial(_resize, framing=framing, skeleton=skeleton))
        before = sum(found(picture.keypoints).sum() for picture, _ in done if picture.keypoints is not None)
        after = sum(found(keypoints).sum() for _, rows in done for _, keypoints in rows if keypoints is not None)
        if before > after:
            print(f"{split}: {before - after} of {before} joints lie outside of the new images, and are -1 there")
    print(f"done in {time.perf_counter() - started:.1f} s")
    return 0


def _framing(options: argparse.Namespace) -> Callable[..., Frame]:
    """The function from (image size, keypoints) to the frame that the flags ask for."""
    size = options.image_size
    if options.crop is not None:
        if options.fit != "stretch":
            raise InputError(f"--crop goes with --fit stretch, got {options.fit}")
        match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", options.crop)
        if not match:
            raise InputError(f"--crop: got {options.crop!r}; give LEFT,RIGHT,TOP,BOTTOM in pixels, such as 40,40,0,0")
        left, right, top, bottom = map(int, match.groups())
        return lambda image_size, _: Frame.crop(image_size, (left, right, top, bottom), size)
    if options.fit == "person":
        margin = MARGIN if options.margin is None else options.margin
        if not 0 <= margin <= MAX_MARGIN:
            raise InputError(f"--margin must be 0 to {MAX_MARGIN}, got {margin}")
        if options.scale is not None and not 0 < options.scale <= MAX_ENLARGEMENT:
            raise InputError(f"--scale must be above 0 and at most {MAX_ENLARGEMENT}, got {options.scale:g}")
        if options.scale is not None and options.margin is not None:
            raise InputError("--margin and --scale exclude each other; --scale alone sets the size of the area")
        return lambda image_size, pose: Frame.around(pose, image_size, size, margin, scale=options.scale)
    for flag in ("margin", "scale"):
        if getattr(options, flag) is not None:
            raise InputError(f"--{flag} goes with --fit person, got {options.fit}")
    make = {"stretch": Frame.stretch, "letterbox": Frame.letterbox, "cover": Frame.cover}[options.fit]
    return lambda image_size, _: make(image_size, size)


def _with_person(pictures: list[Picture], split: Split) -> list[Picture]:
    """The pictures in which a joint was found."""
    if not split.csv.exists():
        raise InputError(f"{split.csv}: no such file, and --fit person needs it; make it with: pose-gan data annotate")
    kept = [picture for picture in pictures if picture.keypoints is not None and found(picture.keypoints).any()]
    if not kept:
        raise InputError(f"{split.csv}: nobody was found in any of the {len(pictures)} images in {split.folder}")
    if len(kept) < len(pictures):
        print(
            f"{split.folder}: {len(pictures) - len(kept)} of {len(pictures)} images left out, nobody was found in them"
        )
    return kept


def _resize(picture: Picture, folder: Path, framing: Callable[..., Frame], skeleton: Skeleton) -> Rows:
    """Writes the framed image and its background, and returns the one row of both."""
    image = read_image(picture.path)
    size = (image.shape[0], image.shape[1])
    check_joints(picture, size, skeleton)
    try:
        frame = framing(size, picture.keypoints)
    except InputError as error:  # the borders of --crop leave nothing
        raise InputError(f"{picture.path}: {error}") from None
    name = trainable_name(picture.path.name)
    framed = {name: frame.image(image)}
    if picture.background:
        background = read_image(picture.background)
        if background.shape != image.shape:
            raise InputError(f"{picture.background}: must have the {size[0]}x{size[1]} pixels of its image")
        framed[background_name(name)] = frame.image(background)
    for file, pixels in framed.items():
        save_image(folder / file, pixels)
    return [(name, None if picture.keypoints is None else frame.keypoints(picture.keypoints))]
