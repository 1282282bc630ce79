"""`pose-gan data import-deepfashion`: lays out the In-shop image tree as `data/fashion-dataset/{train,test}`."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from data_prep import SPLITS
from data_prep.importing import (
    Files,
    add_target_arguments,
    advice,
    check_images,
    examples,
    images_folder,
    place,
    refuse_targets,
)
from pose_gan.data.pairs import person_of, read_pairs, write_pairs
from pose_gan.errors import InputError
from pose_gan.files.folders import dataset_path
from pose_gan.files.images import read_image, save_image
from pose_gan.files.text import read_lines
from pose_gan.poses.keypoints import read_annotations
from pose_gan.presets import DATASETS
from pose_gan.programs.verbs import verb_parser

if TYPE_CHECKING:
    import pandas as pd

NARROW = ("fashion176", "fasion176")  # data sets whose images are cut to 256x176
KEPT_COLUMNS = slice(40, 216)  # of 256, as in PATN
PATN_PAIRS = {"train": 101_966, "test": 8_570}  # as published
TEST_IDS = 1000  # persons in the release's test split
TREE_NAME = re.compile(r"\d+_.+\.jpg")  # name of an image file in the In-shop tree, such as 05_4_full.jpg
EPILOG = """examples:
  pose-gan data import-deepfashion ~/Downloads/img
  pose-gan data import-deepfashion ~/Downloads/img --split patn --lists_dir ~/Downloads/fashion_data
  pose-gan data import-deepfashion ~/Downloads/img --split patn --lists_dir ~/fashion_data --dataset fashion176
  pose-gan data import-deepfashion ~/Downloads/img --split random --test_ids 1000 --seed 0

SOURCE is the unpacked img.zip of DeepFashion's In-shop Clothes Retrieval Benchmark (256x256 pixels;
not img_highres.zip): img/WOMEN/Dresses/id_00005537/05_4_full.jpg and so on. The images get flat
names, and --split decides their splits:

  release  by the authors' keypoint files. Images get exactly the names that stand in these files.
           This needs ANNOTATIONS_DIR/fasion-annotation-{train,test}.csv (or fashion-...).
  patn     by the lists of PATN (Zhu et al. 2019) and its successors, with their pairs, which are
           written to ANNOTATIONS_DIR/<dataset>-pairs-{train,test}.csv. LISTS_DIR must hold train.lst,
           test.lst (one name per line) and fasion-resize-pairs-{train,test}.csv (from,to).
           The release's keypoint files fit if they hold the same names. PATN's own keypoint files
           (fasion-resize-annotation-...) fit --dataset fashion176; for images of 256x256, take them over
           with pose-gan data import-keypoints, which moves them.
  random   --test_ids persons, drawn with --seed, are for testing, the others for training. A person
           is one model in one outfit, as in the release.

With --dataset fashion176, images are cut to 256x176 pixels: columns 40 to 215, as in PATN. The release's
keypoints do not fit these; import fashion, and cut images and keypoints with
  pose-gan data resize --dataset fashion --output_dataset fashion176 --image_size 256x176 --crop 40,40,0,0

Names may begin with fashion or fasion, with or without underscores. Before anything is written, the
verb checks that every name has exactly one image, that no image is in both splits, that pairs name
images of their split, and that every image is a JPEG of 256x256 pixels. If the numbers of PATN pairs
are not 101,966 and 8,570, it gives a warning."""


class Wanted(NamedTuple):
    """The wanted content of a split.

    Attributes:
        names: image name → the place where the name stands, for messages.
        pairs: the pairs that come with the split; None: they are made later.
    """

    names: Mapping[str, str]
    pairs: pd.DataFrame | None = None


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "data import-deepfashion", "Lays out the unpacked In-shop images of DeepFashion for training.", EPILOG
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the folder img, or its parent folder")
    parser.add_argument(
        "--split",
        choices=("release", "patn", "random"),
        default="release",
        help="the source of the split into training and test images (default: %(default)s)",
    )
    parser.add_argument("--lists_dir", type=Path, metavar="DIR", help="patn: folder of its lists")
    parser.add_argument(
        "--test_ids", type=int, default=TEST_IDS, metavar="PERSONS", help="random: persons for testing (default: 1000)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random: seed of the split (default: 0)")
    add_target_arguments(parser, "fashion")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Imports the images of both splits. Everything is checked before the first file is written.

    Raises: InputError: a list is absent or wrong, a name has no image or several, an image is not a
        256×256 JPEG, flags do not go together, or a target is in use.
    """
    started = time.perf_counter()
    options = build_parser().parse_args(argv)
    narrow = options.dataset in NARROW
    if narrow:
        _check_narrow(options)
    images_dir = images_folder(options)
    pair_files = {
        split: dataset_path(options.annotations_dir, options.dataset, f"-pairs-{split}.csv") for split in SPLITS
    }
    targets = [images_dir / split for split in SPLITS]
    if options.split == "patn":
        targets += pair_files.values()
    refuse_targets(targets, options.source, options.overwrite)
    wanted = _wanted_from_lists(options) if options.split != "random" else {}
    tree, others = read_tree(options.source)
    if options.split == "random":
        wanted = random_split(tree, options.test_ids, options.seed)
    splits = match(wanted, tree)
    check_images(
        [path for files in splits.values() for path in files.values()],
        DATASETS["fashion"].image_size,
        "take img.zip, not img_highres.zip",
    )
    place(splits, images_dir, options.link, _cut if narrow else shutil.copyfile)
    for split, files in splits.items():
        print(f"{split}: {len(files)} images, {len(set(map(person_of, files)))} persons -> {images_dir / split}")
    unused = sum(map(len, tree.values())) - sum(map(len, splits.values()))
    if unused:
        print(f"images in neither split, left out: {unused}")
    if others:
        print(f"other files, left out: {len(others)} ({examples(others)})")
    for split, (_, pairs) in wanted.items():
        if pairs is not None:
            _place_pairs(pairs, pair_files[split], split)
    print(f"done in {time.perf_counter() - started:.1f} s\n\n{_next(options, narrow)}")
    return 0


def _next(options: argparse.Namespace, narrow: bool) -> str:
    """The commands to run after the import."""
    verbs = ("annotate", "check") if options.split == "patn" else ("annotate", "pairs", "check")
    text = advice(options, verbs, options.split != "random" and not narrow)
    if options.split != "patn":
        return text
    if not narrow:
        csv = dataset_path(options.lists_dir, "fasion-resize", "-annotation-train.csv")
        command = ["pose-gan", "data", "import-keypoints", str(csv), "--dataset", options.dataset, "--split", "train"]
        return (
            f"{text}\nPATN's keypoint files belong to images cut to 256x176; to move them by 40 columns, in place of "
            f"annotate, do this for train and for test:\n  {shlex.join(command)}"
        )
    csv = options.annotations_dir / f"{options.dataset}-annotation-train.csv"
    return (
        f"{text}\nPATN's keypoint files fit these images: copy fasion-resize-annotation-train.csv to {csv}, do the "
        "same for test, and leave out annotate"
    )


def _check_narrow(options: argparse.Namespace) -> None:
    """Raises InputError for flags that do not go with images that are cut."""
    if options.link:
        raise InputError(f"--link: the images of {options.dataset} are cut, so they cannot be links; leave it off")
    if options.split == "release":
        raise InputError(
            f"--split release: its keypoints belong to images of 256x256. Import these with --dataset fashion, then: "
            f"pose-gan data resize --dataset fashion --output_dataset {options.dataset} --image_size 256x176 "
            "--crop 40,40,0,0"
        )


def _cut(source: Path, target: Path) -> None:
    save_image(target, read_image(source)[:, KEPT_COLUMNS])


def _place_pairs(pairs: pd.DataFrame, path: Path, split: str) -> None:
    write_pairs(path, pairs)
    print(f"{split}: {len(pairs)} pairs -> {path}")
    if len(pairs) != PATN_PAIRS[split]:
        print(f"warning: {split}: {len(pairs)} pairs, PATN as published has {PATN_PAIRS[split]}")


def flat_name(folders: Sequence[str], file: str) -> str:
    """The release's name of an image of the tree: `fasion` and the parts of the path, with only one underscore kept.

    `(WOMEN, Dresses, id_00005537), 05_4_full.jpg` → `fasionWOMENDressesid0000553705_4full.jpg`.
    """
    number, rest = file.split("_", 1)
    return f"fasion{''.join(folders)}{number}".replace("_", "") + "_" + rest.replace("_", "")


def key_of(name: str) -> str:
    """The common part of all spellings of an image's name: without `fashion` or `fasion`, and without underscores.

    The names in the release's files and in PATN's differ in the prefix, and in the underscore of a category
    (`fasionMENJacketsVestsid…`, `fashionMENJackets_Vestsid…`).
    """
    return re.sub(r"^fash?ion", "", name).replace("_", "")


def read_tree(source: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Lists the In-shop tree: `<sex>/<category>/<id>/<image>`.

    Returns: key (`key_of`) → images; and the other files, relative to the tree. All are sorted.
    Raises: InputError: `source` neither is such a tree nor holds one.
    """
    candidates = [folder for folder in (source, source / "img", source / "Img" / "img") if _holds_tree(folder)]
    if not candidates:
        raise InputError(
            f"{source}: no In-shop images: expected WOMEN/Dresses/id_00005537/05_4_full.jpg and so on in it or in "
            "its folder img; unpack img.zip there"
        )
    root = candidates[0]
    tree: dict[str, list[Path]] = {}
    others = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        parts = path.relative_to(root).parts
        if len(parts) == 4 and TREE_NAME.fullmatch(parts[3]):
            tree.setdefault(key_of(flat_name(parts[:3], parts[3])), []).append(path)
        else:
            others.append("/".join(parts))
    if not tree:
        raise InputError(
            f"{root}: no image is named like WOMEN/Dresses/id_00005537/05_4_full.jpg; unpack img.zip again"
        )
    return tree, others


def random_split(tree: Mapping[str, list[Path]], test_ids: int, seed: int) -> dict[str, Wanted]:
    """Draws `test_ids` persons at random for testing; the other persons are for training.

    Deviation: the release draws from an unordered set, so only its files can give its own split.
    """
    names = sorted(flat_name(path.parts[-4:-1], path.name) for paths in tree.values() for path in paths)
    persons = sorted(set(map(person_of, names)))
    if not 1 <= test_ids < len(persons):
        raise InputError(
            f"--test_ids: got {test_ids}; give 1 to {len(persons) - 1}: SOURCE shows {len(persons)} persons"
        )
    if seed < 0:
        raise InputError(f"--seed: got {seed}; give 0 or more")
    drawn = set(np.random.default_rng(seed).choice(persons, test_ids, replace=False).tolist())
    return {
        split: Wanted({name: name for name in names if (person_of(name) in drawn) == (split == "test")})
        for split in SPLITS
    }


def match(wanted: Mapping[str, Wanted], tree: Mapping[str, list[Path]]) -> dict[str, Files]:
    """Finds the image of every name, in any spelling of the name.

    Raises: InputError: a name has no image or several, or two names mean the same image.
    """
    names = {name: where for split in wanted.values() for name, where in split.names.items()}
    absent = [name for name in names if key_of(name) not in tree]
    if absent:
        raise InputError(
            f"{names[absent[0]]}: SOURCE has no such image ({len(absent)} of {len(names)} names have none); "
            "unpack img.zip again, or take the list that belongs to it"
        )
    user: dict[str, str] = {}  # key → the place that wanted it first
    for split in wanted.values():
        for name, where in split.names.items():
            key = key_of(name)
            if key in user:
                raise InputError(f"{where}: the same image as {user[key]}; keep one of them")
            if len(tree[key]) > 1:
                raise InputError(f"{where}: may be {' or '.join(map(str, tree[key]))}; delete one of them")
            user[key] = where
    return {split: {name: tree[key_of(name)][0] for name in wanted[split].names} for split in wanted}


def _holds_tree(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in ("WOMEN", "MEN"))


def _wanted_from_lists(options: argparse.Namespace) -> dict[str, Wanted]:
    if options.split == "patn":
        if options.lists_dir is None:
            raise InputError(
                "--split patn: needs --lists_dir, the folder with train.lst, test.lst, fasion-resize-pairs-train.csv "
                "and fasion-resize-pairs-test.csv"
            )
        return {split: _patn(options.lists_dir, split) for split in SPLITS}
    csvs = {
        split: dataset_path(options.annotations_dir, options.dataset, f"-annotation-{split}.csv") for split in SPLITS
    }
    absent = [str(path) for path in csvs.values() if not path.exists()]
    if absent:
        raise InputError(
            f"--split release: no such annotation file: {', '.join(absent)}; put fasion-annotation-train.csv and "
            f"fasion-annotation-test.csv of the authors' release in {options.annotations_dir}, or split without them: "
            f"--split random --test_ids {TEST_IDS} --seed 0"
        )
    annotations = {split: read_annotations(path) for split, path in csvs.items()}
    return {
        split: Wanted({name: table.where(row) for name, row in table.rows.items()})
        for split, table in annotations.items()
    }


def _patn(folder: Path, split: str) -> Wanted:
    """A list of images, and the list of pairs that belongs to it."""
    path = folder / f"{split}.lst"
    names: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        name = line.strip()
        if name in names:
            raise InputError(f"{path}, row {number}: {name} stands there already; keep one")
        if name:
            names[name] = f"{path}, row {number} ({name})"
    if not names:
        raise InputError(f"{path}: no names; expected one image name a line")
    pairs_path = dataset_path(folder, "fasion-resize", f"-pairs-{split}.csv")
    pairs = read_pairs(pairs_path)
    for row, pair in enumerate(pairs.to_numpy(), start=2):
        for column, name in zip(("from", "to"), pair, strict=True):
            if name not in names:
                raise InputError(f"{pairs_path}, row {row}, column {column}: {name} is not in {path}")
    return Wanted(names, pairs)
