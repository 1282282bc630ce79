"""MediaPipe's 33 pose landmarks, in the forms in which people write them as JSON.

A landmark is `{"x": …, "y": …, "visibility": …}` or `[x, y, z, visibility]`; x and y are shares of the image's width
and height. A person is a list of 33 landmarks, a table of them by name, or a table with the key `landmark`. A file
holds an image, a list of images (frames), or a table of images by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pose_gan.errors import InputError
from pose_gan.poses.imports.joints import MEDIAPIPE33
from pose_gan.poses.imports.table import Key, Person, Table

_PEOPLE = ("pose_landmarks", "poseLandmarks", "landmarks", "landmark")  # keys of the people, or of the person
_NAMES = ("image", "image_name", "image_path", "file", "file_name", "filename", "name")
_NUMBERS = ("frame", "frame_id", "frame_index", "frame_number")


def read(value: Any, path: str, image: Key) -> Table | None:
    """The people of a file, or None if JSON holds no landmarks.

    Args:
        value: the content of a JSON file.
        path: the file, for messages.
        image: the image of a file that holds one image.
    Raises: InputError: a landmark is damaged.
    """
    images = _images(value, image)
    if images is None or not any(images.values()):
        return None
    people = {
        key: [_person(person, f"{path}, {key}, person {number}") for number, person in enumerate(group, start=1)]
        for key, group in images.items()
    }
    return Table("MediaPipe, 33 landmarks", MEDIAPIPE33, people, path, fills_pixels=True)


def _images(value: Any, image: Key) -> dict[Key, list[list[Any]]] | None:
    """Image → its people, each a list of 33 landmarks; None if this is something else."""
    if (landmarks := _landmarks(value)) is not None:
        return {image: [landmarks]}
    if isinstance(value, dict) and (people := _people(value)) is not None:
        return {image: people}
    if isinstance(value, dict) and isinstance(value.get("frames"), list):
        value = value["frames"]
    if isinstance(value, dict):
        named = [(key, _people(entry)) for key, entry in value.items()]
    elif isinstance(value, list):
        named = [(_key(entry, row), _people(entry)) for row, entry in enumerate(value)]
    else:
        return None
    images = {key: people for key, people in named if people is not None}
    return images if len(images) == len(value) else None


def _people(value: Any) -> list[list[Any]] | None:
    """The people of an image: none for null and `[]`; None if this is no image."""
    if value is None or value == []:
        return []
    if (landmarks := _landmarks(value)) is not None:
        return [landmarks]
    if isinstance(value, dict):
        key = next((key for key in _PEOPLE if key in value), None)
        return _people(value[key]) if key else None
    if isinstance(value, list) and not _is_frames(value):
        people = [_landmarks(entry) for entry in value]
        return [person for person in people if person is not None] if None not in people else None
    return None


def _is_frames(value: list[Any]) -> bool:
    """Whether entries of a list name their image."""
    return any(isinstance(entry, dict) and not entry.keys().isdisjoint((*_NAMES, *_NUMBERS)) for entry in value)


def _landmarks(value: Any) -> list[Any] | None:
    """The 33 landmarks of a person; None if this is no person."""
    if isinstance(value, dict):
        by_name = {str(name).lower(): landmark for name, landmark in value.items()}
        if by_name.keys() >= set(MEDIAPIPE33):
            return [by_name[name] for name in MEDIAPIPE33]
        if set(value) == {"landmark"}:
            value = value["landmark"]
    if isinstance(value, list) and len(value) == len(MEDIAPIPE33) and all(map(_is_landmark, value)):
        return value
    return None


def _is_landmark(value: Any) -> bool:
    if isinstance(value, dict):
        return "x" in value and "y" in value
    return isinstance(value, list) and 2 <= len(value) <= 5 and not any(isinstance(v, list | dict) for v in value)


def _key(entry: Any, row: int) -> Key:
    """The image that an entry of a list names, or its number in the list."""
    if isinstance(entry, dict):
        name = next((entry[key] for key in _NAMES if isinstance(entry.get(key), str)), None)
        number = next((entry[key] for key in _NUMBERS if isinstance(entry.get(key), int)), row)
        return number if name is None else name
    return row


def _person(landmarks: list[Any], where: str) -> Person:
    rows = [_numbers(landmark) for landmark in landmarks]
    try:
        x, y, confidence = np.asarray(rows, np.float64).T
    except (TypeError, ValueError):
        raise InputError(f"{where}: a landmark needs numbers x, y and visibility") from None
    return Person.make(y, x, confidence)


def _numbers(landmark: Any) -> tuple[Any, Any, Any]:
    """x, y and the confidence: visibility times presence, or 1 where a file has neither."""
    if isinstance(landmark, dict):
        visibility, presence = (landmark.get(key) for key in ("visibility", "presence"))
    else:
        visibility, presence = (landmark[row] if len(landmark) > row else None for row in (3, 4))
        landmark = {"x": landmark[0], "y": landmark[1]}
    confidence = 1.0
    for factor in (visibility, presence):
        confidence = confidence if factor is None else confidence * float(factor)
    return landmark["x"], landmark["y"], confidence
