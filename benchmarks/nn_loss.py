"""The nearest-neighbour loss, compared with the form that stacks a copy of the target for each shift."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from benchmarks.harness import Options, Table, ratio, time_in_turns
from benchmarks.inputs import random_tensor, size_text
from benchmarks.memory import NOTE, Case, peaks
from pose_gan.losses import nearest_neighbour_loss

BATCH, CHANNELS = 2, 64
SIZES = (((128, 64), 3), ((256, 256), 5))  # image size, window
QUICK_SIZES = (((32, 16), 3), ((32, 32), 5))
OUTSIDE = 1e4  # value of the release's padding, which is never the nearest
FORMS = {"ours": "ours", "stacked": "stacked", "aside": "stacked, axis 1"}


def stacked_loss(generated: tf.Tensor, target: tf.Tensor, window: int, axis: int = -1) -> tf.Tensor:
    """n² shifted copies in one tensor, absolute difference, sum over channels, minimum over shifts.

    `axis` is the axis of the copies: −1 as in the authors' release, or 1, which TensorFlow reduces faster.
    """
    height, width, reach = generated.shape[1], generated.shape[2], window // 2
    padding = [[0, 0], [reach, reach], [reach, reach], [0, 0]]
    padded = tf.pad(target, padding, constant_values=-OUTSIDE)
    shifts = [divmod(shift, window) for shift in range(window * window)]
    copies = [padded[:, dy : dy + height, dx : dx + width] for dy, dx in shifts]
    differences = tf.abs(tf.expand_dims(generated, axis) - tf.stack(copies, axis=axis))
    distances = tf.reduce_sum(differences, axis=-2 if axis == -1 else -1)
    return tf.reduce_mean(tf.reduce_min(distances, axis=axis))


def make_calls(form: str, shape: list[int], window: int) -> dict[str, Callable[[], tuple[tf.Tensor, tf.Tensor]]]:
    """`both`: the loss on random features and its gradient, as one compiled function."""
    generated, target = random_tensor(tuple(shape), 1), random_tensor(tuple(shape), 2)

    @tf.function
    def both(generated: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(generated)
            if form == "ours":
                loss = nearest_neighbour_loss(generated, target, window)
            else:
                loss = stacked_loss(generated, target, window, axis=-1 if form == "stacked" else 1)
        return loss, tape.gradient(loss, generated)

    return {"both": lambda: both(generated, target)}


def run(options: Options) -> list[Table]:
    rows = [_measure(size, window, options) for size, window in (QUICK_SIZES if options.quick else SIZES)]
    columns = {"features": "features", "window": "window"}
    for unit, shown, word in (("ms", "ms", "faster"), ("mb", "MB", "less memory")):
        if unit == "ms" or options.memory:
            columns |= {f"{form}_{unit}": f"{title}, {shown}" for form, title in FORMS.items()}
            columns |= {f"ratio_{unit}": f"× {word}", f"aside_ratio_{unit}": f"× {word} than axis 1"}
    columns |= {
        "value_difference": "value: relative difference",
        "gradient_difference": "gradient: relative difference",
    }
    notes = [
        "Forward and backward. stacked: the n² shifted copies along the last axis, as in the release; axis 1: the same "
        "with the copies along the second axis, which TensorFlow reduces faster."
    ]
    return [Table("Nearest-neighbour loss, batch 2", columns, rows, [*notes, NOTE] if options.memory else notes)]


def _measure(size: tuple[int, int], window: int, options: Options) -> dict:
    arguments = {"shape": [BATCH, *size, CHANNELS], "window": window}
    calls = {form: make_calls(form, **arguments)["both"] for form in FORMS}
    heavy = window > 3 and not options.quick
    times = time_in_turns(calls, options.few_repeats if heavy else options.repeats)
    row: dict = {"features": f"{size_text(size)}x{CHANNELS}", "window": f"{window}x{window}"}
    row |= {f"{form}_ms": timing.ms for form, timing in times.items()}
    cases = [Case("benchmarks.nn_loss:make_calls", {"form": form, **arguments}) for form in FORMS]
    for form, found in zip(FORMS, peaks(cases, options.memory), strict=True):
        row[f"{form}_mb"] = found["both"].call if found else None
    loss, gradient = calls["ours"]()
    other_loss, other_gradient = calls["stacked"]()
    return row | {
        **{f"ratio_{unit}": ratio(row[f"stacked_{unit}"], row[f"ours_{unit}"]) for unit in ("ms", "mb")},
        **{f"aside_ratio_{unit}": ratio(row[f"aside_{unit}"], row[f"ours_{unit}"]) for unit in ("ms", "mb")},
        "value_difference": float(abs(loss - other_loss) / abs(other_loss)),
        "gradient_difference": float(tf.norm(gradient - other_gradient) / tf.norm(other_gradient)),
    }
