"""Checkpoints: whole or not there, whatever happens; damaged ones are passed over and kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from crashes import every_crash

from pose_gan.errors import InputError
from pose_gan.model_files.run_folder import checkpoints_in, latest_checkpoint, step_of
from pose_gan.training.checkpoint import (
    DamagedCheckpointError,
    restore_checkpoint,
    restore_newest,
    save_checkpoint,
    settle,
)


class Cell:
    """A variable of three numbers."""

    shape = (3,)

    def __init__(self, value: float = 0) -> None:
        self.assign(np.full(3, float(value)))

    def assign(self, value: np.ndarray) -> None:
        self.value = np.asarray(value)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self.value


def save(folder: Path, step: int, keep: int = 0, value: float | None = None) -> Path:
    """A checkpoint whose numbers are those of the step."""
    cells = {"network": [Cell(step if value is None else value)]}
    return save_checkpoint(folder, step, {}, cells, {"position": 10 * step}, keep)  # pyright: ignore[reportArgumentType]


def restored(folder: Path) -> SimpleNamespace | None:
    """What the newest whole checkpoint holds."""
    cell = Cell()
    found = restore_newest(folder, {"network": [cell]})  # pyright: ignore[reportArgumentType]
    if found is None:
        return None
    return SimpleNamespace(found=found, step=found.state["step"], value=cell.value[0], name=found.path.name)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process; this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_at_any_kill_the_newest_checkpoint_is_whole(tmp_path):
    """A kill before each file operation of two savings; the second deletes an old and an abandoned checkpoint."""
    before = tmp_path / "before"
    for step in (1, 2, 5):
        save(before, step)
    (before / "LAST").write_text("step-00000002\n")
    (before / "step-00000005" / "generator.h5").touch()  # of an abandoned future
    folder = tmp_path / "now"
    shutil.copytree(before, folder)
    seen = set()
    for _ in every_crash(lambda: (save(folder, 4, keep=2), save(folder, 5, keep=2))):
        assert all(len(list(path.iterdir())) >= 2 for path in checkpoints_in(folder)), "half a checkpoint"
        newest = restored(folder)
        assert newest is not None
        assert newest.found.damaged == {}
        assert (folder / newest.name / "state.json").exists()
        assert (folder / "LAST").read_text().strip() == newest.name, "LAST names what stands"
        assert newest.value == newest.step
        assert newest.step in (2, 4, 5)
        seen.add(newest.step)
        assert step_of(save(folder, 6, keep=1)) == 6  # and saving goes on
        assert names(folder) == ["LAST", "step-00000006"]
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
    assert seen == {2, 4, 5}


def test_the_name_of_a_checkpoint_is_its_step_as_a_number(tmp_path):
    for step in (2, 99_999_999, 100_000_000, 3):
        save(tmp_path, step)
    assert (tmp_path / "LAST").read_text() == "step-00000003\n"
    (tmp_path / "LAST").unlink()
    assert latest_checkpoint(tmp_path) == tmp_path / "step-100000000"
    assert [step_of(path) for path in checkpoints_in(tmp_path)] == [2, 3, 99_999_999, 100_000_000]


@pytest.mark.parametrize("last", ["", "step-00000007", "step-notes", "elsewhere/step-00000001", "..", b"\xff\xfe"])
def test_last_may_name_what_is_not_there(tmp_path, last):
    """Saving and reading take the highest step then."""
    folder = tmp_path / "run"
    (tmp_path / "elsewhere").mkdir()
    assert latest_checkpoint(folder) is None
    for step in (1, 2):
        save(folder, step)
    (folder / "step-notes").mkdir()
    (folder / "LAST").write_bytes(last if isinstance(last, bytes) else last.encode())
    assert latest_checkpoint(folder) == folder / "step-00000002"
    assert save(folder, 3) == latest_checkpoint(folder)
    shutil.rmtree(folder / "step-00000003")
    assert save(folder, 4, keep=2) == latest_checkpoint(folder)
    assert [step_of(path) for path in checkpoints_in(folder)] == [2, 4]


def test_keep_deletes_old_checkpoints_and_nothing_else(tmp_path):
    others = ["step-notes", "step-0000000x", "steps", "step-"]
    for name in others:
        (tmp_path / name).mkdir()
    (tmp_path / "step-00000000").write_text("a file")
    for step in (1, 2, 3, 9, 4):
        save(tmp_path, step)
    assert save(tmp_path, 5, keep=2) == latest_checkpoint(tmp_path)
    assert [step_of(path) for path in checkpoints_in(tmp_path)] == [4, 5, 9]  # 9 is newer than what is kept
    save(tmp_path, 6, keep=1)
    assert [step_of(path) for path in checkpoints_in(tmp_path)] == [6, 9]
    save(tmp_path, 7, keep=0)
    assert [step_of(path) for path in checkpoints_in(tmp_path)] == [6, 7, 9]
    newest = restored(tmp_path)
    assert newest is not None
    settle(newest.found, keep=2)  # as if the last saving had been killed before it deleted
    assert [step_of(path) for path in checkpoints_in(tmp_path)] == [6, 7, 9]
    save(tmp_path, 1)
    save(tmp_path, 7, value=0)
    newest = restored(tmp_path)
    assert newest is not None
    settle(newest.found, keep=2)
    assert [step_of(path) for path in checkpoints_in(tmp_path)] == [6, 7, 9]
    save(tmp_path, 8, keep=50)
    assert [step_of(path) for path in checkpoints_in(tmp_path)] == [6, 7, 8, 9]
    assert {*others, "step-00000000"} < set(names(tmp_path))


def test_a_linked_checkpoint_does_not_stop_the_saving(tmp_path):
    folder = tmp_path / "run"
    save(folder, 1)
    (folder / "step-00000001").rename(tmp_path / "elsewhere")
    (folder / "step-00000001").symlink_to(tmp_path / "elsewhere")
    save(folder, 2, keep=1)
    assert names(tmp_path / "elsewhere") == ["state.json", "variables.npz"]


def test_steps_after_an_older_checkpoint_are_written_anew(tmp_path):
    for step in (1, 2):
        save(tmp_path, step)
    (tmp_path / "LAST").write_text("step-00000001")
    save(tmp_path, 2, value=7)
    newest = restored(tmp_path)
    assert newest is not None
    assert (newest.step, newest.value) == (2, 7)


def test_the_step_that_is_saved_is_not_saved_twice(tmp_path):
    save(tmp_path, 1)
    before = (tmp_path / "step-00000001" / "variables.npz").stat().st_mtime_ns
    save(tmp_path, 1, value=7)
    assert (tmp_path / "step-00000001" / "variables.npz").stat().st_mtime_ns == before


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """One bit of a number."""
    content = bytearray(path.read_bytes())
    place = bytes(content).index(np.full(3, 3.0).tobytes()) + 5
    content[place] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "no variables": lambda folder: (folder / "variables.npz").unlink(),
    "half of the variables": lambda folder: cut(folder / "variables.npz"),
    "empty variables": lambda folder: (folder / "variables.npz").write_bytes(b""),
    "one bit": lambda folder: flip(folder / "variables.npz"),
    "no state": lambda folder: (folder / "state.json").unlink(),
    "half of the state": lambda folder: cut(folder / "state.json"),
    "another state": lambda folder: (folder / "state.json").write_text("[]"),
    "a state without a step": lambda folder: (folder / "state.json").write_text('{"position": 3}'),
    "state of bytes": lambda folder: (folder / "state.json").write_bytes(b"\xff\xfe"),
    "nothing": lambda folder: [path.unlink() for path in folder.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_and_kept(tmp_path, damage):
    for step in (1, 2, 3):
        save(tmp_path, step)
    DAMAGES[damage](tmp_path / "step-00000003")
    left = names(tmp_path / "step-00000003")
    newest = restored(tmp_path)
    assert newest is not None
    assert (newest.step, newest.value) == (2, 2)
    assert "step-00000003" in names(tmp_path)  # nothing has been touched yet
    (said,) = settle(newest.found)
    assert "step-00000003: a damaged checkpoint (" in said
    assert "it is kept as damaged-step-00000003, and the run goes on from step-00000002" in said
    assert names(tmp_path) == ["LAST", "damaged-step-00000003", "step-00000001", "step-00000002"]
    assert names(tmp_path / "damaged-step-00000003") == left
    assert latest_checkpoint(tmp_path) == tmp_path / "step-00000002"
    save(tmp_path, 3, keep=1)
    DAMAGES[damage](tmp_path / "step-00000003")
    save(tmp_path, 2)
    newest = restored(tmp_path)
    assert newest is not None
    assert newest.found.damaged == {}
    assert settle(newest.found) == []


def test_the_checkpoint_before_becomes_the_last_one(tmp_path):
    """Also where there are later steps, which are those of a run that was continued from an older checkpoint."""
    for step in (1, 5, 3):
        save(tmp_path, step)
    (tmp_path / "step-00000003" / "state.json").unlink()
    newest = restored(tmp_path)
    assert newest is not None
    assert newest.step == 1
    settle(newest.found)
    assert latest_checkpoint(tmp_path) == tmp_path / "step-00000001"
    assert (tmp_path / "LAST").read_text() == "step-00000001\n"


def test_two_that_are_damaged_at_the_same_step_are_both_kept(tmp_path):
    for turn in range(3):
        for step in (1, 2):
            save(tmp_path, step)
        (tmp_path / "step-00000002" / "state.json").write_text(str(turn))
        newest = restored(tmp_path)
        assert newest is not None
        settle(newest.found)
    kept = [tmp_path / f"damaged-step-00000002{tail}" / "state.json" for tail in ("", "-2", "-3")]
    assert [path.read_text() for path in kept] == ["0", "1", "2"]


def test_the_one_before_the_last_is_next_and_later_ones_come_at_the_end(tmp_path):
    """Later steps than the last one are those of a run that was continued from an older checkpoint."""
    for step in (1, 2, 3, 4):
        save(tmp_path, step)
    (tmp_path / "LAST").write_text("step-00000003")
    found = []
    for _ in range(4):
        newest = restored(tmp_path)
        assert newest is not None
        found.append(newest.step)
        (newest.found.path / "state.json").unlink()
    assert found == [3, 2, 1, 4]
    with pytest.raises(
        InputError, match=r"no checkpoint is whole: .*step-00000003.*00000002.*00000001.*00000004.*begin"
    ):
        restored(tmp_path)
    assert names(tmp_path) == ["LAST", *(f"step-0000000{step}" for step in (1, 2, 3, 4))]  # nothing is renamed


def test_a_checkpoint_of_other_settings_is_not_a_damaged_one(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        (
            {"network": [Cell(), Cell()]},
            r"step-00000002: holds 1 variables, the run's networks have 2; it was made with",
        ),
        ({"network": [SimpleNamespace(shape=(4,))]}, r"step-00000002: network/0 has shape \(3,\), expected \(4,\)"),
    )
    for variables, message in cases:
        with pytest.raises(InputError, match=f"^{tmp_path}/{message}") as caught:
            restore_newest(tmp_path, variables)
        assert not isinstance(caught.value, DamagedCheckpointError)


def test_what_fails_while_variables_are_set_is_no_damage(tmp_path):
    class Full(Cell):
        def assign(self, value: np.ndarray) -> None:
            if value.any():
                raise RuntimeError("the accelerator's memory is full")
            super().assign(value)

    save(tmp_path, 1)
    with pytest.raises(RuntimeError, match="the accelerator's memory is full"):
        restore_newest(tmp_path, {"network": [Full()]})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("content", [b"", b"text", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_damage_is_named_with_its_checkpoint(tmp_path, content):
    for name in ("variables.npz", "state.json"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match=f"{tmp_path}: a damaged checkpoint"):
        restore_checkpoint(tmp_path, {})
    (tmp_path / "state.json").write_text(json.dumps({"step": 1, "position": 2}))
    with pytest.raises(DamagedCheckpointError, match=f"{tmp_path}: a damaged checkpoint"):
        restore_checkpoint(tmp_path, {})


def test_a_saving_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "LAST").write_text("step-00000001")

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match=r"No space left on device: .*step-00000002"):
        save(tmp_path, 2)
    assert names(tmp_path) == ["LAST", "step-00000001", "step-00000002"]
    newest = restored(tmp_path)
    assert newest is not None
    assert newest.value == 1
