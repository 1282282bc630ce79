"""`pose-gan data pairs`: makes lists of pairs for training and testing from keypoint annotations."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep import SPLITS
from data_prep.problems import left_out_lines
from pose_gan.data.pairs import (
    TEST_PAIRS,
    left_out,
    make_cross_pairs,
    make_pairs,
    person_by,
    person_hint,
    sample_pairs,
    valid_names,
    write_pairs,
)
from pose_gan.errors import InputError
from pose_gan.files.folders import dataset_path
from pose_gan.poses.keypoints import Annotations, read_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton, load_skeleton
from pose_gan.programs.flags import add_person_argument
from pose_gan.programs.score_flags import seed
from pose_gan.programs.verbs import verb_parser

if TYPE_CHECKING:
    import pandas as pd

CROSS_FOLDER = "cross"
EPILOG = """examples:
  pose-gan data pairs --dataset market
  pose-gan data pairs --dataset fashion --split test --images_for_test 8570
  pose-gan data pairs --dataset market --split train --cross 4
  pose-gan data pairs --dataset mouse64 --person '' --skeleton examples/skeletons/mouse.toml

The verb reads ANNOTATIONS_DIR/<dataset>-annotation-{train,test}.csv and writes
OUTPUT_DIR/<dataset>-pairs-{train,test}.csv. The train list holds all ordered pairs of two valid
images of one person. The test list is a sample of such pairs that is always the same. The frames of one
video show one person, or one animal, whatever their names: --person '' says so.

With --cross N, each valid image is a source N times, with poses of other persons as targets. There is no
true image of such a pair, so these lists are for pose-gan test, not for training."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("data pairs", "Lists the pairs of images of one person.", EPILOG)
    parser.add_argument(
        "--dataset", required=True, metavar="NAME", help="prefix of the file names, such as market or fashion"
    )
    parser.add_argument("--split", choices=[*SPLITS, "both"], default="both", help="list to make (default: both)")
    parser.add_argument(
        "--annotations_dir", type=Path, default=Path("annotations"), metavar="DIR", help="default: annotations"
    )
    parser.add_argument(
        "--output_dir",
        type=Path,
        metavar="DIR",
        help=f"default: the annotations folder; with --cross, {CROSS_FOLDER}/ in it, so that no other list is replaced",
    )
    parser.add_argument(
        "--images_for_test",
        type=int,
        default=TEST_PAIRS,
        metavar="PAIRS",
        help="number of test pairs (default: %(default)s; --cross takes all)",
    )
    parser.add_argument(
        "--cross", type=int, metavar="N", help="give each source N random target poses of other persons"
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="seed of the choice of --cross (default: 0)")
    add_person_argument(parser)
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
    for flag, value in (("images_for_test", options.images_for_test), ("cross", options.cross)):
        if value is not None and value < 1:
            raise InputError(f"--{flag} must be 1 or more, got {value}")
    if options.cross and options.person == "":
        raise InputError(
            "--cross takes poses of other persons, and --person '' says that there are none; leave one out"
        )
    skeleton = load_skeleton(options.skeleton) if options.skeleton else COCO18
    splits = SPLITS if options.split == "both" else (options.split,)
    annotations = {split: _read(options.annotations_dir, options.dataset, split, skeleton) for split in splits}
    lists = {split: _list(annotations[split], split, skeleton, options) for split in splits}
    folder = options.output_dir or options.annotations_dir / (CROSS_FOLDER if options.cross else "")
    for split, pairs in lists.items():
        path = dataset_path(folder, options.dataset, f"-pairs-{split}.csv")
        write_pairs(path, pairs)
        print("\n".join(_report(annotations[split], split, pairs, path, skeleton, options)))
    if options.cross:
        print(f"generate them with: pose-gan test --dataset {options.dataset} --split SPLIT --pairs_dir {folder}")
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


def _list(annotations: Annotations, split: str, skeleton: Skeleton, options: argparse.Namespace) -> pd.DataFrame:
    """The pairs of a split. Raises InputError if there are none."""
    person = person_by(options.person)
    if options.cross:
        pairs = make_cross_pairs(annotations, options.cross, options.seed, skeleton, person)
    else:
        pairs = make_pairs(annotations, skeleton, person)
        pairs = sample_pairs(pairs, options.images_for_test) if split == "test" else pairs
    if pairs.empty:
        valid = valid_names(annotations, skeleton, person)
        reason = f"none of the {len(annotations)} images is valid"
        if valid:
            reason = person_hint(valid, person) or f"there is only one valid image, {valid[0]}"
        rules = left_out(annotations, skeleton, person).items()
        reasons = [reason, *(f"{len(names)} left out because {rule}" for rule, names in rules)]
        raise InputError(f"{annotations.path}: no pairs: {'; '.join(reasons)}")
    return pairs


def _report(
    annotations: Annotations,
    split: str,
    pairs: pd.DataFrame,
    path: Path,
    skeleton: Skeleton,
    options: argparse.Namespace,
) -> list[str]:
    """Lines on how a list came about."""
    person = person_by(options.person)
    valid = valid_names(annotations, skeleton, person)
    rules = left_out(annotations, skeleton, person)
    lines = [
        f"{split}: {len(annotations)} images, {len(valid)} valid images, {_persons(len(set(map(person, valid))))}, "
        f"{len(pairs)} pairs -> {path}",
        *left_out_lines({rule: len(names) for rule, names in rules.items()}),
    ]
    if options.cross and len(pairs) < options.cross * len(valid):
        lines.append(
            f"  fewer than {options.cross} target poses for some sources: the other persons have no more images"
        )
    elif not options.cross and (hint := person_hint(valid, person)):
        lines.append(f"  hint         {hint}")
    return lines


def _persons(count: int) -> str:
    return f"{count} person" + "s" * (count != 1)
