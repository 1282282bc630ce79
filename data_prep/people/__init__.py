"""Drawn people. They are articulated and dressed, are seen from any side, and have exact keypoints.

rng = np.random.default_rng(0)
person = sample_identity(rng)
camera = make_cameras(seed=0)[0]
image, keypoints_yx = render_person(person, sample_shot(rng, camera), size=(128, 64))
"""

from data_prep.people.body import Arm, Body, Leg, Pose
from data_prep.people.clothes import Pattern, plain
from data_prep.people.identity import Garment, Identity, sample_identity
from data_prep.people.render import render_person
from data_prep.people.shot import Camera, Shot, make_cameras, sample_pose, sample_shot, walk_sequence

__all__ = [
    "Arm",
    "Body",
    "Camera",
    "Garment",
    "Identity",
    "Leg",
    "Pattern",
    "Pose",
    "Shot",
    "make_cameras",
    "plain",
    "render_person",
    "sample_identity",
    "sample_pose",
    "sample_shot",
    "walk_sequence",
]
