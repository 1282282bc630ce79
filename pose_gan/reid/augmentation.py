"""Augmentation of a training set for re-identification: real people in further poses (paper, Appendix C).

Every valid training image is a source, and gets target poses that are drawn from the other training images, of any
person. The generated images stand beside the real ones, so the folder takes the place of the original one everywhere:

| in the output folder | what |
| --- | --- |
| the real images, with their names | hard links, or copies |
| `<stem of the source>g0.jpg`, `…g1.jpg`, … | generated images |
| `augmentation.csv` | a row per generated image: `file,source,target,person` |
| `augmentation.json` | the settings, to which the folder is held |
| `augmentation.K-of-N.json` | the settings of a shard that is done; the merge compares and deletes them |

For Market-1501's folder of folders, the images stand in `bounding_box_train`, and `query` and `bounding_box_test` are
linked too.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pose_gan.data.shards import Shard, check_complete, check_none_works, files_of_shards, shards_of
from pose_gan.errors import InputError
from pose_gan.evaluation.generation import BATCH_SIZE, generate_missing, generator_hash
from pose_gan.evaluation.processes import in_turn
from pose_gan.files.atomic import PART, atomic_path, remove_parts
from pose_gan.files.folders import list_images, make_folder
from pose_gan.files.images import QUALITY, read_image, save_image
from pose_gan.files.text import csv_text, read_text, write_json, write_text
from pose_gan.model_files.saving import settings_of
from pose_gan.networks import compiled
from pose_gan.poses.drawing import to_uint8
from pose_gan.poses.skeleton import COCO18, Skeleton
from pose_gan.reid.augmentation_plan import Plan
from pose_gan.reid.images import PARTS
from pose_gan.versions import versions

RECORD, LIST = "augmentation.json", "augmentation.csv"
REAL = ("link", "copy", "none")
BLOCK = 4096  # bytes that file systems give to a file at once
SAMPLED = 8  # images whose size on disk is measured beforehand
_END_OF_JPEG = b"\xff\xd9"


@dataclass(frozen=True)
class Needs:
    """What a generator takes.

    Attributes:
        image_size: (height, width) in pixels.
        skeleton: joints of its poses.
        use_bg: whether it takes the target's background.
        truncate: whether its images are cut to 8 bits, as in the authors' release, and not rounded.
    """

    image_size: tuple[int, int]
    skeleton: Skeleton
    use_bg: bool
    truncate: bool = False


def needs_of(generator: keras.Model, skeleton: Skeleton | None = None) -> Needs:
    """What a generator takes. The skeleton is for a generator of another program (None: the 18 COCO joints).

    Raises: InputError: the generator has another skeleton.
    """
    try:
        model = settings_of(generator)
    except ValueError:  # of another program
        shapes = {tensor.name: tuple(tensor.shape[1:]) for tensor in generator.inputs}
        return Needs(shapes["source_image"][:2], skeleton or COCO18, "background" in shapes)
    if skeleton not in (None, model.skeleton):
        raise InputError(
            f"--skeleton: the generator was trained with the skeleton {model.skeleton.name}, got {skeleton.name}; "
            "leave the flag out"
        )
    return Needs(model.image_size, model.skeleton, model.use_bg, model.compat == "release")


def augment(
    generator: keras.Model,
    plan: Plan,
    output_dir: str | os.PathLike[str],
    shard: Shard | None = None,
    batch_size: int = BATCH_SIZE,
    quality: int = QUALITY,
    real: str = REAL[0],
    command: str = "",
) -> int:
    """Generates the images of a plan beside the real ones. What is there and whole is not made again.

    The files do not depend on the number of shards or on kills in between. Another batch size may change the last bits
    of the generator's output. Several programs may work on one folder, if their shards differ.

    Args:
        generator: a model as `load_generator` returns it.
        plan: from `plan_augmentation`.
        output_dir: the folder; it is made if it does not exist.
        shard: the share to generate; None: all.
        batch_size: images that go through the network together.
        quality: of the JPEG files, 1 to 100.
        real: how the real images get there: `link` (hard links, or copies where links cannot be made), `copy`, or
            `none`, which leaves them out.
        command: the command line, for the record.
    Returns: the number of images that this call generated.
    Raises: InputError: the folder holds something else, or images of other settings; another program works on this
        shard; the images do not fit on the disk, or a batch into memory; an image cannot be read; the generator's
        output is not finite.
    """
    shard, output, settings = shard or Shard(), Path(output_dir), _settings(generator, plan, quality)
    if output.resolve() in (plan.root.resolve(), plan.data.images_dir.resolve()):
        raise InputError(f"--output_dir {output}: is the folder of the real images; give another one")
    folder = make_folder(output / plan.part)
    _claim(output, folder, settings, _list(plan), command)
    truncate = needs_of(generator).truncate
    with shard.alone(output):
        mine = shard.rows(len(plan.files), batch_size)
        files = _real_files(plan, shard) if real != "none" else []
        _remove_parts(output, [place for _, place in files] + [Path(plan.part, plan.files[row]) for row in mine])
        there = set(list_images(folder))
        done = [row not in mine or (name in there and _is_whole(folder / name)) for row, name in enumerate(plan.files)]
        is_copied = real == "copy" or plan.root.stat().st_dev != output.stat().st_dev
        _check_room(plan, output, len(done) - sum(done), quality, files if is_copied else ())
        _place_real(files, output, real == "link")

        write = writer(plan, folder, quality, truncate)
        try:
            made = generate_missing(compiled(generator), plan.data, done, write, batch_size, "image")
        except tf.errors.ResourceExhaustedError:
            raise InputError(f"--batch_size {batch_size}: does not fit into memory; give a smaller one") from None
        if shard.count > 1:
            write_json(shard.path(output / RECORD), {"settings": settings | {"shard": str(shard)}})
        return made


def merge(
    generator: keras.Model,
    plan: Plan,
    output_dir: str | os.PathLike[str],
    count: int,
    batch_size: int = BATCH_SIZE,
    quality: int = QUALITY,
    real: str = REAL[0],
) -> None:
    """Checks that shards have made all images, and deletes what they left for this check.

    Args: as of `augment`; `count` is the number of shards.
    Raises: InputError: a shard is missing, in work, or of other settings; images are missing, and the message says of
        which shards they are.
    """
    output, settings = Path(output_dir), _settings(generator, plan, quality)
    if not output.is_dir():
        raise InputError(f"{output}: no such folder; run the command with --shard 1/{count} and so on")
    check_none_works(output)
    records = files_of_shards(output / RECORD, count)
    _check_settings(output / RECORD, settings)
    for path, shard in zip(records, shards_of(count), strict=True):
        _check_settings(path, settings | {"shard": str(shard)})
    folder = output / plan.part
    there = set(list_images(folder))
    missing = [row for row, name in enumerate(plan.files) if name not in there or not _is_whole(folder / name)]
    check_complete(output, "generated images", missing, len(plan.files), batch_size, count)
    for shard in shards_of(count) if real != "none" else ():
        places = [output / place for _, place in _real_files(plan, shard)]
        if absent := [place for place in places if not place.is_file()]:
            raise InputError(
                f"{absent[0]}: no such file ({len(absent):,} real images of shard {shard} are missing); run the "
                f"command with --shard {shard}, or copy its files into this folder"
            )
    for path in records:
        path.unlink()


def writer(
    plan: Plan, folder: Path, quality: int = QUALITY, truncate: bool = False
) -> Callable[[int, np.ndarray, np.ndarray, np.ndarray], None]:
    """What `generate_missing` calls to write the generated image of a row of the plan into a folder, atomically."""

    def write(row: int, source: np.ndarray, target: np.ndarray, image: np.ndarray) -> None:
        name = plan.files[row]
        with atomic_path(folder / name) as temporary:
            save_image(temporary, _pixels(image, name, truncate), quality)

    return write


def _pixels(image: np.ndarray, name: str, truncate: bool) -> np.ndarray:
    try:
        return to_uint8(image, truncate)
    except InputError as error:
        raise InputError(
            f"{name}: the generator's output is not an image: {error}; its training may have diverged, try an earlier "
            "checkpoint"
        ) from None


def _claim(output: Path, folder: Path, settings: dict[str, Any], listed: str, command: str) -> None:
    """Claims the output folder, whose images stand in `folder`, for an augmentation with these settings.

    Its record and its list are written.

    Raises: InputError: it belongs to something else.
    """
    record = output / RECORD
    with in_turn(output, print):  # shards that start together
        for name in (RECORD, LIST):
            remove_parts(output, name)
        if not record.exists():
            if strangers := list_images(folder):
                raise InputError(
                    f"{folder}: holds images that were not made here ({strangers[0]}); give another folder"
                )
            write_text(output / LIST, listed)
            write_json(record, {"settings": settings, "command": command, "versions": versions()})
            return
    _check_settings(record, settings)


def _check_settings(record: Path, settings: dict[str, Any]) -> None:
    """Raises InputError unless a record holds these settings."""
    try:
        earlier = json.loads(read_text(record))["settings"]
        changed = next((name for name, value in settings.items() if earlier.get(name) != value), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{record}: cannot be read: {error!r}; give another folder") from None
    if changed:
        raise InputError(
            f"{record.parent}: holds images that were made with another {changed}; give the same settings, which "
            f"{record.name} holds, or another folder"
        )


def _settings(generator: keras.Model, plan: Plan, quality: int) -> dict[str, Any]:
    """What decides the pixels of all images; of the images' files, the names and sizes count."""
    names = sorted(plan.data.names)
    rows = [plan.data.annotations.rows[name] for name in names]
    sizes = "".join(f"{name}\t{plan.data.image_path(name).stat().st_size}\n" for name in names)
    return {
        "generator": generator_hash(generator),
        "images": _hash(sizes.encode()),
        "annotations": _hash(plan.data.annotations.keypoints[rows].tobytes()),
        "per_image": plan.per_image,
        "seed": plan.seed,
        "quality": quality,
        "choice of poses": _hash(_list(plan).encode()),  # another version of NumPy may draw others
    }


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _list(plan: Plan) -> str:
    """The CSV of all generated images."""
    pairs = zip(plan.files, plan.data.pairs.to_numpy(), plan.people, strict=True)
    rows = [(file, source, target, person) for file, (source, target), person in pairs]
    return csv_text([("file", "source", "target", "person"), *rows])


def _remove_parts(output: Path, files: Sequence[Path]) -> None:
    """Deletes what a killed program left unfinished of these files; others may be in work by other shards."""
    stems = {(file.parent, file.stem) for file in files}
    for part in {file.parent for file in files}:
        for path in (output / part).glob(f".*{PART}"):
            if (part, path.name[1:].rsplit(".", 3)[0]) in stems:  # .STEM.RANDOM.SUFFIX.part
                shutil.rmtree(path, ignore_errors=True)


def _is_whole(path: Path) -> bool:
    """Whether a JPEG file has its end; what was not yet on the disk when the power failed may lack it."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - len(_END_OF_JPEG)))
        return file.read() == _END_OF_JPEG


# ----------------------------------------------------------------------------- disk and real images


def _real_files(plan: Plan, shard: Shard) -> list[tuple[Path, Path]]:
    """The real images of a shard: where each stands, and its place below the output folder."""
    files = [
        (plan.root / part / name, Path(part) / name)
        for part in (PARTS if plan.part else ("",))
        for name in (plan.real if part == plan.part else list_images(plan.root / part))
    ]
    return files[shard.number - 1 :: shard.count]


def _check_room(plan: Plan, output: Path, count: int, quality: int, copied: Sequence[tuple[Path, Path]]) -> None:
    """Raises InputError if the images will not fit on the disk, judged by the sizes of some sources at this quality."""
    sizes = [0]
    with tempfile.TemporaryDirectory() as scratch:
        sample = Path(scratch) / "sample.jpg"
        for name in plan.data.names[:: -(-len(plan.data.names) // SAMPLED)] if count else ():
            save_image(sample, read_image(plan.data.image_path(name)), quality)
            sizes.append(sample.stat().st_size)
    needed = count * BLOCK * -(-max(sizes) // BLOCK)
    needed += sum(source.stat().st_size for source, place in copied if not (output / place).exists())
    if (free := shutil.disk_usage(output).free) < needed:
        raise InputError(
            f"{output}: {count:,} images need about {-(-needed // 2**20):,} MiB, and {free // 2**20:,} MiB are free; "
            "make room, or take a smaller --per_image or --quality"
        )


def _place_real(files: Sequence[tuple[Path, Path]], output: Path, link: bool) -> None:
    """Puts real images into the output folder where they are not yet."""
    there = {part: set(list_images(make_folder(output / part))) for part in {place.parent for _, place in files}}
    for source, place in files:
        if place.name in there[place.parent]:
            continue
        if link:
            try:
                os.link(source.resolve(), output / place)
                continue
            except FileExistsError:
                continue
            except OSError:  # another disk, or a file system without hard links
                pass
        with atomic_path(output / place) as temporary:
            shutil.copyfile(source, temporary)
