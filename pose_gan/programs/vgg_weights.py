"""`pose-gan vgg-weights`: cuts the layers that a loss needs out of a weights file of VGG-19."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pose_gan import runtime
from pose_gan.errors import InputError
from pose_gan.programs.flags import boolean
from pose_gan.programs.verbs import verb_parser

EPILOG = """examples:
  pose-gan vgg-weights imagenet vgg19.npz
  pose-gan vgg-weights vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5 vgg19.npz --upto block1_conv2
  pose-gan train --dataset market --preset full --vgg_weights vgg19.npz

The presets need block1_conv2 (full) and block2_conv1 (fm). A file up to block2_conv1 has 0.5 MB, Keras' has 80 MB."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "vgg-weights",
        "Writes the first layers of VGG-19 to a small file for --vgg_weights, and prints how large their features are.",
        EPILOG,
    )
    parser.add_argument("input", metavar="IN", help="imagenet (Keras' file, downloaded once), or an .h5 or .npz file")
    parser.add_argument("output", metavar="OUT", help=".npz file to write")
    parser.add_argument("--upto", default="block2_conv1", metavar="LAYER", help="last layer (default: block2_conv1)")
    parser.add_argument(
        "--feature_scale",
        type=float,
        metavar="X",
        help="what features are multiplied by (default: what IN says; else 50 if their mean is about 1, and 1 if it is "
        "some tens, as with Keras' ImageNet weights)",
    )
    parser.add_argument(
        "--overwrite", type=boolean, default=False, metavar="0|1", help="replace OUT if it exists (default: 0)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    target = Path(args.output)
    if target.suffix != ".npz":
        raise InputError(f"{target}: the file to write ends in .npz")
    if target.exists() and not args.overwrite:
        raise InputError(f"{target}: is there already; --overwrite 1 replaces it")
    if args.feature_scale is not None and not 0 < args.feature_scale < float("inf"):
        raise InputError(f"--feature_scale {args.feature_scale}: must be a positive number")
    runtime.start()
    from pose_gan.estimators import vgg19
    from pose_gan.training.features import vgg_weights

    weights = vgg_weights(args.input, vgg19.deepest([args.upto]))
    if args.feature_scale is not None:
        weights = weights._replace(scale=args.feature_scale)
    vgg19.save(target, weights)
    mean = vgg19.mean_activation(weights, args.upto)
    print(
        f"{len(weights.arrays)} layers up to {args.upto}: mean of the features {mean:.3g} on noise like photographs, "
        f"times {weights.scale:g} -> {target}"
    )
    return 0
