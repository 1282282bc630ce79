"""Writes our keypoints as other programs do: slow twins of their formats, with joint orders as those programs publish.

`BODY` says for each of our 18 columns which point of the person it holds. The sides are the person's own.
"""

from __future__ import annotations

import itertools
from typing import Any

import h5py
import numpy as np

from pose_gan.poses.skeleton import Part, Skeleton

BODY = (
    *("nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist"),
    *("right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle"),
    *("right eye", "left eye", "right ear", "left ear"),
)
# Another body, with the points of DeepLabCut's mouse
MOUSE = Skeleton(
    "mouse",
    ("snout", "leftear", "rightear", "tailbase"),
    (("snout", "tailbase"),),
    ("snout", "tailbase"),
    (("rightear", "leftear"),),
    (("snout", "tailbase"),),
    (Part("body", "whole", ("leftear", "rightear", "tailbase")),),
)
# As OpenPose publishes them for its models COCO and BODY_25
OPENPOSE18 = {
    0: "nose", 1: "neck", 2: "right shoulder", 3: "right elbow", 4: "right wrist", 5: "left shoulder", 6: "left elbow",
    7: "left wrist", 8: "right hip", 9: "right knee", 10: "right ankle", 11: "left hip", 12: "left knee",
    13: "left ankle", 14: "right eye", 15: "left eye", 16: "right ear", 17: "left ear",
}  # fmt: skip
BODY25 = {
    0: "nose", 1: "neck", 2: "right shoulder", 3: "right elbow", 4: "right wrist", 5: "left shoulder", 6: "left elbow",
    7: "left wrist", 8: "middle hip", 9: "right hip", 10: "right knee", 11: "right ankle", 12: "left hip",
    13: "left knee", 14: "left ankle", 15: "right eye", 16: "left eye", 17: "right ear", 18: "left ear",
    19: "left big toe", 20: "left small toe", 21: "left heel", 22: "right big toe", 23: "right small toe",
    24: "right heel",
}  # fmt: skip
# The `keypoints` of COCO's category `person`
COCO17 = {
    0: "nose", 1: "left eye", 2: "right eye", 3: "left ear", 4: "right ear", 5: "left shoulder", 6: "right shoulder",
    7: "left elbow", 8: "right elbow", 9: "left wrist", 10: "right wrist", 11: "left hip", 12: "right hip",
    13: "left knee", 14: "right knee", 15: "left ankle", 16: "right ankle",
}  # fmt: skip
# Halpe's 26 body points: COCO's, then these
HALPE26 = COCO17 | {
    17: "head", 18: "neck", 19: "middle hip", 20: "left big toe", 21: "right big toe", 22: "left small toe",
    23: "right small toe", 24: "left heel", 25: "right heel",
}  # fmt: skip
# MediaPipe's Pose Landmarker
MEDIAPIPE33 = {
    0: "nose", 1: "left eye inner", 2: "left eye", 3: "left eye outer", 4: "right eye inner", 5: "right eye",
    6: "right eye outer", 7: "left ear", 8: "right ear", 9: "mouth left", 10: "mouth right", 11: "left shoulder",
    12: "right shoulder", 13: "left elbow", 14: "right elbow", 15: "left wrist", 16: "right wrist", 17: "left pinky",
    18: "right pinky", 19: "left index", 20: "right index", 21: "left thumb", 22: "right thumb", 23: "left hip",
    24: "right hip", 25: "left knee", 26: "right knee", 27: "left ankle", 28: "right ankle", 29: "left heel",
    30: "right heel", 31: "left foot index", 32: "right foot index",
}  # fmt: skip


def poses(count: int, image_size: tuple[int, int], seed: int = 0, missing: float = 0.2) -> np.ndarray:
    """Random keypoints inside of the image, int32 `(count, 18, 2)`, (y, x), −1 where missing; none at (0, 0)."""
    random = np.random.default_rng(seed)
    keypoints = random.integers(1, image_size, (count, 18, 2)).astype(np.int32)
    keypoints[random.random((count, 18)) < missing] = -1
    keypoints[:, [2, 5, 8, 11]] = random.integers(1, image_size, (count, 4, 2))  # shoulders and hips are there
    return keypoints


def with_made_neck(keypoints: np.ndarray) -> np.ndarray:
    """The pose with the neck in the middle of the shoulders, rounded up from a half, or missing without both."""
    result = keypoints.copy()
    for pose in result:
        (y1, x1), (y2, x2) = pose[2].tolist(), pose[5].tolist()
        pose[1] = -1 if min(y1, y2) < 0 else ((y1 + y2 + 1) // 2, (x1 + x2 + 1) // 2)
    return result


def triples(pose: np.ndarray, order: dict[int, str], confidence: float = 0.9) -> list[float]:
    """x, y, confidence of each point of `order`; zeros where we have none."""
    numbers: list[float] = []
    for position in range(len(order)):
        y, x = pose[BODY.index(order[position])].tolist() if order[position] in BODY else (-1, -1)
        numbers += [0.0, 0.0, 0.0] if y < 0 else [float(x), float(y), confidence]
    return numbers


def openpose(people: list[np.ndarray], order: dict[int, str]) -> dict[str, Any]:
    return {
        "version": 1.3,
        "people": [
            {
                "person_id": [-1],
                "pose_keypoints_2d": triples(pose, order),
                "face_keypoints_2d": [],
                "hand_left_keypoints_2d": [],
                "hand_right_keypoints_2d": [],
                "pose_keypoints_3d": [],
            }
            for pose in people
        ],
    }


def coco_annotations(names: list[str], keypoints: np.ndarray, image_size: tuple[int, int]) -> dict[str, Any]:
    annotations = []
    for number, pose in enumerate(keypoints):
        numbers = triples(pose, COCO17, 2)
        found = sum(v > 0 for v in numbers[2::3])
        annotations.append(
            {
                "id": 900 + number,
                "image_id": 7 * number,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [0, 0, 1, 1],
                "num_keypoints": found,
                "keypoints": numbers,
            }
        )
    height, width = image_size
    return {
        "info": {},
        "images": [{"id": 7 * n, "file_name": name, "height": height, "width": width} for n, name in enumerate(names)],
        "annotations": annotations,
        "categories": [
            {"id": 1, "name": "person", "keypoints": [COCO17[i].replace(" ", "_") for i in range(17)], "skeleton": []}
        ],
    }


def alphapose(names: list[str], keypoints: np.ndarray, order: dict[int, str]) -> list[dict[str, Any]]:
    return [
        {"image_id": name, "category_id": 1, "keypoints": triples(pose, order), "score": 2.7, "box": [0, 0, 9, 9]}
        for name, pose in zip(names, keypoints, strict=True)
    ]


def mmpose_people(people: list[np.ndarray], order: dict[int, str]) -> list[dict[str, Any]]:
    entries = []
    for pose in people:
        rows = np.array(triples(pose, order)).reshape(-1, 3)
        entries.append(
            {
                "keypoints": rows[:, :2].tolist(),
                "keypoint_scores": rows[:, 2].tolist(),
                "bbox": [[0, 0, 9, 9]],
                "bbox_score": 0.9,
            }
        )
    return entries


def mediapipe_person(pose: np.ndarray, image_size: tuple[int, int]) -> list[dict[str, float]]:
    """Landmarks as shares; points that we do not have are seen nowhere, as MediaPipe says it: with low visibility."""
    height, width = image_size
    landmarks = []
    for position in range(33):
        point = MEDIAPIPE33[position]
        y, x = pose[BODY.index(point)].tolist() if point in BODY else (-1, -1)
        seen = y >= 0
        landmarks.append(
            {
                "x": (x + 0.5) / width if seen else 0.5,
                "y": (y + 0.5) / height if seen else 0.5,
                "z": -0.1,
                "visibility": 0.95 if seen else 0.02,
            }
        )
    return landmarks


def deeplabcut_csv(labels: list[str], names: list[str], keypoints: np.ndarray, likelihood: bool = False) -> str:
    """One animal: `keypoints` are `(rows, points, 2)`, named `names`; empty cells where missing (or a likelihood)."""
    coords = ["x", "y", *(["likelihood"] if likelihood else [])]
    lines = [
        ",".join(["scorer"] + ["me"] * len(names) * len(coords)),
        ",".join(["bodyparts"] + [name for name in names for _ in coords]),
        ",".join(["coords"] + coords * len(names)),
    ]
    for label, pose in zip(labels, keypoints, strict=True):
        cells = [label]
        for y, x in pose.tolist():
            found = y >= 0
            if likelihood:
                cells += [f"{float(x)}", f"{float(y)}", "0.99" if found else "0.01"]
            else:
                cells += [f"{float(x)}", f"{float(y)}"] if found else ["", ""]
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def deeplabcut_hdf5(path, labels: list[str], names: list[str], keypoints: np.ndarray, form: str) -> None:
    """The same as pandas writes it with PyTables, in its form `fixed` or `table`."""
    columns = [("me", name, axis) for name in names for axis in "xy"]
    values = np.where(keypoints < 0, np.nan, keypoints.astype(float))[..., ::-1].reshape(len(labels), -1)
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["TITLE"] = h5py.Empty("S1")
        if form == "table":
            group.attrs["pandas_type"] = np.bytes_(b"frame_table")
            size = max(map(len, labels))
            rows = np.empty(len(labels), [("index", f"S{size}"), ("values_block_0", "f8", (len(columns),))])
            rows["index"], rows["values_block_0"] = labels, values
            table = group.create_dataset("table", data=rows)
            table.attrs["values_block_0_kind"] = np.bytes_(_pickled_by_hand(columns))
            return
        group.attrs["pandas_type"] = np.bytes_(b"frame")
        group["block0_values"] = values
        group["axis1"] = np.array(labels, "S")
        for level, texts in enumerate(zip(*columns, strict=True)):
            unique = list(dict.fromkeys(texts))
            for axis in ("axis0", "block0_items"):
                group[f"{axis}_level{level}"] = np.array(unique, "S")
                group[f"{axis}_label{level}"] = np.array([unique.index(text) for text in texts], np.int8)


def _pickled_by_hand(columns: list[tuple[str, ...]]) -> bytes:
    """A list of tuples of texts in pickle's protocol 0, which is lines of text."""
    numbers = itertools.count()
    lines = [f"(lp{next(numbers)}\n"]
    for column in columns:
        lines.append("(" + "".join(f"V{text}\np{next(numbers)}\n" for text in column) + f"tp{next(numbers)}\na")
    return ("".join(lines) + ".").encode()
