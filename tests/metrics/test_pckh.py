"""PCKh: known numbers, a slow twin, missing joints, messages."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from skeletons import STICK

from pose_gan.errors import InputError
from pose_gan.geometry.pose import read_pose
from pose_gan.metrics.pckh import HEAD_SIZE, pckh, torso_lengths
from pose_gan.poses.skeleton import COCO18

RIGHT, LEFT = ("Rsho", "Rhip"), ("Lsho", "Lhip")


def random_poses(seed, count=40):
    """True poses and answers that are a few pixels off; each joint is missing now and then in either."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 100, (count, COCO18.num_joints, 2))
    answers = np.maximum(truth + random.integers(-12, 13, truth.shape), 0)
    for poses in (truth, answers):
        poses[random.random(poses.shape[:2]) < 0.15] = -1
    truth[0, COCO18.indices(RIGHT)] = -1  # one side is enough
    truth[1, COCO18.indices((RIGHT[0], LEFT[1]))] = -1  # no side
    return answers, truth


def naive_pckh(answers, truth, threshold):
    """Hits and counts of each joint, joint by joint."""
    hits, counts = [0] * COCO18.num_joints, [0] * COCO18.num_joints
    for answer, pose in zip(answers.tolist(), truth.tolist(), strict=True):
        sides = []
        for names in (RIGHT, LEFT):
            (y0, x0), (y1, x1) = (pose[COCO18.joints.index(name)] for name in names)
            if -1 not in (y0, x0, y1, x1):
                sides.append((y0 - y1) ** 2 + (x0 - x1) ** 2)
        if not sides:
            continue
        head = 0.3 * math.sqrt(sum(sides) / len(sides))
        for joint, ((y, x), (true_y, true_x)) in enumerate(zip(answer, pose, strict=True)):
            if -1 in (true_y, true_x):
                continue
            counts[joint] += 1
            if -1 not in (y, x) and math.dist((y, x), (true_y, true_x)) <= threshold * head:
                hits[joint] += 1
    return hits, counts


@pytest.mark.parametrize("threshold", [0.1, 0.5, 1.0])
def test_equals_the_slow_twin(threshold):
    answers, truth = random_poses(0)
    result = pckh(answers, truth, threshold=threshold)
    hits, counts = naive_pckh(answers, truth, threshold)
    assert result.hits.tolist() == hits
    assert result.counts.tolist() == counts
    assert result.mean == pytest.approx(np.mean(np.array(hits) / counts), abs=1e-12)
    assert 0 < result.mean < 1


def test_found_and_missing_joints_are_told_apart():
    answers, truth = random_poses(1)
    result = pckh(answers, truth)
    there, said = (np.all(poses >= 0, axis=-1) for poses in (truth, answers))
    assert result.false_positive_share == pytest.approx((said & ~there).sum() / (~there).sum())
    assert result.false_negative_share == pytest.approx((there & ~said).sum() / there.sum())


def test_the_truth_itself_is_right():
    _, truth = random_poses(2)
    result = pckh(truth, truth)
    assert result.mean == 1
    assert result.false_positive_share == result.false_negative_share == 0


def test_distances_count_in_head_sizes():
    truth = np.array([[0, 0], [50, 50], [100, 0]])  # a torso of 100 pixels: half a head is 15
    assert HEAD_SIZE == 0.3
    for distance, right in ((14, True), (15, True), (16, False)):
        answer = np.add(truth, [[0, 0], [0, distance], [0, 0]])
        assert pckh(answer, truth, STICK).right.tolist() == [[True, right, True]]
    assert pckh(np.add(truth, [0, 29]), truth, STICK, threshold=1.0).mean == 1


def test_a_pose_without_size_is_not_counted():
    truth = np.array([[[0, 0], [50, 50], [-1, -1]], [[0, 0], [50, 50], [100, 0]]])
    result = pckh(np.zeros_like(truth), truth, STICK)
    assert np.isnan(torso_lengths(truth, STICK)).tolist() == [True, False]
    assert result.counts.tolist() == [1, 1, 1]
    assert result.hits.tolist() == [1, 0, 0]
    assert result.false_positive_share == 1  # its missing joint still tells


def test_nothing_gives_nan():
    result = pckh(np.zeros((0, 18, 2), int), np.zeros((0, 18, 2), int))
    assert np.isnan(result.mean)
    assert np.isnan(result.per_joint).all()
    assert np.isnan(result.false_positive_share)
    never = np.array([[0, 0], [-1, -1], [100, 0]])
    assert np.isnan(pckh(never, never, STICK).per_joint).tolist() == [False, True, False]
    assert pckh(never, never, STICK).mean == 1  # the joint that is never there does not count


def test_unsigned_and_single_poses():
    answers, truth = (np.maximum(poses, 0) for poses in random_poses(3))
    small = pckh(answers.astype(np.uint8), truth.astype(np.uint8))
    assert np.array_equal(small.right, pckh(answers, truth).right)
    assert np.array_equal(pckh(answers[5], truth[5]).right, small.right[5:6])


def test_torso_length_is_that_of_the_part_masks():
    _, truth = random_poses(4)
    pose = read_pose(tf.constant(truth), COCO18, tf.float64)
    expected = np.where(pose.sized, pose.scale, np.nan)
    np.testing.assert_allclose(torso_lengths(truth), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("answers", "truth", "message"),
    [
        ((4, 17, 2), (4, 18, 2), r"found_keypoints: expected .* 18 joints of skeleton 'coco18', got \(4, 17, 2\)"),
        ((4, 18, 2), (4, 18), r"true_keypoints: expected .*, got \(4, 18\)"),
        ((4, 18, 2), (3, 18, 2), r"found_keypoints \(4, 18, 2\) and true_keypoints \(3, 18, 2\) differ"),
    ],
)
def test_wrong_shapes(answers, truth, message):
    with pytest.raises(InputError, match=message):
        pckh(np.zeros(answers), np.zeros(truth))


def test_a_skeleton_without_size():
    shapeless = dataclasses.replace(STICK, scale_sides=())
    with pytest.raises(InputError, match="skeleton 'stick' has no scale_sides"):
        pckh(np.zeros((1, 3, 2)), np.zeros((1, 3, 2)), shapeless)
