"""Animation: the person of one photo makes the movements of the person in other frames."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from pose_gan.config import AnimationConfig, ModelConfig
from pose_gan.data.video import Clip, check_count, check_output, open_clip, open_writer
from pose_gan.errors import InputError
from pose_gan.estimators import Estimator
from pose_gan.evaluation.drawn import drawn_walk
from pose_gan.evaluation.posing import (
    check_generator,
    check_inside,
    frame_of_image,
    frame_of_poses,
    generated,
    open_source,
    source_pose,
)
from pose_gan.files.folders import make_folder
from pose_gan.model_files.run_folder import DEMO
from pose_gan.model_files.saving import settings_of
from pose_gan.networks import compiled
from pose_gan.poses.drawing import draw_skeleton
from pose_gan.poses.imports.poses import read_poses
from pose_gan.poses.imports.reading import holds_keypoints
from pose_gan.poses.imports.taking import Choice
from pose_gan.poses.keypoints import Annotations, write_annotations
from pose_gan.poses.sequences import Motion, complete

DEFAULT_FPS = 25.0


def animate(
    generator: keras.Model,
    estimator: Estimator | None,
    source: str | os.PathLike[str],
    targets: str | os.PathLike[str],
    output: str | os.PathLike[str],
    settings: AnimationConfig | None = None,
    choice: Choice | None = None,
) -> Motion:
    """Generates the person of `source` in the poses of `targets`.

    Args:
        generator: a model as `build_generator` makes it.
        estimator: finds the poses that no file gives; None: files give all poses.
        source: image of the person; `demo`: a drawn person.
        targets: folder of frames, animated GIF or video; or poses only, in order: an annotation CSV, or a file or
            folder of keypoints that another program wrote; `demo`: a walk.
        output: a .gif or .mp4 file, a .png file for a single pose, or a name without a suffix for a folder of PNG
            images; it appears only when it is complete.
        settings: settings of the animation; None: the defaults.
        choice: the person and the joints that are taken from files of other programs; None: the defaults.
    Returns: the poses used.
    Raises: InputError: an input cannot be read or used, or the source or all frames show nobody.
    """
    settings = settings or AnimationConfig()
    check_output(output)
    config = settings_of(generator)
    size, skeleton = config.image_size, config.skeleton
    check_generator(config, estimator)
    photo, pose = open_source(source, size, skeleton)
    clip, told = _open_targets(targets, settings.annotations, config, choice)
    for path in filter(None, (output, settings.keypoints_output)):
        make_folder(Path(path).parent)
    if pose is None:
        pose = source_pose(photo, str(source), settings.source_keypoints, estimator, skeleton, choice)
    motion = complete(_find_poses(clip, told, estimator) if clip else told, skeleton)
    check_count(output, len(motion.names))

    framing = frame_of_image(settings.fit, photo.shape[:2], size, pose)
    photo, pose = framing.image(photo), framing.keypoints(pose)
    # One frame for all targets, so that the person moves and the camera stands still
    if clip is not None:
        framing = frame_of_image(settings.fit, clip.image_size, size, motion.keypoints)
    else:
        framing = frame_of_poses(settings.fit, motion.keypoints, size, targets)
    frames = (framing.image(image) for image in clip) if clip and settings.side_by_side else None
    poses = framing.keypoints(motion.keypoints)
    with open_writer(output, settings.fps or (clip.fps if clip else None) or DEFAULT_FPS) as write:
        for image, target in generated(compiled(generator), photo, pose, poses, settings.batch_size):
            if settings.side_by_side:
                shown = [next(frames)] if frames else []
                image = np.concatenate([photo, *shown, draw_skeleton(target, size, skeleton), image], axis=1)
            write(image)
    if settings.keypoints_output:
        write_annotations(settings.keypoints_output, motion.names, motion.keypoints)
    return motion


def _open_targets(
    targets: str | os.PathLike[str],
    annotations: str | os.PathLike[str] | None,
    config: ModelConfig,
    choice: Choice | None,
) -> tuple[Clip | None, Annotations]:
    """The frames (None if `targets` has poses only) and the poses that files give."""
    skeleton = config.skeleton
    if targets == DEMO and not annotations:
        walk = drawn_walk(config.image_size, skeleton)
        return None, Annotations(tuple(f"walk-{number:06d}.png" for number in range(len(walk))), walk, DEMO)
    if Path(targets).suffix.lower() == ".csv" or holds_keypoints(targets):
        if annotations:
            raise InputError(f"--annotations: the targets are poses already ({targets}); leave {annotations} out")
        told = read_poses(targets, skeleton, choice)
        if not len(told):
            raise InputError(f"{targets}: holds no poses")
        return None, told
    clip = open_clip(targets)
    if annotations:
        return clip, read_poses(annotations, skeleton, choice, clip.files or clip.name, clip.image_size)
    return clip, Annotations((), np.zeros((0, skeleton.num_joints, 2), np.int32))


def _find_poses(clip: Clip, told: Annotations, estimator: Estimator | None) -> Annotations:
    """The poses of all frames of a clip: those that files give, and the estimator's poses for the other frames."""
    if len(told) and clip.files and not told.rows.keys() & set(clip.files):
        raise InputError(f"{told.path}: has no row for any frame of {clip.path}, such as {clip.files[0]}")
    names: list[str] = []
    poses: dict[int, np.ndarray] = {}
    waiting: dict[int, np.ndarray] = {}

    def estimate() -> None:
        if waiting and estimator is not None:
            poses.update(zip(waiting, estimator(np.stack(list(waiting.values()))).keypoints, strict=True))
            waiting.clear()

    for number, image in enumerate(tqdm(clip, total=clip.count, unit="frame", desc="Finding poses")):
        names.append(clip.name(number))
        if names[-1] in told.rows:
            row = told.rows[names[-1]]
            poses[number] = told.keypoints[row]
            check_inside(poses[number], clip.image_size, told.where(row))
        elif estimator is None:
            raise InputError(
                f"{clip.path}: the pose of {names[-1]} is not known; give --annotations (a CSV) or --pose_estimator"
            )
        else:
            waiting[number] = image
            if len(waiting) == estimator.preferred_batch:
                estimate()
    estimate()
    keypoints = np.stack([poses[number] for number in range(len(names))])
    return Annotations(tuple(names), keypoints, str(clip.path))
