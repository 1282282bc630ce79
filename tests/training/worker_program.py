"""The program `pose-gan train`, as one of several workers or alone, with networks that take no time.

What happens to it is in the variable `FATE`, JSON: `patch` (name → value to put there), `pause` (seconds of a step),
`at` (step → what to do before it: see `Fate`).
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import tensorflow as tf
from fake_gan import FakeGAN

from pose_gan.__main__ import main
from pose_gan.config import RunConfig
from pose_gan.errors import InputError, run_program
from pose_gan.training import checkpoint, trainer, validation
from pose_gan.training.distribution import Distribution

FATE: dict[str, Any] = json.loads(os.environ.get("FATE", "{}"))


class Fate:
    """What may happen before a step."""

    @staticmethod
    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def freeze() -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    @staticmethod
    def terminate() -> None:
        signal.raise_signal(signal.SIGTERM)

    @staticmethod
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    @staticmethod
    def fail() -> None:
        raise InputError("000.jpg: damaged or changed while in use")

    @staticmethod
    def fill_disk() -> None:
        """No file may grow beyond what `log.txt` needs."""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))

    @staticmethod
    def kill_while_saving() -> None:
        """The kill comes when the checkpoint's arrays are written, but not the rest of it."""
        checkpoint.write_json = lambda *arguments: Fate.kill()  # pyright: ignore[reportPrivateImportUsage]

    @staticmethod
    def slow_saving() -> None:
        """Saving takes some seconds, in which a file shows that it has begun."""
        real = checkpoint.write_json

        def write(path: Path, values: Any) -> None:
            print("SAVING", flush=True)
            time.sleep(4)
            real(path, values)

        checkpoint.write_json = write  # pyright: ignore[reportPrivateImportUsage]


class ReplicatedFakeGAN(FakeGAN):
    """A `FakeGAN` on any number of replicas: an update mixes the mean over the whole batch into the weights."""

    def __init__(self, config: RunConfig, distribution: Distribution) -> None:
        with distribution.scope():
            super().__init__(config)
        self.where = distribution
        self.compiled = distribution.compiled(self.step_on_replica)

    def step_on_replica(self, batches: Sequence[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        means = tf.stack([tf.reduce_mean(batch["target_image"]) for batch in batches])
        if self.where.replicas > 1:
            means = tf.distribute.get_replica_context().all_reduce("MEAN", means)
        for mean in tf.unstack(means, len(batches)):
            for weight in self.generator.weights:
                weight.assign(0.5 * weight + mean)
        self.steps.assign_add(1)
        return {"l1": tf.reduce_mean(means)}

    def train_step(self, batches: Sequence[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        time.sleep(FATE.get("pause", 0))
        for what in FATE.get("at", {}).get(str(int(self.steps.numpy()) + 1), "").split():
            getattr(Fate, what)()
        losses = self.compiled(batches)
        return {name: value / FATE.get("divisor", 1.0) for name, value in losses.items()}


def run() -> int:
    for name, value in FATE.get("patch", {}).items():
        module, _, attribute = name.rpartition(".")
        target = importlib.import_module(module)
        setattr(target, attribute, (lambda found=value: found) if callable(getattr(target, attribute)) else value)
    trainer.GAN = ReplicatedFakeGAN
    validation.SAMPLE_PAIRS, validation.VALIDATION_PAIRS = 1, 5
    real = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *more: None if name == "tensorboard" else real(name, *more)
    return main(sys.argv[1:])


if __name__ == "__main__":
    run_program(run)
