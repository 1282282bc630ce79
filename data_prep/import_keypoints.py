"""`pose-gan data import-keypoints`: takes over the keypoints that other programs found, as an annotation CSV."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep import SPLITS
from data_prep.importing import advice, in_threads
from pose_gan.data.pairs import person_hint, valid_names
from pose_gan.errors import InputError
from pose_gan.files.folders import dataset_path, is_background, list_images, make_folder
from pose_gan.files.images import image_size
from pose_gan.poses.imports.matching import Match, match
from pose_gan.poses.imports.reading import KINDS, read_table
from pose_gan.poses.imports.table import Table
from pose_gan.poses.imports.taking import Choice, Taken, first, take
from pose_gan.poses.keypoints import LARGEST, Annotations, found, has_required_joints, name_problem, write_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton, load_skeleton
from pose_gan.programs.flags import add_config_arguments, pick
from pose_gan.programs.verbs import verb_parser

EPILOG = f"""examples:
  pose-gan data import-keypoints openpose/train --dataset mine --split train
  pose-gan data import-keypoints alphapose-results.json --dataset mine --split test --min_confidence 0.4
  pose-gan data import-keypoints fasion-resize-annotation-test.csv --dataset fashion --split test
  pose-gan data import-keypoints CollectedData_me.h5 --dataset mouse --split train --skeleton mouse.json

SOURCE is a file, or a folder of such files, of these kinds, which are recognised by their content:
{KINDS}.
The images must be in data/<dataset>-dataset/<split> already. An image's keypoints are those whose name is the
same, at least without folder and suffix (te1_1_keypoints.json is of te1_1.jpg); numbered frames belong to the
images by number. The verb writes ANNOTATIONS_DIR/<dataset>-annotation-<split>.csv. An image in which nobody
was found gets a row of -1; an image without keypoints gets no row."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("data import-keypoints", "Takes over keypoints that other programs found.", EPILOG)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="file or folder of keypoints")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="market, fashion, or a name of your own")
    parser.add_argument("--split", required=True, choices=SPLITS, help="the images to which the keypoints belong")
    parser.add_argument(
        "--images_dir", type=Path, metavar="DIR", help="holds train/, test/ (default: data/NAME-dataset)"
    )
    parser.add_argument(
        "--annotations_dir", type=Path, default=Path("annotations"), metavar="DIR", help="default: annotations"
    )
    parser.add_argument(
        "--skeleton", metavar="FILE", help="skeleton file, .json or .toml (default: the 18 COCO joints)"
    )
    parser.add_argument(
        "--add_x",
        type=int,
        metavar="PIXELS",
        help="columns to add to all keypoints (default: 40 for PATN's keypoints of images of 256x256, otherwise 0)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the annotation file (default: refuse)")
    add_config_arguments(parser, Choice, "person and joints")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Imports the keypoints of one split. Everything is checked before the file is written.

    Raises: InputError: there are no images or no keypoints, a file is damaged or does not belong to the images, or the
        annotation file exists already.
    """
    options = build_parser().parse_args(argv)
    choice = pick(Choice, options)
    if abs(options.add_x or 0) > LARGEST:
        raise InputError(f"--add_x: got {options.add_x}; no image has more than {LARGEST} columns")
    skeleton = load_skeleton(options.skeleton) if options.skeleton else COCO18
    folder = (options.images_dir or dataset_path("data", options.dataset, "-dataset")) / options.split
    target = dataset_path(options.annotations_dir, options.dataset, f"-annotation-{options.split}.csv")
    if target.exists() and not options.overwrite:
        raise InputError(f"{target}: already there; pass --overwrite to replace it")
    names = [name for name in list_images(folder) if not is_background(name)]
    if not names:
        raise InputError(f"{folder}: no images; put them there, or set --split or --images_dir")
    table = read_table(options.source, skeleton)
    if not table.people:
        raise InputError(f"{options.source}: {table.kind}, of no image")
    matched = match(table.people, names, table.path)
    if not matched.keys:
        raise InputError(
            f"{options.source}: none of its {len(table.people)} images ({first([*map(str, table.people)])}) is one of "
            f"the {len(names)} in {folder} ({first(names)}); the names must be the same, at least without suffix"
        )
    for name in matched.keys:
        if problem := name_problem(name):
            raise InputError(f"{folder}: {name!r}: {problem}")
    sizes = in_threads(lambda name: image_size(folder / name), list(matched.keys), "reading sizes")
    taken = take(table, skeleton, matched.keys, dict(zip(matched.keys, sizes, strict=True)), choice, options.add_x)
    make_folder(options.annotations_dir)
    poses = np.stack(list(taken.keypoints.values()))
    write_annotations(target, list(taken.keypoints), poses)
    print("\n".join(report(table, matched, names, taken, choice, skeleton)))
    print(f"-> {target}\n\n{_next(options, Annotations((*taken.keypoints,), poses), skeleton)}")
    return 0


def _next(options: argparse.Namespace, annotations: Annotations, skeleton: Skeleton) -> str:
    """The commands to run after the import, with the flags that this data set needs."""
    pairs = dataset_path(options.annotations_dir, options.dataset, f"-pairs-{options.split}.csv")
    verbs = ("check",) if pairs.exists() else ("pairs", "check")  # published pairs are not replaced
    more = ["--split", options.split, *(["--skeleton", options.skeleton] if options.skeleton else [])]
    hint = person_hint(valid_names(annotations, skeleton))
    if hint is None:
        return advice(options, verbs, released=False, more=more)
    commands = advice(options, verbs, released=False, more=[*more, "--person", ""])
    return f"{commands}\n(--person '' says that all images show one; {hint})"


def report(
    table: Table, matched: Match, names: Sequence[str], taken: Taken, choice: Choice, skeleton: Skeleton
) -> list[str]:
    """What was read, chosen, left aside and changed, one line each."""
    lines = [f"{table.path}: {table.kind}, {len(table.people)} images"]
    how = {
        "DeepFashion": "the names agree but for their spelling, as DeepFashion's do",
        "order": "no names agree; both sides are numbered without gaps, and were paired in order",
        "number": "no names agree; the last number in the name was compared",
    }
    lines += [how[matched.how]] if matched.how in how else []
    lines += taken.describe(table, choice)
    without = [name for name in names if name not in matched.keys]
    if without:
        lines.append(f"images without keypoints: {len(without)} of {len(names)} get no row: {first(without)}")
    used = set(matched.keys.values())
    unused = [str(key) for key in table.people if key not in used]
    if unused:
        lines.append(f"keypoints without an image: {len(unused)} of {len(table.people)} are left out: {first(unused)}")
    poses = np.stack(list(taken.keypoints.values()))
    people, valid = found(poses).any(axis=1).sum(), has_required_joints(poses, skeleton).sum()
    lines.append(f"{len(poses)} images annotated, {people} with a person, {valid} valid (all required joints found)")
    return lines
