"""OpenPose's JSON: one file per image, `{"people": [{"pose_keypoints_2d": [x, y, confidence, …]}]}`.

AlphaPose writes the same with `--format open`, and with `--format cmu` the key `bodies` with `joints`.
"""

from __future__ import annotations

from typing import Any

from pose_gan.errors import InputError
from pose_gan.poses.imports.joints import BODY25, OPENPOSE18
from pose_gan.poses.imports.table import Person, person_of_triples, triples

MODELS = {18: ("COCO", OPENPOSE18), 25: ("BODY_25", BODY25)}
SUFFIX = "_keypoints"  # the file of image `a.jpg` is `a_keypoints.json`
_PEOPLE, _JOINTS = ("people", "bodies"), ("pose_keypoints_2d", "pose_keypoints", "joints")


def is_image(value: Any) -> bool:
    """Whether JSON is the content of a file of OpenPose."""
    return isinstance(value, dict) and any(isinstance(value.get(key), list) for key in _PEOPLE)


def read_image(value: dict[str, Any], where: str) -> tuple[str, tuple[str, ...], list[Person]]:
    """The people in an image.

    Returns: the model and its joints (an empty name and no joints if nobody was found), and the people. People of whom
        only hands or face were found are left out.
    Raises: InputError: the content is damaged, or of another model.
    """
    people: list[Person] = []
    model: tuple[str, tuple[str, ...]] = ("", ())
    for number, entry in enumerate(next(value[key] for key in _PEOPLE if key in value), start=1):
        key = next((key for key in _JOINTS if isinstance(entry, dict) and key in entry), None)
        if key is None:
            raise InputError(f"{where}, person {number}: has no {_JOINTS[0]}")
        joints = triples(entry[key], f"{where}, person {number}", key)
        if not len(joints):
            continue
        if len(joints) not in MODELS or model not in (("", ()), MODELS[len(joints)]):
            raise InputError(
                f"{where}, person {number}: {len(joints)} joints; OpenPose's models COCO (18) and BODY_25 are read"
            )
        model = MODELS[len(joints)]
        people.append(person_of_triples(joints, len(joints)))
    return model[0], model[1], people
