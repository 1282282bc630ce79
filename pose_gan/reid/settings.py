"""The settings of a re-identification network and of its training, and those that were published."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from pose_gan.config import AUTO, check_choice
from pose_gan.errors import InputError
from pose_gan.files.records import build

BACKBONES = ("small", "osnet_x0_25", "resnet50")
METHODS = ("ide", "embedding")
GENERATED_LABELS = ("hard", "smooth", "uniform")
OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("constant", "step", "cosine")
CROPS = ("none", "pad", "resize")
BATCH_NORMS = (AUTO, "trained", "frozen")
IMAGENET, RANDOM = "imagenet", "random"
DISTANCES = ("euclidean", "cosine", "kissme", "xqda")
LEARNT = ("kissme", "xqda")
MIN_SIDE = 32  # the backbones halve the image up to five times

PRESETS: dict[tuple[str, str], dict[str, Any]] = {
    ("resnet50", "ide"): {
        "image_size": (224, 224),
        "backbone_weights": IMAGENET,
        "batch_size": 16,
        "iterations": 50_000,
        "optimizer": "sgd",
        "learning_rate": 1e-3,
        "schedule": "step",
        "decay_at": 0.4,
        "weight_decay": 5e-4,
    },
    ("resnet50", "embedding"): {
        "image_size": (224, 224),
        "backbone_weights": IMAGENET,
        "batch_size": 16,
        "iterations": 100_000,
        "optimizer": "sgd",
        "learning_rate": 1e-3,
        "schedule": "step",
        "decay_at": 0.9,
        "weight_decay": 5e-4,
        "crop": "resize",
    },
}
"""Backbone and method → the settings with which they were published, where these differ from the defaults."""


@dataclass(frozen=True)
class ReidConfig:
    """The network and its training (paper, Appendix C).

    Attributes:
        backbone: the network up to its features: `small`, `osnet_x0_25` or `resnet50`.
        backbone_weights: the weights to begin with: `random` (seeded), `imagenet` (resnet50 only; Keras downloads
            them), or a path: of a run with the same backbone (or its network.keras), of Keras' .h5 for resnet50 without
            its top, or of an .onnx with torchreid's osnet_x0_25.
        method: `ide` (softmax over the people) or `embedding` (that, and whether two images show the same person).
        image_size: (height, width) in pixels to which the images are resized, 32 or more.
        batch_size: images per batch; with method `embedding`, half as many pairs.
        iterations: updates; the same number whatever the number of images.
        optimizer: `sgd` (with momentum 0.9) or `adam`.
        learning_rate: rate of the updates at the start.
        schedule: the rate over time: `constant`, `step` (a tenth of it each time after a share of the iterations) or
            `cosine` (down to 0).
        decay_at: that share, for schedule `step`.
        weight_decay: weight of half the squared kernels in the loss.
        dropout: share of the features that are dropped before a softmax.
        batch_norm: whether batch normalisation is `trained`, or `frozen` as it was in the weights given; `auto`:
            `frozen`, except with `random` weights.
        flip: whether images are mirrored at random.
        crop: how images are moved at random: `none`, `pad` (a cut-out of the image with a black border of 1/16 of its
            height) or `resize` (a cut-out of the image enlarged to 8/7, as 224 of 256 pixels).
        random_erasing: probability that a rectangle of an image is made grey (Zhong et al., 2017).
        label_smoothing: share of the label that is spread over all people.
        generated_labels: the person of a generated image: `hard` (its source's), `smooth` (0.1 of it spread over all
            people, as CamStyle does) or `uniform` (nobody: all people alike, as LSRO does).
        generated_share: share of generated images in a batch, 0 to 1; None: as they come, as many as in the folder.
        verify_generated: whether pairs with a generated image count in the verification loss of method `embedding`;
            those with labels `uniform` never do.
        checkpoint_interval: iterations between checkpoints.
        log_interval: iterations between log lines.
        seed: seed of weights, batches and dropout.
    """

    backbone: str = "small"
    backbone_weights: str = RANDOM
    method: str = "ide"
    image_size: tuple[int, int] = (128, 64)
    batch_size: int = 32
    iterations: int = 6000
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    decay_at: float = 0.4
    weight_decay: float = 5e-4
    dropout: float = 0.0
    batch_norm: str = AUTO
    flip: bool = True
    crop: str = "none"
    random_erasing: float = 0.0
    label_smoothing: float = 0.0
    generated_labels: str = "hard"
    generated_share: float | None = None
    verify_generated: bool = True
    checkpoint_interval: int = 1000
    log_interval: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_size", tuple(self.image_size))
        check_choice("backbone", self.backbone, BACKBONES)
        check_choice("method", self.method, METHODS)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("crop", self.crop, CROPS)
        check_choice("generated_labels", self.generated_labels, GENERATED_LABELS)
        check_choice("batch_norm", self.batch_norm, BATCH_NORMS)
        if self.batch_norm == AUTO:
            object.__setattr__(self, "batch_norm", "trained" if self.backbone_weights == RANDOM else "frozen")
        if self.backbone_weights == IMAGENET and self.backbone != "resnet50":
            raise InputError(
                f"backbone_weights {IMAGENET}: there are none of {self.backbone}; take {RANDOM}, a path, or "
                "--backbone resnet50"
            )
        if len(self.image_size) != 2 or min(self.image_size) < MIN_SIDE:
            raise InputError(f"image_size: both sides must have {MIN_SIDE} pixels or more, got {self.image_size}")
        for name in ("batch_size", "iterations", "learning_rate", "checkpoint_interval", "log_interval"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.batch_size < 2 or (self.method == "embedding" and self.batch_size % 2):
            raise InputError(f"batch_size must be 2 or more, and even with method embedding, got {self.batch_size}")
        for name in ("random_erasing", "label_smoothing", "generated_share"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise InputError(f"{name} must be from 0 to 1, got {share}")
        if not (0 <= self.dropout < 1 and 0 < self.decay_at <= 1):
            raise InputError(
                f"dropout must be 0 or more and below 1, and decay_at above 0 and at most 1; got {self.dropout} and "
                f"{self.decay_at}"
            )
        if not 0 <= self.weight_decay < math.inf or not 0 <= self.seed < 2**32:
            raise InputError(
                f"weight_decay must be 0 or more, and seed from 0 to 2**32 - 1; got {self.weight_decay}, {self.seed}"
            )

    @classmethod
    def of(cls, backbone: str = "small", method: str = "ide", **given: Any) -> ReidConfig:
        """The settings with which a method on a backbone was published, if it was; `given` override them."""
        return cls(**{**PRESETS.get((backbone, method), {}), "backbone": backbone, "method": method, **given})

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values that JSON can hold."""
        return {**dataclasses.asdict(self), "image_size": list(self.image_size)}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "options") -> ReidConfig:
        """The inverse of `to_dict`. Raises InputError for unknown keys and values; the message names `where`."""
        return build(cls, values, where)
