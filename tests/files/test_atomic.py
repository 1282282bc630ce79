"""Files on disk: all or nothing, and messages that name the file."""

from __future__ import annotations

import errno
import json

import pytest

from pose_gan.errors import InputError
from pose_gan.files.atomic import atomic_path
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
    for name in ("b.JPG", "a.png", "notes.txt", "c.jpeg"):
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
