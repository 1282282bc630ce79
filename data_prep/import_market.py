"""`pose-gan data import-market`: lays out the unpacked Market-1501 as `data/market-dataset/{train,test}`."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

from data_prep.importing import (
    add_target_arguments,
    advice,
    check_images,
    examples,
    images_folder,
    place,
    refuse_targets,
)
from pose_gan.data.pairs import is_distractor, person_of
from pose_gan.errors import InputError
from pose_gan.presets import DATASETS
from pose_gan.programs.verbs import verb_parser

FOLDERS = {"train": "bounding_box_train", "test": "bounding_box_test"}
COUNTS = {"train": 12_936, "test": 19_732}  # numbers of images in the published data set
NAME = re.compile(r"(-1|\d{4})_c\ds\d_\d{6}_\d{2}\.jpg")  # -1 and 0000: junk and background detections
EPILOG = """examples:
  pose-gan data import-market ~/Downloads/Market-1501-v15.09.15
  pose-gan data import-market /datasets/Market-1501-v15.09.15 --link

SOURCE/bounding_box_train becomes data/market-dataset/train (12,936 images), and
SOURCE/bounding_box_test becomes data/market-dataset/test (19,732 images). Before anything is written,
the verb checks that both folders exist and that every image is a JPEG of 128x64 pixels. Files with
other names than Market-1501's (Thumbs.db) are left out and counted. Other numbers of images give a
warning."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("data import-market", "Lays out the unpacked Market-1501 for training.", EPILOG)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder that holds bounding_box_train")
    add_target_arguments(parser, "market")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Imports both folders. Every image is checked before the first file is written.

    Raises: InputError: a folder is absent or holds no image of Market-1501, an image is not a 128×64
        JPEG, or a target is in use.
    """
    started = time.perf_counter()
    options = build_parser().parse_args(argv)
    images_dir = images_folder(options)
    listed = {split: _list(options.source, folder) for split, folder in FOLDERS.items()}
    refuse_targets([images_dir / split for split in FOLDERS], options.source, options.overwrite)
    splits = {split: {path.name: path for path in paths} for split, (paths, _) in listed.items()}
    files = [path for paths in splits.values() for path in paths.values()]
    check_images(files, DATASETS["market"].image_size, "this is not Market-1501 as it was published")
    place(splits, images_dir, options.link)
    for split, (paths, others) in listed.items():
        persons = {person_of(path.name) for path in paths if not is_distractor(path.name)}
        print(f"{split}: {len(paths)} images, {len(persons)} persons -> {images_dir / split}")
        if others:
            print(f"{split}: other files, left out: {len(others)} ({examples(others)})")
    for split, (paths, _) in listed.items():
        if len(paths) != COUNTS[split]:
            print(
                f"warning: {FOLDERS[split]} holds {len(paths)} images, Market-1501 as published {COUNTS[split]}; "
                "unless this is meant, unpack it again"
            )
    print(f"done in {time.perf_counter() - started:.1f} s\n\n{advice(options, ('annotate', 'pairs', 'check'))}")
    return 0


def _list(source: Path, folder: str) -> tuple[list[Path], list[str]]:
    """The images of Market-1501 in a folder, and the names of all other files. Both lists are sorted."""
    if not (source / folder).is_dir():
        raise InputError(
            f"{source / folder}: no such folder; SOURCE is the unpacked Market-1501 (Market-1501-v15.09.15), "
            f"which holds {' and '.join(FOLDERS.values())}"
        )
    entries = sorted((source / folder).iterdir())
    images = [path for path in entries if NAME.fullmatch(path.name) and path.is_file()]
    if not images:
        raise InputError(
            f"{source / folder}: none of its {len(entries)} files is named as the images of Market-1501 "
            "(0002_c1s1_000451_03.jpg)"
        )
    return images, sorted({path.name for path in entries} - {path.name for path in images})
