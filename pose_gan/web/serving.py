"""The addresses of `pose-gan serve`.

| address | answer |
| --- | --- |
| `GET /`, `/<file>` | the page and its files |
| `GET /api/start` | what the page must know, and the key for requests that change something |
| `GET /api/images?start=&count=&text=` | images of the folder; `GET /api/images/<number>`: one of them as a PNG |
| `GET /api/walk?view=` | the poses of a walk |
| `POST /api/sources` | the body is a photo (`?name=`), or JSON `{"image": number}` or `{"source": id, "pose": …}` |
| `GET /api/sources/<id>` | what the generator sees of a source, as a PNG |
| `POST /api/rows` | saves `{"source": id, "pose": …}` as a row |
| `POST /api/pose` | `{"pose": …}` as an annotation CSV |
| WebSocket `/api/live?key=` | questions as JSON, answers as bytes: see `Studio.frame` |
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import tornado.web
import tornado.websocket

from pose_gan.errors import InputError
from pose_gan.web.latest import Latest, Stale
from pose_gan.web.photos import MAX_BYTES
from pose_gan.web.server import File, Guard, Guarded, application, files_of, table
from pose_gan.web.studio import Studio

LARGEST = 2 * MAX_BYTES  # bytes of a request; up to this size the answer says in words that it is too large
LARGEST_QUESTION = 1 << 18  # bytes
PAGES_OPEN = 8  # live connections
TRY_LATER = 1013  # the code of WebSockets for "too many"

Value = TypeVar("Value")


class Answer(Guarded):
    """What the handlers of this page share."""

    def initialize(self, studio: Studio, latest: Latest, pages: set[Any]) -> None:
        self._studio, self._latest, self._pages = studio, latest, pages

    async def compute(self, work: Callable[[], Value]) -> Value:
        return await self._latest.run(work)

    def number(self, name: str, default: float) -> float:
        try:
            value = float(self.get_query_argument(name, str(default)))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"{name}: expected a number")
        return value

    def png(self, content: bytes) -> None:
        self.set_header("Content-Type", "image/png")
        self.finish(content)


class Start(Answer):
    def get(self) -> None:
        self.finish(self._studio.describe() | {"key": self.settings["guard"].key})


class ImageList(Answer):
    def get(self) -> None:
        start, count = int(self.number("start", 0)), int(self.number("count", 24))
        self.finish(self._studio.page_of_images(start, count, self.get_query_argument("text", "")[:200]))


class Thumbnail(Answer):
    async def get(self, number: str) -> None:
        self.png(await self.compute(partial(self._studio.thumbnail, int(number))))


class Walk(Answer):
    def get(self) -> None:
        self.finish({"poses": self._studio.walk(self.number("view", 40.0))})


class Sources(Answer):
    async def post(self) -> None:
        if self.request.headers.get("Content-Type", "") != "application/json":
            work = partial(self._studio.upload, self.request.body, self.get_query_argument("name", "photo"))
        else:
            asked = self.body_table()
            if type(asked.get("image")) is int:
                work = partial(self._studio.open_image, asked["image"])
            else:
                work = partial(self._studio.reframe, asked.get("source", ""), asked.get("pose"))
        self.finish(await self.compute(work))


class SourcePicture(Answer):
    async def get(self, identity: str) -> None:
        self.png(await self.compute(partial(self._studio.picture, identity)))


class Rows(Answer):
    async def post(self) -> None:
        asked = self.body_table()
        words = await self.compute(partial(self._studio.save, asked.get("source", ""), asked.get("pose")))
        self.finish({"done": words})


class PoseFile(Answer):
    def post(self) -> None:
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.finish(self._studio.pose_file(self.body_table().get("pose")))


class Live(tornado.websocket.WebSocketHandler, Answer):
    """Answers a page's questions with pictures; of the questions that wait, only the newest is answered."""

    needs_key = True

    def check_origin(self, origin: str) -> bool:
        return True  # the guard has checked it

    def open(self, *args: str, **kwargs: str) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        if len(self._pages) >= PAGES_OPEN:
            self.close(TRY_LATER, f"{PAGES_OPEN} pages are open already. Close one of them, and load this one again.")
        else:
            self._pages.add(self)

    def on_message(self, message: str | bytes) -> None:
        task = asyncio.create_task(self._answer(message))  # returns at once, so that the next question is read
        self._tasks.add(task)  # the event loop holds weak references only
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: str | bytes) -> None:
        number = None
        try:
            question = table(message)
            number = asked if isinstance(asked := question.get("n"), int) else None  # JSON has no NaN
            answer: Any = await self._latest.run(partial(self._studio.frame, question), caller=self)
        except Stale:
            answer = {"n": number, "stale": True}
        except InputError as error:
            answer = {"n": number, "error": str(error)}
        except Exception as error:
            self.log_exception(type(error), error, error.__traceback__)
            answer = {"n": number, "error": "the server failed at this pose; its terminal says why"}
        with contextlib.suppress(tornado.websocket.WebSocketClosedError):  # the page was closed
            await self.write_message(answer, binary=isinstance(answer, bytes))

    def on_close(self) -> None:
        self._pages.discard(self)
        self._latest.forget(self)


def page(studio: Studio, guard: Guard | None = None) -> tornado.web.Application:
    """The application of the page."""
    common = {"studio": studio, "latest": Latest(), "pages": set()}
    handlers = [
        (r"/api/start", Start, common),
        (r"/api/images", ImageList, common),
        (r"/api/images/([0-9]{1,9})", Thumbnail, common),
        (r"/api/walk", Walk, common),
        (r"/api/sources", Sources, common),
        (r"/api/sources/([A-Za-z0-9_-]{1,40})", SourcePicture, common),
        (r"/api/rows", Rows, common),
        (r"/api/pose", PoseFile, common),
        (r"/api/live", Live, common),
        (r"/([a-z0-9.-]{0,40})", File, {"files": files_of("common", "serve")}),
    ]
    return application(handlers, guard or Guard(), websocket_max_message_size=LARGEST_QUESTION)
