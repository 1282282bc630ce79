"""Animation: the person of one photo makes the movements of the person in other frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from pose_gan.config import AnimationConfig
from pose_gan.data.video import Clip, check_output, open_clip, open_writer
from pose_gan.errors import InputError
from pose_gan.estimators import Estimator
from pose_gan.files.folders import make_folder
from pose_gan.files.images import read_image
from pose_gan.model_files.saving import settings_of
from pose_gan.networks import compiled
from pose_gan.poses.drawing import draw_skeleton, to_float, to_uint8
from pose_gan.poses.framing import Frame
from pose_gan.poses.imports.poses import read_poses
from pose_gan.poses.imports.reading import holds_keypoints
from pose_gan.poses.imports.taking import Choice
from pose_gan.poses.keypoints import Annotations, found, has_required_joints, write_annotations
from pose_gan.poses.sequences import Motion, complete
from pose_gan.poses.skeleton import Skeleton

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
        source: image of the person.
        targets: folder of frames, animated GIF or video; or poses only, in order: an annotation CSV, or a file or
            folder of keypoints that another program wrote.
        output: a .gif or .mp4 file, or a name without a suffix for a folder of PNG images; it appears only when it is
            complete.
        settings: settings of the animation; None: the defaults.
        choice: the person and the joints that are taken from files of other programs; None: the defaults.
    Returns: the poses used.
    Raises: InputError: an input cannot be read or used, or the source or all frames show nobody.
    """
    settings = settings or AnimationConfig()
    check_output(output)
    config = settings_of(generator)
    size, skeleton = config.image_size, config.skeleton
    if config.use_bg:
        raise InputError("the generator takes a background image with every pose; animation does not supply one")
    if estimator is not None and estimator.skeleton.joints != skeleton.joints:
        raise InputError(
            f"pose_estimator: {estimator.name} finds the joints of {estimator.skeleton.name}, the generator was "
            f"trained on those of {skeleton.name}; give keypoints in files"
        )
    photo = read_image(source)
    clip, told = _open_targets(targets, settings.annotations, skeleton, choice)
    for path in filter(None, (output, settings.keypoints_output)):
        make_folder(Path(path).parent)
    source_pose = _source_pose(photo, source, settings.source_keypoints, estimator, skeleton, choice)
    motion = complete(_find_poses(clip, told, estimator) if clip else told, skeleton)

    framing = _frame(settings.fit, photo.shape[:2], size, source_pose)
    photo, source_pose = framing.image(photo), framing.keypoints(source_pose)
    framing = _target_frame(settings.fit, clip, motion, size, targets)
    frames = (framing.image(image) for image in clip) if clip and settings.side_by_side else None
    generated = _generate(generator, photo, source_pose, framing.keypoints(motion.keypoints), settings.batch_size)
    with open_writer(output, settings.fps or (clip.fps if clip else None) or DEFAULT_FPS) as write:
        for image, pose in generated:
            if settings.side_by_side:
                shown = [next(frames)] if frames else []
                image = np.concatenate([photo, *shown, draw_skeleton(pose, size, skeleton), image], axis=1)
            write(image)
    if settings.keypoints_output:
        write_annotations(settings.keypoints_output, motion.names, motion.keypoints)
    return motion


def _open_targets(
    targets: str | os.PathLike[str],
    annotations: str | os.PathLike[str] | None,
    skeleton: Skeleton,
    choice: Choice | None,
) -> tuple[Clip | None, Annotations]:
    """The frames (None if `targets` has poses only) and the poses that files give."""
    if Path(targets).suffix.lower() == ".csv" or holds_keypoints(targets):
        if annotations:
            raise InputError(f"annotations: the targets are poses already ({targets}); leave {annotations} out")
        told = read_poses(targets, skeleton, choice)
        if not len(told):
            raise InputError(f"{targets}: holds no poses")
        return None, told
    clip = open_clip(targets)
    if annotations:
        return clip, read_poses(annotations, skeleton, choice, clip.files or clip.name, clip.image_size)
    return clip, Annotations((), np.zeros((0, skeleton.num_joints, 2), np.int32))


def _source_pose(
    photo: np.ndarray,
    source: str | os.PathLike[str],
    csv: str | os.PathLike[str] | None,
    estimator: Estimator | None,
    skeleton: Skeleton,
    choice: Choice | None,
) -> np.ndarray:
    """Keypoints `(joints, 2)` of the source image."""
    if csv:
        name = Path(source).name
        told = read_poses(csv, skeleton, choice, [name], photo.shape[:2])
        if name not in told.rows:
            raise InputError(f"{csv}: has no row for {name}, the source image")
        pose, where = told.keypoints[told.rows[name]], told.where(told.rows[name])
    elif estimator is None:
        raise InputError(
            f"{source}: its pose is not known; give source_keypoints (an annotation CSV) or pose_estimator"
        )
    else:
        pose, where = estimator(photo[np.newaxis]).keypoints[0], f"{source}: {estimator.name}"
    if not found(pose).any():
        raise InputError(f"{where}: nobody was found in the source image; give another one, or source_keypoints")
    if not has_required_joints(pose, skeleton):
        lacking = [joint for joint in skeleton.required if not found(pose)[skeleton.index(joint)]]
        raise InputError(
            f"{where}: {', '.join(lacking)} not found in the source image; the generator needs "
            f"{', '.join(skeleton.required)}; give another image, or source_keypoints"
        )
    _check_inside(pose, photo.shape[:2], where)
    return pose


def _check_inside(pose: np.ndarray, image_size: tuple[int, int], where: str) -> None:
    if np.any(pose >= image_size):
        raise InputError(
            f"{where}: keypoints outside of the image, which has {image_size[0]}x{image_size[1]} pixels (height, width)"
        )


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
            _check_inside(poses[number], clip.image_size, told.where(row))
        elif estimator is None:
            raise InputError(
                f"{clip.path}: the pose of {names[-1]} is not known; give annotations (a CSV) or pose_estimator"
            )
        else:
            waiting[number] = image
            if len(waiting) == estimator.preferred_batch:
                estimate()
    estimate()
    keypoints = np.stack([poses[number] for number in range(len(names))])
    return Annotations(tuple(names), keypoints, str(clip.path))


def _frame(fit: str, image_size: tuple[int, int], size: tuple[int, int], keypoints: np.ndarray) -> Frame:
    if image_size == size or fit == "stretch":
        return Frame.stretch(image_size, size)
    if fit == "letterbox":
        return Frame.letterbox(image_size, size)
    return Frame.around(keypoints, image_size, size)


def _target_frame(
    fit: str, clip: Clip | None, motion: Motion, size: tuple[int, int], targets: str | os.PathLike[str]
) -> Frame:
    """One frame for all targets, so that the person moves and the camera stands still."""
    if clip is not None:
        return _frame(fit, clip.image_size, size, motion.keypoints)
    if np.all(motion.keypoints < size):
        return Frame.stretch(size, size)
    if fit != "person":
        raise InputError(
            f"{targets}: has keypoints outside of the generator's {size[0]}x{size[1]} pixels (height x width), "
            f"and a CSV does not tell the size of its own, which {fit} needs; give fit person, or the frames"
        )
    height, width = (motion.keypoints.max(axis=(0, 1)) + 1).tolist()
    return Frame.around(motion.keypoints, (height, width), size)


def _generate(
    generator: keras.Model, photo: np.ndarray, source_pose: np.ndarray, poses: np.ndarray, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Generated images, uint8 `(H, W, 3)`, each with its target pose `(joints, 2)`."""
    run = compiled(generator)
    with tqdm(total=len(poses), unit="frame", desc="Generating") as progress:
        for start in range(0, len(poses), batch_size):
            part = poses[start : start + batch_size]
            batch = {
                "source_image": np.repeat(to_float(photo)[np.newaxis], len(part), axis=0),
                "source_keypoints": np.repeat(source_pose[np.newaxis].astype(np.float32), len(part), axis=0),
                "target_keypoints": part.astype(np.float32),
            }
            try:
                images = to_uint8(run(batch).numpy())
            except InputError as error:
                raise InputError(f"the generator's output is no image: {error}; try an earlier checkpoint") from None
            yield from zip(images, part, strict=True)
            progress.update(len(part))
