"""Programs that begin together take turns in a folder."""

from __future__ import annotations

import threading
import time

import pytest

from pose_gan.evaluation.processes import in_turn


def test_those_who_begin_together_take_turns(tmp_path):
    inside, seen, said = [], [], []

    def work(number):
        with in_turn(tmp_path, said.append):
            inside.append(number)
            time.sleep(0.01)
            seen.append(tuple(inside))
            inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [(0,), (1,), (2,), (3,)]
    assert all(line.startswith(f"waiting: {tmp_path}: in use by process") for line in said)
    assert list(tmp_path.iterdir()) == []


def test_what_the_block_raises_is_no_reason_to_wait(tmp_path):
    with pytest.raises(ValueError, match="mine"), in_turn(tmp_path, print):
        raise ValueError("mine")
    with pytest.raises(FileNotFoundError), in_turn(tmp_path / "none", print):
        pass
