"""Orders of joints in the files of other programs, and where each joint of a skeleton stands in them.

Left and right are the person's own sides in all of them.
"""

from __future__ import annotations

import re

from pose_gan.errors import InputError
from pose_gan.poses.skeleton import COCO18, Skeleton

_SIDED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _arms_and_legs(side: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    arm, leg = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
    return tuple(f"{side}_{joint}" for joint in arm), tuple(f"{side}_{joint}" for joint in leg)


_RIGHT_ARM, _RIGHT_LEG = _arms_and_legs("right")
_LEFT_ARM, _LEFT_LEG = _arms_and_legs("left")
_FACE = _words("right_eye left_eye right_ear left_ear")

OPENPOSE18 = ("nose", "neck", *_RIGHT_ARM, *_LEFT_ARM, *_RIGHT_LEG, *_LEFT_LEG, *_FACE)
BODY25 = (
    *("nose", "neck", *_RIGHT_ARM, *_LEFT_ARM, "mid_hip", *_RIGHT_LEG, *_LEFT_LEG, *_FACE),
    *_words("left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"),
)
COCO17 = ("nose", *(f"{side}_{joint}" for joint in _SIDED for side in ("left", "right")))
HALPE26 = (
    *(*COCO17, "head", "neck", "mid_hip"),
    *_words("left_big_toe right_big_toe left_small_toe right_small_toe left_heel right_heel"),
)
MEDIAPIPE33 = (
    "nose",
    *(f"{side}_eye{part}" for side in ("left", "right") for part in ("_inner", "", "_outer")),
    *_words("left_ear right_ear mouth_left mouth_right"),
    *(
        f"{side}_{joint}"
        for joint in (*_words("shoulder elbow wrist pinky index thumb hip knee ankle heel"), "foot_index")
        for side in ("left", "right")
    ),
)

# Number of joints → their order; whole bodies of 133 and 136 joints begin with those of the body.
BY_COUNT = {17: COCO17, 18: OPENPOSE18, 26: HALPE26, 133: COCO17, 136: HALPE26}

# In the released annotation files, the columns `Leye` and `Lear` hold the person's right eye and ear.
MEANING = {
    "Leye": "right_eye",
    "Reye": "left_eye",
    "Lear": "right_ear",
    "Rear": "left_ear",
    **{
        f"{side[0].upper()}{joint[:3]}": f"{side}_{joint}"
        for side in ("right", "left")
        for joint in _SIDED
        if joint not in ("eye", "ear")
    },
}
"""Joint of `COCO18` → its name in other programs, where the two differ."""

SHOULDERS = ("right_shoulder", "left_shoulder")  # their middle is the neck, where a program finds no neck


def order_of(count: int, skeleton: Skeleton, where: str) -> tuple[str, ...]:
    """The names of `count` joints in a file that does not name them.

    Args:
        count: number of joints in the file.
        skeleton: if it is not that of people and has as many joints, the file has them in its order.
        where: file and place, for the message.
    Returns: the names of the first joints; there may be fewer than `count`.
    Raises: InputError: no order with so many joints is known.
    """
    if skeleton.joints != COCO18.joints and count == skeleton.num_joints:
        return skeleton.joints
    if count not in BY_COUNT:
        raise InputError(
            f"{where}: {count} joints without names; known are {', '.join(map(str, BY_COUNT))} joints; for another "
            "body, give a --skeleton with as many joints, in the same order"
        )
    return BY_COUNT[count]


def columns_of(skeleton: Skeleton, joints: tuple[str, ...], where: str) -> list[list[int]]:
    """Where each joint of the skeleton stands among the joints of a file.

    A joint is found by its own name, by its meaning in `MEANING`, or by a name that differs only in case and in
    characters between the words (`LeftEar` for `left_ear`). A neck that a file lacks is made of both shoulders.

    Returns: per joint of the skeleton the rows in `joints` whose mean it is: one, two, or none.
    Raises: InputError: the file has none of the joints that the skeleton requires, or no joint of it at all.
    """
    rows = {name: row for row, name in reversed(list(enumerate(joints)))}
    rows_squeezed = {_squeezed(name): row for name, row in rows.items()}

    def row_of(joint: str) -> list[int]:
        for name in (joint, MEANING.get(joint, joint)):
            if name in rows:
                return [rows[name]]
        name = _squeezed(MEANING.get(joint, joint))
        return [rows_squeezed[name]] if name in rows_squeezed else []

    columns = [row_of(joint) for joint in skeleton.joints]
    if "neck" in skeleton.joints and not columns[skeleton.index("neck")]:
        both = [row for shoulder in SHOULDERS for row in row_of(shoulder)]
        columns[skeleton.index("neck")] = both if len(both) == 2 else []
    needed = skeleton.required or skeleton.joints
    if not any(columns[row] for row in skeleton.indices(needed)):
        raise InputError(
            f"{where}: has the joints {', '.join(joints)}, which are none of {', '.join(needed)}, which the skeleton "
            f"{skeleton.name} needs; give a --skeleton whose joints have the names in the file"
        )
    return columns


def _squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
