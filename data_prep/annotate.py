"""`pose-gan data annotate`: finds the keypoints of images with a pose estimator, and writes them to a CSV."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep import SPLITS
from data_prep.annotation_report import PICTURE_SIDE, draw_preview, other_files, people_seen, summary
from data_prep.journal import Entry, Journal
from data_prep.reading import divide, read_batches
from pose_gan import runtime
from pose_gan.data.shards import Shard, files_of_shards
from pose_gan.errors import InputError
from pose_gan.estimators import DEMO, Estimator, EstimatorConfig, check_estimator, load_estimator
from pose_gan.files.atomic import remove_parts
from pose_gan.files.folders import dataset_path, is_background, list_images, make_folder
from pose_gan.files.lock import only_program
from pose_gan.poses.keypoints import (
    Annotations,
    name_problem,
    read_annotations,
    write_annotations,
)
from pose_gan.poses.skeleton import Skeleton, load_skeleton
from pose_gan.programs.flags import add_config_arguments, add_shard_arguments, pick
from pose_gan.programs.verbs import verb_parser
from pose_gan.versions import versions

EPILOG = """examples:
  pose-gan data annotate --dataset demo --pose_estimator demo
  pose-gan data annotate --dataset mine --pose_estimator pose_landmarker_full.task --preview preview
  pose-gan data annotate --dataset market --pose_estimator pose_estimator.h5

in four programs, on as many machines as you have, and then:
  pose-gan data annotate --dataset market --pose_estimator pose_estimator.h5 --shard 1/4   (2/4, 3/4, 4/4)
  pose-gan data annotate --dataset market --pose_estimator pose_estimator.h5 --merge 4

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
    add_shard_arguments(parser, "images", "write the CSV from the results of all shards")
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
        work = Work(estimator, folder, path, settings, args.batch_size, args.overwrite)
        if args.shard.count > 1:
            annotate_shard(work, args.shard)
            continue
        annotated = annotate(work, args.merge)
        print(summary(annotated, estimator), flush=True)
        if args.preview:
            draw_preview(annotated, folder, args.preview / split, estimator)
            print(f"pictures -> {args.preview / split}, contact sheet -> {args.preview / split}.png")
    return 0


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be annotated, and how.

    Attributes:
        estimator: the estimator that finds the keypoints.
        folder: folder of the images.
        path: the CSV; its rows stay unchanged, and rows of new images follow them.
        settings: settings on which the results depend; a journal with other settings is refused.
        batch_size: images of one size per call; None: the estimator's choice.
        overwrite: whether the CSV and the journal are discarded first.
    """

    estimator: Estimator
    folder: Path
    path: Path
    settings: dict[str, Any]
    batch_size: int | None = None
    overwrite: bool = False

    @cached_property
    def old(self) -> Annotations:
        """What the CSV has, unless it is discarded. Raises InputError: it cannot be read."""
        if self.path.exists() and not self.overwrite:
            return read_annotations(self.path, self.estimator.skeleton)
        return Annotations((), np.zeros((0, self.estimator.skeleton.num_joints, 2), np.int32), str(self.path))

    @cached_property
    def names(self) -> list[str]:
        """The images to annotate, in the order of the CSV."""
        return [name for name in list_images(self.folder) if not is_background(name) and name not in self.old.rows]

    @cached_property
    def batches(self) -> list[list[str]]:
        return divide(self.folder, self.names, self.size)

    @property
    def size(self) -> int:
        return self.batch_size or self.estimator.preferred_batch

    @property
    def journal_path(self) -> Path:
        return Path(f"{self.path}.journal")

    def journal(self, shard: Shard = Shard(), fresh: bool = False) -> Journal:  # noqa: B008
        """The journal; that of a shard belongs to these images. Raises InputError: it has other settings."""
        settings = self.settings | {"batch_size": self.size}
        if shard.count == 1:
            return Journal(self.journal_path, settings, fresh)
        sizes = "".join(f"{name}\t{(self.folder / name).stat().st_size}\n" for name in self.names)
        digest = hashlib.sha256(sizes.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        of_shard = {"shard": str(shard), "images": digest, "versions": versions()}
        return Journal(shard.path(self.journal_path), settings | of_shard, fresh)

    def alone(self, shard: Shard = Shard()) -> AbstractContextManager[None]:  # noqa: B008
        """Holds the lock of the CSV, or of a shard of it."""
        if shard.count == 1:
            return only_program(Path(f"{self.path}.lock"), self.path)
        return only_program(Path(f"{self.path}.{shard.tag}.lock"), f"shard {shard} of {self.path}")


def annotate(work: Work, shards: int = 0) -> Annotations:
    """Annotates the images of a folder, and writes a CSV when all of them are done.

    Until then the results stand in a journal beside the CSV (`<path>.journal`). The results of a batch are on
    disk before the next batch begins, and a later call continues from there. An interruption does not change
    the batches, so it does not change the CSV.

    Args:
        work: what is to be annotated.
        shards: the number of shards whose journals are merged; 0: the images are annotated here.
    Returns: all annotations that now stand in the CSV.
    Raises: InputError: the CSV cannot be read, a journal has other settings, or another program annotates these
        images; a shard is missing or not at its end.
    """
    make_folder(work.path.parent)
    with contextlib.ExitStack() as held:
        held.enter_context(work.alone())
        remove_parts(work.path.parent, work.path.name)
        choice = ""
        if shards:
            journals = _journals(work, shards, held)
        else:
            journals = [held.enter_context(work.journal(fresh=work.overwrite))]
            choice = _find_keypoints(work, work.batches, journals[0])
        entries = {name: entry for journal in journals for name, entry in journal.entries.items()}
        outcomes = [entries[name] for name in work.names]
        annotated = _write(work, outcomes)
        for journal in journals:
            journal.delete()
    _tell(work, outcomes, choice)
    return annotated


def annotate_shard(work: Work, shard: Shard) -> None:
    """Annotates the images of a shard. The results stand in its journal, `<path>.K-of-N.journal`, for the merge.

    Raises: InputError: as of `annotate`.
    """
    make_folder(work.path.parent)
    batches = [work.batches[number] for number in shard.rows(len(work.batches))]
    with work.alone(shard), work.journal(shard, work.overwrite) as journal:
        _find_keypoints(work, batches, journal)
    print(f"shard {shard}: {sum(map(len, batches))} of {len(work.names)} images annotated -> {journal.path}")
    print(f"after all shards: the same command with --merge {shard.count} in place of --shard {shard}", flush=True)


def _journals(work: Work, count: int, held: contextlib.ExitStack) -> list[Journal]:
    """The journals of all shards, which have all images. Raises InputError: one is missing, or has not."""
    journals = []
    for number, path in enumerate(files_of_shards(work.journal_path, count), start=1):
        shard = Shard(number, count)
        held.enter_context(work.alone(shard))
        journal = held.enter_context(work.journal(shard))
        names = [name for place in shard.rows(len(work.batches)) for name in work.batches[place]]
        if missing := [name for name in names if name not in journal.entries]:
            raise InputError(
                f"{path}: shard {shard} was stopped: {len(missing)} of its {len(names)} images are missing; run the "
                f"command with --shard {shard}, which goes on from there"
            )
        journals.append(journal)
    return journals


def _write(work: Work, outcomes: Sequence[Entry]) -> Annotations:
    """Writes the CSV."""
    old, good = work.old, [entry for entry in outcomes if entry.error is None]
    fresh = np.array([entry.keypoints for entry in good], np.int32).reshape(-1, *old.keypoints.shape[1:])
    annotated = Annotations(
        (*old.names, *(entry.name for entry in good)), np.concatenate([old.keypoints, fresh]), str(work.path)
    )
    write_annotations(work.path, annotated.names, annotated.keypoints)
    return annotated


def _tell(work: Work, outcomes: Sequence[Entry], choice: str) -> None:
    """Prints what could not be used, and how many people were seen."""
    good = [entry for entry in outcomes if entry.error is None]
    if len(good) < len(outcomes):
        print(f"{len(outcomes) - len(good)} images could not be used and are not in {work.path}:")
        print("\n".join(f"  {entry.error}" for entry in outcomes if entry.error is not None))
    if others := other_files(work.folder):
        print(f"{work.folder}: {len(others)} other files, left out:")
        print("\n".join(f"  {work.folder / name}: {why}" for name, why in others.items()))
    if good:
        print(people_seen(good, choice))


def _find_keypoints(work: Work, batches: Sequence[Sequence[str]], journal: Journal) -> str:
    """Brings the journal up to date, so that it has an entry for each image of the batches.

    Returns: how the estimator chose among several people; empty if it was not asked or looks for one only.
    """
    choice, folder, names = "", work.folder, [name for batch in batches for name in batch]
    before = set(journal.entries) & set(names)
    if before:
        print(f"{folder}: {len(before)} of {len(names)} images were done before the break", flush=True)
    started = time.perf_counter()
    with tqdm(total=len(names), initial=len(before), desc=folder.name, unit="image") as progress:
        for batch in read_batches(folder, batches, before):
            entries = [Entry(name, error=error) for name, error in batch.errors.items()]
            if batch.images is not None:
                poses = work.estimator(batch.images)
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
