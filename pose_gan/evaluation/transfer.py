"""A person of a photo in another pose: one call from files to pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_gan.config import FITS, ModelConfig
from pose_gan.errors import InputError
from pose_gan.estimators import Estimator, load_estimator
from pose_gan.evaluation.drawn import POSE, drawn_person, is_drawn
from pose_gan.evaluation.posing import (
    Place,
    Run,
    check_generator,
    check_image,
    check_inside,
    check_person,
    frame_of_image,
    frame_of_poses,
    generated,
    open_source,
    source_pose,
)
from pose_gan.files.images import read_image
from pose_gan.model_files.opening import of_model, open_generator
from pose_gan.model_files.run_folder import DEMO
from pose_gan.poses.drawing import draw_skeleton, grid
from pose_gan.poses.framing import Frame
from pose_gan.poses.imports.poses import read_poses
from pose_gan.poses.imports.reading import holds_keypoints
from pose_gan.poses.imports.taking import Choice
from pose_gan.poses.keypoints import LARGEST, MISSING
from pose_gan.poses.skeleton import Skeleton

MOST = 64  # poses; more are a film, which `pose-gan animate` makes
SHEET_HEIGHT = 384  # pixels of a picture in a sheet, at least
PoseInput = Place | np.ndarray


@dataclass(frozen=True)
class Target:
    """A target pose.

    Attributes:
        name: where it is from.
        pose: int32 `(joints, 2)`, (y, x) in pixels of the generator's image, −1 where missing.
        picture: the image that shows it, uint8 `(H, W, 3)` of the generator's size; None: there is none.
    """

    name: str
    pose: np.ndarray
    picture: np.ndarray | None = None


@dataclass(frozen=True)
class Scene:
    """What a generator is given: a person and target poses.

    Attributes:
        photo: uint8 `(H, W, 3)`, of any size.
        frame: the part of the photo that the generator sees.
        source: that part, uint8 `(h, w, 3)` of the generator's size.
        pose: its keypoints, int32 `(joints, 2)`, (y, x) in pixels, −1 where missing.
        targets: the target poses.
        settings: those of the generator.
    """

    photo: np.ndarray
    frame: Frame
    source: np.ndarray
    pose: np.ndarray
    targets: tuple[Target, ...]
    settings: ModelConfig

    def generate(self, run: Run) -> list[np.ndarray]:
        """The person in each pose: uint8 `(h, w, 3)` of the generator's size."""
        poses = np.stack([target.pose for target in self.targets])
        return [image for image, _ in generated(run, self.source, self.pose, poses, quiet=True)]

    def put_back(self, image: np.ndarray) -> np.ndarray:
        """A generated image at the place and the scale of the person in the photo: uint8 `(H, W, 3)`."""
        return self.frame.put_back(image, self.photo)

    def sheet(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Source, pose and generated image side by side, with a row for each pose."""
        size, skeleton = self.settings.image_size, self.settings.skeleton
        rows = [
            [self.source, draw_skeleton(target.pose, size, skeleton, _dimmed(target.picture)), image]
            for target, image in zip(self.targets, images, strict=True)
        ]
        return grid(rows, ("source", "pose", "generated"), scale=max(1, -(-SHEET_HEIGHT // size[0])))


def open_scene(
    source: Place | np.ndarray,
    poses: Sequence[PoseInput],
    settings: ModelConfig,
    estimator: Estimator | None = None,
    source_keypoints: Place | np.ndarray | None = None,
    rows: Sequence[str] = (),
    fit: str = "person",
    choice: Choice | None = None,
) -> Scene:
    """Reads a person and target poses, and frames them for a generator.

    Args:
        source: photo of the person: a file, an image, or `demo`.
        poses: each an image of a person (a file, or uint8 `(H, W, 3)`), `demo`, a file of keypoints, or keypoints
            `(joints, 2)`, (y, x) in pixels, −1 where missing.
        settings: settings of the generator.
        estimator: finds the poses in images.
        source_keypoints: the pose of the photo: a file, or keypoints `(joints, 2)`; None: it is estimated.
        rows: names of the rows that are taken from files of keypoints; empty: all.
        fit: how images are framed, one of `config.FITS`.
        choice: the person and joints that are taken from files of other programs; None: the defaults.
    Raises: InputError: something cannot be read, shows nobody, or does not fit the generator.
    """
    if fit not in FITS:
        raise InputError(f"fit {fit!r} is not known; allowed: {', '.join(FITS)}")
    check_generator(settings, estimator)
    size, skeleton = settings.image_size, settings.skeleton
    photo, pose = open_source(source, size, skeleton)
    name = "photo" if isinstance(source, np.ndarray) else str(source)
    if isinstance(source_keypoints, np.ndarray):
        pose = _given(source_keypoints, skeleton, "source_keypoints")
        check_person(pose, skeleton, "source_keypoints", "in the source image", "others")
        check_inside(pose, photo.shape[:2], "source_keypoints")
    elif source_keypoints is not None or pose is None:
        pose = source_pose(photo, name, source_keypoints, estimator, skeleton, choice)
    if rows and not any(not isinstance(given, np.ndarray) and not is_drawn(given) and _tells(given) for given in poses):
        raise InputError(f"rows {', '.join(rows)}: none of the poses is a file of keypoints; leave --rows out")
    reader = _Reader(settings, estimator, tuple(rows), fit, choice)
    targets = [target for given in poses for target in reader.targets(given)]
    if not targets:
        raise InputError("no pose was given")
    if len(targets) > MOST:
        raise InputError(
            f"{len(targets)} poses; at most {MOST} are drawn at once: choose some with --rows, or make a film of them "
            "with pose-gan animate"
        )
    frame = frame_of_image(fit, photo.shape[:2], size, pose)
    return Scene(photo, frame, frame.image(photo), frame.keypoints(pose), tuple(targets), settings)


@dataclass(frozen=True)
class _Reader:
    """Reads target poses; the attributes are arguments of `open_scene`."""

    settings: ModelConfig
    estimator: Estimator | None
    rows: tuple[str, ...]
    fit: str
    choice: Choice | None

    def targets(self, given: PoseInput) -> list[Target]:
        """The target poses of one input."""
        size, skeleton = self.settings.image_size, self.settings.skeleton
        if isinstance(given, np.ndarray):
            if given.ndim == 2:
                return [self._told("pose", _given(given, skeleton, "pose"))]
            check_image(given, "pose")
            return [self._found("pose", given)]
        if is_drawn(given):
            return [self._seen(str(given), *drawn_person(str(given), POSE, size, skeleton))]
        if not _tells(given):
            return [self._found(str(given), read_image(given))]
        told = read_poses(given, skeleton, self.choice)
        if absent := [row for row in self.rows if row not in told.rows]:
            raise InputError(f"{given}: has no row {absent[0]}; it has {', '.join(told.names[:5])}")
        names = self.rows or told.names
        return [self._told(f"{given}: {name}", told.keypoints[told.rows[name]]) for name in names]

    def _found(self, name: str, image: np.ndarray) -> Target:
        """The pose that the estimator finds in an image."""
        if self.estimator is None:
            raise InputError(f"{name}: its pose is not known; give --pose_estimator, or a file of keypoints")
        keypoints = self.estimator(image[np.newaxis]).keypoints[0]
        return self._seen(f"{name}: {self.estimator.name}", image, keypoints)

    def _seen(self, name: str, image: np.ndarray, keypoints: np.ndarray) -> Target:
        """A pose and the image that shows it."""
        check_person(keypoints, self.settings.skeleton, name, "in the image of the pose", "another image")
        frame = frame_of_image(self.fit, image.shape[:2], self.settings.image_size, keypoints)
        return Target(name, frame.keypoints(keypoints), frame.image(image))

    def _told(self, name: str, keypoints: np.ndarray) -> Target:
        """A pose without an image."""
        check_person(keypoints, self.settings.skeleton, name, "in it", "another pose")
        frame = frame_of_poses(self.fit, keypoints, self.settings.image_size, name)
        return Target(name, frame.keypoints(keypoints))


def unposed(source: PoseInput, poses: Sequence[PoseInput], source_keypoints: Any) -> str | None:
    """The first input whose pose must be estimated; None: there is none."""
    if source_keypoints is None and not is_drawn(source):
        return "photo" if isinstance(source, np.ndarray) else str(source)
    for pose in poses:
        if isinstance(pose, np.ndarray):
            if pose.ndim != 2:
                return "pose"
        elif not is_drawn(pose) and not _tells(pose):
            return str(pose)
    return None


def _tells(path: Place) -> bool:
    """Whether a file holds keypoints, and is no image."""
    return Path(path).suffix.lower() == ".csv" or holds_keypoints(path)


def transfer(
    photo: Place | np.ndarray,
    pose: PoseInput | Sequence[PoseInput],
    generator: Any = DEMO,
    estimator: Place | Estimator | None = None,
    source_keypoints: Place | np.ndarray | None = None,
    fit: str = "person",
) -> Any:
    """Draws the person of a photo in another pose.

    The person is found and framed, the image is generated, and put back at the person's place in the photo. What
    lies outside of the frame stays as it is. With a photo of the generator's size, the frame is the whole photo.

    Args:
        photo: a file, or uint8 `(H, W, 3)`, RGB; `demo`: a drawn person.
        pose: an image of a person in the wanted pose (a file, or uint8 `(H, W, 3)`), a file of keypoints (an annotation
            CSV, or what another program wrote), keypoints `(joints, 2)`, (y, x) in pixels, −1 where missing, or `demo`;
            or a list of these.
        generator: a model file, the folder of a training run, a model of `load_generator`, or `demo`, which knows drawn
            people only.
        estimator: finds the poses in images: a file of a pose estimator, or one that is open; None: that of the demo
            for the generator `demo`, else none.
        source_keypoints: the pose of the photo: a file, or keypoints `(joints, 2)`; None: it is estimated.
        fit: how images are framed: `person`, `letterbox` or `stretch`.
    Returns: uint8 `(H, W, 3)` of the photo's size; a list of these if `pose` is a list or holds several poses.
    Raises: InputError: an input cannot be used; the message says what to do.
    Example:
        generator = "runs/00000-market-mask/generator.h5"
        image = pose_gan.transfer(photo, wanted_pose, generator, source_keypoints=pose_in_photo)
    """
    poses: list[Any] = [*pose] if isinstance(pose, (list, tuple)) else [pose]
    told = [] if source_keypoints is None else [("source_keypoints", source_keypoints)]
    for what, value in (("photo", photo), *(("pose", each) for each in poses), *told):
        if not isinstance(value, (str, os.PathLike, np.ndarray)):
            raise InputError(f"{what}: expected the name of a file or a NumPy array, got {type(value).__name__}")
    named = isinstance(generator, (str, os.PathLike))
    opened = open_generator(generator) if named else of_model(generator)
    missing = unposed(photo, poses, source_keypoints)
    if estimator is None and missing and named and os.fspath(generator) == DEMO:
        estimator = DEMO
    if not (estimator is None or isinstance(estimator, (str, os.PathLike)) or callable(estimator)):
        raise InputError(f"estimator: expected a file or an open pose estimator, got {type(estimator).__name__}")
    if isinstance(estimator, (str, os.PathLike)):
        estimator = load_estimator(estimator) if missing else None
    scene = open_scene(photo, poses, opened.settings, estimator, source_keypoints, fit=fit)
    images = [scene.put_back(image) for image in scene.generate(opened.run)]
    return images if isinstance(pose, (list, tuple)) or len(images) > 1 else images[0]


def _given(keypoints: np.ndarray, skeleton: Skeleton, what: str) -> np.ndarray:
    if keypoints.shape != (skeleton.num_joints, 2) or keypoints.dtype.kind not in "iuf":
        raise InputError(
            f"{what}: expected an image, uint8 (H, W, 3), or keypoints {(skeleton.num_joints, 2)}, "
            f"got {keypoints.dtype} {keypoints.shape}"
        )
    pixels = np.rint(keypoints)
    wrong = ~((pixels >= MISSING) & (pixels <= LARGEST))  # NaN too
    if wrong.any():
        raise InputError(
            f"{what}: {keypoints[wrong][0]} is no pixel; allowed: 0 to {LARGEST}, and {MISSING} where nothing was found"
        )
    return pixels.astype(np.int32)


def _dimmed(picture: np.ndarray | None) -> np.ndarray | None:
    """A picture under a skeleton, which stays in front."""
    return None if picture is None else picture // 2
