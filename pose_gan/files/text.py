"""Text files: they are written completely or not at all, and errors of reading name the file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes UTF-8 text with `\\n` line ends, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes indented JSON, atomically. Raises TypeError or ValueError for a value that JSON cannot hold."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """The lines of a UTF-8 text file, without line ends and without a byte order mark.

    Raises: InputError: the file is absent, is a folder or is not UTF-8 text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None
