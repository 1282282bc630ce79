"""Programs that run one after the other in processes of their own, and that stop when the one that began them stops."""

from __future__ import annotations

import contextlib
import itertools
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pose_gan.errors import InputError
from pose_gan.files.lock import LOCK, only_program

SECONDS_BETWEEN_LOOKS = 2  # at a folder into which another program writes
QUICK_LOOKS = 5  # sooner than that, since programs that begin together hold the folder for a moment each


class Stopped(Exception):
    """Ctrl-C or SIGTERM ended the work; `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def run_process(words: Sequence[str]) -> int:
    """Runs `pose-gan WORDS` in a process of its own, and returns its exit status.

    Ctrl-C and SIGTERM are passed on to it, and its end is awaited.

    Raises: Stopped: a signal came.
    """
    received: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def on_signal(number: int, frame: Any) -> None:
        received.append(number)
        if process is not None and sys.platform != "win32":  # Windows gives Ctrl-C to both
            process.send_signal(number)

    in_main = threading.current_thread() is threading.main_thread()  # no other thread may handle signals
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM) if in_main}
    try:
        # A session of its own, or Ctrl-C in a terminal would reach it twice, and the second ends a training at once
        process = subprocess.Popen([sys.executable, "-m", "pose_gan", *words], start_new_session=True)
        for number in received:  # came before there was a process
            if sys.platform == "win32":
                process.terminate()
            else:
                process.send_signal(number)
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise Stopped(received[0])
    return status


def wait_for(folder: Path, say: Callable[[str], None]) -> None:
    """Waits while another program writes into a folder: one that was begun by hand, or whose ablation was killed."""
    with contextlib.suppress(FileNotFoundError), in_turn(folder, say):
        pass


@contextlib.contextmanager
def in_turn(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Waits while another program writes into a folder, and holds the folder's lock for the time of the block.

    Raises: FileNotFoundError: there is no such folder.
    """
    with contextlib.ExitStack() as held:
        for look in itertools.count():
            try:
                held.enter_context(only_program(folder / LOCK))
                break
            except InputError as error:
                if look == 0:
                    say(f"waiting: {error}")
                time.sleep(SECONDS_BETWEEN_LOOKS if look >= QUICK_LOOKS else random.uniform(0, 0.1))
        yield
