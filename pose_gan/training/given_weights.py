"""The weights with which a run begins, if the user gives some."""

from __future__ import annotations

import keras

from pose_gan.config import TELLING, RunConfig, in_words
from pose_gan.errors import InputError
from pose_gan.model_files.saving import is_generator, load_generator, load_model, settings_of
from pose_gan.training.gan import GAN


def load_given_weights(config: RunConfig, gan: GAN) -> None:
    """Puts the weights of `generator_checkpoint` and `discriminator_checkpoint` into the networks.

    Raises: InputError: a file cannot be read, or is of another architecture.
    """
    train = config.train
    known = {name: getattr(config.model, name) for name in TELLING}
    given = (
        (train.generator_checkpoint, gan.generator, load_generator),
        (train.discriminator_checkpoint, gan.discriminator, load_model),
    )
    for path, model, load in given:
        if path is None:
            continue
        loaded = load(path, **known)
        weights = loaded.get_weights()
        shapes, expected = [w.shape for w in weights], [w.shape for w in model.get_weights()]
        if shapes != expected:
            told = f"; its settings are {_settings(loaded)}" if is_generator(loaded) else ""
            raise InputError(
                f"{path}: its weights do not fit the {model.name} of these settings "
                f"({len(shapes)} arrays, expected {len(expected)}, or other sizes){told}; check --warp_skip, "
                "--disc_type, --norm, --compat, --width, --pose_rep_type, --use_input_pose and the image size"
            )
        model.set_weights(weights)


def _settings(generator: keras.Model) -> str:
    config = settings_of(generator)
    names = [name for name in (*TELLING, "norm", "compat") if name != "disc_type"]
    return in_words({name: getattr(config, name) for name in names})
