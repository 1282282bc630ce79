"""Parts that the imports of published data sets share. All checks come first; then whole folders appear at once."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from data_prep import SPLITS
from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.files.folders import dataset_path
from pose_gan.files.images import read_header

ANNOTATIONS = Path("annotations")  # the default folder
EXAMPLES = 3  # number of names in a message that concerns many
_THREADS = 8

Files = Mapping[str, Path]  # name in the data set → the file from which it is made

Item = TypeVar("Item")
Result = TypeVar("Result")


def add_target_arguments(parser: argparse.ArgumentParser, dataset: str) -> None:
    """Adds `--dataset --images_dir --annotations_dir --link --overwrite`."""
    parser.add_argument(
        "--dataset", default=dataset, metavar="NAME", help="prefix of the folder and file names (default: %(default)s)"
    )
    parser.add_argument(
        "--images_dir",
        type=Path,
        metavar="DIR",
        help="folder that gets train/ and test/ (default: data/<dataset>-dataset)",
    )
    parser.add_argument(
        "--annotations_dir",
        type=Path,
        default=ANNOTATIONS,
        metavar="DIR",
        help="folder of the keypoint and pair CSVs (default: %(default)s)",
    )
    parser.add_argument(
        "--link",
        action="store_true",
        help="make hard links instead of copies: they need no space, and remain when SOURCE is deleted; "
        "both folders must be on one file system (default: copy)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files (default: refuse)")


def images_folder(options: argparse.Namespace) -> Path:
    """The folder that gets `train/` and `test/`."""
    return options.images_dir or dataset_path("data", options.dataset, "-dataset")


def advice(options: argparse.Namespace, verbs: Collection[str], released: bool = True, more: Sequence[str] = ()) -> str:
    """The commands to run after the import, with one command per line.

    Args:
        options: the options of a parser with `add_target_arguments`.
        verbs: the verbs of the commands; `annotate` is left out if its files exist.
        released: whether the keypoints that the authors published fit the imported split.
        more: further words of each command.
    """
    csvs = [dataset_path(options.annotations_dir, options.dataset, f"-annotation-{split}.csv") for split in SPLITS]
    text = "Next:"
    if released and "annotate" in verbs:
        if all(path.exists() for path in csvs):
            verbs = [verb for verb in verbs if verb != "annotate"]
        else:
            text = (
                f"Next (the first makes {csvs[0]} and {csvs[1].name}; leave it out if you put those of the authors' "
                "release there):"
            )
    images = ["--images_dir", str(options.images_dir)] if options.images_dir else []
    annotations = ["--annotations_dir", str(options.annotations_dir)] if options.annotations_dir != ANNOTATIONS else []
    tails = {"annotate": [*images, "--pose_estimator", "FILE"], "pairs": [], "check": images}
    commands = [
        ["pose-gan", "data", verb, "--dataset", options.dataset, *tails[verb], *annotations, *more] for verb in verbs
    ]
    return "\n".join([text, *(f"  {shlex.join(words)}" for words in commands)])


def examples(names: Collection[str]) -> str:
    """The first few names, and the number of the other names."""
    more = len(names) - EXAMPLES
    shown = ", ".join(name for name, _ in zip(names, range(EXAMPLES), strict=False))
    return f"{shown} and {more} more" if more > 0 else shown


def in_threads(function: Callable[[Item], Result], items: Collection[Item], label: str) -> list[Result]:
    """The results of `function` for all items, in order, computed in threads with a progress bar."""
    pool = ThreadPoolExecutor(_THREADS)
    try:
        return list(tqdm(pool.map(function, items), label, len(items), unit="image"))
    finally:
        pool.shutdown(cancel_futures=True)  # so Ctrl-C does not wait for tasks that have not begun


def refuse_targets(targets: Iterable[Path], source: Path, overwrite: bool) -> None:
    """Raises InputError if a target (file or folder) is in use, or `overwrite` would delete the source with it."""
    for target in targets:
        if target.resolve() in (source.resolve(), *source.resolve().parents):
            raise InputError(f"{target}: holds the source, {source}; choose another --images_dir")
        used = any(target.iterdir()) if target.is_dir() else target.exists()
        if used and not overwrite:
            raise InputError(f"{target}: already there; choose another folder or pass --overwrite to replace it")


def check_images(files: Collection[Path], image_size: tuple[int, int], advice: str) -> None:
    """Reads the header of every file.

    Args:
        files: image files.
        image_size: (height, width) in pixels that all files must have.
        advice: advice about a file of another size, with which the message ends.
    Raises: InputError: a file is not a JPEG of that size; the message names the first such file, and their number.
    """
    height, width = image_size

    def problem(path: Path) -> str:
        try:
            header = read_header(path)
        except InputError as error:
            return str(error)
        if header.format == "JPEG" and header.size == image_size:
            return ""
        return (
            f"{path}: {header.size[0]}x{header.size[1]} pixels (height x width) {header.format}, "
            f"expected {height}x{width} JPEG; {advice}"
        )

    problems = [text for text in in_threads(problem, files, "checking") if text]
    if problems:
        raise InputError(f"{problems[0]} ({len(problems)} of {len(files)} images are wrong)")


def place(
    splits: Mapping[str, Files], images_dir: Path, link: bool, copy: Callable[[Path, Path], object] | None = None
) -> None:
    """Makes the folders `images_dir/<split>` and replaces existing ones. All appear when the last is complete.

    Args:
        splits: split → its files.
        images_dir: folder that gets the splits.
        link: whether files are hard links instead of copies.
        copy: makes a file, the second argument, from its source, the first one; None: a plain copy.
    Raises: InputError: a file cannot be linked.
    """
    with contextlib.ExitStack() as stack:
        folders = {split: stack.enter_context(atomic_path(images_dir / split)) for split in splits}
        for split, files in splits.items():
            folders[split].mkdir()
            put = partial(_put, folder=folders[split], link=link, copy=copy or shutil.copyfile)
            in_threads(put, files.items(), f"{'linking' if link else 'copying'} {split}")
        for split in splits:
            remove(images_dir / split)


def _put(item: tuple[str, Path], folder: Path, link: bool, copy: Callable[[Path, Path], object]) -> None:
    name, source = item
    if not link:
        copy(source, folder / name)
        return
    try:
        os.link(os.path.realpath(source), folder / name)  # links the file itself if the source is a symbolic link
    except OSError as error:
        raise InputError(f"{source}: cannot be hard-linked ({error.strerror}); leave --link off to copy") from None


def remove(folder: Path) -> None:
    """Deletes a folder, or a symbolic link to a folder, if it exists."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
