"""One program at a time: whoever comes second is refused, and nobody is refused because of a dead one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import subprocess
import sys

import pytest
from checkout import ROOT

from pose_gan.errors import InputError
from pose_gan.files.lock import LOCK, only_program

HOLDER = """
import sys, pathlib
from pose_gan.files.lock import only_program
with only_program(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_who_is_there(tmp_path):
    path = tmp_path / LOCK
    with only_program(path):
        told = (
            rf"^{re.escape(str(tmp_path))}: in use by process {os.getpid()} on {re.escape(socket.gethostname())} since "
        )
        with (
            pytest.raises(
                InputError, match=told + r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d .*; wait .* or give another folder"
            ),
            only_program(path),
        ):
            pass
        with pytest.raises(InputError, match=r"^the table: in use by process"), only_program(path, what="the table"):
            pass
        with only_program(tmp_path / "another"):
            pass
    assert list(tmp_path.iterdir()) == []
    with only_program(path):
        pass


def test_an_error_releases_it(tmp_path):
    with pytest.raises(KeyError), only_program(tmp_path / LOCK):
        raise KeyError
    with only_program(tmp_path / LOCK):
        pass


def test_a_killed_program_does_not_block(tmp_path):
    path = tmp_path / LOCK
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"in use by process {holder.pid} on "), only_program(path):
            pass
    finally:
        holder.kill()
        holder.wait()
    assert f"process {holder.pid} " in path.read_text()  # it could not clean up
    with (
        only_program(path),
        pytest.raises(InputError, match=f"in use by process {os.getpid()} on "),
        only_program(path),
    ):
        pass


def test_it_does_not_outlive_the_folder(tmp_path):
    (tmp_path / "run").mkdir()
    with only_program(tmp_path / "run" / LOCK):
        (tmp_path / "run" / LOCK).unlink()
        (tmp_path / "run").rmdir()


def test_a_file_that_its_holder_is_just_deleting_is_not_taken(tmp_path, monkeypatch):
    """One opens the file, the holder deletes it, the one locks what is deleted, and a third makes a new file."""
    fcntl = pytest.importorskip("fcntl")
    lock, first = fcntl.flock, contextlib.ExitStack()
    first.enter_context(only_program(tmp_path / LOCK))

    def late(*arguments: object) -> None:
        first.close()
        lock(*arguments)

    monkeypatch.setattr(fcntl, "flock", late)
    with (
        only_program(tmp_path / LOCK),
        pytest.raises(InputError, match="in use by process"),
        only_program(tmp_path / LOCK),
    ):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_is_told_with_the_file(tmp_path):
    (tmp_path / LOCK).symlink_to("/dev/full")
    with pytest.raises(OSError, match=rf"'{re.escape(str(tmp_path / LOCK))}'"), only_program(tmp_path / LOCK):
        pass


def test_a_file_system_without_locks_does_not_stop_the_work(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def none(*arguments: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none)
    with only_program(tmp_path / LOCK):
        pass
