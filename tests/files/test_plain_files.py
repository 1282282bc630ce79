"""Settings, skeletons and tables that are links to devices, too large, or hold values of another kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pose_gan.data.pairs import read_pairs
from pose_gan.errors import InputError
from pose_gan.files import text
from pose_gan.model_files.run_folder import latest_checkpoint, latest_generator, read_options
from pose_gan.poses.keypoints import read_annotations
from pose_gan.poses.skeleton import load_skeleton

READERS = {
    "options.json": lambda path: read_options(path.parent),
    "LAST": lambda path: latest_checkpoint(path.parent),
    "skeleton.json": load_skeleton,
    "skeleton.toml": load_skeleton,
    "annotations.csv": read_annotations,
    "pairs.csv": read_pairs,
}


@pytest.mark.parametrize("name", READERS)
def test_a_link_to_what_never_ends_is_not_read(tmp_path, name):
    """It would fill the memory."""
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(InputError, match=rf"{name}: not a plain file"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("name", READERS)
def test_what_is_too_large_is_not_read(tmp_path, monkeypatch, name):
    """The files are sparse: they take no place on the disk."""
    with (tmp_path / name).open("wb") as file:
        file.truncate(3 << 30)
    monkeypatch.setattr(Path, "read_text", lambda *args, **values: pytest.fail("it was read"))
    with pytest.raises(InputError, match=rf"{name}: has 3,221,225,472 bytes; at most [\d,]+ are read"):
        READERS[name](tmp_path / name)


def test_a_plain_link_is_read(tmp_path):
    (tmp_path / "there").write_text("ä", encoding="utf-8")
    (tmp_path / "link").symlink_to("there")
    assert text.read_text(tmp_path / "link") == "ä"
    with pytest.raises(IsADirectoryError):
        text.read_text(tmp_path)


@pytest.mark.parametrize("value", [None, 7, ["checkpoints"], {}])
def test_the_folder_of_checkpoints_has_a_name(tmp_path, value):
    (tmp_path / "options.json").write_text(json.dumps({"config": {}, "checkpoints_dir": value}))
    with pytest.raises(InputError, match=r"options\.json: damaged: 'checkpoints_dir' is not the name of a folder"):
        latest_generator(tmp_path)


def test_settings_that_nest_too_deeply_are_damaged(tmp_path):
    (tmp_path / "options.json").write_text("[" * 200_000)
    with pytest.raises(InputError, match=r"options\.json: damaged"):
        read_options(tmp_path)
