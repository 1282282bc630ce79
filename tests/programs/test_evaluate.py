"""Scoring: rows, what cannot be computed, memory; and `pose-gan evaluate`."""

from __future__ import annotations

import csv
import json
import tracemalloc

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest

from benchmarks import evaluation as benchmark
from pose_gan.errors import InputError
from pose_gan.evaluation import scoring
from pose_gan.evaluation.scores import append_line, read_table
from pose_gan.evaluation.scoring import Scorer
from pose_gan.evaluation.strip_names import strip_name
from pose_gan.evaluation.strips import find_strips
from pose_gan.metrics import BY_DEFAULT, METRICS, CannotCompute, MetricSpec, Result, l1, mask_ssim, ssim
from pose_gan.poses.drawing import strip
from pose_gan.poses.keypoints import write_annotations
from pose_gan.poses.skeleton import COCO18
from pose_gan.programs.evaluate import main

SIZE = (64, 56)
NAMES = [f"{person:04d}_{side}.jpg" for person in range(5) for side in "ab"]
PAIRS = list(zip(NAMES[::2], NAMES[1::2], strict=True))


@pytest.fixture
def pictures():
    """Sources, targets and generated images: uint8 `(3, pairs, H, W, 3)`."""
    return np.random.default_rng(0).integers(0, 256, (3, len(PAIRS), *SIZE, 3), dtype=np.uint8)


@pytest.fixture
def poses():
    return np.random.default_rng(1).integers(0, SIZE, (len(NAMES), COCO18.num_joints, 2))


@pytest.fixture
def folder(tmp_path, pictures, poses):
    """`strips/` with a strip a pair, and `own-annotation-test.csv`."""
    (tmp_path / "strips").mkdir()
    for pair, images in zip(PAIRS, zip(*pictures, strict=True), strict=True):
        iio.imwrite(tmp_path / "strips" / strip_name(*pair), strip(*images))
    write_annotations(tmp_path / "own-annotation-test.csv", NAMES, poses)
    return tmp_path


def run(folder, *more):
    """The program's values and lines, with files written to `scores/`."""
    main([*map(str, more), "--output_dir", str(folder / "scores")])
    return json.loads((folder / "scores/metrics.json").read_text(encoding="utf-8"))


class Refusing:
    """A metric that cannot score: at its first batch, or in the end."""

    def __init__(self, when):
        self.when, self.updates = when, 0

    def update(self, batch):
        self.updates += 1
        if self.when == "update":
            raise CannotCompute("these images are too odd")

    def result(self):
        if self.when == "result":
            raise CannotCompute("there were too few images")
        return Result(1.0, None, 1)


# ------------------------------------------------------------------------------------- scoring


def test_real_images_are_scored_against_themselves(folder, pictures):
    scores = Scorer(["ssim", "l1", "psnr"], real=True)(find_strips(folder / "strips"))
    assert list(scores.rows) == ["generated", "copy_source", "real"]
    assert scores.real["ssim"].values == pytest.approx(np.ones(len(PAIRS)))
    np.testing.assert_array_equal(scores.real["l1"].values, 0)
    np.testing.assert_array_equal(scores.copy_source["l1"].values, l1(pictures[0], pictures[1]))
    columns = [f"{row}{name}" for row in ("", "copy_source_", "real_") for name in ("ssim", "l1", "psnr")]
    assert list(scores.per_pair().columns) == ["from", "to", *columns]
    assert list(Scorer(["l1"])(find_strips(folder / "strips")).rows) == ["generated", "copy_source"]


@pytest.mark.parametrize(("when", "reason"), [("update", "these images are too odd"), ("result", "there were too few")])
def test_a_metric_that_gives_up_leaves_the_others_alone(folder, monkeypatch, when, reason):
    made = []
    spec = MetricSpec("odd", "Odd", True, lambda options: made.append(Refusing(when)) or made[-1])
    monkeypatch.setitem(METRICS, "odd", spec)
    monkeypatch.setattr(scoring, "BATCH", 2)
    scores = Scorer(["odd", "l1"])(find_strips(folder / "strips"))
    assert list(scores.generated) == ["l1"]
    assert scores.not_computed["odd"].startswith(reason)
    assert made[0].updates == (1 if when == "update" else 3)
    assert "Odd: " + reason in scores.table()


def test_small_images_have_no_uniform_ssim(tmp_path):
    for number in range(2):
        iio.imwrite(tmp_path / f"{number}.png", np.random.default_rng(number).integers(0, 256, (40, 60, 3), np.uint8))
    scores = Scorer()(find_strips(tmp_path))
    assert scores.not_computed["ssim_gfla"] == "needs images of at least 51x51 pixels, got 40x20"
    assert set(scores.generated) == {"ssim", "ssim_standard", "l1", "psnr"}  # nor are there keypoints


def test_batches_give_what_all_at_once_gives(folder, monkeypatch):
    at_once = Scorer()(find_strips(folder / "strips")).per_pair()
    monkeypatch.setattr(scoring, "BATCH", 2)
    pd.testing.assert_frame_equal(Scorer()(find_strips(folder / "strips")).per_pair(), at_once)


def test_memory_does_not_grow_with_the_number_of_images(tmp_path, monkeypatch):
    """20 and 200 pairs take the same, but for a few numbers a pair."""
    monkeypatch.setattr(scoring, "BATCH", 4)
    image = np.random.default_rng(0).integers(0, 256, (64, 192, 3), np.uint8)
    for number in range(200):
        iio.imwrite(tmp_path / f"{number:03d}.png", image)
    few, many = find_strips(tmp_path), find_strips(tmp_path)
    object.__setattr__(few, "files", few.files[:20])
    peaks = []
    for images in (few, few, many):  # the first fills caches
        tracemalloc.start()
        Scorer(["ssim", "l1"])(images)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 100 * image.nbytes / 2  # of 180 strips more; it is far less


def test_scores_are_those_of_a_loop_with_scikit_image(tmp_path):
    """What the benchmark compares with: one strip, one metric after the other, masks drawn by scikit-image."""
    benchmark.write_strips(tmp_path / "strips", (128, 64), 3)
    ours, loop = (benchmark.make_calls(form, str(tmp_path / "strips"))["score"]() for form in ("ours", "loop"))
    assert len(ours) == 2 * len(benchmark.METRICS)
    np.testing.assert_allclose(ours, loop, rtol=0, atol=1e-12)


def test_a_bad_strip_is_named(folder):
    images = find_strips(folder / "strips")
    path = images.files[3][0]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=path.name):
        Scorer(["l1"])(images)


# -------------------------------------------------------------------------------------- tables


def test_lines_of_several_evaluations_in_one_table(tmp_path):
    path = tmp_path / "deep/table.csv"
    assert read_table(path) == []
    append_line(path, {"images": "a, b", "pairs": "3", "ssim": "0.5"})
    append_line(path, {"images": "c", "pairs": "4", "is": 'not computed: needs "x"'})
    assert list(csv.reader(path.read_text(encoding="utf-8").splitlines())) == [
        ["images", "pairs", "ssim", "is"],
        ["a, b", "3", "0.5", ""],
        ["c", "4", "", 'not computed: needs "x"'],
    ]
    path.write_text("images,pairs,ssim\na,1\n")
    with pytest.raises(InputError, match=r"table.csv: not a table of scores"):
        append_line(path, {})


# ------------------------------------------------------------------------------------- program


def test_program_scores_strips(folder, pictures, poses, capsys):
    values = run(folder, folder / "strips", "--annotations", folder / "own-annotation-test.csv", "--real", 1)
    assert tuple(values["metrics"]) == BY_DEFAULT
    assert values["count"] == len(PAIRS)
    expected = mask_ssim(pictures[2], pictures[1], poses[1::2]).mean()
    assert values["metrics"]["mask_ssim"]["generated"]["mean"] == pytest.approx(expected)
    assert values["metrics"]["mask_ssim"]["real"]["mean"] == pytest.approx(1)
    assert values["run"]["command"].startswith("pose-gan evaluate ")
    assert values["run"]["options"]["skeleton"] == "coco18"
    shown = capsys.readouterr().out
    assert f"{expected:.4f}" in shown
    assert "the paper's mask-SSIM, Tables 1 and 3" in shown
    table = pd.read_csv(folder / "scores/metrics_per_pair.csv")
    assert list(zip(table["from"], table["to"], strict=True)) == PAIRS


def test_program_without_keypoints(folder, pictures, capsys):
    values = run(folder, folder / "strips")["metrics"]
    assert values["ssim"]["generated"]["mean"] == pytest.approx(ssim(pictures[2], pictures[1]).mean())
    reason = "needs the keypoints of the target images: --dataset NAME, or --annotations FILE.csv"
    assert values["mask_ssim"]["generated"] == {"not_computed": reason}
    shown = capsys.readouterr().out
    assert f"mask-SSIM, mask-SSIM (standard): {reason}" in shown.split("not computed")[1]
    line = next(csv.DictReader((folder / "scores/metrics.csv").open(encoding="utf-8")))
    assert line["mask_ssim"] == f"not computed: {reason}"
    assert "mask_ssim" not in pd.read_csv(folder / "scores/metrics_per_pair.csv").columns


def test_program_writes_beside_the_strips_and_reads_them_again(folder, capsys):
    for _ in range(2):
        main([str(folder / "strips"), "--metrics", "l1", "--append_to", str(folder / "t.csv")])
    assert (folder / "strips/metrics.json").exists()
    assert len(read_table(folder / "t.csv")) == 2
    assert str(folder / "t.csv") in capsys.readouterr().out


def test_program_takes_a_data_sets_annotations(folder, poses):
    write_annotations(folder / "own-annotation-train.csv", NAMES[:4], poses[:4])
    write_annotations(folder / "own-annotation-test.csv", NAMES[2:], poses[2:])
    flags = ["--dataset", "own", "--annotations_dir", folder, "--metrics", "mask_ssim"]
    assert "mean" in run(folder, folder / "strips", *flags)["metrics"]["mask_ssim"]["generated"]
    poses[2, 0] = -1
    write_annotations(folder / "own-annotation-train.csv", NAMES[:4], poses[:4])
    with pytest.raises(InputError, match=r"train.csv, row 4 \(0001_a.jpg\): has other keypoints in .*test.csv; give"):
        run(folder, folder / "strips", *flags)
    with pytest.raises(InputError, match=r"else-annotation-test.csv: no such annotation file; --annotations_dir says"):
        run(folder, folder / "strips", "--dataset", "else", "--annotations_dir", folder)


def test_program_scores_folders(folder, pictures):
    folders = []
    for kind, images in zip(("source", "target", "generated"), pictures, strict=True):
        (folder / kind).mkdir()
        folders += [f"--{kind}", folder / kind]
        for number, image in enumerate(images):
            iio.imwrite(folder / kind / f"{number}.png", image)
    values = run(folder, *folders, "--metrics", "ssim,l1", "--report", folder / "r.html", "--grid", folder / "g.png")
    assert values["images"] == str(folder / "generated")
    assert values["metrics"]["l1"]["generated"]["mean"] == pytest.approx(l1(pictures[2], pictures[1]).mean())
    assert values["metrics"]["l1"]["copy_source"]["mean"] == pytest.approx(l1(pictures[0], pictures[1]).mean())
    assert (folder / "r.html").stat().st_size > 10_000
    assert iio.imread(folder / "g.png").ndim == 3


def test_program_scores_two_folders(folder, pictures, poses, capsys):
    """There is no trivial answer, and each metric that needs no source has the score that it has with one."""
    for kind, images in zip(("target", "generated"), pictures[1:], strict=True):
        (folder / kind).mkdir()
        for name, image in zip(NAMES[1::2], images, strict=True):
            iio.imwrite(folder / kind / name.replace(".jpg", ".png"), image)
    renamed = folder / "a.csv"
    write_annotations(renamed, [name.replace(".jpg", ".png") for name in NAMES], poses)
    two = ["--target", folder / "target", "--generated", folder / "generated", "--annotations", renamed]
    values = run(folder, *two, "--report", folder / "r.html", "--grid", folder / "g.png")["metrics"]
    assert tuple(values) == BY_DEFAULT
    strips = run(folder, folder / "strips", "--annotations", folder / "own-annotation-test.csv")["metrics"]
    for name, value in values.items():
        assert value["generated"]["mean"] == pytest.approx(strips[name]["generated"]["mean"], rel=1e-9)
        assert "copy_source" not in value
    assert "copying the source" not in capsys.readouterr().out.split("written")[0]
    assert (folder / "r.html").stat().st_size > 10_000
    line = pd.read_csv(folder / "scores/metrics_per_pair.csv", nrows=1)
    assert list(line)[:3] == ["from", "to", "ssim"]


@pytest.mark.parametrize("flags", [["--dataset", "own"], ["--person", "^.{4}"]])
def test_program_leaves_out_pairs_of_two_persons(folder, pictures, flags, capsys):
    """Where names tell persons. The pairs of one person give the scores; metrics without a target keep all pairs."""
    crossed = NAMES[0], NAMES[3]
    iio.imwrite(folder / "strips" / strip_name(*crossed), strip(*pictures[:, 0, ..., ::-1]))
    strips = [folder / "strips", "--metrics", "l1,psnr", "--annotations_dir", folder]
    assert run(folder, *strips)["metrics"]["l1"]["generated"]["count"] == len(PAIRS) + 1
    capsys.readouterr()
    values = run(folder, *strips, *flags, "--report", folder / "r.html", "--grid", folder / "g.png")
    said = capsys.readouterr().out
    assert f"1 of {len(PAIRS) + 1} pairs show two persons, by their names" in said
    assert (values["count"], values["pairs_of_two_persons"]) == (len(PAIRS) + 1, 1)
    for row, images in (("generated", pictures[2]), ("copy_source", pictures[0])):
        outcome = values["metrics"]["l1"][row]
        assert outcome["mean"] == pytest.approx(l1(images, pictures[1]).mean())
        assert outcome["count"] == len(PAIRS)


def test_program_takes_all_metrics(folder):
    assert tuple(run(folder, folder / "strips", "--metrics", "all")["metrics"]) == tuple(METRICS)


def test_program_refuses_what_does_not_go_together(folder):
    strips = folder / "strips"
    both = r"give a FOLDER of strips, or both --target DIR and --generated DIR, with or without --source DIR"
    for flags in ([], [strips, "--source", strips], ["--source", strips, "--target", strips], ["--generated", strips]):
        with pytest.raises(InputError, match=both):
            run(folder, *flags)
    with pytest.raises(InputError, match="metric 'fame' is not known"):
        run(folder, strips, "--metrics", "ssim,fame")
    with pytest.raises(InputError, match=r"--grid g.gif: the name must end in .png or .jpg"):
        run(folder, strips, "--grid", "g.gif")
    (folder / "file").write_text("not a folder")
    with pytest.raises(InputError, match=r"file: cannot be written to"):
        main([str(strips), "--output_dir", str(folder / "file")])
    with pytest.raises(SystemExit, match="2"):
        run(folder, strips, "--seed", "-1")
