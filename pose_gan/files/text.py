"""Text files: they are written completely or not at all, and errors of reading name the file."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path

MAX_JSON = 64 << 20  # bytes of a file of settings; ours have some thousands
MAX_LINES = 2 << 30  # bytes of a table; the keypoints of Market-1501 take 6 MB


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes UTF-8 text with `\\n` line ends, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes indented JSON, atomically. Raises TypeError or ValueError for a value that JSON cannot hold."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text.encode("utf-8", "backslashreplace").decode())  # bytes of file names that are no text


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV with `\\n` line ends."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def read_text(path: str | os.PathLike[str], encoding: str = "utf-8", limit: int = MAX_JSON) -> str:
    """The content of a text file that may be hostile: a link to a device, which never ends, is not read.

    Raises: InputError: the file is no plain file, or has more than `limit` bytes; OSError, UnicodeDecodeError: it is
        absent, cannot be read, or is not text.
    """
    status = os.stat(path)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # reading a folder raises an OSError
        raise InputError(f"{path}: not a plain file")
    if status.st_size > limit:
        raise InputError(f"{path}: has {status.st_size:,} bytes; at most {limit:,} are read")
    return Path(path).read_text(encoding=encoding)


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """The lines of a UTF-8 text file, without line ends and without a byte order mark.

    Raises: InputError: the file is absent, is no plain file, is too large or is not UTF-8 text.
    """
    try:
        return read_text(path, "utf-8-sig", MAX_LINES).splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None
