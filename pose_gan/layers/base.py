"""Common parts of the method's layers: their registration with Keras, and a check of arguments."""

from __future__ import annotations

from typing import TypeVar

import keras

Layer = TypeVar("Layer", bound=type)


def register(layer: Layer) -> Layer:
    """Registers a layer with Keras, as a member of `pose_gan.layers`: model files do not name its own module."""
    layer.__module__ = "pose_gan.layers"
    return keras.saving.register_keras_serializable("pose_gan")(layer)


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Returns `value` if it is allowed. Raises ValueError otherwise."""
    if value not in allowed:
        raise ValueError(f"{name} {value!r} is not known; allowed: {', '.join(allowed)}")
    return value
