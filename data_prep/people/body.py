"""The articulated body: proportions, joint angles, and the coordinate frames that follow from them.

Person space is right-handed, and its unit is one stature. The y axis points up, and the z axis points where the
person looks. So the person's own right is at negative x (the image's left when the person faces the camera).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDES = (("R", -1.0), ("L", 1.0))  # name, sign of x

HIP_HEIGHT, TORSO, THIGH, SHANK = 0.490, 0.322, 0.225, 0.220
UPPER_ARM, FOREARM = 0.165, 0.145
SHOULDER_HALF, HIP_HALF = 0.101, 0.066
HEAD_RISE, HEAD_FORWARD = 0.122, 0.012
HEAD_HALF = np.array([0.0455, 0.0655, 0.0570])  # half width, half height, half depth


@dataclass(frozen=True)
class Body:
    """Proportions, as factors of an average adult (1.0).

    Attributes:
        shoulders, hips: distance between the two joints.
        girth: thickness of torso and limbs.
        belly: how far the belly stands out; 0 = flat, 1 = very much.
        bust: 0 = flat, 1 = full.
        legs: leg length; longer legs go with a shorter torso.
        head: size of the head.
    """

    shoulders: float = 1.0
    hips: float = 1.0
    girth: float = 1.0
    belly: float = 0.0
    bust: float = 0.0
    legs: float = 1.0
    head: float = 1.0


@dataclass(frozen=True)
class Arm:
    """Angles in radians: `swing` forwards, `lift` sideways, `inward` turn of the bending plane, `bend` of the elbow."""

    swing: float = 0.0
    lift: float = 0.12
    inward: float = 0.3
    bend: float = 0.2


@dataclass(frozen=True)
class Leg:
    """Angles in radians: `swing` forwards, `spread` sideways, `bend` of the knee, `foot` (toes down), `toe_out`."""

    swing: float = 0.0
    spread: float = 0.02
    bend: float = 0.05
    foot: float = 0.0
    toe_out: float = 0.15


@dataclass(frozen=True)
class Pose:
    """Joint angles in radians.

    Attributes:
        arms, legs: (right, left).
        lean: torso forwards. sway: torso sideways, to the person's left. twist: chest relative to pelvis.
        head_turn: head to the person's left. head_nod: head forwards.
    """

    arms: tuple[Arm, Arm] = (Arm(), Arm())
    legs: tuple[Leg, Leg] = (Leg(), Leg())
    lean: float = 0.0
    sway: float = 0.0
    twist: float = 0.0
    head_turn: float = 0.0
    head_nod: float = 0.0


@dataclass(frozen=True)
class Frame:
    """A coordinate frame: `origin` (3,), and `axes` (3, 3) whose columns are its x, y and z in person space."""

    origin: np.ndarray
    axes: np.ndarray

    def at(self, x: float, y: float, z: float) -> np.ndarray:
        """The person-space position of local coordinates: (3,)."""
        return self.origin + self.axes @ np.array([x, y, z])


def rotation(axis: str, angle: float) -> np.ndarray:
    """Right-handed rotation by `angle` radians about `x`, `y` or `z`: (3, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    if axis == "x":
        return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    if axis == "y":
        return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def pose_body(body: Body, pose: Pose) -> dict[str, Frame]:
    """Forward kinematics of a body that stands on y = 0.

    Returns: frames `pelvis`, `chest` (origin between the shoulders) and `head` (origin at its centre). Each side
        has further frames, named R or L followed by `sho elb wri hip kne ank foot`. A limb points along the −y
        axis of its frame, and the foot points along the +z axis.
    """
    torso = TORSO + (1.0 - body.legs) * (THIGH + SHANK) * 0.6
    pelvis = Frame(np.zeros(3), rotation("z", -0.3 * pose.sway) @ rotation("x", 0.25 * pose.lean))
    spine = rotation("z", -pose.sway) @ rotation("x", pose.lean) @ rotation("y", pose.twist)
    chest = Frame(pelvis.origin + spine @ np.array([0.0, torso, 0.0]), spine)
    look = chest.axes @ rotation("y", pose.head_turn) @ rotation("x", pose.head_nod - 0.7 * pose.lean)
    rise = HEAD_RISE + (body.head - 1.0) * HEAD_HALF[1]
    head = Frame(chest.at(0.0, 0.45 * rise, 0.0) + look @ np.array([0.0, 0.55 * rise, HEAD_FORWARD]), look)
    frames = {"pelvis": pelvis, "chest": chest, "head": head}
    for (name, side), arm, leg in zip(SIDES, pose.arms, pose.legs, strict=True):
        _add_arm(frames, name, side, arm, body)
        _add_leg(frames, name, side, leg, body)
    ground = min(float(frames[side + "ank"].origin[1]) - _foot_drop(frames[side + "foot"]) for side, _ in SIDES)
    lift = np.array([0.0, -ground, 0.0])
    return {name: Frame(frame.origin + lift, frame.axes) for name, frame in frames.items()}


def _add_arm(frames: dict[str, Frame], name: str, side: float, arm: Arm, body: Body) -> None:
    chest = frames["chest"]
    # A lifted arm moves its shoulder up and inwards.
    raised = max(0.0, np.sin(arm.lift) * 0.5 + 0.5 * (1.0 - np.cos(min(arm.swing, np.pi))) - 0.4)
    shoulder = chest.at(side * (SHOULDER_HALF * body.shoulders - 0.014 * raised), 0.025 * raised, 0.0)
    upper = chest.axes @ rotation("z", side * arm.lift) @ rotation("x", -arm.swing) @ rotation("y", -side * arm.inward)
    lower = upper @ rotation("x", -arm.bend)
    elbow = shoulder + upper @ np.array([0.0, -UPPER_ARM, 0.0])
    wrist = elbow + lower @ np.array([0.0, -FOREARM, 0.0])
    frames |= {name + "sho": Frame(shoulder, upper), name + "elb": Frame(elbow, lower)}
    frames[name + "wri"] = Frame(wrist, lower)


def _add_leg(frames: dict[str, Frame], name: str, side: float, leg: Leg, body: Body) -> None:
    pelvis = frames["pelvis"]
    hip = pelvis.at(side * HIP_HALF * body.hips, 0.0, 0.0)
    # The thighs run slightly inwards, from the distance of the hips to the distance of the knees.
    upper = (
        rotation("z", side * (leg.spread - 0.07)) @ rotation("x", -leg.swing) @ rotation("y", side * leg.toe_out / 2)
    )
    lower = upper @ rotation("x", leg.bend) @ rotation("z", side * 0.03)
    knee = hip + upper @ np.array([0.0, -THIGH * body.legs, 0.0])
    ankle = knee + lower @ np.array([0.0, -SHANK * body.legs, 0.0])
    foot = rotation("y", side * leg.toe_out) @ rotation("x", leg.foot)
    frames |= {name + "hip": Frame(hip, upper), name + "kne": Frame(knee, lower)}
    frames |= {name + "ank": Frame(ankle, lower), name + "foot": Frame(ankle, foot)}


def _foot_drop(foot: Frame) -> float:
    """The distance of the lowest point of the sole below the ankle, in statures."""
    heel, toe = foot.axes @ np.array([0.0, -0.042, -0.025]), foot.axes @ np.array([0.0, -0.042, 0.085])
    return -min(float(heel[1]), float(toe[1]))


def joints_3d(frames: dict[str, Frame], body: Body) -> np.ndarray:
    """The 18 joints in the order of `COCO18`: float (18, 3), person space.

    In the released files, `Leye`/`Lear` (columns 14, 16) lie on the person's RIGHT: seen from the front, their
    x is smaller than that of `Reye`/`Rear`. We follow the files' geometry, not the column names.
    """
    head, size = frames["head"], HEAD_HALF * body.head
    right, left = (
        [frames[side + joint].origin for joint in ("sho", "elb", "wri", "hip", "kne", "ank")] for side, _ in SIDES
    )
    eye, ear = np.array([0.36, 0.02, 0.90]) * size, np.array([1.0, -0.06, -0.05]) * size
    face = [head.at(0.0, -0.26 * size[1], 1.02 * size[2])]
    mirror = np.array([-1.0, 1.0, 1.0])
    eyes_ears = [head.at(*(offset * flip)) for offset in (eye, ear) for flip in (mirror, np.ones(3))]
    neck = (right[0] + left[0]) / 2
    return np.array([face[0], neck, *right[:3], *left[:3], *right[3:], *left[3:], *eyes_ears])


def facing(frames: dict[str, Frame]) -> np.ndarray:
    """Outward directions of the facial joints nose, Leye, Reye, Lear, Rear: float (5, 3), person space."""
    local = np.array([[0, 0, 1], [-0.45, 0, 0.9], [0.45, 0, 0.9], [-1, 0, -0.1], [1, 0, -0.1]], dtype=float)
    return local @ frames["head"].axes.T
