"""The settings of a run, put together from flags, preset, data set and a given generator.

Flags override the preset, the preset overrides the data set's settings, and these override the settings of the
generator with which a run begins. The generator's settings override the defaults.
"""

from __future__ import annotations

import argparse
from typing import Any

from pose_gan import runtime
from pose_gan.config import TELLING, LossConfig, ModelConfig, RunConfig, TrainConfig
from pose_gan.model_files.run_folder import model_file
from pose_gan.presets import DATASETS, dataset_defaults, preset
from pose_gan.programs.flags import data_config, pick
from pose_gan.training.identity import check_settings


def run_config(args: argparse.Namespace) -> RunConfig:
    """All settings of a new run.

    Each source overrides the ones before it: the defaults, the generator with which the run begins, the data set, the
    preset, and the flags given.

    Raises: InputError: a value is not allowed, or values do not go together.
    """
    data = data_config(args)
    known = dataset_defaults(data.dataset, getattr(args, "image_size", None))
    row = preset(args.preset, known.nn_window) if args.preset else {}
    begun = _begun_from(args, data.dataset)
    values = {**begun, "image_size": known.image_size, "batch_size": known.batch_size, **row, **vars(args)}
    layered = argparse.Namespace(**values)
    return RunConfig(data, pick(ModelConfig, layered), pick(LossConfig, layered), pick(TrainConfig, layered))


def _begun_from(args: argparse.Namespace, dataset: str) -> dict[str, Any]:
    """The model settings of the given generator checkpoint, without the setting that only a discriminator has."""
    checkpoint = getattr(args, "generator_checkpoint", None)
    if checkpoint is None:
        return {}
    model_file(checkpoint)
    runtime.start()
    from pose_gan.model_files.saving import read_info

    model = read_info(checkpoint, **release_settings(args, dataset)).model
    return {name: value for name, value in vars(model).items() if name != "disc_type"}


def release_settings(args: argparse.Namespace, dataset: str) -> dict[str, Any]:
    """The settings of a checkpoint of the authors' release that the given flags and the data set determine."""
    size = {"image_size": DATASETS[dataset].image_size} if dataset in DATASETS else {}
    return size | {name: getattr(args, name) for name in TELLING if hasattr(args, name)}


def resumed_config(args: argparse.Namespace, saved: RunConfig) -> RunConfig:
    """A saved run's settings, overridden by the flags given now.

    Raises InputError if the flags change a setting that a resumed run keeps; see `training.identity`.
    """
    if getattr(args, "preset", None):
        known = dataset_defaults(saved.data.dataset, saved.model.image_size)
        args = argparse.Namespace(**{**preset(args.preset, known.nn_window), **vars(args)})
    changed = RunConfig(
        data_config(args, saved.data),
        pick(ModelConfig, args, saved.model),
        pick(LossConfig, args, saved.loss),
        pick(TrainConfig, args, saved.train),
    )
    check_settings(saved, changed)
    return changed
