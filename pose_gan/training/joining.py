"""How processes that train together find one another: each connects to the first one, the *chief*, at its address.

It happens before TensorFlow starts, which takes over the ports afterwards. Strangers who come to them are sent away.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from pose_gan.errors import InputError, reason

JOIN_SECONDS = 600.0
"""How long workers wait for those that start late."""


def worker_name(addresses: Sequence[str], worker: int) -> str:
    return f"worker {worker} ({addresses[worker]})" + (", the chief," if worker == 0 else "")


def join(addresses: Sequence[str], index: int) -> dict[int, socket.socket]:
    """The connections of a worker: the chief's to all others, and those of others to the chief.

    Args:
        addresses: `host:port` of each worker, the chief first.
        index: the number of this process.
    Raises: InputError: a worker does not come in time, was started with other addresses, or has a number that another
        one has; the port of this worker is taken.
    """
    with _own_port(addresses, index) as port:
        return {0: _call(addresses, index)} if index else _receive(addresses, port)


def check_names(addresses: Sequence[str]) -> None:
    """Raises InputError if this machine does not know the name of another one. It is called when all are there."""
    for worker, address in enumerate(addresses):
        try:
            socket.getaddrinfo(*_place(address))
        except OSError as error:
            raise InputError(
                f"{worker_name(addresses, worker)} has an address that this machine does not know ({reason(error)}); "
                "all machines need to know the names of all"
            ) from None


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _own_port(addresses: Sequence[str], index: int) -> socket.socket:
    """Holds the port of a worker. Raises InputError: another program has it."""
    host, port = _place(addresses[index])
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if os.name == "posix":  # what is left of an earlier run's connections does not count; on Windows, nothing would
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("", port))
    except OSError as error:
        held.close()
        raise InputError(
            f"{worker_name(addresses, index)} cannot have its port ({reason(error)}); another program has it, or this "
            "worker was started twice: end the other one, or give all workers another port for this one"
        ) from None
    return held


def _call(addresses: Sequence[str], index: int) -> socket.socket:
    """The connection to the chief, when all workers are there."""
    me, end, told = f"worker {index} of {len(addresses)}", time.monotonic() + JOIN_SECONDS, False
    while True:
        try:
            connection = socket.create_connection(_place(addresses[0]), timeout=5)
            connection.sendall(json.dumps({"worker": index, "addresses": addresses}).encode() + b"\n")
            answer = _line(connection, JOIN_SECONDS)
            if answer is not None:
                if "refused" in answer:
                    raise InputError(answer["refused"])
                print(f"{me}: the chief at {addresses[0]} keeps the log and saves", flush=True)
                return connection
            why = "it closed the connection"
        except OSError as error:
            why = reason(error)
        if time.monotonic() > end:
            chief = worker_name(addresses, 0)
            raise InputError(f"{chief} could not be reached for {JOIN_SECONDS:.0f} s ({why}); start it too")
        if not told:
            print(f"{me}: waiting for the chief at {addresses[0]} ({why})", flush=True)
            told = True
        time.sleep(0.5)


def _receive(addresses: Sequence[str], port: socket.socket) -> dict[int, socket.socket]:
    """The connections to all workers, when all are there."""
    found: dict[int, socket.socket] = {}
    end, next_word = time.monotonic() + JOIN_SECONDS, time.monotonic() + 1
    refused = None
    port.listen(len(addresses))
    port.settimeout(0.5)
    while len(found) < len(addresses) - 1 and refused is None:
        connection = None
        with contextlib.suppress(TimeoutError):
            connection, _ = port.accept()
        found = {worker: held for worker, held in found.items() if _is_open(held)}  # some may have left again
        if connection is not None:
            refused = _admit(addresses, connection, found)
        absent = ", ".join(worker_name(addresses, each) for each in range(1, len(addresses)) if each not in found)
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


def _admit(addresses: Sequence[str], connection: socket.socket, found: dict[int, socket.socket]) -> str | None:
    """Takes a worker in. Returns why the team cannot be, None if it can. Strangers are sent away."""
    with contextlib.suppress(OSError):
        hello = _line(connection, 5) or {}
        worker, theirs = hello.get("worker"), hello.get("addresses")
        if type(worker) is not int or not isinstance(theirs, list):
            connection.close()
            return None
        twice = worker in found
        found[-1 if twice else worker] = connection
        if theirs != list(addresses):
            return (
                f"worker {worker} was started with the addresses {', '.join(map(str, theirs))}, the chief with "
                f"{', '.join(addresses)}; give all the same"
            )
        if twice or not 0 < worker < len(addresses):
            return f"worker {worker} was started twice; give each its own number (task index)"
    return None


def _is_open(connection: socket.socket) -> bool:
    """Whether a worker that has joined, and has nothing to say yet, is still there."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        connection.setblocking(True)


def _line(connection: socket.socket, seconds: float) -> dict[str, Any] | None:
    """The next message; None if there is none, or it is no message of ours. Raises OSError: it takes too long."""
    content, end = b"", time.monotonic() + seconds
    while not content.endswith(b"\n"):
        connection.settimeout(max(end - time.monotonic(), 0.01))
        byte = connection.recv(1)
        if not byte or len(content) > 1 << 16:
            return None
        content += byte
    try:
        message = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
