"""Table 4 on own data: its numbers are the evaluations', what is done is skipped, and nobody is in two parts."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.evaluation import processes
from pose_gan.evaluation.processes import Stopped
from pose_gan.evaluation.published import TABLE_4
from pose_gan.files.lock import LOCK, only_program
from pose_gan.programs import reid_table, reid_train
from pose_gan.programs.reid_flags import splits_of
from pose_gan.reid.table import Member, MemberFailed, Model, carry_out, place_of, read_table
from pose_gan.reid.table_files import text_of, to_csv, to_latex, to_markdown
from pose_gan.reid.trainings import Sets

# ------------------------------------------------------------------------------------- numbers


def write_scores(folder: Path, first_right: list[int], precision: list[float]) -> Path:
    """An evaluation as `reid evaluate` writes it."""
    folder.mkdir(parents=True)
    scores = {"rank1": np.mean([rank == 1 for rank in first_right]), "map": np.mean(precision)}
    counts = {"queries": len(precision), "gallery": 9}
    record = {"scores": {name: {"value": float(value)} for name, value in scores.items()}, "counts": counts}
    (folder / "reid.json").write_text(json.dumps(record))
    with (folder / "reid_per_query.csv").open("w") as file:
        file.write("query,person,camera,first_right,average_precision,average_precision_step\n")
        file.writelines(f"{n}.jpg,1,1,{r},{p},0\n" for n, (r, p) in enumerate(zip(first_right, precision, strict=True)))
    return folder


@pytest.fixture
def folders(tmp_path):
    model = Model("ide", "xqda")
    return {
        model: {
            "T": {
                0: write_scores(tmp_path / "t0", [1, 2, 3, 1], [0.4, 0.2, 0.1, 0.3]),
                1: write_scores(tmp_path / "t1", [2, 2, 1, 0], [0.2, 0.2, 0.3, 0.0]),
            },
            "A": {
                0: write_scores(tmp_path / "a0", [1, 1, 1, 1], [0.9, 0.5, 0.4, 0.6]),
                1: write_scores(tmp_path / "a1", [1, 2, 1, 1], [0.8, 0.1, 0.6, 0.5]),
            },
        }
    }


def test_means_spreads_and_differences(folders):
    table = read_table(folders)
    (model,) = table.means
    t, a = table.means[model].values()
    assert t["rank1"] == pytest.approx((0.375, np.std([0.5, 0.25], ddof=1)))
    assert a["map"] == pytest.approx((0.55, np.std([0.6, 0.5], ddof=1)))
    difference = table.differences[model]["A"]["map"]
    assert difference.mean == pytest.approx(0.55 - 0.2125)
    assert difference.std == pytest.approx(np.std([0.6 - 0.25, 0.5 - 0.175], ddof=1))
    per_query = np.array([0.85, 0.3, 0.5, 0.55]) - np.array([0.3, 0.2, 0.2, 0.15])
    random = np.random.default_rng(5)
    resampled = [per_query[random.integers(4, size=4)].mean() for _ in range(20_000)]
    assert (difference.low, difference.high) == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.01)
    assert text_of(difference) == f"+33.8 ± 1.8 [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    assert text_of(t["rank1"]) == "37.5 ± 17.7"
    assert table.queries == 4
    assert table.seeds == (0, 1)


def test_one_seed_has_no_spread_and_one_training_no_difference(folders):
    (columns,) = folders.values()
    table = read_table({Model("ide", "xqda"): {"T": {1: columns["T"][1]}}})
    text = to_markdown(table)
    assert "| IDE + XQDA |      25.0 |   17.5 |" in text
    assert "±" not in text
    assert "difference" not in text
    assert "one seed of training" in text


def test_evaluations_of_other_queries_are_refused(folders, tmp_path):
    (columns,) = folders.values()
    columns["A"][1] = write_scores(tmp_path / "other", [1, 1, 1], [1.0, 1.0, 1.0])
    with pytest.raises(InputError, match=r"other: scored on other images than the rest"):
        read_table(folders)
    (tmp_path / "a0/reid.json").write_text("{}")
    with pytest.raises(InputError, match=r"a0/reid.json: cannot be read as scores: .*delete .*a0, and score again"):
        read_table(folders)


def test_the_papers_rows_stand_in_their_columns(folders, shared_data):
    text = (shared_data.parent / "seeds/deformable-gans-paper.txt").read_text(encoding="utf-8")
    printed = re.findall(r"^(.+) \[2[24]\]\t(\S+)\t(\S+)\t(\S+)\t(\S+)$", text.split("Table 4: ")[1], re.MULTILINE)
    assert printed == [(row.name, *row.standard, *row.augmented) for row in TABLE_4]
    table = read_table(folders)
    lines = to_markdown(table, paper=True).splitlines()
    (line,) = (line for line in lines if "IDE + KISSME (paper)" in line)
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["75.1", "51.5", "79.5", "58.1"]
    assert r"Discriminative Embedding (paper) & 78.3 & 55.5 & 80.6 & 61.3 \\" in to_latex(table, paper=True)
    assert "(paper)" not in to_markdown(table)


def test_the_csv_holds_every_number(folders):
    table = read_table(folders)
    rows = list(csv.DictReader(to_csv(table).splitlines()))
    (model,) = table.means
    assert [(row["method"], row["distance"], row["training"], row["seeds"]) for row in rows] == [
        (*model, "T", "2"),
        (*model, "A", "2"),
    ]
    assert float(rows[1]["map"]) == pytest.approx(0.55)
    assert float(rows[1]["rank1_difference_low"]) == pytest.approx(table.differences[model]["A"]["rank1"].low)
    assert rows[0]["map_difference"] == ""


# ---------------------------------------------------------------------------------- order of work


def member(tmp_path: Path, training: str, done: bool = False) -> Member:
    run = tmp_path / training
    if done:
        run.mkdir()
        (run / "network.keras").write_bytes(b"")
    return Member("ide", training, 0, run, ("reid", "train", training), {"xqda": (), "cosine": ()})


def test_done_work_is_skipped_and_the_rest_comes_in_order(tmp_path):
    did, said = [], []

    def train(words):
        did.append(words[-1])
        (tmp_path / words[-1]).mkdir()
        (tmp_path / words[-1] / "network.keras").write_bytes(b"")
        return 0

    def evaluate(of, distance):
        did.append(f"{of.training} {distance}")
        return of.training != "old"

    carry_out([member(tmp_path, "old", True), member(tmp_path, "new")], train, evaluate, said.append)
    assert did == ["old xqda", "old cosine", "new", "new xqda", "new cosine"]
    assert said[:2] == [
        "[1/2] ide, old, seed 0: trained already, skipped",
        "[1/2] ide, old, seed 0: scored already, skipped",
    ]
    assert said[-1] == "[2/2] ide, new, seed 0: scored by xqda, cosine"


@pytest.mark.parametrize(("status", "how"), [(2, "ended with status 2"), (0, "was stopped")])
def test_a_training_that_fails_ends_the_work(tmp_path, status, how):
    with pytest.raises(MemberFailed, match=f"{how}.*The same command goes on from there"):
        carry_out([member(tmp_path, "T")], lambda words: status, lambda *_: pytest.fail("scored"), lambda line: None)


def test_it_waits_for_a_run_that_another_program_holds(tmp_path, monkeypatch):
    of = member(tmp_path, "T")
    of.run.mkdir()
    held, said = only_program(of.run / LOCK), []
    held.__enter__()
    monkeypatch.setattr(processes.time, "sleep", lambda seconds: held.__exit__(None, None, None))

    def train(words):
        (of.run / "network.keras").write_bytes(b"")
        return 0

    carry_out([of], train, lambda *_: True, said.append)
    assert said[0].startswith("waiting: ")


def test_every_training_has_a_folder_of_its_own(tmp_path):
    names = ["T", "T+flip", "A+backbone_weights=a/b.keras", "A+backbone_weights=a/c.keras", "A+random_erasing=0.5"]
    places = {place_of(tmp_path, "runs", "ide", name, 0) for name in names}
    assert len(places) == len(names)
    assert {place.parent.parent for place in places} == {tmp_path / "runs/ide"}


# ------------------------------------------------------------------------------------- sets


@pytest.fixture
def data(tmp_path):
    """Eight people of two cameras, three images each, and the same with a generated image each."""
    random = np.random.default_rng(0)
    for folder in ("real", "augmented"):
        (tmp_path / folder).mkdir()
    for person in range(1, 9):
        colour = random.integers(0, 256, (2, 1, 3))
        for camera in (1, 2):
            for number in range(3):
                pixels = np.clip(colour + random.normal(0, 70, (2, 2, 3)), 0, 255).astype(np.uint8)
                name = f"{person:04d}_c{camera}s1_{number:06d}_00"
                Image.fromarray(pixels).resize((16, 32)).save(tmp_path / f"real/{name}.jpg")
                for copy in (f"{name}.jpg", f"{name}g0.jpg"):
                    shutil.copy(tmp_path / f"real/{name}.jpg", tmp_path / "augmented" / copy)
    return tmp_path


def sets(data, **changes) -> Sets:
    values = {"images": str(data / "real"), "augmented": str(data / "augmented"), "further": {}, "test_images": None}
    return Sets(**{**values, "pattern": None, "test_share": 0.5, "split_seed": 0, **changes})


def test_trainings_are_sets_with_changes(data):
    names = ["T", "A+flip+learning_rate=0.1", "B+erasing"]
    splits, trainings = sets(data, further={"B": str(data / "augmented")}).read(names)
    assert [training.name for training in trainings] == names
    assert [len(training.images) for training in trainings] == [24, 48, 48]
    assert trainings[1].words[-2:] == ("--flip=1", "--learning_rate=0.1")
    assert trainings[2].words[-1] == "--random_erasing=0.5"
    tested = {*splits.query.people.tolist(), *splits.gallery.people.tolist()}
    for training in trainings:
        parsed = reid_train.build_parser().parse_args([*training.words, "--output_dir", "r"])
        read = splits_of(parsed).train  # what `reid train` reads with these words
        assert read.names == training.images.names
        assert not tested & {*read.people.tolist()}


def test_a_test_of_its_own_leaves_all_images_for_the_training(data):
    test = data / "test"
    test.mkdir()
    for path in (data / "real").glob("000[12]*.jpg"):
        shutil.move(path, test)
    for path in (data / "augmented").glob("000[12]*.jpg"):
        path.unlink()
    splits, trainings = sets(data, test_images=str(test)).read()
    assert [len(training.images) for training in trainings] == [36, 72]
    assert len(splits.query) + len(splits.gallery) == 12
    shutil.copy(next(test.iterdir()), data / "augmented")
    with pytest.raises(InputError, match=r"augmented \(set A\): 1 people of the test are among its people"):
        sets(data, test_images=str(test)).read()


def test_markets_folders_and_a_flat_augmented_one(data):
    market = data / "market"
    for part, people in (("bounding_box_train", "[1-6]"), ("query", "[78]"), ("bounding_box_test", "[78]")):
        (market / part).mkdir(parents=True)
        for path in (data / "real").glob(f"000{people}_*.jpg"):
            shutil.copy(path, market / part)
    for path in (data / "augmented").glob("000[78]*.jpg"):
        path.unlink()
    splits, trainings = sets(data, images=str(market)).read()
    assert [len(training.images) for training in trainings] == [36, 72]
    assert len(splits.query) == 12


def test_what_does_not_fit_is_refused(data):
    for changes, names, message in (
        ({}, ["C"], r"--trainings C: no set 'C'; there are T, A"),
        ({"augmented": None}, ["A"], r"no set 'A'; there are T; give --augmented"),
        (
            {},
            ["T+flop"],
            r"--trainings T\+flop: no change 'flop'; allowed: flip, erasing, crop, smoothing, or FLAG=VALUE",
        ),
        ({}, ["T+seed=3"], r"no change 'seed=3'"),
        ({"augmented": str(data / "real")}, None, r"no generated image of a person of the training is in it"),
        ({"test_share": 0.0}, None, r"no image is a query; give --test_images"),
    ):
        with pytest.raises(InputError, match=message):
            sets(data, **changes).read(names)
    next((data / "augmented").glob("*00.jpg")).unlink()
    for path in list((data / "augmented").glob("*_00.jpg"))[:30]:
        path.unlink()
    with pytest.raises(InputError, match=r"its .* real training images are not the 24 of .*--real link"):
        sets(data).read()


# ------------------------------------------------------------------------------------- the verb


@pytest.fixture
def trained(data, monkeypatch):
    """The words of the trainings that the verb began; they take no time, and each gives another network."""
    began = []

    def train(words):
        args = reid_train.build_parser().parse_args(words[2:])
        config = reid_train.config_of(args)
        began.append(words)
        run = Path(args.output_dir)
        run.mkdir(parents=True)
        (run / "options.json").write_text(json.dumps({"config": config.to_dict(), "images": {}}))
        image = keras.Input((32, 16, 3))
        scale = 1.0 + config.seed + 2 * splits_of(args).train.generated.any()
        pooled = keras.layers.AveragePooling2D(16)(keras.layers.Rescaling(scale / 255, offset=0.1 * scale)(image))
        keras.Model(image, keras.layers.Flatten()(pooled)).save(run / "network.keras")
        return 0

    monkeypatch.setattr(processes, "run_process", train)
    monkeypatch.setattr("pose_gan.reid.training.check_run", lambda *_: None)
    return began


def words_of(data, *more: str) -> list[str]:
    words = f"--images {data}/real --augmented {data}/augmented --output_dir {data}/out --methods ide --seeds 0 1"
    return [*words.split(), "--distances", "euclidean", "xqda", "--iterations", "3", "--batch_size", "4", *more]


def test_the_numbers_of_the_table_are_those_of_the_evaluations(data, trained, capsys):
    assert reid_table.main(words_of(data)) == 0
    out = data / "out"
    shown = capsys.readouterr().out
    text = (out / "reid_table.md").read_text()
    assert text in shown
    for distance, title in (("euclidean", "IDE + Euclidean"), ("xqda", "IDE + XQDA")):
        (line, *_) = (line for line in text.splitlines() if line.startswith(f"| {title}"))
        expected = []
        for training in ("T", "A"):
            records = [
                json.loads((out / f"scores/ide/{training}/seed-{n}/{distance}/reid.json").read_text()) for n in (0, 1)
            ]
            for name in ("rank1", "map"):
                values = [100 * record["scores"][name]["value"] for record in records]
                expected.append(f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}")
        assert [cell.strip() for cell in line.split("|")[2:-1]] == expected
    record = json.loads((out / "reid_table.json").read_text())
    assert record["trainings"] == ["T", "A"]
    assert len(record["rows"]) == 2
    assert "A: 24 real images and 24 generated ones" in text
    page = (out / "reid_table.html").read_text()
    assert "IDE + XQDA" in page
    assert "<script" not in page
    assert [words[words.index("--seed") + 1] for words in trained] == ["0", "0", "1", "1"]  # all of a seed first

    before = {path: path.stat().st_mtime_ns for path in out.glob("scores/**/reid.json")}
    assert reid_table.main(words_of(data, "--paper")) == 0  # again: nothing is done twice
    assert len(trained) == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
    shutil.copy(out / "runs/ide/A/seed-1/network.keras", out / "runs/ide/T/seed-1/network.keras")
    assert reid_table.main(words_of(data)) == 0  # scores of another network are made again
    changed = {path.parent.relative_to(out) for path, stamp in before.items() if path.stat().st_mtime_ns != stamp}
    assert changed == {Path(f"scores/ide/T/seed-1/{distance}") for distance in ("euclidean", "xqda")}


def test_scores_of_other_images_are_made_again(data, trained):
    words = words_of(data, "--distances", "euclidean", "--seeds", "0", "--trainings", "T")
    assert reid_table.main(words) == 0
    record = data / "out/scores/ide/T/seed-0/euclidean/reid.json"
    before = json.loads(record.read_text())["images"]["query"]["sha256"]
    for path in (data / "real").iterdir():
        Image.open(path).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(path)
    assert reid_table.main(words) == 0
    assert json.loads(record.read_text())["images"]["query"]["sha256"] != before


def test_a_signal_stops_the_verb(data, monkeypatch, capsys):
    def stopped(words):
        raise Stopped(15)

    monkeypatch.setattr(processes, "run_process", stopped)
    assert reid_table.main(words_of(data)) == 143
    assert "SIGTERM: stopped; the same command goes on from there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--seeds", "1", "1"], "--seeds: 1 is given twice"),
        (["--seeds", "0", "0"], "--seeds: 0 is given twice"),
        (["--trainings", "T+flip+flip=0"], "--trainings T+flip+flip=0: changes flip twice"),
        (["--trainings", "T+backbone_weights=none.h5"], "--backbone_weights none.h5: no such file"),
        (["--trainings", "T", "T+generated_share=0.5"], "a batch has 2 generated images, but the folder has none"),
        (
            ["--trainings", "T+backbone_weights=a/b", "T+backbone_weights=a-b"],
            "T+backbone_weights=a/b and T+backbone_weights=a-b would have the same folder",
        ),
        (["--sets", "A=x"], "--sets A=...: T is --images, and A is --augmented; take another name"),
        (["--trainings", "A+batch_size=1"], "batch_size must be 2 or more"),
        (["--trainings", "Q"], "--trainings Q: no set 'Q'; there are T, A"),
    ],
)
def test_bad_flags_are_named_before_anything_is_trained(data, trained, more, message):
    with pytest.raises(InputError, match=re.escape(message)):
        reid_table.main(words_of(data, *more))
    assert not trained


@pytest.mark.slow
def test_real_trainings_and_another_budget_in_the_same_folder(data, capsys):
    words = words_of(data, "--image_size", "32x32", "--methods", "ide", "embedding", "--seeds", "0")
    assert reid_table.main(words) == 0
    assert "Discriminative Embedding" in capsys.readouterr().out
    words[words.index("--iterations") + 1] = "4"
    with pytest.raises(InputError, match=r"--iterations: the run in .* has 3, got 4"):
        reid_table.main(words)
