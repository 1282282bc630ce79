"""`pose-gan reid evaluate`: its scores, records, page and figure, from images and from features alone."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.programs.reid_evaluate import DISTANCES, main
from pose_gan.reid import distances, evaluate_ranking
from pose_gan.reid import evaluation as module
from pose_gan.reid.distances import EUCLIDEAN
from pose_gan.reid.evaluation import Answer, evaluate, make_distance, rows_of, table
from pose_gan.reid.features import Features, save_features
from pose_gan.reid.images import read_splits
from pose_gan.reid.re_ranking import ReRanking


def features(people, images: int, seed: int = 0, noise: float = 0.6) -> Features:
    """Features of people seen by cameras 1, 2 and 3 in turn."""
    centres = np.random.default_rng(99).normal(0, 1, (50, 5))
    random = np.random.default_rng(seed)
    ids = np.repeat(np.asarray(people), images)
    values = (centres[ids] + random.normal(0, noise, (len(ids), 5))).astype(np.float32)
    cameras = np.tile(np.arange(images) % 3 + 1, len(people))
    return Features(values, ids, cameras, tuple(f"{n}.jpg" for n in range(len(ids))))


QUERY, GALLERY, TRAIN = features(range(1, 11), 3), features(range(-1, 11), 6, 1), features(range(20, 40), 6, 2)


def test_scores_are_those_of_the_ranking_and_lie_in_their_intervals():
    found = evaluate(QUERY, GALLERY, EUCLIDEAN)
    distances = np.linalg.norm(QUERY.values[:, None] - GALLERY.values, axis=2)
    ranking = evaluate_ranking(distances, QUERY.people, GALLERY.people, QUERY.cameras, GALLERY.cameras)
    expected = [ranking.cmc[rank - 1] for rank in (1, 5, 10, 20)]
    expected += [ranking.mean_average_precision, ranking.mean_average_precision_step]
    np.testing.assert_allclose([score.value for score in found.scores.values()], expected)
    assert all(score.low <= score.value <= score.high for score in found.scores.values())
    assert 0.3 < found.scores["rank1"].value < 0.97
    assert found.counts == {"queries": 30, "gallery": 72, "junk": 6, "distractors": 6}
    assert found.answerable is None
    assert evaluate(QUERY, GALLERY, EUCLIDEAN).scores == found.scores
    assert evaluate(QUERY, GALLERY, EUCLIDEAN, seed=1).scores != found.scores


def test_the_interval_is_as_wide_as_theory_says():
    """Of a share p over n queries, the standard error is √(p (1 − p) / n)."""
    found = evaluate(features(range(1, 41), 12, 5), features(range(1, 41), 3, 6), EUCLIDEAN).scores["rank1"]
    error = np.sqrt(found.value * (1 - found.value) / 480)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_queries_without_an_answer_are_reported():
    query = features([1, 2, 41], 3)
    found = evaluate(query, GALLERY, EUCLIDEAN)
    assert found.answerable is not None
    assert found.scores["map"].value == pytest.approx(found.answerable["map"].value * 2 / 3)
    assert "3 of the queries have no good answer in the gallery" in found.remarks[1]
    assert found.to_dict()["counts"]["without_good_answer"] == 3
    with pytest.raises(InputError, match="no query has a good answer"):
        evaluate(features([41], 3), GALLERY, EUCLIDEAN)
    with pytest.raises(InputError, match="nothing to rank: 0 queries"):
        evaluate(query.select(np.arange(0)), GALLERY, EUCLIDEAN)


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("re_ranking", [None, ReRanking(6, 3)])
def test_every_distance_ranks(name, re_ranking):
    counts: list[int] = []
    found = evaluate(QUERY, GALLERY, make_distance(name, TRAIN), re_ranking, progress=counts.append)
    assert found.scores["rank5"].value > 0.6
    assert sum(counts) == rows_of(QUERY, GALLERY, re_ranking)
    assert ("re-ranked" in found.title) == (re_ranking is not None)


def test_the_distances_of_the_program_are_those_of_the_package():
    assert module.DISTANCES == DISTANCES == tuple(module.DISTANCE_TITLES)
    with pytest.raises(InputError, match="distance 'l1' is not known; allowed: euclidean, cosine, kissme, xqda"):
        make_distance("l1")
    with pytest.raises(InputError, match="distance xqda: is learnt"):
        make_distance("xqda")


def test_lengths_are_divided_out_or_not():
    long = Features(QUERY.values * 7, QUERY.people, QUERY.cameras, QUERY.names)
    for name in DISTANCES:
        found, longer = (evaluate(one, GALLERY, make_distance(name, TRAIN)) for one in (QUERY, long))
        np.testing.assert_allclose(found.ranking.average_precision, longer.ranking.average_precision, atol=1e-6)
    plain = make_distance("euclidean", unit=False)
    assert evaluate(QUERY, GALLERY, plain).scores != evaluate(long, GALLERY, plain).scores


def test_the_first_answers_are_the_nearest_and_are_judged():
    query = Features(np.zeros((1, 1), np.float32), np.array([5]), np.array([1]), ("q",))
    values = np.array([[4.0], [1], [2], [3], [9]], np.float32)
    gallery = Features(values, np.array([5, 5, -1, 6, 5]), np.array([2, 1, 3, 1, 2]), tuple("abcde"))
    found = evaluate(query, gallery, EUCLIDEAN, shown=3)
    kinds = [(1, "junk"), (2, "junk"), (3, "wrong"), (0, "right"), (4, "right")]
    assert found.answers == {0: [Answer(*one) for one in kinds]}
    assert found.ranking.first_right.tolist() == [2]


def test_answers_are_those_of_their_query_whatever_the_blocks(monkeypatch):
    monkeypatch.setattr(distances, "BLOCK", 7 * len(GALLERY))
    found = evaluate(QUERY, GALLERY, EUCLIDEAN, shown=9)
    between = np.linalg.norm(QUERY.values[:, None] - GALLERY.values, axis=2)
    assert len(found.answers) == 9
    for number, answers in found.answers.items():
        assert [answer.place for answer in answers] == np.argsort(between[number])[:10].tolist()


def test_a_table_has_a_row_per_set_of_features():
    found = evaluate(QUERY, GALLERY, EUCLIDEAN)
    lines = table({"a|b": found, "c": found}).splitlines()
    assert lines[0].split() == [
        "|",
        "features",
        "|",
        "distance",
        *"|rank-1|rank-5|rank-10|rank-20|mAP|mAP (step)|".replace("|", " | ").split(),
    ]
    assert len({len(line) for line in lines}) == 1
    assert "a\\|b" in lines[2]
    low, high = 100 * found.scores["map"].low, 100 * found.scores["map"].high
    assert f"{100 * found.scores['map'].value:.1f} [{low:.1f}, {high:.1f}]" in lines[3]


# ------------------------------------------------------------------------------------------ the program


@pytest.fixture
def folder(tmp_path):
    """Eight people in clothes of their own colours, twice by each of two cameras, and junk; some generated images."""
    random = np.random.default_rng(0)
    path = tmp_path / "images"
    path.mkdir()
    for person in [-1, *range(1, 9)]:
        colour = random.integers(0, 256, (2, 1, 1, 3)).repeat(16, axis=1).reshape(32, 1, 3)
        for number in range(4):
            image = np.clip(colour + random.normal(0, 40, (32, 16, 3)), 0, 255).astype(np.uint8)
            name = f"{person:04d}" if person > 0 else "-1"
            Image.fromarray(image).save(path / f"{name}_c{number % 2 + 1}s1_{number}.jpg")
    for number in range(2):
        for person in range(1, 9):
            Image.fromarray(image).save(path / f"{person:04d}_c1s1_0g{number}.jpg")
    return path


def run(capsys, *arguments) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_from_images_to_scores_and_a_page(folder, tmp_path, capsys):
    out = tmp_path / "out"
    common = ["--images", folder, "--network", "colours", "--output_dir", out, "--queries", "5"]
    printed = run(capsys, *common, "--distance", "xqda", "--figure", out / "figure.png")
    record = json.loads((out / "reid.json").read_text())
    assert record["scores"]["rank1"]["value"] > 0.5
    assert record["images"]["query"] == {**record["images"]["query"], "count": 8, "people": 4, "folder": str(folder)}
    assert record["images"]["train"]["count"] == 16  # of four people, without what was generated
    assert record["counts"]["junk"] == 4
    assert record["network"] == {"path": "colours", "sha256": "colours"}
    assert record["run"]["command"].startswith("pose-gan reid evaluate --images ")
    assert record["run"]["options"]["distance"] == "xqda"
    assert "numpy" in record["versions"]
    table_text = (out / "reid.md").read_text()
    assert table_text in printed
    assert "| colours  | XQDA     |" in table_text

    page = (out / "reid.html").read_text()
    splits = read_splits(folder)
    shown = re.findall(r"<b>query</b><span>([^<]+)</span>", page)
    assert len(shown) == 5
    assert {*shown} <= {*splits.query.names}
    for mark in ("✓ 1 right", "– junk"):
        assert f"<b>{mark.replace('junk', ' junk')}</b>" in page or f"<b>{mark}</b>" in page
    assert page.count("<b>source</b>") == 4
    assert page.count("src=") == page.count('src="data:image/png;base64,')
    assert Image.open(out / "figure.png").size[0] > 11 * 64

    with (out / "reid_per_query.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["query"] for row in rows] == list(splits.query.names)
    mean = np.mean([float(row["average_precision"]) for row in rows])
    assert mean == pytest.approx(record["scores"]["map"]["value"])
    assert np.mean([row["first_right"] == "1" for row in rows]) == record["scores"]["rank1"]["value"]


def test_features_are_reused_and_the_numbers_stay(folder, tmp_path, capsys):
    common = ["--images", folder, "--network", "colours", "--output_dir", tmp_path / "out", "--queries", "0"]
    first = run(capsys, *common)
    stamp = (tmp_path / "out/features.npz").stat().st_mtime_ns
    assert run(capsys, *common) == first
    assert (tmp_path / "out/features.npz").stat().st_mtime_ns == stamp
    assert not (tmp_path / "out/reid.html").exists()
    alone = run(
        capsys, "--features", tmp_path / "out/features.npz", "--output_dir", tmp_path / "two", "--name", "colours"
    )
    assert alone.splitlines()[:3] == first.splitlines()[:3]
    run(capsys, "--features", tmp_path / "out/features.npz", "--images", folder, "--output_dir", tmp_path / "three")
    assert (tmp_path / "three/reid.html").exists()


def test_features_of_another_program_are_scored(tmp_path, capsys):
    save_features(tmp_path / "f.npz", {"query": QUERY, "gallery": GALLERY, "train": TRAIN})
    for arguments in (["--distance", "kissme"], ["--re_rank", "1"]):
        printed = run(capsys, "--features", tmp_path / "f.npz", "--output_dir", tmp_path / "out", *arguments)
        assert "| f        |" in printed
    found = json.loads((tmp_path / "out/reid.json").read_text())
    expected = evaluate(QUERY, GALLERY, make_distance("euclidean"), ReRanking())
    assert found["scores"]["map"]["value"] == pytest.approx(expected.scores["map"].value)
    assert found["re_ranking"] == {"k1": 20, "k2": 6, "weight": 0.3}


def test_other_training_images(folder, tmp_path, capsys):
    train = tmp_path / "train"
    train.mkdir()
    for path in folder.glob("*.jpg"):
        if path.name[0] == "0":
            Image.open(path).save(train / f"1{path.name[1:]}")
    common = ["--network", "colours", "--output_dir", tmp_path / "out", "--distance", "kissme", "--images", folder]
    run(capsys, *common, "--test_share", "1", "--train_images", train)
    record = json.loads((tmp_path / "out/reid.json").read_text())
    assert record["images"]["train"] == {**record["images"]["train"], "count": 32, "folder": str(train)}
    with pytest.raises(InputError, match=r"4 people of the test are among those of the training"):
        main([*map(str, common), "--train_images", str(folder)])
    with pytest.raises(InputError, match="there is no image to learn from; give --train_images"):
        main([*map(str, common), "--test_share", "1"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--network", "colours"], "--network needs --images"),
        (["--images", "."], "give --images and --network, or the --features"),
        (["--features", "none.npz"], r"none\.npz: no such file of features"),
        (["--images", "none", "--network", "colours"], "none: no such folder|none: holds neither"),
        (["--images", ".", "--network", "none.onnx"], r"--network none\.onnx: no such network"),
        (["--features", "f.npz", "--figure", "f.png"], r"--figure f\.png: needs"),
        (["--features", "f.npz", "--train_images", "."], "--train_images: needs --network"),
    ],
)
def test_mistakes_are_answered_before_anything_is_written(arguments, message, tmp_path):
    with pytest.raises(InputError, match=message):
        main([*arguments, "--output_dir", str(tmp_path / "out")])
    assert not any(tmp_path.glob("out/*"))


def test_features_that_are_not_of_the_images(folder, tmp_path):
    save_features(tmp_path / "f.npz", {"query": QUERY, "gallery": GALLERY})
    common = ["--features", str(tmp_path / "f.npz"), "--output_dir", str(tmp_path / "out")]
    with pytest.raises(InputError, match="the names of query are not those of --images"):
        main([*common, "--images", str(folder)])
    with pytest.raises(InputError, match="has no array train_values; it holds query, gallery"):
        main([*common, "--distance", "xqda"])
