"""The software versions with which a result was made."""

from __future__ import annotations

import importlib.metadata
import platform

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
