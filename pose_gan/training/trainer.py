"""The training loop: fetch, step, log, sample, checkpoint; stop and resume at any iteration."""

from __future__ import annotations

import datetime
import math
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pose_gan import metrics
from pose_gan.config import TELLING, RunConfig, in_words
from pose_gan.data.batches import Batch, iterate, ordered_batches, training_batches
from pose_gan.data.pair_data import PairData, open_pairs
from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
from pose_gan.files.folders import make_folder
from pose_gan.files.text import write_json
from pose_gan.model_files.metadata import ModelInfo, TrainingInfo
from pose_gan.model_files.run_folder import DISCRIMINATOR, GENERATOR, OPTIONS, latest_checkpoint
from pose_gan.model_files.saving import is_generator, load_generator, load_model, settings_of
from pose_gan.poses import drawing
from pose_gan.presets import dataset_defaults, preset_of
from pose_gan.training.checkpoint import restore_checkpoint, save_checkpoint
from pose_gan.training.gan import GAN
from pose_gan.training.run_log import RunLog
from pose_gan.versions import versions

VALIDATION_PAIRS = 200
SAMPLE_PAIRS = 8
SAMPLE_COLUMNS = ("source", "source pose", "target pose", "target", "generated")


class NonFiniteLossError(RuntimeError):
    """Training diverged: a loss is no longer a finite number. The last checkpoint is from before that."""


class _RunningLosses:
    """Sums of the losses over the steps since the last `take`, and the time that these steps took."""

    def __init__(self) -> None:
        self._sums: dict[str, Any] = {}
        self.count = 0
        self._started = time.monotonic()

    def add(self, losses: dict[str, Any]) -> None:
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in losses.items()}
        self.count += 1

    def take(self) -> tuple[dict[str, float], float]:
        """Returns the mean losses and the seconds per step, and starts again from zero."""
        means = {name: float(value) / self.count for name, value in self._sums.items()}
        pace = (time.monotonic() - self._started) / max(self.count, 1)
        self._sums, self.count, self._started = {}, 0, time.monotonic()
        return means, pace


class Trainer:
    """One training run.

    Args:
        config: all settings.
        output_dir: the run's folder: options, log, metrics, samples, `generator.h5`.
        checkpoints_dir: the run's folder of checkpoints.
        resume: continue from the last checkpoint in `checkpoints_dir`, if there is one.
        command: the command that started the run; it is written to the run's options.

    Raises: InputError: the data are bad, the weights do not fit, or the folder already holds a run.
    """

    def __init__(
        self, config: RunConfig, output_dir: Path, checkpoints_dir: Path, resume: bool = False, command: str = ""
    ) -> None:
        last = latest_checkpoint(checkpoints_dir)
        if last is not None and not resume:
            raise InputError(
                f"{checkpoints_dir} holds the run of {last.name} already; continue it with --resume {output_dir}, "
                "or give another --output_dir"
            )
        self.config, self.output_dir, self.checkpoints_dir = config, output_dir, checkpoints_dir
        self.command = command
        model = config.model
        print("checking the training pairs", flush=True)
        self.data = open_pairs(config.data, "train", model.image_size, model.skeleton, model.use_bg)
        self.validation = self._open_validation()
        print("building the networks", flush=True)
        self.gan = GAN(config)
        self.step, self.position = config.train.first_step, 0
        if last is not None:
            state = restore_checkpoint(last, self.gan.variables)
            self.step, self.position = state["step"], state["position"]
        else:
            self._load_given_weights()
        self._first_step = self.step
        self._stop = threading.Event()
        self._losses = _RunningLosses()
        self._samples = self._sample_batch()
        # Files and folders are made only now, after all inputs have been checked.
        make_folder(checkpoints_dir)
        self.log = RunLog(output_dir, self.step)
        self._write_options()

    def run(self) -> bool:
        """Trains to the end, or until Ctrl-C or SIGTERM. Returns whether the end was reached.

        Raises: NonFiniteLossError: a loss is not finite; the message names the loss and the steps.
        """
        train, log = self.config.train, self.log
        if self.step >= train.total_steps:
            log.say(
                f"{self.output_dir} is trained to step {self.step} already; "
                f"--number_of_epochs above {train.number_of_epochs} trains on"
            )
            return True
        self._announce()
        old_handlers = {number: signal.signal(number, self._on_signal) for number in _stop_signals()}
        try:
            batches = self._batches()
            while self.step < train.total_steps and not self._stop.is_set():
                # fetch
                fetched = [next(batches) for _ in range(self.gan.batches_per_iteration)]
                # step
                self._losses.add(self.gan.train_step(fetched))
                self.step += 1
                self.position += len(fetched) * train.batch_size
                # log, sample, checkpoint; the first step is logged at once, the last one after the loop
                epoch, rest = divmod(self.step, train.iterations_per_epoch)
                if self._losses.count == train.log_interval or self.step == self._first_step + 1:
                    self._log_losses()
                if rest == 0 and self.step < train.total_steps:
                    self._end_epoch(
                        sample=epoch % train.display_ratio == 0, checkpoint=epoch % train.checkpoint_ratio == 0
                    )
            self._end_epoch(sample=True, checkpoint=True)
            finished = self.step >= train.total_steps
            if not finished:
                log.say(f"stopped at step {self.step}; continue with: pose-gan train --resume {self.output_dir}")
            return finished
        finally:
            for number, handler in old_handlers.items():
                signal.signal(number, handler)
            log.close()

    def sample_grid(self) -> np.ndarray:
        """A labelled grid of a few pairs, the same ones every time: uint8 `(height, width, 3)`."""
        batch = self._samples
        generated = drawing.to_uint8(self.gan.generate(batch).numpy())
        source, target = (drawing.to_uint8(batch[f"{side}_image"].numpy()) for side in ("source", "target"))
        poses = [
            [drawing.draw_skeleton(pose, self.data.image_size, self.data.skeleton) for pose in batch[key].numpy()]
            for key in ("source_keypoints", "target_keypoints")
        ]
        scale = max(1, 256 // self.data.image_size[0])
        return drawing.grid(list(zip(source, *poses, target, generated, strict=True)), SAMPLE_COLUMNS, scale)

    def validate(self) -> dict[str, float]:
        """Mean losses and image metrics on the validation pairs, without dropout."""
        assert self.validation is not None
        sums: dict[str, float] = {}
        for batch in iterate(ordered_batches(self.validation, self.config.train.batch_size), self.validation):
            generated, losses = self.gan.validation_step(batch)
            size = len(generated)
            values = {name: float(value) * size for name, value in losses.items()}
            ours, theirs = (drawing.to_uint8(image.numpy()) for image in (generated, batch["target_image"]))
            values["ssim"] = float(np.sum(metrics.ssim(ours, theirs)))
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value
        return {name: value / len(self.validation) for name, value in sums.items()}

    def _open_validation(self) -> PairData | None:
        if not self.config.train.use_validation:
            return None
        model = self.config.model
        try:
            return open_pairs(
                self.config.data, "test", model.image_size, model.skeleton, model.use_bg, limit=VALIDATION_PAIRS
            )
        except InputError as error:
            raise InputError(f"{error} (needed for validation; --use_validation 0 trains without)") from None

    def _load_given_weights(self) -> None:
        train = self.config.train
        known = {name: getattr(self.config.model, name) for name in TELLING}
        given = (
            (train.generator_checkpoint, self.gan.generator, load_generator),
            (train.discriminator_checkpoint, self.gan.discriminator, load_model),
        )
        for path, model, load in given:
            if path is None:
                continue
            loaded = load(path, **known)
            weights = loaded.get_weights()
            shapes, expected = [w.shape for w in weights], [w.shape for w in model.get_weights()]
            if shapes != expected:
                told = f"; its settings are {_settings(loaded)}" if is_generator(loaded) else ""
                raise InputError(
                    f"{path}: its weights do not fit the {model.name} of these settings "
                    f"({len(shapes)} arrays, expected {len(expected)}, or other sizes){told}; check --warp_skip, "
                    "--disc_type, --norm, --compat, --width, --pose_rep_type, --use_input_pose and the image size"
                )
            model.set_weights(weights)

    def _sample_batch(self) -> Batch:
        data = self.validation or self.data
        return next(iterate(ordered_batches(data, min(SAMPLE_PAIRS, len(data))), data))

    def _batches(self):
        train = self.config.train
        return iterate(training_batches(self.data, train.batch_size, train.seed, self.position), self.data)

    def _end_epoch(self, sample: bool, checkpoint: bool) -> None:
        self._log_losses()  # comes first, because it stops the run before broken weights are saved
        if sample:
            self.log.picture(self.step, self.sample_grid())
        if checkpoint:
            self._checkpoint()
        self._losses = _RunningLosses()  # so that the time of saving is not counted as time of steps

    def _log_losses(self) -> None:
        """Shows and records the mean losses since the last call, if there was a step since then."""
        train, count = self.config.train, self._losses.count
        if not count:
            return
        values, pace = self._losses.take()
        for name, value in values.items():
            if not math.isfinite(value):
                raise NonFiniteLossError(
                    f"the loss {name!r} became {value} between steps {self.step - count + 1} and {self.step}; "
                    f"the last checkpoint in {self.checkpoints_dir} is from before. A smaller --learning_rate "
                    "or loss weight may help"
                )
        # The first step mostly compiles, so its time says nothing about the time left.
        first = self.step == self._first_step + 1
        left = "?" if first else datetime.timedelta(seconds=round((train.total_steps - self.step) * pace))
        epoch = math.ceil(self.step / train.iterations_per_epoch)
        losses = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "linux" else 2**30)
        self.log.say(
            f"epoch {epoch}/{train.number_of_epochs}  step {self.step}/{train.total_steps}  {losses}  "
            f"{pace:.3g} s/it  {left} left  {memory:.1f} GB"
        )
        self.log.record(self.step, {**values, "seconds_per_iteration": pace})

    def _checkpoint(self) -> None:
        generator, discriminator = self.gan.models()
        training = self._training_info()
        folder = save_checkpoint(
            self.checkpoints_dir,
            self.step,
            {
                GENERATOR: (generator, ModelInfo("generator", self.config.model, training)),
                DISCRIMINATOR: (discriminator, ModelInfo("discriminator", self.config.model, training)),
            },
            self.gan.variables,
            {"position": self.position},
            self.config.train.keep_checkpoints,
        )
        with atomic_path(self.output_dir / GENERATOR) as temporary:
            os.link(folder / GENERATOR, temporary)
        if self.validation is not None:
            values = self.validate()
            shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            self.log.say(f"saved {folder}; on {len(self.validation)} test pairs: {shown}")
            self.log.record(self.step, values, split="test")
        else:
            self.log.say(f"saved {folder}")

    def _training_info(self) -> TrainingInfo:
        model, train, dataset = self.config.model, self.config.train, self.config.data.dataset
        begun_from = train.generator_checkpoint
        return TrainingInfo(
            run=self.output_dir.resolve().name,
            dataset=dataset,
            preset=preset_of(model, self.config.loss, dataset_defaults(dataset, model.image_size).nn_window),
            step=self.step,
            batch_size=train.batch_size,
            learning_rate=train.learning_rate,
            seed=train.seed,
            begun_from=Path(begun_from).name if begun_from else None,
        )

    def _write_options(self) -> None:
        path = self.output_dir / OPTIONS
        write_json(
            path,
            {
                "config": self.config.to_dict(),
                "checkpoints_dir": os.path.relpath(self.checkpoints_dir, self.output_dir),
                "command": self.command,
                "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "versions": versions(),
            },
        )

    def _announce(self) -> None:
        config, gan = self.config, self.gan
        height, width = config.model.image_size
        self.log.say(
            f"{config.data.dataset}: {len(self.data)} pairs of {len(self.data.names)} images of {height}x{width}; "
            f"generator {gan.generator.count_params() / 1e6:.1f} M parameters, "
            f"discriminator {gan.discriminator.count_params() / 1e6:.1f} M; "
            f"steps {self.step} to {config.train.total_steps}; in {self.output_dir}"
        )
        self.log.say("compiling the training step (this takes a moment)")

    def _on_signal(self, number: int, frame: Any) -> None:
        print(
            f"{signal.Signals(number).name}: finishing this iteration, then saving; again to quit at once", flush=True
        )
        self._stop.set()
        signal.signal(number, signal.SIG_DFL)


def _settings(generator: keras.Model) -> str:
    config = settings_of(generator)
    names = [name for name in (*TELLING, "norm", "compat") if name != "disc_type"]
    return in_words({name: getattr(config, name) for name in names})


def _stop_signals() -> Sequence[signal.Signals]:
    """The signals that stop a run; none outside of the main thread, the only one that may handle signals."""
    return (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
