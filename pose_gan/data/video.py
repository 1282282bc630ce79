"""Moving pictures: reads frames (a folder, an animated GIF, a video file) and writes them (a GIF, an MP4, a folder).

Videos need PyAV, the extra `[video]`. GIFs and folders do not.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from PIL import Image

from pose_gan.errors import InputError, reason
from pose_gan.files.atomic import atomic_path
from pose_gan.files.folders import list_images
from pose_gan.files.images import image_size, read_image
from pose_gan.poses.drawing import write_image
from pose_gan.poses.sequences import frame_order
from pose_gan.versions import install

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm")
OUTPUTS = "a name that ends in .gif or .mp4, in .png for a single pose, or without a suffix for a folder of PNG images"


@dataclass(frozen=True)
class Clip:
    """Frames in a file or a folder. `open_clip` makes a clip; every iteration reads the frames again.

    Attributes:
        path: the folder or file.
        image_size: (height, width) in pixels of every frame.
        fps: frames per second, if the file states it.
        count: number of frames, if it is known before they are read.
        files: names of the images in the order of the frames, if the clip is a folder.
    """

    path: Path
    image_size: tuple[int, int]
    fps: float | None = None
    count: int | None = None
    files: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[np.ndarray]:
        """The frames: uint8 `(H, W, 3)`, RGB. Raises InputError if one cannot be read or has another size."""
        if self.files:
            images: Iterator[np.ndarray] = (read_image(self.path / name) for name in self.files)
        else:
            images = _gif_frames(self.path) if self.path.suffix.lower() == ".gif" else _video_frames(self.path)
        for number, image in enumerate(images):
            self.check_size(number, image.shape[:2])
            yield image

    def check_size(self, number: int, size: tuple[int, int]) -> None:
        """Raises InputError if a frame's size is not that of the clip."""
        if size != self.image_size:
            raise InputError(
                f"{self.path}: frame {self.name(number)} has {size[0]}x{size[1]} pixels (height x width), the first "
                f"one {self.image_size[0]}x{self.image_size[1]}; all frames need one size"
            )

    def name(self, number: int) -> str:
        """The name of a frame, counted from 0: the name of its file, or `<name of the clip>-000000.png`."""
        return self.files[number] if self.files else f"{self.path.stem}-{number:06d}.png"


def open_clip(path: str | os.PathLike[str]) -> Clip:
    """Opens a folder of images (frames in natural order of their names), an animated GIF or a video.

    Raises: InputError: the path is absent, empty, of another kind or not readable, or it is a video and the extra
        `[video]` is not installed.
    """
    path = Path(path)
    if path.is_dir():
        names = list_images(path)
        if not names:
            raise InputError(f"{path}: holds no images; frames are .jpg, .png or .bmp files")
        files = tuple(names[row] for row in frame_order(names))
        clip = Clip(path, image_size(path / files[0]), count=len(files), files=files)
        for number, name in enumerate(files):
            clip.check_size(number, image_size(path / name))
        return clip
    if not path.exists():
        raise InputError(f"{path}: no such folder or video")
    if path.suffix.lower() == ".gif":
        return _open_gif(path)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise InputError(f"{path}: give a folder of images, a .gif, or a video ({' '.join(VIDEO_SUFFIXES)})")
    require_video(path)
    return _open_video(path)


def require_video(path: str | os.PathLike[str]) -> None:
    """Raises InputError if PyAV is absent."""
    if importlib.util.find_spec("av") is None:
        raise InputError(
            f"{path}: videos need PyAV; install it with: {install('video')}; GIFs and folders need nothing"
        )


def check_output(path: str | os.PathLike[str]) -> None:
    """Raises InputError if `open_writer` could not write `path`: wrong suffix, no PyAV, or a folder that exists."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".gif", ".mp4", ".png", ""):
        raise InputError(f"{path}: give {OUTPUTS}")
    if suffix == ".mp4":
        require_video(path)
    if path.is_dir() or (not suffix and path.exists()):
        raise InputError(f"{path}: is there already; give another name, or delete it")


def check_count(path: str | os.PathLike[str], frames: int) -> None:
    """Raises InputError if `path` names a single image, and there are several frames."""
    if Path(path).suffix.lower() == ".png" and frames > 1:
        raise InputError(
            f"{path}: a .png holds one image, and there are {frames} poses; give a .gif or .mp4, or a name without a "
            "suffix for a folder of images"
        )


@contextlib.contextmanager
def open_writer(path: str | os.PathLike[str], fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Yields a function that adds a frame, uint8 `(H, W, 3)`. All frames must have the same size.

    The complete file or folder appears when the block ends. If the block fails, nothing appears. In a GIF,
    equal neighbouring frames become one longer frame, and frames last whole hundredths of a second.

    Args:
        path: a .gif or .mp4 file, a .png file for a single frame, or, without a suffix, a folder of `000000.png`, …
        fps: frames per second.
    Raises: InputError: see `check_output`; also if the block ends without a frame, or a .png gets a second one.
    """
    check_output(path)
    suffix = Path(path).suffix.lower()
    writer = {".gif": _gif_writer, ".mp4": _video_writer, ".png": _image_writer, "": _folder_writer}[suffix]
    with atomic_path(path) as temporary, writer(temporary, fps) as write:
        count = 0

        def counted(image: np.ndarray) -> None:
            nonlocal count
            count += 1
            check_count(path, count)
            write(image)

        yield counted
        if not count:
            raise InputError(f"{path}: there are no frames to write")


# ------------------------------------------------------------------------------------- reading


def _open_gif(path: Path) -> Clip:
    try:
        count, height, width = iio.improps(path, plugin="pillow", index=None).shape[:3]
        milliseconds = iio.immeta(path, plugin="pillow", index=0).get("duration")
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise InputError(f"{path}: cannot be read as a GIF: {reason(error)}") from None
    return Clip(path, (height, width), 1000 / milliseconds if milliseconds else None, count)


def _gif_frames(path: Path) -> Iterator[np.ndarray]:
    try:
        yield from iio.imiter(path, plugin="pillow", mode="RGB")
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise InputError(f"{path}: cannot be read as a GIF: {reason(error)}") from None


def _open_video(path: Path) -> Clip:
    with _decoder(path) as (container, stream):
        first = next((_upright(frame) for frame in container.decode(stream)), None)
        if first is None:
            raise InputError(f"{path}: holds no frames")
        fps = float(stream.average_rate) if stream.average_rate else None
        return Clip(path, (first.shape[0], first.shape[1]), fps, stream.frames or None)


def _video_frames(path: Path) -> Iterator[np.ndarray]:
    with _decoder(path) as (container, stream):
        yield from (_upright(frame) for frame in container.decode(stream))


@contextlib.contextmanager
def _decoder(path: Path) -> Iterator[tuple[Any, Any]]:
    """An open PyAV container and its first video stream. (imageio's reader ignores the rotation of phones' videos.)"""
    import av
    from av.error import FFmpegError

    try:
        with av.open(os.fspath(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path}: holds no video")
            yield container, container.streams.video[0]
    except (FFmpegError, OSError) as error:
        raise InputError(f"{path}: cannot be read as a video: {error.strerror or error}") from None


def _upright(frame: Any) -> np.ndarray:
    """A PyAV frame as RGB, rotated by quarter turns as its file says."""
    return np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))


# ------------------------------------------------------------------------------------- writing


@contextlib.contextmanager
def _gif_writer(path: Path, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    pictures: list[Image.Image] = []
    # The default palette of Pillow (and of imageio) loses the hues of small things, such as the limbs of a skeleton.
    yield lambda image: pictures.append(Image.fromarray(image).quantize(method=Image.Quantize.FASTOCTREE))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=1000 / fps, loop=0)


@contextlib.contextmanager
def _video_writer(path: Path, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    with iio.imopen(path, "w", plugin="pyav") as file:
        file.init_video_stream("libx264", fps=fps)
        yield file.write_frame


@contextlib.contextmanager
def _folder_writer(path: Path, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    path.mkdir()
    names = (path / f"{number:06d}.png" for number in itertools.count())
    yield lambda image: write_image(next(names), image)


@contextlib.contextmanager
def _image_writer(path: Path, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    yield lambda image: write_image(path, image)
