"""The answers of raters on disk: a file of JSON lines per rater, `raters/r001.jsonl`.

The first line says who answers, and each further line is an event. Every line is on the disk before the page goes on,
so neither a closed browser nor a killed program loses an answer.

```
{"rater": "r001", "number": 1, "systems": ["ours"], "simulated": false, "started": UTC, "browser": {…}, …}
{"event": "loaded", "visit": "…", "window": [1280, 900], "pixel_ratio": 2, "time": UTC}
{"event": "begun", "trial": 7, "image": 12, "time": UTC}
{"event": "answer", "trial": 7, "image": 12, "part": "main", "answer": "real", "reaction_ms": 612.4, …}
{"event": "answer", "trial": 131, "comparison": 4, "part": "comparison", "answer": "first", "swapped": true, …}
{"event": "finished", "time": UTC}
```

An image is `begun` before it is shown. If the page is loaded again before its answer, the rater has seen it, and it is
not shown a second time.
"""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pose_gan.errors import InputError, reason
from pose_gan.files.records import build
from pose_gan.study.plan import StudyFolder

IMAGE_ANSWERS = ("real", "generated", None)
COMPARISON_ANSWERS = ("first", "second", None)
LONGEST = 4000  # bytes of a line
_NAME = re.compile(r"r([0-9]{3,9})\.jsonl")

Event = dict[str, Any]


def now() -> str:
    """The time as it stands in the files: UTC, to the millisecond."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Rater:
    """Who answers: the first line of a rater's file.

    Attributes:
        rater: the name, `r001`.
        number: from 1; it decides the order of the trials.
        systems: the systems whose images are judged.
        simulated: whether a program answers, for a rehearsal.
        started: UTC.
        browser: what the page tells of itself, texts and numbers.
        secret_sha256: digest of the word by which the page proves whose answers it sends.
    """

    rater: str
    number: int
    systems: tuple[str, ...]
    simulated: bool
    started: str
    browser: Mapping[str, Any] = field(default_factory=dict)
    secret_sha256: str = ""


# ------------------------------------------------------------------------------------- events


def _number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 10**9  # not NaN


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 10**9


def _one_of(*allowed: Any) -> Callable[[Any], bool]:
    return lambda value: (value is None or isinstance(value, str)) and value in allowed


def _optional(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 100


def _window(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_number, value))


_TRIAL = {"trial": _count, "part": _one_of("practice", "main", "comparison")}
_ANSWER = {**_TRIAL, "reaction_ms": _optional(_number), "hidden": lambda value: isinstance(value, bool)}
_MAYBE = {"time": _text, "by": _optional(_one_of("key", "touch", "mouse")), "late_frames": _count}
_FIELDS: dict[str, tuple[dict[str, Callable[[Any], bool]], dict[str, Callable[[Any], bool]]]] = {
    "loaded": ({}, {"time": _text, "visit": _text, "window": _window, "pixel_ratio": _number}),
    "begun": ({"trial": _count}, {"time": _text, "image": _count, "comparison": _count}),
    "answer": (
        {**_ANSWER, "image": _count, "answer": _one_of(*IMAGE_ANSWERS), "shown_ms": _number},
        _MAYBE,
    ),
    "comparison": (
        {**_ANSWER, "comparison": _count, "answer": _one_of(*COMPARISON_ANSWERS), "swapped": _ANSWER["hidden"]},
        {**_MAYBE, "shown_ms": _number},
    ),
    "finished": ({}, {"time": _text}),
}
"""Kind of an event → the fields that it must have, and those that it may have, with what they may hold."""


def check_event(event: Any, where: str) -> Event:
    """Returns `event` if it is one that a rater's file may hold.

    Args:
        event: an object of JSON.
        where: its origin, for messages.
    Raises: InputError: a field is absent, not known, or of another kind.
    """
    if not isinstance(event, dict) or event.get("event") not in ("loaded", "begun", "answer", "finished"):
        raise InputError(f"{where}: not an event: {str(event)[:100]}")
    kind = "comparison" if event["event"] == "answer" and "comparison" in event else event["event"]
    needed, optional = _FIELDS[kind]
    allowed = {**needed, **optional}
    for name in needed.keys() - event.keys():
        raise InputError(f"{where}: {event['event']} lacks {name!r}")
    for name, value in event.items():
        if name != "event" and name not in allowed:
            raise InputError(f"{where}: {event['event']} has the unknown field {name[:60]!r}")
        if name != "event" and not allowed[name](value):
            raise InputError(f"{where}: {name} cannot be {str(value)[:100]!r}")
    return event


@dataclass(frozen=True)
class State:
    """How far a rater is.

    Attributes:
        next: the trial that comes next, from 1; it may be one beyond the last.
        interrupted: the trials that were begun and have no answer, not even that the time for it passed.
        answered: trial → its answer, the first one if there are several.
        finished: whether the rater saw the thanks.
    """

    next: int
    interrupted: tuple[int, ...]
    answered: Mapping[int, Event]
    finished: bool


def state_of(events: Sequence[Event]) -> State:
    """How far a rater is, when the page is loaded (again)."""
    begun = {event["trial"] for event in events if event["event"] == "begun"}
    answered: dict[int, Event] = {}
    for event in events:
        if event["event"] == "answer":
            answered.setdefault(event["trial"], event)
    finished = any(event["event"] == "finished" for event in events)
    return State(
        max(begun | answered.keys(), default=0) + 1, tuple(sorted(begun - answered.keys())), answered, finished
    )


# ------------------------------------------------------------------------------------- files


class RaterFile:
    """A rater's file, to which events are appended.

    Attributes:
        path: the file.
        rater: its first line.
        events: its other lines.
    """

    def __init__(self, path: Path, rater: Rater, events: list[Event]) -> None:
        self.path = path
        self.rater = rater
        self.events = events

    @classmethod
    def create(
        cls, folder: StudyFolder, browser: Mapping[str, Any], simulated: bool = False, secret_sha256: str = ""
    ) -> RaterFile:
        """Begins a file with the next free number. Two programs never get the same one.

        Raises: OSError: the disk is full, or the folder may not be written to.
        """
        folder.raters.mkdir(exist_ok=True)
        number = max(_numbers(folder.raters), default=0) + 1
        while True:
            path = _path(folder, number)
            try:
                path.open("xb").close()
                break
            except FileExistsError:
                number += 1
        systems = folder.study.systems_of(number)
        rater = Rater(path.stem, number, systems, simulated, now(), dict(browser), secret_sha256)
        file = cls(path, rater, [])
        try:
            file._write(asdict(rater))
        except (OSError, InputError):
            path.unlink()  # the number stays free
            raise
        return file

    @classmethod
    def open(cls, folder: StudyFolder, rater: str) -> RaterFile:
        """Opens the file of a rater, such as `r001`. The part of a line at its end, of a killed program, is cut off.

        Raises: InputError: there is no such rater, or a line is damaged.
        """
        path = folder.raters / f"{rater}.jsonl"
        if not _NAME.fullmatch(path.name) or not path.is_file():
            raise InputError(f"{folder.raters}: no rater {rater[:60]!r}")
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            if _is_whole(content):
                with path.open("ab") as end:
                    end.write(b"\n")
            else:
                os.truncate(path, content.rfind(b"\n") + 1)
        file = _read(path)
        if file is None:
            raise InputError(f"{path}: holds no rater; delete it")
        return file

    def append(self, event: Event) -> Event:
        """Writes an event, with the time if it has none, and returns when it is on the disk.

        Returns: the event as it was written.
        Raises: InputError: it is no event. OSError: it could not be written; then the file is as it was.
        """
        event = check_event({"time": now(), **event}, self.path.name)
        self._write(event)
        self.events.append(event)
        return event

    def _write(self, line: Mapping[str, Any]) -> None:
        data = memoryview(f"{json.dumps(line, allow_nan=False)}\n".encode())
        if len(data) > LONGEST:
            raise InputError(f"{self.path.name}: a line of {len(data):,} bytes; at most {LONGEST:,} are written")
        with self.path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                while data:
                    data = data[file.write(data) :]
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self.path, before)
                raise


def read_raters(folder: StudyFolder) -> list[RaterFile]:
    """The files of all raters, by their numbers. The files stay as they are.

    A part of a line at the end of a file is not read, nor is a file without any line.

    Raises: InputError: a line is damaged; the message names file and line.
    """
    if not folder.raters.is_dir():
        return []
    files = (_read(_path(folder, number)) for number in sorted(_numbers(folder.raters)))
    return [file for file in files if file is not None]


def _path(folder: StudyFolder, number: int) -> Path:
    return folder.raters / _file_name(number)


def _file_name(number: int) -> str:
    return f"r{number:03d}.jsonl"


def _numbers(folder: Path) -> list[int]:
    """The numbers of the raters' files. Files of other names, `r0001.jsonl` too, are no raters'."""
    matches = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return [number for match in matches if match and match[0] == _file_name(number := int(match[1]))]


def _read(path: Path) -> RaterFile | None:
    """The content of a file; None: not even its first line is complete."""
    content = path.read_bytes()
    lines = (content + b"\n" if _is_whole(content) else content).split(b"\n")[:-1]
    values = [_json(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]
    if not values:
        return None
    browser = values[0].pop("browser", {}) if isinstance(values[0], dict) else {}
    rater = build(Rater, values[0], f"{path}, line 1")
    if f"{rater.rater}.jsonl" != path.name or path.name != _file_name(rater.number):
        raise InputError(f"{path}, line 1: is of rater {rater.rater}, number {rater.number}; rename the file back")
    events = [check_event(event, f"{path}, line {number}") for number, event in enumerate(values[1:], start=2)]
    return RaterFile(path, Rater(**{**vars(rater), "browser": browser}), events)


def _is_whole(content: bytes) -> bool:
    """Whether only the end of the last line is missing, as after some editors. No part of a line is JSON."""
    try:
        json.loads(content[content.rfind(b"\n") + 1 :])
    except (ValueError, RecursionError):
        return False
    return True


def _json(line: bytes, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: damaged: {reason(error)}; take a copy of the file, and delete the line") from None
