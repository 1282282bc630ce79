"""Shards: they divide a list into whole batches, and their files are all there or the fault is named."""

from __future__ import annotations

import pytest

from pose_gan.data.shards import Shard, check_complete, check_none_works, files_of_shards, owner, shards_of
from pose_gan.errors import InputError


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("batch", [1, 4, 16])
@pytest.mark.parametrize("length", [0, 1, 15, 16, 100])
def test_shards_are_runs_of_whole_batches_that_make_up_the_list(length, batch, count):
    runs = [shard.rows(length, batch) for shard in shards_of(count)]
    assert [row for run in runs for row in run] == list(range(length))
    assert all(run.start % batch == 0 for run in runs if run)
    batches = [-(-len(run) // batch) for run in runs]
    assert max(batches) - min(batches) <= 1
    for shard, run in zip(shards_of(count), runs, strict=True):
        assert all(owner(row, length, batch, count) == shard for row in run)


def test_a_shard_is_one_of_its_number():
    for number, count in ((0, 2), (3, 2), (1, 0)):
        with pytest.raises(InputError, match=f"shard {number}/{count}: it must be K/N, with K from 1 to N"):
            Shard(number, count)


def test_files_of_shards_are_complete_or_the_missing_are_named(tmp_path):
    path = tmp_path / "scores.v1.npz"
    with pytest.raises(InputError, match=r"3 of 3 shards are missing: 1/3, 2/3, 3/3 .*succeeded deletes these files"):
        files_of_shards(path, 3)
    for shard in (Shard(1, 3), Shard(3, 3)):
        shard.path(path).touch()
    with pytest.raises(
        InputError, match=r"1 of 3 shards are missing: 2/3 \(no scores.v1.2-of-3.npz\); run .*--shard 2/3"
    ):
        files_of_shards(path, 3)
    Shard(2, 3).path(path).touch()
    (tmp_path / "scoresXv1.1-of-9.npz").touch()  # of another list
    assert [file.name for file in files_of_shards(path, 3)] == [f"scores.v1.{k}-of-3.npz" for k in (1, 2, 3)]
    with pytest.raises(
        InputError, match=r"scores.v1.1-of-3.npz: is of another number of shards than the 2 to be merged"
    ):
        files_of_shards(path, 2)


def test_missing_rows_are_counted_by_shard(tmp_path):
    check_complete(tmp_path, "strips", [], 10, 2, 3)
    with pytest.raises(
        InputError, match=r"3 of 10 strips are missing \(1 of shard 1/3, 2 of shard 3/3\); .*--shard 1/3"
    ):
        check_complete(tmp_path, "strips", [1, 6, 9], 10, 2, 3)


def test_a_shard_at_work_is_seen(tmp_path):
    with Shard(2, 3).alone(tmp_path):
        with pytest.raises(InputError, match=rf"shard 2/3 of {tmp_path}: in use by process"):
            check_none_works(tmp_path)
        with pytest.raises(InputError, match="shard 2/3"), Shard(2, 3).alone(tmp_path):
            pass
        with Shard(1, 3).alone(tmp_path):
            pass
    check_none_works(tmp_path)
    assert list(tmp_path.iterdir()) == []
