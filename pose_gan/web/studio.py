"""What the page of `pose-gan serve` asks for, without the server: sources, generated frames and their layers.

All poses that the page sends and gets are lists of one `[y, x]` per joint, in pixels of the generator's images, with
fractions; `[-1, -1]` is a missing joint.
"""

from __future__ import annotations

import math
import secrets
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.estimators import Estimator
from pose_gan.evaluation import explanation
from pose_gan.evaluation.drawn import HEAD, STATURE
from pose_gan.poses.drawing import hues, parts_overlay, to_float, to_uint8
from pose_gan.poses.framing import Frame
from pose_gan.poses.keypoints import MISSING, found
from pose_gan.poses.skeleton import COCO18
from pose_gan.poses.walk import walk
from pose_gan.web.images import Images
from pose_gan.web.photos import MAX_BYTES, MAX_PIXELS, Photo, as_png, read_upload
from pose_gan.web.rows import one_row, save_row

KEPT = 24  # sources that are kept in memory; an older one must be opened again
THUMBNAILS = 512  # kept pictures of the folder's images
LAYERS = ("heat_maps", "source_parts", "target_parts", "deformed_source")
WORDS = {"sho": "shoulder", "elb": "elbow", "wri": "wrist", "hip": "hip", "kne": "knee", "ank": "ankle"}
WORDS |= {"eye": "eye", "ear": "ear"}

Run = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Source:
    """A source image, framed for the generator.

    Attributes:
        photo: where it comes from.
        frame: the part of the photo that the generator sees.
        pose: int32 `(joints, 2)`, (y, x) in pixels of the generator's image; None: not known.
        picture: uint8 `(H, W, 3)`, what the generator sees.
        note: what the user should know about it; empty: nothing.
    """

    photo: Photo
    frame: Frame
    pose: np.ndarray | None
    picture: np.ndarray
    note: str = ""


class Studio:
    """Answers the page's questions. Its methods are called one at a time.

    Args:
        run: the generator as a function of a batch, as `pose_gan.networks.compiled` gives it.
        settings: the generator's settings.
        estimator: finds the poses that are not known; None: people place the joints themselves.
        images: a folder of images to choose from; None: only uploads.
        rows: the annotation CSV that gets the saved rows; None: nothing is saved.
        about: the generator in a few words, for the page.
    Raises: InputError: the generator needs a background, or the estimator finds other joints.
    """

    def __init__(
        self,
        run: Run,
        settings: ModelConfig,
        estimator: Estimator | None = None,
        images: Images | None = None,
        rows: Path | None = None,
        about: str = "",
    ) -> None:
        if settings.use_bg:
            raise InputError("the generator takes a background image with every pose; the page does not supply one")
        if estimator is not None and estimator.skeleton.joints != settings.skeleton.joints:
            raise InputError(
                f"pose_estimator: {estimator.name} finds the joints of {estimator.skeleton.name}, the generator was "
                f"trained on those of {settings.skeleton.name}; leave it out and place the joints on the page"
            )
        self._run, self._settings, self._estimator = run, settings, estimator
        self._images, self._rows, self._about = images, rows, about
        self._sources: OrderedDict[str, Source] = OrderedDict()
        self._thumbnails: dict[int, bytes] = {}

    def warm_up(self) -> None:
        """Generates an image of nothing, so that the page does not wait for the first one, which takes seconds."""
        image = np.zeros((1, *self._settings.image_size, 3), np.float32)
        nobody = np.full((1, self._settings.skeleton.num_joints, 2), MISSING, np.float32)
        self._run({"source_image": image, "source_keypoints": nobody, "target_keypoints": nobody})

    # ------------------------------------------------------------------------------------ what there is

    def describe(self) -> dict[str, Any]:
        """What the page must know at its start."""
        settings, skeleton = self._settings, self._settings.skeleton
        colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in hues(len(skeleton.edges)).tolist()]
        return {
            "about": self._about,
            "size": list(settings.image_size),
            "joints": [{"name": name, "label": joint_words(name)} for name in skeleton.joints],
            "edges": [
                [skeleton.index(a), skeleton.index(b), colour]
                for (a, b), colour in zip(skeleton.edges, colours, strict=True)
            ],
            "required": skeleton.indices(skeleton.required),
            "mirror": skeleton.flip_order,
            "sides": [skeleton.indices(side) for side in skeleton.scale_sides],
            "parts": list(explanation.part_names(settings)) if self._moves else [],
            "masks": [part.name for part in skeleton.parts],
            "layers": list(LAYERS if self._moves else LAYERS[:3]),
            "skips": settings.warp_skip,
            "walks": skeleton.joints == COCO18.joints,
            "pose": None if (pose := self._standing()) is None else listed(pose),
            "estimator": None if self._estimator is None else self._estimator.name,
            "images": 0 if self._images is None else len(self._images.names),
            "saves": None if self._rows is None else self._rows.name,
            "limits": {"bytes": MAX_BYTES, "pixels": MAX_PIXELS},
        }

    @property
    def _moves(self) -> bool:
        return self._settings.warp_skip in explanation.MOVING

    def _standing(self) -> np.ndarray | None:
        """A standing pose in the middle of the image, for people who place the joints themselves."""
        if self._settings.skeleton.joints != COCO18.joints:
            return None
        height, width = self._settings.image_size
        pose = walk(4, view=0.0)[0]
        placed = pose * STATURE * height + (HEAD * height, width / 2)
        return np.where(found(pose)[:, None], placed.clip(0, (height - 1, width - 1)), MISSING)

    def walk(self, view: float) -> list[list[list[float]]]:
        """The poses of one cycle of a walk seen from `view` degrees, in statures; see `pose_gan.poses.walk`."""
        if self._settings.skeleton.joints != COCO18.joints:
            raise InputError("the walk is one of people; this generator knows another skeleton")
        return [listed(pose, 4) for pose in walk(view=view if math.isfinite(view) else 0.0)]

    def page_of_images(self, start: int, count: int, text: str) -> dict[str, Any]:
        """Some of the folder's images: their numbers, names, and whether their poses are known."""
        images = self._folder()
        numbers, total = images.page(start, min(max(count, 1), 200), text)
        items = [
            {"number": number, "name": images.names[number], "pose": images.pose(number) is not None}
            for number in numbers
        ]
        return {"images": items, "total": total}

    def thumbnail(self, number: int) -> bytes:
        """A PNG of one of the folder's images, framed as the generator would see it."""
        if number not in self._thumbnails:
            photo = self._photo(number)
            pose = self._folder().pose(number)
            frame = photo.frame(None if pose is None else photo.in_kept(pose), self._settings.image_size)
            if len(self._thumbnails) >= THUMBNAILS:
                self._thumbnails.pop(next(iter(self._thumbnails)))
            self._thumbnails[number] = as_png(frame.image(photo.pixels))
        return self._thumbnails[number]

    def _folder(self) -> Images:
        if self._images is None:
            raise InputError("this server was started without a folder of images; upload a photo")
        return self._images

    def _photo(self, number: int) -> Photo:
        if not 0 <= number < len(self._folder().names):
            raise InputError(f"there is no image {number}; load the page again")
        return self._folder().photo(number)

    # ---------------------------------------------------------------------------------------- sources

    def open_image(self, number: int) -> dict[str, Any]:
        """Makes one of the folder's images a source."""
        photo = self._photo(number)
        pose = self._folder().pose(number)
        return self._add(photo, *(self._estimate(photo) if pose is None else (photo.in_kept(pose), "")))

    def upload(self, content: bytes, name: str) -> dict[str, Any]:
        """Makes an uploaded photo a source. Raises InputError: it cannot be used; the message says why."""
        photo = read_upload(content, name)
        return self._add(photo, *self._estimate(photo))

    def reframe(self, identity: str, pose: Any) -> dict[str, Any]:
        """The same photo, framed around a pose that the user placed, as a new source."""
        source = self._source(identity)
        return self._add(source.photo, source.frame.inverse_keypoints(self._pose(pose)), "")

    def picture(self, identity: str) -> bytes:
        """The PNG of what the generator sees of a source."""
        return as_png(self._source(identity).picture)

    def _estimate(self, photo: Photo) -> tuple[np.ndarray | None, str]:
        """The pose in the photo's kept pixels (None: unknown) and a note for the user."""
        by_hand = "drag the joints of the skeleton to the person"
        if self._standing() is None:
            by_hand = "add the joints with the buttons at the photo, and drag them to their places"
        by_hand += "." if photo.size == self._settings.image_size else ", and press “Frame the person”."
        if self._estimator is None:
            return None, f"Nothing looked for the person, since there is no pose estimator: {by_hand}"
        pose = self._estimator(photo.pixels[np.newaxis]).keypoints[0]
        if not found(pose).any():
            return None, (
                "No person was found in this photo. One person should be seen upright, from head to hips or more, and "
                f"large. Choose another photo, or {by_hand}"
            )
        skeleton = self._settings.skeleton
        lacking = [joint for joint in skeleton.required if not found(pose)[skeleton.index(joint)]]
        if lacking:
            words = ", ".join(joint_words(joint) for joint in lacking)
            return pose, f"Not found: {words}. The generator needs them: add them below the photo and drag them."
        return pose, ""

    def _add(self, photo: Photo, pose: np.ndarray | None, note: str) -> dict[str, Any]:
        frame = photo.frame(pose, self._settings.image_size)
        seen = None if pose is None else frame.keypoints(pose)
        source = Source(photo, frame, seen, frame.image(photo.pixels), note)
        identity = secrets.token_urlsafe(9)
        self._sources[identity] = source
        if len(self._sources) > KEPT:
            self._sources.popitem(last=False)
        placed = self._standing() if seen is None else seen
        return {
            "id": identity,
            "name": photo.name,
            "pose": None if placed is None else listed(placed),
            "found": seen is not None,
            "frames": photo.size != self._settings.image_size,
            "note": note,
        }

    def _source(self, identity: Any) -> Source:
        if not isinstance(identity, str) or identity not in self._sources:
            raise InputError("this source is not kept any more; choose it again")
        self._sources.move_to_end(identity)
        return self._sources[identity]

    # ----------------------------------------------------------------------------------------- frames

    def frame(self, question: dict[str, Any]) -> bytes:
        """The generated image, and the layers that are asked for.

        Args:
            question: `n` (its number, 0 to 2³² − 1), `source` (identity), `source_pose`, `pose`, `layers` (names),
                `part` (index of the part to show alone; null: all).
        Returns: `n` as four bytes, big-endian, then the pictures one after the other: uint8 `(H, W, 3)` each.
        """
        source = self._source(question.get("source"))
        source_pose, pose = self._pose(question.get("source_pose")), self._pose(question.get("pose"))
        layers, part, number = question.get("layers") or [], question.get("part"), question.get("n")
        if not isinstance(layers, list) or any(layer not in LAYERS or layers.count(layer) > 1 for layer in layers):
            raise InputError(f"layers: allowed: {', '.join(LAYERS)}, each once")
        if type(number) is not int or not 0 <= number < 2**32:  # true would be an int too
            raise InputError("n: expected a number of 0 to 4294967295")
        batch = {
            "source_image": to_float(source.picture)[np.newaxis],
            "source_keypoints": source_pose[np.newaxis],
            "target_keypoints": pose[np.newaxis],
        }
        try:
            generated = to_uint8(np.asarray(self._run(batch))[0])
        except InputError as error:
            raise InputError(f"the generator's output is no image: {error}; try an earlier checkpoint") from None
        pictures = [generated, *(self._layer(name, source, source_pose, pose, generated, part) for name in layers)]
        return struct.pack(">I", number) + b"".join(picture.tobytes() for picture in pictures)

    def _layer(
        self, name: str, source: Source, source_pose: np.ndarray, pose: np.ndarray, generated: np.ndarray, part: Any
    ) -> np.ndarray:
        settings = self._settings
        if name == "heat_maps":
            return explanation.heat_picture(explanation.heat_maps(pose, settings), generated)
        if name == "deformed_source":
            if part is None:
                return explanation.deformed_source(source.picture, source_pose, pose, settings)
            moved = explanation.deformed_source_by_part(source.picture, source_pose, pose, settings)
            return moved[_index(part, len(moved))]
        keypoints, image = (source_pose, source.picture) if name == "source_parts" else (pose, generated)
        masks = explanation.part_masks(keypoints, settings)
        if part is None or settings.warp_skip != "mask":
            return parts_overlay(masks, image)
        shown = masks[_index(part, len(masks))][..., np.newaxis]
        return np.where(shown, image, image // 4)

    def _pose(self, values: Any) -> np.ndarray:
        """A pose that the page sent, as training shows them: float32 `(joints, 2)`; joints outside are missing.

        Raises: InputError: it is no pose.
        """
        joints = self._settings.skeleton.num_joints
        try:
            pose = np.asarray(values)
        except ValueError:  # lists of several lengths
            pose = np.zeros(0)
        if pose.dtype.kind not in "if" or pose.shape != (joints, 2) or not np.isfinite(pose).all():
            raise InputError(f"pose: expected {joints} pairs of numbers [y, x]")
        inside = found(pose) & np.all((pose >= 0) & (pose <= np.array(self._settings.image_size) - 1), axis=-1)
        return np.where(inside[:, None], pose, MISSING).astype(np.float32)

    # ------------------------------------------------------------------------------------------- rows

    def save(self, identity: str, pose: Any) -> str:
        """Saves the skeleton of a source as a row, in pixels of its file. Returns: what was done, for the page."""
        if self._rows is None:
            raise InputError("this server saves nothing; start it with --keypoints_output FILE.csv")
        source = self._source(identity)
        keypoints = source.photo.in_file(source.frame.inverse_keypoints(self._pose(pose)))
        if not found(keypoints).any():
            raise InputError("no joint lies inside of the photo; place some first")
        known = save_row(self._rows, source.photo.name, keypoints, self._settings.skeleton)
        return f"{source.photo.name}: row {'replaced' if known else 'added'} in {self._rows.name}"

    def pose_file(self, pose: Any) -> str:
        """A pose as an annotation CSV, in pixels of the generator's images, which other verbs take as a target."""
        return one_row("pose", np.rint(self._pose(pose)).astype(np.int32))


def _index(part: Any, count: int) -> int:
    if type(part) is not int or not 0 <= part < count:
        raise InputError(f"part: expected a number of 0 to {count - 1}")
    return part


def listed(pose: np.ndarray, digits: int = 2) -> list[list[float]]:
    """A pose as lists that JSON can hold."""
    return np.round(np.asarray(pose, np.float64), digits).tolist()


def joint_words(name: str) -> str:
    """A joint's name for people: `Lwri` → `left wrist`; other names stay as they are."""
    side = {"L": "left ", "R": "right "}.get(name[:1], "")
    return f"{side}{WORDS[name[1:]]}" if side and name[1:] in WORDS else name.replace("_", " ")
