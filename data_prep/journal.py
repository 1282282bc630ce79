"""A record of the finished work of a run that may stop: one JSON line per image, on disk before the next batch."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from pose_gan.errors import InputError


@dataclass(frozen=True)
class Entry:
    """The outcome for one image: its keypoints `[[y, x], …]`, or the reason why there are none.

    `people` is the number of people that the estimator saw, if it counts them.
    """

    name: str
    keypoints: list[list[int]] | None = None
    error: str | None = None
    people: int | None = None

    @classmethod
    def read(cls, value: Any) -> Entry:
        """The entry in a line of a journal. Raises TypeError or ValueError if it holds something else."""
        entry = cls(**value)
        points = entry.keypoints or []
        if not all(type(number) is int for y, x in points for number in (y, x)):
            raise ValueError("keypoints are pairs of whole numbers")
        if not isinstance(entry.name, str) or not isinstance(entry.error, str | None):
            raise TypeError("name and error are texts")
        if type(entry.people) not in (int, type(None)):
            raise TypeError("people is a whole number")
        return entry


class Journal:
    """A file that grows by whole lines and survives a kill at any moment.

    Args:
        path: the file; it is made if it does not exist.
        settings: settings on which the entries depend, as plain JSON values.
        fresh: whether existing entries are discarded.
    Raises: InputError: the file was begun with other settings, or cannot be written.
    """

    def __init__(self, path: Path, settings: dict[str, Any], fresh: bool = False) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        if fresh:
            path.unlink(missing_ok=True)
        whole = self._read(settings)
        try:
            self._file = open(path, "ab")  # noqa: SIM115 - closed by __exit__
            self._file.truncate(whole)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None
        if not whole:
            self._write([settings])

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError) if error else contextlib.nullcontext():  # the first error is the one to see
            self._file.close()

    def add(self, entries: Iterable[Entry]) -> None:
        """Writes entries to disk. After it returns, a power cut loses none of them.

        Raises: OSError: the disk is full, or fails. The entries from before are intact.
        """
        entries = list(entries)
        self._write([asdict(entry) for entry in entries])
        self.entries.update((entry.name, entry) for entry in entries)

    def delete(self) -> None:
        """Removes the file after the work is done."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write(self, values: list[dict[str, Any]]) -> None:
        try:
            self._file.write("".join(json.dumps(value) + "\n" for value in values).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:  # the error of a full disk holds no file name
            error.filename = str(self.path)
            raise

    def _read(self, settings: dict[str, Any]) -> int:
        """Reads the complete lines, and returns their number of bytes. A kill may have cut the last line."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror}") from None
        content = content[: content.rfind(b"\n") + 1]
        try:
            values = [json.loads(line) for line in content.splitlines()]
            if not all(isinstance(value, dict) for value in values):
                raise TypeError("each line holds a table")
            entries = [Entry.read(value) for value in values[1:]]
        except (ValueError, TypeError, RecursionError):
            raise InputError(f"{self.path}: damaged; delete it, or begin anew with --overwrite") from None
        if values and values[0] != settings:
            differing = [key for key in settings if values[0].get(key) != settings[key]]
            raise InputError(
                f"{self.path}: this run was begun with other settings ({', '.join(differing)}); finish it with those, "
                "or begin anew with --overwrite"
            )
        self.entries = {entry.name: entry for entry in entries}
        return len(content)
