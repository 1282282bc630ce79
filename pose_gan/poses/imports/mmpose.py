"""MMPose's predictions: people as `{"keypoints": [[x, y], …], "keypoint_scores": [score, …], …}`.

The inferencer writes a list of people per image, `<image>.json`. For videos there is a list of
`{"frame_id": …, "instances": [people]}`, alone or in `{"meta_info": …, "instance_info": …}`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pose_gan.errors import InputError
from pose_gan.poses.imports.joints import order_of
from pose_gan.poses.imports.table import Key, Person, Table, numbers
from pose_gan.poses.skeleton import Skeleton


def is_person(value: Any) -> bool:
    """Whether JSON is a person of MMPose."""
    return isinstance(value, dict) and {"keypoints", "keypoint_scores"} <= value.keys()


def is_people(value: Any) -> bool:
    """Whether JSON is a list of people."""
    return isinstance(value, list) and bool(value) and all(map(is_person, value))


def is_frames(value: Any) -> bool:
    """Whether JSON is a list of the frames of a video."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "instances" in v for v in value)


def is_predictions(value: Any) -> bool:
    """Whether JSON is one of the tables in which MMPose wraps its predictions."""
    return isinstance(value, dict) and (is_frames(value.get("instance_info")) or _batch(value) is not None)


def read(value: Any, path: str, skeleton: Skeleton, image: Key) -> Table:
    """The people of a file.

    Args:
        value: JSON for which one of the functions above is true.
        path: the file, for messages.
        skeleton: its joints are those of a file that names none and has as many.
        image: the image of a file that holds one image.
    Raises: InputError: an entry is damaged.
    """
    names: tuple[str, ...] = ()
    if isinstance(value, dict):
        names = _names(value.get("meta_info"))
        value = value["instance_info"] if "instance_info" in value else _batch(value)
    groups: dict[Key, list[Any]]
    if is_frames(value):  # counted from 0 by one program and from 1 by another; all write every frame
        start = min((frame["frame_id"] for frame in value if isinstance(frame.get("frame_id"), int)), default=0)
        numbered = [_number(frame, row, start) for row, frame in enumerate(value)]
        if len(set(numbered)) < len(numbered):
            twice = next(number for number in numbered if numbered.count(number) > 1) + start
            raise InputError(f"{path}: frame_id {twice} stands in several entries; keep one")
        groups = {number: frame["instances"] for number, frame in zip(numbered, value, strict=True)}
    else:
        groups = {image: value}
    people: dict[Key, list[Person]] = {}
    joints = names
    for key, group in groups.items():
        people[key] = []
        for number, entry in enumerate(group, start=1):
            where = f"{path}, {key}, person {number}" if len(groups) > 1 else f"{path}, person {number}"
            person, count = _person(entry, where)
            joints = joints or order_of(count, skeleton, where)
            if len(joints) > count:
                raise InputError(f"{where}: {count} joints, expected {len(joints)}")
            people[key].append(Person(person.places[: len(joints)], person.confidence[: len(joints)]))
    return Table(f"MMPose, {len(joints)} joints", joints, people, path)


def _batch(value: dict[str, Any]) -> list[Any] | None:
    """The people of `{"predictions": [[people]]}`, what the inferencer returns for an image."""
    batch = value.get("predictions")
    if not isinstance(batch, list):
        return None
    if len(batch) == 1 and (is_people(batch[0]) or batch[0] == []):
        return batch[0]
    return batch if is_people(batch) else None


def _number(frame: dict[str, Any], row: int, start: int) -> int:
    number = frame.get("frame_id", row + start)
    return number - start if isinstance(number, int) else row


def _names(meta: Any) -> tuple[str, ...]:
    """The joints' names in `meta_info`, if they stand there."""
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(names, dict) or set(map(str, names)) != set(map(str, range(len(names)))):
        return ()
    return tuple(str({str(key): name for key, name in names.items()}[str(row)]) for row in range(len(names)))


def _person(entry: Any, where: str) -> tuple[Person, int]:
    if not is_person(entry):
        raise InputError(f"{where}: has no keypoints and keypoint_scores")
    places = numbers(entry["keypoints"], where, "keypoints")
    scores = numbers(entry["keypoint_scores"], where, "keypoint_scores")
    if places.ndim != 2 or places.shape[1] < 2 or scores.shape != places.shape[:1]:
        raise InputError(
            f"{where}: expected keypoints [[x, y], …] and one of keypoint_scores each, got shapes "
            f"{np.shape(places)} and {np.shape(scores)}"
        )
    return Person.make(places[:, 1], places[:, 0], scores), len(scores)
