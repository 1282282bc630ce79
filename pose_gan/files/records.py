"""Dataclasses from plain values (JSON, TOML), with errors that name the key.

`cattrs` would take "4", 4.5 and true for whole numbers, and its messages do not say what is allowed. The hooks that
change both would be as long as this module.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from typing import Any, Literal, TypeVar

from pose_gan.errors import InputError

Record = TypeVar("Record")


def build(kind: type[Record], values: Any, where: str) -> Record:
    """`kind(**values)` for a dataclass, with every value checked against the type of its field.

    At any depth, lists become tuples and tables become the dataclasses that the fields ask for.

    Args:
        kind: a dataclass whose fields are str, bool, int, float, Literal, tuples of these,
            optional ones, or dataclasses.
        values: a dict, or an instance of `kind`, which is returned as it is.
        where: origin of the values, for messages: the file, or another name that the user knows.

    Raises: InputError: a key is unknown or missing, a value has another type, a number is not finite, or
        `kind` itself rejects the values.
    """
    if isinstance(values, kind):
        return values
    if not isinstance(values, dict):
        raise InputError(f"{where}: expected a table of keys, got {_short(values)}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    for key in values:
        if key not in fields:
            raise InputError(f"{where}: unknown key {key!r}; allowed: {', '.join(fields)}")
    for name, field in fields.items():
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if name not in values and not optional:
            raise InputError(f"{where}: key {name!r} is missing")
    types_of = typing.get_type_hints(kind)
    separator = "." if ": " in where else ": "  # file: model.skeleton.parts[2].size
    checked = {name: _value(value, types_of[name], f"{where}{separator}{name}") for name, value in values.items()}
    try:
        return kind(**checked)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _value(value: Any, hint: Any, where: str) -> Any:
    """Converts `value` to the type `hint`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):  # `X | None`
        return None if value is None else _value(value, arguments[0], where)
    if origin is tuple:
        return _tuple(value, arguments, where)
    if origin is Literal:
        if value not in arguments:
            raise InputError(f"{where}: {_short(value)} is not known; allowed: {', '.join(arguments)}")
        return value
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)  # pyright: ignore[reportArgumentType]
    if hint is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:  # not NaN
        return float(value)
    if hint is float or type(value) is not hint:
        kinds = {str: "a text", bool: "true or false", int: "a whole number", float: "a finite number"}
        raise InputError(f"{where}: expected {kinds[hint]}, got {_short(value)}")
    return value


def _tuple(value: Any, hints: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{where}: expected a list, got {_short(value)}")
    if hints[-1] is ...:
        hints = (hints[0],) * len(value)
    if len(value) != len(hints):
        raise InputError(f"{where}: expected {len(hints)} values, got {len(value)}")
    return tuple(_value(item, hint, f"{where}[{i}]") for i, (item, hint) in enumerate(zip(value, hints, strict=True)))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
