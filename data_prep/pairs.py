"""`pose-gan data pairs`: makes lists of pairs for training and testing from keypoint annotations."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from data_prep import SPLITS
from pose_gan.data.pairs import TEST_PAIRS, make_pairs, person_of, sample_pairs, valid_names, write_pairs
from pose_gan.errors import InputError
from pose_gan.files.folders import dataset_path
from pose_gan.poses.keypoints import Annotations, read_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton, load_skeleton
from pose_gan.programs.verbs import verb_parser

EPILOG = """examples:
  pose-gan data pairs --dataset market
  pose-gan data pairs --dataset fashion --split test --images_for_test 8570

The verb reads ANNOTATIONS_DIR/<dataset>-annotation-{train,test}.csv and writes
OUTPUT_DIR/<dataset>-pairs-{train,test}.csv. The train list holds all ordered pairs of two valid
images of one person. The test list is a sample of such pairs that is always the same."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("data pairs", "Lists the pairs of images of one person.", EPILOG)
    parser.add_argument(
        "--dataset", required=True, metavar="NAME", help="prefix of the file names, such as market or fashion"
    )
    parser.add_argument("--split", choices=[*SPLITS, "both"], default="both", help="list to make (default: both)")
    parser.add_argument(
        "--annotations_dir", type=Path, default=Path("annotations"), metavar="DIR", help="default: annotations"
    )
    parser.add_argument("--output_dir", type=Path, metavar="DIR", help="default: the annotations folder")
    parser.add_argument(
        "--images_for_test",
        type=int,
        default=TEST_PAIRS,
        metavar="PAIRS",
        help="number of test pairs (default: %(default)s)",
    )
    parser.add_argument(
        "--skeleton", metavar="FILE", help="skeleton file, .json or .toml (default: the 18 COCO joints)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the lists. Every input is read and checked before the first file is written.

    Raises: InputError: an annotation file is absent or wrong, or there is no pair.
    """
    started = time.perf_counter()
    options = build_parser().parse_args(argv)
    if options.images_for_test < 1:
        raise InputError(f"--images_for_test must be 1 or more, got {options.images_for_test}")
    skeleton = load_skeleton(options.skeleton) if options.skeleton else COCO18
    splits = SPLITS if options.split == "both" else (options.split,)
    annotations = {split: _read(options.annotations_dir, options.dataset, split, skeleton) for split in splits}
    lists = {split: make_pairs(annotations[split], skeleton) for split in splits}
    for split in splits:
        if lists[split].empty:
            raise InputError(_why_no_pairs(annotations[split], skeleton))
    for split, pairs in lists.items():
        if split == "test":
            pairs = sample_pairs(pairs, options.images_for_test)
        path = dataset_path(options.output_dir or options.annotations_dir, options.dataset, f"-pairs-{split}.csv")
        write_pairs(path, pairs)
        valid = valid_names(annotations[split], skeleton)
        print(
            f"{split}: {len(annotations[split])} images, {len(valid)} valid images, "
            f"{len(set(map(person_of, valid)))} persons, {len(pairs)} pairs -> {path}"
        )
    print(f"done in {time.perf_counter() - started:.1f} s")
    return 0


def _read(folder: Path, dataset: str, split: str, skeleton: Skeleton) -> Annotations:
    path = dataset_path(folder, dataset, f"-annotation-{split}.csv")
    if not path.exists():
        other = next(name for name in SPLITS if name != split)
        raise InputError(
            f"{path}: no such annotation file; make it, or name its folder with --annotations_dir, "
            f"or leave it out with --split {other}"
        )
    return read_annotations(path, skeleton)


def _why_no_pairs(annotations: Annotations, skeleton: Skeleton) -> str:
    valid = valid_names(annotations, skeleton)
    if not valid:
        return (
            f"{annotations.path}: no pairs: none of the {len(annotations)} images is valid (a valid image has the "
            f"joints {', '.join(skeleton.required)}, and a name that starts neither with -1 nor with 0000)"
        )
    return (
        f"{annotations.path}: no pairs: the {len(valid)} valid images show {len(valid)} persons, one image each; "
        f"a person is the name up to its first '_' (the last one for names that start with 'fashion' or 'fasion')"
    )
