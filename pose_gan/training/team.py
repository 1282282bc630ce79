"""Processes that train together: they wait for one another, compare what they have, and end together.

TensorFlow's own connections carry the numbers. Beside them, every worker holds one connection to the first one, the
*chief*, from before TensorFlow starts until the end. Lines of JSON go over it: what a worker has, what went wrong, and
a sign of life. It is made at the chief's address, whose port TensorFlow takes over afterwards.
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

Result = TypeVar("Result")

JOIN_SECONDS = 600.0
"""How long workers wait for those that start late."""
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
        return f"worker {worker} ({self.addresses[worker]})" + (", the chief," if worker == 0 else "")

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Waits until all workers have come, and keeps them together for the time of the block.

        Raises: InputError: they do not come in time, or were started with other addresses.
        """
        if self.size == 1:
            yield
            return
        try:
            for worker, connection in (_receive(self) if self.is_chief else {0: _call(self)}).items():
                self._links[worker] = _Link(connection, lambda why, worker=worker: self._lose(worker, why))
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

    def _lose(self, worker: int, why: str) -> None:
        """Notes that a worker is lost; the chief tells the others. If the team is not left soon, the process ends."""
        if self.lost is not None:
            return
        self.lost = why if why.startswith("worker ") else f"{self.name(worker)} {why}"
        if self.is_chief:
            for link in list(self._links.values()):
                link.send_quietly({"failed": self.lost})
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
    """A connection to another worker."""

    def __init__(self, connection: socket.socket, lose: Callable[[str], None]) -> None:
        self._connection, self._lose = connection, lose
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
                        self._lose(message["failed"] if self._is_named(message) else f"ended: {message['failed']}")
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
            self._lose(why)

    def _is_named(self, message: dict[str, Any]) -> bool:
        return message["failed"].startswith("worker ")

    def _show_life(self) -> None:
        while not self._left.wait(SILENCE_SECONDS / 9):
            self.send_quietly({})


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _call(team: Team) -> socket.socket:
    """The connection to the chief, when all workers are there."""
    chief, end, told = team.addresses[0], time.monotonic() + JOIN_SECONDS, False
    while True:
        try:
            connection = socket.create_connection(_place(chief), timeout=5)
            connection.sendall(json.dumps({"worker": team.index, "addresses": team.addresses}).encode() + b"\n")
            connection.settimeout(JOIN_SECONDS)
            answer = _line(connection)
            if answer is not None:
                if "refused" in answer:
                    raise InputError(answer["refused"])
                print(f"worker {team.index} of {team.size}: the chief at {chief} keeps the log and saves", flush=True)
                return connection
            why = "it closed the connection"
        except OSError as error:
            why = reason(error)
        if time.monotonic() > end:
            raise InputError(f"{team.name(0)} could not be reached for {JOIN_SECONDS:.0f} s ({why}); start it too")
        if not told:
            print(f"worker {team.index} of {team.size}: waiting for the chief at {chief} ({why})", flush=True)
            told = True
        time.sleep(0.5)


def _receive(team: Team) -> dict[int, socket.socket]:
    """The connections to all workers, when all are there."""
    try:
        server = socket.create_server(("", _place(team.addresses[0])[1]), backlog=team.size)
    except OSError as error:
        raise InputError(f"{team.addresses[0]}: this address of the chief cannot be used ({reason(error)})") from None
    found: dict[int, socket.socket] = {}
    end, next_word = time.monotonic() + JOIN_SECONDS, time.monotonic() + 1
    refused = None
    with server:
        server.settimeout(0.5)
        while len(found) < team.size - 1 and refused is None:
            with contextlib.suppress(TimeoutError):
                connection, _ = server.accept()
                refused = _admit(team, connection, found)
            absent = ", ".join(team.name(worker) for worker in range(1, team.size) if worker not in found)
            if time.monotonic() > end:
                refused = f"{absent} did not come within {JOIN_SECONDS:.0f} s; start all workers at about one time"
            elif absent and time.monotonic() > next_word:
                print(f"waiting for {absent}", flush=True)
                next_word = time.monotonic() + 60
    for connection in found.values():
        with contextlib.suppress(OSError):
            connection.sendall(json.dumps({"refused": refused} if refused else {"all": True}).encode() + b"\n")
    if refused:
        raise InputError(refused)
    return dict(sorted(found.items()))


def _admit(team: Team, connection: socket.socket, found: dict[int, socket.socket]) -> str | None:
    """Takes a worker in. Returns why the team cannot be, None if it can. Strangers are sent away."""
    connection.settimeout(5)
    with contextlib.suppress(OSError):
        hello = _line(connection) or {}
        worker, addresses = hello.get("worker"), hello.get("addresses")
        if type(worker) is not int or not isinstance(addresses, list):
            connection.close()
            return None
        twice = worker in found
        found[-1 if twice else worker] = connection
        if addresses != list(team.addresses):
            return (
                f"worker {worker} was started with the addresses {', '.join(map(str, addresses))}, the chief with "
                f"{', '.join(team.addresses)}; give all the same"
            )
        if twice or not 0 < worker < team.size:
            return f"worker {worker} was started twice; give each its own number (task index)"
    return None


def _line(connection: socket.socket) -> dict[str, Any] | None:
    """The next message; None if there is none, or it is no message of ours."""
    content = b""
    while not content.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte or len(content) > 1 << 16:
            return None
        content += byte
    try:
        message = json.loads(content)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
