"""Command-line flags made from the settings' dataclasses, so that a flag, its help and its default stand once."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Collection
from typing import Any, TypeVar

from pose_gan import config as c
from pose_gan import release
from pose_gan.config import DATASETS, DataConfig, Dataset, LossConfig, ModelConfig, RunConfig, TrainConfig
from pose_gan.errors import InputError
from pose_gan.estimators.base import COLOUR_ORDERS, INPUT_RANGES
from pose_gan.saving import read_info
from pose_gan.skeleton import Skeleton, load_skeleton

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
}


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
    except InputError as error:  # as a ValueError, argparse would drop its message
        raise argparse.ArgumentTypeError(str(error)) from None


def program_parser(description: str, example: str) -> argparse.ArgumentParser:
    """A parser with a description and an example; flags must be spelled out."""
    return argparse.ArgumentParser(
        description=description,
        epilog="example:\n" + textwrap.indent(textwrap.dedent(example).strip(), "  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_config_arguments(
    parser: argparse.ArgumentParser, kind: type, title: str, names: Collection[str] | None = None
) -> None:
    """Adds a flag for each field of the settings class `kind`; flags not given are absent from the result.

    Args:
        names: of the fields; None: all.
    """
    group = parser.add_argument_group(title)
    descriptions, hints = field_descriptions(kind), typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if names is not None and field.name not in names:
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
        if not re.search(r"; None: .*$", help_text):  # which says the default already
            help_text += f" (default: {_shown_default(field)})"
        help_text = help_text.replace("; None: ", "; default: ")
        group.add_argument(f"--{field.name}", help=help_text.replace("%", "%%"), **options)


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--dataset --images_dir --annotations_dir --pairs_dir`."""
    add_config_arguments(parser, DataConfig, "data")


def pick(kind: type[Config], args: argparse.Namespace, base: Config | None = None) -> Config:
    """The settings `kind` from the flags that were given, over `base` (default: its defaults)."""
    names = [field.name for field in dataclasses.fields(kind)]  # pyright: ignore[reportArgumentType]
    given = {name: getattr(args, name) for name in names if hasattr(args, name)}
    return kind(**given) if base is None else dataclasses.replace(base, **given)  # pyright: ignore[reportCallIssue, reportArgumentType]


def data_config(args: argparse.Namespace, base: DataConfig | None = None) -> DataConfig:
    """The data settings from the flags that were given, over `base`."""
    return pick(DataConfig, args, base)


def dataset_defaults(name: str, size: tuple[int, int] | None) -> Dataset:
    """What the programs know of a data set. Raises InputError for an unknown one without a size."""
    if name in DATASETS:
        return DATASETS[name]
    if size is None:
        raise InputError(
            f"dataset {name!r} is not one of {', '.join(DATASETS)}; for your own data set give --image_size HxW too"
        )
    return Dataset(size, nn_window=5 if max(size) > 128 else 3, batch_size=4)


def run_config(args: argparse.Namespace) -> RunConfig:
    """All settings of a new run: defaults, then those of the generator that it begins with, then the data set's, then
    the preset's, then the flags given.

    Raises: InputError: a value that is not allowed, or values that do not go together.
    """
    data = data_config(args)
    known = dataset_defaults(data.dataset, getattr(args, "image_size", None))
    row = c.preset(args.preset, known.nn_window) if args.preset else {}
    begun = _begun_from(args, data.dataset)
    values = {**begun, "image_size": known.image_size, "batch_size": known.batch_size, **row, **vars(args)}
    layered = argparse.Namespace(**values)
    return RunConfig(data, pick(ModelConfig, layered), pick(LossConfig, layered), pick(TrainConfig, layered))


def _begun_from(args: argparse.Namespace, dataset: str) -> dict[str, Any]:
    """The model settings of the generator checkpoint that was given; what only a discriminator has is left out."""
    checkpoint = getattr(args, "generator_checkpoint", None)
    if checkpoint is None:
        return {}
    model = read_info(checkpoint, **release_settings(args, dataset)).model
    return {name: value for name, value in vars(model).items() if name != "disc_type"}


def release_settings(args: argparse.Namespace, dataset: str) -> dict[str, Any]:
    """What the flags given and the data set tell of a checkpoint of the authors' release."""
    size = {"image_size": DATASETS[dataset].image_size} if dataset in DATASETS else {}
    return size | {name: getattr(args, name) for name in release.TELLING if hasattr(args, name)}


def resumed_config(args: argparse.Namespace, saved: RunConfig) -> RunConfig:
    """A saved run's settings with the flags given now. Raises InputError if they change what is trained."""
    if getattr(args, "preset", None):
        known = dataset_defaults(saved.data.dataset, saved.model.image_size)
        args = argparse.Namespace(**{**c.preset(args.preset, known.nn_window), **vars(args)})
    changed = RunConfig(
        data_config(args, saved.data),
        pick(ModelConfig, args, saved.model),
        pick(LossConfig, args, saved.loss),
        pick(TrainConfig, args, saved.train),
    )
    for section in ("model", "loss"):
        for field in dataclasses.fields(getattr(saved, section)):
            old, new = (getattr(getattr(item, section), field.name) for item in (saved, changed))
            if old != new:
                raise InputError(
                    f"--{field.name}: a resumed run keeps its {section}: it has {old}, got {new}; "
                    "start a new run, with --generator_checkpoint to begin from its weights"
                )
    for name in ("batch_size", "training_ratio", "seed", "shared_forward", "iterations_per_epoch"):
        if getattr(saved.train, name) != getattr(changed.train, name):
            raise InputError(
                f"--{name}: a resumed run keeps the order of its data: it has {getattr(saved.train, name)}"
            )
    return changed


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


def _shown_default(field: dataclasses.Field[Any]) -> str:
    if field.name == "image_size":
        return "the data set's"
    if field.name == "batch_size":
        return "the data set's: market 4, fashion 2"
    value = getattr(field.default, "name", field.default)  # a skeleton is shown by its name
    return str(int(value)) if isinstance(value, bool) else str(value)
