"""One program at a time.

A program that writes into a folder for hours holds a lock on a file there. The operating system releases the lock
when the process ends, however it ends, so the file that a killed program leaves does not block the next one.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import socket
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from pose_gan.errors import InputError

LOCK = ".in-use"  # the name of the lock's file in a folder that one program holds
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)  # the system's answers if another process holds the lock


@contextlib.contextmanager
def only_program(path: Path, what: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """Holds a lock for the time of the block.

    On file systems that have no locks (some of clusters), nothing is held and nothing is refused.

    Args:
        path: the lock's file, whose folder exists. It names the process that holds the lock, and is deleted afterwards.
        what: what the lock stands for; None: the folder of `path`. Messages name it.
    Raises: InputError: another program holds the lock; the message names its process. OSError: `path` cannot be made.
    """
    file = _held(path, what or path.parent)
    try:
        try:
            file.truncate(0)
            file.write(_this_process().encode())
        except OSError as error:  # the error of a full disk holds no file name
            error.filename = os.fspath(path)
            raise
        yield
    finally:
        with file, contextlib.suppress(OSError):  # Windows deletes no open file; the next program takes it over
            path.unlink()


def _held(path: Path, what: str | os.PathLike[str]) -> FileIO:
    """The open file, with its lock."""
    while True:
        file = FileIO(path, "a+")
        if not _lock(file):
            file.seek(0)
            holder = file.read(200).decode("utf-8", "replace") or "another program"
            file.close()
            raise InputError(
                f"{os.fspath(what)}: in use by {holder}; wait until that has ended, or give another folder"
            )
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()  # its holder deleted it between our opening and our locking


def _lock(file: FileIO) -> bool:
    """Takes the lock of an open file, and returns whether this process has it now."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(1 << 30)  # a byte that is locked cannot be read, so it is none of the text
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _TAKEN
    return True


def _this_process() -> str:
    now = datetime.datetime.now().astimezone()
    return f"process {os.getpid()} on {socket.gethostname()} since {now:%Y-%m-%d %H:%M:%S %z}"
