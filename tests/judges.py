"""A running page of `pose-gan study run`, and raters without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

from websites import Server

from pose_gan.study.plan import StudyFolder
from pose_gan.web.judging import LARGEST, page
from pose_gan.web.raters import Raters, Rehearsal
from pose_gan.web.server import Guard, bind, listen


@contextlib.asynccontextmanager
async def judged(
    study: StudyFolder,
    rehearsal: Rehearsal | None = None,
    guard: Guard | None = None,
    tell: Callable[[str], None] = lambda line: None,
    port: int = 0,
    host: str = "127.0.0.1",
) -> AsyncIterator[Server]:
    """The page of a study, as a new start of the program shows it."""
    guard = guard or Guard()
    sockets = bind(port, host)
    server = listen(page(Raters(study, rehearsal, tell), guard), sockets, LARGEST)
    try:
        yield Server(sockets[0].getsockname()[1], guard.key)
    finally:
        server.stop()
        await server.close_all_connections()
        await asyncio.sleep(0)


class Judge:
    """A rater, as the page tells of one."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.secret = secrets.token_urlsafe(24)
        self.visit = ""

    async def begin(self) -> str:
        """Becomes a rater; returns the name."""
        status, answer = await self.server.ask("/api/raters", {"secret": self.secret, "browser": {"agent": "test"}})
        assert status == 200, answer
        await self.load()
        return answer["rater"]

    async def load(self) -> dict[str, Any]:
        """Loads the page; returns what is left to do."""
        self.visit = secrets.token_urlsafe(8)
        assert (await self.tell(event="loaded", window=[800, 600], pixel_ratio=2))[0] == 200
        return await self.todo()

    async def todo(self) -> dict[str, Any]:
        status, answer = await self.server.ask(f"/api/raters/{self.secret}")
        assert status == 200, answer
        return answer

    async def tell(self, **event: Any) -> tuple[int, Any]:
        event = {"visit": self.visit, **event}
        return await self.server.ask(f"/api/raters/{self.secret}/events", event)

    async def answer(self, trial: dict[str, Any], answer: str | None = None) -> None:
        """Sees a trial's image, and answers; None: what stands on the left side."""
        event = {"event": "answer", "trial": trial["trial"], "reaction_ms": 512.5, "hidden": False, "by": "key"}
        if trial["part"] == "comparison":
            event["answer"] = answer or "left"
        else:
            assert await self.tell(event="begun", trial=trial["trial"]) == (200, {"new": True, "more": True})
            event |= {"answer": answer or "real", "shown_ms": 1000.0, "late_frames": 0}
        assert await self.tell(**event) == (200, {"new": True, "more": True})

    async def finish(self, choose: Callable[[dict[str, Any]], str | None] = lambda trial: None) -> None:
        """Answers all that is left."""
        for trial in (await self.todo())["trials"]:
            await self.answer(trial, choose(trial))
        assert (await self.tell(event="finished"))[0] == 200
