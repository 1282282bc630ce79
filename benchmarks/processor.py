"""Forms timed in turns by the clock and by the processor, for machines that have other work meanwhile."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Used(NamedTuple):
    """The time of one call: by the clock, and of the processor, of all cores and of the processes that it started."""

    seconds: float
    processor: float


def measured(call: Callable[[], object]) -> Used:
    """Calls once. The processor's time of a process counts when it has ended."""
    started, before = time.perf_counter(), _processor()
    call()
    return Used(time.perf_counter() - started, _processor() - before)


def in_turns(forms: Mapping[str, Callable[[], object]], repeats: int, warm_up: int = 0) -> dict[str, Used]:
    """The medians of each form, which are called one after the other in every round.

    Args:
        forms: name → function without arguments.
        repeats: number of rounds that count.
        warm_up: calls of each form before the first round.
    """
    for call in forms.values():
        for _ in range(warm_up):
            call()
    rounds = [{name: measured(call) for name, call in forms.items()} for _ in range(repeats)]
    return {name: median([one[name] for one in rounds]) for name in forms}


def median(used: list[Used]) -> Used:
    return Used(statistics.median(one.seconds for one in used), statistics.median(one.processor for one in used))


def _processor() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
