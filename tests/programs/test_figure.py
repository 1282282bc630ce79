"""Figures of several runs: every picture in its place, and only pairs that all runs have."""

from __future__ import annotations

import dataclasses
import io

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.evaluation.figures import choose_pairs, draw, named_pairs, open_runs
from pose_gan.evaluation.scores import Scores
from pose_gan.evaluation.strip_names import strip_name
from pose_gan.evaluation.strips import JudgedImages
from pose_gan.metrics import Outcome, Result
from pose_gan.poses.drawing import strip, write_image
from pose_gan.poses.keypoints import write_annotations
from pose_gan.poses.skeleton import COCO18
from pose_gan.programs.figure import main

SIZE = (32, 16)
NAMES = [f"{number:04d}_{letter}.jpg" for number in range(4) for letter in "ab"]
PAIRS = list(zip(NAMES[::2], NAMES[1::2], strict=True))
VALUES = {"dsc": [0.1, 0.9, 0.5, 0.4], "full": [0.3, 0.8, 0.9, 0.2]}  # means: 0.2, 0.85, 0.7, 0.3


def colour(*key):
    """A picture of one colour, its own for each key."""
    shade = np.random.default_rng([ord(letter) for letter in "".join(key)]).integers(0, 256, 3, dtype=np.uint8)
    return np.broadcast_to(shade, (*SIZE, 3))


def save(folder, name, pairs=PAIRS, size=SIZE, **options):
    """A folder of strips and scores."""
    for a, b in pairs:
        write_image(folder / strip_name(a, b), strip(colour(a), colour(b), colour(name, a, b)))
    values = np.array(VALUES.get(name, [0.5] * 4)[: len(pairs)])
    outcomes: dict[str, Outcome] = {name: Result(0.5, 0, len(values), values) for name in ("mask_ssim", "l1")}
    table = pd.DataFrame(pairs, columns=["from", "to"])
    images = JudgedImages(table, [(folder / "x",)] * len(pairs), size, folder)
    Scores({"generated": outcomes, "copy_source": outcomes}, images).save(folder, {"options": options})
    return folder


@pytest.fixture
def folders(tmp_path):
    """Two runs on the same pairs, and the keypoints that the first was scored with."""
    poses = np.random.default_rng(0).integers(0, SIZE, (len(NAMES), COCO18.num_joints, 2))
    write_annotations(tmp_path / "poses/own-annotation-test.csv", NAMES, poses)
    known = {"dataset": "own", "annotations_dir": str(tmp_path / "poses")}
    return [save(tmp_path / "dsc", "dsc", **known), save(tmp_path / "full", "full")]


def cell(picture, rows, columns, row, column):
    """The colour in the middle of a picture of the figure."""
    pitch_x = (picture.shape[1] - 4) / columns
    height = 2 * (pitch_x - 4)  # pictures are twice as high as wide
    y = picture.shape[0] - (rows - row) * (height + 4) + height / 2
    return picture[round(y), round(4 + column * pitch_x + (pitch_x - 4) / 2)]


def test_every_picture_is_in_its_place(folders, tmp_path, capsys):
    main([*map(str, folders), "--output", str(tmp_path / "out/figure.png")])
    picture = iio.imread(tmp_path / "out/figure.png")
    assert picture.shape[1] == pytest.approx(2000, rel=0.1)
    for row, (a, b) in enumerate(PAIRS):
        pictures = {0: colour(a), 3: colour(b), 4: colour("dsc", a, b), 5: colour("full", a, b)}
        for column, expected in pictures.items():
            np.testing.assert_array_equal(cell(picture, 4, 6, row, column), expected[0, 0])
    shown = capsys.readouterr().out
    assert "0000_a.jpg -> 0000_b.jpg\n0001_a.jpg" in shown
    assert "written: " in shown


def test_poses_are_those_of_source_and_target(folders, tmp_path):
    runs = open_runs(folders)
    first, second = draw(runs, PAIRS[:1]), draw(runs, PAIRS[1:2])
    width = (first.shape[1] - 4) / 6
    poses = first[:, round(width) + 8 : round(3 * width)]
    assert (poses[-100:] == 0).all(axis=-1).mean() > 0.5  # skeletons are drawn on black
    assert (first[:, : round(width)] != second[:, : round(width)]).any()
    assert (poses != second[:, round(width) + 8 : round(3 * width)]).any()


def test_poses_that_nobody_knows_are_left_out(folders, tmp_path, capsys):
    main([str(folders[1]), "--output", str(tmp_path / "figure.png")])
    assert "no keypoints: poses are left out" in capsys.readouterr().out
    picture = iio.imread(tmp_path / "figure.png")
    for column, expected in enumerate((colour(PAIRS[0][0]), colour(PAIRS[0][1]), colour("full", *PAIRS[0]))):
        np.testing.assert_array_equal(cell(picture, 4, 3, 0, column), expected[0, 0])
    poses = tmp_path / "poses/own-annotation-test.csv"
    main([str(folders[1]), "--output", str(tmp_path / "more.png"), "--annotations", str(poses)])
    assert iio.imread(tmp_path / "more.png").shape[1] > picture.shape[1]


def test_pdf_is_the_same_picture_on_a_page(folders, tmp_path):
    for name in ("figure.png", "figure.pdf"):
        main([*map(str, folders), "--output", str(tmp_path / name), "--pairs", "2"])
    document = (tmp_path / "figure.pdf").read_bytes()
    assert document.startswith(b"%PDF")
    assert b"/MediaBox [ 0 0 482.4" in document  # 6.7 inches of 72 points
    start = document.index(b"\xff\xd8\xff")
    picture = np.asarray(Image.open(io.BytesIO(document[start:])).convert("RGB")).astype(int)
    difference = np.abs(picture - iio.imread(tmp_path / "figure.png"))
    assert difference.mean() < 1
    assert np.quantile(difference, 0.99) < 30


def test_pairs_are_chosen(folders):
    runs = open_runs(folders)
    assert choose_pairs(runs, 9) == PAIRS
    drawn = choose_pairs(runs, 2, seed=1)
    assert drawn == choose_pairs(runs, 2, seed=1) == sorted(drawn)
    assert {tuple(choose_pairs(runs, 1, seed=seed)) for seed in range(20)} == {(pair,) for pair in PAIRS}
    assert choose_pairs(runs, 2, "best") == [PAIRS[1], PAIRS[2]]
    assert choose_pairs(runs, 2, "worst") == [PAIRS[0], PAIRS[3]]
    assert choose_pairs(runs, 2, "best", "l1") == [PAIRS[0], PAIRS[3]]  # lower is better


def test_pairs_are_named(folders, tmp_path):
    runs = open_runs(folders)
    name = strip_name(*PAIRS[2])
    assert named_pairs(runs, [name, strip_name(*PAIRS[0])[:-4]]) == [PAIRS[2], PAIRS[0]]
    with pytest.raises(InputError, match=r"--rows: c.png is no strip that all runs have; such as 0000_a.jpg_0000_b"):
        main([*map(str, folders), "--output", str(tmp_path / "f.png"), "--rows", "c.png"])


def test_only_pairs_that_all_runs_have(folders, tmp_path):
    fewer = save(tmp_path / "fewer", "full", PAIRS[2:])
    assert choose_pairs(open_runs([*folders, fewer]), 9) == PAIRS[2:]
    others = save(tmp_path / "others", "full", PAIRS[:2])
    with pytest.raises(InputError, match=r"no pair is in all runs \(pairs: fewer 2, others 2\)"):
        choose_pairs(open_runs([fewer, others]), 9)


def test_scores_may_lie_elsewhere(folders, tmp_path):
    """`pose-gan evaluate --output_dir` leaves the strips where they are."""
    (tmp_path / "scores").mkdir()
    for name in ("metrics.json", "metrics_per_pair.csv"):
        (folders[0] / name).rename(tmp_path / "scores" / name)
    (run,) = open_runs([tmp_path / "scores"])
    assert run.name == "scores"
    np.testing.assert_array_equal(run.images.read(0)[2], colour("dsc", *PAIRS[0]))


def test_images_that_do_not_fit_are_refused(folders, tmp_path):
    large = save(tmp_path / "large", "full", size=(64, 32))
    with pytest.raises(InputError, match=r"dsc are 32x16 pixels .*large are 64x32; a figure needs one size"):
        open_runs([folders[0], large])
    with pytest.raises(InputError, match=r"64x32|expected 64x96"):
        draw(open_runs([large]), PAIRS)
    (folders[1] / strip_name(*PAIRS[1])).unlink()
    with pytest.raises(InputError, match=r"no strip of the pair 0001_a.jpg -> 0001_b.jpg \(1 of 4 that were scored"):
        open_runs(folders)
    apart = save(tmp_path / "apart", "full", generated="results", source="a", target="b")
    with pytest.raises(InputError, match="scores of images in separate folders; a figure needs strips"):
        open_runs([apart])


def test_bad_input_is_refused(folders, tmp_path):
    runs, output = [str(folder) for folder in folders], ["--output", str(tmp_path / "f.png")]
    with pytest.raises(InputError, match=r"--output f.gif: the name must end in .png or .pdf"):
        main([*runs, "--output", "f.gif"])
    with pytest.raises(InputError, match="--pairs 0"):
        main([*runs, *output, "--pairs", "0"])
    with pytest.raises(
        InputError, match=r"--by ssim: .*dsc has no scores of single images by it; it has mask_ssim, l1"
    ):
        main([*runs, *output, "--choose", "best", "--by", "ssim"])
    with pytest.raises(InputError, match=r"holds no metrics\.json"):
        main([str(tmp_path), *output])
    with pytest.raises(InputError, match="two runs are called"):
        main([*runs, *output, "--names", "a", "a"])
    for flags in (["--seed", "-1"], ["--by", "fame"]):
        with pytest.raises(SystemExit, match="2"):
            main([*runs, *output, *flags])


def test_another_skeleton_must_be_given(folders, tmp_path):
    known = {"dataset": "own", "annotations_dir": str(tmp_path / "poses"), "training: skeleton": "horse"}
    horse = save(tmp_path / "horse", "full", **known)
    with pytest.raises(InputError, match="the runs have the skeleton 'horse'; give its file with --skeleton"):
        open_runs([horse])
    assert open_runs([horse], skeleton=dataclasses.replace(COCO18, name="horse"))
