"""The body's joints and the z-buffer, by properties that can be computed otherwise."""

import numpy as np
import pytest

from data_prep.people import Body, sample_pose
from data_prep.people.body import FOREARM, SHANK, THIGH, UPPER_ARM, Frame, joints_3d, pose_body, rotation
from data_prep.people.head import ellipsoid
from data_prep.people.raster import build_surface, rasterise
from pose_gan.poses.skeleton import COCO18

BONES = (("sho", "elb", UPPER_ARM), ("elb", "wri", FOREARM), ("hip", "kne", THIGH), ("kne", "ank", SHANK))


@pytest.mark.parametrize("seed", range(20))
def test_bones_keep_their_lengths_and_feet_stand_on_the_ground(seed):
    body = Body()
    frames = pose_body(body, sample_pose(np.random.default_rng(seed)))
    joints = joints_3d(frames, body)
    for near, far, length in BONES:
        for side in "RL":
            bone = joints[COCO18.index(side + far)] - joints[COCO18.index(side + near)]
            assert np.linalg.norm(bone) == pytest.approx(length, abs=1e-6)
    for frame in frames.values():
        np.testing.assert_allclose(frame.axes @ frame.axes.T, np.eye(3), atol=1e-9)
    ankles = joints[COCO18.indices(("Rank", "Lank")), 1]
    assert 0.02 < ankles.min() < 0.12
    np.testing.assert_allclose(joints[COCO18.index("neck")], joints[COCO18.indices(("Rsho", "Lsho"))].mean(0))


def draw_balls(balls, shape=(60, 80)):
    """Draws balls ((x, y, z), radius, colour) in pixels, y down, with a plain z-buffer and without light."""
    upright = rotation("x", 0.0) * np.array([1.0, -1.0, 1.0])  # y down
    tubes = []
    for centre, radius, colour in balls:
        texture = np.full((2, 2, 4), [*colour, 255], dtype=np.uint8)
        frame = Frame(np.zeros(3), np.eye(3))
        place = np.asarray(centre, dtype=float) * [1, -1, 1]
        tubes.append(ellipsoid(frame, place, np.full(3, float(radius)), texture))
    surface = build_surface(tubes)
    screen = surface.points @ upright
    return rasterise(surface, screen, np.ones(screen.shape[:2]), [tube.texture for tube in tubes], shape)


def test_a_ball_is_a_disc():
    layer = draw_balls([((40, 30, 0), 20, (200, 100, 50))])
    y, x = np.mgrid[:60, :80] + 0.5
    disc = np.hypot(x - 40, y - 30) < 20
    assert (layer.mask != disc).mean() < 0.02  # the ball has corners
    assert layer.mask[15:45, 25:55][disc[15:45, 25:55]].mean() > 0.98  # no gaps
    np.testing.assert_allclose(layer.rgb[30, 40], [200, 100, 50], atol=0.01)
    assert layer.depth[30, 40] == pytest.approx(20, abs=1)


def test_the_nearer_ball_wins_whatever_the_order():
    red, blue = ((30, 30, 5), 15, (255, 0, 0)), ((50, 30, -5), 15, (0, 0, 255))
    first, second = draw_balls([red, blue]), draw_balls([blue, red])
    np.testing.assert_allclose(first.rgb, second.rgb)
    np.testing.assert_allclose(first.rgb[30, 38], [255, 0, 0], atol=0.01)
    np.testing.assert_allclose(first.rgb[30, 55], [0, 0, 255], atol=0.01)
