"""The body mask of mask-SSIM against an obvious twin, and against properties that it must have."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from skimage.draw import polygon

from pose_gan.errors import InputError
from pose_gan.metrics import body_mask
from pose_gan.poses.keypoints import read_annotations
from pose_gan.poses.skeleton import COCO18

SIZE = (128, 64)


def inside_polygon(vertices, y, x):
    """The crossing test of scikit-image 0.13 (W. R. Franklin's PNPOLY)."""
    inside = False
    previous = vertices[-1]
    for current in vertices:
        (yi, xi), (yj, xj) = current, previous
        if ((yi <= y < yj) or (yj <= y < yi)) and x < (xj - xi) * (y - yi) / (yj - yi) + xi:
            inside = not inside
        previous = current
    return inside


def limb_corners(a, b):
    """The rectangle of half width 4 around the line from a to b."""
    across = np.array([-(a - b)[1], (a - b)[0]]) * 4 / np.linalg.norm(a - b)
    return np.array([a + across, a - across, b - across, b + across])


def slow_mask(keypoints, size, closed=True):
    """Pixel by pixel."""
    height, width = size
    mask = np.zeros(size, dtype=bool)
    is_found = [-1 not in joint.tolist() for joint in keypoints]
    shapes = []
    for names in COCO18.evaluation_edges:
        a, b = COCO18.indices(names)
        if is_found[a] and is_found[b] and (keypoints[a] != keypoints[b]).any():
            shapes.append(limb_corners(keypoints[a], keypoints[b]))
    joints = [joint for joint, ok in zip(keypoints, is_found, strict=True) if ok]
    for y in range(height):
        for x in range(width):
            mask[y, x] = any((y - p[0]) ** 2 + (x - p[1]) ** 2 < 16 for p in joints) or any(
                inside_polygon(shape.tolist(), y, x) for shape in shapes
            )
    if not closed:
        return mask
    for fold in (np.any, np.all):  # dilation, erosion by a 5×5 square, cut at the border of the image
        mask = np.array(
            [[fold(mask[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]) for x in range(width)] for y in range(height)]
        )
    return mask


def random_poses(count, size, seed=0, missing=0.3, beyond=0):
    rng = np.random.default_rng(seed)
    poses = rng.integers(0, np.array(size) + beyond, (count, COCO18.num_joints, 2))
    poses[rng.random(poses.shape[:2]) < missing] = -1
    return poses


def test_equals_the_slow_twin():
    size = (40, 24)
    poses = random_poses(6, size, beyond=6)  # some joints lie below or right of the image
    np.testing.assert_array_equal(body_mask(poses, size), [slow_mask(pose, size) for pose in poses])


def test_equals_the_slow_twin_on_real_poses(shared_data):
    poses = read_annotations(shared_data / "market-sample/market-annotation-test.csv").keypoints[:2]
    np.testing.assert_array_equal(body_mask(poses, SIZE), [slow_mask(pose, SIZE) for pose in poses])


def test_rectangles_are_those_of_scikit_image_but_for_their_borders():
    """Today's scikit-image fills a polygon with its whole border; the release's, top and left only."""
    skeleton = dataclasses.replace(COCO18, evaluation_edges=(("Rhip", "Rkne"),))
    pose = np.full((COCO18.num_joints, 2), -1)
    for a, b in (((30, 20), (70, 41)), ((30, 30), (90, 30)), ((60, 10), (60, 50))):
        pose[skeleton.indices(("Rhip", "Rkne"))] = a, b
        expected = np.zeros(SIZE, dtype=bool)
        corners = limb_corners(np.array(a), np.array(b))
        expected[polygon(corners[:, 0], corners[:, 1], SIZE)] = True
        mask = body_mask(pose, SIZE, skeleton)
        away = np.ones(SIZE, dtype=bool)  # from the discs at the two ends, which also close corners
        for y, x in (a, b):
            away[max(y - 7, 0) : y + 8, max(x - 7, 0) : x + 8] = False
        border = away & expected & ~mask
        assert not (mask & ~expected & away).any()
        y, x = np.nonzero(border)
        along, at = np.subtract(b, a), np.stack([y, x], -1) - a
        distance = np.abs(along[0] * at[:, 1] - along[1] * at[:, 0]) / np.linalg.norm(along)
        np.testing.assert_allclose(distance, 4)


def test_without_evaluation_edges_the_edges_count():
    poses = random_poses(3, SIZE)
    drawn = dataclasses.replace(COCO18, edges=COCO18.evaluation_edges, evaluation_edges=())
    np.testing.assert_array_equal(body_mask(poses, SIZE, drawn), body_mask(poses, SIZE))
    bare = dataclasses.replace(drawn, edges=())
    assert body_mask(poses, SIZE, bare).sum() < body_mask(poses, SIZE).sum()


def test_one_joint_is_a_disc():
    pose = np.full((COCO18.num_joints, 2), -1)
    pose[0] = 50, 30
    y, x = np.mgrid[:128, :64]
    distance = np.hypot(y - 50, x - 30)
    mask = body_mask(pose, SIZE)
    assert mask[distance < 4].all()
    assert not mask[distance > 5].any()


def test_nothing_found_is_empty_and_partly_found_counts_as_missing():
    pose = np.full((COCO18.num_joints, 2), -1)
    pose[3] = 20, -1
    assert not body_mask(pose, SIZE).any()


def test_batch_equals_single():
    poses = random_poses(5, SIZE)
    np.testing.assert_array_equal(body_mask(poses, SIZE), [body_mask(pose, SIZE) for pose in poses])
    assert body_mask(poses, SIZE).shape == (5, 128, 64)
    assert body_mask(poses[:0], SIZE).shape == (0, 128, 64)


def test_coinciding_joints_are_a_disc():
    pose = np.full((COCO18.num_joints, 2), -1)
    pose[COCO18.indices(("Rhip", "Rkne"))] = 50, 30
    alone = np.full((COCO18.num_joints, 2), -1)
    alone[0] = 50, 30
    np.testing.assert_array_equal(body_mask(pose, SIZE), body_mask(alone, SIZE))


def test_joints_far_outside_leave_the_image_alone():
    pose = np.full((COCO18.num_joints, 2), -1)
    pose[0] = 500, 500
    assert not body_mask(pose, SIZE).any()


def test_wrong_shape_is_an_input_error():
    with pytest.raises(InputError, match="18 joints of skeleton 'coco18', got \\(17, 2\\)"):
        body_mask(np.zeros((17, 2)), SIZE)
