"""Import of keypoints: people a second, against a plain loop with json and NumPy that checks nothing.

Both take the largest person of every image, as int32 pixels of the 18 joints, (y, x), −1 where missing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Options, Table, ratio
from benchmarks.processor import in_turns
from pose_gan.poses.imports.reading import read_table
from pose_gan.poses.imports.taking import Choice, take
from pose_gan.poses.skeleton import COCO18

PEOPLE, FILES = 100_000, 5_000
QUICK_PEOPLE, QUICK_FILES = 200, 20
SIZE = (480, 640)  # of the images, pixels
CHOICE = Choice()
# Each of the 18 joints in the orders of the files; the neck of COCO's is the middle of the shoulders
COCO = (
    (0,),
    (6, 5),
    (6,),
    (8,),
    (10,),
    (5,),
    (7,),
    (9,),
    (12,),
    (14,),
    (16,),
    (11,),
    (13,),
    (15,),
    (2,),
    (1,),
    (4,),
    (3,),
)
BODY25 = tuple((joint,) for joint in (*range(8), *range(9, 19)))
Poses = dict[str, np.ndarray]


def run(options: Options) -> list[Table]:
    people, files = (QUICK_PEOPLE, QUICK_FILES) if options.quick else (PEOPLE, FILES)
    with tempfile.TemporaryDirectory() as folder:
        title = f"COCO annotations: one file, {people:,} people in {people // 2:,} images"
        rows = _rows(title, write_coco(Path(folder) / "people.json", people), read_coco, people, options.few_repeats)
        title = f"OpenPose BODY_25: {files:,} files of one person"
        rows += _rows(title, write_openpose(Path(folder) / "people", files), read_openpose, files, options.few_repeats)
    columns = {
        "what": "what",
        "form": "form",
        "seconds": "s",
        "processor": "processor s",
        "rate": "people per processor s",
        "ratio": "× the loop",
        "different": "joints that differ",
    }
    notes = ["Without the images, whose sizes are given. The loop checks nothing, and knows what it reads."]
    return [Table("Import of keypoints: the largest person per image", columns, rows, notes)]


def _rows(
    what: str, source: Path, loop: Callable[[Path], Poses], people: int, repeats: int
) -> list[dict[str, str | int | float | None]]:
    forms = {"a loop with json and NumPy": lambda: loop(source), "read_table, take": lambda: ours(source)}
    found = {form: call() for form, call in forms.items()}
    expected, taken = found.values()
    if expected.keys() != taken.keys():
        raise RuntimeError(f"{source}: the forms read different images")
    different = sum(int((expected[name] != pose).any(axis=-1).sum()) for name, pose in taken.items())
    used = in_turns(forms, min(repeats, 3))
    first = next(iter(used.values()))
    return [
        {
            "what": what,
            "form": form,
            "seconds": one.seconds,
            "processor": one.processor,
            "rate": ratio(people, one.processor),
            "ratio": ratio(one.processor, first.processor),
            "different": different,
        }
        for form, one in used.items()
    ]


def ours(source: Path) -> Poses:
    table = read_table(source, COCO18)
    keys = {str(key): key for key in table.people}
    return take(table, COCO18, keys, dict.fromkeys(keys, SIZE), CHOICE).keypoints


# ------------------------------------------------------------------------------------- the files


def points(people: int, joints: int, seed: int) -> np.ndarray:
    """Random people: x, y, confidence `(people, joints, 3)`; a tenth of the joints is missing, which is zeros."""
    random = np.random.default_rng(seed)
    middle = random.uniform((150, 150), (SIZE[1] - 150, SIZE[0] - 150), (people, 1, 2))
    places = np.round(middle + random.uniform(-140, 140, (people, joints, 2)), 2)
    there = random.random((people, joints, 1)) >= 0.1
    return np.concatenate([places, random.uniform(0.35, 1, (people, joints, 1))], axis=-1) * there


def write_coco(path: Path, people: int) -> Path:
    """A file of COCO's form: two people per image."""
    values = points(people, 17, seed=0)
    values[..., 2] = 2 * (values[..., 2] > 0)
    entries = [
        {"id": n, "image_id": n // 2, "category_id": 1, "iscrowd": 0, "keypoints": person.ravel().tolist()}
        for n, person in enumerate(values)
    ]
    images = [{"id": n, "file_name": f"{n:012d}.jpg"} for n in range((people + 1) // 2)]
    path.write_text(json.dumps({"images": images, "annotations": entries, "categories": [{"id": 1, "name": "person"}]}))
    return path


def write_openpose(folder: Path, files: int) -> Path:
    """A folder of OpenPose's files: one person each."""
    folder.mkdir()
    for number, person in enumerate(points(files, 25, seed=1)):
        text = json.dumps({"version": 1.3, "people": [{"pose_keypoints_2d": person.ravel().tolist()}]})
        (folder / f"{number:06d}_keypoints.json").write_text(text)
    return folder


# ------------------------------------------------------------------------------------- the loop


def read_coco(path: Path) -> Poses:
    content = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    people: dict[str, list[np.ndarray]] = {name: [] for name in names.values()}
    for entry in content["annotations"]:
        people[names[entry["image_id"]]].append(np.array(entry["keypoints"]).reshape(-1, 3))
    return {name: largest(group, COCO) for name, group in people.items()}


def read_openpose(folder: Path) -> Poses:
    poses: Poses = {}
    for path in sorted(folder.glob("*.json")):
        people: list[Any] = json.loads(path.read_text())["people"]
        group = [np.array(person["pose_keypoints_2d"]).reshape(-1, 3) for person in people]
        poses[path.stem.removesuffix("_keypoints")] = largest(group, BODY25)
    return poses


def largest(people: Sequence[np.ndarray], joints: Sequence[tuple[int, ...]]) -> np.ndarray:
    """The person whose joints span the largest rectangle, int32 `(18, 2)`."""
    areas = [float(np.prod(np.ptp(person[person[:, 2] > 0, :2], axis=0))) for person in people]
    person = people[int(np.argmax(areas))]
    pose = np.full((len(joints), 2), -1, np.int32)
    for row, columns in enumerate(joints):
        if all(person[column, 2] > 0 for column in columns):
            x, y = np.mean([person[column, :2] for column in columns], axis=0)
            pose[row] = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
    return pose
