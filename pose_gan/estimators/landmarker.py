"""MediaPipe's Pose Landmarker (a `.task` file) as an estimator. It needs the extra `[mediapipe]`."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pose_gan.errors import InputError, reason
from pose_gan.estimators.base import Poses
from pose_gan.poses.framing import Colour, Frame
from pose_gan.poses.keypoints import MISSING
from pose_gan.poses.skeleton import COCO18, Skeleton
from pose_gan.versions import install

# The MediaPipe landmark of each joint. Left and right are the person's own sides.
# In the released annotations, `Leye` and `Lear` are the person's right eye and ear. The same holds here.
LANDMARKS = {
    "nose": 0, "Leye": 5, "Reye": 2, "Lear": 8, "Rear": 7,
    "Rsho": 12, "Relb": 14, "Rwri": 16, "Rhip": 24, "Rkne": 26, "Rank": 28,
    "Lsho": 11, "Lelb": 13, "Lwri": 15, "Lhip": 23, "Lkne": 25, "Lank": 27,
}  # fmt: skip
NECK = ("Rsho", "Lsho")  # MediaPipe has no neck; the neck is the middle of these two
RIGHT_EAR, LEFT_EAR = 8, 7
FACE = (0, 2, 5)  # nose and eyes
SHOULDERS, HIPS = (11, 12), (23, 24)

MOST_PEOPLE = 5  # that are looked for in an image; the one whom MediaPipe gives first does not depend on it
CHOICE = "the one whom MediaPipe gives first was taken"
MIN_DETECTION = 0.3  # of a person
MIN_SCORE = 0.3  # of a joint; with it, the found joints agree best with the release's on Market and on DeepFashion

# The network expects people who do not fill the picture. So these borders are tried in turn until it finds somebody.
SMALL = 256  # pixels; images of a lower height are crops, in which a person goes from border to border
ENLARGED = 512  # pixels; images of a lower height are enlarged to this height
BORDERS: tuple[tuple[float, Colour | None], ...] = (  # width as a share of the height; colour (None: the image goes on)
    (0.0, None),  # not used for crops, in which the network would find half people
    (0.5, (128, 128, 128)),
    (0.75, (128, 128, 128)),
    (0.5, None),
)


class LandmarkerEstimator:
    """Finds the 18 joints with MediaPipe's Pose Landmarker.

    The score of a joint is its visibility times its presence. A joint is missing if its score is below
    0.3, or if it lies outside of the image. MediaPipe reports faces even through the back of the head.
    Here the joints of a head that is turned away are missing, as in the released annotations.

    Args:
        path: a pose landmarker bundle (`.task`).
    Raises: InputError: the package `mediapipe` is absent, or the file is no such bundle.
    """

    skeleton: Skeleton = COCO18
    preferred_batch: int = 16  # images are processed one by one; a batch only saves calls

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = f"MediaPipe Pose Landmarker {Path(path).name}"
        self._heard = False  # whether MediaPipe has already logged the messages that it logs only once
        # The task cannot close itself while Python exits. This handler drops it early enough.
        self._held: list[Any] = []
        self.close = weakref.finalize(self, self._held.clear)
        self._held.append(_open(Path(path)))

    def __call__(self, images: np.ndarray) -> Poses:
        """Finds the main person in each image. The images are uint8 `(B, H, W, 3)`, RGB, of any size."""
        keypoints = np.full((len(images), self.skeleton.num_joints, 2), MISSING, np.int32)
        scores = np.zeros(keypoints.shape[:2], np.float32)
        people = np.zeros(len(images), int)
        for row, image in enumerate(images):
            keypoints[row], scores[row], people[row] = self._find(image)
        return Poses(keypoints, scores, people, CHOICE)

    def _find(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Keypoints `(18, 2)` and scores `(18,)` of the first person found, and how many people were seen.

        Upright people are preferred.
        """
        others = []
        for border, colour in BORDERS[image.shape[0] < SMALL :]:
            frame = _frame(image.shape[:2], border, colour)
            landmarks, people = self._detect(frame.image(image))
            if landmarks is None:
                continue
            pose = (*_joints(landmarks, frame), people)
            if landmarks[SHOULDERS, 0].mean() < landmarks[HIPS, 0].mean():
                return pose
            others.append(pose)
        count = self.skeleton.num_joints
        return others[0] if others else (np.full((count, 2), MISSING), np.zeros(count), 0)

    def _detect(self, image: np.ndarray) -> tuple[np.ndarray | None, int]:
        """The first person's landmarks, and the number of people.

        Landmarks are float `(33, 5)`: y, x and depth in pixels, visibility, presence; None if nobody was found.

        (0, 0) is the corner of the image; a smaller depth is closer to the camera.
        """
        import mediapipe

        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        with contextlib.nullcontext() if self._heard else _quiet():
            people = self._held[0].detect(picture).pose_landmarks
        if not people:
            return None, 0
        self._heard = True
        height, width = image.shape[:2]
        first = [(p.y * height, p.x * width, p.z * width, p.visibility, p.presence) for p in people[0]]
        return np.array(first), len(people)


def _frame(image_size: tuple[int, int], border: float, colour: Colour | None) -> Frame:
    """A square with the image and its border in the middle, which is the form of the network's input."""
    height, width = image_size
    side = max(image_size) + 2 * border * height
    scale = max(1.0, ENLARGED / height)
    pixels = round(side * scale)
    return Frame(image_size, (pixels, pixels), ((height - side) / 2, (width - side) / 2, side, side), colour)


def _joints(landmarks: np.ndarray, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """MediaPipe's landmarks in a framed image → keypoints `(18, 2)` of the image, and scores `(18,)`."""
    points = np.zeros((COCO18.num_joints, 2))
    scores = np.zeros(COCO18.num_joints)
    rows, numbers = COCO18.indices(tuple(LANDMARKS)), list(LANDMARKS.values())
    seen = landmarks[:, 3] * landmarks[:, 4] * ~_turned_away(landmarks[:, :3])
    points[rows], scores[rows] = landmarks[numbers, :2], seen[numbers]
    neck, shoulders = COCO18.index("neck"), COCO18.indices(NECK)
    points[neck], scores[neck] = points[shoulders].mean(axis=0), scores[shoulders].min()
    points[scores < MIN_SCORE] = MISSING
    keypoints = frame.inverse_keypoints(np.floor(points))
    return keypoints, np.where(keypoints[:, 0] == MISSING, 0, scores)


def _turned_away(points: np.ndarray) -> np.ndarray:
    """Marks the landmarks on the far side of the head: bool `(33,)` from (y, x, depth), float `(33, 3)`.

    Eyes and nose are on the far side if they lie behind the ears. An ear is on the far side if it lies behind
    the other ear. The thresholds (shares of the head's width) agree best with the joints that the release found.
    """
    depth, ears = points[:, 2], [RIGHT_EAR, LEFT_EAR]
    width = np.linalg.norm(points[RIGHT_EAR] - points[LEFT_EAR])
    away = np.zeros(len(points), bool)
    away[[*FACE]] = depth[[*FACE]] - depth[ears].mean() > 0.2 * width
    away[ears] = depth[ears] - depth[ears[::-1]] > 0.75 * width
    return away


def _open(path: Path) -> Any:
    try:
        from mediapipe.tasks.python import BaseOptions, vision
    except (ImportError, OSError) as error:  # OSError: a system library that it needs is absent
        raise InputError(
            f"pose_estimator: {path}: a .task file needs MediaPipe ({error}); install it with: {install('mediapipe')}"
        ) from None
    try:
        model = BaseOptions(model_asset_buffer=path.read_bytes())
        options = vision.PoseLandmarkerOptions(
            base_options=model, num_poses=MOST_PEOPLE, min_pose_detection_confidence=MIN_DETECTION
        )
        with _quiet():
            return vision.PoseLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(
            f"pose_estimator: {path}: damaged, or not a bundle of MediaPipe's Pose Landmarker: {reason(error)}"
        ) from None


_STDERR = threading.Lock()
_NOTES = (  # what MediaPipe's C++ code logs once, whatever log level is set
    b"Read-only tensor #",
    b"Created TensorFlow Lite",
    b"Logging before InitGoogle()",
    b"inference_feedback_manager.cc",
    b"landmark_projection_calculator.cc",
    b"gl_context",
    b"port.cc",
)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leaves `_NOTES` out of the error output of the process.

    The block should be short: whatever the process writes to its error output meanwhile, from any thread, appears only
    when the block has ended, with an error or without.
    """
    with _STDERR, tempfile.TemporaryFile() as kept:
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            kept.seek(0)
            os.write(2, b"".join(line for line in kept if not any(note in line for note in _NOTES)))
