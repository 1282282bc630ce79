"""Data sets that the programs know by name, and the rows of the paper's Table 3 as presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pose_gan.config import LossConfig, ModelConfig, check_choice
from pose_gan.errors import InputError


@dataclass(frozen=True)
class Dataset:
    """A data set that the programs know by name.

    Attributes:
        image_size: (height, width) in pixels.
        nn_window: the paper's window of the NN loss for this data set (Section 4), pixels.
        batch_size: the paper's batch size.
    """

    image_size: tuple[int, int]
    nn_window: int
    batch_size: int


DATASETS = {
    "market": Dataset((128, 64), nn_window=3, batch_size=4),
    "fashion": Dataset((256, 256), nn_window=5, batch_size=2),
    "fasion": Dataset((256, 256), nn_window=5, batch_size=2),  # the release's spelling
    "fashion128": Dataset((128, 64), nn_window=3, batch_size=4),
    "fasion128": Dataset((128, 64), nn_window=3, batch_size=4),
    "fashion128128": Dataset((128, 128), nn_window=3, batch_size=4),
    "fasion128128": Dataset((128, 128), nn_window=3, batch_size=4),
    "fashion176": Dataset((256, 176), nn_window=5, batch_size=2),  # the size in most later papers
    "fasion176": Dataset((256, 176), nn_window=5, batch_size=2),
    "demo": Dataset((128, 64), nn_window=3, batch_size=4),
}

PRESETS = ("baseline", "dsc", "fm", "full")
PRESET_MODEL = ("warp_skip", "warp_agg", "disc_type", "pose_rep_type", "use_input_pose", "use_bg")
PRESET_LOSS = (
    *("gan_penalty_weight", "l1_penalty_weight", "content_loss_layer", "nn_loss_area_size"),
    *("tv_penalty_weight", "lstruct_penalty_weight"),
)
"""Settings of `ModelConfig` and `LossConfig` that make a preset."""


def preset(name: str, nn_window: int) -> dict[str, Any]:
    """The settings of a row of the paper's Table 3, as flag values.

    Args:
        name: `baseline`, `dsc`, `fm` (the row PercLoss) or `full`.
        nn_window: the window of the NN loss for the data set, pixels.
    Source: paper, Section 6.2; the commands in the authors' README.
    """
    rows = {
        "baseline": {"warp_skip": "none", "l1_penalty_weight": 100.0},
        "dsc": {"warp_skip": "mask", "l1_penalty_weight": 100.0},
        "fm": {"warp_skip": "mask", "l1_penalty_weight": 0.5, "content_loss_layer": "block2_conv1"},
        "full": {
            "warp_skip": "mask",
            "l1_penalty_weight": 0.01,
            "nn_loss_area_size": nn_window,
            "content_loss_layer": "block1_conv2",
        },
    }
    check_choice("preset", name, PRESETS)
    return rows[name]


def preset_of(model: ModelConfig, loss: LossConfig, nn_window: int) -> str | None:
    """The name of the preset that has these settings; None if there is none.

    A row of the paper is about `PRESET_MODEL` and `PRESET_LOSS`. Other settings may differ from the paper's: the width,
    the normalisation, how pixels are sampled, how the NN loss is reduced, and the length of training. But a loss on the
    features of a random VGG-19 is of no row.

    Args:
        nn_window: the window of the NN loss for the data set, pixels.
    """
    settings = {**vars(model), **vars(loss)}
    if loss.content_layers and loss.vgg_weights == "random":
        return None
    for name in PRESETS:
        row = {**vars(ModelConfig()), **vars(LossConfig()), **preset(name, nn_window)}
        if all(settings[key] == row[key] for key in PRESET_MODEL + PRESET_LOSS):
            return name
    return None


def dataset_defaults(name: str, size: tuple[int, int] | None) -> Dataset:
    """The defaults of a data set. Raises InputError if its name is unknown and no size is given."""
    if name in DATASETS:
        return DATASETS[name]
    if size is None:
        raise InputError(
            f"dataset {name!r} is not one of {', '.join(DATASETS)}; for your own data set give --image_size HxW too"
        )
    return Dataset(size, nn_window=5 if max(size) > 128 else 3, batch_size=4)
