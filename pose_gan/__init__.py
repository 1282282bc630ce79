"""Deformable GANs for pose-based human image generation (Siarohin et al., CVPR 2018), for Keras 3.

Importing this package makes its layers known to Keras, so that `keras.saving.load_model` reads the models that it
saves: at once if Keras is loaded already, otherwise as soon as it is. TensorFlow is imported when a name needs it. If
TensorFlow is absent, a warning says what installs it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from typing import TYPE_CHECKING, Any

from wrapt import when_imported

from pose_gan import moved
from pose_gan.errors import InputWarning

if TYPE_CHECKING:
    from pose_gan.evaluation.transfer import transfer
    from pose_gan.model_files.saving import load_generator

__version__ = "0.2.0.dev0"
__all__ = ["load_generator", "transfer"]
_PLACES = {"load_generator": "pose_gan.model_files.saving", "transfer": "pose_gan.evaluation.transfer"}

moved.install()

if sys.modules.get("tensorflow") is None and importlib.util.find_spec("tensorflow") is None:
    from pose_gan.versions import no_tensorflow

    warnings.warn_explicit(no_tensorflow(), InputWarning, __name__, 1)  # on one line, without the importing line


@when_imported("keras")
def _register_layers(keras: Any) -> None:
    importlib.import_module("pose_gan.layers")


def __getattr__(name: str) -> Any:
    """`load_generator`, `transfer`, and the modules of this package, imported when they are asked for."""
    try:
        if name in _PLACES:
            return getattr(importlib.import_module(_PLACES[name]), name)
        if not name.startswith("_") and importlib.util.find_spec(f"pose_gan.{name}"):
            return importlib.import_module(f"pose_gan.{name}")
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        from pose_gan.versions import no_tensorflow

        raise ImportError(no_tensorflow(), name="tensorflow") from None
    raise AttributeError(f"module 'pose_gan' has no attribute {name!r}")
