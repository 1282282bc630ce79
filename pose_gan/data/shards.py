"""Shards: the shares of a work that several programs do independently, and the files that these leave for the merge.

A list of N items is divided into batches, and a shard is a run of whole batches, so that it computes what a program
that does all of them computes, to the last bit. The results of the shards 1, 2, … in this order are in the order of the
list. What a shard leaves for the merge has its number in its name: `metrics.2-of-3.npz` is of the shard 2/3.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pose_gan.errors import InputError
from pose_gan.files.lock import LOCK, only_program


@dataclass(frozen=True)
class Shard:
    """The share of one of several programs, which write into one folder, or into folders of their own.

    Attributes:
        number: which share, from 1 on.
        count: number of shares.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InputError(f"shard {self}: it must be K/N, with K from 1 to N, such as 1/4")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def tag(self) -> str:
        """The shard in names of files: `2-of-3`."""
        return f"{self.number}-of-{self.count}"

    def rows(self, length: int, batch: int = 1) -> range:
        """The rows of this shard in a list; none, if there are fewer batches than shards.

        Args:
            length: number of items.
            batch: items per batch; the last batch may have fewer.
        """
        batches = -(-length // batch)
        first, stop = (batch * (place * batches // self.count) for place in (self.number - 1, self.number))
        return range(min(first, length), min(stop, length))

    def path(self, path: Path) -> Path:
        """The file of this shard whose merge has the name `path`: `metrics.2-of-3.npz` of `metrics.npz`."""
        return path.with_name(f"{path.stem}.{self.tag}{path.suffix}")

    @contextlib.contextmanager
    def alone(self, folder: Path) -> Iterator[None]:
        """Holds the lock of this shard in a folder. Raises InputError: another program does this shard there."""
        with only_program(folder / f".{self.tag}{LOCK}", f"shard {self} of {folder}"):
            yield


def shards_of(count: int) -> list[Shard]:
    """All of `count` shards, in order."""
    return [Shard(number, count) for number in range(1, count + 1)]


def owner(row: int, length: int, batch: int, count: int) -> Shard:
    """The one of `count` shards that has a row of a list of `length` items in batches of `batch`."""
    return next(shard for shard in shards_of(count) if row in shard.rows(length, batch))


def check_complete(folder: Path, what: str, missing: Sequence[int], length: int, batch: int, count: int) -> None:
    """Raises InputError if rows of a list are missing in a folder; the message says of which shards they are.

    Args:
        folder: where they should be.
        what: what a row of the list is, in the plural: `strips`.
        missing: the rows.
        length, batch, count: as of `owner`.
    """
    if not missing:
        return
    owners = Counter(owner(row, length, batch, count) for row in missing)
    told = ", ".join(f"{number:,} of shard {shard}" for shard, number in owners.items())
    raise InputError(
        f"{folder}: {len(missing):,} of {length:,} {what} are missing ({told}); run the command with --shard "
        f"{next(iter(owners))}, or copy its files into this folder"
    )


def files_of_shards(path: Path, count: int) -> list[Path]:
    """The files that `count` shards left for the merge `path`, in order.

    Raises: InputError: shards are missing, or there are files of another number of shards.
    """
    pattern = re.compile(rf"{re.escape(path.stem)}\.\d+-of-(\d+){re.escape(path.suffix)}")
    there = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    found = sorted((match[0], int(match[1])) for name in there if (match := pattern.fullmatch(name)))
    if foreign := [name for name, of in found if of != count]:
        raise InputError(
            f"{path.parent / foreign[0]}: is of another number of shards than the {count} to be merged; delete it, or "
            "give the number of shards that were made"
        )
    if missing := [shard for shard in shards_of(count) if not shard.path(path).is_file()]:
        merged = "; a merge that succeeded deletes these files" if len(missing) == count else ""
        raise InputError(
            f"{path.parent}: {len(missing)} of {count} shards are missing: {', '.join(map(str, missing))} (no "
            f"{missing[0].path(path).name}); run the command with --shard {missing[0]}, or copy what it left into this "
            f"folder{merged}"
        )
    return [shard.path(path) for shard in shards_of(count)]


def check_none_works(folder: Path) -> None:
    """Raises InputError if a program does a shard in a folder."""
    for lock in sorted(folder.glob(f".*-of-*{LOCK}")):
        with only_program(lock, f"shard {lock.name.removesuffix(LOCK)[1:].replace('-of-', '/')} of {folder}"):
            pass
