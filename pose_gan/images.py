"""Image files: headers and pixels, through Pillow, with errors that name the file."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from pose_gan.errors import InputError

ORIENTATION = 0x0112  # EXIF tag; 1 is upright, 5 to 8 swap height and width
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class Header:
    """What the header of an image file says.

    Attributes:
        size: (height, width) in pixels, upright (as `read_image` returns it).
        format: Pillow's name of the file format: `JPEG`, `PNG`, …
        mode: Pillow's name of the pixel format: `RGB`, `L`, `CMYK`, …
        orientation: EXIF orientation, 1 to 8; 1 where the file has none.
    """

    size: tuple[int, int]
    format: str
    mode: str
    orientation: int


def read_header(path: str | os.PathLike[str]) -> Header:
    """Reads an image's header, no pixels. Raises InputError: the file is absent or is no image."""
    with _opened(path) as image:
        orientation = _orientation(image)
        width, height = image.size
        size = (width, height) if orientation >= 5 else (height, width)
        return Header(size, image.format or "", image.mode, orientation)


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) in pixels, from the header. Raises InputError: the file is absent or is no image."""
    return read_header(path).size


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads an image as RGB, turned upright by its EXIF orientation.

    Grey becomes RGB, an alpha channel is dropped, CMYK and palettes are converted, of 16 bits the
    upper 8 are kept.

    Returns: uint8 `(height, width, 3)`, range [0, 255].
    Raises: InputError: the file is absent, no image, truncated, or of floating-point pixels.
    """
    with _opened(path) as image:
        if image.mode == "F":
            raise InputError(f"{path}: pixels are floating-point numbers; save it with 8 bits a channel")
        upright = ImageOps.exif_transpose(image) if _orientation(image) != 1 else image
        if upright.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip at 255
            grey = (np.asarray(upright) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.array(upright.convert("RGB"))


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """An open Pillow image; whatever goes wrong in the block becomes an InputError naming the file."""
    try:
        with Image.open(path) as image:
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such image") from None
    except Image.UnidentifiedImageError:
        raise InputError(f"{path}: not an image, or its header is damaged; replace it") from None
    except _BROKEN as error:
        raise InputError(f"{path}: cannot be read as an image: {error}") from None


def _orientation(image: Image.Image) -> int:
    # For a PNG without EXIF at its start, `getexif` would decode the whole image.
    value = image.getexif().get(ORIENTATION, 1) if "exif" in image.info else 1
    return value if value in range(1, 9) else 1
