"""Ctrl-C and SIGTERM as a wish to stop, which a loop heeds where it can stop without a loss."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Yields an event that the first Ctrl-C or SIGTERM sets. The second one ends the process at once.

    Outside of the main thread, the only one that may handle signals, the event is never set.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGINT, signal.SIGTERM)

    def on_signal(number: int, frame: Any) -> None:
        name = signal.Signals(number).name
        print(f"{name}: finishing this iteration, then saving; again to quit at once", flush=True)
        stop.set()
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)

    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
