"""Image files of every kind that people have, against the pixels that were saved."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pose_gan.data.pairs import read_pairs, write_pairs
from pose_gan.errors import InputError, InputWarning
from pose_gan.files.images import MAX_PIXELS, image_size, read_header, read_image, save_image, trainable_name
from pose_gan.poses.keypoints import read_annotations, write_annotations

HEIGHT, WIDTH = 12, 7


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def grey(values):
    return np.repeat(values[:, :, None], 3, axis=2)


def write_png(path, size, depth, colour_type, rows=b""):
    """A PNG as the standard has it: of kinds that Pillow does not write, or of sizes that nobody should decode."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size[1], size[0], depth, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*item) for item in chunks))


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


def on_white(pixels, alpha):
    """The definition, in floats."""
    opacity = alpha / 255
    return np.floor(opacity * pixels + (1 - opacity) * 255 + 0.5).astype(np.uint8)


def test_transparent_images_lie_on_white_and_it_is_said(tmp_path, pixels):
    alpha = np.linspace(0, 255, HEIGHT * WIDTH).astype(np.uint8).reshape(HEIGHT, WIDTH, 1)
    Image.fromarray(np.concatenate([pixels, alpha], axis=2)).save(tmp_path / "a.png")
    with pytest.warns(InputWarning, match="transparent images are read as if they lay on white"):
        image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image, on_white(pixels.astype(float), alpha))
    assert (image[0, 0] == 255).all()
    assert read_header(tmp_path / "a.png").alpha


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_an_alpha_channel_without_transparency_changes_nothing(tmp_path, pixels, suffix):
    Image.fromarray(pixels).convert("RGBA").save(tmp_path / f"a.{suffix}", lossless=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), pixels)


def test_a_transparent_colour_lies_on_white(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=tuple(pixels[3, 4].tolist()))
    expected = pixels.copy()
    expected[(pixels == pixels[3, 4]).all(axis=-1)] = 255
    with pytest.warns(InputWarning, match="on white"):
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)
    Image.fromarray(pixels).save(tmp_path / "b.png")
    assert not read_header(tmp_path / "b.png").alpha


def test_of_16_bits_the_upper_8_are_kept(tmp_path):
    values = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), grey((values >> 8).astype(np.uint8)))


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bit_png_of_every_kind(tmp_path, colour_type, channels):
    """Grey and colour, without and with alpha."""
    values = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, channels), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)  # 0: not filtered
    write_png(tmp_path / "a.png", (HEIGHT, WIDTH), 16, colour_type, rows)
    upper = (values >> 8).astype(np.uint8)
    expected = grey(upper[..., 0]) if channels < 3 else upper[..., :3]
    if channels % 2 == 0:
        expected = on_white(expected.astype(float), upper[..., -1:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


def test_of_32_bits_what_is_above_16_is_white(tmp_path):
    values = np.array([[0, 256, 65535, 65536, 2**31 - 1, -5]], np.int32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 1, 255, 255, 255, 0]


def test_palettes_are_converted(tmp_path, pixels):
    few = pixels // 128 * 255  # eight colours
    palette = Image.fromarray(few).quantize(8)
    palette.save(tmp_path / "a.png")
    palette.save(tmp_path / "b.png", transparency=0)
    palette.save(tmp_path / "a.gif")
    for name in ("a.png", "b.png", "a.gif"):
        np.testing.assert_array_equal(read_image(tmp_path / name), few)


def test_of_an_animation_the_first_frame(tmp_path, pixels):
    frames = [Image.fromarray(pixels // 128 * 255), *(Image.new("RGB", (WIDTH, HEIGHT), c) for c in ("red", "blue"))]
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)  # lossless: for WebP
        assert image_size(tmp_path / name) == (HEIGHT, WIDTH)
        np.testing.assert_array_equal(read_image(tmp_path / name), np.asarray(frames[0]))


def test_one_pixel(tmp_path):
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize("read", [read_image, read_header])
@pytest.mark.parametrize("warn", ["ignore", "error"])
@pytest.mark.parametrize("size", [(1, MAX_PIXELS + 1), (10_000, 8_500), (10_000, 9_000), (20_000, 20_000)])
def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, size, warn, read):
    """Of the four, Pillow lets two pass, warns of one, and refuses one."""
    write_png(tmp_path / "a.png", size, 8, 2)  # without a pixel: to decode it would be another error
    count = size[0] * size[1]
    ours = f"{size[0]}x{size[1]} pixels (height x width), {count:,} in all"
    shown = [re.escape(ours), rf"Image size \({count} pixels\) exceeds limit of \d+ pixels, [^.]*"]
    with warnings.catch_warnings():
        warnings.simplefilter(warn)
        message = rf"a\.png: ({'|'.join(shown)}); at most 80,000,000 are read: make the image smaller$"
        with pytest.raises(InputError, match=message):
            read(tmp_path / "a.png")


def test_the_largest_image_that_is_read(tmp_path):
    write_png(tmp_path / "a.png", (8_000, 10_000), 8, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow has a warning of its own
        assert np.prod(image_size(tmp_path / "a.png")) == MAX_PIXELS


def test_pillow_s_own_limit_holds_too_and_is_not_touched(tmp_path, pixels, monkeypatch):
    """A program around ours may have set it; in no thread is it another while files are read."""
    Image.fromarray(pixels).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH)
    seen, check = [], Image.open

    def opened(*args, **kwargs):
        seen.append(Image.MAX_IMAGE_PIXELS)
        return check(*args, **kwargs)

    monkeypatch.setattr(Image, "open", opened)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(image_size, [tmp_path / "a.png"] * 50)) == {(HEIGHT, WIDTH)}
    assert set(seen) == {HEIGHT * WIDTH}
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH // 2 - 1)
    with pytest.raises(InputError, match=r"a\.png: Image size \(84 pixels\) exceeds limit of 82 pixels"):
        image_size(tmp_path / "a.png")


def test_cmyk_is_converted(tmp_path):
    Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0)).save(tmp_path / "red.tiff")
    np.testing.assert_array_equal(read_image(tmp_path / "red.tiff")[0, 0], [255, 0, 0])
    Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    assert abs(read_image(tmp_path / "red.jpg").astype(int) - [255, 0, 0]).max() < 6


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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_every_orientation(tmp_path, pixels, orientation, suffix):
    """What is stored is the upright image turned; the standard's table says how."""
    stored = {
        1: lambda upright: upright,
        2: lambda upright: upright[:, ::-1],
        3: lambda upright: upright[::-1, ::-1],
        4: lambda upright: upright[::-1],
        5: lambda upright: upright.swapaxes(0, 1),
        6: lambda upright: upright.swapaxes(0, 1)[::-1],
        7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
        8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],
    }[orientation](pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, lossless=True)
    np.testing.assert_array_equal(read_image(path), pixels)
    assert image_size(path) == (HEIGHT, WIDTH)


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


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tif", "bmp"])
def test_spoilt_files_give_an_image_or_a_message(tmp_path, suffix):
    """Bytes changed at random, mostly near the start, where the structure is."""
    random = np.random.default_rng(0)
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(random.integers(0, 256, (30, 20, 3), dtype=np.uint8)).save(path, exif=exif)
    good = np.frombuffer(path.read_bytes(), np.uint8)
    messages = []
    for _ in range(150):
        bad = good.copy()
        places = np.minimum(random.exponential(len(bad) / 6, 4).astype(int), len(bad) - 1)
        bad[places] = random.integers(0, 256, 4)
        path.write_bytes(bad[: random.integers(1, len(bad)) if random.random() < 0.3 else None].tobytes())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow remarks on damaged metadata
                assert read_image(path).shape[2] == 3
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > 10
    assert all(message.startswith(f"{path}: ") for message in messages)


@pytest.mark.parametrize(
    "name", ["1: a.jpg", "1, a.jpg", '1 "a".jpg', "1_é — 人.jpg", "1_a: [1, 2]: [3].jpg", "1;a|b.jpg"]
)
def test_names_go_through_annotations_and_pairs(tmp_path, pixels, name):
    save_image(tmp_path / name, pixels)
    assert image_size(tmp_path / name) == (HEIGHT, WIDTH)
    write_annotations(tmp_path / "a.csv", [name, "b"], np.ones((2, 18, 2), int))
    assert read_annotations(tmp_path / "a.csv").names == (name, "b")
    pairs = pd.DataFrame([[name, "b"], ["b", name]], columns=["from", "to"])
    write_pairs(tmp_path / "p.csv", pairs)
    assert read_pairs(tmp_path / "p.csv").to_numpy().tolist() == pairs.to_numpy().tolist()


def test_saved_images(tmp_path, pixels):
    save_image(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)
    coarse = np.repeat(np.repeat(pixels, 8, axis=0), 8, axis=1)
    save_image(tmp_path / "a.JPEG", coarse)
    assert read_header(tmp_path / "a.JPEG").format == "JPEG"
    assert abs(read_image(tmp_path / "a.JPEG").astype(int) - coarse).max() < 12  # colours are not subsampled


@pytest.mark.parametrize(
    ("name", "written"),
    [("a.jpg", "a.jpg"), ("a.JPEG", "a.JPEG"), ("a.b.PNG", "a.b.PNG"), ("a.b.webp", "a.b.png"), ("a.TIF", "a.png")],
)
def test_trainable_name(name, written):
    assert trainable_name(name) == written
