"""The numbers of a run's log lines: mean losses, pace, time left, memory."""

from __future__ import annotations

import datetime
import math
import sys
import time
from typing import Any

from pose_gan.config import TrainConfig


class NonFiniteLossError(RuntimeError):
    """Training diverged: a loss or a weight is no longer a finite number. The last checkpoint is from before that."""


class RunningLosses:
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


def check_finite(losses: dict[str, float], first: int, last: int) -> None:
    """Raises NonFiniteLossError if a mean loss of the steps `first` to `last` is not a finite number."""
    for name, value in losses.items():
        if not math.isfinite(value):
            raise NonFiniteLossError(
                f"the loss {name!r} became {value} between steps {first} and {last}; the last checkpoint is from "
                "before. A new run from its weights (--generator_checkpoint) with a smaller --learning_rate or loss "
                "weight may help"
            )


def log_line(step: int, train: TrainConfig, losses: dict[str, float], pace: float | None, seconds: float) -> str:
    """The line of the log for a step.

    Args:
        step: number of generator updates so far.
        train: the settings of the training.
        losses: name → mean since the last line.
        pace: seconds per step for the time left; None: not known yet.
        seconds: seconds per step since the last line.
    """
    left = "?" if pace is None else datetime.timedelta(seconds=round((train.total_steps - step) * pace))
    epoch = math.ceil(step / train.iterations_per_epoch)
    words = [f"epoch {epoch}/{train.number_of_epochs}", f"step {step}/{train.total_steps}"]
    words += [f"{name} {value:.4g}" for name, value in losses.items()]
    words += [f"{seconds:.3g} s/it", f"{left} left"]
    memory = peak_memory()
    return "  ".join(words if memory is None else [*words, f"{memory / 2**30:.1f} GB"])


def peak_memory() -> int | None:
    """The most memory that this process has used so far, bytes; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform == "linux" else 1)
