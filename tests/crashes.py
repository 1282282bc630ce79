"""Kills work at each of its operations on files, and lets a test look at what is left."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from pose_gan.files.lock import LOCK

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "shutil.rmtree")
KILLED = 9


def every_crash(work: Callable[[], object]) -> Iterator[int]:
    """Yields after each kill of `work`: right before its first operation on files, before its second, and so on.

    Nothing of the killed process is cleaned up, as after kill -9. The last turn, after which nothing is yielded, is the
    one in which `work` reaches its end. `work` must use no threads and no TensorFlow.
    """
    for number in itertools.count():
        child = os.fork()
        if not child:
            _die_at(number)
            try:
                work()
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 0:
            return
        assert status == KILLED, f"the work failed when it was to be killed at operation {number}"
        yield number


def _die_at(number: int) -> None:
    seen = itertools.count()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and next(seen) == number:
            os._exit(KILLED)

    sys.addaudithook(hook)


class Killed(BaseException):
    """Stands for a kill: no program handles it."""


class Mortal:
    """Kills the work of this process at one of its operations on the files of a folder.

    After the kill, every other operation fails too, so nothing is cleaned up. What was written is there, as after a
    kill of the process. Unlike `every_crash`, it can be used with TensorFlow.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.count, self.at, self.alive = 0, -1, False
        sys.addaudithook(self._hook)

    @contextlib.contextmanager
    def killed_at(self, number: int) -> Iterator[None]:
        """In the block, the operation with this number (from 0) raises Killed, and so do those after it."""
        self.count, self.at, self.alive = 0, number, True
        try:
            yield
        finally:
            self.alive = False

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.alive or event not in EVENTS:
            return
        reads = event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        path = str(arguments[0])
        if reads or not path.startswith(self.folder) or path.endswith(LOCK):  # the system itself releases a lock
            return
        self.count += 1
        if self.count > self.at:
            raise Killed
