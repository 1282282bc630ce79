"""The training loop: fetch, step, log, checkpoint, look; stop and resume at any iteration."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pose_gan.config import RunConfig
from pose_gan.data.batches import Batch, iterate, training_batches
from pose_gan.data.pair_data import open_training
from pose_gan.files.atomic import atomic_path, remove_parts
from pose_gan.files.folders import make_folder
from pose_gan.files.lock import LOCK, only_program
from pose_gan.files.text import write_json
from pose_gan.model_files.metadata import ModelInfo, TrainingInfo
from pose_gan.model_files.run_folder import (
    DISCRIMINATOR,
    GENERATOR,
    OPTIONS,
    check_place,
    latest_checkpoint,
    read_options,
)
from pose_gan.presets import dataset_defaults, preset_of
from pose_gan.training.checkpoint import Restored, restore_newest, save_checkpoint, settle
from pose_gan.training.distribution import ONE_DEVICE, Distribution
from pose_gan.training.gan import GAN
from pose_gan.training.given_weights import load_given_weights
from pose_gan.training.handshake import check_shared, compare, compare_variables
from pose_gan.training.identity import check_data, check_settings, data_record
from pose_gan.training.profiling import Profile
from pose_gan.training.progress import NonFiniteLossError, RunningLosses, check_finite, log_line
from pose_gan.training.run_log import RunLog, SilentLog
from pose_gan.training.stopping import stop_signals
from pose_gan.training.team import LostWorkerError
from pose_gan.training.validation import open_validation, sample_batch, sample_grid, validate
from pose_gan.versions import versions


class Trainer:
    """One training run. The constructor checks all inputs and makes no file; `run` trains.

    Args:
        config: all settings.
        output_dir: the run's folder: options, log, metrics, samples, `generator.h5`.
        checkpoints_dir: the run's folder of checkpoints.
        resume: continue from the last checkpoint in `checkpoints_dir`, if there is one.
        command: the command that started the run; it is written to the run's options.
        distribution: the devices. With several workers, each makes a trainer, and the chief alone writes.
        profile: number of steps of which the chief writes a trace for TensorBoard.

    Raises: InputError: the data are bad, the weights do not fit, another program has the folder, the folder already
        holds a run (without `resume`), or the run that it holds has other settings (with `resume`); the batches
        cannot be shared among the devices, or the workers do not have the same.
    """

    def __init__(
        self,
        config: RunConfig,
        output_dir: Path,
        checkpoints_dir: Path,
        resume: bool = False,
        command: str = "",
        distribution: Distribution = ONE_DEVICE,
        profile: int = 0,
    ) -> None:
        self.config, self.output_dir, self.checkpoints_dir = config, output_dir, checkpoints_dir
        self.resume, self.command = resume, command
        self.distribution, self._team = distribution, distribution.team
        self._profile = profile if self._team.is_chief else 0
        self._team.agree(lambda: distribution.check(config.train))
        self._team.agree(self._check_folders)
        self._say("checking the training pairs")
        self.data = self._team.agree(lambda: open_training(config))
        self.validation = self._team.agree(lambda: open_validation(config))
        self._data_record = data_record(self.data)
        compare(self._team, config, self._data_record, latest_checkpoint(checkpoints_dir))
        self._say("building the networks")
        self.gan = GAN(config, distribution)
        self.step, self.position = config.train.first_step, 0
        if not resume or latest_checkpoint(checkpoints_dir) is None:
            self._team.agree(lambda: load_given_weights(config, self.gan))
        self._losses = RunningLosses()
        self._samples = sample_batch(self.validation or self.data)

    def run(self) -> bool:
        """Trains to the end, or until Ctrl-C or SIGTERM. Returns whether the end was reached.

        Raises:
            InputError: as the constructor; every checkpoint is damaged; the data are not those of the checkpoint.
            NonFiniteLossError: a loss is not finite; the message names the loss and the steps.
            LostWorkerError: another worker failed, or is gone. The last checkpoint is intact.
            OSError: the disk is full, or fails. The last checkpoint is intact.
        """
        with contextlib.ExitStack() as held:
            self._team.agree(lambda: self._hold_folders(held))
            check_shared(self._team, self.output_dir)
            self._begin()
            try:
                finished = self._train()
            except BaseException as error:
                with contextlib.suppress(OSError):  # the first error is the one to tell
                    self.log.close()
                if isinstance(error, LostWorkerError):
                    raise LostWorkerError(
                        f"{error}; the last checkpoint is {latest_checkpoint(self.checkpoints_dir)}; to go on from "
                        f"there, start on every worker: pose-gan train --resume {self.output_dir}"
                    ) from None
                raise
            self.log.close()
            return finished

    def _say(self, text: str) -> None:
        if self._team.is_chief:
            print(text, flush=True)

    def _check_folders(self) -> None:
        """Refuses, before the slow steps, what `run` would refuse."""
        check_place(self.output_dir, self.checkpoints_dir, self.resume)
        if (self.output_dir / OPTIONS).exists():
            path = self.output_dir / OPTIONS
            check_settings(RunConfig.from_dict(read_options(self.output_dir)["config"], str(path)), self.config)
        for folder in {self.output_dir, self.checkpoints_dir} if self._team.is_chief else ():
            if folder.is_dir():
                with only_program(folder / LOCK):
                    pass

    def _hold_folders(self, held: contextlib.ExitStack) -> None:
        """The chief makes the folders, and holds them against other programs."""
        if not self._team.is_chief:
            return
        for folder in dict.fromkeys(make_folder(path).resolve() for path in (self.output_dir, self.checkpoints_dir)):
            held.enter_context(only_program(folder / LOCK))
        check_place(self.output_dir, self.checkpoints_dir, self.resume)  # again: the one before may just have ended

    def _begin(self) -> None:
        """Restores the last checkpoint, if there is one, and opens the records."""
        restored = self._team.agree(self._restore)
        compare_variables(self._team, self.gan.variables)
        self._first_step, self._saved_step = self.step, None
        self.log = SilentLog()
        self._team.chief_alone(lambda: self._open_records(restored))

    def _restore(self) -> Restored | None:
        restored = restore_newest(self.checkpoints_dir, self.gan.variables)
        if restored is not None:
            check_data(restored.state.get("data"), self._data_record, self.output_dir)
            self.step, self.position = restored.state["step"], restored.state["position"]
        return restored

    def _open_records(self, restored: Restored | None) -> None:
        said = settle(restored, self.config.train.keep_checkpoints) if restored is not None else []
        for pattern in (OPTIONS, GENERATOR):
            remove_parts(self.output_dir, pattern)
        self._write_options()
        self.log = RunLog(self.output_dir, self.step)
        for sentence in said:
            self.log.say(sentence)
        if restored is not None:
            self._saved_step = self.step
            self._publish(restored.path)
            self._catch_up()

    def _train(self) -> bool:
        train, log = self.config.train, self.log
        if self.step >= train.total_steps:
            log.say(
                f"{self.output_dir} is trained to step {self.step} already; "
                f"--number_of_epochs above {train.number_of_epochs} trains on"
            )
            return True
        self._announce()
        with stop_signals() as stop, Profile(self.output_dir, self._profile, log.say) as profile:
            batches = self._batches()
            while self.step < train.total_steps and not self.distribution.stopping(stop.is_set()):
                profile.next_step(self.step + 1)
                # fetch
                fetched = [next(batches) for _ in range(self.gan.batches_per_iteration)]
                # step
                self._losses.add(self.gan.train_step(fetched))
                self.step += 1
                self.position += len(fetched) * train.batch_size
                # log, checkpoint, look; the first step is logged at once, because it takes long
                if self._losses.count == train.log_interval or self.step == self._first_step + 1:
                    self._log_losses()
                if self.step % train.iterations_per_epoch == 0:
                    self._end_epoch()
            if self.step < train.total_steps:
                self._log_losses()
                self._team.chief_alone(self._checkpoint)
                log.say(f"stopped at step {self.step}; continue with: pose-gan train --resume {self.output_dir}")
        return self.step >= train.total_steps

    def _batches(self) -> Iterator[Batch]:
        train, team = self.config.train, self._team
        batches = training_batches(self.data, train.batch_size, train.seed, self.position, team.index, team.size)
        return iterate(batches, self.data)

    def _end_epoch(self) -> None:
        self._log_losses()  # comes first, because it stops the run before broken weights are saved
        sample, checkpoint = self._due()
        if sample or checkpoint:
            self._team.chief_alone(lambda: self._save_and_look(sample, checkpoint))
        self._losses = RunningLosses()  # so that the time of saving is not counted as time of steps

    def _save_and_look(self, sample: bool, checkpoint: bool) -> None:
        if checkpoint:
            self._checkpoint()
        if sample:
            self._draw_samples()
        if checkpoint and self.validation is not None:
            self._validate()

    def _due(self) -> tuple[bool, bool]:
        """Whether a sample grid and a checkpoint (with validation) are due at this step."""
        train = self.config.train
        epoch, rest = divmod(self.step, train.iterations_per_epoch)
        if rest or self.step == train.first_step:
            return False, False
        last = self.step >= train.total_steps
        return last or epoch % train.display_ratio == 0, last or epoch % train.checkpoint_ratio == 0

    def _catch_up(self) -> None:
        """Does what was due after the restored checkpoint was saved, if the run was killed before it was done."""
        sample, checkpoint = self._due()
        if sample and not self.log.has_picture(self.step):
            self._draw_samples()
        if checkpoint and self.validation is not None and not self.log.has_record(self.step, "test"):
            self._validate()

    def _log_losses(self) -> None:
        """Shows and records the mean losses since the last call, if there was a step since then."""
        count = self._losses.count
        if not count:
            return
        values, seconds = self._losses.take()
        check_finite(values, self.step - count + 1, self.step)
        # The first step mostly compiles, so its time says nothing about the time left.
        pace = None if self.step == self._first_step + 1 else seconds
        self.log.say(log_line(self.step, self.config.train, values, pace, seconds))
        self.log.record(self.step, {**values, "seconds_per_iteration": seconds})

    def _checkpoint(self) -> None:
        """Saves the state of this step, unless it is saved already."""
        if self._saved_step == self.step:
            return
        generator, discriminator = self.gan.models()
        for model in (generator, discriminator):
            if not all(np.isfinite(np.asarray(variable)).all() for variable in model.weights):
                raise NonFiniteLossError(
                    f"weights of the {model.name} are no finite numbers after step {self.step}; the last checkpoint is "
                    "from before. A new run from it (--generator_checkpoint) with a smaller --learning_rate may help"
                )
        training = self._training_info()
        folder = save_checkpoint(
            self.checkpoints_dir,
            self.step,
            {
                GENERATOR: (generator, ModelInfo("generator", self.config.model, training)),
                DISCRIMINATOR: (discriminator, ModelInfo("discriminator", self.config.model, training)),
            },
            self.gan.variables,
            {"position": self.position, "data": self._data_record},
            self.config.train.keep_checkpoints,
        )
        self._saved_step = self.step
        self._publish(folder)
        self.log.say(f"saved {folder}")

    def _publish(self, checkpoint: Path) -> None:
        """Makes the checkpoint's generator the `generator.h5` of the run's folder."""
        source = checkpoint / GENERATOR
        if not source.exists():  # someone deleted it from the checkpoint from which the run goes on
            return
        with atomic_path(self.output_dir / GENERATOR) as temporary:
            try:
                os.link(source, temporary)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(source, temporary)

    def _draw_samples(self) -> None:
        self.log.picture(self.step, sample_grid(self.gan, self._samples, self.data.skeleton))

    def _validate(self) -> None:
        assert self.validation is not None
        values = validate(self.gan, self.validation, self.config.train.batch_size)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.log.say(f"step {self.step} on {len(self.validation)} test pairs: {shown}")
        self.log.record(self.step, values, split="test")

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
        try:
            checkpoints = os.path.relpath(self.checkpoints_dir, self.output_dir)
        except ValueError:  # on another drive of Windows
            checkpoints = str(self.checkpoints_dir.resolve())
        write_json(
            self.output_dir / OPTIONS,
            {
                "config": self.config.to_dict(),
                "checkpoints_dir": checkpoints,
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
            f"steps {self.step} to {config.train.total_steps}; {self.distribution.in_words()}in {self.output_dir}"
        )
        self.log.say("compiling the training step (this takes a moment)")
