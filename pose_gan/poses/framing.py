"""Framing: the choice of the rectangle of an image, of any size, that becomes the input of the networks.

A rectangle may reach beyond the image. The image is resampled, and keypoints are mapped exactly: a joint is
at the centre of its pixel, and its new pixel is the one that holds this point afterwards,
`floor((v + ½ − start) · size / extent)`.

Deviation: the release (fashion128) truncates `(v − crop) · ratio`, without the half pixel, which gives the
same pixel or the one before. It also keeps joints that were cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.poses.keypoints import MISSING, found

MARGIN = 0.08  # share of the output that stays free around the joints, as in Market-1501
MAX_MARGIN = 0.4
MAX_ENLARGEMENT = 8  # limit in `around`, so that a single joint does not become a person who fills the picture

LANCZOS = Image.Resampling.LANCZOS

Size = tuple[int, int]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Frame:
    """An axis-aligned rectangle of an image, resized to the output.

    Attributes:
        image_size: (height, width) in pixels of the images that it takes.
        size: (height, width) in pixels of the output.
        box: (top, left, height, width) of the rectangle, in pixels of the image, whose first pixel spans
            0 to 1. It may reach beyond the image.
        fill: RGB colour outside of the image, 0 to 255; None: the pixels of the image's border are repeated.

    Raises: InputError: a side is below 1 pixel, or the rectangle has no area.
    """

    image_size: Size
    size: Size
    box: tuple[float, float, float, float]
    fill: Colour | None = None

    def __post_init__(self) -> None:
        if min(*self.image_size, *self.size) < 1 or min(self.box[2:]) <= 0:
            raise InputError(
                f"a frame needs sides of 1 pixel or more, got an image of {_text(self.image_size)}, an output of "
                f"{_text(self.size)} and a rectangle of {self.box[2]:g}x{self.box[3]:g} (height x width)"
            )

    @classmethod
    def stretch(cls, image_size: Size, size: Size) -> Frame:
        """The whole image; its aspect ratio changes to that of the output."""
        return cls(image_size, size, (0, 0, *image_size))

    @classmethod
    def letterbox(cls, image_size: Size, size: Size, fill: Colour | None = None) -> Frame:
        """The whole image in the middle, with its aspect ratio kept; the rest of the output is filled."""
        return cls(image_size, size, _centred(image_size, size, whole=True), fill)

    @classmethod
    def cover(cls, image_size: Size, size: Size) -> Frame:
        """The largest rectangle in the middle of the image that has the aspect ratio of the output."""
        return cls(image_size, size, _centred(image_size, size, whole=False))

    @classmethod
    def crop(cls, image_size: Size, borders: tuple[int, int, int, int], size: Size) -> Frame:
        """The image without its borders; its aspect ratio changes to that of the output.

        The release's fashion128: `Frame.crop((256, 256), (40, 40, 0, 0), (128, 64))`.

        Args:
            borders: (left, right, top, bottom): columns and rows to cut off, pixels.
        Raises: InputError: a border is negative, or nothing is left.
        """
        left, right, top, bottom = borders
        height, width = image_size[0] - top - bottom, image_size[1] - left - right
        if min(borders) < 0 or height < 1 or width < 1:
            raise InputError(
                f"borders of {left}, {right}, {top}, {bottom} pixels (left, right, top, bottom) leave nothing of an "
                f"image of {_text(image_size)} pixels (height x width)"
            )
        return cls(image_size, size, (top, left, height, width))

    @classmethod
    def around(
        cls,
        keypoints: np.ndarray,
        image_size: Size,
        size: Size,
        margin: float = MARGIN,
        fill: Colour | None = None,
        scale: float | None = None,
    ) -> Frame:
        """A rectangle with the person in the middle and the aspect ratio of the output; it may leave the image.

        Args:
            keypoints: `(…, joints, 2)`, (y, x) in pixels, −1 where missing. All poses (for example of a video)
                share one frame, which holds every joint that was found in them.
            margin: share of the output's height and width that stays free of joints on every side, 0 to 0.4.
            scale: pixels of the output per pixel of the image, the same for every image that gets it; `margin` is then
                not used. None: as large as `margin` allows.
        Raises: InputError: no joint was found, or the margin or the scale is out of range.
        """
        if not 0 <= margin <= MAX_MARGIN:
            raise InputError(f"margin must be 0 to {MAX_MARGIN}, got {margin}")
        if scale is not None and not 0 < scale <= MAX_ENLARGEMENT:
            raise InputError(f"scale must be above 0 and at most {MAX_ENLARGEMENT}, got {scale}")
        joints = np.asarray(keypoints)[found(keypoints)]
        if not len(joints):
            raise InputError("no joint was found, so there is nobody to frame")
        low, high = joints.min(axis=0), joints.max(axis=0) + 1
        if scale is None:
            pixels = max(np.max((high - low) / ((1 - 2 * margin) * np.array(size))), 1 / MAX_ENLARGEMENT)
        else:
            pixels = 1 / scale
        extent = pixels * np.array(size)
        top, left = ((low + high - extent) / 2).tolist()
        return cls(image_size, size, (top, left, *extent.tolist()), fill)

    def image(self, image: np.ndarray) -> np.ndarray:
        """Cuts out the rectangle, fills it and resamples it (Lanczos, which averages where the image shrinks).

        Args:
            image: uint8 `(H, W, 3)` of `image_size`.
        Returns: uint8 `(h, w, 3)` of `size`.
        Raises: InputError: the image has another size or dtype.
        """
        if image.dtype != np.uint8 or image.shape != (*self.image_size, 3):
            raise InputError(
                f"the frame takes uint8 images of {_text(self.image_size)}x3 (height x width x RGB), "
                f"got {image.dtype} {'x'.join(map(str, image.shape))}"
            )
        # The axis that needs less filling comes first. The image is then already small when the other axis is filled.
        needed = [
            (max(start + extent, side) - min(start, 0)) / side
            for start, extent, side in zip(self.box[:2], self.box[2:], self.image_size, strict=True)
        ]
        for axis in (0, 1) if needed[0] < needed[1] else (1, 0):
            image = self._resample(image, axis)
        return image

    def put_back(self, picture: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Puts a picture of the output's size into the image, where its rectangle was cut out; the inverse of `image`.

        Args:
            picture: uint8 `(h, w, 3)` of `size`.
            image: uint8 `(H, W, 3)` of `image_size`.
        Returns: uint8 `(H, W, 3)`: the image, whose pixels with their centre inside of the rectangle are resampled
            from the picture (Lanczos).
        Raises: InputError: the picture or the image has another size.
        """
        if picture.shape != (*self.size, 3) or image.shape != (*self.image_size, 3):
            raise InputError(
                f"expected a picture of {_text(self.size)} pixels (height x width) and an image of "
                f"{_text(self.image_size)}, got {picture.shape} and {image.shape}"
            )
        rows, columns = (
            slice(max(0, math.ceil(start - 0.5)), min(side, math.ceil(start + extent - 0.5)))
            for start, extent, side in zip(self.box[:2], self.box[2:], self.image_size, strict=True)
        )
        for axis, span in enumerate((rows, columns)):
            picture = self._stretched(picture, axis, span)
        result = image.copy()
        result[rows, columns] = picture
        return result

    def keypoints(self, keypoints: np.ndarray) -> np.ndarray:
        """Maps keypoints of the image to keypoints of the output.

        Args:
            keypoints: `(…, joints, 2)`, (y, x) in pixels, −1 where missing.
        Returns: int32, the same shape; −1 where missing or outside of the output.
        """
        start, extent = np.array(self.box[:2]), np.array(self.box[2:])
        centres = (np.asarray(keypoints) + 0.5 - start) * self.size / extent
        return _pixels(centres, found(keypoints), self.size)

    def inverse_keypoints(self, keypoints: np.ndarray) -> np.ndarray:
        """Maps keypoints of the output to keypoints of the image; −1 where missing or outside of the image."""
        start, extent = np.array(self.box[:2]), np.array(self.box[2:])
        centres = (np.asarray(keypoints) + 0.5) * extent / self.size + start
        return _pixels(centres, found(keypoints), self.image_size)

    def _resample(self, image: np.ndarray, axis: int) -> np.ndarray:
        """Fills and resizes the image along one axis."""
        start, extent, side = self.box[axis], self.box[2 + axis], image.shape[axis]
        before, after = max(0, math.ceil(-start)), max(0, math.ceil(start + extent) - side)
        if before or after:
            rows = np.arange(-before, side + after)
            image = image.take(rows.clip(0, side - 1), axis=axis)
            if self.fill is not None:
                np.moveaxis(image, axis, 0)[(rows < 0) | (rows >= side)] = self.fill
        first, last = start + before, min(start + before + extent, image.shape[axis])
        output, box = [image.shape[1], image.shape[0]], [0.0, 0.0, image.shape[1], image.shape[0]]  # Pillow: x before y
        output[1 - axis] = self.size[axis]
        box[1 - axis], box[3 - axis] = first, last
        picture = Image.fromarray(image)
        return np.array(picture.resize((output[0], output[1]), LANCZOS, box=(box[0], box[1], box[2], box[3])))

    def _stretched(self, picture: np.ndarray, axis: int, span: slice) -> np.ndarray:
        """Resizes a picture of the output along one axis to the pixels `span` of the image."""
        scale = self.size[axis] / self.box[2 + axis]
        first, last = ((end - self.box[axis]) * scale for end in (span.start, span.stop))
        margin = math.ceil(scale / 2)  # the outermost pixels of the image may reach half of one over the rectangle
        padding = [(margin, margin) if dimension == axis else (0, 0) for dimension in range(3)]
        picture = np.pad(picture, padding, mode="edge")
        output, box = [picture.shape[1], picture.shape[0]], [0.0, 0.0, picture.shape[1], picture.shape[0]]
        output[1 - axis] = span.stop - span.start
        box[1 - axis], box[3 - axis] = first + margin, last + margin
        resized = Image.fromarray(picture).resize((output[0], output[1]), LANCZOS, box=(box[0], box[1], box[2], box[3]))
        return np.array(resized)


def _centred(image_size: Size, size: Size, whole: bool) -> tuple[float, float, float, float]:
    """The box in the middle of an image with the output's aspect ratio, around the image (`whole`) or inside of it."""
    height, width = image_size
    if (height * size[1] > width * size[0]) == whole:  # all rows
        width_of_box = height * size[1] / size[0]
        return 0, (width - width_of_box) / 2, height, width_of_box
    height_of_box = width * size[0] / size[1]
    return (height - height_of_box) / 2, 0, height_of_box, width


def _pixels(centres: np.ndarray, is_found: np.ndarray, size: Size) -> np.ndarray:
    """The pixels that hold the given points: int32; −1 where not found or outside of `size`."""
    pixels = np.floor(centres)
    inside = is_found & np.all((pixels >= 0) & (pixels < size), axis=-1)
    return np.where(inside[..., None], pixels, MISSING).astype(np.int32)


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
