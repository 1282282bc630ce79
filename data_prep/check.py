"""`pose-gan data check`: reports everything that is wrong with a data set."""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from data_prep import SPLITS
from data_prep.importing import in_threads
from data_prep.problems import Report, SplitFiles, report_text, reports_json
from pose_gan.config import DataConfig, ModelConfig
from pose_gan.data.pair_data import DECODED, PairData
from pose_gan.data.pairs import (
    Person,
    is_distractor,
    left_out,
    person_by,
    person_hint,
    read_pairs,
    valid_names,
)
from pose_gan.errors import InputError
from pose_gan.evaluation.strip_names import strip_name_problem
from pose_gan.files.folders import dataset_path, is_background, list_images
from pose_gan.files.images import Header, read_header, read_image
from pose_gan.files.text import write_json
from pose_gan.poses.imports.patn import lies_left
from pose_gan.poses.keypoints import Annotations, found, read_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton
from pose_gan.presets import DATASETS
from pose_gan.programs.flags import add_data_arguments, add_person_argument, data_config, image_size, skeleton
from pose_gan.programs.verbs import verb_parser

EPILOG = """examples:
  pose-gan data check --dataset market
  pose-gan data check --dataset mine --split train --image_size 256x192 --json problems.json

The verb reads both CSVs and every pixel of every image, and continues after a problem. It prints the
number of cases of each kind of problem and the first few of them; --json lists all. Notes are no problems.
Exit status: 0 no problems, 1 problems, 2 nothing to check (an absent file or folder, a bad flag)."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("data check", "Looks for everything that is wrong with a data set.", EPILOG)
    parser.add_argument(
        "--split", choices=[*SPLITS, "both"], default="both", help="splits to check (default: both, if present)"
    )
    parser.add_argument(
        "--image_size",
        type=image_size,
        metavar="HxW",
        help="size that images must have (default: the size of a known data set, else the most frequent size)",
    )
    parser.add_argument("--use_bg", action="store_true", help="each target needs a background, <stem>_BG.jpg")
    parser.add_argument(
        "--skeleton", type=skeleton, default=COCO18, metavar="FILE", help="skeleton file (default: the 18 COCO joints)"
    )
    add_person_argument(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report as JSON, with all cases")
    add_data_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Checks the data set and prints the report.

    Returns: 0 if there are no problems, 1 if there are some.
    Raises: InputError: there is no folder of images or no annotation file.
    """
    started = time.perf_counter()
    options = build_parser().parse_args(argv)
    data, person = data_config(options), person_by(options.person)
    reports = {split: Report(files) for split, files in find_splits(data, options.split).items()}
    for split, report in reports.items():
        _read_images(report, split)
    headers = [header for report in reports.values() for header in report.images.values() if header]
    size = options.image_size or _expected_size(data.dataset, headers)
    for report in reports.values():
        _check_images(report, size)
        _check_annotations(report, size, options.skeleton, person)
        _check_pairs(report, size, options.skeleton, options.use_bg, person)
    print("\n".join(report_text(split, report) for split, report in reports.items()))
    problems = sum(report.problems for report in reports.values())
    print(
        f"verdict: {problems or 'no'} {'problem' if problems == 1 else 'problems'} for networks that take "
        f"{size[0]}x{size[1]} pixels (height x width); checked in {time.perf_counter() - started:.1f} s"
    )
    if options.json:
        write_json(options.json, reports_json(data.dataset, size, reports))
        print(f"all cases -> {options.json}")
    return 1 if problems else 0


def find_splits(data: DataConfig, wanted: str) -> dict[str, SplitFiles]:
    """Finds the files of the splits.

    Args:
        data: the data set and its folders.
        wanted: `train`, `test` or `both`; `both` means the splits of which anything exists.
    Returns: split → files.
    Raises: InputError: there is no folder of images or no annotation file.
    """
    root = dataset_path("data", data.dataset, "-dataset") if data.images_dir is None else Path(data.images_dir)
    pairs_dir = data.annotations_dir if data.pairs_dir is None else data.pairs_dir
    splits = {
        split: SplitFiles(
            root / split,
            dataset_path(data.annotations_dir, data.dataset, f"-annotation-{split}.csv"),
            dataset_path(pairs_dir, data.dataset, f"-pairs-{split}.csv"),
        )
        for split in (SPLITS if wanted == "both" else (wanted,))
    }
    there = {split: files for split, files in splits.items() if files.images.is_dir() or files.annotations.exists()}
    for files in (there or splits).values():
        if not files.images.is_dir():
            raise InputError(f"{files.images}: no such folder of images; put them there, or set --images_dir")
        if not files.annotations.exists():
            raise InputError(
                f"{files.annotations}: no such annotation file; make it with pose-gan data annotate, or set "
                "--annotations_dir"
            )
    return there


def _expected_size(dataset: str, headers: Collection[Header]) -> tuple[int, int]:
    """The (height, width) that images should have: the size of a known data set, else the most frequent size."""
    if dataset in DATASETS:
        return DATASETS[dataset].image_size
    if not headers:
        raise InputError(f"{dataset}: no image can be read; put images there, or set --images_dir")
    return Counter(header.size for header in headers).most_common(1)[0][0]


def _read_images(report: Report, label: str) -> None:
    """Decodes every image of the folder."""

    def read(name: str) -> tuple[Header | None, str]:
        try:
            read_image(report.files.images / name)
            return read_header(report.files.images / name), ""
        except InputError as error:
            return None, str(error)

    names = list_images(report.files.images)
    for name, (header, error) in zip(names, in_threads(read, names, label), strict=True):
        report.images[name] = header
        if error:
            report.cases["image_unreadable"].append(error)


def _check_images(report: Report, size: tuple[int, int]) -> None:
    cases = report.cases
    for name, header in report.images.items():
        if header is None:
            continue
        if header.mode not in DECODED.get(header.format, ()):
            cases["image_format"].append(f"{name}: {header.format} with pixels {header.mode}")
        if header.alpha:
            cases["image_alpha"].append(name)
        if header.orientation != 1:
            cases["image_turned"].append(f"{name}: orientation {header.orientation}")
        if header.size != size:
            cases["image_size"].append(f"{name}: {header.size[0]}x{header.size[1]}, not {size[0]}x{size[1]}")
    try:
        ModelConfig(image_size=size)
    except InputError as error:
        cases["network_size"].append(str(error))


def _check_annotations(report: Report, size: tuple[int, int], skeleton: Skeleton, person: Person) -> None:
    cases = report.cases
    try:
        table = read_annotations(report.files.annotations, skeleton)
    except InputError as error:
        cases["annotation_file"].append(str(error))
        return
    report.annotations = table
    report.left_out = {rule: len(names) for rule, names in left_out(table, skeleton, person).items()}
    report.hint = person_hint(valid_names(table, skeleton, person), person)
    cases["image_unannotated"] += [
        name for name in report.images if not (name in table.rows or is_background(name) or is_distractor(name, person))
    ]
    cases["annotation_absent"] += [
        table.where(row) for row, name in enumerate(table.names) if not os.path.isfile(report.files.images / name)
    ]
    if lies_left(table, size):
        cases["keypoints_left"].append(table.path)
    headers = [report.images.get(name) for name in table.names]
    sizes = np.array([header.size if header else size for header in headers]).reshape(-1, 1, 2)
    is_found = found(table.keypoints)
    for row, joint in np.argwhere(is_found & (table.keypoints >= sizes).any(axis=-1)).tolist():
        (y, x), (height, width) = table.keypoints[row, joint], sizes[row, 0]
        cases["joint_outside"].append(
            f"{table.where(row)}: {skeleton.joints[joint]} at y={y}, x={x} of {height}x{width}"
        )
    zero = (table.keypoints == 0).all(axis=-1)
    if (zero.sum(axis=1) > 1).any():  # two joints of a body do not lie in one corner of the image
        where = [(row, skeleton.joints[joint]) for row, joint in np.argwhere(zero).tolist()]
        cases["joint_zero"] += [f"{table.where(row)}: {joint}" for row, joint in where]
    cases["nobody_found"] += [table.where(row) for row in np.flatnonzero(~is_found.any(axis=1)).tolist()]


def _check_pairs(report: Report, size: tuple[int, int], skeleton: Skeleton, use_bg: bool, person: Person) -> None:
    cases, files = report.cases, report.files
    if not files.pairs.exists():
        return
    try:
        report.pairs = read_pairs(files.pairs)
    except InputError as error:
        cases["pair_file"].append(str(error))
        return
    table = report.annotations or Annotations((), np.zeros((0, skeleton.num_joints, 2), np.int32))
    data = PairData(report.pairs, table, files.images, size, skeleton)
    wrong = {"pair_absent": {name for name in data.names if not os.path.isfile(data.image_path(name))}}
    if report.annotations is not None:
        wrong["pair_unannotated"] = set(data.names) - set(table.names)
        wrong["pair_invalid"] = set(data.names) & set(table.names) - set(valid_names(table, skeleton, person))
    if use_bg:
        wrong["background_absent"] = {name for name in data.names if not os.path.isfile(data.background_path(name))}
    first: dict[tuple[str, str], int] = {}
    for row, (source, target) in enumerate(report.pairs.itertuples(index=False, name=None), start=2):
        where = f"{files.pairs}, row {row}"
        for column, name in (("from", source), ("to", target)):
            for kind, names in wrong.items():
                if name in names and (kind != "background_absent" or column == "to"):
                    cases[kind].append(f"{where}, column {column}: {name}")
        if problem := strip_name_problem(source, target):
            cases["strip_name"].append(f"{where}: {problem}")
        if source == target:
            cases["pair_same"].append(f"{where}: {source}")
        elif person(source) != person(target):
            cases["pair_persons"].append(f"{where}: {source}, {target}")
        if first.setdefault((source, target), row) != row:
            cases["pair_repeated"].append(f"{where}: as in row {first[source, target]}")
