"""Pictures: exact where they carry numbers, in the right place where they are for eyes."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest

from pose_gan.errors import InputError
from pose_gan.poses.drawing import (
    GUTTER,
    draw_skeleton,
    grid,
    hues,
    parts_overlay,
    strip,
    to_float,
    to_uint8,
    write_image,
)
from pose_gan.poses.skeleton import COCO18

SIZE = (128, 64)


def pose(**joints):
    keypoints = np.full((COCO18.num_joints, 2), -1)
    for name, position in joints.items():
        keypoints[COCO18.index(name)] = position
    return keypoints


def test_uint8_goes_to_float_and_back_exactly():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_float(values)), values)
    assert to_float(values).dtype == np.float32
    assert to_float(values).min() == -1
    assert to_float(values).max() == 1


def test_to_uint8_rounds_and_clips():
    np.testing.assert_array_equal(to_uint8(np.array([-1.5, -1, 0.0, 0.99999, 1, 7])), [0, 0, 128, 255, 255, 255])


def test_to_uint8_refuses_what_is_not_finite():
    with pytest.raises(InputError, match="2 of 3 values of the image are not finite"):
        to_uint8(np.array([0.0, np.nan, np.inf]))


def test_skeleton_draws_what_was_found():
    picture = draw_skeleton(pose(Rhip=(60, 20), Rkne=(90, 20), Lsho=(30, 50)), SIZE)
    assert picture.shape == (128, 64, 3)
    edge = COCO18.edges.index(("Rhip", "Rkne"))
    np.testing.assert_array_equal(picture[75, 20], hues(len(COCO18.edges))[edge])
    np.testing.assert_array_equal(picture[[60, 90, 30], [20, 20, 50]], 255)  # dots
    assert not picture[:55, :40].any()
    assert not draw_skeleton(pose(), SIZE).any()


def test_skeleton_keeps_the_background_elsewhere():
    background = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    picture = draw_skeleton(pose(Rhip=(60, 20), Rkne=(90, 20)), SIZE, background=background)
    np.testing.assert_array_equal(picture[:, 30:], background[:, 30:])
    np.testing.assert_array_equal(picture[:50], background[:50])
    assert (picture != background).any()
    with pytest.raises(InputError, match="background: expected shape"):
        draw_skeleton(pose(), (64, 64), background=background)


def test_skeleton_lines_grow_with_the_image():
    def width(scale):
        size = (128 * scale, 64 * scale)
        picture = draw_skeleton(pose(Rhip=(60 * scale, 20 * scale), Rkne=(90 * scale, 20 * scale)), size)
        return np.count_nonzero(picture[75 * scale].max(axis=-1) > 127)

    assert width(4) == pytest.approx(4 * width(1), abs=2)


def test_strip_order():
    a, b, c = (np.full((4, 2, 3), value, np.uint8) for value in (1, 2, 3))
    np.testing.assert_array_equal(strip(a, b, c)[0, :, 0], [1, 1, 2, 2, 3, 3])


def test_grid_holds_the_pictures_between_white_gutters():
    rng = np.random.default_rng(0)
    rows = [[rng.integers(0, 256, (8, 6, 3), dtype=np.uint8) for _ in range(3)] for _ in range(2)]
    sheet = grid(rows, scale=2)
    assert sheet.shape == (GUTTER + 2 * (16 + GUTTER), GUTTER + 3 * (12 + GUTTER), 3)
    y, x = GUTTER + 16 + GUTTER, GUTTER + 2 * (12 + GUTTER)
    np.testing.assert_array_equal(sheet[y : y + 16 : 2, x : x + 12 : 2], rows[1][2])
    np.testing.assert_array_equal(sheet[y + 1 : y + 16 : 2, x + 1 : x + 12 : 2], rows[1][2])
    assert (sheet[:GUTTER] == 255).all()
    assert (sheet[:, GUTTER + 12 : GUTTER + 12 + GUTTER] == 255).all()


def test_grid_headers_are_written_above_and_captions_below():
    black = np.zeros((64, 64, 3), np.uint8)
    plain, named = grid([[black, black]]), grid([[black, black]], ["source", "a rather long header, made to fit"], 1)
    extra = named.shape[0] - plain.shape[0]
    assert extra > 0
    assert (named[:extra] < 128).any()
    np.testing.assert_array_equal(named[extra:], plain)
    both = grid([[black, black]], captions=["mask-SSIM 0.9"])
    assert (both[-14:] < 128).any()
    np.testing.assert_array_equal(both[: len(plain) - GUTTER], plain[:-GUTTER])


def test_grid_errors():
    a, b = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)
    for rows in ([], [[a, b]], [[a], [a, a]]):
        with pytest.raises(InputError, match="a grid needs rows of one length"):
            grid(rows)
    with pytest.raises(InputError, match="1 rows and 2 columns got 1 headers"):
        grid([[a, a]], ["one"])


def test_parts_overlay_tints_each_part():
    image = np.full((6, 6, 3), 100, np.uint8)
    masks = np.zeros((3, 6, 6))
    masks[0] = 1  # the torso: everywhere
    masks[1, :2], masks[2, 4:] = 1, 1
    picture = parts_overlay(masks, image, opacity=1)
    np.testing.assert_array_equal(picture[2:4], 100)
    np.testing.assert_array_equal(picture[0, 0], hues(3)[1])
    np.testing.assert_array_equal(picture[5, 5], hues(3)[2])
    with pytest.raises(InputError, match=r"masks: expected \(parts, 6, 6\), got \(3, 6, 5\)"):
        parts_overlay(masks[..., :5], image)


def test_write_image_round_trip(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    write_image(tmp_path / "new" / "a.png", image)
    np.testing.assert_array_equal(iio.imread(tmp_path / "new" / "a.png"), image)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]
    with pytest.raises(InputError, match="only uint8 images are written, got float32"):
        write_image(tmp_path / "b.png", to_float(image))
