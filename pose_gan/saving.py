"""Trained generators as files, in and out."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import keras

from pose_gan import networks  # noqa: F401 - registers all layers that saved models are made of
from pose_gan.errors import InputError
from pose_gan.files import atomic_path

MODEL_SUFFIXES = (".h5", ".keras")
GENERATOR_INPUTS = ("source_image", "source_keypoints", "target_keypoints")


def save_model(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Writes a whole model (architecture and weights), atomically. The suffix chooses the format: `.h5` or `.keras`."""
    with atomic_path(path) as temporary, _quiet_about_hdf5():
        model.save(temporary)


@contextlib.contextmanager
def _quiet_about_hdf5() -> Iterator[None]:
    """Keras warns at every `.h5` file that the format is legacy; here it is a documented choice."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def load_model(path: str | os.PathLike[str]) -> keras.Model:
    """Reads a model that `save_model` wrote. Raises InputError naming the file and what is wrong with it."""
    path = Path(path)
    if path.suffix not in MODEL_SUFFIXES:
        absent = "" if path.exists() else "no such file or folder; "
        raise InputError(f"{path}: {absent}a model file ends in {' or '.join(MODEL_SUFFIXES)}")
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: damaged, or not a model of this project: {reason}") from None


def load_generator(path: str | os.PathLike[str]) -> keras.Model:
    """A trained generator from a model file or from a training run's folder.

    Args:
        path: a `.h5` or `.keras` file, or a run folder (its newest checkpoint is taken).
    Returns: a Keras model with the inputs `source_image` `(B, H, W, 3)` float32 in [-1, 1],
        `source_keypoints` and `target_keypoints` `(B, J, 2)`, (y, x) in pixels, −1 where missing
        (and `background` for models with one); it returns the image, `(B, H, W, 3)` in [-1, 1].
    Raises: InputError: no such file, a damaged one, or a model that is not a generator.
    Example:
        generator = pose_gan.load_generator("runs/00000-market-mask/generator.h5")
        image = generator([photo[None] / 127.5 - 1, pose_in_photo[None], wanted_pose[None]])
    """
    path = Path(path)
    if path.is_dir():
        from pose_gan.checkpoint import latest_generator

        path = latest_generator(path)
    model = load_model(path)
    names = [tensor.name for tensor in model.inputs]
    if set(names) - {"background"} != set(GENERATOR_INPUTS):
        raise InputError(f"{path}: not a generator: its inputs are {names}, expected {list(GENERATOR_INPUTS)}")
    return model
