"""Photos from a browser or a folder, framed for a generator."""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.files.images import read_header, read_image
from pose_gan.poses.framing import Frame, Size
from pose_gan.poses.keypoints import found

MAX_BYTES = 25 << 20  # of an upload
MAX_PIXELS = 50_000_000  # of an upload; a decoded pixel takes three bytes
SIDE = 1280  # pixels; larger photos are kept smaller


@dataclass(frozen=True)
class Photo:
    """A photo, kept at no more than `SIDE` pixels a side.

    Attributes:
        name: its file name, for rows of annotations and messages; it is never used as a path.
        pixels: uint8 `(h, w, 3)`, RGB.
        size: (height, width) in pixels of the file.
    """

    name: str
    pixels: np.ndarray
    size: Size

    @classmethod
    def kept(cls, name: str, pixels: np.ndarray) -> Photo:
        """A photo of any size."""
        height, width = size = (pixels.shape[0], pixels.shape[1])
        scale = min(1.0, SIDE / max(size))
        if scale < 1:
            small = (max(1, round(height * scale)), max(1, round(width * scale)))
            pixels = Frame.stretch(size, small).image(pixels)
        return cls(name, pixels, size)

    def frame(self, keypoints: np.ndarray | None, size: Size) -> Frame:
        """The frame of the photo's kept pixels for a generator: around the person if the pose is known.

        Args:
            keypoints: `(joints, 2)`, (y, x) in the kept pixels, −1 where missing; None: not known.
            size: (height, width) in pixels of the generator. A photo of this size stays as it is.
        """
        kept = (self.pixels.shape[0], self.pixels.shape[1])
        if self.size == size:
            return Frame.stretch(kept, size)
        if keypoints is None or not found(keypoints).any():
            return Frame.letterbox(kept, size)
        return Frame.around(keypoints, kept, size)

    def in_file(self, keypoints: np.ndarray) -> np.ndarray:
        """Keypoints of the kept pixels as keypoints of the file's pixels."""
        return Frame.stretch((self.pixels.shape[0], self.pixels.shape[1]), self.size).keypoints(keypoints)

    def in_kept(self, keypoints: np.ndarray) -> np.ndarray:
        """Keypoints of the file's pixels as keypoints of the kept pixels."""
        return Frame.stretch(self.size, (self.pixels.shape[0], self.pixels.shape[1])).keypoints(keypoints)


def read_upload(content: bytes, name: str) -> Photo:
    """The photo in the bytes of a file.

    Raises: InputError: the file is empty, too large, no image, damaged, or of a kind that is not read; the message is
        written for the page.
    """
    name = " ".join(name.split())[:200] or "photo"
    if not content:
        raise InputError(f"{name} is empty. Choose a photo.")
    if len(content) > MAX_BYTES:
        raise InputError(
            f"{name} has {len(content) / 2**20:.0f} MB; at most {MAX_BYTES >> 20} MB are taken. Save it smaller, or "
            "with more compression."
        )
    # The file's name is not the browser's. Its suffix only says whether a decoder for photos of phones is needed.
    suffix = ".heic" if content[4:8] == b"ftyp" else ".image"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{suffix}"
        path.write_bytes(content)
        try:
            height, width = read_header(path).size
            if height * width > MAX_PIXELS:
                raise InputError(
                    f"{path}: {width} × {height} pixels; at most {MAX_PIXELS // 10**6} million are taken. Save it "
                    "smaller."
                )
            return Photo.kept(name, read_image(path))
        except InputError as error:
            words = str(error).removeprefix(f"{path}: ")
            if words.startswith("not an image"):
                words = "not an image, or damaged. Choose a photo, such as a JPEG or PNG file."
            raise InputError(f"{name} cannot be used: {words}") from None


def as_png(picture: np.ndarray) -> bytes:
    """A picture uint8 `(H, W, 3)` as the content of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
