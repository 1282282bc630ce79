"""What a frame cut out of an image returns to its place; the rest of the image stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from pose_gan.errors import InputError
from pose_gan.poses.framing import Frame

SIZE = (32, 16)


def smooth(height: int, width: int) -> np.ndarray:
    """uint8 `(height, width, 3)` without edges."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(y / 19 + k) + np.cos(x / 23 - k) for k in range(3)]
    return np.rint(127.5 + 60 * np.stack(waves, axis=-1)).astype(np.uint8)


def test_the_whole_image_at_its_own_size_is_replaced_bit_for_bit():
    picture = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Frame.stretch(SIZE, SIZE).put_back(picture, smooth(*SIZE)), picture)


@pytest.mark.parametrize("box", [(10, 20, 64, 32), (7.5, 3.25, 96, 48), (-8, -5, 64, 32), (30, 40, 16, 8)])
def test_a_marked_pixel_returns_to_its_place(box):
    frame, image = Frame((90, 60), SIZE, box), np.zeros((90, 60, 3), np.uint8)
    for mark in ((12, 6), (20, 11), (15, 9)):
        picture = np.zeros((*SIZE, 3), np.uint8)
        picture[mark] = 255
        back = frame.put_back(picture, image)[..., 0].astype(float)
        weights = np.argwhere(back > 0), back[back > 0]
        middle = (weights[0] * weights[1][:, None]).sum(axis=0) / weights[1].sum()
        expected = (np.array(mark) + 0.5) * np.array(box[2:]) / SIZE + box[:2] - 0.5  # the middle of the pixel
        np.testing.assert_allclose(middle, expected, atol=0.3)
        assert tuple(frame.inverse_keypoints(np.array([mark]))[0]) in {tuple(place) for place in weights[0]}


def test_cutting_out_and_putting_back_leaves_the_image_and_what_is_outside_exactly():
    image = smooth(120, 90)
    frame = Frame.around(np.array([[30, 40], [80, 60]]), (120, 90), SIZE)
    top, left, height, width = frame.box
    back = frame.put_back(frame.image(image), image)
    assert np.abs(back.astype(int) - image).mean() < 2
    outside = np.ones((120, 90), bool)
    outside[max(0, int(top)) : int(top + height) + 1, max(0, int(left)) : int(left + width) + 1] = False
    assert outside.any()
    np.testing.assert_array_equal(back[outside], image[outside])
    black = frame.put_back(np.zeros((*SIZE, 3), np.uint8), np.full((120, 90, 3), 255, np.uint8))
    rows, columns = np.nonzero(black[..., 0] == 0)  # the pixels whose middle is inside of the box
    assert (rows.min(), rows.max()) == (np.ceil(max(top, 0) - 0.5), np.ceil(min(top + height, 120) - 0.5) - 1)
    assert (columns.min(), columns.max()) == (np.ceil(max(left, 0) - 0.5), np.ceil(min(left + width, 90) - 0.5) - 1)


def test_other_sizes_are_refused():
    with pytest.raises(InputError, match=r"expected a picture of 32x16 pixels .* and an image of 90x60"):
        Frame((90, 60), SIZE, (0, 0, 64, 32)).put_back(np.zeros((16, 32, 3), np.uint8), np.zeros((90, 60, 3), np.uint8))
