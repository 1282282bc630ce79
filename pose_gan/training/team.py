"""Processes that train together: they wait for one another, compare what they have, and end together.

TensorFlow's own connections carry the numbers. Beside them, every worker holds one connection to the first one, the
*chief*, from before TensorFlow starts until the end (`joining.py`). Lines of JSON go over it: what a worker has, what
went wrong, and a sign of life.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pose_gan.errors import InputError, reason
from pose_gan.training.joining import join, worker_name

Result = TypeVar("Result")

SILENCE_SECONDS = 30.0
"""After that time without a sign of life, a worker counts as lost."""
GRACE_SECONDS = 15.0
"""How long a process that lost another one may take to end by itself."""


class LostWorkerError(RuntimeError):
    """Another worker failed, or is gone. The message names it, and tells why if it said so."""


class Team:
    """The workers of a training; by default there is one, and then all functions do the obvious.

    Args:
        addresses: `host:port` of each worker, the chief first.
        index: the number of this process.

    Attributes:
        size: number of workers.
        lost: which worker is lost, and why; None: none is.
    """

    def __init__(self, addresses: Sequence[str] = ("",), index: int = 0) -> None:
        self.addresses, self.index, self.size = tuple(addresses), index, len(addresses)
        self.lost: str | None = None
        self._links: dict[int, _Link] = {}
        self._left = threading.Event()
        self._writing = threading.Lock()  # held while something is written that should not be cut off

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    def name(self, worker: int) -> str:
        return worker_name(self.addresses, worker)

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Waits until all workers have come, and keeps them together for the time of the block.

        Raises: InputError: as `join`.
        """
        if self.size == 1:
            yield
            return
        try:
            for worker, connection in join(self.addresses, self.index).items():
                self._links[worker] = _Link(connection, self.name(worker), self._lose)
            for link in self._links.values():  # when all are known, because a loss wakes all
                link.start()
            yield
            self.gather(None)  # nobody leaves while another one still computes
        except BaseException as error:
            self._leave({"failed": "interrupted" if isinstance(error, KeyboardInterrupt) else reason(error)})
            raise
        self._leave({"bye": True})

    def gather(self, value: Any) -> list[Any]:
        """The JSON values of all workers, in their order. All must call this. Raises LostWorkerError."""
        if self.size == 1:
            return [value]
        try:
            if self.is_chief:
                values = [value, *(self._links[worker].receive() for worker in range(1, self.size))]
                for link in self._links.values():
                    link.send({"value": values})
                return values
            self._links[0].send({"value": value})
            return self._links[0].receive()
        except (OSError, _LostError) as error:
            raise self.explain(error) from None

    def agree(self, action: Callable[[], Result]) -> Result:
        """Does something on every worker; if it fails on one, all fail.

        Raises: what `action` raises on this worker; else InputError, if another worker raised one, or LostWorkerError.
        """
        if self.size == 1:
            return action()
        result, error = None, None
        try:
            result = action()
        except Exception as raised:
            error = raised
        told = self.gather(None if error is None else [isinstance(error, InputError), reason(error)])
        if error is not None:
            raise error
        for worker, failure in enumerate(told):
            if failure is not None:
                is_input, text = failure
                raise (InputError if is_input else LostWorkerError)(f"{self.name(worker)} has an error: {text}")
        return result  # pyright: ignore[reportReturnType]

    def chief_alone(self, action: Callable[[], Any]) -> None:
        """The chief does something, such as to save, and the others wait for it. Raises: as `agree`."""

        def undisturbed() -> None:
            with self._writing:
                action()

        self.agree(undisturbed if self.is_chief else lambda: None)

    def compare(self, values: Mapping[str, Any]) -> None:
        """Raises InputError, on every worker, if some worker has other values than the chief; the message names all."""
        told = self.gather(dict(values))
        chief, missing = told[0], "nothing"
        differences = [
            f"{self.name(worker)} has {key} {theirs.get(key, missing)}, the chief {chief.get(key, missing)}"
            for worker, theirs in enumerate(told)
            for key in [*chief, *(key for key in theirs if key not in chief)]
            if theirs.get(key, missing) != chief.get(key, missing)
        ]
        if differences:
            raise InputError(f"the workers cannot train together: {'; '.join(differences)}; make them alike")

    def explain(self, error: Exception) -> Exception:
        """The error that names the lost worker, in place of an error of TensorFlow; the latter if none is lost.

        TensorFlow may notice a loss first, so it may take some time.
        """
        end = time.monotonic() + SILENCE_SECONDS * 1.5
        while self.lost is None and time.monotonic() < end:
            time.sleep(0.05)
        return error if self.lost is None else LostWorkerError(self.lost)

    def _lose(self, which: str) -> None:
        """Notes that a worker is lost; the chief tells the others. If the team is not left soon, the process ends."""
        if self.lost is not None:
            return
        self.lost = which
        if self.is_chief:
            for link in list(self._links.values()):
                link.send_quietly({"lost": which})
        for link in list(self._links.values()):
            link.wake()
        threading.Thread(target=self._end_process, daemon=True).start()

    def _end_process(self) -> None:
        """TensorFlow may wait forever for a worker that is lost."""
        if self._left.wait(GRACE_SECONDS):
            return
        with self._writing:
            print(f"error: {self.lost}", file=sys.stderr, flush=True)
            os._exit(1)

    def _leave(self, message: dict[str, Any]) -> None:
        self._left.set()
        for link in self._links.values():
            link.leave(message)


class _LostError(Exception):
    """The other end of a connection is lost."""


class _Link:
    """A connection to the worker of this name. A loss is told to `lose`: which worker, and why."""

    def __init__(self, connection: socket.socket, name: str, lose: Callable[[str], None]) -> None:
        self._connection, self._name, self._lose = connection, name, lose
        self._values: queue.Queue[Any] = queue.Queue()
        self._sending = threading.Lock()
        self._left = threading.Event()

    def start(self) -> None:
        """Listens, and shows life, from now on."""
        for task in (self._read, self._show_life):
            threading.Thread(target=task, daemon=True).start()

    def send(self, message: dict[str, Any]) -> None:
        with self._sending:
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def send_quietly(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self.send(message)

    def receive(self) -> Any:
        value = self._values.get()
        if isinstance(value, _LostError):
            raise value
        return value

    def wake(self) -> None:
        """Whoever waits for a value hears that a worker is lost."""
        self._values.put(_LostError())

    def leave(self, message: dict[str, Any]) -> None:
        self._left.set()
        self.send_quietly(message)
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def _read(self) -> None:
        try:
            self._connection.settimeout(SILENCE_SECONDS)
            with self._connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    message = json.loads(line)
                    if "failed" in message:
                        self._lose(f"{self._name} ended: {message['failed']}")
                    elif "lost" in message:  # another one, of whom the chief tells
                        self._lose(message["lost"])
                    elif "bye" in message:
                        self._left.set()
                    elif "value" in message:
                        self._values.put(message["value"])
            why = "ended without a word (it was killed, or its machine failed)"
        except TimeoutError:
            why = f"has given no sign of life for {SILENCE_SECONDS:.0f} s"
        except (OSError, ValueError) as error:
            why = f"ended without a word ({reason(error)})"
        if not self._left.is_set():
            self._lose(f"{self._name} {why}")

    def _show_life(self) -> None:
        while not self._left.wait(SILENCE_SECONDS / 9):
            self.send_quietly({})
