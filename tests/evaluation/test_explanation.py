"""What the generator is told, as arrays: against identities, twins, and what the networks' own layers give."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import twins
from makers import SIZE, config, people

from pose_gan.errors import InputError
from pose_gan.evaluation import explanation
from pose_gan.poses.skeleton import COCO18

SETTINGS = config()
HEIGHT, WIDTH = SIZE


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (*SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def poses() -> tuple[np.ndarray, np.ndarray]:
    """Source and target."""
    source, target = people(2, SIZE, seed=4, missing=0.0).clip(0, np.array(SIZE) - 1)
    return source, target


def test_the_same_pose_gives_the_photo_itself(photo, poses):
    np.testing.assert_array_equal(explanation.deformed_source(photo, poses[0], poses[0], SETTINGS), photo)
    parts = explanation.deformed_source_by_part(photo, poses[0], poses[0], SETTINGS)
    masks = explanation.part_masks(poses[0], SETTINGS)
    np.testing.assert_array_equal(parts, photo * masks[..., np.newaxis])


def test_a_person_who_moves_takes_the_photo_along(photo, poses):
    moved = explanation.deformed_source(photo, poses[0], poses[0] + (3, -5), SETTINGS)
    np.testing.assert_array_equal(moved[3:, :-5], photo[:-3, 5:])
    assert not moved[:3].any()
    assert not moved[:, -5:].any()


def test_the_brightest_part_wins_and_avg_is_the_mean_of_the_parts_there(photo, poses):
    """Eq. 4, and the paper's alternative, from the parts alone."""
    parts = explanation.deformed_source_by_part(photo, poses[0], poses[1], SETTINGS)
    merged = explanation.deformed_source(photo, poses[0], poses[1], SETTINGS)
    np.testing.assert_array_equal(merged, parts.max(axis=0))
    mean = dataclasses.replace(SETTINGS, warp_agg="avg")
    count = explanation.part_masks(poses[1], mean).sum(axis=0)[..., np.newaxis]
    expected = parts.astype(float).sum(axis=0) / np.maximum(count, 1)
    np.testing.assert_allclose(explanation.deformed_source(photo, poses[0], poses[1], mean), expected, atol=1.01)


def test_masks_and_heat_maps_equal_their_twins(poses):
    masks = explanation.part_masks(poses[0], SETTINGS)
    twin = twins.part_masks(poses[0][np.newaxis], SIZE, COCO18)[0]
    assert masks.dtype == bool
    assert (masks != (twin > 0)).mean() < 0.002  # pixels on an outline may differ
    maps = explanation.heat_maps(poses[0], SETTINGS)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for joint in (0, 7):
        squares = (y - poses[0][joint, 0]) ** 2 + (x - poses[0][joint, 1]) ** 2
        np.testing.assert_allclose(maps[joint], np.exp(-squares / (2 * SETTINGS.sigma**2)), atol=1e-5)


def test_transforms_lead_from_the_target_to_the_source(poses):
    """Eq. 2: the transform of a limb maps its joints exactly; a missing limb leaves the image."""
    transforms = explanation.part_transforms(poses[0], poses[1], SETTINGS)
    assert transforms.shape == (COCO18.num_parts, 2, 3)
    for part, matrix in zip(COCO18.parts, transforms, strict=True):
        if part.kind == "limb":
            for row in COCO18.indices(part.joints):
                (y, x), (source_y, source_x) = poses[1][row], poses[0][row]
                np.testing.assert_allclose(matrix @ (x, y, 1), (source_x, source_y), atol=0.01)
    absent = poses[1].copy()
    absent[COCO18.index("Rwri")] = -1
    number = [part.name for part in COCO18.parts].index("R_lower_arm")
    assert explanation.part_transforms(poses[0], absent, SETTINGS)[number, :, 2].min() >= 1000


def test_a_generator_of_one_transform_moves_the_whole_body(photo, poses):
    whole = dataclasses.replace(SETTINGS, warp_skip="full")
    assert explanation.part_names(whole) == ("whole body",)
    parts = explanation.deformed_source_by_part(photo, poses[0], poses[1], whole)
    assert parts.shape == (1, *SIZE, 3)
    np.testing.assert_array_equal(parts[0], explanation.deformed_source(photo, poses[0], poses[1], whole))


@pytest.mark.parametrize("skips", ["none", "stn"])
def test_a_generator_that_moves_nothing_by_poses_says_so(photo, poses, skips):
    settings = dataclasses.replace(SETTINGS, warp_skip=skips)
    with pytest.raises(InputError, match=f"warp_skip {skips}: .*no deformed source"):
        explanation.deformed_source(photo, poses[0], poses[1], settings)


def test_a_photo_of_another_size_is_refused(photo, poses):
    with pytest.raises(InputError, match=r"source: expected uint8 \(96, 64, 3\).*got uint8 \(95, 64, 3\)"):
        explanation.deformed_source(photo[1:], poses[0], poses[1], SETTINGS)


def test_the_picture_of_heat_maps_glows_where_a_joint_is(poses):
    maps = explanation.heat_maps(poses[0], SETTINGS)
    grey = np.full((*SIZE, 3), 200, np.uint8)
    picture = explanation.heat_picture(maps, grey)
    far = maps.max(axis=0) < 1e-3
    np.testing.assert_array_equal(picture[far], 50)
    y, x = poses[0][COCO18.index("Rank")]
    assert picture[y, x].max() == 255
