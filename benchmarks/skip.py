"""Deformable skip connections: the package's two forms, compared with the plain form of the authors' release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from benchmarks.harness import Options, Table, ratio, time_in_turns
from benchmarks.inputs import SIZE, active_parts, part_geometry, random_tensor, size_text
from benchmarks.memory import NOTE, Case, Peak, peaks
from pose_gan.layers import DeformableSkip

IMAGE_SIZE, BATCH = (128, 64), 4
LEVELS = ((128, 64, 64), (64, 32, 128), (32, 16, 256), (16, 8, 512))  # height, width, channels
QUICK_LEVELS = ((128, 64, 8), (64, 32, 16))
FORMS = ("sparse", "dense", "plain")
Level = tuple[int, int, int]
Move = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def plain_skip(features: tf.Tensor, transforms: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
    """The release's form: it moves and masks a copy of the features for each part, and takes the maximum over parts.

    Gradients are TensorFlow's own; the gradient of the projective transform is an approximation.
    """
    batch, height, width, channels = features.shape
    parts, full_height, full_width = masks.shape[1:]
    rows, columns = full_height // height, full_width // width
    transforms = transforms / tf.constant([1, 1, columns, 1, 1, rows, 1, 1], tf.float32)
    copies = tf.reshape(tf.tile(features[:, None], [1, parts, 1, 1, 1]), [batch * parts, height, width, channels])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=copies,
        transforms=tf.reshape(transforms, [-1, 8]),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    moved = tf.reshape(moved, [batch, parts, height, width, channels])
    return tf.reduce_max(moved * masks[:, :, ::rows, ::columns, None], axis=1)


def make_form(form: str, image_size: SIZE) -> Move:
    """A function (features, transforms, masks) → moved features."""
    if form == "plain":
        return plain_skip
    layer = DeformableSkip(interpolation="bilinear", image_size=image_size, method=form)
    return lambda features, transforms, masks: layer([features, transforms, masks])


def make_calls(form: str, levels: Sequence[Level], image_size: SIZE, batch: int) -> dict[str, Callable[[], Any]]:
    """`forward` and `both` (forward and backward) of a form on all `levels`, each compiled as one function.

    `forward` returns moved features, and `both` returns moved features and gradients, as lists with one entry per
    level.
    """
    levels = [(height, width, channels) for height, width, channels in levels]
    features = [random_tensor((batch, *level), seed) for seed, level in enumerate(levels)]
    upstream = [random_tensor((batch, *level), 100 + seed) for seed, level in enumerate(levels)]
    transforms, masks = part_geometry(batch, image_size)
    move = make_form(form, image_size)

    # Inputs are arguments, because constants would be folded into the graph.
    @tf.function
    def forward(features, transforms, masks):
        return [move(item, transforms, masks) for item in features]

    @tf.function
    def both(features, transforms, masks, upstream):
        with tf.GradientTape() as tape:
            tape.watch(features)
            moved = [move(item, transforms, masks) for item in features]
        return moved, tape.gradient(moved, features, output_gradients=upstream)

    return {
        "forward": lambda: forward(features, transforms, masks),
        "both": lambda: both(features, transforms, masks, upstream),
    }


def run(options: Options) -> list[Table]:
    levels = QUICK_LEVELS if options.quick else LEVELS
    groups: list[tuple[Level, ...]] = [(level,) for level in levels]
    groups.append(tuple(levels))
    rows = [_measure(group, options) for group in groups]
    rows.insert(-1, _sum(rows[:-1]))
    coverage = active_parts(part_geometry(BATCH, IMAGE_SIZE)[1])
    timing = {"level": "features", **_columns("forward", "ms"), **_columns("both", "ms"), **_ratios("ms", "faster")}
    memory = {
        "level": "features",
        **_columns("forward", "mb"),
        **_columns("both", "mb"),
        **_ratios("mb", "less memory"),
    }
    agreement = {
        "level": "features",
        "forward_plain": "sparse - plain, forward",
        "forward_dense": "sparse - dense, forward",
        "gradient_dense": "sparse - dense, gradient",
        "gradient_plain": "error of plain's gradient, share",
    }
    name = f"Deformable skip, {size_text(IMAGE_SIZE)}, batch {BATCH}"
    tables = [
        Table(
            f"{name}: time",
            timing,
            rows,
            [
                "plain: the release's form: 10 copies, projective transform, masks, maximum; bilinear everywhere.",
                f"Poses of drawn people: {coverage:.2f} of 10 masks cover a pixel. The list of samples that the "
                "sparse form needs is made inside of each call.",
                "f+b: forward and backward. sum: of the rows above; one function: all levels in one graph.",
            ],
        ),
        Table(
            f"{name}: agreement",
            agreement,
            [row for row in rows if "forward_plain" in row],
            ["Largest absolute differences; the last column: norm of the difference to ours, over the norm of ours."],
        ),
    ]
    if options.memory:
        tables.insert(
            1, Table(f"{name}: peak memory", memory, [row for row in rows if "sparse_both_mb" in row], [NOTE])
        )
    return tables


def _columns(what: str, unit: str) -> dict[str, str]:
    title = {"forward": "fwd", "both": "f+b"}[what]
    return {f"{form}_{what}_{unit}": f"{form} {title}, {unit if unit == 'ms' else 'MB'}" for form in FORMS}


def _ratios(unit: str, word: str) -> dict[str, str]:
    return {
        f"ratio_{what}_{unit}": f"sparse {title}: × {word}" for what, title in (("forward", "fwd"), ("both", "f+b"))
    }


def _measure(levels: tuple[Level, ...], options: Options) -> dict:
    """A row of the table: times, peaks and agreement of all forms on `levels`."""
    calls = {form: make_calls(form, levels, IMAGE_SIZE, BATCH) for form in FORMS}
    flat = {f"{form}_{what}": call for form, pair in calls.items() for what, call in pair.items()}
    times = time_in_turns(flat, options.repeats)
    row: dict = {"level": "x".join(map(str, levels[0])) if len(levels) == 1 else "one function"}
    row |= {f"{name}_ms": timing.ms for name, timing in times.items()}
    arguments = {"levels": levels, "image_size": IMAGE_SIZE, "batch": BATCH}
    cases = [Case("benchmarks.skip:make_calls", {"form": form, **arguments}) for form in FORMS]
    for form, found in zip(FORMS, peaks(cases, options.memory), strict=True):
        row |= _peak_values(form, found)
    _add_ratios(row)
    if len(levels) == 1:
        row |= _agreement(calls)
    return row


def _peak_values(form: str, found: dict[str, Peak]) -> dict[str, float]:
    return {f"{form}_{what}_mb": peak.call for what, peak in found.items()}


def _add_ratios(row: dict) -> None:
    for what in ("forward", "both"):
        for unit in ("ms", "mb"):
            row[f"ratio_{what}_{unit}"] = ratio(row.get(f"plain_{what}_{unit}"), row.get(f"sparse_{what}_{unit}"))


def _sum(rows: list[dict]) -> dict:
    keys = [f"{form}_{what}_ms" for form in FORMS for what in ("forward", "both")]
    total: dict = {"level": "sum", **{key: sum(row[key] for row in rows) for key in keys}}
    _add_ratios(total)
    return total


def _agreement(calls: dict[str, dict[str, Callable[[], Any]]]) -> dict[str, float]:
    moved, gradients = {}, {}
    for form in FORMS:
        (moved[form],), (gradients[form],) = calls[form]["both"]()

    def largest(values: dict[str, tf.Tensor], other: str) -> float:
        return float(tf.reduce_max(tf.abs(values["sparse"] - values[other])))

    return {
        "forward_plain": largest(moved, "plain"),
        "forward_dense": largest(moved, "dense"),
        "gradient_dense": largest(gradients, "dense"),
        "gradient_plain": float(tf.norm(gradients["plain"] - gradients["sparse"]) / tf.norm(gradients["sparse"])),
    }
