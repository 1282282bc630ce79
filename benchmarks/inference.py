"""Images per second of the generator."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from benchmarks.flops import network_work
from benchmarks.harness import Options, Table, matrix_product, time_in_turns
from benchmarks.inputs import SIZE, random_batch, size_text
from pose_gan.config import ModelConfig
from pose_gan.networks import build_generator, compiled

RUNS = (((128, 64), 1), ((128, 64), 16), ((256, 256), 1))  # image size, batch
QUICK_RUNS = (((64, 64), 1), ((64, 64), 2))
QUICK_WIDTH = 0.125


def make_generate(image_size: SIZE, width: float) -> tuple[Callable[[dict[str, tf.Tensor]], tf.Tensor], float]:
    """The generator as programs run it, from a batch to images, and the GFLOP per image."""
    generator = build_generator(ModelConfig(image_size=image_size, width=width))
    return compiled(generator), network_work(generator).forward / 1e9


def run(options: Options) -> list[Table]:
    width = QUICK_WIDTH if options.quick else 1.0
    runs = QUICK_RUNS if options.quick else RUNS
    made = {size: make_generate(size, width) for size in dict.fromkeys(size for size, _ in runs)}
    product, product_gflop = matrix_product(options.matmul_side)

    def call(size: SIZE, count: int) -> Callable[[], object]:
        batch = random_batch(count, size)
        return lambda: made[size][0](batch)

    forms = {str(item): call(*item) for item in runs}
    times = time_in_turns({"product": product, **forms}, options.few_repeats)
    rate = product_gflop / times["product"].median
    rows = []
    for size, count in runs:
        seconds = times[str((size, count))].median
        images = count / seconds
        achieved = images * made[size][1]
        rows.append(
            {
                "size": size_text(size),
                "batch": count,
                "ms": 1000 * seconds,
                "images": images,
                "gflop": made[size][1],
                "rate": achieved,
                "share": 100 * achieved / rate,
            }
        )
    columns = {
        "size": "image",
        "batch": "batch",
        "ms": "ms a batch",
        "images": "images/s",
        "gflop": "GFLOP an image",
        "rate": "GFLOP/s",
        "share": "% of matrix product",
    }
    note = (
        f"From image and keypoints: geometry included. matrix product in the same rounds: {rate:.0f} GFLOP/s. "
        "GFLOP: convolutions only."
    )
    return [Table(f"Inference, width {width:g}", columns, rows, [note])]
