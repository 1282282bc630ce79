"""The time of one whole training iteration, the time that is possible, and the time of each part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import keras
import tensorflow as tf

from benchmarks import skip
from benchmarks.flops import iteration_work
from benchmarks.harness import Options, Table, matrix_product, ratio, time_in_turns
from benchmarks.inputs import SIZE, pose_pairs, random_batch, random_tensor, size_text
from benchmarks.memory import Case, peaks
from benchmarks.release import release_gan
from pose_gan import geometry, losses, networks
from pose_gan.config import LossConfig, ModelConfig, RunConfig, TrainConfig
from pose_gan.networks import logits_model
from pose_gan.presets import DATASETS, preset
from pose_gan.training.features import VGGFeatures
from pose_gan.training.gan import GAN

QUICK_SIZE, QUICK_BATCH, QUICK_WIDTH = (64, 64), 2, 0.125
FORMS = {  # form → description; the first form is that of the training
    "full": "full preset",
    "plain_features": "plain copies, L1 on features",
    "plain": "plain copies, L1 on pixels",
    "release": "the release's algorithm",
}
Calls = dict[str, Callable[[], Any]]


def make_config(form: str, image_size: SIZE, batch: int, window: int, width: float) -> RunConfig:
    """The settings of a form: the full preset with random VGG weights. Plain forms have other losses.

    The release generates images once for each of the two updates.
    """
    row = preset("full", window)
    loss: dict[str, Any] = {"vgg_weights": "random"}
    loss |= {name: row[name] for name in ("l1_penalty_weight", "content_loss_layer", "nn_loss_area_size")}
    if form.startswith("plain"):
        loss["nn_loss_area_size"] = 1
    if form == "plain":
        loss["content_loss_layer"] = "none"
    return RunConfig(
        model=ModelConfig(image_size=image_size, warp_skip=row["warp_skip"], width=width),
        loss=LossConfig(**loss),
        train=TrainConfig(batch_size=batch, shared_forward=form != "release"),
    )


def make_gan(form: str, config: RunConfig) -> GAN:
    """The networks of a form and their training.

    In the plain forms, skip connections do not move their features; `release` computes by the release's operators.
    """
    if form == "full":
        return GAN(config)
    if form == "release":
        return release_gan(config)
    with mock.patch.object(networks, "_move", lambda maps, *geometry: maps):
        return GAN(config)


def make_calls(form: str, image_size: list[int], batch: int, window: int, width: float) -> Calls:
    """`step`: one training iteration on a random batch."""
    size = (image_size[0], image_size[1])
    gan = make_gan(form, make_config(form, size, batch, window, width))
    return {"step": _step(gan, random_batch(batch, size))}


def _step(gan: GAN, batch: dict[str, tf.Tensor]) -> Callable[[], Any]:
    return lambda: gan.train_step([batch] * gan.batches_per_iteration)


def run(options: Options) -> list[Table]:
    if options.quick:
        return _measure(QUICK_SIZE, QUICK_BATCH, 3, QUICK_WIDTH, options)
    known = [DATASETS[name] for name in ("market", "fashion")]
    return [table for item in known for table in _measure(item.image_size, item.batch_size, item.nn_window, 1, options)]


def _measure(size: SIZE, batch: int, window: int, width: float, options: Options) -> list[Table]:
    settings: dict[str, Any] = {"image_size": size, "batch": batch, "window": window, "width": width}
    gans = {form: make_gan(form, make_config(form, **settings)) for form in FORMS}
    data = random_batch(batch, size)
    product, product_gflop = matrix_product(options.matmul_side)
    steps: Calls = {form: _step(gan, data) for form, gan in gans.items()}
    parts = make_parts(gans["full"], data, window)
    times = time_in_turns({"product": product, **steps, **parts}, options.few_repeats)
    rate = product_gflop / times["product"].median
    options.step_seconds[size, batch] = times["full"].median

    cases = [Case("benchmarks.step:make_calls", {"form": form, **settings}, as_it_is=True) for form in FORMS]
    rows: list[dict] = []
    for (form, gan), found in zip(gans.items(), peaks(cases, options.memory), strict=True):
        work = _work(gan, batch)
        gflop = sum(work.values()) / 1e9
        seconds = times[form].median
        rows.append(
            {
                "form": FORMS[form],
                "ms": times[form].ms,
                "slower": ratio(times["full"].median, seconds),
                "gflop": gflop,
                "rate": gflop / seconds,
                "share": 100 * gflop / seconds / rate,
                "call_mb": found["step"].call if found else None,
                "process_mb": found["step"].process if found else None,
            }
        )
    name = f"Training iteration, {size_text(size)}, batch {batch}, width {width:g}, NN loss {window}x{window}"
    return [_step_table(name, rows, rate, options), _parts_table(name, gans["full"], times, rate, batch)]


def _work(gan: GAN, batch: int) -> dict[str, float]:
    features = feature_model(gan.config)
    work = iteration_work(gan.generator, gan.discriminator, features, batch)
    if not gan.config.train.shared_forward:
        work["generator forward, for the discriminator"] = work["generator forward"]
    return work


def _step_table(name: str, rows: list[dict], rate: float, options: Options) -> Table:
    columns = {
        "form": "step",
        "ms": "ms",
        "slower": "full preset / this",
        "gflop": "GFLOP needed",
        "rate": "GFLOP/s",
        "share": "% of matrix product",
    }
    notes = [
        f"matrix product in the same rounds: {rate:.0f} GFLOP/s. GFLOP: convolutions only, what the update needs "
        "(no gradients of the networks' inputs, none of frozen weights). The release's algorithm: see "
        "benchmarks/release.py; it needs a forward pass of the generator for each of the two updates."
    ]
    if options.memory:
        columns |= {"call_mb": "step, MB", "process_mb": "process, MB"}
        notes.append(
            "memory: highest resident memory of a fresh process over two steps, compiling included; step: "
            "above what networks and optimizers took before."
        )
    return Table(name, columns, rows, notes)


def _parts_table(name: str, gan: GAN, times: dict, rate: float, batch: int) -> Table:
    work = _work(gan, batch)
    g_forward, g_backward = work["generator forward"], work["generator backward"]
    flops = {
        "generator, forward": g_forward,
        "generator, forward and backward": g_forward + g_backward,
        "discriminator, forward and backward": work["discriminator update"],
        "discriminator, for the generator": work["discriminator for the generator"],
        "VGG features and NN loss": work.get("VGG features", 0.0),
    }
    whole = times["full"].median
    rows: list[dict] = []
    for part in _PARTS:
        seconds = times[part].median
        gflop = flops[part] / 1e9 if part in flops else None
        achieved = ratio(gflop, seconds)
        rows.append(
            {
                "part": part,
                "ms": 1000 * seconds,
                "of_step": 100 * seconds / whole,
                "gflop": gflop,
                "rate": achieved,
                "share": None if achieved is None else 100 * achieved / rate,
            }
        )
    rest = whole - sum(times[part].median for part in _DISJOINT)
    rows.append(
        {"part": "rest: optimizers and what is not overlapped", "ms": 1000 * rest, "of_step": 100 * rest / whole}
    )
    columns = {
        "part": "part",
        "ms": "ms alone",
        "of_step": "% of the step",
        "gflop": "GFLOP",
        "rate": "GFLOP/s",
        "share": "% of matrix product",
    }
    note = (
        "Each part compiled and timed alone, in the same rounds as the step. Rest: the step less "
        f"{', less '.join(_DISJOINT)}; the other rows lie within these."
    )
    return Table(f"{name}: parts", columns, rows, [note])


_PARTS = (
    "geometry",
    "deformable skips, forward and backward",
    "generator, forward",
    "generator, forward and backward",
    "discriminator, forward and backward",
    "discriminator, for the generator",
    "VGG features and NN loss",
)
_DISJOINT = _PARTS[3:]


def make_parts(gan: GAN, batch: dict[str, tf.Tensor], window: int) -> Calls:
    """The parts of the step. Each is a separate compiled function that returns the values the next part needs."""
    config = gan.config
    size, count = config.model.image_size, len(batch["source_image"])
    source, target = pose_pairs(count, size)
    generator, judge = gan.generator, logits_model(gan.discriminator)
    upstream = random_tensor((count, *size, 3), 5)
    doubled = {name: tf.concat([value, value], axis=0) for name, value in batch.items()}
    features = VGGFeatures(config.loss.content_layers, config.loss.vgg_weights)
    channels = [config.model.channels(number) for number in (64, 128, 256, 512)]
    levels = [(size[0] >> level, size[1] >> level, number) for level, number in enumerate(channels)]

    def inputs(model, values: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        return [values[tensor.name] for tensor in model.inputs]

    @tf.function
    def forward(values):
        return generator(inputs(generator, values), training=True)

    @tf.function
    def both(values, upstream):
        with tf.GradientTape() as tape:
            image = generator(inputs(generator, values), training=True)
        return image, tape.gradient(image, generator.trainable_variables, output_gradients=upstream)

    @tf.function
    def judged(values):
        with tf.GradientTape() as tape:
            real, fake = tf.split(judge(inputs(judge, values), training=True), 2)
            loss = losses.discriminator_adversarial_loss(real, fake)
        return tape.gradient(loss, judge.trainable_variables)

    @tf.function
    def fooled(values, image):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(image)
            logits = judge(inputs(judge, {**values, "target_image": image}), training=True)
            loss = losses.generator_adversarial_loss(logits)
        return tape.gradient(loss, image)

    @tf.function
    def reconstructed(image, target_image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            pairs = zip(features(image), features(target_image), strict=True)
            loss = tf.add_n([losses.nearest_neighbour_loss(ours, theirs, window) for ours, theirs in pairs])
        return tape.gradient(loss, image)

    @tf.function
    def placed(source, target):
        maps = [geometry.heatmaps(pose, size) for pose in (source, target)]
        return maps, geometry.part_masks(target, size), geometry.part_transforms(source, target)

    calls = (
        lambda: placed(source, target),
        skip.make_calls("sparse", levels, size, count)["both"],
        lambda: forward(batch),
        lambda: both(batch, upstream),
        lambda: judged(doubled),
        lambda: fooled(batch, batch["source_image"]),
        lambda: reconstructed(batch["source_image"], batch["target_image"]),
    )
    return dict(zip(_PARTS, calls, strict=True))


def feature_model(config: RunConfig) -> keras.Model | None:
    """The VGG layers that the reconstruction loss uses, as a model of images of the run's size; None: it has none."""
    layers = config.loss.content_layers
    if not layers:
        return None
    image = keras.Input((*config.model.image_size, 3))
    return keras.models.clone_model(VGGFeatures(layers, "random").model, input_tensors=image)
