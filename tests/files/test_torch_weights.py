"""Files of PyTorch, read without it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from checkout import ROOT

from pose_gan.errors import InputError
from pose_gan.files.torch_weights import read_state

RECORDED = ROOT / "tests/recordings"


@pytest.mark.parametrize("name", ["state.pth", "state_older.pth"])
def test_both_kinds_of_files(name):
    state = read_state(RECORDED / name)
    assert list(state) == ["a.weight", "a.turned", "b.half", "b.count"]
    np.testing.assert_array_equal(state["a.weight"], np.arange(24.0, dtype=np.float32).reshape(2, 3, 4))
    np.testing.assert_array_equal(state["a.turned"], np.arange(6.0).reshape(2, 3).T)  # by its strides
    np.testing.assert_array_equal(state["b.half"], np.arange(3, dtype=np.float16) / 4)
    assert state["b.count"] == 5
    assert state["a.weight"].dtype == np.float32


class Hostile:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (self.mark, "w"))


def test_nothing_of_a_file_is_run(tmp_path):
    path, mark = tmp_path / "w.pth", tmp_path / "mark"
    with path.open("wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {}, {"a": Hostile(str(mark))}, []):
            pickle.dump(value, file, protocol=2)
    with pytest.raises(InputError, match=r"w\.pth: damaged, or not a file of PyTorch weights: it holds .*open"):
        read_state(path)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["state.pth", "state_older.pth"])
def test_damaged_files(tmp_path, name):
    whole = (RECORDED / name).read_bytes()
    path = tmp_path / "w.pth"
    for size in range(0, len(whole) - 1, 61):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"w\.pth: damaged, or not a file of PyTorch weights"):
            read_state(path)
    with pytest.raises(InputError, match=r"none\.pth: no such file of weights"):
        read_state(tmp_path / "none.pth")


def test_tensors_that_reach_beyond_their_data_are_refused(tmp_path):
    whole = (RECORDED / "state_older.pth").read_bytes()
    path = tmp_path / "w.pth"
    # the shape (2, 3, 4) stands in the pickle as K\x02K\x03K\x04
    assert whole.count(b"K\x02K\x03K\x04") == 1
    path.write_bytes(whole.replace(b"K\x02K\x03K\x04", b"K\x02K\x03K\x7f"))
    with pytest.raises(InputError, match=r"a\.weight reaches beyond its data"):
        read_state(path)
