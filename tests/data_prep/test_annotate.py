"""`data_prep annotate`: nothing lost, nothing doubled, whatever happens and whatever the images are."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from crashes import Killed, Mortal
from PIL import Image
from skeletons import STICK

from data_prep import annotate as verb
from data_prep.journal import Entry, Journal
from data_prep.reading import divide, read_batches
from pose_gan.errors import InputError
from pose_gan.estimators import Poses
from pose_gan.files.images import read_image
from pose_gan.files.lock import only_program
from pose_gan.poses.keypoints import Annotations, found, read_annotations
from pose_gan.poses.skeleton import COCO18


class Sums:
    """Answers keypoints that follow from the pixels and, as a network's may, from the images beside them."""

    name, skeleton, preferred_batch = "sums", COCO18, 3

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, images: np.ndarray) -> Poses:
        self.seen += len(images)
        number = images.reshape(len(images), -1).sum(axis=1, dtype=np.int64)
        keypoints = (number[:, None, None] + number.sum() + np.arange(36).reshape(18, 2)) % 10
        return Poses(keypoints.astype(np.int32), np.ones((len(images), 18), np.float32))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Eleven images of two sizes."""
    rng = np.random.default_rng(0)
    (tmp_path / "data" / "test").mkdir(parents=True)
    for number in range(11):
        size = (20, 10) if number % 3 else (16, 16)
        image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        image.save(tmp_path / "data" / "test" / f"{number:04d}_c1.png")
    return tmp_path / "data" / "test"


def run(folder: Path, monkeypatch, *flags: str, estimator: Sums | None = None) -> Path:
    """The verb with the stand-in estimator. Returns: the CSV."""
    monkeypatch.setattr(verb, "check_estimator", lambda path: None)
    monkeypatch.setattr(verb, "load_estimator", lambda path, config: estimator or Sums())
    annotations = folder.parents[1] / "annotations"
    data = ["--dataset", "mine", "--images_dir", str(folder.parent), "--annotations_dir", str(annotations)]
    assert verb.main([*data, "--pose_estimator", "sums", *flags]) == 0
    return annotations / "mine-annotation-test.csv"


def test_every_image_gets_its_own_row(folder, monkeypatch, capsys):
    csv = run(folder, monkeypatch, "--batch_size", "1")
    annotations = read_annotations(csv)
    assert sorted(annotations.names) == sorted(path.name for path in folder.iterdir())
    for name, pose in zip(annotations.names, annotations.keypoints, strict=True):
        np.testing.assert_array_equal(pose, Sums()(read_image(folder / name)[None]).keypoints[0])
    assert [path.name for path in csv.parent.iterdir()] == [csv.name]
    printed = capsys.readouterr().out
    assert "11 images, 11 with a person, 11 valid" in printed
    assert "nose 100%" in printed
    assert "warning" not in printed


@pytest.mark.parametrize("calls", [1, 2, 3])
@pytest.mark.parametrize("torn", [False, True])
def test_a_killed_run_gives_the_same_file(folder, monkeypatch, calls, torn):
    whole = run(folder, monkeypatch).read_bytes()
    (folder.parents[1] / "annotations" / "mine-annotation-test.csv").unlink()

    class Mortal(Sums):
        def __call__(self, images):
            if calls * 3 <= self.seen:
                raise Killed
            return super().__call__(images)

    with pytest.raises(Killed):
        run(folder, monkeypatch, estimator=Mortal())
    journal = folder.parents[1] / "annotations" / "mine-annotation-test.csv.journal"
    if torn:  # in the middle of a batch, and of a line
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    second = Sums()
    assert run(folder, monkeypatch, estimator=second).read_bytes() == whole
    assert second.seen == 11 - calls * 3 + (3 if torn else 0)
    assert not journal.exists()


def test_new_images_follow_the_ones_that_are_there(folder, monkeypatch):
    csv = run(folder, monkeypatch)
    before = csv.read_text()
    Image.new("RGB", (10, 20)).save(folder / "0000_first.png")
    Image.new("RGB", (10, 20)).save(folder / "0001_BG.jpg")  # a background
    estimator = Sums()
    csv = run(folder, monkeypatch, estimator=estimator)
    assert estimator.seen == 1
    assert csv.read_text().startswith(before)
    assert read_annotations(csv).names[-1] == "0000_first.png"
    assert run(folder, monkeypatch, "--overwrite").read_text() != before
    assert read_annotations(csv).names.index("0000_first.png") < 3


def test_another_body_than_the_estimator_s_is_told_before_the_first_image(folder, monkeypatch):
    files = {"people.json": COCO18, "stick.json": STICK}
    for name, skeleton in files.items():
        (folder / name).write_text(json.dumps(skeleton.to_dict()))
    estimator = Sums()
    message = r"the joints of 'stick' \(top, .*\) are not those that sums finds \(nose, .*data import-keypoints"
    with pytest.raises(InputError, match=message):
        run(folder, monkeypatch, "--skeleton", str(folder / "stick.json"), estimator=estimator)
    assert estimator.seen == 0
    assert run(folder, monkeypatch, "--skeleton", str(folder / "people.json")).exists()


def test_a_run_is_not_continued_with_other_settings(folder, monkeypatch):
    csv = folder.parents[1] / "annotations" / "mine-annotation-test.csv"
    csv.parent.mkdir()
    settings = {"pose_estimator": "another", "digest": "", "batch_size": 3}
    with Journal(Path(f"{csv}.journal"), settings):
        pass
    with pytest.raises(
        InputError, match=r"journal: this run was begun with other settings \(pose_estimator, colour_order, "
    ):
        run(folder, monkeypatch)
    csv.with_name(f"{csv.name}.journal").write_text("{]\n")
    with pytest.raises(InputError, match="journal: damaged; delete it, or begin anew with --overwrite"):
        run(folder, monkeypatch)
    assert run(folder, monkeypatch, "--overwrite") == csv


@pytest.mark.parametrize(
    "line",
    [
        *("[]", "1", "null", '"text"', "[" * 100_000, "\xff"),
        *('{"a": 1}\n[]', '{"a": 1}\n{}', '{"a": 1}\n{"name": 1}', '{"a": 1}\n{"name": "x", "other": 1}'),
        *('{"a": 1}\n{"name": "x", "keypoints": "yx"}', '{"a": 1}\n{"name": "x", "keypoints": [[1]]}'),
        *('{"a": 1}\n{"name": "x", "keypoints": [[1, 2.5]]}', '{"a": 1}\n{"name": "x", "error": 1}'),
    ],
    ids=lambda line: line[:40],
)
def test_a_journal_that_is_none_is_told(tmp_path, line):
    path = tmp_path / "table.csv.journal"
    path.write_bytes(line.encode("latin-1") + b"\n")
    with pytest.raises(InputError, match=r"journal: damaged; delete it, or begin anew with --overwrite"):
        Journal(path, {"a": 1})
    with Journal(path, {"a": 1}, fresh=True) as journal:
        assert journal.entries == {}


def test_two_programs_do_not_annotate_the_same_images(folder, monkeypatch):
    csv = run(folder, monkeypatch)
    before = csv.read_bytes()
    with only_program(Path(f"{csv}.lock")):
        for more in ([], ["--overwrite"]):
            with pytest.raises(InputError, match=rf"^{csv}: in use by process {os.getpid()} on .* since "):
                run(folder, monkeypatch, *more)
    assert csv.read_bytes() == before
    assert [path.name for path in csv.parent.iterdir()] == [csv.name]


def test_a_kill_at_any_operation_on_files_changes_nothing(folder, monkeypatch):
    csv = run(folder, monkeypatch)
    whole = csv.read_bytes()
    csv.unlink()
    mortal, kills = Mortal(csv.parent), 0
    for number in range(1000):
        try:
            with mortal.killed_at(number):
                run(folder, monkeypatch)
        except Killed:
            kills += 1
        else:
            break
    assert kills >= 5
    assert csv.read_bytes() == whole
    assert [path.name for path in csv.parent.iterdir()] == [csv.name]


def test_no_work_is_lost_by_a_kill_at_the_very_end(folder, monkeypatch):
    csv = run(folder, monkeypatch)
    whole = csv.read_bytes()
    csv.unlink()

    def die(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(verb, "write_annotations", die)
        with pytest.raises(Killed):
            run(folder, monkeypatch)
    second = Sums()
    assert run(folder, monkeypatch, estimator=second).read_bytes() == whole
    assert second.seen == 0


def test_a_full_disk_is_told_and_nothing_is_lost(folder, monkeypatch):
    class Filling(Sums):
        def __call__(self, images):
            if self.seen >= 6:
                monkeypatch.setattr(os, "fsync", full)
            return super().__call__(images)

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*mine-annotation-test\.csv\.journal'"):
        run(folder, monkeypatch, estimator=Filling())
    monkeypatch.undo()
    second = Sums()
    csv = run(folder, monkeypatch, estimator=second)
    assert second.seen <= 11 - 6
    whole = csv.read_bytes()
    csv.unlink()
    assert run(folder, monkeypatch).read_bytes() == whole


def test_images_that_cannot_be_used_are_listed_and_the_rest_is_done(folder, monkeypatch, capsys):
    (folder / "bad.jpg").write_bytes(b"no image")
    image = (folder / "0001_c1.png").read_bytes()
    (folder / "cut.png").write_bytes(image[: len(image) // 2])
    (folder / " blank.png").write_bytes(image)
    (folder / "a:b, c.png").write_bytes(image)
    Image.new("L", (1, 1)).save(folder / "one.png")
    Image.new("CMYK", (10, 20)).save(folder / "ink.jpg")
    names = read_annotations(run(folder, monkeypatch)).names
    assert {"a:b, c.png", "one.png", "ink.jpg"} < set(names)
    assert len(names) == 14
    printed = capsys.readouterr().out
    assert "3 images could not be used" in printed
    for name, reason in (
        ("bad.jpg", "not an image"),
        ("cut.png", "cannot be read"),
        (" blank.png", "rename the image"),
    ):
        assert any(name in line and reason in line for line in printed.splitlines()), printed


def test_it_says_when_nobody_is_found(folder, monkeypatch, capsys):
    class Blind(Sums):
        def __call__(self, images):
            return Poses(np.full((len(images), 18, 2), -1, np.int32), np.zeros((len(images), 18), np.float32))

    csv = run(folder, monkeypatch, estimator=Blind())
    assert not found(read_annotations(csv).keypoints).any()
    printed = capsys.readouterr().out
    assert "warning: a person was found in 0 of 11 images" in printed
    assert "--colour_order" in printed
    assert "--input_range" in printed


def test_pictures(folder, monkeypatch, tmp_path):
    run(folder, monkeypatch, "--preview", str(tmp_path / "preview"))
    pictures = sorted((tmp_path / "preview" / "test").iterdir())
    assert len(pictures) == 11
    for path in pictures:
        assert read_image(path).shape == read_image(folder / path.stem).shape
        assert np.any(read_image(path) != read_image(folder / path.stem))
    assert read_image(tmp_path / "preview" / "test.png").shape[1] > 10 * 256


def test_pictures_of_large_photos_are_drawn_at_the_size_that_is_written(tmp_path):
    """At most 1024 pixels a side; the skeleton lies on the same places of the picture and of the contact sheet."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (3000, 2000), (90, 90, 90)).save(folder / "large.png")
    keypoints = np.full((1, 18, 2), -1, np.int32)
    keypoints[0, 1], keypoints[0, 8], keypoints[0, 9] = (200, 300), (1000, 1500), (1800, 2700)
    annotated = Annotations(("large.png",), keypoints, "mine.csv")
    taken = peak_memory_of(lambda: verb.draw_preview(annotated, folder, tmp_path / "preview", Sums()))
    picture, sheet = read_image(tmp_path / "preview/large.png.png"), read_image(tmp_path / "preview.png")
    assert picture.shape == (683, 1024, 3)
    drawn = np.argwhere(np.ptp(picture, axis=-1) > 100)  # coloured, where the photo is grey
    assert drawn.min(axis=0) == pytest.approx(np.array([200, 300]) * 1024 / 3000, abs=20)
    assert drawn.max(axis=0) == pytest.approx(np.array([1800, 2700]) * 1024 / 3000, abs=20)
    drawn = np.argwhere(np.ptp(sheet, axis=-1) > 100)
    assert (drawn.min(axis=0) + drawn.max(axis=0)) / 2 == pytest.approx([4 + 128, 4 + 128], abs=3)
    assert taken is None or taken < 40 * 3000 * 2000  # a drawing at the photo's size takes over 100 bytes a pixel


def peak_memory_of(function: Callable[[], object]) -> int | None:
    """Bytes that a function needs at most; None where the system does not tell."""
    if not Path("/proc/self/clear_refs").exists():
        return None

    def status(key: str) -> int:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])

    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    before = status("VmRSS:")
    function()
    return status("VmHWM:") - before


def shards(folder, monkeypatch, *flags: str, count: int = 3) -> list[int]:
    """Runs all shards of `run`, the last one first. Returns: how many images each saw."""
    seen = []
    for number in range(count, 0, -1):
        estimator = Sums()
        run(folder, monkeypatch, *flags, "--shard", f"{number}/{count}", estimator=estimator)
        seen.append(estimator.seen)
    return seen[::-1]


def test_shards_give_the_table_of_one_program(folder, monkeypatch, capsys):
    (folder / "bad.jpg").write_bytes(b"no image")
    (folder / "notes.txt").touch()
    csv = run(folder, monkeypatch)
    whole, told = csv.read_bytes(), capsys.readouterr().out
    csv.unlink()
    seen = shards(folder, monkeypatch)
    assert sum(seen) == 11
    assert min(seen) > 0
    shown = capsys.readouterr().out
    assert f"shard 3/3: {seen[2]} of 12 images annotated -> {csv}.3-of-3.journal" in shown
    assert "the same command with --merge 3 in place of --shard 3/3" in shown
    assert sorted(path.name for path in csv.parent.iterdir()) == [f"{csv.name}.{k}-of-3.journal" for k in (1, 2, 3)]
    estimator = Sums()
    assert run(folder, monkeypatch, "--merge", "3", estimator=estimator).read_bytes() == whole
    assert estimator.seen == 0
    merged = capsys.readouterr().out
    assert set(told.splitlines()) - set(merged.splitlines()) == {
        line for line in told.splitlines() if "images/s" in line
    }
    assert [path.name for path in csv.parent.iterdir()] == [csv.name]
    for number in range(2):  # new images: the rows that are there stay
        Image.new("RGB", (10, 20)).save(folder / f"0000_{number}.png")
    assert shards(folder, monkeypatch, "--batch_size", "1", count=2) == [1, 1]
    assert run(folder, monkeypatch, "--batch_size", "1", "--merge", "2").read_bytes().startswith(whole)
    assert len(read_annotations(csv)) == 13


def test_a_shard_that_was_killed_goes_on(folder, monkeypatch):
    csv = run(folder, monkeypatch)
    whole = csv.read_bytes()
    csv.unlink()
    seen = shards(folder, monkeypatch)
    journal = Path(f"{csv}.2-of-3.journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    message = (
        rf"{journal}: shard 2/3 was stopped: {len(lines) - 2} of its {len(lines) - 1} images are missing; run the "
    )
    with pytest.raises(InputError, match=message + "command with --shard 2/3, which goes on"):
        run(folder, monkeypatch, "--merge", "3")
    assert not csv.exists()
    estimator = Sums()
    run(folder, monkeypatch, "--shard", "2/3", estimator=estimator)
    assert estimator.seen <= seen[1]
    assert run(folder, monkeypatch, "--merge", "3").read_bytes() == whole


def test_shards_of_other_settings_or_images_are_refused(folder, monkeypatch):
    csv = folder.parents[1] / "annotations" / "mine-annotation-test.csv"
    with pytest.raises(InputError, match="3 of 3 shards are missing"):
        run(folder, monkeypatch, "--merge", "3")
    run(folder, monkeypatch, "--shard", "1/3")
    for flags, named in (
        (["--batch_size", "2"], "batch_size"),
        (["--colour_order", "bgr"], "colour_order"),
    ):
        with pytest.raises(InputError, match=rf"1-of-3.journal: this run was begun with other settings \({named}\)"):
            run(folder, monkeypatch, *flags, "--shard", "1/3")
    with pytest.raises(InputError, match=r"2 of 3 shards are missing: 2/3, 3/3"):
        run(folder, monkeypatch, "--merge", "3")
    run(folder, monkeypatch, "--shard", "3/3")
    Path(f"{csv}.2-of-3.journal").write_bytes(Path(f"{csv}.1-of-3.journal").read_bytes())
    with pytest.raises(InputError, match=r"2-of-3.journal: this run was begun with other settings \(shard\)"):
        run(folder, monkeypatch, "--merge", "3")
    run(folder, monkeypatch, "--overwrite", "--shard", "2/3")
    with Path(folder / "0001_c1.png").open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputError, match=r"1-of-3.journal: this run was begun with other settings \(images\)"):
        run(folder, monkeypatch, "--merge", "3")
    with (
        only_program(Path(f"{csv}.2-of-3.lock")),
        pytest.raises(InputError, match=r"^shard 2/3 of .*test.csv: in use by process"),
    ):
        run(folder, monkeypatch, "--shard", "2/3")
    assert not csv.exists()


def test_bad_flags(folder, monkeypatch, tmp_path):
    with pytest.raises(InputError, match="--batch_size must be 1 or more, got 0"):
        run(folder, monkeypatch, "--batch_size", "0")
    with pytest.raises(InputError, match=r"c1\.png: cannot be written to"):
        run(folder, monkeypatch, "--preview", str(folder / "0000_c1.png"))
    assert not (folder.parents[1] / "annotations/mine-annotation-test.csv").exists(), "told before the work"
    with pytest.raises(InputError, match=r"train: no such folder of images"):
        run(folder, monkeypatch, "--split", "train")
    (folder.parent / "train").mkdir()
    with pytest.raises(InputError, match=r"train: no images"):
        run(folder, monkeypatch)
    with pytest.raises(InputError, match="holds neither train/ nor test/"):
        verb.main(["--dataset", "none", "--pose_estimator", "demo"])
    monkeypatch.undo()
    flags = [
        "--dataset",
        "mine",
        "--images_dir",
        str(folder.parent),
        "--annotations_dir",
        str(tmp_path),
        "--split",
        "test",
    ]
    with pytest.raises(InputError, match=r"nowhere\.h5: no such file"):
        verb.main([*flags, "--pose_estimator", "nowhere.h5"])


def test_csv_with_a_wrong_header_is_kept(folder, monkeypatch):
    csv = folder.parents[1] / "annotations" / "mine-annotation-test.csv"
    csv.parent.mkdir()
    csv.write_text("name,y,x\n")
    with pytest.raises(InputError, match="row 1: the header must be"):
        run(folder, monkeypatch)
    assert csv.read_text() == "name,y,x\n"


def test_journal_keeps_whole_lines_only(tmp_path):
    path = tmp_path / "j"
    with Journal(path, {"a": 1}) as journal:
        journal.add([Entry("x", [[1, 2]]), Entry("y", error="why")])
    content = path.read_bytes()
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        with Journal(path, {"a": 1}) as journal:
            whole = content[:cut].count(b"\n")
            assert len(journal.entries) == max(whole - 1, 0)
            journal.add([Entry("z", [[3, 4]])])
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        assert lines[0] == {"a": 1}
        assert lines[-1]["name"] == "z"


def test_batches_are_of_one_size_and_do_not_depend_on_what_is_done(folder):
    names = sorted(path.name for path in folder.iterdir())
    batches = divide(folder, names, 3)
    whole = [batch.names for batch in read_batches(folder, batches, set())]
    assert sorted(name for batch in whole for name in batch) == names
    assert max(map(len, whole)) == 3
    for batch in read_batches(folder, batches, set()):
        assert batch.images is not None
        np.testing.assert_array_equal(batch.images, [read_image(folder / name) for name in batch.names])
    done = {*whole[0], whole[1][0]}
    assert [batch.names for batch in read_batches(folder, batches, done)] == whole[1:]
