"""Peak memory of a call, measured in a separate process.

The result is the highest resident memory during the second and third call, less the resident memory just
before them (inputs, weights, the program itself). The process gives freed blocks back to the system at once,
so that neither the first call nor another form hides the memory that a call takes. For this, oneDNN must be
off, because its allocator keeps the memory that it once had. A form whose convolutions must run as usual is
measured `as_it_is`: from before its first call, compiling included.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# glibc maps blocks from 64 KB on, and unmaps them when they are freed; the free end of the heap goes back at once.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "TF_ENABLE_ONEDNN_OPTS": "0"}
PROCESSES = 2  # that run at the same time
CALLS = 2  # measured calls, after the first call
NOTE = (
    "memory: highest resident memory during a call less that just before it (inputs and weights are not counted), "
    "in a fresh process a form, with oneDNN off (its allocator keeps freed memory)"
)


@dataclass(frozen=True)
class Peak:
    """The highest memory in megabytes (2²⁰ bytes). call: of the call alone; process: of the whole process."""

    call: float
    process: float


@dataclass(frozen=True)
class Case:
    """The calls that a new process measures. It calls `factory` (`module:function`) with `arguments` (JSON values).

    The factory returns name → function without arguments; each function is measured separately.
    """

    factory: str
    arguments: dict[str, Any]
    as_it_is: bool = False


def peaks(cases: Sequence[Case], enabled: bool = True) -> list[dict[str, Peak]]:
    """The peaks of each case's functions; empty dicts if not `enabled` or if the system has no /proc.

    Processes that run side by side change only times, which are not measured here, but not memory.
    """
    if not enabled or not CLEAR.exists():
        return [{} for _ in cases]
    with ThreadPoolExecutor(PROCESSES) as threads:
        return list(threads.map(_measure_elsewhere, cases))


def _measure_elsewhere(case: Case) -> dict[str, Peak]:
    request = json.dumps(asdict(case))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", request],
        cwd=ROOT,
        env={**os.environ, **({} if case.as_it_is else GIVE_BACK)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {request} failed:\n{done.stderr[-2000:]}")
    return {name: Peak(**values) for name, values in json.loads(done.stdout.splitlines()[-1]).items()}


def _resident(field: str) -> float:
    """`VmRSS` (now) or `VmHWM` (the highest since `CLEAR`), megabytes."""
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"{STATUS} has no {field}")


def _measure(call: Callable[[], object], as_it_is: bool) -> dict[str, float]:
    if not as_it_is:
        call()  # compiles
    gc.collect()
    CLEAR.write_text("5", encoding="ascii")  # resets the highest value to the present one
    before = _resident("VmRSS")
    for _ in range(CALLS):
        call()
    highest = _resident("VmHWM")
    return {"call": highest - before, "process": highest}


def main(request: str) -> None:
    case = Case(**json.loads(request))
    module, _, function = case.factory.partition(":")
    calls = getattr(importlib.import_module(module), function)(**case.arguments)
    print(json.dumps({name: _measure(call, case.as_it_is) for name, call in calls.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
