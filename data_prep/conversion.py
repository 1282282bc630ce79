"""The conversion of one data set into another: the parts that `resize` and `flip` share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.importing import examples, in_threads, refuse_targets, remove
from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.files.folders import dataset_path, is_background, list_images, make_folder
from pose_gan.poses.framing import Size
from pose_gan.poses.keypoints import found, read_annotations, write_annotations
from pose_gan.poses.skeleton import Skeleton

Rows = list[tuple[str, np.ndarray | None]]


@dataclass(frozen=True)
class Split:
    """The places of a split of a data set: the folder of its images, and its annotation file."""

    folder: Path
    csv: Path


@dataclass(frozen=True)
class Picture:
    """An image of a split, with its keypoints and background.

    Attributes:
        path: path of the image file.
        keypoints: int32 `(joints, 2)`, (y, x) in pixels, −1 where missing; None: the image is not annotated.
        background: path of its background image; None: it has none.
    """

    path: Path
    keypoints: np.ndarray | None
    background: Path | None


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of a verb that makes one data set from another."""
    parser.add_argument("--dataset", required=True, metavar="NAME", help="prefix of the data set to read")
    parser.add_argument("--output_dataset", required=True, metavar="NAME", help="prefix of the data set to make")
    parser.add_argument(
        "--images_dir", type=Path, metavar="DIR", help="folder of train/ and test/ (default: data/<dataset>-dataset)"
    )
    parser.add_argument(
        "--output_images_dir",
        type=Path,
        metavar="DIR",
        help="folder to write (default: data/<output_dataset>-dataset)",
    )
    parser.add_argument(
        "--annotations_dir", type=Path, default=Path("annotations"), metavar="DIR", help="default: annotations"
    )
    parser.add_argument(
        "--skeleton", metavar="FILE", help="skeleton file, .json or .toml (default: the 18 COCO joints)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output data set (default: refuse)")


def find_splits(options: argparse.Namespace, wanted: Sequence[str]) -> dict[str, tuple[Split, Split]]:
    """Split → its source and its target, for the splits in `wanted` that exist.

    Raises: InputError: no split exists, an output is the same as the input, or an output is in use and must not be
        overwritten.
    """
    root = options.images_dir or dataset_path("data", options.dataset, "-dataset")
    output = options.output_images_dir or dataset_path("data", options.output_dataset, "-dataset")

    def split_of(folder: Path, dataset: str, split: str) -> Split:
        return Split(folder / split, dataset_path(options.annotations_dir, dataset, f"-annotation-{split}.csv"))

    splits = {
        split: (split_of(root, options.dataset, split), split_of(output, options.output_dataset, split))
        for split in wanted
        if (root / split).is_dir()
    }
    if not splits:
        raise InputError(f"{root}: no folder {' or '.join(f'{split}/' for split in wanted)}; put images there")
    for source, target in splits.values():
        if source.csv.resolve() == target.csv.resolve() or source.folder.resolve() == target.folder.resolve():
            raise InputError(
                f"--output_dataset {options.output_dataset}: would replace the data set that is read; give another "
                "--output_dataset (and --output_images_dir)"
            )
        refuse_targets([target.folder, target.csv], source.folder, options.overwrite)
    make_folder(options.annotations_dir)
    return splits


def read_pictures(split: Split, skeleton: Skeleton) -> list[Picture]:
    """The images of a split: the annotated ones in the order of the file, then the others by name.

    Raises: InputError: there are no images, two images have the same stem, or the annotation file is broken or
        belongs to other images.
    """
    files = {name: split.folder / name for name in list_images(split.folder)}
    backgrounds = {path.stem.removesuffix("_BG"): path for name, path in files.items() if is_background(name)}
    images = {name: path for name, path in files.items() if not is_background(name)}
    if not images:
        raise InputError(f"{split.folder}: no images; put them there, or set --split or --images_dir")
    stems: dict[str, Path] = {}
    for path in images.values():
        if stems.setdefault(path.stem, path) != path:
            raise InputError(f"{path}: only its suffix tells it from {stems[path.stem].name}; rename or remove one")
    keypoints: dict[str, np.ndarray] = {}
    if split.csv.exists():
        annotations = read_annotations(split.csv, skeleton)
        keypoints = {name: annotations.keypoints[row] for name, row in annotations.rows.items() if name in images}
        absent = [name for name in annotations.names if name not in files]
        if not keypoints:
            raise InputError(f"{split.csv}: has no row of any image in {split.folder}")
        if absent:
            print(f"{split.csv}: left out {len(absent)} rows of images that are not there: {examples(absent)}")
    else:
        print(f"{split.csv}: no such file, so only the images are made; annotate them afterwards")
    names = [*keypoints, *(name for name in images if name not in keypoints)]
    return [Picture(images[name], keypoints.get(name), backgrounds.get(images[name].stem)) for name in names]


def convert_pictures(
    pictures: Sequence[Picture], target: Split, convert: Callable[[Picture, Path], Rows]
) -> list[tuple[Picture, Rows]]:
    """Makes a split and replaces an existing one. Its folder appears when all images are made.

    Args:
        pictures: the images from which the split is made.
        target: the place of the new split; it gets no annotation file if no picture is annotated.
        convert: a function that writes the files of a picture to a folder and returns their annotations; it may run in
            any thread. A picture for which it raises InputError is left out, and listed.
    Returns: the pictures that were not left out, with their annotations.
    Raises: InputError: all pictures would be left out.
    """

    def attempt(picture: Picture) -> Rows | InputError:
        try:
            return convert(picture, temporary)
        except InputError as error:
            return error

    with atomic_path(target.folder) as temporary:
        temporary.mkdir()
        outcomes = in_threads(attempt, pictures, target.folder.name)
        errors = [outcome for outcome in outcomes if isinstance(outcome, InputError)]
        if len(errors) == len(pictures):
            raise InputError(f"none of {len(pictures)} images can be used: {errors[0]}")
        remove(target.folder)
    done = [
        (picture, rows) for picture, rows in zip(pictures, outcomes, strict=True) if not isinstance(rows, InputError)
    ]
    annotated = [(name, pose) for _, rows in done for name, pose in rows if pose is not None]
    if annotated:
        write_annotations(target.csv, *zip(*annotated, strict=True))
    else:
        target.csv.unlink(missing_ok=True)  # it belongs to images that are replaced now
    where = f"{target.folder}, {target.csv}" if annotated else target.folder
    print(f"{target.folder.name}: {sum(len(rows) for _, rows in done)} images, {len(annotated)} annotated -> {where}")
    if errors:
        print(f"{len(errors)} of {len(pictures)} images could not be used and are left out:")
        print("\n".join(f"  {error}" for error in errors))
    return done


def background_name(name: str) -> str:
    """The name of the background that belongs to an image."""
    return f"{Path(name).stem}_BG.jpg"


def check_joints(picture: Picture, size: Size, skeleton: Skeleton) -> None:
    """Raises InputError if a joint lies outside of the picture, whose (height, width) is `size`."""
    if picture.keypoints is None:
        return
    outside = found(picture.keypoints) & np.any(picture.keypoints >= size, axis=-1)
    for joint in np.flatnonzero(outside)[:1]:
        y, x = picture.keypoints[joint]
        raise InputError(
            f"{picture.path}: joint {skeleton.joints[joint]} at y={y}, x={x} is outside of the image of "
            f"{size[0]}x{size[1]} pixels (height x width); the annotations belong to images of another size"
        )
