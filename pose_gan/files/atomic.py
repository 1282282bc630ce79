"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pose_gan.errors import InputError

PART = ".part"  # the end of the names of the folders in which unfinished files stand


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path` with the same suffix, and moves it to `path` on success.

    Readers see the old file or the complete new one, never a part. If the block fails, `path` stays
    as it was. Parent folders are made. The function works for files and for folders; a folder that
    already exists is not replaced (OSError). After a kill, `remove_parts` deletes what was unfinished.

    Raises: InputError: the parent is not a folder. OSError, which names `path`: the disk is full, or the
        parent may not be written to.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(f"{path.suffix}{PART}", f".{path.stem[:60]}.", path.parent))
    except (NotADirectoryError, FileExistsError) as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}: {error.filename}") from None
    except OSError as error:
        error.filename = os.fspath(path)
        raise
    try:
        temporary = folder / path.name
        yield temporary
        os.replace(temporary, path)
    except OSError as error:  # the error of a full disk holds no file name, and the temporary one says nothing to users
        if error.filename is None or (error.filename2 is None and str(error.filename).startswith(str(folder))):
            error.filename = os.fspath(path)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # an error here would hide the one that matters


def check_room(folder: Path, size: int) -> None:
    """Raises OSError if files of `size` bytes do not fit into a folder.

    Libraries that do not survive a full disk (HDF5 crashes the process) need this check before they write.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
        elif shutil.disk_usage(folder).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def discard(folder: Path) -> None:
    """Deletes a folder, which readers see whole or not at all."""
    aside = folder.with_name(f".{folder.name}.old{PART}")
    shutil.rmtree(aside, ignore_errors=True)
    os.replace(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)


def remove_parts(folder: Path, pattern: str) -> None:
    """Deletes what killed programs left unfinished of the files in `folder` whose names fit a pattern, such as `*.png`.

    No other program may be writing such files there.
    """
    stem, suffix = os.path.splitext(pattern)
    for path in folder.glob(f".{stem}.*{suffix}{PART}"):
        shutil.rmtree(path, ignore_errors=True)
