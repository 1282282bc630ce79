"""The pairs of a split, ready for a network: checked once, then streamed as batches.

A batch is a dict of float32 tensors:

    source_image, target_image          (batch, height, width, 3), range [-1, 1]
    source_keypoints, target_keypoints  (batch, joints, 2), (y, x) in pixels, −1 where missing
    background                          (batch, height, width, 3), the target's; only with `use_bg`

Images are decoded as they are needed and keypoints stay numbers: nothing is cached on disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from pose_gan.config import DataConfig
from pose_gan.errors import InputError
from pose_gan.files import dataset_path
from pose_gan.images import read_header
from pose_gan.keypoints import Annotations, found, read_annotations
from pose_gan.pairs import read_pairs
from pose_gan.skeleton import COCO18, Skeleton

Batch = dict[str, tf.Tensor]

# Files that TensorFlow decodes to exactly the pixels that `read_image` returns: format → modes.
_JPEG_MODES = ("L", "RGB")
DECODED = {"JPEG": _JPEG_MODES, "MPO": _JPEG_MODES, "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I")}
_HEADER_THREADS = 8


@dataclass(frozen=True, eq=False)
class PairData:
    """The pairs of a split, after `open_pairs` has checked them.

    Attributes:
        pairs: columns `from` and `to`, image names.
        annotations: keypoints of at least all images in `pairs`.
        images_dir: the folder of the images.
        image_size: (height, width) in pixels, of every image.
        skeleton: what the keypoints mean.
        use_bg: whether batches hold the target's background, `<stem of the target>_BG.jpg`.
    """

    pairs: pd.DataFrame
    annotations: Annotations
    images_dir: Path
    image_size: tuple[int, int]
    skeleton: Skeleton
    use_bg: bool = False

    def __len__(self) -> int:
        return len(self.pairs)

    @cached_property
    def _factors(self) -> tuple[np.ndarray, list[str]]:
        numbers, names = pd.factorize(self.pairs.to_numpy().ravel())
        return numbers, list(names)

    @cached_property
    def names(self) -> list[str]:
        """Names of the images in the pairs, each once, in order of appearance."""
        return self._factors[1]

    @property
    def numbers(self) -> np.ndarray:
        """The pairs as numbers into `names`: int32 `(len(self), 2)`, source and target."""
        return self._factors[0].astype(np.int32).reshape(-1, 2)

    @cached_property
    def keypoints(self) -> np.ndarray:
        """float32 `(len(names), joints, 2)`, (y, x) in pixels, −1 where missing."""
        rows = [self.annotations.rows[name] for name in self.names]
        return self.annotations.keypoints[rows].astype(np.float32)

    def image_path(self, name: str) -> Path:
        return self.images_dir / name

    def background_path(self, name: str) -> Path:
        """The background image that belongs to the target `name`."""
        return self.images_dir / f"{Path(name).stem}_BG.jpg"


def open_pairs(
    data: DataConfig,
    split: str,
    image_size: tuple[int, int],
    skeleton: Skeleton = COCO18,
    use_bg: bool = False,
    limit: int | None = None,
) -> PairData:
    """Finds and checks the files of a split; nothing is made. Only images that pairs use are checked.

    Args:
        data: where the files are. `fashion` also finds files named `fasion`, and the other way round.
        split: `train` or `test`.
        image_size: (height, width) in pixels that every image must have.
        skeleton: joints of the annotations.
        use_bg: whether each target must have a background image.
        limit: keep the first `limit` pairs; None keeps all.

    Raises: InputError: names the file (and row, joint) of the first thing that is absent or wrong.
    """
    if limit is not None and limit < 1:
        raise InputError(f"the number of pairs must be 1 or more, got {limit}")
    root = dataset_path("data", data.dataset, "-dataset") if data.images_dir is None else Path(data.images_dir)
    pairs_dir = data.annotations_dir if data.pairs_dir is None else data.pairs_dir
    images_dir = root / split
    annotations_path = dataset_path(data.annotations_dir, data.dataset, f"-annotation-{split}.csv")
    pairs_path = dataset_path(pairs_dir, data.dataset, f"-pairs-{split}.csv")
    _check_present(data, images_dir, annotations_path, pairs_path)

    annotations = read_annotations(annotations_path, skeleton)
    pairs = read_pairs(pairs_path)
    pairs = pairs.head(len(pairs) if limit is None else limit)
    if pairs.empty:
        raise InputError(f"{pairs_path}: no pairs; make them again with: python -m data_prep pairs {_flags(data)}")
    opened = PairData(pairs, annotations, images_dir, (image_size[0], image_size[1]), skeleton, use_bg)
    _check_pairs(opened, pairs_path)
    _check_keypoints(opened)
    _check_images(opened)
    return opened


def training_batches(data: PairData, batch_size: int, seed: int, position: int = 0) -> tf.data.Dataset:
    """Endless full batches of shuffled pairs.

    The order of a pass over the pairs depends on nothing but `(seed, number of the pass)`, and
    batches run on from one pass into the next; so a run that resumes at `position` sees exactly
    what it would have seen without a break.

    Args:
        data: from `open_pairs`.
        batch_size: pairs a batch.
        seed: of the order, 0 or more.
        position: pairs that have been consumed already.
    """
    count = len(data)
    first_pass, start = divmod(position, count)

    def order(number: np.ndarray) -> np.ndarray:
        permutation = np.random.default_rng([seed, int(number)]).permutation(count)
        return permutation[start:] if number == first_pass else permutation

    def one_pass(number: tf.Tensor) -> tf.data.Dataset:
        rows = tf.numpy_function(order, [number], tf.int64, stateful=False)
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(rows, [None]))

    rows = tf.data.Dataset.counter(first_pass).flat_map(one_pass)
    return _load(rows, data).batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def ordered_batches(data: PairData, batch_size: int) -> tf.data.Dataset:
    """Every pair once, in the order of the list; the last batch may be smaller."""
    rows = tf.data.Dataset.range(len(data))
    return _load(rows, data).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def iterate(dataset: tf.data.Dataset, data: PairData) -> Iterator[Batch]:
    """The batches of a data set made from `data`; use it for every loop over one.

    Raises: InputError: names the image that could not be decoded (truncated, or replaced since
        `open_pairs`), which TensorFlow's own error does not.
    """
    batches = iter(dataset)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except tf.errors.OpError:
            for path in _files(data):
                try:
                    _read(tf.constant(path), data.image_size)
                except tf.errors.OpError as error:
                    reason = str(error.message).rpartition("}} ")[2].splitlines()[0]
                    raise InputError(f"{path}: damaged or changed while in use; replace it ({reason})") from None
            raise  # no file is at fault
        yield batch


def _files(data: PairData) -> list[str]:
    """All image files that batches are made of: the images in the order of `names`, then backgrounds."""
    paths = [data.image_path(name) for name in data.names]
    if data.use_bg:
        paths += [data.background_path(name) for name in dict.fromkeys(data.pairs["to"])]
    return [str(path) for path in paths]


def _read(path: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """float32 `(height, width, 3)`, range [-1, 1]."""
    # Decodes PNG too. The default IDCT is up to 20 grey levels off the exact one, which Pillow uses.
    pixels = tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method="INTEGER_ACCURATE")
    return tf.cast(tf.ensure_shape(pixels, (*image_size, 3)), tf.float32) / 127.5 - 1.0


def _load(rows: tf.data.Dataset, data: PairData) -> tf.data.Dataset:
    """Row numbers of `data.pairs` → dicts of one sample each, in the same order."""
    with tf.device("CPU:0"):
        pairs = tf.constant(data.numbers)
        keypoints = tf.constant(data.keypoints)
        images = tf.constant([str(data.image_path(name)) for name in data.names], tf.string)
        backgrounds = tf.constant([str(data.background_path(name)) for name in data.names], tf.string)

    def sample(row: tf.Tensor) -> Batch:
        source, target = pairs[row][0], pairs[row][1]
        values = {
            "source_image": _read(images[source], data.image_size),
            "target_image": _read(images[target], data.image_size),
            "source_keypoints": keypoints[source],
            "target_keypoints": keypoints[target],
        }
        if data.use_bg:
            values["background"] = _read(backgrounds[target], data.image_size)
        return values

    return rows.map(sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _flags(data: DataConfig) -> str:
    """The flags of a data_prep command for this data set."""
    flags = f"--dataset {data.dataset}"
    return flags if data.annotations_dir == "annotations" else f"{flags} --annotations_dir {data.annotations_dir}"


def _check_present(data: DataConfig, images_dir: Path, annotations_path: Path, pairs_path: Path) -> None:
    demo = "make the demo data with: python -m data_prep demo" if data.dataset == "demo" else ""
    if not images_dir.is_dir():
        raise InputError(f"{images_dir}: no such folder of images; {demo or 'put them there, or set images_dir'}")
    if not annotations_path.exists():
        estimator = "demo" if data.dataset == "demo" else "FILE"
        raise InputError(
            f"{annotations_path}: no such annotation file; make it with: python -m data_prep annotate "
            f"{_flags(data)} --pose_estimator {estimator}, or put one there (annotations/README.md describes it)"
        )
    if not pairs_path.exists():
        make = f"make it with: python -m data_prep pairs {_flags(data)}"
        if data.pairs_dir is not None:
            make += f" --output_dir {data.pairs_dir}"
        raise InputError(f"{pairs_path}: no such pair list; {make}")


def _check_pairs(data: PairData, pairs_path: Path) -> None:
    """Every image of a pair is annotated and present, and every target has its background."""
    absent = {name for name in data.names if not data.image_path(name).is_file()}
    no_bg = set()
    if data.use_bg:
        no_bg = {name for name in dict.fromkeys(data.pairs["to"]) if not data.background_path(name).is_file()}
    unknown = set(data.names) - set(data.annotations.names)
    if not (unknown or absent or no_bg):
        return
    for row, pair in enumerate(data.pairs.to_numpy(), start=2):
        for column, name in zip(("from", "to"), pair, strict=True):
            where = f"{pairs_path}, row {row}, column {column}: {name}"
            if name in unknown:
                raise InputError(
                    f"{where} has no keypoints in {data.annotations.path}; annotate it, or make the pairs again"
                )
            if name in absent:
                raise InputError(f"{where} is not in {data.images_dir}; add the image, or make the pairs again")
            if column == "to" and name in no_bg:
                raise InputError(
                    f"{where} needs its background, {data.background_path(name)}; add it, or leave use_bg off"
                )


def _check_keypoints(data: PairData) -> None:
    height, width = data.image_size
    outside = found(data.keypoints) & ~((data.keypoints >= 0) & (data.keypoints < (height, width))).all(axis=-1)
    for image, joint in np.argwhere(outside)[:1]:
        y, x = data.keypoints[image, joint].astype(int)
        raise InputError(
            f"{data.annotations.where(data.annotations.rows[data.names[image]])}: joint {data.skeleton.joints[joint]} "
            f"at y={y}, x={x} is outside the image of {height}x{width} (height x width) pixels; "
            "annotate the images at the size that the networks see"
        )


def _check_images(data: PairData) -> None:
    def check(path: str) -> None:
        header = read_header(path)
        if header.mode not in DECODED.get(header.format, ()):
            raise InputError(
                f"{path}: {header.format} with pixels {header.mode}; save it as 8-bit RGB or grey JPEG or PNG"
            )
        if header.orientation != 1:
            raise InputError(f"{path}: turned by EXIF (orientation {header.orientation}); save it upright")
        if header.size != data.image_size:
            (height, width), (wanted_height, wanted_width) = header.size, data.image_size
            raise InputError(
                f"{path}: {height}x{width} pixels (height x width), the networks take {wanted_height}x{wanted_width}; "
                "resize the images and their annotations"
            )

    with ThreadPoolExecutor(min(_HEADER_THREADS, 2 * (os.cpu_count() or 1))) as threads:
        for _ in threads.map(check, _files(data)):
            pass
