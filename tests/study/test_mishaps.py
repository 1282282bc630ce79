"""Studies that were damaged, moved or guessed at: nothing wrong is counted, and nothing tells what an image is."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import studies
from PIL import Image
from scipy import stats

from pose_gan.errors import InputError
from pose_gan.programs import study_prepare, study_score
from pose_gan.study.answers import LONGEST, RaterFile, read_raters
from pose_gan.study.plan import StudyFolder, read_study, trials_of
from pose_gan.study.rates import rates_from_counts

WORDS = ["--count_real", "4", "--count_generated", "4", "--practice", "2"]


@pytest.fixture(scope="module")
def rated(tmp_path_factory) -> StudyFolder:
    study = studies.prepare(tmp_path_factory.mktemp("study"), *WORDS, "--comparisons", "2", systems=2)
    studies.rate(study, {"real": 0.3, "system1": 0.5, "system2": 0.5}, 2)
    return study


@pytest.fixture
def study(rated, tmp_path) -> StudyFolder:
    return read_study(shutil.copytree(rated.folder, tmp_path / "study"))


def short(value: object) -> str:
    return repr(value)[:8]


def change_line(study: StudyFolder, kind: str, **fields: object) -> int:
    """Puts values into the first event of a kind; returns its line."""
    path = study.raters / "r001.jsonl"
    lines = path.read_text().splitlines()
    line = next(place for place, text in enumerate(lines) if f'"event": "{kind}"' in text)
    lines[line] = json.dumps({**json.loads(lines[line]), **fields})
    path.write_text("\n".join(lines) + "\n")
    return line + 1


# ------------------------------------------------------------------------------------- damaged files


@pytest.mark.parametrize("value", [10**400, 1e300, -1, float("nan"), float("inf"), True, "7", [], {}], ids=short)
@pytest.mark.parametrize("name", ["reaction_ms", "shown_ms"])
def test_no_number_stops_a_program_without_words(study, name, value):
    line = change_line(study, "answer", **{name: value})
    with pytest.raises(InputError, match=rf"r001\.jsonl, line {line}: {name} cannot be"):
        read_raters(study)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("answer_limit_s", 10**400, "answer_limit_s: expected a finite number"),
        ("answer_limit_s", 1e300, "answer_limit_s must be 0.1 to 86400"),
        ("display_ms", 10**400, "display_ms must be 1 to 600000"),
        ("seed", 10**400, "seed must be 0 to"),
        ("salt", -1, "salt must be 0 to"),
        ("image_size", [16, 10**9], "image_size must be 1 to 4096"),
    ],
    ids=short,
)
def test_settings_have_bounds(study, name, value, message):
    path = study.folder / "study.json"
    record = json.loads(path.read_text())
    record["study"][name] = value
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=message):
        read_study(study.folder)


def test_a_copy_of_a_file_is_no_second_rater(study):
    for name in ("r0001.jsonl", "r0007.jsonl", "r001 (1).jsonl", "r001.jsonl~"):
        shutil.copy(study.raters / "r001.jsonl", study.raters / name)
    assert [file.rater.rater for file in read_raters(study)] == ["r001", "r002"]
    assert RaterFile.create(study, {}).rater.rater == "r003"
    shutil.copy(study.raters / "r001.jsonl", study.raters / "r009.jsonl")
    with pytest.raises(InputError, match=r"r009\.jsonl, line 1: is of rater r001, number 1; rename the file back"):
        read_raters(study)


def test_a_rater_who_cannot_be_written_takes_no_number(study):
    before = sorted(study.raters.iterdir())
    with pytest.raises(InputError, match=rf"at most {LONGEST:,} are written"):
        RaterFile.create(study, {"agent": "x" * LONGEST})
    assert sorted(study.raters.iterdir()) == before
    assert RaterFile.create(study, {}).rater.rater == "r003"


def test_an_editor_that_drops_the_last_line_end_loses_no_answer(study):
    path = study.raters / "r001.jsonl"
    whole = path.read_bytes()
    events = RaterFile.open(study, "r001").events
    for lines in (whole, whole.replace(b"\n", b"\r\n")):
        path.write_bytes(lines.rstrip())
        assert read_raters(study)[0].events == events
        file = RaterFile.open(study, "r001")
        file.append({"event": "loaded", "visit": "later"})
        assert file.events[:-1] == events
        assert RaterFile.open(study, "r001").events == file.events


def test_images_that_were_exchanged_are_noticed(study, tmp_path):
    real, generated = study.of("main", "real")[0].number, study.of("main", "generated", "system1")[0].number
    first, second = study.image_path(real), study.image_path(generated)
    first.rename(tmp_path / "kept")
    second.rename(first)
    (tmp_path / "kept").rename(second)
    with pytest.raises(InputError, match=r"images/\d+\.png: is not the image that was prepared; put it back"):
        study.content(real)


def test_a_study_that_was_moved_goes_on(rated, study, tmp_path):
    """No file holds the place of the folder; the orders stay as they were."""
    moved = read_study(study.folder.rename(tmp_path / "elsewhere"))
    assert trials_of(moved, 5) == trials_of(rated, 5)
    assert study_score.main([str(moved.folder), "--bootstrap", "100"]) == 0


# ------------------------------------------------------------------------------------- what a seed tells


def test_a_seed_does_not_tell_what_an_image_is(tmp_path):
    """Who knows the seed, the counts and the program still does not know the class behind a number or a place."""
    kinds, orders = [], []
    for number in range(2):
        strips = studies.draw_strips(tmp_path / f"s{number}", 12, number + 1)
        folder = tmp_path / f"study{number}"
        assert study_prepare.main([*WORDS, "--strips", f"ours={strips}", "--output_dir", str(folder)]) == 0
        study = read_study(folder)
        kinds.append([one.kind for one in study.images.values()])
        orders.append([trial.system for rater in (1, 2, 3) for trial in trials_of(study, rater)])
    assert kinds[0] != kinds[1]
    assert orders[0] != orders[1]


# ------------------------------------------------------------------------------------- what prepare says


def test_photos_of_many_sizes_are_summed_up(tmp_path, capsys):
    real, generated = tmp_path / "real", tmp_path / "generated"
    for folder in (real, generated):
        folder.mkdir()
    for number in range(8):
        size = (16 + 2 * number, 8 + number) if number < 6 else (16, 16)
        Image.fromarray(studies.picture([number, 5], size)).save(real / f"photo {number}.JPG")
        Image.fromarray(studies.picture([number, 6])).save(generated / f"{number}.png")
    words = ["--generated", str(generated), "--real", str(real), "--count_real", "8", "--count_generated", "8"]
    assert study_prepare.main([*words, "--practice", "0", "--output_dir", str(tmp_path / "study")]) == 0
    text = capsys.readouterr().out
    assert "real images, 7 images of 6 sizes from 16x16 to 26x13." in text
    assert "People look wider or thinner than they were, by more than 3 %, in 2 real images: they have other" in text
    sizes = {Image.open(path).size for path in (tmp_path / "study/images").iterdir()}
    assert sizes == {(8, 16)}


def test_comparisons_alone_need_no_practice(tmp_path, capsys):
    study = studies.prepare(tmp_path, "--count_real", "0", "--count_generated", "0", "--comparisons", "3", systems=2)
    assert study.study.practice == 0
    assert len(study.images) == 9
    assert "9 images; a rater judges 3 comparisons\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--answer_limit", "nan"], "answer_limit_s must be 0.1 to 86400, got nan"),
        (["--answer_limit", "inf"], "answer_limit_s must be 0.1 to 86400, got inf"),
        (["--image_size", "99999x99999"], "image_size must be 1 to 4096, got 99999"),
        (["--scale", "1000"], "scale must be 1 to 100, got 1000"),
        (["--display_ms", "1000000"], "display_ms must be 1 to 600000, got 1000000"),
    ],
)
def test_numbers_that_nobody_means(tmp_path, words, message):
    strips = str(studies.draw_strips(tmp_path / "s"))
    with pytest.raises(InputError, match=message):
        study_prepare.main([*WORDS, *words, "--strips", strips, "--output_dir", str(tmp_path / "study")])
    assert not (tmp_path / "study").exists()


# ------------------------------------------------------------------------------------- counts by hand


def test_scores_by_hand(study, tmp_path):
    """The numbers from the bare files, read as any other program would."""
    assert study_score.main([str(study.folder), "--bootstrap", "100", "--output_dir", str(tmp_path / "scores")]) == 0
    key = {int(row["image"]): row for row in csv.DictReader((study.folder / "key.csv").open())}
    for row in json.loads((tmp_path / "scores/scores.json").read_text())["systems"][:2]:
        counts = {"real": [0, 0], "generated": [0, 0]}
        for path in study.raters.iterdir():
            header, *events = map(json.loads, path.read_text().splitlines())
            for event in events if header["systems"] == [row["name"]] else ():
                if event["event"] == "answer" and event["part"] == "main":
                    kind = key[event["image"]]["kind"]
                    counts[kind][0] += event["answer"] != kind
                    counts[kind][1] += 1
        (alarms, real), (misses, made) = counts["real"], counts["generated"]
        assert (row["real_wrong"], row["real"], row["generated_wrong"], row["generated"]) == (
            alarms,
            real,
            misses,
            made,
        )
        assert row["r2g"]["value"] == alarms / real
        assert row["g2r"]["value"] == misses / made
        z = stats.norm.ppf
        d_prime = z((made - misses + 0.5) / (made + 1)) - z((alarms + 0.5) / (real + 1))
        assert row["d_prime"]["value"] == pytest.approx(d_prime)


@pytest.mark.parametrize(("wrong", "misses", "shares"), [(374, 829, (22.67, 50.24)), (205, 406, (12.42, 24.61))])
def test_the_papers_counts(wrong, misses, shares):
    row = rates_from_counts("Full", wrong, 1650, misses, 1650)
    for estimate, count, share in zip((row.r2g, row.g2r), (wrong, misses), shares, strict=True):
        value, *ends = studies.numbers(estimate)
        assert round(100 * value, 2) == share
        assert ends == pytest.approx(stats.binomtest(count, 1650).proportion_ci(method="wilson"))
