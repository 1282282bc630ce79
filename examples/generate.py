"""Draws a person in a new pose, from a photo and two poses. The code is made to be copied into an application."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

import pose_gan
from pose_gan.errors import InputError, run_program
from pose_gan.files.images import read_image
from pose_gan.model_files.saving import read_info
from pose_gan.poses.drawing import to_float, to_uint8, write_image
from pose_gan.poses.imports.poses import read_poses
from pose_gan.poses.keypoints import Annotations, has_required_joints
from pose_gan.poses.skeleton import Skeleton


def generate(generator: keras.Model, photo: np.ndarray, pose: np.ndarray, new_pose: np.ndarray) -> np.ndarray:
    """The person of `photo` in `new_pose`. Load the generator once and call this as often as you like.

    Args:
        generator: the result of `pose_gan.load_generator`.
        photo: uint8 `(height, width, 3)`, of the generator's size.
        pose, new_pose: keypoints of the pose in the photo and of the new pose: `(joints, 2)`, (y, x) in pixels,
            −1 where a joint is missing.
    Returns: uint8 `(height, width, 3)`.
    """
    one_each = [to_float(photo)[np.newaxis], pose[np.newaxis], new_pose[np.newaxis]]  # a batch of 1
    return to_uint8(generator(one_each)[0].numpy())


def read_photo(path: Path, image_size: tuple[int, int]) -> np.ndarray:
    """The photo. Raises InputError if the file is not an image or does not have the generator's size."""
    photo = read_image(path)
    if photo.shape[:2] != image_size:
        (height, width), (wanted_height, wanted_width) = photo.shape[:2], image_size
        raise InputError(
            f"{path}: {height}x{width} pixels (height x width), the generator takes {wanted_height}x{wanted_width}; "
            "resize photo and keypoints together: pose-gan data resize --help"
        )
    return photo


def find_pose(poses: Annotations, name: str, skeleton: Skeleton) -> np.ndarray:
    """The row `name`. Raises InputError if there is none, or if it lacks joints that locate the body."""
    if name not in poses.rows:
        raise InputError(f"{poses.path}: no row named {name}")
    pose = poses.keypoints[poses.rows[name]]
    if not has_required_joints(pose, skeleton):
        raise InputError(f"{poses.where(poses.rows[name])}: joints are missing; needed: {', '.join(skeleton.required)}")
    return pose


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--generator", metavar="RUN|FILE", default="demo/run", help="training run, or model file (default: %(default)s)"
    )
    parser.add_argument("--image", type=Path, required=True, metavar="FILE", help="photo of the person")
    parser.add_argument(
        "--annotations",
        metavar="FILE",
        default="annotations/demo-annotation-test.csv",
        help="keypoints of both poses: an annotation CSV, or what another program wrote (default: %(default)s)",
    )
    parser.add_argument("--source", metavar="NAME", help="row of the photo's pose (default: the photo's file name)")
    parser.add_argument("--target", required=True, metavar="NAME", help="row of the new pose")
    parser.add_argument("--output", metavar="PNG", default="generated.png", help="default: %(default)s")
    args = parser.parse_args(argv)

    generator = pose_gan.load_generator(args.generator)
    config = read_info(args.generator).model
    if config.use_bg:
        raise InputError(f"{args.generator}: this generator wants a background image besides; use test.py")
    photo = read_photo(args.image, config.image_size)
    names = args.source or args.image.name, args.target
    poses = read_poses(args.annotations, config.skeleton, images=names, image_size=config.image_size)
    pose, new_pose = (find_pose(poses, name, config.skeleton) for name in names)
    write_image(args.output, generate(generator, photo, pose, new_pose))
    print(f"{args.image} in the pose of {args.target} -> {args.output}")


if __name__ == "__main__":
    run_program(main)
