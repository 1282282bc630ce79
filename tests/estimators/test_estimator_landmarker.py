"""MediaPipe's Pose Landmarker: which landmark is which joint, what hides a joint, real people, messages."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.estimators import load_estimator
from pose_gan.estimators.landmarker import LANDMARKS, LandmarkerEstimator, _frame, _joints
from pose_gan.files.images import read_image
from pose_gan.poses.framing import Frame
from pose_gan.poses.keypoints import found, read_annotations
from pose_gan.poses.skeleton import COCO18

needs_mediapipe = pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None, reason="the extra [mediapipe] is not installed"
)


@pytest.fixture(scope="module")
def bundle(shared_data):
    return shared_data / "pose-estimator" / "pose_landmarker_full.task"


@pytest.fixture(scope="module")
def estimator(bundle):
    estimator = load_estimator(bundle)
    yield estimator
    assert isinstance(estimator, LandmarkerEstimator)
    estimator.close()


def person(facing: bool = True) -> np.ndarray:
    """33 landmarks, `(33, 5)`, of a person who stands in a 200×200 picture, all of them sure.

    The person's right side is on the left of the picture if they face the camera.
    """
    landmarks = np.zeros((33, 5))
    landmarks[:, 3:] = 1
    sides = {  # (y, distance from the middle) of left landmarks; the right ones have the next numbers
        11: (50, 20), 13: (80, 25), 15: (110, 28), 23: (110, 12), 25: (150, 13), 27: (190, 14), 7: (26, 8),
    }  # fmt: skip
    sign = 1 if facing else -1
    for number, (y, x) in sides.items():
        landmarks[number, :2], landmarks[number + 1, :2] = (y, 50 + sign * x), (y, 50 - sign * x)
    landmarks[2, :2], landmarks[5, :2], landmarks[0, :2] = (24, 50 + sign * 4), (24, 50 - sign * 4), (28, 50)
    landmarks[[0, 2, 5], 2] = -10 * sign  # closer to the camera than the ears, or behind them
    return landmarks


WHOLE = Frame.stretch((200, 200), (200, 200))


def test_joints_by_anatomy():
    """The person's right side comes first; eyes and ears keep the order of the released files: right, left."""
    keypoints, scores = _joints(person(), WHOLE)
    x = dict(zip(COCO18.joints, keypoints[:, 1].tolist(), strict=True))
    for right, left in (("Rsho", "Lsho"), ("Rwri", "Lwri"), ("Rhip", "Lhip"), ("Rank", "Lank")):
        assert x[right] < 50 < x[left], (right, left)
    assert x["Leye"] < x["nose"] < x["Reye"], "index 14 is the person's right eye"
    assert x["Lear"] < x["Leye"] < x["Reye"] < x["Rear"], "index 16 is the person's right ear"
    np.testing.assert_array_equal(keypoints[COCO18.index("neck")], [50, 50])
    np.testing.assert_array_equal(keypoints[COCO18.index("Lank")], [190, 64])
    assert (scores == 1).all()
    assert sorted([*LANDMARKS, "neck"]) == sorted(COCO18.joints)
    assert len(set(LANDMARKS.values())) == len(LANDMARKS)


def test_uncertain_joints_are_missing():
    landmarks = person()
    landmarks[14, 3:] = 0.6, 0.4  # right elbow: 0.24
    landmarks[12, 3:] = 0.8, 0.7  # right shoulder: 0.56
    landmarks[27, :2] = 210, 60  # left ankle: below the image
    landmarks[15, :2] = -0.5, 60  # left wrist: above
    keypoints, scores = _joints(landmarks, WHOLE)
    is_found = dict(zip(COCO18.joints, found(keypoints).tolist(), strict=True))
    assert [name for name, ok in is_found.items() if not ok] == ["Relb", "Lwri", "Lank"]
    assert scores[COCO18.index("Rsho")] == pytest.approx(0.56)
    assert scores[COCO18.index("neck")] == pytest.approx(0.56), "the weaker shoulder's"
    assert (scores[~found(keypoints)] == 0).all()
    landmarks[12, 3:] = 0.5, 0.5
    assert not found(_joints(landmarks, WHOLE)[0])[COCO18.index("neck")]


def test_the_far_side_of_the_head_is_missing():
    def head(landmarks: np.ndarray) -> list[str]:
        is_found = found(_joints(landmarks, WHOLE)[0])
        return [name for name in ("nose", "Leye", "Reye", "Lear", "Rear") if is_found[COCO18.index(name)]]

    assert head(person()) == ["nose", "Leye", "Reye", "Lear", "Rear"]
    assert head(person(facing=False)) == ["Lear", "Rear"]
    profile = person()
    profile[[7, 8], 1:3] = (50, 8), (50, -8)  # the left ear is behind the right one
    assert head(profile) == ["nose", "Leye", "Reye", "Lear"]


def test_frame_and_back():
    """An enlarged crop with a border: pixels are where the keypoints that come back say."""
    image = np.zeros((128, 64, 3), np.uint8)
    image[40, 20] = 255
    frame = _frame((128, 64), 0.5, (128, 128, 128))
    framed = frame.image(image)
    assert framed.shape == (1024, 1024, 3), "4 times as large, a border of half the height on all sides, square"
    assert (framed[0, 0] == 128).all()
    bright = np.argwhere(framed[..., 0] == framed.max())
    assert (frame.inverse_keypoints(bright) == [40, 20]).all()
    assert _frame((600, 900), 0, None).size == (900, 900), "large images keep their size"


@needs_mediapipe
def test_real_people(estimator, shared_data):
    """Market crops: nearly all are found, and lie where the release's own keypoints do."""
    folder = shared_data / "market-sample"
    annotations = read_annotations(folder / "market-annotation-test.csv")
    images = np.stack([read_image(folder / "test" / name) for name in annotations.names[:24]])
    poses = estimator(images)
    assert poses.keypoints.shape == (24, 18, 2)
    assert poses.keypoints.dtype == np.int32
    assert poses.scores.dtype == np.float32
    is_found = found(poses.keypoints)
    assert is_found.any(axis=1).sum() >= 21
    assert (is_found == (poses.scores > 0)).all()
    both = is_found & found(annotations.keypoints[:24])
    distance = np.linalg.norm(poses.keypoints - annotations.keypoints[:24], axis=-1)[both]
    assert np.median(distance) < 5
    again = estimator(images[5:6])
    np.testing.assert_array_equal(again.keypoints[0], poses.keypoints[5])


@needs_mediapipe
def test_keypoints_follow_the_image(estimator, shared_data):
    """Half the size, half the coordinates; mirrored, left and right change places."""
    image = Image.open(shared_data / "pose-estimator" / "p1.jpg").convert("RGB")
    pose = estimator(np.asarray(image)[np.newaxis]).keypoints[0]
    assert found(pose).all()
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    assert np.abs(estimator(np.asarray(half)[np.newaxis]).keypoints[0] * 2 - pose).mean() < 4
    mirrored = estimator(np.asarray(image)[np.newaxis, :, ::-1]).keypoints[0][COCO18.flip_order]
    mirrored[:, 1] = image.width - 1 - mirrored[:, 1]
    assert np.linalg.norm(mirrored - pose, axis=-1).mean() < 6


@needs_mediapipe
def test_nobody(estimator):
    poses = estimator(np.full((2, 96, 48, 3), 90, np.uint8))
    assert (poses.keypoints == -1).all()
    assert (poses.scores == 0).all()
    assert estimator(np.zeros((0, 96, 48, 3), np.uint8)).keypoints.shape == (0, 18, 2)
    assert (estimator(np.zeros((1, 1, 1, 3), np.uint8)).keypoints == -1).all()


@needs_mediapipe
def test_is_quiet(bundle):
    """Nothing of ours on the console, at the end of the process neither."""
    script = (
        "import numpy as np, sys\n"
        "from pose_gan.estimators import load_estimator\n"
        "estimator = load_estimator(sys.argv[1])\n"
        "from pose_gan.files.images import read_image\n"
        "print((estimator(read_image(sys.argv[2])[np.newaxis]).keypoints >= 0).all())\n"
    )
    command = [sys.executable, "-c", script, str(bundle), str(bundle.with_name("p1.jpg"))]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    assert result.stdout == "True\n"
    for word in ("Traceback", "XNNPACK", "Feedback", "NORM_RECT", "Exception"):
        assert word not in result.stderr


@needs_mediapipe
def test_broken_bundles(tmp_path):
    path = tmp_path / "pose.task"
    for content in (b"", b"not a bundle", b"PK\x05\x06" + bytes(18)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"pose\.task: damaged, or not a bundle of MediaPipe's Pose Landmarker"):
            load_estimator(path)


def test_without_mediapipe(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    monkeypatch.setitem(sys.modules, "mediapipe.tasks.python", None)
    path = tmp_path / "pose.task"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r'needs MediaPipe .*install it with: pip install .*\[mediapipe\]"'):
        load_estimator(path)


@needs_mediapipe
def test_only_known_lines_are_left_out(bundle, monkeypatch, capfd):
    """Whatever else the process writes meanwhile appears, also if MediaPipe fails; and the output is as it was."""
    from mediapipe.tasks.python import vision

    def fail(options):
        os.write(2, b"W0000 inference_feedback_manager.cc:121] Feedback manager\n")
        os.write(2, b"a line of another thread\n")
        print("and of Python", file=sys.stderr)
        raise RuntimeError("broken")

    monkeypatch.setattr(vision.PoseLandmarker, "create_from_options", fail)
    with pytest.raises(InputError, match="damaged, or not a bundle of MediaPipe's Pose Landmarker: broken"):
        load_estimator(bundle)
    os.write(2, b"later\n")
    assert sorted(capfd.readouterr().err.splitlines()) == ["a line of another thread", "and of Python", "later"]
