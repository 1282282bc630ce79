"""Real processes on this machine that train together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("worker_program.py")
LIMIT = 120  # seconds, after which everything is killed


@dataclass
class Ended:
    """How a process ended: its exit status (a signal is negative), what it printed, and when."""

    status: int
    text: str
    seconds: float


def addresses(count: int) -> list[str]:
    held = [socket.create_server(("localhost", 0)) for _ in range(count)]
    found = [f"localhost:{server.getsockname()[1]}" for server in held]
    for server in held:
        server.close()
    return found


class Workers:
    """Starts `pose-gan train` once for each worker.

    Args:
        folder: where their outputs go.
        flags: of all workers.
        own: flags of each worker besides; its length is the number of workers.
        fates: what happens to each; see `worker_program.py`.
        places: the addresses that each worker is told; default: free ones.
        late: seconds between the starts.
        program: what gets the flags.
    """

    def __init__(
        self,
        folder: Path,
        flags: Sequence[str],
        own: Sequence[Sequence[str]] = ((), ()),
        fates: dict[int, dict[str, Any]] | None = None,
        places: Sequence[Sequence[str]] | None = None,
        late: float = 0,
        program: Sequence[str] = (str(PROGRAM), "train"),
    ) -> None:
        common = addresses(len(own))
        self.processes, self.outputs, self.began = [], [], time.monotonic()
        for index, more in enumerate(own):
            cluster = {"worker": list(places[index] if places else common)}
            environment = {
                **os.environ,
                "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
                "FATE": json.dumps((fates or {}).get(index, {})),
            }
            if len(own) == 1:
                environment.pop("TF_CONFIG")
            self.outputs.append(folder / f"worker-{time.monotonic_ns()}.txt")
            with self.outputs[-1].open("wb") as output:
                command = [sys.executable, *program, *flags, *more]
                self.processes.append(
                    subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
                )
            time.sleep(late)

    def text(self, index: int) -> str:
        return self.outputs[index].read_text(errors="replace")

    def wait_for(self, index: int, word: str) -> None:
        end = time.monotonic() + LIMIT
        while word not in self.text(index):
            assert time.monotonic() < end, self.text(index)
            assert self.processes[index].poll() is None, self.text(index)
            time.sleep(0.05)

    def ended(self) -> list[Ended]:
        """Waits until all have ended; those that do not are killed, and their status says so."""
        found: dict[int, Ended] = {}
        end = time.monotonic() + LIMIT
        while len(found) < len(self.processes):
            for index, process in enumerate(self.processes):
                if index not in found and process.poll() is not None:
                    found[index] = Ended(process.returncode, self.text(index), time.monotonic() - self.began)
                elif index not in found and time.monotonic() > end:
                    process.send_signal(signal.SIGKILL)
            time.sleep(0.05)
        return [found[index] for index in range(len(found))]
