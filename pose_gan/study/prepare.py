"""Writes the folder of a study: images of one size and format under neutral numbers, and the key to them."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from PIL import Image as Pixels

from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.files.images import save_image
from pose_gan.files.text import csv_text, write_json, write_text
from pose_gan.study import plan
from pose_gan.study.choice import Choice, Chosen, choose
from pose_gan.study.plan import Study, StudyFolder, image_path, read_study
from pose_gan.study.sources import Picture, System
from pose_gan.versions import versions

INTRODUCTION = """You will see images one after the other, each for a short time. Some of them are real photos. The \
others were made by a computer program.

After each image, say whether it was real or generated. If you are not sure, go by your first impression."""
FEW = 4  # sizes that are listed
VISIBLE = 0.03  # change of the proportions above which a remark is made
HEIGHT = 400  # CSS pixels, about, in which an image is shown unless a scale is given


def default_scale(image_size: tuple[int, int]) -> int:
    """CSS pixels per image pixel, so that an image is about `HEIGHT` high; at least 1."""
    return max(1, round(HEIGHT / image_size[0]))


def check_free(folder: str | os.PathLike[str]) -> None:
    """Raises InputError if a study cannot be written to a folder because there is something in it already."""
    folder = Path(folder)
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; give the name of a new folder")
    if (folder / plan.SETTINGS).exists():
        raters = len(list((folder / plan.RATERS).glob("r*.jsonl")))
        raise InputError(f"{folder}: holds a study already, with the answers of {raters} raters; give another folder")
    if any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; give the name of a new folder")


def prepare(
    folder: str | os.PathLike[str],
    study: Study,
    systems: Sequence[System],
    real: Mapping[str, Picture],
    command: str = "",
) -> StudyFolder:
    """Writes a study, or nothing at all.

    Two calls with the same arguments and images write the same bytes.

    Args:
        folder: a folder that is absent or empty.
        study: the settings; remarks on the images are added to them.
        systems: where the generated images come from, in the order of `study.systems`.
        real: the real images by name.
        command: the user's command line, for the record.
    Returns: the study, as it was read again.
    Raises: InputError: the folder holds something, there are too few images, one cannot be read, or a generated image
        is the same as a real one.
    """
    check_free(folder)
    choice = choose(study, systems, real)
    pixels = [one.picture.read() for one in choice.images]
    _check_copies(choice.images, pixels)
    remarks = [*choice.remarks, *_sizes(choice.images, pixels, study), *_formats(choice.images)]
    study = replace(study, remarks=(*study.remarks, *remarks), salt=_salt(pixels))
    numbers = (np.random.default_rng([study.seed, study.salt]).permutation(len(pixels)) + 1).tolist()
    with atomic_path(folder) as temporary:
        (temporary / plan.IMAGES).mkdir(parents=True)
        for number, image in zip(numbers, pixels, strict=True):
            save_image(image_path(temporary, number), _resampled(image, study.image_size))
        _write_lists(temporary, choice, numbers)
        record = {"format": plan.FORMAT, "study": asdict(study), "command": command, "versions": versions()}
        write_json(temporary / plan.SETTINGS, record)
        read_study(temporary)
    return read_study(folder)


def _salt(pixels: Sequence[np.ndarray]) -> int:
    """A number below 2**48 that the images give in the order of the choice, which is known to no rater."""
    digest = hashlib.sha256()
    for image in pixels:
        digest.update(image.tobytes())
    return int.from_bytes(digest.digest()[:6], "big")


def _write_lists(folder: Path, choice: Choice, numbers: Sequence[int]) -> None:
    shown = sorted(zip(numbers, choice.images, strict=True))
    rows = [
        (number, one.part, one.kind, one.system, _line(one.picture.source), _line(one.picture.target), sha256)
        for number, one in shown
        for sha256 in [hashlib.sha256(image_path(folder, number).read_bytes()).hexdigest()]
    ]
    write_text(folder / plan.KEY, csv_text([plan.KEY_COLUMNS, *rows]))
    if choice.comparisons:
        rows = [
            (place, *(numbers[part] for part in one), *(choice.images[part].system for part in one[1:]))
            for place, one in enumerate(choice.comparisons, start=1)
        ]
        write_text(folder / plan.COMPARISONS, csv_text([plan.COMPARISON_COLUMNS, *rows]))


def _line(name: str) -> str:
    """The name of a file on one line, and with its bytes that are no text as escapes."""
    return " ".join(name.splitlines()).encode("utf-8", "backslashreplace").decode()


# ------------------------------------------------------------------------------------- one size, one format


def _resampled(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    return np.asarray(Pixels.fromarray(image).resize((size[1], size[0]), Pixels.Resampling.LANCZOS))


def _sizes(images: Sequence[Chosen], pixels: Sequence[np.ndarray], study: Study) -> list[str]:
    """Says which images were brought to the common size, and from which sizes."""
    found: dict[str, list[tuple[int, ...]]] = {}
    for one, image in zip(images, pixels, strict=True):
        if image.shape[:2] != study.image_size:
            found.setdefault(_class(one), []).append(image.shape[:2])
    to, (height, width) = _text(study.image_size), study.image_size
    remarks = []
    for name, sizes in found.items():
        different = list(map(_text, sorted(set(sizes))))
        if len(different) > FEW:
            different = [f"{len(different)} sizes from {different[0]} to {different[-1]}"]
        remarks.append(
            f"Images were resampled (Lanczos) to {to} pixels (height x width), which raters may see: {name}, "
            f"{len(sizes)} images of {', '.join(different)}."
        )
        bent = sum(abs(math.log(one[1] * height / one[0] / width)) > math.log(1 + VISIBLE) for one in sizes)
        if bent:
            remarks.append(
                f"People look wider or thinner than they were, by more than {100 * VISIBLE:.0f} %, in {bent} {name}: "
                "they have other proportions. Cut them to one shape before."
            )
    return remarks


def _formats(images: Sequence[Chosen]) -> list[str]:
    """Says which images were JPEG files, if not all or none were: their blocks are something that raters might see."""
    count, jpeg = Counter(map(_class, images)), Counter(_class(one) for one in images if one.picture.was_jpeg)
    if not jpeg or jpeg == count:
        return []
    shares = ", ".join(f"{jpeg[name]} of {total} {name}" for name, total in count.items())
    return [f"Some images were JPEG files before, and raters might see its traces: {shares}."]


def _class(one: Chosen) -> str:
    return f"generated images of {one.system}" if one.system else "real images"


def _text(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]}"


def _check_copies(images: Sequence[Chosen], pixels: Sequence[np.ndarray]) -> None:
    """Raises InputError if a generated image has the pixels of a real one."""
    real = {(image.shape, image.tobytes()): one for one, image in zip(images, pixels, strict=True) if not one.system}
    for one, image in zip(images, pixels, strict=True):
        same = real.get((image.shape, image.tobytes()))
        if one.system and same is not None:
            raise InputError(
                f"{one.picture.path}: a generated image of {one.system} has the pixels of the real image "
                f"{same.picture.target}; give other folders"
            )
