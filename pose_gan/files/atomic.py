"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pose_gan.errors import InputError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path` with the same suffix, and moves it to `path` on success.

    Readers see the old file or the complete new one, never a part. If the block fails, `path` stays
    as it was. Parent folders are made. The function works for files and for folders; a folder that
    already exists is not replaced (OSError).

    Raises: InputError: the parent is not a folder, or may not be written to.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name[:60]}.", dir=path.parent))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}: {error.filename}") from None
    try:
        temporary = folder / path.name
        yield temporary
        os.replace(temporary, path)
    except OSError as error:  # the error of a full disk holds no file name
        if error.filename is None:
            error.filename = os.fspath(path)
        raise
    finally:
        shutil.rmtree(folder)
