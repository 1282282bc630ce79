"""A shot of a person: pose, view, camera, and the object in front."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from data_prep.people.body import Arm, Leg, Pose

FAMILIES = ("plaza", "park", "entrance", "street", "campus", "lawn")
STUDIO = "studio"  # a plain wall; nothing stands before the person, and nobody else is there
OCCLUDERS = ("none", "pole", "box", "bicycle", "edge", "person")
OCCLUDERS_OF_STUDIO = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
OCCLUDER_WEIGHTS = (0.82, 0.03, 0.04, 0.05, 0.02, 0.04)


@dataclass(frozen=True)
class Camera:
    """A camera with its place and light.

    Attributes:
        number: number in file names, from 1.
        family: kind of background, one of FAMILIES, or STUDIO.
        seed: seed of the background.
        gain: brightness factors of red, green, blue.
        contrast: factor of contrast; 1 = unchanged.
        light: direction towards the light: right, up, towards the camera.
        ambient: share of the light that comes from all directions.
        pitch: angle by which the camera looks down, radians.
        blur: in pixels of an image of height 128. noise: standard deviation, grey levels.
        quality: quality of the camera's own JPEG compression, 1 to 95.
    """

    number: int
    family: str
    seed: int
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    light: tuple[float, float, float] = (-0.4, 0.8, 0.5)
    ambient: float = 0.55
    pitch: float = 0.12
    blur: float = 0.3
    noise: float = 2.0
    quality: int = 80


@dataclass(frozen=True)
class Shot:
    """One image of a person.

    Attributes:
        yaw: direction in radians; 0 = facing the camera, π/2 = facing the image's right, π = seen from behind.
        fill: the person's height as a share of the image's height. Above 1, head or feet are cut off.
        shift: offset (y, x) of the person from the middle, as a share of the image's sides.
        stretch: width relative to height; in Market-1501, boxes of the detector were squeezed to one shape.
        occluder: the object in front, one of OCCLUDERS.
        company: whether another person walks behind.
        miss: probability that a joint behind the person's own body is missing from the keypoints.
        seed: seed of everything that is random in the image: background part, noise, missing joints.
    """

    pose: Pose
    yaw: float
    camera: Camera
    fill: float = 0.92
    shift: tuple[float, float] = (0.0, 0.0)
    stretch: float = 1.0
    occluder: str = "none"
    company: bool = False
    miss: float = 0.25
    seed: int = 0


def make_cameras(seed: int, count: int = 6, studio: bool = False) -> tuple[Camera, ...]:
    """The cameras of a data set, numbered from 1; each has its own place, light and image quality.

    Args:
        seed: seed of the data set.
        count: number of cameras.
        studio: whether all stand in one studio, in the same light.
    """
    if studio:
        light = Camera(1, STUDIO, seed, blur=0.2, noise=0.5, quality=92)
        return tuple(dataclasses.replace(light, number=number) for number in range(1, count + 1))
    cameras = []
    for number in range(1, count + 1):
        rng = np.random.default_rng([seed, 7001, number])
        warm = rng.uniform(-0.05, 0.05)
        brightness = rng.uniform(0.92, 1.15)
        cameras.append(
            Camera(
                number=number,
                family=FAMILIES[(number - 1) % len(FAMILIES)],
                seed=int(rng.integers(2**31)),
                gain=(float(brightness * (1 + warm)), float(brightness), float(brightness * (1 - warm))),
                contrast=float(rng.uniform(0.95, 1.25)),
                light=(float(rng.uniform(-0.8, 0.8)), float(rng.uniform(0.5, 0.9)), float(rng.uniform(0.1, 0.7))),
                ambient=float(rng.uniform(0.5, 0.7)),
                pitch=float(rng.uniform(0.05, 0.25)),
                blur=float(rng.uniform(0.0, 0.4)),
                noise=float(rng.uniform(0.5, 2.5)),
                quality=int(rng.integers(72, 95)),
            )
        )
    return tuple(cameras)


def sample_shot(rng: np.random.Generator, camera: Camera) -> Shot:
    """A random shot of a person in front of `camera`."""
    truncated = rng.random() < 0.1
    fill = rng.uniform(1.02, 1.2) if truncated else rng.uniform(0.86, 0.96)
    slack, street = abs(1 - fill) / 2, camera.family != STUDIO
    down = (slack + 0.02) * rng.choice([-1.0, 1.0], p=[0.3, 0.7]) if truncated else slack * rng.uniform(-0.8, 0.8)
    return Shot(
        pose=sample_pose(rng),
        yaw=_sample_yaw(rng),
        camera=dataclasses.replace(camera, pitch=float(camera.pitch + rng.normal(0, 0.02))),
        fill=float(fill),
        shift=(float(down), float(rng.normal(0, 0.025))),
        stretch=float(rng.uniform(1.0, 1.14)),
        occluder=str(rng.choice(OCCLUDERS, p=OCCLUDER_WEIGHTS if street else OCCLUDERS_OF_STUDIO)),
        company=bool(rng.random() < 0.12) and street,
        seed=int(rng.integers(2**31)),
    )


def walk_sequence(rng: np.random.Generator, camera: Camera, frames: int, step: float = 0.08) -> list[Shot]:
    """One walk seen by one camera: `frames` shots that are `step` gait cycles apart, with a slowly turning view."""
    first = dataclasses.replace(sample_shot(rng, camera), occluder="none")
    phase, stride, turn = rng.uniform(0, 1), rng.uniform(0.3, 0.5), rng.normal(0, 0.03)
    style = int(rng.integers(2**31))
    return [
        dataclasses.replace(
            first,
            pose=walking(np.random.default_rng(style), 2 * np.pi * (phase + step * number), stride),
            yaw=first.yaw + turn * number,
        )
        for number in range(frames)
    ]


def _sample_yaw(rng: np.random.Generator) -> float:
    kind = rng.choice(4, p=[0.36, 0.32, 0.22, 0.10])  # front, back, side, anything
    if kind == 3:
        return float(rng.uniform(-np.pi, np.pi))
    centre = (0.0, np.pi, rng.choice([-0.5, 0.5]) * np.pi)[kind]
    return float(centre + rng.normal(0, 0.4 if kind < 2 else 0.25))


def sample_pose(rng: np.random.Generator) -> Pose:
    """A random pose: mostly walking or standing, as in front of street cameras. Sometimes the arms do other things."""
    if rng.random() < 0.64:
        pose = walking(rng, rng.uniform(0, 2 * np.pi), rng.uniform(0.22, 0.52))
    elif rng.random() < 0.1:
        pose = walking(rng, rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 0.8), running=True)
    else:
        pose = standing(rng)
    arms = [_busy_arm(rng, arm) if rng.random() < 0.25 else arm for arm in pose.arms]
    if rng.random() < 0.07:  # both arms are busy: a phone, folded arms, hands on the hips
        arms = [_busy_arm(rng, arms[0])] * 2
    return dataclasses.replace(pose, arms=(arms[0], arms[1]))


def walking(rng: np.random.Generator, phase: float, stride: float, running: bool = False) -> Pose:
    """A moment of a walk. `phase` is in radians (0: the right leg swings past the left), and so is `stride`."""
    lean = rng.normal(0.22 if running else 0.05, 0.03)
    arm_stride, lift = stride * rng.uniform(0.6, 1.2), abs(rng.normal(0.12, 0.05))
    elbow = rng.uniform(1.2, 1.7) if running else rng.uniform(0.1, 0.5)
    flex = rng.uniform(1.3, 1.8) if running else rng.uniform(0.8, 1.05)
    toe_out, inward, turn = abs(rng.normal(0.12, 0.08)), rng.uniform(0.2, 0.6), rng.normal(0, 0.25)
    legs, arms = [], []
    for own in (phase, phase + np.pi):
        swinging = max(0.0, np.cos(own)) ** 1.3  # 1 when the free leg passes the standing leg
        rear = max(0.0, -np.sin(own))
        swing = stride * np.sin(own) + 0.35 * swinging * (stride + 0.3) + 0.03
        bend = 0.06 + flex * swinging + 0.25 * rear * stride / 0.4
        foot = -0.25 * max(0.0, np.sin(own)) * (1 - swinging) + 0.55 * rear * stride / 0.4 + 0.3 * swinging
        legs.append(Leg(swing, abs(rng.normal(0.03, 0.015)), bend, foot, toe_out))
        forward = -np.sin(own)
        arms.append(Arm(arm_stride * forward, lift, inward, elbow * (1.0 + 0.5 * forward)))
    twist = -0.18 * np.sin(phase) * stride / 0.4
    return Pose((arms[0], arms[1]), (legs[0], legs[1]), lean, 0.03 * np.cos(phase), twist, turn, rng.normal(0.08, 0.12))


def standing(rng: np.random.Generator) -> Pose:
    """A standing pose, with the weight more or less on one leg."""
    weight, apart = rng.uniform(-1, 1), rng.uniform(0.02, 0.14)
    legs = tuple(
        Leg(rng.normal(0.03 + 0.12 * relax, 0.05), apart, 0.05 + 0.3 * relax, 0.0, abs(rng.normal(0.25, 0.12)))
        for relax in (max(0.0, weight), max(0.0, -weight))
    )
    arms = tuple(
        Arm(rng.normal(0.05, 0.12), abs(rng.normal(0.12, 0.05)), rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.5))
        for _ in range(2)
    )
    return Pose(
        (arms[0], arms[1]),
        (legs[0], legs[1]),
        lean=rng.normal(0.02, 0.04),
        sway=rng.normal(0, 0.04),
        twist=rng.normal(0, 0.1),
        head_turn=rng.normal(0, 0.4),
        head_nod=rng.normal(0.08, 0.15),
    )


def _busy_arm(rng: np.random.Generator, arm: Arm) -> Arm:
    """An arm that holds a phone, telephones, rests on the hip, carries, waves, points or reaches up."""
    kinds = (
        Arm(0.35, 0.10, 0.7, 1.75),  # reads a phone
        Arm(0.75, 0.45, 0.35, 2.45),  # telephones
        Arm(-0.35, 0.75, 0.95, 1.55),  # hand on the hip
        Arm(0.05, 0.16, 0.2, 0.05),  # carries something heavy
        Arm(0.25, 1.45, -1.2, 1.5),  # waves
        Arm(1.35, 0.15, 0.0, 0.1),  # points forwards
        Arm(2.75, 0.10, 0.0, 0.25),  # reaches up
        Arm(0.15, 1.35, 0.0, 0.15),  # stretched out sideways
    )
    chosen = kinds[int(rng.choice(len(kinds), p=[0.26, 0.14, 0.16, 0.16, 0.08, 0.08, 0.06, 0.06]))]
    jitter = rng.normal(0, 0.1, 4)
    values = np.array(dataclasses.astuple(chosen)) + jitter
    swing, lift, inward, bend = values.tolist()
    return Arm(swing, max(lift, 0.05), inward, max(bend, 0.02))
