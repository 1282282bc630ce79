"""The report of `check`: nothing on clean data, and every fault, each once, on data that were spoiled."""

from __future__ import annotations

import json
import os
import sys
import warnings

import foreign_keypoints
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data_prep import check
from pose_gan.config import DataConfig
from pose_gan.data.pair_data import open_pairs
from pose_gan.data.pairs import write_pairs
from pose_gan.errors import InputError
from pose_gan.poses.keypoints import read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18

NAMES = [f"000{p}_c1_{i}.jpg" for p in (1, 2, 3) for i in (1, 2, 3)]  # of `tiny_data`


def run(data, *flags):
    """Exit status, and the JSON report."""
    path = data.root.parent / "report.json"
    status = check.main(
        ["--dataset", "tiny", "--images_dir", f"{data.root}", "--annotations_dir", f"{data.root}", "--json", f"{path}"]
        + [str(flag) for flag in flags]
    )
    return status, json.loads(path.read_text())


def problems(data, *flags, split="train"):
    status, report = run(data, "--split", split, *flags)
    assert status == (1 if report["splits"][split]["problems"] else 0)
    assert report["clean"] == (status == 0)
    return report["splits"][split]["problems"]


def set_pose(data, name, value, joint: int | slice = slice(None)):
    table = read_annotations(data.annotations())
    keypoints = table.keypoints.copy()
    keypoints[table.rows[name], joint] = value
    write_annotations(data.annotations(), table.names, keypoints)


def test_clean_data(tiny_data, capsys):
    status, report = run(tiny_data, "--use_bg")
    assert status == 0
    numbers = {"images": 9, "annotated": 9, "pairs": 18, "left_out": {}, "problems": {}, "notes": {}}
    assert report == {
        "dataset": "tiny",
        "image_size": [96, 64],
        "clean": True,
        "splits": {"train": numbers, "test": numbers},
    }
    said = capsys.readouterr().out
    assert f"  pairs        18 in {tiny_data.pairs()}\n" in said
    assert "verdict: no problems for networks that take 96x64 pixels (height x width)" in said
    assert "PROBLEM" not in said
    assert "note" not in said


def test_images_of_all_kinds_of_faults_at_once(tiny_data):
    paths = tiny_data.images()
    paths[0].write_bytes(paths[0].read_bytes()[:-300])
    paths[1].write_text("no image")
    picture = Image.open(paths[2])
    picture.save(paths[2], format="BMP")
    picture.convert("CMYK").save(paths[3])
    exif = Image.Exif()
    exif[0x0112] = 3
    picture.save(paths[4], exif=exif)
    picture.resize((128, 192)).save(paths[5])
    picture.convert("RGBA").save(paths[6], format="PNG")  # allowed
    found = problems(tiny_data)
    assert list(found) == ["image_unreadable", "image_format", "image_turned", "image_size"]
    assert found["image_unreadable"][0].startswith(f"{paths[0]}: cannot be read as an image: ")
    assert found["image_unreadable"][1].startswith(f"{paths[1]}: not an image")
    assert found["image_format"] == [f"{NAMES[2]}: BMP with pixels RGB", f"{NAMES[3]}: JPEG with pixels CMYK"]
    assert found["image_turned"] == [f"{NAMES[4]}: orientation 3"]
    assert found["image_size"] == [f"{NAMES[5]}: 192x128, not 96x64"]


def test_names_that_no_file_can_have_are_absent(tiny_data):
    name = f"{'n' * 300}.jpg"
    with tiny_data.pairs().open("a") as file:
        file.write(f"{NAMES[0]},{name}\n")
    found = problems(tiny_data)
    assert found["pair_absent"] == [f"{tiny_data.pairs()}, row 20, column to: {name}"]
    with pytest.raises(InputError, match=r"row 20, column to: n+\.jpg has no keypoints"):
        open_pairs(tiny_data.config, "train", tiny_data.image_size)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_names_that_are_no_text_stand_in_the_json(tiny_data):
    Image.open(tiny_data.images()[0]).save(tiny_data.root / "train" / os.fsdecode(b"\xff_1.jpg"))
    assert problems(tiny_data)["image_unannotated"] == [os.fsdecode(b"\xff_1.jpg")]


def test_keypoints_of_images_that_are_cut(tmp_path, capsys):
    """PATN's keypoints beside whole images lie 40 pixels left of the people."""
    names = [f"fashionWOMENDressesid000055370{number}_4full.jpg" for number in range(3)]
    (tmp_path / "train").mkdir()
    for name in names:
        Image.new("RGB", (256, 256)).save(tmp_path / "train" / name)
    poses, csv = foreign_keypoints.poses(3, (256, 176)), tmp_path / "fashion-annotation-train.csv"
    write_pairs(tmp_path / "fashion-pairs-train.csv", pd.DataFrame({"from": names[:2], "to": names[1:]}))
    data = DataConfig("fashion", str(tmp_path), str(tmp_path))
    flags = ["--dataset", "fashion", "--images_dir", str(tmp_path), "--annotations_dir", str(tmp_path)]
    for shift, status in ((0, 1), (40, 0)):
        write_annotations(csv, names, np.where(poses < 0, -1, poses + np.array([0, shift])))
        assert check.main(flags) == status
        said = capsys.readouterr().out
        assert (
            "40 pixels left of the people here: take them over with pose-gan data import-keypoints" in said
        ) == status
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            open_pairs(data, "train", (256, 256))
        assert any("40 pixels left of the people" in str(warning.message) for warning in caught) == status


def test_the_size_that_images_must_have(tiny_data):
    assert len(problems(tiny_data, "--image_size", "128x64")["image_size"]) == 18
    assert "image_size" not in problems(tiny_data, "--image_size", "96x64")
    for split in ("train", "test"):  # a known data set has its own size, whatever its images have
        for path in (tiny_data.annotations(split), tiny_data.pairs(split)):
            path.rename(path.with_name(path.name.replace("tiny", "market")))
    _, report = run(tiny_data, "--dataset", "market")
    assert report["image_size"] == [128, 64]
    assert len(report["splits"]["test"]["problems"]["image_size"]) == 18


def test_a_size_that_no_network_takes(tiny_data):
    for path in sorted((tiny_data.root / "train").iterdir()):
        Image.open(path).resize((63, 100)).save(path)
    (message,) = problems(tiny_data)["network_size"]
    assert "100x63" in message


def test_images_and_annotations_that_do_not_belong_together(tiny_data):
    absent = tiny_data.images()[4]
    absent.rename(absent.with_name("0009_new.jpg"))
    for junk in ("-1_c1s1_000401_03.jpg", "0000_c1s1_000151_01.jpg"):  # need no keypoints
        Image.open(tiny_data.images()[0]).save(absent.with_name(junk))
    rows = [row for row, line in enumerate(tiny_data.pairs().read_text().splitlines(), 1) if absent.name in line]
    found = problems(tiny_data)
    assert list(found) == ["image_unannotated", "annotation_absent", "pair_absent"]
    assert found["image_unannotated"] == ["0009_new.jpg"]
    assert found["annotation_absent"] == [f"{tiny_data.annotations()}, row 6 ({absent.name})"]
    assert len(found["pair_absent"]) == len(rows) == 4
    assert found["pair_absent"][0].startswith(f"{tiny_data.pairs()}, row {rows[0]}, column ")
    assert found["pair_absent"][0].endswith(f": {absent.name}")


def test_joints_outside_and_nobody_found(tiny_data, capsys):
    nose, rear = COCO18.index("nose"), COCO18.index("Rear")
    set_pose(tiny_data, NAMES[0], (96, 63), nose)
    set_pose(tiny_data, NAMES[0], (95, 64), rear)
    set_pose(tiny_data, NAMES[1], (95, 63), nose)  # the last pixel is inside
    set_pose(tiny_data, NAMES[2], -1)
    tiny_data.pairs().unlink()
    status, report = run(tiny_data, "--split", "train")
    where = f"{tiny_data.annotations()}, row"
    assert status == 1
    assert report["splits"]["train"] == {
        "images": 9,
        "annotated": 9,
        "pairs": None,
        "left_out": {"a joint of Rhip, Lhip, Lsho, Rsho was not found": 1},
        "problems": {
            "joint_outside": [
                f"{where} 2 ({NAMES[0]}): nose at y=96, x=63 of 96x64",
                f"{where} 2 ({NAMES[0]}): Rear at y=95, x=64 of 96x64",
            ]
        },
        "notes": {"nobody_found": [f"{where} 4 ({NAMES[2]})"]},
    }
    said = capsys.readouterr().out
    assert "  PROBLEM (2): joints outside of their image" in said
    assert "  note (1): images without a joint" in said
    assert "none yet: list them with pose-gan data pairs" in said
    assert "verdict: 2 problems for" in said


def test_notes_alone_are_no_problem(tiny_data):
    tiny_data.pairs().unlink()
    set_pose(tiny_data, NAMES[2], -1)
    assert problems(tiny_data) == {}


def test_joints_are_inside_of_the_image_that_they_belong_to(tiny_data):
    """A larger image is wrong itself; its keypoints are right until it is resized."""
    path = tiny_data.images()[0]
    Image.open(path).resize((128, 192)).save(path)
    set_pose(tiny_data, NAMES[0], (191, 127))
    assert list(problems(tiny_data)) == ["image_size"]


def test_pairs_of_all_kinds_of_faults_at_once(tiny_data):
    set_pose(tiny_data, NAMES[0], -1, COCO18.index("Rhip"))
    tiny_data.edit(tiny_data.annotations(), f"{NAMES[4]}:", "0002_other.jpg:")
    rows = [
        (NAMES[7], NAMES[8]),
        (NAMES[0], NAMES[1]),
        (NAMES[7], NAMES[7]),
        (NAMES[7], NAMES[8]),
        (NAMES[5], NAMES[4]),
        (NAMES[6], NAMES[3]),
        ("0001_none.jpg", NAMES[1]),
        (NAMES[7], NAMES[8]),
    ]
    tiny_data.pairs().write_text("from,to\n" + "".join(f"{a},{b}\n" for a, b in rows))
    status, report = run(tiny_data, "--split", "train")
    where = f"{tiny_data.pairs()}, row"
    found = report["splits"]["train"]["problems"]
    assert status == 1
    assert found == {
        "image_unannotated": [NAMES[4]],
        "annotation_absent": [f"{tiny_data.annotations()}, row 6 (0002_other.jpg)"],
        "pair_unannotated": [f"{where} 6, column to: {NAMES[4]}", f"{where} 8, column from: 0001_none.jpg"],
        "pair_absent": [f"{where} 8, column from: 0001_none.jpg"],
        "pair_invalid": [f"{where} 3, column from: {NAMES[0]}"],
        "pair_same": [f"{where} 4: {NAMES[7]}"],
        "pair_repeated": [f"{where} 5: as in row 2", f"{where} 9: as in row 2"],
    }
    assert report["splits"]["train"]["notes"] == {"pair_persons": [f"{where} 7: {NAMES[6]}, {NAMES[3]}"]}


def test_images_that_a_rule_leaves_out_are_counted(tiny_data, capsys):
    for number, name in enumerate(("0000_a.jpg", "-1_b.jpg", "00001_c.jpg")):
        tiny_data.edit(tiny_data.annotations(), f"{NAMES[number]}:", f"{name}:")
        tiny_data.images()[number].rename(tiny_data.root / "train" / name)
    set_pose(tiny_data, NAMES[5], -1, COCO18.index("Lsho"))
    tiny_data.pairs().unlink()
    assert problems(tiny_data) == {}
    said = capsys.readouterr().out
    assert "  left out     1 image: their names start with -1 (Market-1501's junk)\n" in said
    assert "  left out     1 image: their person is 0000 (Market-1501's distractors)\n" in said
    assert "  left out     1 image: a joint of Rhip, Lhip, Lsho, Rsho was not found\n" in said


def test_persons_by_a_rule_of_the_user(tiny_data, capsys):
    problems(tiny_data)
    assert "hint" not in capsys.readouterr().out
    _, report = run(tiny_data, "--person", r"_(c\d)_")
    assert report["splits"]["train"]["notes"] == {}
    assert "  hint         all 9 valid images count as one person, 'c1'; " in capsys.readouterr().out
    _, report = run(tiny_data, "--person", r"\d\.jpg")
    assert len(report["splits"]["train"]["notes"]["pair_persons"]) == 18
    with pytest.raises(InputError, match=r"--person 'x': finds no person in the name 0001_c1_1\.jpg"):
        run(tiny_data, "--person", "x")


def test_joints_in_the_corner_are_another_program_s_mark(tiny_data):
    nose, neck, where = COCO18.index("nose"), COCO18.index("neck"), f"{tiny_data.annotations()}, row"
    set_pose(tiny_data, NAMES[0], 0, nose)
    assert run(tiny_data)[1]["splits"]["train"]["notes"] == {}  # a single one may lie there
    set_pose(tiny_data, NAMES[2], 0, slice(nose, neck + 1))
    status, report = run(tiny_data)
    cases = [f"{where} 2 ({NAMES[0]}): nose", f"{where} 4 ({NAMES[2]}): nose", f"{where} 4 ({NAMES[2]}): neck"]
    assert report["splits"]["train"]["notes"] == {"joint_zero": cases}
    assert status == 0


def test_images_with_an_alpha_channel_are_noted(tiny_data):
    path = tiny_data.images()[2]
    Image.open(path).convert("RGBA").save(path, format="PNG")
    status, report = run(tiny_data)
    assert status == 0
    assert report["splits"]["train"]["notes"] == {"image_alpha": [NAMES[2]]}


def test_hidden_files_are_no_images(tiny_data):
    for name in ("._0001_c1_1.jpg", ".DS_Store"):
        (tiny_data.root / "train" / name).write_bytes(b"\x00\x05\x16\x07")
    assert problems(tiny_data) == {}


def test_names_in_folders(tiny_data):
    """They are refused wherever they stand; before, their images were not found, and the check found nothing wrong."""
    tiny_data.edit(tiny_data.annotations(), NAMES[0], f"sub/{NAMES[0]}")
    tiny_data.edit(tiny_data.pairs("test"), NAMES[0], f"sub/{NAMES[0]}")
    _, report = run(tiny_data)
    for problem, split in (("annotation_file", "train"), ("pair_file", "test")):
        (message,) = report["splits"][split]["problems"][problem]
        assert f"'sub/{NAMES[0]}': an image name that is a path; the images of a split lie in one folder" in message


def test_names_that_are_too_long_for_a_strip(tiny_data):
    """A strip has both names, `_` and `.png`: 125 + 125 + 5 bytes are as many as a file's name may have."""
    first, second = (f"1_{letter * (125 - 6)}.jpg" for letter in "ab")
    for old, new in ((NAMES[0], first), (NAMES[1], second)):
        tiny_data.edit(tiny_data.annotations(), f"{old}:", f"{new}:")
        (tiny_data.root / "train" / old).rename(tiny_data.root / "train" / new)
    tiny_data.pairs().write_text(f"from,to\n{first},{second}\n")
    assert problems(tiny_data) == {}
    longer = second.replace("b.", "é.")  # two bytes
    tiny_data.edit(tiny_data.annotations(), f"{second}:", f"{longer}:")
    (tiny_data.root / "train" / second).rename(tiny_data.root / "train" / longer)
    tiny_data.pairs().write_text(f"from,to\n{first},{longer}\n")
    (message,) = problems(tiny_data)["strip_name"]
    assert message.startswith(f"{tiny_data.pairs()}, row 2: the strip of {first} -> {longer} would have a name of 256 ")


def test_backgrounds_of_targets(tiny_data):
    tiny_data.images()[1].with_name("0001_c1_2_BG.jpg").unlink()
    assert problems(tiny_data) == {}
    found = problems(tiny_data, "--use_bg")
    assert list(found) == ["background_absent"]
    assert len(found["background_absent"]) == 2
    assert all(case.endswith(f"column to: {NAMES[1]}") for case in found["background_absent"])


def test_files_that_cannot_be_read_are_part_of_the_report(tiny_data):
    tiny_data.edit(tiny_data.annotations(), f"{NAMES[1]}: [", f"{NAMES[1]}: [-7, ")
    tiny_data.edit(tiny_data.pairs("test"), "from,to", "from,into")
    status, report = run(tiny_data)
    assert status == 1
    train, test = report["splits"]["train"], report["splits"]["test"]
    (message,) = train["problems"].pop("annotation_file")
    assert message.startswith(f"{tiny_data.annotations()}, row 3 ({NAMES[1]}), column keypoints_y: ")
    assert train["problems"] == {}
    assert train["annotated"] is None
    assert test["problems"] == {
        "pair_file": [
            f"{tiny_data.pairs('test')}, row 1: the header must have the columns from,to once each, got 'from,into'"
        ]
    }
    assert test["pairs"] is None


def test_the_printed_report_shows_the_first_cases(tiny_data, capsys):
    for path in tiny_data.images():
        path.unlink()
    tiny_data.pairs().unlink()
    run(tiny_data, "--split", "train")
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  PROBLEM (9): annotated images"))
    assert lines[start + 1] == f"    {tiny_data.annotations()}, row 2 ({NAMES[0]})"
    assert lines[start + 6 : start + 8] == ["    and 4 more", ""]


def test_what_is_not_there(tiny_data, tmp_path):
    tiny_data.annotations("test").unlink()
    with pytest.raises(InputError, match=r"tiny-annotation-test\.csv: no such annotation file; make it with"):
        run(tiny_data)
    for path in (tiny_data.root / "test").iterdir():
        path.unlink()
    (tiny_data.root / "test").rmdir()
    assert list(run(tiny_data)[1]["splits"]) == ["train"]  # `both` means: what is there
    with pytest.raises(InputError, match=r"tiny/test: no such folder of images; put them there, or set --images_dir"):
        run(tiny_data, "--split", "test")
    with pytest.raises(InputError, match=r"nowhere/train: no such folder of images"):
        run(tiny_data, "--images_dir", tmp_path / "nowhere", "--annotations_dir", tmp_path / "nowhere")


def test_own_data_without_a_readable_image(tiny_data):
    for path in (tiny_data.root / "train").iterdir():
        path.write_text("no image")
    with pytest.raises(InputError, match="tiny: no image can be read; put images there, or set --images_dir"):
        run(tiny_data, "--split", "train")
    assert len(problems(tiny_data, "--image_size", "96x64")["image_unreadable"]) == 18


@pytest.mark.parametrize(
    ("dataset", "flags", "images"),
    [("market", [], 136), ("deepfashion", ["--dataset", "fashion", "--split", "test"], 75)],
)
def test_real_data_are_clean(shared_data, capsys, dataset, flags, images):
    folder = str(shared_data / f"{dataset}-sample")
    assert check.main(["--images_dir", folder, "--annotations_dir", folder, *flags]) == 0
    assert f"  images       {images} in {folder}" in capsys.readouterr().out
