"""How hard each loss pulls at generated images beside the adversarial loss, and how much of it is a checkerboard.

    python -m benchmarks.balance RUN [--vgg_weights FILE …]

RUN is the folder of a training run. Its networks judge batches of its own training data. The table has one row per
reconstruction loss: its weighted value, the norm of its gradient with respect to the generated images, the ratio to the
adversarial loss' norm, and the share of the pixel-scale checkerboard in the gradient's norm (0.5 for white noise).
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.harness import Table
from pose_gan import losses
from pose_gan.config import RunConfig
from pose_gan.data.batches import iterate, training_batches
from pose_gan.data.pair_data import open_pairs
from pose_gan.errors import InputError, run_program
from pose_gan.model_files.run_folder import checkpoints_of_run, read_options
from pose_gan.presets import dataset_defaults, preset
from pose_gan.training.checkpoint import restore_newest
from pose_gan.training.features import VGGFeatures
from pose_gan.training.gan import GAN

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
COLUMNS = {
    "loss": "loss",
    "value": "weight × value",
    "norm": "gradient",
    "ratio": "to adversarial",
    "checkerboard": "checkerboard share",
}


def reconstruction(name: str, window: int, vgg_weights: str) -> tuple[float, Loss]:
    """The weight and the reconstruction loss of a preset."""
    row = preset(name, window)
    layer, side = row.get("content_loss_layer"), row.get("nn_loss_area_size", 1)
    features = VGGFeatures([layer], vgg_weights) if layer else None

    def loss(generated: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        a, b = (generated, target) if features is None else (features(generated)[0], features(target)[0])
        return losses.l1_loss(a, b) if side == 1 else losses.nearest_neighbour_loss(a, b, side)

    return row["l1_penalty_weight"], loss


def checkerboard_share(gradient: tf.Tensor) -> float:
    """Norm of the part of a gradient `(B, H, W, C)` that alternates from pixel to pixel, over its whole norm."""
    blocks = gradient[:, ::2, ::2] - gradient[:, ::2, 1::2] - gradient[:, 1::2, ::2] + gradient[:, 1::2, 1::2]
    return float(tf.norm(blocks) / 2 / tf.maximum(tf.norm(gradient), 1e-30))


def measure(gan: GAN, batches: Sequence[Any], rows: dict[str, tuple[float, Loss]]) -> Table:
    """Means over the batches; `rows` gives the weight and the loss of each row."""
    found: dict[str, list[tuple[float, float, float]]] = {"adversarial": [], **{name: [] for name in rows}}
    for batch in batches:
        generated = gan.generate(batch, training=True)
        inputs = {**batch, "target_image": generated}
        names = [tensor.name for tensor in gan.discriminator.inputs]

        def adversarial(images: tf.Tensor, target: tf.Tensor, inputs=inputs, names=names) -> tf.Tensor:
            scores = gan.discriminator([{**inputs, "target_image": images}[name] for name in names], training=True)
            return -tf.reduce_mean(tf.math.log(scores + 1e-7))

        for name, (weight, loss) in {"adversarial": (1.0, adversarial), **rows}.items():
            with tf.GradientTape() as tape:
                tape.watch(generated)
                value = weight * loss(generated, batch["target_image"])
            gradient = tape.gradient(value, generated)
            found[name].append((float(value), float(tf.norm(gradient)), checkerboard_share(gradient)))
    means = {name: np.mean(values, axis=0) for name, values in found.items()}
    scale = means["adversarial"][1]
    table = [
        {"loss": name, "value": value, "norm": norm, "ratio": norm / scale, "checkerboard": share}
        for name, (value, norm, share) in means.items()
    ]
    return Table("Pull of the losses at generated images", COLUMNS, table)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="folder of a training run with a checkpoint")
    parser.add_argument(
        "--vgg_weights", nargs="+", default=["random"], metavar="FILE", help="as in train (default: random)"
    )
    parser.add_argument("--batches", type=int, default=6, help="batches of the run's training data (default: 6)")
    args = parser.parse_args(argv)
    run = Path(args.run)
    config = RunConfig.from_dict(read_options(run)["config"], str(run))
    gan = GAN(config)
    if restore_newest(checkpoints_of_run(run), gan.variables) is None:
        raise InputError(f"{run}: has no checkpoint; give the folder of a run that has one")
    model, window = config.model, dataset_defaults(config.data.dataset, config.model.image_size).nn_window
    data = open_pairs(config.data, "train", model.image_size, model.skeleton, model.use_bg)
    stream = iterate(training_batches(data, config.train.batch_size, seed=1), data)
    rows = {"dsc: pixels": reconstruction("dsc", window, "random")}
    for weights in args.vgg_weights:
        short = Path(weights).name
        rows |= {f"{name}: {short}": reconstruction(name, window, weights) for name in ("fm", "full")}
    print(measure(gan, list(itertools.islice(stream, args.batches)), rows).to_text())
    return 0


if __name__ == "__main__":
    run_program(main)
