"""Makes command-line flags from the settings' dataclasses. So a flag, its help and its default stand in one place.

Libraries that do this (tyro, jsonargparse, simple-parsing) take 0.1 s and more to import, for which every `--help`
would wait, and by default they spell the release's flags (`--use_bg 0|1`, `--image_size 128x64`) in another way.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Collection
from typing import Any, TypeVar

from pose_gan import config as c
from pose_gan.config import DataConfig, ModelConfig, TrainConfig
from pose_gan.data.pairs import person_by
from pose_gan.data.shards import Shard
from pose_gan.errors import InputError
from pose_gan.estimators.base import COLOUR_ORDERS, INPUT_RANGES
from pose_gan.poses.skeleton import Skeleton, load_skeleton
from pose_gan.reid import settings as r

Config = TypeVar("Config")

CHOICES = {
    "warp_skip": c.WARP_SKIPS,
    "warp_agg": c.WARP_AGGREGATIONS,
    "warp_interpolation": (c.AUTO, *c.INTERPOLATIONS),
    "disc_type": c.DISCRIMINATORS,
    "pose_rep_type": c.POSE_REPRESENTATIONS,
    "norm": (c.AUTO, *c.NORMALISATIONS),
    "compat": c.COMPATS,
    "nn_loss_reduction": c.REDUCTIONS,
    "precision": c.PRECISIONS,
    "colour_order": COLOUR_ORDERS,
    "input_range": INPUT_RANGES,
    "backbone": r.BACKBONES,
    "method": r.METHODS,
    "optimizer": r.OPTIMIZERS,
    "schedule": r.SCHEDULES,
    "batch_norm": r.BATCH_NORMS,
    "crop": r.CROPS,
    "generated_labels": r.GENERATED_LABELS,
}
FOLLOWS_DATA = {
    ModelConfig: {"image_size": "the data set's"},
    TrainConfig: {"batch_size": "the data set's: market 4, fashion 2"},
}
"""Settings class → its fields whose defaults are the data set's, and how that is said."""


def boolean(text: str) -> bool:
    """Type of flags that take 0 or 1, as in the release."""
    if text not in ("0", "1"):
        raise argparse.ArgumentTypeError(f"expected 0 or 1, got {text!r}")
    return text == "1"


def image_size(text: str) -> tuple[int, int]:
    """Type of flags that take a size, `HEIGHTxWIDTH` in pixels."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH in pixels, such as 128x64, got {text!r}")
    return int(match[1]), int(match[2])


def skeleton(path: str) -> Skeleton:
    """Type of flags that take a skeleton file."""
    try:
        return load_skeleton(path)
    except InputError as error:  # argparse drops the message of a ValueError such as InputError
        raise argparse.ArgumentTypeError(str(error)) from None


def add_config_arguments(
    parser: argparse.ArgumentParser,
    kind: type,
    title: str,
    names: Collection[str] | None = None,
    left_out: Collection[str] = (),
) -> None:
    """Adds a flag for each field of the settings class `kind`. Flags that are not given are absent from the result.

    Args:
        parser: the parser that gets the flags.
        kind: the settings class, a dataclass.
        title: title of the group of flags.
        names: names of the fields; None: all fields.
        left_out: names of fields that get no flag.
    """
    group = parser.add_argument_group(title)
    descriptions, hints = field_descriptions(kind), typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if (names is not None and field.name not in names) or field.name in left_out:
            continue
        options: dict[str, Any] = {"type": _flag_type(field.name, hints[field.name]), "default": argparse.SUPPRESS}
        if field.name in CHOICES:
            options["choices"] = CHOICES[field.name]
        elif field.name == "image_size":
            options["metavar"] = "HxW"
        elif options["type"] is boolean:
            options["metavar"] = "0|1"
        else:
            options["metavar"] = _metavar(field.name, options["type"])
        help_text = descriptions[field.name]
        if not re.search(r"; None: .*$", help_text):  # such a text already says the default
            help_text += f" (default: {_shown_default(kind, field)})"
        help_text = help_text.replace("; None: ", "; default: ")
        group.add_argument(f"--{field.name}", help=help_text.replace("%", "%%"), **options)


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--dataset --images_dir --annotations_dir --pairs_dir`."""
    add_config_arguments(parser, DataConfig, "data")


def add_person_argument(group: argparse._ActionsContainer) -> None:
    """Adds `--person`; `pose_gan.data.pairs.person_by` makes the rule of its value."""
    group.add_argument(
        "--person",
        type=_person,
        metavar="REGEX",
        help="which part of an image's name is the person: what the regular expression finds, or its first (group), "
        "such as '^[^-]+' for anna-1.jpg; '': no part of it, since all images show one person or one animal "
        "(default: up to the first _, or the last one in DeepFashion's names)",
    )


def add_shard_arguments(group: argparse._ActionsContainer, items: str, merged: str) -> None:
    """Adds `--shard K/N`, a `Shard`, and `--merge N`.

    Args:
        group: the group that gets the flags.
        items: what is divided, in the plural.
        merged: what `--merge` does, in words.
    """
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--shard",
        type=_shard,
        default=Shard(),
        metavar="K/N",
        help=f"do the K-th of N shares of the {items}, in one folder for all or in folders that are copied together "
        "afterwards (default: 1/1)",
    )
    either.add_argument(
        "--merge", type=count, default=0, metavar="N", help=f"after N shards, with the same other flags: {merged}"
    )


def _shard(text: str) -> Shard:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 1 to N, such as 1/4, got {text!r}")
    return Shard(int(match[1]), int(match[2]))


def count(text: str) -> int:
    """Type of flags that take a number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def _person(text: str) -> str:
    try:
        person_by(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def pick(kind: type[Config], args: argparse.Namespace, base: Config | None = None) -> Config:
    """The settings `kind`: the flags that were given override `base` (default: the defaults of `kind`)."""
    names = [field.name for field in dataclasses.fields(kind)]  # pyright: ignore[reportArgumentType]
    given = {name: getattr(args, name) for name in names if hasattr(args, name)}
    return kind(**given) if base is None else dataclasses.replace(base, **given)  # pyright: ignore[reportCallIssue, reportArgumentType]


def data_config(args: argparse.Namespace, base: DataConfig | None = None) -> DataConfig:
    """The data settings: the flags that were given override `base`."""
    return pick(DataConfig, args, base)


def field_descriptions(kind: type) -> dict[str, str]:
    """Field → text, from the `Attributes:` section of the class' docstring."""
    attributes = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    descriptions: dict[str, str] = {}
    names: list[str] = []
    for line in attributes.splitlines():
        match = re.match(r" {4}(\w+(?:, \w+)*): (.*)", line)
        if match:
            names = match[1].split(", ")
            descriptions.update(dict.fromkeys(names, match[2]))
        elif line.startswith("     "):
            descriptions.update({name: f"{descriptions[name]} {line.strip()}" for name in names})
        elif line.strip():
            break
    return {name: text.replace("`", "").rstrip(".") for name, text in descriptions.items()}


def _flag_type(name: str, hint: Any) -> Any:
    if name == "image_size":
        return image_size
    if name == "skeleton":
        return skeleton
    if typing.get_origin(hint) in (typing.Union, types.UnionType):  # X | None
        hint = next(arm for arm in typing.get_args(hint) if arm is not type(None))
    return boolean if hint is bool else hint


def _metavar(name: str, kind: Any) -> str:
    if kind is str and name.endswith("_dir"):
        return "DIR"
    return {int: "N", float: "X", str: "TEXT"}.get(kind, "FILE")


def _shown_default(kind: type, field: dataclasses.Field[Any]) -> str:
    if told := FOLLOWS_DATA.get(kind, {}).get(field.name):
        return told
    if isinstance(field.default, bool):
        return str(int(field.default))
    return c.value_in_words(field.default)  # a skeleton is shown by its name
