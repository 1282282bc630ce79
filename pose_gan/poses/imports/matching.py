"""Which image each entry of a file belongs to: by name, by stem, or by the number of a frame."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pose_gan.errors import InputError
from pose_gan.poses.imports.table import Key


@dataclass(frozen=True)
class Match:
    """The images that have keypoints.

    Attributes:
        keys: name of an image → its entry in the file, in the order of the images.
        how: the last of the rules by which they were found: `name`, `stem`, `DeepFashion`, `order` or `number`.
    """

    keys: dict[str, Key]
    how: str


def match(keys: Collection[Key], names: Sequence[str], path: str, by_number: bool = True) -> Match:
    """Finds the image of each entry.

    An entry is of the image whose file has the same name; of the others, whose name is the same without folder and
    suffix; of the others, that is the same DeepFashion image in another spelling. If no name fits, numbers decide: if
    both sides are numbered without gaps and are equally many, their orders agree; otherwise the last number in the name
    is the same.

    Args:
        keys: the entries of the file.
        names: file names of the images, without folders.
        path: the file, for messages.
        by_number: whether the last two rules, which look at numbers alone, are tried.
    Raises: InputError: two entries fit one image. No match at all is no error.
    """
    texts = {key: _composed(PurePosixPath(str(key).replace("\\", "/")).name) for key in keys}
    rules: list[tuple[str, Callable[[str], str]]] = [("name", str), ("stem", _stem), ("DeepFashion", _deepfashion)]
    found: dict[str, Key] = {}
    last = "name"
    for how, rule in rules:
        images = {rule(_composed(name)): name for name in reversed(names) if name not in found and rule(name)}
        used = set(found.values())
        more = _pairs([(images.get(rule(text)), key) for key, text in texts.items() if key not in used], path)
        found, last = {**found, **more}, how if more else last
    if found:
        return Match(_ordered(found, names), last)
    if not by_number:
        return Match({}, "name")
    numbers = {key: number for key in keys if (number := _number(str(key))) is not None}
    of_names = {name: number for name in names if (number := _number(_stem(name))) is not None}
    if _without_gaps(numbers.values()) and _without_gaps(of_names.values()) and len(numbers) == len(of_names):
        in_order = sorted(of_names, key=of_names.__getitem__)
        return Match(
            _ordered(dict(zip(in_order, sorted(numbers, key=numbers.__getitem__), strict=True)), names), "order"
        )
    images = {number: name for name, number in of_names.items()}
    if len(images) < len(of_names):
        return Match({}, "number")
    return Match(
        _ordered(_pairs([(images.get(number), key) for key, number in numbers.items()], path), names), "number"
    )


def _pairs(pairs: Sequence[tuple[str | None, Key]], path: str) -> dict[str, Key]:
    found: dict[str, Key] = {}
    for name, key in pairs:
        if name is None:
            continue
        if name in found:
            raise InputError(f"{path}: {found[name]} and {key} both fit the image {name}; keep one of them")
        found[name] = key
    return found


def _ordered(found: dict[str, Key], names: Sequence[str]) -> dict[str, Key]:
    return {name: found[name] for name in names if name in found}


def _composed(name: str) -> str:
    """A name with each accented letter as one character; file names that were on a Mac have two."""
    return unicodedata.normalize("NFC", name)


def _stem(name: str) -> str:
    """A name without the suffix of an image or of a file of keypoints."""
    path = Path(name)
    return path.stem if re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{1,4}", path.suffix) else name


def _deepfashion(name: str) -> str:
    """The part of the name of a DeepFashion image that all spellings share; empty for other names."""
    text = re.sub(r"^fash?ion(?=(WO)?MEN)", "", name)
    return "" if text == name else _stem(text).replace("_", "")


def _number(text: str) -> int | None:
    numbers = re.findall(r"\d+", text)
    return int(numbers[-1]) if numbers else None


def _without_gaps(numbers: Collection[int]) -> bool:
    return len(set(numbers)) == len(numbers) and bool(numbers) and max(numbers) - min(numbers) == len(numbers) - 1
