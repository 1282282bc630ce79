"""Model files that older versions of Keras read too.

Each version of Keras writes every setting of every part, also those that it has added, and refuses settings that it
does not know. What it adds is None or False unless somebody sets it. To leave such defaults out says the same to all
versions.
"""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras

from pose_gan.files import hdf5

_DESCRIPTION, _CONFIG = "model_config", "config.json"  # in a `.h5` file, in a `.keras` archive


def leave_out_defaults(path: Path) -> None:
    """Leaves out the settings that are None or False by default, and are so in a file that Keras has just written.

    Settings with another value stay, and so do other defaults, because these may differ between versions.

    Args:
        path: a `.h5` or `.keras` file.
    """
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            file.attrs[_DESCRIPTION] = _shortened(hdf5.text(file.attrs[_DESCRIPTION])).encode()
        return
    short = path.with_name(f"short-{path.name}")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(short, "w") as shortened:
        for member in archive.infolist():
            if member.filename == _CONFIG:
                shortened.writestr(member, _shortened(archive.read(member).decode()))
            else:
                with archive.open(member) as content, shortened.open(member, "w") as copy:
                    shutil.copyfileobj(content, copy, 1 << 20)
    short.replace(path)


def _shortened(text: str) -> str:
    """The description of a model, as JSON, without the settings that say nothing."""
    description = json.loads(text)
    waiting = [description]
    while waiting:
        value = waiting.pop()
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        if isinstance(value, dict) and value.get("class_name") and isinstance(value.get("config"), dict):
            defaults, settings = _defaults(value), value["config"]
            said = {name: setting for name, setting in settings.items() if not _says_nothing(name, setting, defaults)}
            settings.clear()
            settings |= said
    return json.dumps(description)


def _says_nothing(name: str, setting: Any, defaults: dict[str, Any]) -> bool:
    return (setting is None or setting is False) and name in defaults and defaults[name] is setting


def _defaults(part: dict[str, Any]) -> dict[str, Any]:
    """The default of each setting of a described part. The layers of a `.h5` file come without module."""
    made_by = keras.saving.get_registered_object(part.get("registered_name") or part["class_name"])
    if made_by is None:
        made_by = getattr(importlib.import_module(part.get("module") or "keras.layers"), part["class_name"], object)
    classes = reversed(inspect.getmro(made_by)) if inspect.isclass(made_by) else ()
    return {
        name: parameter.default
        for each in classes
        for name, parameter in inspect.signature(each.__init__).parameters.items()
        if parameter.default is not parameter.empty
    }
