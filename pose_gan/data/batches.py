"""The pairs of a split as batches for a network: they are checked once, then streamed.

A batch is a dict of float32 tensors:

    source_image, target_image          (batch, height, width, 3), range [-1, 1]
    source_keypoints, target_keypoints  (batch, joints, 2), (y, x) in pixels, −1 where missing
    background                          (batch, height, width, 3), the target's; only with `use_bg`

Images are decoded when they are needed, and keypoints stay numbers. Nothing is cached on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from pose_gan.data.pair_data import PairData
from pose_gan.errors import InputError
from pose_gan.files.images import on_white

Batch = dict[str, tf.Tensor]


def training_batches(
    data: PairData, batch_size: int, seed: int, position: int = 0, worker: int = 0, workers: int = 1
) -> tf.data.Dataset:
    """Endless full batches of shuffled pairs, or one worker's share of each.

    The order of a pass over the pairs depends only on `(seed, number of the pass)`, and a batch may
    continue from one pass into the next. So a run that resumes at `position` sees exactly the same
    batches as a run without a break.

    Args:
        data: the result of `open_pairs`.
        batch_size: pairs per batch, over all workers.
        seed: seed of the order, 0 or more.
        position: number of pairs that have already been consumed, by all workers.
        worker, workers: worker w of W takes the pairs [w·G/W, (w+1)·G/W) of every batch of G pairs, and reads no
            images of others. G must be a multiple of W.
    """
    share = batch_size // workers
    count = len(data)
    first_pass, start = divmod(position, count)

    def order(number: np.ndarray) -> np.ndarray:
        permutation = np.random.default_rng([seed, int(number)]).permutation(count)
        return permutation[start:] if number == first_pass else permutation

    def one_pass(number: tf.Tensor) -> tf.data.Dataset:
        rows = tf.numpy_function(order, [number], tf.int64, stateful=False)
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(rows, [None]))

    rows = tf.data.Dataset.counter(first_pass).flat_map(one_pass)
    if workers > 1:
        own = slice(worker * share, (worker + 1) * share)
        rows = rows.batch(batch_size, drop_remainder=True).map(lambda batch: batch[own]).unbatch()
    return _load(rows, data).batch(share, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def ordered_batches(data: PairData, batch_size: int) -> tf.data.Dataset:
    """Every pair once, in the order of the list; the last batch may be smaller."""
    rows = tf.data.Dataset.range(len(data))
    return _load(rows, data).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def iterate(dataset: tf.data.Dataset, data: PairData) -> Iterator[Batch]:
    """The batches of a `dataset` made from `data`. Use this function for every loop over such a data set.

    Raises: InputError: an image could not be decoded (it is truncated, or was replaced since `open_pairs`);
        the message names the image, as TensorFlow's own error does not.
    """
    batches = iter(dataset)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except tf.errors.OpError:
            for path in data.files():
                try:
                    _read(tf.constant(path), data.image_size, path in data.alpha)
                except tf.errors.OpError as error:
                    lines = str(error.message).rpartition("}} ")[2].splitlines()
                    reason = lines[0] if lines else type(error).__name__
                    raise InputError(f"{path}: damaged or changed while in use; replace it ({reason})") from None
            raise  # no file caused the error
        yield batch


def _read(path: tf.Tensor, image_size: tuple[int, int], alpha: tf.Tensor | bool = False) -> tf.Tensor:
    """float32 `(height, width, 3)`, range [-1, 1]. With `alpha`, the file is a PNG whose pixels may be transparent."""
    content = tf.io.read_file(path)

    def transparent() -> tf.Tensor:
        pixels = tf.cast(tf.io.decode_png(content, channels=4), tf.int32)
        return tf.cast(on_white(pixels), tf.uint8)

    def opaque() -> tf.Tensor:
        # This also decodes PNG. The default IDCT differs by up to 20 grey levels from the exact one of Pillow.
        return tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")

    pixels = tf.cond(alpha, transparent, opaque) if tf.is_tensor(alpha) else (transparent if alpha else opaque)()
    return tf.cast(tf.ensure_shape(pixels, (*image_size, 3)), tf.float32) / 127.5 - 1.0


def _load(rows: tf.data.Dataset, data: PairData) -> tf.data.Dataset:
    """Row numbers of `data.pairs` → dicts of one sample each, in the same order."""

    def reader(path_of: Callable[[str], Path]) -> Callable[[tf.Tensor], tf.Tensor]:
        """From the number of a name to its image."""
        paths = [str(path_of(name)) for name in data.names]
        files = tf.constant(paths, tf.string)
        if not data.alpha:  # as usual; both ways to decode would make the graph three times as slow to build
            return lambda number: _read(files[number], data.image_size)
        alpha = tf.constant([path in data.alpha for path in paths], tf.bool)
        return lambda number: _read(files[number], data.image_size, alpha[number])

    with tf.device("CPU:0"):
        pairs = tf.constant(data.numbers)
        keypoints = tf.constant(data.keypoints)
        image, background = reader(data.image_path), reader(data.background_path)

    @tf.autograph.experimental.do_not_convert  # nothing in it needs to be converted, which takes time
    def sample(row: tf.Tensor) -> Batch:
        source, target = pairs[row][0], pairs[row][1]
        values = {
            "source_image": image(source),
            "target_image": image(target),
            "source_keypoints": keypoints[source],
            "target_keypoints": keypoints[target],
        }
        if data.use_bg:
            values["background"] = background(target)
        return values

    return rows.map(sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
