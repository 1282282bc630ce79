"""`python -m data_prep` and its verb `pairs`, through `main(argv)`; once as a program."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from checkout import ROOT

import data_prep.__main__
import data_prep.pairs
from pose_gan.data.pairs import make_cross_pairs, make_pairs, read_pairs, sample_pairs
from pose_gan.errors import InputError
from pose_gan.poses.keypoints import HEADER, read_annotations


def run(*arguments):
    return data_prep.pairs.main([str(argument) for argument in arguments])


def write(path, names, missing=False):
    pose = f"{[-1 if missing else 5] * 18}"
    path.write_text("\n".join([HEADER, *(f"{name}: {pose}: {pose}" for name in names)]) + "\n")


def test_makes_both_lists(tiny_data, tmp_path, capsys):
    out = tmp_path / "lists"
    assert run("--dataset", "tiny", "--annotations_dir", tiny_data.root, "--output_dir", out) == 0
    for split in ("train", "test"):
        made = (out / f"tiny-pairs-{split}.csv").read_bytes()
        pairs = make_pairs(read_annotations(tiny_data.annotations(split)))
        if split == "test":
            pairs = sample_pairs(pairs)
        assert made == pairs.to_csv(index=False).encode()
    printed = capsys.readouterr().out
    assert f"train: 9 images, 9 valid images, 3 persons, 18 pairs -> {out / 'tiny-pairs-train.csv'}\n" in printed
    assert "done in" in printed


def test_default_output_is_beside_the_annotations(tiny_data):
    tiny_data.pairs("train").unlink()
    tiny_data.pairs("test").unlink()
    run("--dataset", "tiny", "--annotations_dir", tiny_data.root, "--split", "train")
    assert len(read_pairs(tiny_data.pairs("train"))) == 18
    assert not tiny_data.pairs("test").exists()


def test_images_for_test(tiny_data):
    run("--dataset", "tiny", "--annotations_dir", tiny_data.root, "--images_for_test", 7)
    assert len(read_pairs(tiny_data.pairs("train"))) == 18
    assert len(read_pairs(tiny_data.pairs("test"))) == 7
    with pytest.raises(InputError, match="--images_for_test must be 1 or more, got 0"):
        run("--dataset", "tiny", "--annotations_dir", tiny_data.root, "--images_for_test", 0)


def test_absent_annotations_write_nothing(tiny_data):
    tiny_data.annotations("test").unlink()
    tiny_data.pairs("train").unlink()
    message = r"tiny-annotation-test\.csv: no such annotation file; .* leave it out with --split train"
    with pytest.raises(InputError, match=message):
        run("--dataset", "tiny", "--annotations_dir", tiny_data.root)
    assert not tiny_data.pairs("train").exists()


def test_no_valid_image(tmp_path):
    write(tmp_path / "a-annotation-train.csv", ["1_a", "1_b"], missing=True)
    with pytest.raises(
        InputError,
        match=r"a-annotation-train\.csv: no pairs: none of the 2 images is valid; 2 left out because .*Rhip, Lhip",
    ):
        run("--dataset", "a", "--annotations_dir", tmp_path, "--split", "train")


def test_one_image_a_person(tmp_path):
    write(tmp_path / "a-annotation-train.csv", ["1_a", "2_a", "3_a"])
    message = "no pairs: the 3 valid images count as 3 persons, one image each; .* --person REGEX gives another rule"
    with pytest.raises(InputError, match=message):
        run("--dataset", "a", "--annotations_dir", tmp_path, "--split", "train")


def test_one_valid_image(tmp_path):
    write(tmp_path / "a-annotation-train.csv", ["1_a", "0000_a", "-1_a"])
    with pytest.raises(InputError, match="no pairs: there is only one valid image, 1_a"):
        run("--dataset", "a", "--annotations_dir", tmp_path, "--split", "train")


def test_images_that_a_rule_leaves_out_are_counted(tmp_path, capsys):
    write(tmp_path / "a-annotation-train.csv", ["1_a", "1_b", "0000_a", "00001_a", "-1_a", "-1_b"])
    with (tmp_path / "a-annotation-train.csv").open("a") as file:
        pose = [5] * 11 + [-1] + [5] * 6  # without the left hip
        file.write(f"1_c: {pose}: {pose}\n")
    run("--dataset", "a", "--annotations_dir", tmp_path, "--split", "train")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("train: 7 images, 3 valid images, 2 persons, 2 pairs -> ")
    assert lines[1:4] == [
        "  left out     2 images: their names start with -1 (Market-1501's junk)",
        "  left out     1 image: their person is 0000 (Market-1501's distractors)",
        "  left out     1 image: a joint of Rhip, Lhip, Lsho, Rsho was not found",
    ]
    assert lines[4].startswith("done in")


def test_persons_by_a_rule_of_the_user(tmp_path, capsys):
    names = ["img_anna-1.jpg", "img_anna-2.jpg", "img_bert-1.jpg", "img_bert-2.jpg"]
    write(tmp_path / "a-annotation-train.csv", names)
    flags = ["--dataset", "a", "--annotations_dir", tmp_path, "--split", "train"]
    run(*flags)
    assert "  hint         all 4 valid images count as one person, 'img'; " in capsys.readouterr().out
    assert len(read_pairs(tmp_path / "a-pairs-train.csv")) == 12
    run(*flags, "--person", "_([a-z]+)-")
    printed = capsys.readouterr().out
    assert "2 persons, 4 pairs" in printed
    assert "hint" not in printed
    with pytest.raises(InputError, match=r"--person '_\(\[a-b\]\+\)-': finds no person in the name img_anna-1\.jpg"):
        run(*flags, "--person", "_([a-b]+)-")
    with pytest.raises(SystemExit, match="2"):
        run(*flags, "--person", "(")
    assert "--person '(': not a regular expression" in capsys.readouterr().err


def test_the_frames_of_one_video(tmp_path, capsys):
    write(tmp_path / "a-annotation-train.csv", ["0000.jpg", "0001.jpg", "0002.jpg"])
    flags = ["--dataset", "a", "--annotations_dir", tmp_path, "--split", "train", "--person", ""]
    run(*flags)
    printed = capsys.readouterr().out
    assert "3 valid images, 1 person, 6 pairs" in printed
    assert "hint" not in printed
    with pytest.raises(InputError, match="--cross takes poses of other persons, and --person '' says that there are"):
        run(*flags, "--cross", 2)


def test_cross_pairs_stand_in_a_folder_of_their_own(tiny_data, capsys):
    before = tiny_data.pairs("train").read_bytes()
    flags = ["--dataset", "tiny", "--annotations_dir", tiny_data.root, "--cross", 2]
    run(*flags)
    assert tiny_data.pairs("train").read_bytes() == before
    for split in ("train", "test"):
        made = read_pairs(tiny_data.root / "cross" / f"tiny-pairs-{split}.csv")
        table = read_annotations(tiny_data.annotations(split))
        assert made.equals(make_cross_pairs(table, 2))
        assert len(made) == 18
    printed = capsys.readouterr().out
    assert f"pose-gan test --dataset tiny --split SPLIT --pairs_dir {tiny_data.root / 'cross'}\n" in printed
    assert "fewer than" not in printed
    run(*flags, "--seed", 1, "--split", "train", "--output_dir", tiny_data.root / "other")
    other = read_pairs(tiny_data.root / "other" / "tiny-pairs-train.csv")
    assert other.equals(make_cross_pairs(read_annotations(tiny_data.annotations()), 2, seed=1))
    run(*flags, "--cross", 99, "--split", "train")
    assert "  fewer than 99 target poses for some sources" in capsys.readouterr().out
    with pytest.raises(InputError, match="--cross must be 1 or more, got 0"):
        run(*flags, "--cross", 0)
    write(tiny_data.annotations("train"), ["1_a", "1_b"])
    with pytest.raises(InputError, match="no pairs: all 2 valid images count as one person, '1'; "):
        run(*flags)


def test_names_in_folders_are_refused(tmp_path):
    write(tmp_path / "a-annotation-train.csv", ["anna/1.jpg", "anna/2.jpg"])
    with pytest.raises(InputError, match=r"row 2, column name: 'anna/1\.jpg': an image name that is a path; "):
        run("--dataset", "a", "--annotations_dir", tmp_path, "--split", "train")
    assert [path.name for path in tmp_path.iterdir()] == ["a-annotation-train.csv"]


def test_both_spellings_of_fashion(tmp_path):
    write(tmp_path / "fasion-annotation-train.csv", ["fashionA_B_1.jpg", "fashionA_B_2.jpg", "fashionA_C_1.jpg"])
    run("--dataset", "fashion", "--annotations_dir", tmp_path, "--split", "train")
    assert len(read_pairs(tmp_path / "fashion-pairs-train.csv")) == 2
    # The other spelling replaces the list that `open_pairs` would read, and makes no second one.
    run("--dataset", "fasion", "--annotations_dir", tmp_path, "--split", "train")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fashion-pairs-train.csv",
        "fasion-annotation-train.csv",
    ]


def test_another_skeleton(tmp_path):
    skeleton = {
        "name": "stick",
        "joints": ["head", "middle", "tail"],
        "edges": [["head", "middle"]],
        "required": ["middle"],
        "mirror_pairs": [],
        "scale_sides": [],
        "parts": [{"name": "all", "kind": "whole", "joints": ["head", "middle", "tail"]}],
    }
    (tmp_path / "stick.json").write_text(json.dumps(skeleton))
    rows = ["1_a: [-1, 2, 3]: [1, 2, 3]", "1_b: [1, 2, 3]: [1, 2, 3]", "1_c: [1, -1, 3]: [1, 2, 3]"]
    (tmp_path / "a-annotation-train.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    options = ["--dataset", "a", "--annotations_dir", tmp_path, "--split", "train"]
    with pytest.raises(InputError, match="3 integers, expected 18"):
        run(*options)
    run(*options, "--skeleton", tmp_path / "stick.json")
    assert len(read_pairs(tmp_path / "a-pairs-train.csv")) == 2


def test_market_sample(shared_data, tmp_path, capsys):
    run("--dataset", "market", "--annotations_dir", shared_data / "market-sample", "--output_dir", tmp_path)
    assert "136 images, 136 valid images, 43 persons, 370 pairs" in capsys.readouterr().out
    assert len(read_pairs(tmp_path / "market-pairs-test.csv")) == 152


def test_market_full(shared_data, tmp_path, capsys):
    run(
        *("--dataset", "market", "--split", "train"),
        *("--annotations_dir", shared_data / "market-full", "--output_dir", tmp_path),
    )
    assert "12936 images, 12116 valid images, 745 persons, 263632 pairs" in capsys.readouterr().out


# The program


def test_help_lists_the_verbs(capsys):
    assert data_prep.__main__.main(["--help"]) == 0
    printed = capsys.readouterr().out
    for verb, text in data_prep.__main__.VERBS.about.items():
        assert f"  {verb} " in printed
        assert text in printed


def test_no_verb_prints_the_help(capsys):
    assert data_prep.__main__.main([]) == 2
    assert "verbs:" in capsys.readouterr().err


def test_verbs_get_their_arguments(tiny_data):
    tiny_data.pairs("train").unlink()
    arguments = ["pairs", "--dataset", "tiny", "--annotations_dir", str(tiny_data.root), "--split", "train"]
    assert data_prep.__main__.main(arguments) == 0
    assert tiny_data.pairs("train").exists()


def test_unknown_verb():
    with pytest.raises(InputError, match=r"no verb 'pears'; allowed: .*pairs"):
        data_prep.__main__.main(["pears"])


def test_bad_input_ends_the_program_with_2_and_no_traceback():
    command = [sys.executable, "-m", "data_prep", "pairs", "--dataset", "x", "--annotations_dir", "nowhere"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: nowhere/x-annotation-train.csv: no such annotation file")
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
