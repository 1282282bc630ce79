"""What a training run tells: the console, `log.txt`, `metrics.jsonl`, TensorBoard and sample pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pose_gan.drawing import write_image
from pose_gan.files import write_text

LOG, METRICS, SAMPLES, TENSORBOARD = "log.txt", "metrics.jsonl", "samples", "tensorboard"


class RunLog:
    """Writes a run's records.

    Args:
        folder: the run's folder; it is made.
        first_step: the step at which this start of the run begins. Records of later steps, which a
            killed run may have left, are dropped: the run is about to write them again.
    """

    def __init__(self, folder: str | os.PathLike[str], first_step: int = 0) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._drop_records_after(first_step)
        self._board = tf.summary.create_file_writer(os.fspath(self.folder / TENSORBOARD))

    def say(self, text: str) -> None:
        """One line for the person who watches, and for `log.txt`."""
        print(text, flush=True)
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    def record(self, step: int, values: dict[str, float], split: str = "train") -> None:
        """A line of `metrics.jsonl` and TensorBoard scalars named `split/name`."""
        line: dict[str, Any] = {"step": step, "split": split, **values}
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        with self._board.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(f"{split}/{name}", value)
        self._board.flush()

    def picture(self, step: int, picture: np.ndarray) -> Path:
        """A sample grid, uint8 `(H, W, 3)`, as `samples/step-….png` and in TensorBoard. Returns the file."""
        path = self.folder / SAMPLES / f"step-{step:08d}.png"
        write_image(path, picture)
        with self._board.as_default(step=step):
            tf.summary.image("samples", picture[None])
        self._board.flush()
        return path

    def close(self) -> None:
        self._board.close()

    def _drop_records_after(self, step: int) -> None:
        path = self.folder / METRICS
        if not path.exists():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except json.JSONDecodeError:  # the last line, cut by a kill
                break
        write_text(path, "".join(kept))


def read_metrics(path: str | os.PathLike[str], split: str = "train") -> dict[str, list[tuple[int, float]]]:
    """The curves in a `metrics.jsonl`: name → list of (step, value)."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        if values.pop("split", "train") == split:
            step = values.pop("step")
            for name, value in values.items():
                curves.setdefault(name, []).append((step, value))
    return curves
