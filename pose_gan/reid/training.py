"""The training of a re-identification network: step, log, checkpoint; stop and resume at any iteration."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pose_gan.config import value_in_words
from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path, remove_parts
from pose_gan.files.folders import make_folder
from pose_gan.files.lock import LOCK, only_program
from pose_gan.files.text import write_json
from pose_gan.model_files.run_folder import OPTIONS, latest_checkpoint, read_options
from pose_gan.reid.batches import Batches
from pose_gan.reid.features import NETWORK
from pose_gan.reid.images import Images
from pose_gan.reid.model import ReidModel
from pose_gan.reid.settings import ReidConfig
from pose_gan.training.checkpoint import restore_newest, save_checkpoint, settle
from pose_gan.training.progress import NonFiniteLossError, RunningLosses
from pose_gan.training.run_log import RunLog
from pose_gan.training.stopping import stop_signals
from pose_gan.versions import versions

MAY_CHANGE = ("checkpoint_interval", "log_interval")
"""Settings that a resumed run may change; `iterations` is none, since the learning rate follows it."""
CHECKPOINTS, KEPT = "checkpoints", 2  # their folder, and how many stay


def training(
    images: Images,
    config: ReidConfig,
    output_dir: str | os.PathLike[str],
    resume: bool = False,
    progress: Callable[[int, int], object] = lambda iteration, iterations: None,
    command: str = "",
) -> Path | None:
    """Trains a re-identification network, and writes it as `network.keras` of the run's folder.

    A run that was stopped or killed goes on with `resume`, to the same network, bit for bit, where TensorFlow computes
    with one thread. A run that has ended does nothing more.

    Args:
        images: the images of the training, of two people or more.
        config: the settings.
        output_dir: the run's folder: options, log, metrics, checkpoints, `network.keras`.
        resume: continue the run that is there; begin it if there is none.
        progress: is told the iterations so far, and all of them.
        command: the command that started the run; it is written to the run's options.
    Returns: the network's file; None: Ctrl-C or SIGTERM stopped the run before its end, and a checkpoint is saved.
    Raises:
        InputError: the images or weights are bad, another program has the folder, the folder already holds a run
            (without `resume`), or the run that it holds has other settings or images (with `resume`).
        NonFiniteLossError: a loss is not finite; the message names the loss and the iterations.
        OSError: the disk is full, or fails. The last checkpoint is intact.
    """
    folder = Path(output_dir)
    _check_place(folder, resume)
    with only_program(make_folder(folder) / LOCK):
        _check_place(folder, resume)  # again: the one before may just have ended
        if (folder / OPTIONS).exists():
            check_run(folder, config, images)
        return _Run(images, config, folder, progress, command).run()


def _check_place(folder: Path, resume: bool) -> None:
    if not resume and ((folder / OPTIONS).exists() or latest_checkpoint(folder / CHECKPOINTS)):
        raise InputError(
            f"{folder}: holds a run already; continue it with --resume auto and the same flags, or give another "
            "--output_dir"
        )


class _Run:
    """One run, in a folder that is its own."""

    def __init__(
        self,
        images: Images,
        config: ReidConfig,
        folder: Path,
        progress: Callable[[int, int], object],
        command: str,
    ) -> None:
        self._images, self._config, self._folder, self._progress = images, config, folder, progress
        print(f"decoding {len(images)} images", flush=True)
        self._batches = Batches(images, config)
        self._model = ReidModel(config, len(self._batches.people))
        restored = restore_newest(folder / CHECKPOINTS, self._model.variables)
        self._step = 0 if restored is None else restored.state["step"]
        said = settle(restored, KEPT) if restored is not None else []
        for pattern in (OPTIONS, NETWORK):
            remove_parts(folder, pattern)
        write_json(
            folder / OPTIONS,
            {
                "config": config.to_dict(),
                "images": _record(images),
                "command": command,
                "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "versions": versions(),
            },
        )
        self._log = RunLog(folder, self._step)
        self._saved = self._step if restored is not None else None
        self._losses = RunningLosses()
        for sentence in said:
            self._log.say(sentence)

    def run(self) -> Path | None:
        try:
            return self._train()
        finally:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                self._log.close()

    def _train(self) -> Path | None:
        config, end = self._config, self._config.iterations
        network = self._folder / NETWORK
        if self._step >= end and network.exists():
            self._log.say(f"{self._folder} is trained already, for {end} iterations")
            return network
        self._announce()
        with stop_signals() as stop, contextlib.closing(self._batches.ahead(self._step, end)) as batches:
            first = self._step + 1
            while self._step < end and not stop.is_set():
                self._losses.add(self._model.train_step(next(batches)))
                self._step += 1
                checkpoint = self._step == end or self._step % config.checkpoint_interval == 0
                if checkpoint or self._step == first or self._step % config.log_interval == 0:
                    self._log_losses(end)  # comes first, because it stops the run before broken weights are saved
                if checkpoint:
                    self._checkpoint()
                self._progress(self._step, end)
        if self._step < end:
            self._log_losses(end)
            self._checkpoint()
            self._log.say(f"stopped at iteration {self._step}; the same command with --resume auto goes on")
            return None
        with atomic_path(network) as temporary:
            self._model.network.save(temporary)
        self._log.say(f"saved {network}")
        return network

    def _announce(self) -> None:
        generated = int(self._images.generated.sum())
        height, width = self._config.image_size
        kept = "" if self._batches.pixels.kept else "; they do not fit into memory, so each batch is decoded anew"
        self._log.say(
            f"{len(self._images)} images of {len(self._batches.people)} people, {generated} of them generated, as "
            f"{height}x{width}{kept}; {self._config.method} on {self._config.backbone}, "
            f"{self._model.network.count_params() / 1e6:.2f} M parameters; iterations {self._step} to "
            f"{self._config.iterations}; in {self._folder}"
        )

    def _log_losses(self, end: int) -> None:
        count = self._losses.count
        if not count:
            return
        values, seconds = self._losses.take()
        for name, value in values.items():
            if not math.isfinite(value):
                raise NonFiniteLossError(
                    f"the loss {name!r} became {value} between iterations {self._step - count + 1} and {self._step}; "
                    "the last checkpoint is from before. A new run with a smaller --learning_rate may help"
                )
        left = datetime.timedelta(seconds=round((end - self._step) * seconds))
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self._log.say(f"iteration {self._step}/{end}  {shown}  {seconds:.3g} s/it  {left} left")
        self._log.record(self._step, {**values, "seconds_per_iteration": seconds})

    def _checkpoint(self) -> None:
        if self._saved == self._step:
            return
        state = {"position": self._step * self._config.batch_size}
        save_checkpoint(self._folder / CHECKPOINTS, self._step, {}, self._model.variables, state, KEPT)
        self._saved = self._step
        self._losses = RunningLosses()  # so that the time of saving is not counted as time of iterations


def check_run(folder: str | os.PathLike[str], config: ReidConfig, images: Images) -> None:
    """Raises InputError if the run in a folder has other settings or other images; the message names the flag."""
    path, options, record = Path(folder) / OPTIONS, read_options(folder), _record(images)
    saved = ReidConfig.from_dict(options["config"], str(path))
    for field in dataclasses.fields(config):
        old, new = getattr(saved, field.name), getattr(config, field.name)
        if old != new and field.name not in MAY_CHANGE:
            raise InputError(
                f"--{field.name}: the run in {folder} has {value_in_words(old)}, got {value_in_words(new)}; leave the "
                "flag as it was, or give another --output_dir"
            )
    if options.get("images") != record:
        then = options.get("images")
        count = then.get("count") if isinstance(then, dict) else "other"
        raise InputError(
            f"{folder}: the run was trained on other images (then {count}, now {record['count']}, with other names or "
            "people); give it those with which it began, or give another --output_dir"
        )


def _record(images: Images) -> dict[str, Any]:
    """What the options note of the images of a training: counts, and a hash of names and people."""
    content = hashlib.sha256()
    for name, person in zip(images.names, images.people, strict=True):
        content.update(f"{name}\t{person}\n".encode())
    return {
        "count": len(images),
        "people": len(np.unique(images.people)),
        "generated": int(images.generated.sum()),
        "sha256": content.hexdigest(),
    }
