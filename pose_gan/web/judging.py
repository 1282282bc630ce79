"""The addresses of `pose-gan study run`.

| address | answer |
| --- | --- |
| `GET /`, `/<file>` | the page and its files |
| `GET /api/start` | what the page must know, and the key for requests that change something |
| `POST /api/raters` | `{"secret": …, "browser": …}`: a new rater, who is known by a random word that the page made up |
| `GET /api/raters/<secret>` | what is left for the rater to do |
| `POST /api/raters/<secret>/events` | an event; the answer comes when it is on the disk |
| `GET /images/<number>.png` | an image under its neutral number |

Nothing that is answered tells real images from generated ones, neither an address nor a length: all images are padded
to the same number of bytes. Only in a rehearsal, the simulated raters are told what to answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import tornado.web

from pose_gan.errors import InputError
from pose_gan.study.plan import SETTINGS, StudyFolder
from pose_gan.web.raters import NoRater, NotWritten, OtherWindow, Raters
from pose_gan.web.server import File, Guard, Guarded, application, files_of

LARGEST = 1 << 16  # bytes of a request
SECRET = r"([A-Za-z0-9_-]{32})"
END_OF_PNG = b"\x00\x00\x00\x00IEND\xaeB`\x82"
PADDING = b"paDd"  # a chunk of a PNG that readers skip
NOT_FOUND, CONFLICT, DISK_FULL = 404, 409, 507


class Answer(Guarded):
    """What the handlers of this page share."""

    def initialize(self, raters: Raters, ended: asyncio.Event | None) -> None:
        self._raters, self._ended = raters, ended

    @contextlib.contextmanager
    def in_words(self) -> Iterator[None]:
        """Gives the errors of raters their codes, by which the page knows what it can do."""
        try:
            yield
        except NoRater as error:
            raise tornado.web.HTTPError(NOT_FOUND, "%s", str(error)) from None
        except OtherWindow as error:
            raise tornado.web.HTTPError(CONFLICT, "%s", str(error)) from None
        except NotWritten as error:
            raise tornado.web.HTTPError(DISK_FULL, "%s", str(error)) from None

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not (isinstance(value, tornado.web.HTTPError) and value.status_code == DISK_FULL):  # was told already
            super().log_exception(typ, value, tb)


class Start(Answer):
    def get(self) -> None:
        folder, rehearsal = self._raters.folder, self._raters.rehearsal
        study = folder.study
        height, width = study.image_size
        self.finish(
            {
                "key": self.settings["guard"].key,
                "study": identity(folder),
                "introduction": study.introduction,
                "practice": study.practice,
                "images": study.count_real + study.count_generated * study.systems_per_rater,
                "comparisons": len(folder.comparisons),
                "display_ms": study.display_ms,
                "limit_ms": None if study.answer_limit_s is None else 1000 * study.answer_limit_s,
                "width": study.scale * width,
                "height": study.scale * height,
                "rehearsal": rehearsal is not None,
            }
        )


class NewRater(Answer):
    def post(self) -> None:
        asked = self.body_table()
        secret = asked.get("secret")
        if not isinstance(secret, str) or not re.fullmatch(SECRET, secret):
            raise InputError("secret: expected 32 random letters and digits")
        with self.in_words():
            self.finish({"rater": self._raters.begin(secret, asked.get("browser")).file.rater.rater})


class Todo(Answer):
    def get(self, secret: str) -> None:
        with self.in_words():
            self.finish(self._raters.todo(secret))


class Events(Answer):
    def post(self, secret: str) -> None:
        with self.in_words():
            new = self._raters.take(secret, self.body_table())
        rehearsal = self._raters.rehearsal
        self.finish({"new": new, "more": rehearsal is None or self._raters.new < rehearsal.raters})

    def on_finish(self) -> None:
        rehearsal = self._raters.rehearsal
        if self._ended and rehearsal and self._raters.finished >= rehearsal.raters:
            asyncio.get_running_loop().call_later(0.2, self._ended.set)  # the page gets its answer first


class Picture(Guarded):
    def initialize(self, pictures: Mapping[int, bytes]) -> None:
        self._pictures = pictures

    def get(self, number: str) -> None:
        if int(number) not in self._pictures:
            raise tornado.web.HTTPError(NOT_FOUND, "%s", "there is no such image")
        self.set_header("Content-Type", "image/png")
        self.finish(self._pictures[int(number)])


def identity(folder: StudyFolder) -> str:
    """What tells this study from others, for what a browser remembers."""
    return hashlib.sha256((folder.folder / SETTINGS).read_bytes()).hexdigest()[:16]


def equally_long(images: Mapping[int, bytes]) -> dict[int, bytes]:
    """PNGs with a chunk of zeros that makes all equally long."""
    longest = max(map(len, images.values()), default=0)
    padded = {}
    for number, content in images.items():
        zeros = bytes(longest - len(content))
        check = zlib.crc32(PADDING + zeros)
        chunk = struct.pack(">I", len(zeros)) + PADDING + zeros + struct.pack(">I", check)
        padded[number] = content[: -len(END_OF_PNG)] + chunk + END_OF_PNG
    return padded


def page(raters: Raters, guard: Guard, ended: asyncio.Event | None = None) -> tornado.web.Application:
    """The application of the page.

    Args:
        raters: of the study.
        guard: decides which requests are answered.
        ended: is set when the last rater of a rehearsal is through.
    Raises: InputError: an image is not the one that was prepared.
    """
    folder = raters.folder
    pictures = equally_long({number: folder.content(number) for number in folder.images})
    common = {"raters": raters, "ended": ended}
    handlers = [
        (r"/api/start", Start, common),
        (r"/api/raters", NewRater, common),
        (rf"/api/raters/{SECRET}", Todo, common),
        (rf"/api/raters/{SECRET}/events", Events, common),
        (r"/images/([0-9]{1,9})\.png", Picture, {"pictures": pictures}),
        (r"/([A-Za-z0-9.-]{0,40})", File, {"files": files_of("common", "study")}),
    ]
    return application(handlers, guard)
