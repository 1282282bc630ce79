"""What is looked at during a run: the losses and metrics on test pairs, and a grid of sample pictures."""

from __future__ import annotations

import numpy as np

from pose_gan import metrics
from pose_gan.config import RunConfig
from pose_gan.data.batches import Batch, iterate, ordered_batches
from pose_gan.data.pair_data import PairData, open_pairs
from pose_gan.errors import InputError
from pose_gan.poses import drawing
from pose_gan.poses.skeleton import Skeleton
from pose_gan.training.gan import GAN

VALIDATION_PAIRS = 200
SAMPLE_PAIRS = 8
SAMPLE_COLUMNS = ("source", "source pose", "target pose", "target", "generated")


def open_validation(config: RunConfig) -> PairData | None:
    """The first pairs of the test split; None with `use_validation` off. Raises InputError if they are not in order."""
    if not config.train.use_validation:
        return None
    model = config.model
    try:
        return open_pairs(config.data, "test", model.image_size, model.skeleton, model.use_bg, limit=VALIDATION_PAIRS)
    except InputError as error:
        raise InputError(f"{error} (needed for validation; --use_validation 0 trains without)") from None


def validate(gan: GAN, pairs: PairData, batch_size: int) -> dict[str, float]:
    """The generator's losses and SSIM on pairs, without dropout: means over all pairs."""
    sums: dict[str, float] = {}
    for batch in iterate(ordered_batches(pairs, batch_size), pairs):
        generated, losses = gan.validation_step(batch)
        size = len(generated)
        values = {name: float(value) * size for name, value in losses.items()}
        ours, theirs = (drawing.to_uint8(np.asarray(image)) for image in (generated, batch["target_image"]))
        values["ssim"] = float(np.sum(metrics.ssim(ours, theirs)))
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value
    return {name: value / len(pairs) for name, value in sums.items()}


def sample_batch(pairs: PairData) -> Batch:
    """The first pairs, of which `sample_grid` draws pictures."""
    return next(iterate(ordered_batches(pairs, min(SAMPLE_PAIRS, len(pairs))), pairs))


def sample_grid(gan: GAN, batch: Batch, skeleton: Skeleton) -> np.ndarray:
    """A labelled grid of pairs with what the generator makes of them: uint8 `(height, width, 3)`."""
    generated = drawing.to_uint8(np.asarray(gan.generate(batch)))
    source, target = (drawing.to_uint8(np.asarray(batch[f"{side}_image"])) for side in ("source", "target"))
    height, width = source.shape[1:3]
    poses = [
        [drawing.draw_skeleton(pose, (height, width), skeleton) for pose in np.asarray(batch[key])]
        for key in ("source_keypoints", "target_keypoints")
    ]
    scale = max(1, 256 // height)
    return drawing.grid(list(zip(source, *poses, target, generated, strict=True)), SAMPLE_COLUMNS, scale)
