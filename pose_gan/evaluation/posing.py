"""A person and a pose for a generator: what animations, single pictures and explanations have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.estimators.base import Estimator
from pose_gan.evaluation.drawn import SOURCE, drawn_person, is_drawn
from pose_gan.files.images import read_image
from pose_gan.poses.drawing import to_float, to_uint8
from pose_gan.poses.framing import Frame, Size
from pose_gan.poses.imports.poses import read_poses
from pose_gan.poses.imports.taking import Choice
from pose_gan.poses.keypoints import found, has_required_joints
from pose_gan.poses.skeleton import Skeleton

Place = str | os.PathLike[str]
Run = Callable[[dict[str, Any]], Any]
"""A generator as a function: batch (input name → values) → images in [-1, 1]."""


def check_generator(settings: ModelConfig, estimator: Estimator | None) -> None:
    """Raises InputError: the generator needs a background, or the estimator finds other joints than it knows."""
    skeleton = settings.skeleton
    if settings.use_bg:
        raise InputError("the generator takes a background image with every pose, which is not supplied here")
    if estimator is not None and estimator.skeleton.joints != skeleton.joints:
        raise InputError(
            f"--pose_estimator: {estimator.name} finds the joints of {estimator.skeleton.name}, the generator was "
            f"trained on those of {skeleton.name}; give keypoints in files"
        )


def open_source(source: Place | np.ndarray, size: Size, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray | None]:
    """The source image, uint8 `(H, W, 3)`, and its keypoints, if it is a drawn person.

    Args:
        source: a file, `demo`, or the image itself.
        size: (height, width) in pixels of the generator.
        skeleton: that of the generator.
    Raises: InputError: the image cannot be read, or the skeleton is not that of the drawn person.
    """
    if isinstance(source, np.ndarray):
        check_image(source, "photo")
        return source, None
    return drawn_person(str(source), SOURCE, size, skeleton) if is_drawn(source) else (read_image(source), None)


def check_image(image: np.ndarray, what: str) -> None:
    """Raises InputError: the image is not uint8 `(H, W, 3)`, or has no pixels."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(f"{what}: expected uint8 (H, W, 3), RGB, got {image.dtype} {image.shape}")


def source_pose(
    photo: np.ndarray,
    name: str,
    keypoints: Place | None,
    estimator: Estimator | None,
    skeleton: Skeleton,
    choice: Choice | None = None,
) -> np.ndarray:
    """The keypoints `(joints, 2)` of the source image: what a file tells of it, or else what the estimator finds.

    Args:
        photo: uint8 `(H, W, 3)`.
        name: the file of the photo, for messages; its last part is the name of the photo's row.
        keypoints: file of keypoints; None: the estimator is asked.
        estimator: the pose estimator, if there is one.
        skeleton: the skeleton of the generator.
        choice: the person and the joints that are taken from files of other programs; None: the defaults.
    Raises: InputError: nothing tells the pose, nobody was found, or a joint is missing that the generator needs.
    """
    if keypoints:
        row = Path(name).name
        told = read_poses(keypoints, skeleton, choice, [row], photo.shape[:2])
        if row not in told.rows:
            raise InputError(f"{keypoints}: has no row for {row}, the source image")
        pose, where = told.keypoints[told.rows[row]], told.where(told.rows[row])
    else:
        if estimator is None:
            raise InputError(
                f"{name}: its pose is not known; give --source_keypoints (an annotation CSV) or --pose_estimator"
            )
        pose, where = estimator(photo[np.newaxis]).keypoints[0], f"{name}: {estimator.name}"
    check_person(pose, skeleton, where, "in the source image", "another image, or --source_keypoints")
    check_inside(pose, photo.shape[:2], where)
    return pose


def check_person(pose: np.ndarray, skeleton: Skeleton, where: str, place: str, remedy: str) -> None:
    """Raises InputError if a pose is empty, or lacks a joint that the generator needs."""
    if not found(pose).any():
        raise InputError(f"{where}: nobody was found {place}; give {remedy}")
    if not has_required_joints(pose, skeleton):
        lacking = [joint for joint in skeleton.required if not found(pose)[skeleton.index(joint)]]
        raise InputError(
            f"{where}: {', '.join(lacking)} not found {place}; the generator needs {', '.join(skeleton.required)}; "
            f"give {remedy}"
        )


def check_inside(pose: np.ndarray, image_size: Size, where: str) -> None:
    """Raises InputError if a keypoint lies outside of the image."""
    if np.any(pose >= image_size):
        raise InputError(
            f"{where}: keypoints outside of the image, which has {image_size[0]}x{image_size[1]} pixels (height, width)"
        )


def frame_of_image(fit: str, image_size: Size, size: Size, keypoints: np.ndarray) -> Frame:
    """The part of an image that becomes the generator's; an image of the generator's size stays as it is."""
    if image_size == size or fit == "stretch":
        return Frame.stretch(image_size, size)
    if fit == "letterbox":
        return Frame.letterbox(image_size, size)
    return Frame.around(keypoints, image_size, size)


def frame_of_poses(fit: str, keypoints: np.ndarray, size: Size, where: Place) -> Frame:
    """One frame for poses without images, `(…, joints, 2)`. Poses that fit into the generator's size stay as they are.

    Raises: InputError: they do not fit, and `fit` needs to know the size of their images.
    """
    if np.all(keypoints < size):
        return Frame.stretch(size, size)
    if fit != "person":
        raise InputError(
            f"{where}: has keypoints outside of the generator's {size[0]}x{size[1]} pixels (height x width), "
            f"and a CSV does not tell the size of its own, which {fit} needs; give --fit person, or the frames"
        )
    height, width = (keypoints.reshape(-1, 2).max(axis=0) + 1).tolist()
    return Frame.around(keypoints, (height, width), size)


def generated(
    run: Run, source: np.ndarray, pose: np.ndarray, poses: np.ndarray, batch_size: int = 16, quiet: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The person of an image in each pose.

    Args:
        run: the generator.
        source: uint8 `(H, W, 3)` of the generator's size.
        pose: its keypoints `(joints, 2)`.
        poses: the target poses `(T, joints, 2)`.
        batch_size: number of images that are generated together.
        quiet: whether no progress is shown.
    Yields: the image, uint8 `(H, W, 3)`, and its pose.
    Raises: InputError: the generator gives values that are no image.
    """
    with tqdm(total=len(poses), unit="frame", desc="Generating", disable=quiet) as progress:
        for start in range(0, len(poses), batch_size):
            part = poses[start : start + batch_size]
            batch = {
                "source_image": np.repeat(to_float(source)[np.newaxis], len(part), axis=0),
                "source_keypoints": np.repeat(pose[np.newaxis].astype(np.float32), len(part), axis=0),
                "target_keypoints": part.astype(np.float32),
            }
            try:
                images = to_uint8(np.asarray(run(batch)))
            except InputError as error:
                raise InputError(f"the generator's output is no image: {error}; try an earlier checkpoint") from None
            yield from zip(images, part, strict=True)
            progress.update(len(part))
