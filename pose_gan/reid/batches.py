"""The batches of a training, each of which depends on the settings and its number alone.

So a run that goes on at an iteration sees what a run without a break would have seen, whatever was kept in memory.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.files.images import read_image
from pose_gan.reid.images import Images
from pose_gan.reid.settings import ReidConfig

IN_MEMORY = 4 << 30  # bytes of decoded images that are kept; a data set with more is decoded for each batch
GREY = (124, 116, 104)  # ImageNet's mean colour, with which rectangles are filled
ERASED_AREA, ERASED_ASPECT = (0.02, 0.4), (0.3, 1 / 0.3)  # share of the image; height / width (Zhong et al., 2017)
CAMSTYLE = 0.1  # ε of label smoothing for generated images
ENLARGED = 8 / 7
_AHEAD = 4  # batches that are prepared while the network computes


@dataclass(frozen=True, eq=False)
class Batch:
    """Images with what the losses need. With method `embedding`, images 2i and 2i + 1 are the i-th pair.

    Attributes:
        images: uint8 `(n, height, width, 3)`, RGB.
        labels: int64 `(n,)`, the number of the person among the people of the training, from 0.
        certainty: float32 `(n,)`, share of the label that lies on this person; the rest lies on all people alike.
        verified: float32 `(n // 2,)`, weight of the pair in the verification loss, 0 or 1.
    """

    images: np.ndarray
    labels: np.ndarray
    certainty: np.ndarray
    verified: np.ndarray


class Pixels:
    """The pixels of images, resized; decoded once and kept if they fit into memory, else each time.

    Args:
        images: the images.
        image_size: (height, width) in pixels.
        limit: bytes that may be kept.
    Raises: InputError: an image cannot be read; only if they are kept.
    """

    def __init__(self, images: Images, image_size: tuple[int, int], limit: int = IN_MEMORY) -> None:
        self._paths, self._size = images.paths(), image_size
        self.kept = len(images) * math.prod(image_size) * 3 <= limit
        self._kept: np.ndarray | None = None
        if self.kept:
            kept = np.empty((len(images), *image_size, 3), np.uint8)
            with ThreadPoolExecutor() as pool:
                for row, pixels in enumerate(pool.map(self._read, range(len(images)))):
                    kept[row] = pixels
            self._kept = kept

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """uint8 `(len(rows), height, width, 3)`, RGB; a copy."""
        return self._kept[rows] if self._kept is not None else np.stack([self._read(row) for row in rows])

    def _read(self, row: int) -> np.ndarray:
        pixels = read_image(self._paths[row])
        if pixels.shape[:2] == self._size:
            return pixels
        height, width = self._size
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


def check_batches(images: Images, config: ReidConfig) -> None:
    """Checks, without reading them, that images can be trained on with these settings.

    Raises: InputError: there are fewer than two people, a batch above `IN_MEMORY`, or, with a `generated_share`, no
        images of a kind of which a batch has some.
    """
    people = np.unique(images.people)
    if len(people) < 2 or people[0] <= 0:
        raise InputError(f"{images.folder}: a training needs two people or more, each with a number above 0")
    height, width = config.image_size
    if config.batch_size * height * width * 3 > IN_MEMORY:
        raise InputError(
            f"--batch_size {config.batch_size}: so many images of {height}x{width} do not fit into memory; give a "
            "smaller number"
        )
    count, generated = _drawn(config)
    if generated is None:
        return
    for name, is_kind, wanted in (
        ("real", ~images.generated, count - generated),
        ("generated", images.generated, generated),
    ):
        if wanted and not is_kind.any():
            raise InputError(
                f"{images.folder}: with a generated_share of {config.generated_share}, a batch has {wanted} {name} "
                f"images, but the folder has none; leave --generated_share out, or give another folder"
            )


def _drawn(config: ReidConfig) -> tuple[int, int | None]:
    """Of the images that a batch takes by themselves: their number, and how many are generated; None: as they come."""
    count = config.batch_size // 2 if config.method == "embedding" else config.batch_size
    return count, None if config.generated_share is None else round(config.generated_share * count)


class Batches:
    """The batches of a training by their numbers.

    An epoch has as many images as there are real ones, with generated images too, so that what grows by the epoch grows
    alike with and without them.

    Args:
        images: the images of the training; all show persons.
        config: the settings.
        limit: bytes of decoded images that may be kept.
    Raises: InputError: as `check_batches`, or an image cannot be read.
    """

    def __init__(self, images: Images, config: ReidConfig, limit: int = IN_MEMORY) -> None:
        self._config = config
        check_batches(images, config)
        self.people, self._labels = np.unique(images.people, return_inverse=True)
        self._generated = images.generated
        self._real_count = int((~images.generated).sum()) or len(images)
        self._of_person = [np.flatnonzero(self._labels == label) for label in range(len(self.people))]
        self._certainty = np.where(images.generated, *_certainties(config)).astype(np.float32)
        self._streams = _streams(images, config)
        height, width = config.image_size
        enlarged = (round(height * ENLARGED), round(width * ENLARGED)) if config.crop == "resize" else (height, width)
        self.pixels = Pixels(images, enlarged, limit)

    def __getitem__(self, number: int) -> Batch:
        """The batch of an iteration, from 0."""
        config = self._config
        random = np.random.default_rng([config.seed, 1, number])
        rows = np.concatenate([stream[number] for stream in self._streams])
        if config.method == "embedding":
            rows = np.stack([rows, self._partners(rows, number, random)], axis=1).reshape(-1)
        pixels = augment(self.pixels[rows], config, random)
        counted = np.ones(len(rows), bool)
        if config.generated_labels == "uniform" or not config.verify_generated:
            counted = ~self._generated[rows]
        verified = counted[0::2] & counted[1::2] if config.method == "embedding" else np.zeros(0, bool)
        return Batch(pixels, self._labels[rows], self._certainty[rows], verified.astype(np.float32))

    def ahead(self, first: int, end: int) -> Generator[Batch]:
        """The batches from number `first` up to `end`, which other threads prepare ahead of their use."""
        pool = ThreadPoolExecutor(2)
        waiting: deque[Future[Batch]] = deque()
        try:
            for number in range(first, end):
                while len(waiting) < _AHEAD and number + len(waiting) < end:
                    waiting.append(pool.submit(self.__getitem__, number + len(waiting)))
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def negatives(self, number: int) -> float:
        """How many pairs of different people come to each pair of one person: from 1, times 1.01 an epoch, to 4."""
        epoch = number * self._config.batch_size // self._real_count
        return min(4.0, 1.01 ** min(epoch, 1000))

    def _partners(self, rows: np.ndarray, number: int, random: np.random.Generator) -> np.ndarray:
        """For each image another one, of the same person or, `negatives` times as often, of another person."""
        same = random.random(len(rows)) < 1 / (1 + self.negatives(number))
        partners = []
        for row, is_same in zip(rows, same, strict=True):
            own = self._of_person[self._labels[row]]
            others = own[own != row]
            if is_same and len(others):
                partners.append(random.choice(others))
                continue
            while True:
                other = random.integers(len(self._labels))
                if self._labels[other] != self._labels[row]:
                    break
            partners.append(other)
        return np.array(partners)


def augment(images: np.ndarray, config: ReidConfig, random: np.random.Generator) -> np.ndarray:
    """Images as the settings `flip`, `crop` and `random_erasing` change them.

    Args:
        images: uint8 `(n, h, w, 3)`, of `config.image_size`, or with `crop` `resize`, larger.
    Returns: uint8 `(n, height, width, 3)`, a new array.
    """
    height, width = config.image_size
    if config.crop == "pad":
        border = max(1, height // 16)
        images = np.pad(images, [(0, 0), (border, border), (border, border), (0, 0)])
    result = np.empty((len(images), height, width, 3), np.uint8)
    for image, out in zip(images, result, strict=True):
        top = random.integers(0, image.shape[0] - height + 1)
        left = random.integers(0, image.shape[1] - width + 1)
        out[:] = image[top : top + height, left : left + width]
        if config.flip and random.random() < 0.5:
            out[:] = out[:, ::-1].copy()
        if config.random_erasing and random.random() < config.random_erasing:
            _erase(out, random)
    return result


def _erase(image: np.ndarray, random: np.random.Generator) -> None:
    """Fills a rectangle with `GREY`, in place; rectangles are drawn until one lies inside of the image."""
    height, width = image.shape[:2]
    while True:
        area = random.uniform(*ERASED_AREA) * height * width
        aspect = random.uniform(*ERASED_ASPECT)
        rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if rows < height and columns < width:
            break
    top, left = random.integers(0, height - rows + 1), random.integers(0, width - columns + 1)
    image[top : top + rows, left : left + columns] = GREY


def _certainties(config: ReidConfig) -> tuple[float, float]:
    """Share of the label on the person itself: of generated and of real images."""
    real = 1 - config.label_smoothing
    return {"hard": real, "smooth": 1 - CAMSTYLE, "uniform": 0.0}[config.generated_labels], real


class _Stream:
    """Rows without end, a fixed number for each batch: pass after pass over all, each in an order of its own."""

    def __init__(self, rows: np.ndarray, count: int, seed: int) -> None:
        self._rows, self._count, self._seed = rows, count, seed
        self._pass = lru_cache(2)(self._shuffled)

    def __getitem__(self, number: int) -> np.ndarray:
        """The rows of batch `number`."""
        places = np.arange(number * self._count, (number + 1) * self._count)
        return np.array([self._pass(place // len(self._rows))[place % len(self._rows)] for place in places], np.int64)

    def _shuffled(self, number: int) -> np.ndarray:
        return np.random.default_rng([self._seed, 0, number]).permutation(self._rows)


def _streams(images: Images, config: ReidConfig) -> list[_Stream]:
    """The images that batches take by themselves: all, or real and generated ones apart."""
    count, generated = _drawn(config)
    if generated is None:
        return [_Stream(np.arange(len(images)), count, config.seed)]
    kinds = ((~images.generated, count - generated), (images.generated, generated))
    return [_Stream(np.flatnonzero(mask), wanted, config.seed) for mask, wanted in kinds if wanted]
