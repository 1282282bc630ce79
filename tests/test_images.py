"""Image files of every kind that people have, against the pixels that were saved."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.images import image_size, read_header, read_image

HEIGHT, WIDTH = 12, 7


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def grey(values):
    return np.repeat(values[:, :, None], 3, axis=2)


def test_rgb_is_read_as_saved(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, pixels)
    image[:] = 0  # the array is the caller's own
    assert image_size(tmp_path / "a.png") == (HEIGHT, WIDTH)


def test_grey_becomes_rgb(tmp_path, pixels):
    Image.fromarray(pixels[..., 0]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), grey(pixels[..., 0]))


def test_alpha_is_dropped(tmp_path, pixels):
    alpha = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH, 1)
    Image.fromarray(np.concatenate([pixels, alpha], axis=2)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)


def test_of_16_bits_the_upper_8_are_kept(tmp_path):
    values = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), grey((values >> 8).astype(np.uint8)))


def test_cmyk_is_converted(tmp_path):
    Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0)).save(tmp_path / "red.tiff")
    np.testing.assert_array_equal(read_image(tmp_path / "red.tiff")[0, 0], [255, 0, 0])


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match=r"a\.tiff: pixels are floating-point numbers; save it with 8 bits"):
        read_image(tmp_path / "a.tiff")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_orientation_is_applied(tmp_path, suffix):
    image = Image.new("RGB", (16, 8))
    image.paste((255, 255, 255), (0, 0, 8, 8))  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned to the left: turn it clockwise
    path = tmp_path / f"a.{suffix}"
    image.save(path, exif=exif)
    assert image_size(path) == (16, 8)
    assert read_header(path).orientation == 6
    upright = read_image(path)
    assert upright.shape == (16, 8, 3)
    assert upright[:7].min() > 240
    assert upright[9:].max() < 15


@pytest.mark.parametrize("read", [read_image, image_size])
def test_absent_file(tmp_path, read):
    with pytest.raises(InputError, match=r"nowhere\.png: no such image"):
        read(tmp_path / "nowhere.png")


@pytest.mark.parametrize("read", [read_image, image_size])
@pytest.mark.parametrize("content", [b"", b"text, not an image", b"\x89PNG\r\n\x1a\n"])
def test_no_image(tmp_path, read, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png: "):
        read(tmp_path / "a.png")


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_image(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp"])
def test_truncated_file_has_a_size_but_no_pixels(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-900])
    assert image_size(path) == (64, 64)
    with pytest.raises(InputError, match=rf"a\.{suffix}: cannot be read as an image"):
        read_image(path)
