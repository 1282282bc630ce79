"""Image files: headers and pixels, read with Pillow. Errors name the file."""

from __future__ import annotations

import contextlib
import functools
import os
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pose_gan.errors import InputError, InputWarning
from pose_gan.versions import install

MAX_PIXELS = 80_000_000  # largest image that is read, less than Pillow's limit; a pixel takes three bytes when decoded
_ALLOWED = f"at most {MAX_PIXELS:,} are read: make the image smaller"
QUALITY = 95  # of JPEG files that are written for training
ORIENTATION = 0x0112  # EXIF tag; 1 is upright, 5 to 8 swap height and width
_UPRIGHT = {  # orientation → operation that turns the stored image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEG = (".jpg", ".jpeg")
_HEIF = (".heic", ".heif")  # photos of phones
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error)
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)  # the latter where warnings are errors


@dataclass(frozen=True)
class Header:
    """The content of the header of an image file.

    Attributes:
        size: (height, width) in pixels, upright (as `read_image` returns it).
        format: Pillow's name of the file format: `JPEG`, `PNG`, …
        mode: Pillow's name of the pixel format: `RGB`, `L`, `CMYK`, …
        orientation: EXIF orientation, 1 to 8; 1 where the file has none.
        alpha: whether pixels may be transparent: the file has an alpha channel, or a colour that means transparent.
    """

    size: tuple[int, int]
    format: str
    mode: str
    orientation: int
    alpha: bool = False


def read_header(path: str | os.PathLike[str]) -> Header:
    """Reads the header of an image, but no pixels.

    Raises: InputError: the file is absent, is not an image, or has more than `MAX_PIXELS`.
    """
    with _opened(path) as image:
        orientation = _orientation(image)
        width, height = image.size
        size = (width, height) if orientation >= 5 else (height, width)
        return Header(size, image.format or "", image.mode, orientation, image.has_transparency_data)


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) in pixels, from the header. Raises InputError as `read_header`."""
    return read_header(path).size


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads an image as RGB, turned upright by its EXIF orientation.

    Grey becomes RGB, and CMYK and palettes are converted. A transparent image lies on white, and an `InputWarning`
    says so. Images with 16 bits per channel keep the upper 8 bits, and animations keep the first frame.

    Returns: uint8 `(height, width, 3)`, range [0, 255].
    Raises: InputError: the file is absent, not an image or truncated, has floating-point pixels, or has more
        than `MAX_PIXELS` (then nothing is decoded).
    """
    with _opened(path) as image:
        if image.mode == "F":
            raise InputError(f"{path}: pixels are floating-point numbers; save it with 8 bits a channel")
        orientation = _orientation(image)
        upright = image if orientation == 1 else image.transpose(_UPRIGHT[orientation])
        if upright.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip at 255
            grey = (np.asarray(upright) >> 8).clip(0, 255).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if not upright.has_transparency_data:
            return np.array(upright.convert("RGB"))
        pixels = np.array(upright.convert("RGBA"))
    transparent = pixels[..., 3] < 255
    if transparent.any():
        warnings.warn("transparent images are read as if they lay on white", InputWarning, stacklevel=2)
    colours = pixels[..., :3].copy()
    colours[transparent] = on_white(pixels[transparent].astype(np.uint16))
    return colours


def on_white(pixels: Any) -> Any:
    """Lays pixels on a white ground: round(alpha · colour + (1 − alpha) · 255), with alpha / 255 as the opacity.

    Args:
        pixels: integers of at least 16 bits `(…, 4)`, RGBA, range [0, 255]; a NumPy array or a TensorFlow tensor.
    Returns: the same type, `(…, 3)`, RGB. Opaque pixels stay as they are.
    """
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    return (colour * alpha + 255 * (255 - alpha) + 127) // 255


def trainable_name(name: str) -> str:
    """The name of an image after `save_image` has written it again in a format that training reads.

    JPEG and PNG files keep their names; other names get the suffix `.png`: `a.webp` → `a.png`.
    """
    path = Path(name)
    return name if path.suffix.lower() in (*_JPEG, ".png") else f"{path.stem}.png"


def save_image(path: str | os.PathLike[str], image: np.ndarray, quality: int = QUALITY) -> None:
    """Writes uint8 `(H, W, 3)` for training, with little compression, since a network cannot learn lost details.

    JPEG files get the given quality, 1 to 100, with colours at full resolution. The suffix of `path` determines the
    format.
    """
    picture = Image.fromarray(image)
    if Path(path).suffix.lower() in _JPEG:
        picture.save(path, quality=quality, subsampling=0)
    else:
        picture.save(path)


@functools.cache
def _reads_heif() -> bool:
    """Teaches Pillow to read HEIC, if the extra `[heic]` is installed. Returns whether it is."""
    try:
        import pillow_heif
    except (ImportError, OSError):  # OSError: a system library that it needs is absent
        return False
    pillow_heif.register_heif_opener()
    return True


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """An open Pillow image. Every error of reading inside of the block becomes an InputError that names the file."""
    readable = Path(path).suffix.lower() not in _HEIF or _reads_heif()
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.height}x{image.width} pixels (height x width), {image.width * image.height:,} in all"
                raise InputError(f"{path}: {size}; {_ALLOWED}")
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such image") from None
    except Image.UnidentifiedImageError:
        if not readable:
            raise InputError(
                f"{path}: HEIC photos need pillow-heif; install it with: {install('heic')}, or save the photo as JPEG"
            ) from None
        raise InputError(f"{path}: not an image, or its header is damaged; replace it") from None
    except _TOO_LARGE as error:  # Pillow's own limit; it does not tell height and width
        raise InputError(f"{path}: {str(error).rstrip('.')}; {_ALLOWED}") from None
    except _BROKEN as error:
        raise InputError(f"{path}: cannot be read as an image: {error}") from None


def _orientation(image: Image.Image) -> int:
    # For a PNG without EXIF at its start, `getexif` would decode the whole image.
    value = image.getexif().get(ORIENTATION, 1) if "exif" in image.info else 1
    return value if value in range(1, 9) else 1
