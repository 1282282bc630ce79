"""Files on disk: all or nothing, and messages that name the file."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile

import pytest
from crashes import every_crash

from pose_gan.errors import InputError, run_program
from pose_gan.files.atomic import atomic_path, check_room, discard, remove_parts
from pose_gan.files.folders import dataset_path, list_images
from pose_gan.files.text import read_lines, write_json, write_text


def test_write_text_makes_folders_and_leaves_nothing_else(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "α\nβ\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "α\nβ\n".encode()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c.txt"]


def test_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half of the new")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_with_the_file(tmp_path):
    def fail():
        with atomic_path(tmp_path / "a.txt"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*a\.txt'"):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    """It is no fault of the path: the disk is full, or read-only."""

    def fail(*arguments):
        raise OSError(errno.EROFS, "Read-only file system", "/somewhere/.a.x.part")

    monkeypatch.setattr(tempfile, "mkdtemp", fail)
    with pytest.raises(OSError, match=r"^\[Errno 30\] Read-only file system: '.*/a\.txt'$"):
        write_text(tmp_path / "a.txt", "")


def test_the_temporary_place_is_not_told(tmp_path):
    def fail():
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.mkdir()
            temporary.write_text("")

    with pytest.raises(IsADirectoryError, match=r"'[^']*/a\.txt'$") as caught:
        fail()
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_room_is_checked_before_a_library_writes_that_would_crash(tmp_path):
    check_room(tmp_path, 0)
    check_room(tmp_path, 1 << 20)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError):  # noqa: PT011 - the system says it in several ways
        check_room(tmp_path, 1 << 60)
    assert list(tmp_path.iterdir()) == []


def test_room_is_checked_where_the_system_cannot_reserve_it(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    check_room(tmp_path, 1 << 20)
    with pytest.raises(OSError, match="No space left"):
        check_room(tmp_path, 1 << 60)


def test_the_error_that_is_told_is_the_first(tmp_path):
    """Where the folder has gone, nothing can be cleaned up."""

    def fail():
        with atomic_path(tmp_path / "folder" / "a.txt") as temporary:
            temporary.write_text("new")
            shutil.rmtree(tmp_path / "folder")
            raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        fail()
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "folder" / "a.txt"):
        shutil.rmtree(tmp_path / "folder")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process; this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path):
    path, long = tmp_path / "a.json", tmp_path / f"{'x' * 100}.json"
    kills = 0
    for _ in every_crash(lambda: (write_text(path, "new"), write_text(long, "new"))):
        kills += 1
        for each in (path, long):
            assert not each.exists() or each.read_text() == "new"
        for each in (tmp_path / ".hidden", tmp_path / ".b.0.json.part", tmp_path / ".a.0.txt.part"):
            each.mkdir()  # of others
        remove_parts(tmp_path, "a.json")
        remove_parts(tmp_path, f"{long.stem[:60]}.json")
        left = {each.name for each in tmp_path.iterdir()} - {path.name, long.name}
        assert left == {".hidden", ".b.0.json.part", ".a.0.txt.part"}
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
    assert kills >= 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process; this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_folder_is_discarded_whole(tmp_path):
    def fill() -> None:
        (tmp_path / "folder" / "inner").mkdir(parents=True)
        for name in ("a", "b", "inner/c"):
            (tmp_path / "folder" / name).write_text(name)

    fill()
    for _ in every_crash(lambda: discard(tmp_path / "folder")):
        if (tmp_path / "folder").exists():
            assert len(list((tmp_path / "folder").rglob("*"))) == 4
        else:
            fill()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("rows.csv, row 3: no name"), 2),
        (OSError(errno.ENOSPC, "No space left on device", "a.txt"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_programs_end_with_one_line_and_a_status(capsys, error, status):
    def main() -> int:
        raise error

    with pytest.raises(SystemExit) as ended:
        run_program(main)
    assert ended.value.code == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "interrupted" or line == f"error: {error}"
    with pytest.raises(SystemExit) as ended:
        run_program(lambda: None)
    assert ended.value.code == 0


def test_readers_see_the_old_file_until_the_end(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with atomic_path(path) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_folders_appear_whole(tmp_path):
    with atomic_path(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "weights").write_text("1")
        assert not (tmp_path / "model").exists()
    assert (tmp_path / "model" / "weights").read_text() == "1"


def test_a_folder_is_not_replaced(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("1")

    def replace():
        with atomic_path(tmp_path / "model") as temporary:
            temporary.mkdir()

    with pytest.raises(OSError, match="model"):
        replace()
    assert (tmp_path / "model" / "weights").read_text() == "1"


def test_a_file_where_a_folder_should_be(tmp_path):
    write_text(tmp_path / "a", "file")
    with pytest.raises(InputError, match=r"b\.txt: cannot be written: .*: .*a"):
        write_text(tmp_path / "a" / "b.txt", "")


def test_json_round_trip(tmp_path):
    value = {"name": "Größe", "sizes": [1, 2.5, None, True]}
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert "Größe" in text
    assert text.endswith("}\n")


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match=r"nan|NaN|float"):
        write_json(tmp_path / "a.json", float("nan"))
    assert json.loads((tmp_path / "a.json").read_text()) == 1


def test_read_lines(tmp_path):
    path = tmp_path / "a.txt"
    for content in (b"a\nb\n", b"a\r\nb\r\n", b"\xef\xbb\xbfa\nb"):
        path.write_bytes(content)
        assert read_lines(path) == ["a", "b"]
    path.write_bytes(b"")
    assert read_lines(path) == []


def test_read_lines_errors(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such file"):
        read_lines(tmp_path / "nowhere")
    with pytest.raises(InputError, match="cannot be read"):
        read_lines(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"ab\xff")
    with pytest.raises(InputError, match=r"a\.txt: not UTF-8 text \(byte 2\)"):
        read_lines(tmp_path / "a.txt")


def test_list_images_is_sorted_and_lists_images_only(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", "c.jpeg", "._a.png", ".DS_Store", ".png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert list_images(tmp_path) == ["a.png", "b.JPG", "c.jpeg"]
    with pytest.raises(InputError, match="nowhere: no such folder of images"):
        list_images(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("present", "asked", "expected"),
    [
        ([], "market", "market"),
        ([], "fashion", "fashion"),
        (["fasion"], "fashion", "fasion"),
        (["fashion"], "fasion", "fashion"),
        (["fashion", "fasion"], "fashion", "fashion"),
        (["fashion", "fasion"], "fasion", "fasion"),
        (["fasion128"], "fashion128", "fasion128"),
        (["fasion"], "fashion128", "fashion128"),
    ],
)
def test_fashion_has_two_spellings(tmp_path, present, asked, expected):
    for name in present:
        (tmp_path / f"{name}-dataset").mkdir()
    assert dataset_path(tmp_path, asked, "-dataset") == tmp_path / f"{expected}-dataset"
