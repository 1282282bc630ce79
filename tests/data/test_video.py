"""Frames in and out: what is written is read back, in order, and every broken file has its message."""

from __future__ import annotations

import importlib.util
import struct

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from pose_gan.data.video import check_output, open_clip, open_writer
from pose_gan.errors import InputError

needs_video = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="the extra [video] is not installed")


def frames(count: int = 5, height: int = 32, width: int = 64) -> list[np.ndarray]:
    """Coarse random patterns, all different."""
    random = np.random.default_rng(0)
    cells = random.integers(0, 256, (count, height // 16, width // 16, 3), dtype=np.uint8)
    return list(cells.repeat(16, axis=1).repeat(16, axis=2))


def write(path, images, fps=20.0):
    with open_writer(path, fps) as add:
        for image in images:
            add(image)


@pytest.mark.parametrize(
    ("name", "tolerance", "fps"),
    [("a.gif", 0, 20.0), ("folder", 0, None), pytest.param("a.mp4", 6, 20.0, marks=needs_video)],
)
def test_round_trip(tmp_path, name, tolerance, fps):
    images = frames()
    write(tmp_path / name, images)
    clip = open_clip(tmp_path / name)
    assert clip.image_size == (32, 64)
    assert clip.fps == fps
    assert clip.count == len(images)
    read = list(clip)
    assert len(read) == len(images)
    for image, expected in zip(read, images, strict=True):
        assert image.dtype == np.uint8
        assert image.shape == expected.shape
        assert np.abs(image.astype(int) - expected).mean() <= tolerance
    assert len(list(clip)) == len(images), "a clip can be read again"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_names_of_frames(tmp_path):
    write(tmp_path / "walk.gif", frames(2))
    assert open_clip(tmp_path / "walk.gif").name(1) == "walk-000001.png"
    (tmp_path / "folder").mkdir()
    for name, image in zip(("10.png", "9.png", "1.png"), frames(3), strict=True):
        iio.imwrite(tmp_path / "folder" / name, image)
    clip = open_clip(tmp_path / "folder")
    assert [clip.name(number) for number in range(3)] == ["1.png", "9.png", "10.png"]
    np.testing.assert_array_equal(list(clip), frames(3)[::-1])


@needs_video
@pytest.mark.parametrize(
    ("matrix", "quarters"),
    [((0, 1, -1, 0), 3), ((0, -1, 1, 0), 1), ((-1, 0, 0, -1), 2)],
    ids=["clockwise", "anticlockwise", "upside down"],
)
def test_videos_of_phones_are_upright(tmp_path, matrix, quarters):
    """The track header's matrix (a b c d: x' = a·x + c·y, y' = b·x + d·y) says how to show the frames."""
    write(tmp_path / "a.mp4", frames())
    content = bytearray((tmp_path / "a.mp4").read_bytes())
    start = content.index(b"tkhd") + 44
    assert struct.unpack(">9i", content[start : start + 36])[0] == 1 << 16
    a, b, c, d = (value << 16 for value in matrix)
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(content)
    clip = open_clip(tmp_path / "turned.mp4")
    expected = np.rot90(frames()[0], quarters)
    assert clip.image_size == expected.shape[:2]
    assert np.abs(next(iter(clip)).astype(int) - expected).mean() < 6


def test_a_failure_leaves_nothing(tmp_path):
    def images():
        yield frames()[0]
        raise RuntimeError

    for name in ("a.gif", "folder"):
        with pytest.raises(RuntimeError):
            write(tmp_path / name, images())
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="none: no such folder or video"):
        open_clip(tmp_path / "none")
    with pytest.raises(InputError, match="holds no images"):
        open_clip(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InputError, match=r"a\.txt: give a folder of images, a \.gif, or a video"):
        open_clip(tmp_path / "a.txt")
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    with pytest.raises(InputError, match=r"a\.gif: cannot be read as a GIF"):
        open_clip(tmp_path / "a.gif")
    write(tmp_path / "b.gif", frames())
    (tmp_path / "b.gif").write_bytes((tmp_path / "b.gif").read_bytes()[:-100])
    with pytest.raises(InputError, match=r"b\.gif: cannot be read as a GIF"):
        list(open_clip(tmp_path / "b.gif"))


def test_frames_have_one_size(tmp_path):
    write(tmp_path / "folder", frames(2))
    Image.new("RGB", (64, 33)).save(tmp_path / "folder" / "x.png")
    with pytest.raises(InputError, match=r"frame x\.png has 33x64 pixels \(height x width\), the first one 32x64"):
        open_clip(tmp_path / "folder")


@needs_video
def test_broken_videos(tmp_path):
    path = tmp_path / "a.mp4"
    write(path, frames())
    content = path.read_bytes()
    for broken in (b"", b"not a video" * 100, content[:1000]):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"a\.mp4: cannot be read as a video: Invalid data"):
            open_clip(path)


def test_without_pyav(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (tmp_path / "a.mp4").write_bytes(b"")
    for action in (open_clip, check_output):
        with pytest.raises(InputError, match=r'videos need PyAV; install it with: pip install .*\[video\]"'):
            action(tmp_path / "a.mp4")


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(
        InputError,
        match=r"a\.avi: give a name that ends in \.gif or \.mp4, in \.png for a single pose, or without a suffix",
    ):
        check_output(tmp_path / "a.avi")
    with pytest.raises(InputError, match="is there already; give another name"):
        check_output(tmp_path)
    (tmp_path / "a.gif").write_bytes(b"old")
    check_output(tmp_path / "a.gif")  # files are replaced


@pytest.mark.parametrize("name", ["a.gif", "folder", pytest.param("a.mp4", marks=needs_video)])
def test_nothing_is_written_without_frames(tmp_path, name):
    with pytest.raises(InputError, match=rf"{name}: there are no frames to write"), open_writer(tmp_path / name, 8):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"GIF89a\1\0\1\0\0\0\0;", b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff;"])
def test_a_gif_without_frames_is_named(tmp_path, content):
    (tmp_path / "a.gif").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.gif: cannot be read as a GIF"):
        open_clip(tmp_path / "a.gif")


@pytest.mark.parametrize("error", [ValueError(""), IndexError(), ZeroDivisionError("x")])
def test_whatever_pillow_raises_is_named(tmp_path, monkeypatch, error):
    write(tmp_path / "a.gif", frames())
    clip = open_clip(tmp_path / "a.gif")

    def fail(*args, **values):
        raise error

    monkeypatch.setattr("imageio.v3.imiter", fail)
    monkeypatch.setattr("imageio.v3.improps", fail)
    for read in (lambda: list(clip), lambda: open_clip(tmp_path / "a.gif")):
        with pytest.raises(InputError, match=rf"a\.gif: cannot be read as a GIF: ({type(error).__name__}|x)$"):
            read()
