"""The settings of models, losses, data and training, as frozen, typed values. All defaults are defined here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pose_gan.errors import InputError
from pose_gan.files.records import build
from pose_gan.poses.skeleton import COCO18, Skeleton

WARP_SKIPS = ("none", "full", "mask", "stn")
WARP_AGGREGATIONS = ("max", "avg")
INTERPOLATIONS = ("bilinear", "nearest")
DISCRIMINATORS = ("call", "sim", "warp")
POSE_REPRESENTATIONS = ("hm", "stickman")
NORMALISATIONS = ("instance", "release")
COMPATS = ("paper", "release")
TELLING = ("image_size", "warp_skip", "warp_agg", "pose_rep_type", "use_input_pose", "use_bg", "disc_type")
"""Settings of `ModelConfig` that distinguish the networks of the authors' release."""
AUTO = "auto"  # the value of a setting that follows another setting
REDUCTIONS = ("mean", "sum")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
MIN_SIDE = 64  # the discriminator halves the image five times
MAX_RELEASE_SIDE = 960  # with compat release, a missing part is moved by 1000 px, which must be outside of the image


@dataclass(frozen=True)
class ModelConfig:
    """The architecture of the generator and of the discriminator (paper, Sections 3 and 5).

    Attributes:
        image_size: (height, width) in pixels, 64 or more; with compat `release`, at most 960. The networks compute on
            the next larger size that they can halve (multiples of 32, or of 64 if a side is above 128), and cut the
            result out of it.
        warp_skip: how skip connections of the appearance stream move features: `mask` (one affine
            transform per body part), `full` (one for the whole body), `stn` (one, predicted by a small
            network), `none` (a plain U-Net on the concatenated inputs).
        warp_agg: how the moved parts are merged: `max` (Eq. 4) or `avg`.
        warp_interpolation: how moved features are sampled: `bilinear` or `nearest`; `auto`: `nearest` with compat
            `release`, else `bilinear`.
        disc_type: type of the discriminator: `call` (all inputs are concatenated), `sim` (one tower sees both
            images), `warp` (the source is first moved into the target pose).
        pose_rep_type: pose input of the networks: `hm` (one heat map per joint) or `stickman` (a drawing with
            three channels).
        use_input_pose: whether the networks see the source pose.
        use_bg: whether the target's background image is an additional input (`call` only).
        norm: normalisation: `instance` (per channel, as in the paper) or `release` (over height, width and
            channels, with one scalar gain and bias, as in the authors' code); `auto`: `release` with compat
            `release`, else `instance`.
        compat: what the network follows where the results of the paper and of the authors' code differ: `paper`,
            or `release`, which the authors' checkpoints need. It concerns heat maps (in steps with `release`),
            transforms (total least squares), the outlines of part masks, the lines of the stick-man, sampling
            by `stn`, the bias of the discriminator's last layer, and the meaning of `auto` in other settings.
        width: multiplies the number of channels of every hidden layer; 1 is the paper's network.
        sigma: standard deviation of the heat maps, pixels (Eq. 1).
        skeleton: joints and parts of the articulated object.
    """

    image_size: tuple[int, int] = (128, 64)
    warp_skip: str = "mask"
    warp_agg: str = "max"
    warp_interpolation: str = AUTO
    disc_type: str = "call"
    pose_rep_type: str = "hm"
    use_input_pose: bool = True
    use_bg: bool = False
    norm: str = AUTO
    compat: str = "paper"
    width: float = 1.0
    sigma: float = 6.0
    skeleton: Skeleton = COCO18

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_size", tuple(self.image_size))
        check_choice("compat", self.compat, COMPATS)
        release = self.compat == "release"
        for name, followed in (("norm", NORMALISATIONS[release]), ("warp_interpolation", INTERPOLATIONS[release])):
            if getattr(self, name) == AUTO:
                object.__setattr__(self, name, followed)
        check_choice("warp_skip", self.warp_skip, WARP_SKIPS)
        check_choice("warp_agg", self.warp_agg, WARP_AGGREGATIONS)
        check_choice("warp_interpolation", self.warp_interpolation, INTERPOLATIONS)
        check_choice("disc_type", self.disc_type, DISCRIMINATORS)
        check_choice("pose_rep_type", self.pose_rep_type, POSE_REPRESENTATIONS)
        check_choice("norm", self.norm, NORMALISATIONS)
        if len(self.image_size) != 2:
            raise InputError(f"image_size is (height, width), got {self.image_size}")
        most = MAX_RELEASE_SIDE if release else math.inf
        if not all(MIN_SIDE <= side <= most for side in self.image_size):
            allowed = f"{MIN_SIDE} to {most} pixels with compat release" if release else f"{MIN_SIDE} pixels or more"
            raise InputError(
                f"image_size {value_in_words(self.image_size)}: both sides must have {allowed}; take another size"
            )
        if self.use_bg and self.disc_type != "call":
            raise InputError(f"use_bg goes with disc_type call only, got {self.disc_type}")
        if self.disc_type == "sim" and not self.use_input_pose:
            raise InputError("disc_type sim shows both images with their poses to one tower; it needs use_input_pose 1")
        if self.pose_rep_type == "stickman" and not self.skeleton.strokes:
            raise InputError(f"pose_rep_type stickman: skeleton {self.skeleton.name!r} defines no strokes")
        if not (0 < self.width <= 8 and 0 < self.sigma < math.inf):
            raise InputError(f"width must be above 0 and at most 8, sigma above 0; got {self.width}, {self.sigma}")

    @property
    def pose_channels(self) -> int:
        return 3 if self.pose_rep_type == "stickman" else self.skeleton.num_joints

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values that JSON can hold."""
        return {
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "image_size": list(self.image_size),
            "skeleton": self.skeleton.to_dict(),
        }

    def channels(self, count: int) -> int:
        """The number of channels at this width where the paper has `count`: a multiple of 8, or `count` at width 1."""
        return count if self.width == 1 else max(8, 8 * round(count * self.width / 8))


@dataclass(frozen=True)
class LossConfig:
    """The losses of the training and their weights (paper, Section 4).

    Attributes:
        gan_penalty_weight: weight of the adversarial loss (Eq. 5) among the generator's losses; 0 trains without a
            discriminator, whose own loss has no weight.
        l1_penalty_weight: weight of the reconstruction loss: λ of Eq. 10 for the NN loss.
        content_loss_layer: values that the reconstruction loss compares: `none` (pixels in [-1, 1]) or names
            of VGG-19 layers separated by commas; the losses of several layers are added.
        nn_loss_area_size: side n of the search window of the NN loss, pixels, odd, at most 15 (Eq. 7); 1 is plain L1.
        nn_loss_reduction: reduction of the NN loss over pixels: `mean` (as in the authors' code) or `sum` (Eq. 15).
        tv_penalty_weight: weight of the total variation of the generated images, which is a sum over batch and
            pixels (as in the authors' code).
        lstruct_penalty_weight: weight of the pose-structure loss; needs `pose_estimator`.
        pose_estimator: a network from image to heat maps (.pb, .keras, .h5 or a SavedModel), for the structure loss.
        vgg_weights: weights of VGG-19: `imagenet`, `random` (seeded) or the path of a weights file, which may hold only
            the layers that are needed (`pose-gan vgg-weights` makes one).
    """

    gan_penalty_weight: float = 1.0
    l1_penalty_weight: float = 100.0
    content_loss_layer: str = "none"
    nn_loss_area_size: int = 1
    nn_loss_reduction: str = "mean"
    tv_penalty_weight: float = 0.0
    lstruct_penalty_weight: float = 0.0
    pose_estimator: str | None = None
    vgg_weights: str = "imagenet"

    def __post_init__(self) -> None:
        check_choice("nn_loss_reduction", self.nn_loss_reduction, REDUCTIONS)
        if not 1 <= self.nn_loss_area_size <= 15 or self.nn_loss_area_size % 2 == 0:
            raise InputError(f"nn_loss_area_size must be odd, from 1 to 15, got {self.nn_loss_area_size}")
        for name in ("gan", "l1", "tv", "lstruct"):
            weight = getattr(self, f"{name}_penalty_weight")
            if not 0 <= weight < math.inf:
                raise InputError(f"{name}_penalty_weight must be 0 or more, got {weight}")
        if self.lstruct_penalty_weight and not self.pose_estimator:
            raise InputError("lstruct_penalty_weight above 0 needs pose_estimator, the file of a network to heat maps")

    @property
    def content_layers(self) -> tuple[str, ...]:
        """The VGG-19 layers of the reconstruction loss; empty if it compares pixels."""
        names = tuple(name.strip() for name in self.content_loss_layer.split(",") if name.strip())
        return () if names == ("none",) else names


@dataclass(frozen=True)
class DataConfig:
    """The images, annotations and pairs of a run. Paths are as the user gave them.

    Attributes:
        dataset: name of the data set, the prefix of its file names.
        images_dir: folder with `train/` and `test/`; None: `data/<dataset>-dataset`.
        annotations_dir: folder with `<dataset>-annotation-{train,test}.csv`.
        pairs_dir: folder with `<dataset>-pairs-{train,test}.csv`; None: `annotations_dir`.
    """

    dataset: str = "market"
    images_dir: str | None = None
    annotations_dir: str = "annotations"
    pairs_dir: str | None = None


@dataclass(frozen=True)
class TrainConfig:
    """The settings of the training loop (paper, Section 5).

    Attributes:
        number_of_epochs: number of epochs to train; an epoch is `iterations_per_epoch` iterations.
        iterations_per_epoch: generator updates per epoch.
        batch_size: pairs per batch.
        training_ratio: discriminator updates per generator update.
        learning_rate, beta_1, beta_2: parameter of both Adam optimizers.
        precision: precision in which layers compute: `float32`, `mixed_bfloat16` (for GPUs, and for processors with
            bfloat16 arithmetic) or `mixed_float16` (for GPUs; with loss scaling). Weights, geometry, statistics and
            losses are always float32, and saved generators compute in float32.
        shared_forward: whether the discriminator's update uses the same generated images as the generator's
            update (one generator pass per iteration). Otherwise it uses a new batch and a new pass, as in
            the authors' code.
        checkpoint_ratio: epochs between checkpoints; the last epoch is always saved.
        display_ratio: epochs between sample grids.
        keep_checkpoints: number of checkpoints to keep on disk; older ones are deleted. 0 keeps all.
        use_validation: whether losses on test pairs are measured at every checkpoint.
        log_interval: iterations between log lines.
        start_epoch: number of the first epoch, for runs that start from given checkpoints.
        generator_checkpoint, discriminator_checkpoint: weights to start from: a model file of this package or of
            the authors, or, for the generator, a run folder. Model settings that no flag gives are taken from the
            generator; None: seeded random.
        seed: seed of weights, order of pairs and dropout.
    """

    number_of_epochs: int = 90
    iterations_per_epoch: int = 1000
    batch_size: int = 4
    training_ratio: int = 1
    learning_rate: float = 2e-4
    beta_1: float = 0.5
    beta_2: float = 0.999
    precision: str = "float32"
    shared_forward: bool = True
    checkpoint_ratio: int = 1
    display_ratio: int = 1
    keep_checkpoints: int = 3
    use_validation: bool = True
    log_interval: int = 50
    start_epoch: int = 0
    generator_checkpoint: str | None = None
    discriminator_checkpoint: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)
        positive = ("number_of_epochs", "iterations_per_epoch", "batch_size", "training_ratio")
        positive += ("checkpoint_ratio", "display_ratio", "log_interval", "learning_rate")
        for name in positive:
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.seed < 0 or self.keep_checkpoints < 0 or self.start_epoch < 0:
            raise InputError("seed, keep_checkpoints and start_epoch must not be negative")
        if self.seed >= 2**32:
            raise InputError(f"seed must be below 2**32, got {self.seed}")
        if not (0 <= self.beta_1 < 1 and 0 <= self.beta_2 < 1):
            raise InputError(f"beta_1 and beta_2 must be 0 or more and below 1, got {self.beta_1}, {self.beta_2}")
        if self.start_epoch >= self.number_of_epochs:
            raise InputError(f"start_epoch {self.start_epoch} leaves nothing of {self.number_of_epochs} epochs")

    @property
    def total_steps(self) -> int:
        """The step (generator updates, counted from epoch 0) at which the run ends."""
        return self.number_of_epochs * self.iterations_per_epoch

    @property
    def first_step(self) -> int:
        return self.start_epoch * self.iterations_per_epoch


@dataclass(frozen=True)
class RunConfig:
    """All settings of a run; they are written to `options.json`."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def to_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "model": self.model.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "options") -> RunConfig:
        """The inverse of `to_dict`. Raises InputError for unknown keys and values; the message names `where`."""
        return build(cls, values, where)


def check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} {value!r} is not known; allowed: {', '.join(allowed)}")


FITS = ("person", "letterbox", "stretch")


@dataclass(frozen=True)
class AnimationConfig:
    """The settings of an animation.

    Attributes:
        source_keypoints: keypoints of the source image: an annotation CSV, or what another program wrote; None: its
            pose is estimated.
        annotations: keypoints of the frames: an annotation CSV with rows named as in the folder, or
            `<clip>-000000.png`, or what another program wrote; the poses of other frames are estimated.
        keypoints_output: annotation CSV to write with the poses that were used, in pixels of the target frames.
        fit: part of an image that is resized to the generator's size: `person` (a rectangle around
            the person), `letterbox` (the whole image, aspect ratio kept) or `stretch` (the whole image, aspect
            ratio changed). An image that already has the generator's size stays as it is.
        side_by_side: whether source, target frame and skeleton are shown beside the generated frame.
        fps: frames per second of the output; None: the rate of the targets, or 25 if it is unknown.
        batch_size: number of frames that are generated together.
    """

    source_keypoints: str | None = None
    annotations: str | None = None
    keypoints_output: str | None = None
    fit: str = "person"
    side_by_side: bool = False
    fps: float | None = None
    batch_size: int = 16

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise InputError(f"fit {self.fit!r} is not known; allowed: {', '.join(FITS)}")
        if self.fps is not None and not 0 < self.fps <= 100:
            raise InputError(f"fps must be above 0 and at most 100, got {self.fps}")
        if self.batch_size < 1:
            raise InputError(f"batch_size must be 1 or more, got {self.batch_size}")


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as text for messages: `warp_skip mask, image_size 128x64`."""
    return ", ".join(f"{name} {value_in_words(value)}" for name, value in settings.items())


def value_in_words(value: Any) -> str:
    """The value of a setting as text, for messages."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(getattr(value, "name", value))
