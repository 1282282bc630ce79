"""The outputs of a training run: console, `log.txt`, `metrics.jsonl`, sample pictures, and TensorBoard if installed."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pose_gan.errors import InputError
from pose_gan.files.atomic import remove_parts
from pose_gan.files.folders import make_folder
from pose_gan.files.text import read_lines, write_text
from pose_gan.poses.drawing import write_image

NOT_CURVES = ("step", "epoch")  # counters, which are not drawn as curves
LOG, METRICS, SAMPLES, TENSORBOARD = "log.txt", "metrics.jsonl", "samples", "tensorboard"


class RunLog:
    """Writes a run's records. Its functions raise OSError if the disk is full, or fails.

    Args:
        folder: the run's folder; it is made.
        first_step: the step from which the run starts or continues. Records and pictures of later steps, which
            a killed run may have left, are dropped, because the run will write them again.
    """

    def __init__(self, folder: str | os.PathLike[str], first_step: int = 0) -> None:
        self.folder = make_folder(folder)
        remove_parts(self.folder, METRICS)
        remove_parts(self.folder / SAMPLES, "step-*.png")
        self._recorded: set[tuple[float, str]] = set()
        self._drop_after(first_step)
        self._board = None
        if importlib.util.find_spec("tensorboard"):  # TensorFlow writes its files only where the package is installed
            with self._disk_errors():
                self._board = tf.summary.create_file_writer(os.fspath(self.folder / TENSORBOARD))

    def say(self, text: str) -> None:
        """Prints one line on the console and adds it to `log.txt`."""
        print(text, flush=True)
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    def record(self, step: int, values: dict[str, float], split: str = "train") -> None:
        """Adds a line to `metrics.jsonl`, and TensorBoard scalars named `split/name`."""
        line: dict[str, Any] = {"step": step, "split": split, **values}
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._recorded.add((step, split))
        if self._board is not None:
            with self._disk_errors(), self._board.as_default(step=step):
                for name, value in values.items():
                    tf.summary.scalar(f"{split}/{name}", value)
                self._board.flush()

    def picture(self, step: int, picture: np.ndarray) -> Path:
        """Writes a sample grid, uint8 `(H, W, 3)`, as `samples/step-….png` and to TensorBoard. Returns the file."""
        path = self._picture(step)
        write_image(path, picture)
        if self._board is not None:
            with self._disk_errors(), self._board.as_default(step=step):
                tf.summary.image("samples", picture[None])
                self._board.flush()
        return path

    def has_record(self, step: int, split: str = "train") -> bool:
        """Whether `metrics.jsonl` has a line of this step and split."""
        return (step, split) in self._recorded

    def has_picture(self, step: int) -> bool:
        """Whether there is a sample grid of this step."""
        return self._picture(step).exists()

    def close(self) -> None:
        if self._board is not None:
            with self._disk_errors():
                self._board.close()

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """TensorFlow's errors of writing to TensorBoard's files, as the ones that Python raises."""
        try:
            yield
        except tf.errors.OpError as error:
            number = errno.ENOSPC if isinstance(error, tf.errors.ResourceExhaustedError) else errno.EIO
            raise OSError(number, os.strerror(number), str(self.folder / TENSORBOARD)) from None

    def _picture(self, step: int) -> Path:
        return self.folder / SAMPLES / f"step-{step:08d}.png"

    def _drop_after(self, step: int) -> None:
        for path in (self.folder / SAMPLES).glob("step-*.png"):
            number = path.stem.removeprefix("step-")
            if number.isdecimal() and int(number) > step:
                path.unlink()
        path = self.folder / METRICS
        if not path.exists():
            return
        kept = [(line, values) for line, values in _records(path) if values["step"] <= step]
        self._recorded = {(values["step"], str(values.get("split", "train"))) for _, values in kept}
        write_text(path, "".join(f"{line}\n" for line, _ in kept))


class SilentLog(RunLog):
    """The log of a worker that is not the chief: nothing is shown, and nothing is written."""

    def __init__(self) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def record(self, step: int, values: dict[str, float], split: str = "train") -> None:
        pass

    def close(self) -> None:
        pass


def read_history(path: str | os.PathLike[str]) -> dict[str, tuple[list[float], list[float]]]:
    """Curves from a `metrics.jsonl`: name → steps and values, in order of steps.

    Lines with a `split` other than `train` give separate curves, named `<split>: <name>`. Values that
    are not finite numbers are left out. If a step appears twice (the run was resumed), the later line
    counts. A last line that was cut off (the run was killed) is ignored.

    Raises: InputError: a line is not a JSON object with a number `step`; the message names the line.
    """
    curves: dict[str, dict[float, float]] = {}
    for _, values in _records(path):
        split = values.get("split", "train")
        for name, value in values.items():
            if name not in NOT_CURVES and _is_number(value):
                curves.setdefault(name if split == "train" else f"{split}: {name}", {})[values["step"]] = value
    return {name: (sorted(curve), [curve[step] for step in sorted(curve)]) for name, curve in curves.items()}


def _records(path: str | os.PathLike[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines of a `metrics.jsonl`, as text and as values, except a last line that was cut off."""
    lines = read_lines(path)
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                return
            raise InputError(f"{path}, line {number}: not JSON: {error}; delete the line") from None
        if not isinstance(values, dict) or not _is_number(values.get("step")):
            raise InputError(f"{path}, line {number}: expected a JSON object with a number 'step'; delete the line")
        yield line, values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
