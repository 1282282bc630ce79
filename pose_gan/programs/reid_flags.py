"""Flags of the verbs of `pose-gan reid` that read images: where they stand, and how they are split."""

from __future__ import annotations

import argparse

from pose_gan.programs.score_flags import seed
from pose_gan.reid.images import MARKET, Splits, read_splits


def add_split_arguments(group: argparse._ActionsContainer, required: bool = True) -> None:
    """Adds `--images --pattern --test_share --split_seed`, from which `splits_of` reads the images.

    Whether `--images` must be given is for the caller to say.

    All verbs need the same values for one data set, so that no person of the training is in the test.
    """
    group.add_argument(
        "--images",
        required=required,
        metavar="DIR",
        help="Market-1501's folder, with bounding_box_train, query and bounding_box_test, or one folder of images, "
        "whose people are split into training and test",
    )
    group.add_argument(
        "--pattern",
        metavar="REGEX",
        help="how a name tells person and camera: a regular expression with the groups (?P<person>...) and "
        f"(?P<camera>...) (default: Market-1501's, {MARKET})",
    )
    group.add_argument(
        "--test_share",
        type=float,
        default=0.5,
        metavar="X",
        help="share of the people in one folder who are for the test; 0: all are for the training, 1: all for the test "
        "(default: 0.5)",
    )
    group.add_argument("--split_seed", type=seed, default=0, metavar="N", help="seed of that split (default: 0)")


def splits_of(args: argparse.Namespace) -> Splits:
    """The images that the flags name. Raises InputError as `read_splits`."""
    return read_splits(args.images, args.pattern, args.test_share, args.split_seed)
