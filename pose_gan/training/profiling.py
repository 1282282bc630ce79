"""A trace of some steps of a training, for TensorBoard: where the time of an iteration goes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import tensorflow as tf

FOLDER = "profile"  # in the folder of a run
WARM_UP = 3  # steps before the trace; the first one compiles, and the next ones fill caches


class Profile:
    """Traces steps after the first `WARM_UP` of this program. The losses and weights are those of any other run.

    It is a context. `next_step` is called before each step. When the context ends, so does the trace.

    Args:
        run: the folder of the run; the trace is written to `run/profile`.
        steps: number of steps to trace; 0: none, and the context does nothing.
        say: is told where the trace is, and how to look at it.
    """

    def __init__(self, run: Path, steps: int, say: Callable[[str], None]) -> None:
        self._folder, self._wanted, self._say = run / FOLDER, steps, say
        self._begun, self._traced = 0, list[int]()
        self._annotation = contextlib.ExitStack()  # of the step that runs
        self._tracing = False

    def __enter__(self) -> Profile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tracing:
            with contextlib.suppress(Exception) if error else contextlib.nullcontext():  # the first error counts
                self._stop()
        elif self._wanted and not self._traced and not error:
            self._say(f"no profile: it takes more than {WARM_UP} steps, and there were {self._begun}")

    def next_step(self, number: int) -> None:
        """Tells that a step begins, and that the one before, if there was one, has ended."""
        self._begun += 1
        if self._tracing and len(self._traced) == self._wanted:
            self._stop()
        elif self._wanted and self._begun == WARM_UP + 1:
            tf.profiler.experimental.start(str(self._folder))
            self._tracing = True
        if self._tracing:
            self._traced.append(number)
            self._annotation.close()
            self._annotation.enter_context(tf.profiler.experimental.Trace("train", step_num=number, _r=1))

    def _stop(self) -> None:
        tf.test.experimental.sync_devices()  # a GPU may be some steps behind
        self._annotation.close()
        self._tracing = False
        tf.profiler.experimental.stop()
        self._say(
            f"profile of the steps {self._traced[0]} to {self._traced[-1]} -> {self._folder}; to look at it: "
            f"pip install xprof, and xprof --logdir {self._folder}"
        )
