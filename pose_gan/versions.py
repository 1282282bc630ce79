"""The software versions with which a result was made, and what installs the software that is absent."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

PACKAGES = ("pose_gan", "tensorflow", "tensorflow-cpu", "keras", "numpy", "scikit-image", "pillow")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make or judge images, if installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def install(extra: str) -> str:
    """The command that adds an extra to this package, in the way in which the package was installed.

    | installed from | command for the extra `heic` |
    | --- | --- |
    | the current folder, or run there | `pip install ".[heic]"`, with `--editable` if the package was installed so |
    | another folder | `pip install "/its/path[heic]"` |
    | a file, an address or a repository | `pip install "pose_gan[heic] @ its address"` |
    | a package index | `pip install "pose_gan[heic]"` |
    """
    origin = _origin()
    url, folder, option = str(origin.get("url", "")), Path(__file__).resolve().parent.parent, ""
    if "dir_info" in origin:
        folder = Path(url2pathname(urlsplit(url).path))
        option = "--editable " if origin["dir_info"].get("editable") else ""
    elif origin or not (folder / "pyproject.toml").is_file():
        system = origin.get("vcs_info")
        address = f"{system['vcs']}+{url}@{system['commit_id']}" if system else url
        return f'pip install "pose_gan[{extra}]{f" @ {address}" if address else ""}"'
    return f'pip install {option}"{"." if folder == Path.cwd() else folder}[{extra}]"'


def no_tensorflow() -> str:
    """The message for users who have no TensorFlow."""
    return f"TensorFlow is not installed: {install('cpu')} (with [gpu] in place of [cpu] for CUDA, on Linux only)"


def _origin() -> dict[str, Any]:
    """What pip noted about where the package came from (`direct_url.json`); empty: an index, or not installed."""
    for found in importlib.metadata.distributions(name="pose_gan"):
        if text := found.read_text("direct_url.json"):
            return json.loads(text)
    return {}
