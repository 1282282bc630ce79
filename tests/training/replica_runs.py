"""Trains the same networks on one device and on several, and prints how they differ, as JSON.

    python tests/training/replica_runs.py REPLICAS NAME ...

The logical devices of the CPU must exist before TensorFlow starts, so this is a program of its own. One process can
have one number of replicas only. With `TF_CONFIG`, it is one of two workers, REPLICAS is 1, and both print the same.
A NAME is one of `CASES` or of `CHECKS`.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import numpy as np
import tensorflow as tf
from makers import SIZE, config, inputs

from pose_gan import load_generator, presets, runtime
from pose_gan.config import LossConfig, RunConfig, TrainConfig
from pose_gan.model_files.metadata import ModelInfo
from pose_gan.training import gan as gan_module
from pose_gan.training.checkpoint import restore_checkpoint, save_checkpoint
from pose_gan.training.devices import devices
from pose_gan.training.distribution import ONE_DEVICE, Distribution, find_cluster, open_distribution
from pose_gan.training.gan import GAN
from pose_gan.training.handshake import compare_variables
from pose_gan.training.optimizer import FusedAdam
from pose_gan.training.seeding import masks_by_replica
from pose_gan.training.team import Team

BATCH, STEPS = 4, 3
SMOOTH = 1e-3
"""Adam's ε in these runs. With 1e-8 it makes a full step, of either sign, where a gradient is nothing but rounding."""

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    **{
        f"{name}{'' if shared else ', two passes'}": (
            {"warp_skip": presets.preset(name, 3)["warp_skip"]},
            {key: value for key, value in presets.preset(name, 3).items() if key != "warp_skip"},
            {"shared_forward": shared},
        )
        for name in presets.PRESETS
        for shared in (True, False)
    },
    "everything": (
        {"warp_skip": "stn", "use_bg": True},
        {"tv_penalty_weight": 1e-4, "lstruct_penalty_weight": 10.0, "l1_penalty_weight": 1.0},
        {"shared_forward": False, "training_ratio": 2},
    ),
    "small": (
        {"warp_skip": "mask", "use_bg": True},
        {
            **{"tv_penalty_weight": 1e-4, "lstruct_penalty_weight": 10.0, "l1_penalty_weight": 0.001},
            **{"nn_loss_area_size": 3, "nn_loss_reduction": "sum", "content_loss_layer": "block1_conv1"},
        },
        {},
    ),
    "sum over pixels": (
        {"warp_skip": "full", "disc_type": "sim"},
        {"nn_loss_area_size": 3, "nn_loss_reduction": "sum", "l1_penalty_weight": 0.001},
        {"training_ratio": 2},
    ),
    "no discriminator": ({"disc_type": "warp"}, {"gan_penalty_weight": 0.0}, {}),
    "bfloat16": ({"warp_skip": "mask"}, {}, {"precision": "mixed_bfloat16"}),
}


def settings(name: str) -> RunConfig:
    model, loss, train = CASES[name]
    if loss.get("lstruct_penalty_weight"):
        image = keras.Input((*SIZE, 3))
        path = str(Path(tempfile.mkdtemp()) / "estimator.keras")
        initial = keras.initializers.GlorotUniform(seed=1)
        keras.Model(image, keras.layers.Conv2D(19, 3, 4, kernel_initializer=initial)(image / 255)).save(path)
        loss = {**loss, "pose_estimator": path}
    return RunConfig(
        model=config(width=0.03, **model),
        loss=LossConfig(vgg_weights="random", **loss),
        train=TrainConfig(batch_size=BATCH, **train),
    )


def start(config: RunConfig, distribution: Distribution) -> GAN:
    """A GAN without dropout."""
    gan = GAN(config, distribution)
    for layer in gan.generator.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return gan


def step(gan: GAN, number: int, team: Team) -> dict[str, float]:
    seeds = range(10 * number, 10 * number + gan.batches_per_iteration)
    batches = [inputs(gan.generator, BATCH, s) | inputs(gan.discriminator, BATCH, 1000 + s) for s in seeds]
    own = slice(team.index * BATCH // team.size, (team.index + 1) * BATCH // team.size)
    shares = [{name: values[own] for name, values in batch.items()} for batch in batches]
    return {name: float(value) for name, value in gan.train_step(shares).items()}


def arrays(gan: GAN) -> dict[str, list[np.ndarray]]:
    return {name: [np.array(variable, float) for variable in group] for name, group in gan.variables.items()}


def compare(name: str, several: Distribution) -> dict[str, Any]:
    """The largest differences between one device and several, from the same start.

    Returns: `losses`, relative; of each group of variables, that of an array relative to its largest change since the
        start (`first` of the gradients' means after one step), and absolute (`… apart`); `copies`, between replicas.
    """
    config = settings(name)
    one, many = start(config, ONE_DEVICE), start(config, several)
    before, losses = arrays(one), 0.0
    found: dict[str, Any] = {}
    for number in range(STEPS):
        ours, theirs = step(one, number, Team()), step(many, number, several.team)
        losses = max(losses, *(abs(ours[key] - theirs[key]) / abs(ours[key]) for key in ours))
        found["names"] = list(ours)
        if number == 0:
            pairs = [(a, b) for key in before if key.endswith("optimizer") for a, b in both(one, many)[key]]
            found["first"] = max(float(np.abs(a - b).max() / (np.abs(a).max() + 1e-12)) for a, b in pairs)
    for key, pairs in both(one, many).items():
        changes = [max(np.abs(a - old).max(), 1e-12) for (a, _), old in zip(pairs, before[key], strict=True)]
        differences = [np.abs(a - b).max() for a, b in pairs]
        found[key] = float(max(np.divide(differences, changes)))
        found[f"{key} apart"] = float(max(differences))
    compare_variables(several.team, many.variables)
    return found | {"losses": losses, "copies": apart(many)}


def both(one: GAN, many: GAN) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    return {key: list(zip(group, arrays(many)[key], strict=True)) for key, group in arrays(one).items()}


def apart(gan: GAN) -> float:
    """The largest difference between the copies of a variable on the replicas."""
    copies = [variable.value.values for group in gan.variables.values() for variable in group]
    return max((float(np.abs(np.subtract(each[0], other)).max()) for each in copies for other in each[1:]), default=0.0)


def masks(several: Distribution) -> dict[str, Any]:
    """Dropout masks of two draws on every replica and on one device."""

    def draws(where: Distribution) -> tuple[list[list[list[float]]], list[list[int]]]:
        with where.scope():
            image = keras.Input((64,))
            model = keras.Model(image, keras.layers.Dropout(0.5, seed=5)(image))
        strategy = where.strategy or tf.distribute.get_strategy()
        if where.replicas > 1:
            masks_by_replica(model)
        draw = tf.function(lambda: strategy.run(lambda: model(tf.ones((1, 64)), training=True)))
        drawn = [[np.array(mask)[0].tolist() for mask in strategy.experimental_local_results(draw())] for _ in range(2)]
        state = model.variables[0].value
        return drawn, [np.array(copy).tolist() for copy in getattr(state, "values", [state])]

    (one, state), (many, states), again = draws(ONE_DEVICE), draws(several), draws(several)
    return {
        "repeatable": (many, states) == again,
        "first replica as one device": [step[0] for step in many] == [step[0] for step in one],
        "states": [*state, *states],
        "different masks": len({tuple(mask) for step in many for mask in step}),
    }


def adam(several: Distribution) -> float:
    """The largest relative difference between FusedAdam and `keras.optimizers.Adam` after some updates."""
    results = []
    for kind in (FusedAdam, keras.optimizers.Adam):
        with several.scope():
            variables = [
                keras.Variable(np.linspace(-1, 1, 12, dtype=np.float32)),
                keras.Variable(np.ones((5, 2), np.float32)),
            ]
            optimizer = kind(1e-2, beta_1=0.5, beta_2=0.9, epsilon=1e-8)
            optimizer.build(variables)

        def update(step: tf.Tensor, optimizer: Any = optimizer, variables: Any = variables) -> None:
            replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group + 1, tf.float32)
            optimizer.apply([tf.sin(replica * variable + step) for variable in variables], variables)

        strategy = several.strategy or tf.distribute.get_strategy()
        updates = tf.function(lambda step, run=strategy.run, update=update: run(update, args=(step,)))
        for step in range(4):
            updates(tf.constant(float(step)))
        results.append([np.array(variable) for variable in (*variables, *optimizer.variables)])
    return max(float(np.max(np.abs(a - b) / (np.abs(b) + 1e-6))) for a, b in zip(*results, strict=True))


def interchange(several: Distribution) -> dict[str, bool]:
    """A checkpoint that one number of devices saved and another restores."""
    config, found = settings("dsc"), {}
    one, many = GAN(config, ONE_DEVICE), GAN(config, several)
    for seed, (name, saving, restoring) in enumerate((("one to many", one, many), ("many to one", many, one))):
        random = np.random.default_rng(seed)
        for group in saving.variables.values():
            for variable in group:
                variable.assign(random.integers(0, 9, variable.shape).astype(variable.dtype))
        info = ModelInfo("generator", config.model)
        with tempfile.TemporaryDirectory() as folder:
            path = save_checkpoint(
                folder, 1, {"generator.h5": (saving.models()[0], info)}, saving.variables, {"position": 4}
            )
            restore_checkpoint(path, restoring.variables)
            alone = load_generator(path / "generator.h5")
        found[name] = all(np.array_equal(a, b) for pairs in both(saving, restoring).values() for a, b in pairs)
        found[f"{name}, on every replica"] = not apart(many)
        batch = inputs(alone, 2)
        images = alone([batch[tensor.name] for tensor in alone.inputs])
        found[f"{name}, generator"] = bool(np.allclose(images, restoring.generate(batch), atol=1e-5))
    return found


CHECKS: dict[str, Callable[[Distribution], Any]] = {"masks": masks, "adam": adam, "interchange": interchange}


def main(arguments: Sequence[str]) -> None:
    count, names = int(arguments[0]), arguments[1:]
    runtime.start()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # half the time
    choice = devices(",".join(f"CPU:{i}" for i in range(count)))
    cluster = find_cluster(choice)
    team = Team(cluster.addresses, cluster.index) if cluster else Team()
    with team.joined():
        several = open_distribution(choice, team)
        assert several.replicas == count * team.size
        gan_module.EPSILON = SMOOTH  # pyright: ignore[reportPrivateImportUsage]
        found = {}
        for name in names:
            found[name] = CHECKS[name](several) if name in CHECKS else compare(name, several)
            keras.backend.clear_session()  # the graphs of a case may take a GB
            gc.collect()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
