"""Gives damaged and hostile files to the readers of the package for a given time, and reports what went wrong.

    python tests/fuzz.py --minutes 60 --seed 1 --folder fuzz

Every reader must either take a file or raise InputError, within `HANG` seconds, without a touch of any file, and
without the start of a program or a connection. Each input that a reader fails on is kept in FOLDER/found with the
traceback, and `python tests/fuzz.py --repeat FOLDER/found/NAME` gives it to the readers again. The exit status is 1 if
there is one.

The readers run in a process of their own, since a library that parses files may abort it. Hypothesis draws the
damages; `tests/fuzzing/` says what they are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

HANG = 180.0  # seconds for one input; a busy machine needs some
SHIFT = 240.0  # seconds after which the process with the readers is replaced, for TensorFlow's memory grows
SLICE = 4.0  # seconds for one kind of files before the next one's turn
MEMORY = 8 << 30  # bytes that the readers may take
KEPT = 3  # inputs of one fault that are kept

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
TOUCHING = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.link", "os.symlink", "os.truncate"}
FORBIDDEN = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect", "socket.getaddrinfo"}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, metavar="M", help="time (default: 1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all choices (default: 0)")
    parser.add_argument("--folder", type=Path, help="for inputs that fail and the report; a new one (default: none)")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="end after N batches of every kind, whatever the time (default: go on)"
    )
    parser.add_argument(
        "--batch", type=int, default=8, metavar="N", help="inputs of one call of Hypothesis (default: 8)"
    )
    parser.add_argument("--kinds", nargs="+", metavar="NAME", help="only these kinds of files, such as generator.h5")
    parser.add_argument("--repeat", type=Path, metavar="FOUND", help="give an input that was kept to its readers again")
    parser.add_argument("--work", type=float, help=argparse.SUPPRESS)  # this is the process with the readers
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if args.repeat:
        return repeat(args.repeat)
    if args.work is not None:
        work(args)
        return 0
    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=bool(args.folder is None))
        counts = fuzz(folder.resolve(), args)
        print(table(counts))
        (folder / "report.json").write_text(json.dumps(counts, indent=2) + "\n")
    return int(any(row["found"] for row in counts.values()))


# ------------------------------------------------------------------------- the process that watches


def fuzz(folder: Path, args: argparse.Namespace) -> dict[str, dict[str, int]]:
    """Runs the readers for a time, or in one process for some rounds.

    Returns: for each kind of files how many inputs were read, refused and found.
    """
    counts: dict[str, dict[str, int]] = {}
    end, shift = time.monotonic() + 60 * args.minutes, 0
    while (left := end - time.monotonic()) > 0 and not (args.rounds and shift):
        for note in _notes(folder, args.seed + 1000 * shift, SHIFT if args.rounds else min(left, SHIFT), args):
            row = counts.setdefault(note["kind"], dict.fromkeys(("inputs", "read", "refused", "not made", "found"), 0))
            row["inputs"] += 1
            row[note["outcome"]] += 1
            if note["outcome"] == "found":
                print(f"{note['kind']}: {note['what']}", flush=True)
        shift += 1
    return counts


def _notes(folder: Path, seed: int, seconds: float, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What one process with the readers says of each input. If it dies or hangs, that is said of the last one."""
    home = folder / "home"  # the current folder and HOME of the readers, so that what they touch is seen
    for part in (home, folder / "temporary", folder / "found"):
        part.mkdir(exist_ok=True)
    (home / "file").write_text("untouched")
    command = [sys.executable, __file__, "--work", str(seconds), "--seed", str(seed), "--folder", str(folder)]
    command += ["--batch", str(args.batch)]
    command += ["--rounds", str(args.rounds)] if args.rounds else []
    command += ["--kinds", *args.kinds] if args.kinds else []
    settings = {"HOME": str(home), "TMPDIR": str(folder / "temporary"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (folder / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=home, env=os.environ | settings, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    last: dict[str, Any] = {}
    try:
        for line in _lines(process):
            note = json.loads(line)
            last = note if note["outcome"] == "begun" else {}
            if not last:
                yield note
        how = f"the process ended with status {process.wait()}" if process.poll() is not None else f"hangs for {HANG} s"
    finally:
        process.kill()
        process.wait()
    if last:
        tail = (folder / "errors.txt").read_text(errors="replace")[-3000:]
        keep(folder, last["kind"], how, tail)
        yield {"kind": last["kind"], "outcome": "found", "what": how}
    elif process.returncode not in (0, -9):
        raise RuntimeError((folder / "errors.txt").read_text(errors="replace")[-3000:])


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """The lines of a process' output that are notes, until it ends, or says nothing for `HANG` seconds."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        os.set_blocking(process.stdout.fileno(), False)
        rest = ""
        while selector.select(timeout=HANG):
            chunk = process.stdout.read()
            if chunk == "":
                process.wait()
                return
            *lines, rest = (rest + (chunk or "")).split("\n")
            yield from (line for line in lines if line.startswith('{"kind"'))


def keep(folder: Path, kind: str, what: str, details: str) -> None:
    """Keeps the present input with what went wrong; of one fault only the first ones."""
    alike = [path for path in (folder / "found").glob("*/fault.txt") if path.read_text() == f"{kind}: {what}"]
    if len(alike) >= KEPT:
        return
    target = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=folder / "found"))
    shutil.copytree(folder / "input", target / "input", symlinks=True)
    (target / "fault.txt").write_text(f"{kind}: {what}")
    (target / "details.txt").write_text(details)


def table(counts: dict[str, dict[str, int]]) -> str:
    heads = ("inputs", "read", "refused", "not made", "found")
    total = {head: sum(row[head] for row in counts.values()) for head in heads}
    rows = [("kind", *heads), *((kind, *map(str, row.values())) for kind, row in counts.items())]
    rows.append(("all", *(str(total[head]) for head in heads)))
    return "\n".join(f"{row[0]:<26}" + "".join(f"{cell:>10}" for cell in row[1:]) for row in rows)


# -------------------------------------------------------------------------- the process with the readers


class Watch:
    """Sees what the process does with files, programs and connections while `on`."""

    def __init__(self, allowed: str) -> None:
        self.on = False
        self.seen: list[str] = []
        self._allowed = (allowed, "/dev/null")
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        first = arguments[0] if arguments else ""
        writes = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & WRITING)
        if writes or event in TOUCHING:
            path = os.fsdecode(first) if isinstance(first, (str, bytes, os.PathLike)) else ""
            if path and not os.path.abspath(path).startswith(self._allowed):
                self.seen.append(f"{event} {path}")
        elif event in FORBIDDEN:
            self.seen.append(f"{event} {first}")


def work(args: argparse.Namespace) -> None:
    """Gives inputs of all kinds in turn to their readers, and says on the output what came of each."""
    folder, seed = args.folder, args.seed
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import keras
    from fuzzing.cases import CASES, write_seeds

    if not (folder / "seeds").exists():
        write_seeds(folder / "seeds.new")
        (folder / "seeds.new").rename(folder / "seeds")
    cases = [case for case in CASES if not args.kinds or case.name in args.kinds]
    watch, end = Watch(str(folder / "temporary")), float("inf") if args.rounds else time.monotonic() + args.work
    turn = first = seed % 997  # another kind begins in every shift
    while time.monotonic() < end and not (args.rounds and turn == first + args.rounds * len(cases)):
        case, slice_end = cases[turn % len(cases)], min(end, time.monotonic() + (0 if args.rounds else SLICE))
        while True:
            seed += 1
            _batch(seed, args.batch, lambda draw, case=case: time.monotonic() > end or _one(case, folder, draw, watch))
            if time.monotonic() >= slice_end:
                break
        keras.backend.clear_session()
        turn += 1


def _batch(seed: int, size: int, one: Callable[[Callable[[Any], Any]], Any]) -> None:
    """Calls a function `size` times, each time with another `draw`, which draws from strategies of Hypothesis."""
    import hypothesis
    from hypothesis import strategies as st
    from hypothesis.errors import Flaky

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=size,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=[*hypothesis.HealthCheck.__members__.values()],
    )
    @hypothesis.given(st.data())
    def run(data: st.DataObject) -> None:
        one(data.draw)

    with contextlib.suppress(Flaky):  # it minds that the time is over in the midst of a batch
        run()


def _one(case: Any, folder: Path, draw: Callable[[Any], Any], watch: Watch) -> None:
    """Makes one input, gives it to the readers, and says what came of it."""
    shutil.rmtree(folder / "input", ignore_errors=True)
    (folder / "input").mkdir()
    try:
        path = case.damaged(folder / "seeds", folder / "input", draw)
    except Exception:  # mostly of h5py: not every change can be made
        _say(case.name, "not made")
        return
    _say(case.name, "begun")
    before, outcome = _state(folder), "refused"
    for reader in case.readers:
        fault = try_reader(reader, path, watch)
        if fault is None:
            outcome = "read"
        elif fault[0] != "InputError":
            keep(folder, case.name, *fault)
            _say(case.name, "found", fault[0])
            return
    if _state(folder) != before:
        keep(folder, case.name, "touched a file", "")
        _say(case.name, "found", "touched a file")
        return
    _say(case.name, outcome)


def try_reader(reader: Callable[[Path], Any], path: Path, watch: Watch) -> tuple[str, str] | None:
    """Why a reader did not read a file, and details; `InputError` if it refused it as it should; None: it read it."""
    from pose_gan.errors import InputError

    fault = None
    watch.on = True
    try:
        reader(path)
    except InputError as error:
        fault = ("InputError", str(error))
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        fault = (f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}", traceback.format_exc())
    finally:
        watch.on = False
    if watch.seen:
        fault = (f"did {watch.seen[0]}", "\n".join(watch.seen))
        watch.seen.clear()
    return fault


def _say(kind: str, outcome: str, what: str = "") -> None:
    print(json.dumps({"kind": kind, "outcome": outcome, "what": what}), flush=True)


def _state(folder: Path) -> list[tuple[str, int, int]]:
    """The names, sizes and times of the input and of the files that nothing may touch."""
    paths = [path for part in ("input", "home") for path in (folder / part).rglob("*")]
    return sorted((str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths)


def repeat(found: Path) -> int:
    """Gives a kept input to its readers again, and prints what they do."""
    from fuzzing.cases import CASES

    (path,) = (found / "input").iterdir()
    case, watch = next(case for case in CASES if case.name == path.name), Watch(tempfile.gettempdir())
    status = 0
    for reader in case.readers:
        fault = try_reader(reader, path, watch)
        print(f"{getattr(reader, '__name__', reader)}: {'read' if fault is None else fault[0]}")
        print(fault[1] if fault else "")
        status |= fault is not None and fault[0] != "InputError"
    return status


if __name__ == "__main__":
    sys.exit(main())
