"""The program that kills programs: it notices what is lost, and finds nothing at the package's own."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import kills
import pytest

# Writes the numbers 1 to 60 to a file, and goes on where it was. By what the file holds, this loses nothing; by a count
# beside it, which is written before the number, a number is lost.
COUNT = """
import pathlib, sys, time
folder, fault = pathlib.Path(sys.argv[1]), sys.argv[2]
folder.mkdir(parents=True, exist_ok=True)
numbers, count = folder / "numbers", folder / "count"
there = numbers.read_text().splitlines() if numbers.exists() else []
begun = int(count.read_text() or 0) if fault == "count" and count.exists() else len(there)
for number in range(begun + 1, 61):
    count.write_text(str(number))
    time.sleep(0.004)
    with numbers.open("a") as file:
        file.write(f"{number}\\n")
sys.exit(3 if fault == "status" else 0)
"""


def counting(fault: str) -> kills.Work:
    return kills.Work(
        "count",
        lambda folder: [sys.executable, "-c", COUNT, str(folder), fault],
        lambda folder: int((folder / "numbers").exists() and (folder / "numbers").stat().st_size),
        lambda folder: None,
        lambda folder: {"numbers": (folder / "numbers").read_bytes()},
    )


def test_nothing_is_lost_by_what_goes_on_rightly(tmp_path):
    report = kills.Killer(tmp_path, 1.0, random.Random(0)).kill(counting(""), 10)
    assert report.lost == []
    assert report.kills == 10
    assert report.ends >= 1
    assert not list(tmp_path.glob("count-*"))  # only what was lost is kept


def test_what_is_lost_is_found_and_kept(tmp_path):
    report = kills.Killer(tmp_path, 1.0, random.Random(0)).kill(counting("count"), 1000)
    (lost,) = report.lost
    assert "LostError: other than after the unbroken run: numbers" in lost
    assert (Path(lost.split(":")[0]) / "numbers").exists()


def test_a_bad_status_is_found(tmp_path):
    with pytest.raises(kills.LostError, match="status 3"):
        kills.Killer(tmp_path, 1.0, random.Random(0)).kill(counting("status"), 5)


def test_what_is_not_whole_is_found(tmp_path):
    def check(folder: Path) -> None:
        raise AssertionError("half a file")

    work = counting("")
    broken = kills.Work(work.name, work.command, work.done, check, work.content)
    (lost,) = kills.Killer(tmp_path, 1.0, random.Random(0)).kill(broken, 5).lost
    assert lost.endswith("AssertionError: half a file")


@pytest.mark.slow
def test_annotate_is_killed_and_loses_nothing(tmp_path):
    folder = tmp_path / "kills"
    assert kills.main(["--program", "annotate", "--times", "3", "--persons", "3", "--folder", str(folder)]) == 0
    assert '"kills": 3' in (folder / "report.json").read_text()
