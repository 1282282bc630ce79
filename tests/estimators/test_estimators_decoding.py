"""Decoding: maps drawn from known people give those people back."""

from __future__ import annotations

import numpy as np
import pytest

from pose_gan.estimators.decoding import (
    CHANNELS,
    LIMBS,
    NUM_AFFINITIES,
    NUM_HEATMAPS,
    NUM_JOINTS,
    find_candidates,
    find_people,
    smooth,
)
from pose_gan.poses.skeleton import COCO18

# A standing person, (y, x) in a box of 100 × 40
STANDING = np.array(
    [
        *[(10, 20), (20, 20), (20, 12), (35, 8), (48, 6), (20, 28), (35, 32), (48, 34), (52, 14), (72, 13), (92, 12)],
        *[(52, 26), (72, 27), (92, 28), (7, 17), (7, 23), (9, 14), (9, 26)],
    ]
)
SIZE = (240, 320)


def draw_maps(people: list[np.ndarray], size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Heat maps (peaks of 1, σ = 4 px) and part affinity fields (unit vectors within 4 px of a limb)."""
    y, x = np.mgrid[: size[0], : size[1]]
    heatmaps = np.zeros((*size, NUM_HEATMAPS))
    affinities = np.zeros((*size, NUM_AFFINITIES))
    for person in people:
        there = person[:, 0] >= 0
        for joint in np.flatnonzero(there):
            bump = np.exp(-((y - person[joint, 0]) ** 2 + (x - person[joint, 1]) ** 2) / (2 * 4.0**2))
            heatmaps[..., joint] = np.maximum(heatmaps[..., joint], bump)
        for (a, b), channel in zip(LIMBS, CHANNELS, strict=True):
            if there[a] and there[b]:
                vector = (person[b] - person[a]).astype(float)
                length = np.linalg.norm(vector)
                unit = vector / length
                along = (y - person[a, 0]) * unit[0] + (x - person[a, 1]) * unit[1]
                across = (y - person[a, 0]) * unit[1] - (x - person[a, 1]) * unit[0]
                inside = (along >= -2) & (along <= length + 2) & (np.abs(across) <= 4)
                affinities[inside, channel], affinities[inside, channel + 1] = unit[1], unit[0]
    return heatmaps, affinities


def decode(people: list[np.ndarray]) -> np.ndarray:
    heatmaps, affinities = draw_maps(people)
    return find_people(heatmaps, affinities, smooth(heatmaps[..., :NUM_JOINTS]))[0]


def assert_same_people(got: np.ndarray, expected: list[np.ndarray]) -> None:
    assert len(got) == len(expected)
    for person in expected:
        distances = [np.abs(other - person).max() for other in got]
        assert min(distances) <= 1, distances


@pytest.mark.parametrize(
    "people",
    [
        [2 * STANDING + (20, 30)],
        [2 * STANDING + (20, 30), 2 * STANDING + (25, 180)],
        [2 * STANDING + (20, 5), 2 * STANDING + (15, 110), 2 * STANDING + (30, 220)],
    ],
    ids=["one", "two", "three"],
)
def test_people_come_back(people):
    assert_same_people(decode(people), people)


def test_the_limbs_are_the_skeletons():
    assert len(set(CHANNELS.tolist())) == len(LIMBS)
    assert sorted(c for channel in CHANNELS for c in (channel, channel + 1)) == list(range(NUM_AFFINITIES))
    names = {frozenset((COCO18.joints[a], COCO18.joints[b])) for a, b in LIMBS}
    assert {frozenset(edge) for edge in COCO18.edges} <= names


def test_crossing_limbs_stay_with_their_people():
    """Two people whose arms and legs cross; the affinities' directions tell them apart."""
    first, second = 2 * STANDING + (20, 100), 2 * STANDING + (24, 140)
    for joint in ("Lelb", "Lwri"):
        first[COCO18.index(joint)] += (0, 30)
    for joint in ("Relb", "Rwri"):
        second[COCO18.index(joint)] -= (0, 24)
    legs = [COCO18.index(name) for name in ("Rank", "Lank")]
    first[legs] = first[legs[::-1]]  # crossed shins
    assert_same_people(decode([first, second]), [first, second])


def test_missing_joints_are_missing():
    person = 2 * STANDING + (20, 30)
    lost = [COCO18.index(name) for name in ("Rwri", "Lkne", "Lank", "Leye", "Lear")]
    person[lost] = -1
    (got,) = decode([person])
    assert np.all(got[lost] == -1)
    np.testing.assert_allclose(got, person, atol=1)


def test_the_larger_sum_of_scores_is_first_and_fragments_are_nobody():
    whole, fragment = 2 * STANDING + (20, 30), np.full_like(STANDING, -1)
    three = [COCO18.index(name) for name in ("neck", "Rsho", "Lsho")]
    fragment[three] = (2 * STANDING + (20, 200))[three]
    assert_same_people(decode([fragment, whole]), [whole])
    half = 2 * STANDING + (20, 200)
    half[[COCO18.index(name) for name in ("Rkne", "Rank", "Lkne", "Lank")]] = -1
    np.testing.assert_allclose(decode([half, whole])[0], whole, atol=1)


def test_legs_without_a_body_are_joined_when_the_body_is_found():
    """A limb that two persons share makes them one (neck to hip is looked at before hip to knee)."""
    person = 2 * STANDING + (20, 30)
    heatmaps, affinities = draw_maps([person])
    people, scores = find_people(heatmaps, affinities, smooth(heatmaps[..., :NUM_JOINTS]))
    assert len(people) == 1
    assert np.all(scores[0] > 0.9)
    assert people.dtype == np.int32


def test_empty_and_noisy_maps_show_nobody():
    rng = np.random.default_rng(0)
    for scale in (0.0, 0.05):
        heatmaps, affinities = rng.random((60, 50, NUM_HEATMAPS)) * scale, rng.random((60, 50, NUM_AFFINITIES)) * scale
        people, scores = find_people(heatmaps, affinities, smooth(heatmaps[..., :NUM_JOINTS]))
        assert people.shape == (0, NUM_JOINTS, 2)
        assert scores.shape == (0, NUM_JOINTS)


def test_candidates_are_the_peaks_of_a_loop():
    """Against the plain definition, pixel by pixel; at the borders too."""
    rng = np.random.default_rng(1)
    heatmaps = rng.random((31, 17, 3)) ** 4
    smoothed = smooth(heatmaps)
    expected = []
    for joint in range(3):
        for y in range(31):
            for x in range(17):
                around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                inside = [place for place in around if 0 <= place[0] < 31 and 0 <= place[1] < 17]
                value = smoothed[y, x, joint]
                if value > 0.1 and all(value >= smoothed[(*place, joint)] for place in inside):
                    expected.append((joint, y, x))
    got = find_candidates(heatmaps, smoothed)
    assert list(zip(got.joint, *got.places.T, strict=True)) == expected
    np.testing.assert_array_equal(got.scores, [heatmaps[y, x, joint] for joint, y, x in expected])


def test_smoothing_keeps_images_and_maps_apart():
    rng = np.random.default_rng(2)
    heatmaps = rng.random((2, 20, 24, 3))
    np.testing.assert_allclose(smooth(heatmaps)[1], smooth(heatmaps[1]), atol=1e-12)
    np.testing.assert_allclose(smooth(heatmaps)[..., 2:], smooth(heatmaps[..., 2:]), atol=1e-12)
