"""A walk as a sequence of poses, from a few joint angles. It is smooth, so it shows how a generator moves."""

from __future__ import annotations

import numpy as np

from pose_gan.poses.keypoints import MISSING
from pose_gan.poses.skeleton import COCO18

# One stature is the unit. The y axis points up, the z axis points where the person looks, and the person's own right is
# at negative x.
HIPS, SHOULDERS, HIP_HALF, SHOULDER_HALF = 0.49, 0.81, 0.06, 0.10
THIGH, SHANK, UPPER_ARM, FOREARM = 0.23, 0.22, 0.165, 0.145
HEAD = 0.92  # height of its centre
STRIDE, ARM_STRIDE, KNEE, ELBOW = 0.42, 0.4, 0.75, 0.35  # radians
FACE = {  # joint → place relative to the centre of the head; the released files name eyes and ears from the other side
    "nose": (0.0, -0.02, 0.06),
    "Leye": (-0.018, 0.0, 0.05),
    "Reye": (0.018, 0.0, 0.05),
    "Lear": (-0.046, -0.005, 0.0),
    "Rear": (0.046, -0.005, 0.0),
}
VISIBLE = -0.012  # how far behind the centre of the head, seen by the camera, a joint of the face still shows


def walk(frames: int = 24, view: float = 40.0) -> np.ndarray:
    """One cycle of a walk on the spot; the last frame is followed by the first.

    Args:
        frames: number of poses.
        view: direction from which the camera looks, degrees: 0 from the front, 90 from the person's right, 180 from
            behind.
    Returns: float32 `(frames, 18, 2)` for the skeleton `COCO18`, (y, x) in statures: y from the head's top downwards, x
        to the right of the person's middle; −1 where a joint of the face is hidden by the head.
    """
    phases = 2 * np.pi * np.arange(frames) / frames
    joints = np.stack([_body(phase) for phase in phases])  # (frames, 18, 3), x y z
    turn = np.deg2rad(view)
    across = -joints[..., 0] * np.cos(turn) - joints[..., 2] * np.sin(turn)
    depth = joints[..., 2] * np.cos(turn) - joints[..., 0] * np.sin(turn)  # towards the camera
    poses = np.stack([1.0 - joints[..., 1], -across], axis=-1)
    for joint in FACE:
        row = COCO18.index(joint)
        poses[depth[:, row] < VISIBLE, row] = MISSING
    return poses.astype(np.float32)


def _body(phase: float) -> np.ndarray:
    """The joints at a moment of the walk: `(18, 3)`. Phase 0: the right leg swings past the left one."""
    rise = -0.012 * np.cos(2 * phase)
    places = {name: np.add(place, (0, HEAD + rise, 0.01)) for name, place in FACE.items()}
    places["neck"] = np.array([0.0, SHOULDERS + rise, 0.0])
    for side, sign in (("R", -1.0), ("L", 1.0)):
        own = phase + (np.pi if side == "L" else 0.0)
        swing, bend = STRIDE * np.sin(own), 0.08 + KNEE * max(0.0, np.cos(own)) ** 2
        hip = np.array([sign * HIP_HALF, HIPS + rise, 0.0])
        shoulder = np.array([sign * SHOULDER_HALF, SHOULDERS + rise, -0.02 * np.sin(own)])
        arm = -ARM_STRIDE * np.sin(own)
        places[side + "hip"] = hip
        places[side + "kne"] = hip + _down(THIGH, swing + 0.1)
        places[side + "ank"] = places[side + "kne"] + _down(SHANK, swing + 0.1 - bend)
        places[side + "sho"] = shoulder
        places[side + "elb"] = shoulder + _down(UPPER_ARM, arm) + np.array([sign * 0.03, 0, 0])
        places[side + "wri"] = places[side + "elb"] + _down(FOREARM, arm + ELBOW * (1 + 0.5 * np.sin(-own)))
    return np.stack([places[name] for name in COCO18.joints])


def _down(length: float, forwards: float) -> np.ndarray:
    """A limb that hangs down and is turned forwards by an angle in radians."""
    return length * np.array([0.0, -np.cos(forwards), np.sin(forwards)])
