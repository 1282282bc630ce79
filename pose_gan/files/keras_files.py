"""Keras' model files (`.h5`, `.keras`) that may be hostile: what they hold is looked at before any of it is made."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pose_gan.errors import InputError, reason
from pose_gan.files import hdf5

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}  # of a `.keras` archive
MAX_DESCRIPTION = 32 << 20  # bytes; ours have some tens of thousands
_VERSION = re.compile(r"[0-9][0-9A-Za-z.]{0,30}")
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (*hdf5.DAMAGE, RecursionError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error)


def check(path: Path, parts: Collection[str], modules: Collection[str | None], whose: str) -> None:
    """Refuses a model file that holds anything but arrays and parts that are allowed, before any of it is made.

    Args:
        path: a `.keras` file, or else an HDF5 file.
        parts: classes that the model may be made of, without the prefix `pose_gan>`.
        modules: where these may come from.
        whose: what has no other parts, for the message: `model of this project`.
    Raises: InputError: there is another part, the file leads to other files, is damaged, or unpacks to far more than
        it weighs.
    """
    try:
        waiting = [_archived(path) if path.suffix == ".keras" else _described(path)]
    except InputError:
        raise
    except _DAMAGE as error:
        raise damaged(path, f"a {whose}", error) from None
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            if foreign := _foreign_part(value, parts, modules):
                raise InputError(f"{path}: holds a part {foreign[:60]!r}, which no {whose} has; it was not loaded")


def damaged(path: Path, what: str, error: Exception) -> InputError:
    """The message for a file that cannot be read."""
    return InputError(f"{path}: damaged, or not {what}: {reason(error)}")


def keras_version(path: Path) -> str | None:
    """The version of Keras that wrote a model file (`.h5` or `.keras`); None: the file does not say it."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive, archive.open("metadata.json") as member:
                version = json.loads(member.read(MAX_DESCRIPTION))["keras_version"]
        else:
            with hdf5.opened(path) as file:
                version = hdf5.text(file.attrs["keras_version"])
    except (InputError, *_DAMAGE):
        return None
    return version if isinstance(version, str) and _VERSION.fullmatch(version) else None


def _foreign_part(value: dict[str, Any], parts: Collection[str], modules: Collection[str | None]) -> str | None:
    """The name of what a table describes, if it is not allowed; None: it is, or the table describes nothing."""
    if value.get("compile_config"):
        return "compile_config"  # a part with an optimizer of its own, which Keras would make
    for key in ("class_name", "registered_name"):
        name = value.get(key)
        if name is not None and not (isinstance(name, str) and name.removeprefix("pose_gan>") in parts):
            return str(name)
    module = value.get("module")
    if "class_name" in value and not (module is None or (isinstance(module, str) and module in modules)):
        return f"{module}.{value['class_name']}"
    return None


def _described(path: Path) -> Any:
    """The description of the architecture in an HDF5 file, as JSON values."""
    with hdf5.opened(path) as file:
        if "model_config" not in file.attrs:
            raise InputError(f"{path}: damaged, or not a model: it has no model_config")
        return json.loads(hdf5.text(file.attrs["model_config"]))


def _archived(path: Path) -> Any:
    """The description of the architecture in a `.keras` archive, without what its training needed, which is not read.

    Raises: InputError: the archive is not as Keras writes it, or its arrays are not as `hdf5.opened` wants them.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if foreign := sorted({name for name in names if name not in MEMBERS or names.count(name) > 1}):
            raise InputError(f"{path}: hostile: holds {foreign[0][:60]!r}, which no model has, or has only once")
        if packed := [member.filename for member in members if member.compress_type not in _PACKED]:
            raise InputError(f"{path}: damaged: {packed[0]} is packed in a way that no model is")
        unpacked, size = sum(member.file_size for member in members), path.stat().st_size
        if unpacked > hdf5.MAX_GROWTH * size + hdf5.SPARE:
            raise InputError(f"{path}: hostile: unpacks to {unpacked:,} bytes, but has {size:,}")
        with archive.open("config.json") as member:
            description = json.loads(member.read(MAX_DESCRIPTION))
        with hdf5.opened(path, io.BytesIO(archive.read("model.weights.h5"))):
            pass
    if isinstance(description, dict):
        description.pop("compile_config", None)
    return description
