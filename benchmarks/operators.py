"""Where the time of a training iteration goes: each convolution and its two gradients, against matrix products.

A convolution is three products: its output, the gradient of its input and the gradient of its kernel. Each one is timed
alone, in the form that the layer really has, beside a plain matrix product of the same sizes, which needs no patches
and is what the best form could reach.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from benchmarks.harness import Options, Table, matrix_product, ratio, time_in_turns
from benchmarks.inputs import SIZE, random_batch, random_tensor, size_text
from benchmarks.step import QUICK_BATCH, QUICK_SIZE, QUICK_WIDTH, feature_model, make_config, make_gan
from pose_gan.networks import logits_model
from pose_gan.presets import DATASETS

DIRECTIONS = ("output", "input", "kernel")
WORDS = {"output": "output", "input": "gradient of input", "kernel": "gradient of kernel"}
SHOWN = 25  # operators; the others are one row
SMALL_WIDTH = 0.25


@dataclass(frozen=True)
class Operator:
    """A product of a convolution that an iteration computes.

    Attributes:
        layer: as its network has it.
        batch: images that go through it together.
        direction: one of `DIRECTIONS`.
    """

    layer: keras.layers.Layer
    batch: int
    direction: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What decides its time: operators with the same key are timed once."""
        layer = self.layer
        return (
            type(layer).__name__,
            self.batch,
            layer.input.shape[1:],
            layer.kernel.shape,
            layer.strides,
            self.direction,
        )

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(M, K, N): the product is M·K·N multiplications and additions, as one matrix product (M, K)·(K, N)."""
        layer = self.layer
        side = math.prod(layer.kernel.shape[:2])
        if isinstance(layer, keras.layers.Conv2DTranspose):
            rows, inner, columns = (
                math.prod(layer.input.shape[1:3]),
                layer.kernel.shape[3],
                side * layer.kernel.shape[2],
            )
        else:
            rows, inner, columns = (
                math.prod(layer.output.shape[1:3]),
                side * layer.kernel.shape[2],
                layer.kernel.shape[3],
            )
        rows *= self.batch
        return {
            "output": (rows, inner, columns),
            "input": (rows, columns, inner),
            "kernel": (inner, rows, columns),
        }[self.direction]

    @property
    def gflop(self) -> float:
        return 2 * math.prod(self.sizes) / 1e9

    @property
    def name(self) -> str:
        layer, (height, width, channels) = self.layer, self.layer.input.shape[1:]
        side, count = layer.kernel.shape[0], layer.output.shape[-1]
        kind = "up" if isinstance(layer, keras.layers.Conv2DTranspose) else "conv"
        return f"{kind} {side}x{side}/{layer.strides[0]}, {self.batch}x{height}x{width}x{channels} -> {count}"

    def call(self) -> Callable[[], Any]:
        """The operator alone, compiled, on random numbers."""
        layer = self.layer
        values = random_tensor((self.batch, *layer.input.shape[1:]), 1)

        def multiply(values: tf.Tensor) -> tf.Tensor:
            """The layer without its bias and activation, in the form in which it computes."""
            is_up = isinstance(layer, keras.layers.Conv2DTranspose)
            return layer(values) if is_up else layer.convolution_op(values, layer.kernel.value)

        if self.direction == "output":
            return _compiled(multiply, values)

        def gradient(values: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                of = values if self.direction == "input" else layer.kernel.value
                tape.watch(of)
                result = multiply(values)
            return tape.gradient(result, of, output_gradients=upstream)  # TensorFlow leaves out what it does not need

        return _compiled(gradient, values, random_tensor((self.batch, *layer.output.shape[1:]), 2))

    def product(self) -> Callable[[], Any]:
        """A matrix product of the operator's sizes."""
        rows, inner, columns = self.sizes
        return _compiled(tf.matmul, random_tensor((rows, inner), 3), random_tensor((inner, columns), 4))


def _compiled(function: Callable[..., Any], *values: tf.Tensor) -> Callable[[], Any]:
    """A call that runs the function's graph and returns no large result."""
    graph = tf.function(lambda *values: function(*values)).get_concrete_function(*values)
    return lambda: graph(*values)


def operators(gan: Any, batch: int) -> Iterator[Operator]:
    """All products of the convolutions of one training iteration with a shared forward pass."""
    judge, features = logits_model(gan.discriminator), feature_model(gan.config)
    for model, count, directions in (
        (gan.generator, batch, DIRECTIONS),
        (judge, 2 * batch, DIRECTIONS),
        (judge, batch, ("output", "input")),  # the generator's adversarial loss
        *([(features, batch, ("output", "input")), (features, batch, ("output",))] if features is not None else []),
    ):
        for layer in model.layers:
            if not isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
                continue
            is_first = not keras.Model(model.inputs, layer.input).weights
            for direction in directions:
                if direction == "input" and is_first and (model is gan.generator or "kernel" in directions):
                    continue  # nothing to train stands before it
                yield Operator(layer, count, direction)


def run(options: Options) -> list[Table]:
    if options.quick:
        return [measure(QUICK_SIZE, QUICK_BATCH, 3, QUICK_WIDTH, options)]
    market, fashion = (DATASETS[name] for name in ("market", "fashion"))
    return [
        measure(item.image_size, item.batch_size, item.nn_window, width, options)
        for item, width in ((market, 1.0), (market, SMALL_WIDTH), (fashion, 1.0))
    ]


def measure(size: SIZE, batch: int, window: int, width: float, options: Options) -> Table:
    """The table of an iteration: its operators, those first that lose most time against the matrix product."""
    gan = make_gan("full", make_config("full", size, batch, window, width))
    found: dict[tuple[Any, ...], list[Operator]] = {}
    for operator in operators(gan, batch):
        found.setdefault(operator.key, []).append(operator)
    groups = list(found.values())
    data = random_batch(batch, size)
    product, product_gflop = matrix_product(options.matmul_side)
    calls: dict[str, Callable[[], Any]] = {
        "product": product,
        "nothing": _compiled(lambda value: value + 1.0, tf.constant(0.0)),
        "step": lambda: gan.train_step([data] * gan.batches_per_iteration),
    }
    for number, (first, *_) in enumerate(groups):
        calls[f"operator {number}"] = first.call()
        calls[f"product {number}"] = first.product()
    times = time_in_turns(calls, options.few_repeats)
    rate, overhead = product_gflop / times["product"].median, times["nothing"].median

    rows: list[dict[str, Any]] = []
    for number, group in enumerate(groups):
        operator = group[0]
        seconds, of_product = (
            max(times[f"{what} {number}"].median - overhead, 1e-6) for what in ("operator", "product")
        )
        rows.append(
            {
                "operator": operator.name,
                "direction": WORDS[operator.direction],
                "times": len(group),
                "ms": len(group) * 1000 * seconds,
                "gflop": len(group) * operator.gflop,
                "rate": operator.gflop / seconds,
                "share": 100 * operator.gflop / seconds / rate,
                "own": 100 * of_product / seconds,
                "lost": len(group) * 1000 * (seconds - operator.gflop / rate),
            }
        )
    rows.sort(key=lambda row: -row["lost"])
    step = 1000 * times["step"].median
    total = {name: sum(row[name] for row in rows) for name in ("times", "ms", "gflop", "lost")}
    shown, others = rows[:SHOWN], rows[SHOWN:]
    if others:
        of_others = {name: sum(row[name] for row in others) for name in total}
        shown.append({"operator": f"{len(others)} others", **of_others} | _shares(of_others, rate))
    shown.append({"operator": "all convolutions", **total} | _shares(total, rate))
    shown.append({"operator": "the rest of the iteration", "ms": step - total["ms"], "lost": step - total["ms"]})
    whole = {"ms": step, "gflop": total["gflop"], "lost": step - 1000 * total["gflop"] / rate}
    shown.append({"operator": "iteration", **whole} | _shares(whole, rate))
    columns = {
        "operator": "operator",
        "direction": "product",
        "times": "times",
        "ms": "ms",
        "gflop": "GFLOP",
        "rate": "GFLOP/s",
        "share": "% of matrix product",
        "own": "% of product of its size",
        "lost": "ms lost",
    }
    notes = [
        f"matrix product in the same rounds: {rate:.0f} GFLOP/s. ms: of all times. Lost: against that rate. Each "
        f"operator runs alone, compiled, less the {1000 * overhead:.2f} ms of a call that does nothing. What is "
        "overlapped or fused makes the iteration shorter than its parts."
    ]
    return Table(
        f"Operators of a training iteration, {size_text(size)}, batch {batch}, width {width:g}", columns, shown, notes
    )


def _shares(row: Mapping[str, float], rate: float) -> dict[str, float | None]:
    achieved = ratio(row["gflop"], row["ms"] / 1000)
    return {"rate": achieved, "share": None if achieved is None else 100 * achieved / rate}
