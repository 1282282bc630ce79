"""One computation at a time, and of each caller only the newest that waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pose_gan.errors import InputError

Value = TypeVar("Value")

MOST_WAITING = 32  # callers


class Stale(Exception):
    """A newer call of the same caller came before this one began."""


class Latest:
    """Makes calls one after the other in a thread of its own.

    A caller that asks again while its call waits replaces it, and keeps its place in the queue. The replaced call
    raises `Stale`. So a page that asks faster than the answers come always gets the answer to its newest question,
    and several pages take turns.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._waiting: dict[Hashable, tuple[Callable[[], Any], asyncio.Future[Any]]] = {}
        self._busy = False

    async def run(self, work: Callable[[], Value], caller: Hashable | None = None) -> Value:
        """The result of `work()`.

        Args:
            work: what is computed, in the thread.
            caller: who asks; None: somebody else each time, so that the call is never replaced.
        Raises: Stale: a newer call replaced this one. InputError: too many callers wait. What `work` raises.
        """
        caller = object() if caller is None else caller
        if caller not in self._waiting and len(self._waiting) >= MOST_WAITING:
            raise InputError(f"{MOST_WAITING} others wait already; try again in a moment")
        self.forget(caller, keep_place=True)
        future: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._waiting[caller] = (work, future)
        self._begin()
        return await future

    def forget(self, caller: Hashable, keep_place: bool = False) -> None:
        """Drops the waiting call of a caller, which raises `Stale`. A call that has begun goes on."""
        if caller not in self._waiting:
            return
        _, future = self._waiting[caller]
        if not keep_place:
            del self._waiting[caller]
        if not future.done():
            future.set_exception(Stale())

    def _begin(self) -> None:
        """Begins the first call that waits, if none runs."""
        if self._busy or not self._waiting:
            return
        work, answer = self._waiting.pop(next(iter(self._waiting)))
        self._busy = True
        running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        running.add_done_callback(lambda done: self._end(done, answer))

    def _end(self, done: asyncio.Future[Any], answer: asyncio.Future[Any]) -> None:
        self._busy = False
        error = done.exception()
        if not answer.done():  # its caller may have gone away
            if error is None:
                answer.set_result(done.result())
            else:
                answer.set_exception(error)
        self._begin()
