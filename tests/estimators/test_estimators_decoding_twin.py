"""Decoding of random maps, against a slow twin of the release's decoder.

The twin is written from the description of the method (Cao et al. 2017) and the behaviour of the release, one pair of
candidates after the other.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from test_estimators_decoding import STANDING, draw_maps

from pose_gan.estimators.decoding import find_people, smooth

# The numbering of the COCO network, from 1, as published: limbs, and the maps of their affinities after 19 heat maps.
LIMBS = [(2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12), (12, 13), (13, 14)]
LIMBS += [(2, 1), (1, 15), (15, 17), (1, 16), (16, 18), (3, 17), (6, 18)]
MAPS = [(31, 32), (39, 40), (33, 34), (35, 36), (41, 42), (43, 44), (19, 20), (21, 22), (23, 24), (25, 26), (27, 28)]
MAPS += [(29, 30), (47, 48), (49, 50), (53, 54), (51, 52), (55, 56), (37, 38), (45, 46)]


def twin_peaks(heatmap: np.ndarray) -> list[tuple[int, int, float]]:
    """(y, x, height) of each place of the smoothed map that is above 0.1 and below none of its four neighbours."""
    smoothed = gaussian_filter(heatmap, 3)
    peaks = []
    height, width = heatmap.shape[0], heatmap.shape[1]
    for y, x in np.ndindex(height, width):
        if smoothed[y, x] > 0.1:
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            around = [(i, j) for i, j in around if 0 <= i < height and 0 <= j < width]
            if all(smoothed[y, x] >= smoothed[place] for place in around):
                peaks.append((y, x, heatmap[y, x]))
    return peaks


def twin_score(start: tuple, end: tuple, field_x: np.ndarray, field_y: np.ndarray) -> float | None:
    """The score of the limb from `start` to `end`; None if it does not stand."""
    (y0, x0), (y1, x1) = start[:2], end[:2]
    length = np.hypot(y1 - y0, x1 - x0)
    if length == 0:
        return None
    agreement = []
    for k in range(10):
        y, x = round(y0 + k / 9 * (y1 - y0)), round(x0 + k / 9 * (x1 - x0))
        agreement.append(field_x[y, x] * (x1 - x0) / length + field_y[y, x] * (y1 - y0) / length)
    score = sum(agreement) / 10
    if length > field_x.shape[0] / 2:  # longer than half of the image's height
        score += field_x.shape[0] / 2 / length - 1
    agreeing = sum(value > 0.05 for value in agreement)
    return score if agreeing >= 9 and score > 0 else None  # more than 80 % of ten


def twin_limbs(starts: list, ends: list, field_x: np.ndarray, field_y: np.ndarray) -> list[tuple[int, int, float]]:
    """(start, end, score) of limbs, the best first; a candidate that has a limb gets no other one."""
    scores: dict[tuple[int, int], float] = {}
    for (i, a), (j, b) in itertools.product(enumerate(starts), enumerate(ends)):
        if (score := twin_score(a, b, field_x, field_y)) is not None:
            scores[i, j] = score
    limbs = []
    while scores:
        i, j = max(scores, key=lambda pair: scores[pair])
        limbs.append((i, j, scores[i, j]))
        scores = {pair: score for pair, score in scores.items() if pair[0] != i and pair[1] != j}
    return limbs


def twin_candidates(heatmaps: np.ndarray, affinities: np.ndarray) -> tuple[list[dict], list[list]]:
    """People, each with the number of its peak for each joint that it has, and the peaks of all joints."""
    peaks = [twin_peaks(heatmaps[..., joint]) for joint in range(18)]
    people: list[dict] = []
    for number, ((a, b), (map_x, map_y)) in enumerate(zip(LIMBS, MAPS, strict=True)):
        a, b = a - 1, b - 1
        for i, j, score in twin_limbs(peaks[a], peaks[b], affinities[..., map_x - 19], affinities[..., map_y - 19]):
            mine = [person for person in people if person["has"].get(a) == i or person["has"].get(b) == j]
            if len(mine) == 0 and number < 17:
                people.append({"has": {a: i, b: j}, "count": 2, "score": peaks[a][i][2] + peaks[b][j][2] + score})
            elif len(mine) >= 2 and not mine[0]["has"].keys() & mine[1]["has"].keys():
                mine[0]["has"] |= mine[1]["has"]
                mine[0]["count"] += mine[1]["count"]
                mine[0]["score"] += mine[1]["score"] + score
                people = [person for person in people if person is not mine[1]]
            elif len(mine) >= 2 or (len(mine) == 1 and mine[0]["has"].get(b) != j):
                mine[0]["has"][b] = j
                mine[0]["count"] += 1
                mine[0]["score"] += peaks[b][j][2] + score
    return people, peaks


def twin_people(heatmaps: np.ndarray, affinities: np.ndarray) -> list[list[tuple[int, int, float]]]:
    """The joints (y, x, score) of each person, the best first; −1 and 0 where missing."""
    people, peaks = twin_candidates(heatmaps, affinities)
    kept = [person for person in people if person["count"] >= 4 and person["score"] / person["count"] >= 0.4]
    kept.sort(key=lambda person: -person["score"])
    return [
        [peaks[joint][person["has"][joint]] if joint in person["has"] else (-1, -1, 0.0) for joint in range(18)]
        for person in kept
    ]


def random_people(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """One to three people who overlap: `(N, 18, 2)`, (y, x), NaN where missing."""
    people = []
    for _ in range(random.integers(1, 4)):
        corner, scale = random.uniform(-10, np.array(size) / 2), np.array(size) * random.uniform(0.006, 0.012, 2)
        person = corner + STANDING * scale + random.normal(0, 2, (18, 2))
        person[random.random(18) < random.choice([0.1, 0.7])] = np.nan
        people.append(person)
    return np.array(people)


def random_maps(random: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Heights, strengths and gaps lie about the thresholds of the decoder; some limbs lead to another person."""
    y, x = np.mgrid[: size[0], : size[1]]
    heatmaps, affinities = np.zeros((*size, 19)), np.zeros((*size, 38))
    height, strength = random.uniform(0.15, 0.7), random.uniform(0.03, 0.5)  # of this scene
    people = random_people(random, size)
    for person, joint in np.argwhere(~np.isnan(people[..., 0])):
        distance = np.hypot(y - people[person, joint, 0], x - people[person, joint, 1])
        bump = height * random.uniform(0.7, 1.3) * np.exp(-(distance**2) / (2 * 3.0**2))
        heatmaps[..., joint] = np.maximum(heatmaps[..., joint], bump)
    for person in people:
        for (a, b), (map_x, map_y) in zip(LIMBS, MAPS, strict=True):
            other = people[random.integers(len(people))] if random.random() < 0.2 else person
            start, vector = person[a - 1], other[b - 1] - person[a - 1]
            length = np.linalg.norm(vector)
            along = ((y - start[0]) * vector[0] + (x - start[1]) * vector[1]) / length
            across = ((y - start[0]) * vector[1] - (x - start[1]) * vector[0]) / length
            gap = random.uniform(-0.3, 0.4)  # in this first part of the limb there is no field
            inside = (along >= gap * length) & (along <= length + 2) & (np.abs(across) <= 2)  # nowhere if NaN
            field = strength * random.uniform(0.5, 1.5) * vector / length
            affinities[inside, map_x - 19], affinities[inside, map_y - 19] = field[1], field[0]
    return heatmaps, affinities


@pytest.mark.parametrize("size", [(60, 48), (40, 64), (24, 96)])
def test_random_maps_are_decoded_as_by_the_twin(size):
    """In the flattest image, most limbs are longer than half of its height."""
    random = np.random.default_rng(size[0])
    found = 0
    for _ in range(120):
        heatmaps, affinities = random_maps(random, size)
        expected = np.array(twin_people(heatmaps, affinities)).reshape(-1, 18, 3)
        keypoints, scores = find_people(heatmaps, affinities, smooth(heatmaps))
        np.testing.assert_array_equal(keypoints, expected[..., :2])
        np.testing.assert_allclose(scores, expected[..., 2].clip(0, 1), atol=1e-6)
        found += len(expected)
    assert found > 40


def test_a_person_needs_a_mean_score_of_04():
    """All scores grow with the maps, so that a factor puts the mean where it is wanted."""
    maps = draw_maps([STANDING + np.array([15, 10])], (240, 60))
    (person,), _ = twin_candidates(*maps)
    mean = person["score"] / person["count"]
    for wanted, people in ((0.398, 0), (0.402, 1)):
        heatmaps, affinities = (values * wanted / mean for values in maps)
        assert len(find_people(heatmaps, affinities, smooth(heatmaps))[0]) == people
