"""Market-1501's folders become the data set's: which files, how, and what is refused."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import import_market, importing
from pose_gan.errors import InputError

TRAIN = ["0002_c1s1_000451_03.jpg", "0002_c1s1_000551_01.jpg", "0007_c2s3_070952_01.jpg"]
TEST = ["-1_c1s1_000401_03.jpg", "0000_c1s1_000151_01.jpg", "0001_c1s1_001051_00.jpg"]


def save(path: Path, size=(128, 64), **options):
    random = np.random.default_rng(len(path.name) + sum(path.name.encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path, **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def source(tmp_path, monkeypatch):
    """An unpacked Market-1501 of six images; the working folder is its parent."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "Market-1501-v15.09.15"
    for name in TRAIN:
        save(folder / "bounding_box_train" / name)
    for name in TEST:
        save(folder / "bounding_box_test" / name)
    for name in ("Thumbs.db", "0002_c1s1_000451_03.jpg.jpg", "readme.txt"):
        (folder / "bounding_box_test" / name).write_text("no image")
    return folder


def test_images_are_copied_and_others_left_out(source, capsys):
    assert import_market.main([str(source)]) == 0
    for split, names in (("train", TRAIN), ("test", TEST)):
        made = contents(Path("data/market-dataset") / split)
        assert sorted(made) == sorted(names)
        assert made == {name: (source / f"bounding_box_{split}" / name).read_bytes() for name in names}
    assert sorted(path.name for path in Path("data/market-dataset").iterdir()) == ["test", "train"]
    said = capsys.readouterr().out
    assert "train: 3 images, 2 persons -> data/market-dataset/train" in said
    assert "test: 3 images, 1 persons" in said  # junk and background are no persons
    assert "test: other files, left out: 3 (0002_c1s1_000451_03.jpg.jpg, Thumbs.db, readme.txt)" in said
    assert "warning: bounding_box_train holds 3 images, Market-1501 as published 12936" in said
    assert "warning: bounding_box_test holds 3 images, Market-1501 as published 19732" in said
    assert "pose-gan data annotate --dataset market --pose_estimator FILE\n" in said
    assert "pose-gan data pairs --dataset market\n" in said


def test_the_published_counts_give_no_warning(source, capsys, monkeypatch):
    monkeypatch.setattr(import_market, "COUNTS", {"train": 3, "test": 3})
    import_market.main([str(source)])
    assert "warning" not in capsys.readouterr().out


def test_the_next_steps_have_the_flags_and_leave_out_what_is_done(source, capsys):
    flags = ["--dataset", "mine", "--images_dir", "pictures", "--annotations_dir", "csv"]
    import_market.main([str(source), *flags])
    assert "annotate --dataset mine --images_dir pictures --pose_estimator FILE --annotations_dir csv" in (
        capsys.readouterr().out
    )
    Path("csv").mkdir()
    for split in ("train", "test"):
        Path(f"csv/mine-annotation-{split}.csv").touch()
    import_market.main([str(source), *flags, "--overwrite"])
    said = capsys.readouterr().out
    assert "data annotate" not in said
    assert "pose-gan data pairs --dataset mine --annotations_dir csv\n" in said


def test_links_are_the_same_files_and_outlive_the_source(source):
    original = source / "bounding_box_train" / TRAIN[0]
    (source / "bounding_box_train" / TRAIN[1]).unlink()
    (source / "bounding_box_train" / TRAIN[1]).symlink_to(original)
    import_market.main([str(source), "--link"])
    linked = [Path("data/market-dataset/train") / name for name in TRAIN[:2]]
    assert all(path.stat().st_ino == original.stat().st_ino and not path.is_symlink() for path in linked)
    expected = original.read_bytes()
    shutil.rmtree(source)
    assert linked[1].read_bytes() == expected


def test_links_that_cannot_be_made(source, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(importing.os, "link", refuse)
    with pytest.raises(InputError, match=r"\.jpg: cannot be hard-linked \(Invalid cross-device link\); leave --link"):
        import_market.main([str(source), "--link"])
    assert list(Path("data/market-dataset").iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(source, monkeypatch):
    copy, calls = shutil.copyfile, []

    def fail(*arguments):
        calls.append(arguments)
        if len(calls) == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        copy(*arguments)

    monkeypatch.setattr(importing.shutil, "copyfile", fail)
    with pytest.raises(OSError, match="No space left"):
        import_market.main([str(source)])
    assert list(Path("data/market-dataset").iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: save(path, (256, 128)), r"256x128 pixels \(height x width\) JPEG, expected 128x64 JPEG; .*"),
        (lambda path: save(path, format="PNG"), r"128x64 pixels \(height x width\) PNG, expected 128x64 JPEG"),
        (lambda path: path.write_bytes(b"no image"), "not an image, or its header is damaged"),
    ],
)
def test_other_images_are_refused_before_anything_is_written(source, spoil, message):
    for name in TRAIN[1:]:
        spoil(source / "bounding_box_train" / name)
    with pytest.raises(InputError, match=f"bounding_box_train/{TRAIN[1]}: {message}.*2 of 6 images are wrong"):
        import_market.main([str(source)])
    assert not Path("data").exists()


def test_no_such_source(source):
    with pytest.raises(InputError, match="nowhere/bounding_box_train: no such folder; SOURCE is the unpacked Market"):
        import_market.main(["nowhere"])
    for path in (source / "bounding_box_test").iterdir():
        path.rename(path.with_name(f"my_{path.name}"))
    with pytest.raises(InputError, match="bounding_box_test: none of its 6 files is named as the images of Market"):
        import_market.main([str(source)])


def test_used_targets_are_refused_or_replaced(source):
    old = Path("data/market-dataset/test/old.jpg")
    save(old)
    with pytest.raises(InputError, match=r"data/market-dataset/test: already there; .*--overwrite"):
        import_market.main([str(source)])
    assert not Path("data/market-dataset/train").exists()
    assert old.exists()
    import_market.main([str(source), "--overwrite"])
    assert not old.exists()
    assert len(contents(Path("data/market-dataset/test"))) == 3


def test_a_linked_folder_is_replaced_and_what_it_leads_to_stays(source):
    elsewhere = Path("elsewhere")
    save(elsewhere / "precious.jpg")
    Path("data/market-dataset").mkdir(parents=True)
    Path("data/market-dataset/train").symlink_to(elsewhere.resolve())
    import_market.main([str(source), "--overwrite"])
    assert sorted(contents(Path("data/market-dataset/train"))) == TRAIN
    assert (elsewhere / "precious.jpg").exists()


def test_the_source_is_never_deleted(source):
    inside = Path("data/market-dataset/train") / source.name
    shutil.copytree(source, inside)
    with pytest.raises(InputError, match=r"data/market-dataset/train: holds the source"):
        import_market.main([str(inside), "--overwrite"])
    assert inside.exists()


def test_real_images(shared_data, tmp_path):
    for split in ("train", "test"):
        shutil.copytree(shared_data / "market-sample" / split, tmp_path / f"bounding_box_{split}")
    import_market.main([str(tmp_path), "--images_dir", str(tmp_path / "made")])
    assert len(contents(tmp_path / "made/train")) == 136
    assert contents(tmp_path / "made/test") == contents(shared_data / "market-sample/test")
