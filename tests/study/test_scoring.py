"""`pose-gan study score`: which answers count, and what comes out of them."""

from __future__ import annotations

import csv
import html
import json
import re

import numpy as np
import pytest
import studies

from pose_gan.errors import InputError
from pose_gan.programs import study_prepare, study_score
from pose_gan.study import page, tables
from pose_gan.study.answers import RaterFile, read_raters
from pose_gan.study.counting import count_answers
from pose_gan.study.plan import trials_of
from pose_gan.study.scoring import score
from pose_gan.study.statistics import agreement

RATES = {"real": 0.23, "system1": 0.5, "system2": 0.1}


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda number: None)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Two systems, 16 raters with known rates, 2 of whom are simulated."""
    patch = pytest.MonkeyPatch()
    patch.setattr("os.fsync", lambda number: None)
    folder = tmp_path_factory.mktemp("judged")
    words = "--count_real 20 --count_generated 20 --practice 4 --comparisons 6"
    study = studies.prepare(folder, *words.split(), systems=2, count=60)
    studies.rate(study, RATES, 14, seed=1, prefer_first=0.8)
    studies.rate(study, dict.fromkeys(RATES, 1.0), 2, simulated=True)
    patch.undo()
    return study


def scored(study, **options):
    return score(count_answers(study, read_raters(study), **options), resamples=1000)


def test_known_rates_come_out(judged):
    scores = scored(judged)
    rows = {row.name: row for row in scores.rows}
    for system in ("system1", "system2"):
        row = rows[system]
        assert (row.raters, row.real, row.generated) == (7, 140, 140)
        for estimate, true in ((row.r2g, RATES["real"]), (row.g2r, RATES[system])):
            _, low, high = studies.numbers(estimate)
            assert low <= true <= high
    whole = rows["all systems"]
    assert (whole.raters, whole.real, whole.generated) == (14, 280, 280)
    assert whole.real_wrong == rows["system1"].real_wrong + rows["system2"].real_wrong
    apart, easily = (studies.numbers(rows[system].d_prime) for system in ("system1", "system2"))
    assert apart[2] < easily[1]
    (one,) = [one for one in scores.preferences if one.other]
    assert (one.system, one.other, one.total) == ("system1", "system2", 84)
    _, low, high = studies.numbers(one.share)
    assert low <= 0.8 <= high


def test_counts_are_those_of_the_files(judged):
    """A twin that reads the files line by line."""
    key = {int(row["image"]): row for row in csv.DictReader((judged.folder / "key.csv").open())}
    wrong, total, times, said = {}, {}, [], {}
    for path in sorted((judged.folder / "raters").iterdir()):
        header, *events = map(json.loads, path.read_text().splitlines())
        for event in events:
            if header["simulated"] or event["event"] != "answer" or event.get("part") != "main":
                continue
            row = key[event["image"]]
            name = row["system"] or "real"
            total[name] = total.get(name, 0) + 1
            wrong[name] = wrong.get(name, 0) + (event["answer"] != row["kind"])
            times += [event["reaction_ms"]] if name == "real" else []
            said.setdefault(event["image"], []).append(event["answer"])
    scores = scored(judged)
    assert [row.generated_wrong for row in scores.rows[:2]] == [wrong["system1"], wrong["system2"]]
    assert (scores.rows[2].real_wrong, scores.rows[2].real) == (wrong["real"], total["real"])
    assert scores.times["real"].median == np.median(times)
    assert (scores.times["real"].lower, scores.times["real"].upper) == tuple(np.percentile(times, [25, 75]))
    assert sum(one.wrong for one in scores.votes if not one.image.system) == wrong["real"]
    assert sum(rater.real_wrong for rater in scores.raters) == wrong["real"]
    assert scores.answers.left_out == {"practice": 4 * 14}
    by_image = np.array([[words.count(word) for word in ("real", "generated")] for words in said.values()])
    assert scores.agreement == pytest.approx(agreement(by_image))


def test_simulated_raters_count_apart(judged):
    scores = scored(judged, simulated=True)
    assert (len(scores.answers.raters), scores.answers.others) == (2, 14)
    assert all(row.r2g.value == row.g2r.value == 1 for row in scores.rows)
    assert tables.remarks_of(scores)[0].startswith("The raters are simulated by a program")
    assert "Not scored, but in the folder too: simulated raters, 2." in tables.remarks_of(scored(judged))


def test_the_first_ten_are_practice_by_pg2(judged):
    answers = count_answers(judged, read_raters(judged), "pg2")
    assert answers.left_out == {"first ten": 140, "practice": 56}
    for rater in answers.raters:
        main = [one for one in answers.all if one.rater == rater and one.trial.part == "main"]
        assert [one.counts for one in main] == [False] * 10 + [True] * 30


def test_images_taken_for_the_other_class(judged):
    scores = scored(judged)
    shares = {one.image.number: one.wrong / one.total for one in scores.votes if one.image.system == "system1"}
    shown = page.most_confused(scores, "system1", 5)
    assert [one.wrong / one.total for one in shown] == sorted(shares.values(), reverse=True)[:5]
    assert all(one.image.system == "" for one in page.most_confused(scores))
    assert all(one.wrong for one in page.most_confused(scores, "system2", 99))


# ------------------------------------------------------------------------------------- what is left out


@pytest.fixture
def study(tmp_path):
    words = "--count_real 6 --count_generated 6 --practice 2 --comparisons 2"
    return studies.prepare(tmp_path, *words.split(), systems=2, count=20)


def answer(file, trial, **change):
    begun = {"image": trial.image} if trial.image else {"comparison": trial.comparison}
    file.append({"event": "begun", "trial": trial.trial, **begun})
    given = {"trial": trial.trial, "part": trial.part, "reaction_ms": 500.0, "hidden": False, **begun}
    given |= {"answer": "real", "shown_ms": 1000.0} if trial.image else {"answer": "first", "swapped": trial.swapped}
    if change.pop("answered", True):
        file.append({"event": "answer", **given, **change})


def test_every_trial_counts_or_has_its_reason(study):
    file = RaterFile.create(study, {})
    trials = trials_of(study, 1)
    faults = {
        4: ({"answered": False}, "interrupted"),
        5: ({"answer": None, "reaction_ms": None}, "no answer"),
        6: ({"shown_ms": 1050.1}, "display time"),
        7: ({"shown_ms": 949.9}, "display time"),
        8: ({"hidden": True}, "page hidden"),
        9: ({"shown_ms": 1049.9}, ""),
        15: ({"answer": None}, "no answer"),
    }
    for trial in trials[:15]:
        answer(file, trial, **faults.get(trial.trial, ({}, ""))[0])
    answer(file, trials[9], answer="generated")  # once more: the first answer stands
    answers = count_answers(study, read_raters(study))
    assert len(answers.all) == len(trials) == 16
    for one in answers.all:
        expected = faults.get(one.trial.trial, ({}, ""))[1]
        expected = "practice" if one.trial.trial < 3 else expected
        assert one.left_out == ("not shown" if one.trial.trial == 16 else expected), one.trial
    assert (answers.finished, len(answers.counted)) == (0, 7)
    assert answers.all[9].answer == "real"
    assert "display time" not in count_answers(study, read_raters(study), tolerance_ms=51).left_out
    assert count_answers(study, read_raters(study), tolerance_ms=10).left_out["display time"] == 3
    text = tables.remarks_of(score(answers, resamples=100))[0]
    assert text.startswith("1 rater, 0 of whom saw everything; 7 answers count, by the protocol paper; left out: ")
    assert "display time off 1000 ms by more than 50 ms 2" in text


def test_a_rater_who_stopped_counts_as_far_as_he_came(study):
    file = RaterFile.create(study, {})
    for trial in trials_of(study, 1)[:6]:
        answer(file, trial)
    studies.rate(study, RATES, 1)
    scores = scored(study)
    assert (scores.answers.finished, scores.rows[0].raters) == (1, 1)
    assert scores.rows[0].real + scores.rows[0].generated == 4
    assert scores.answers.left_out == {"not shown": 10, "practice": 4}


def test_answers_of_another_study_are_refused(study, tmp_path):
    words = "--count_real 6 --count_generated 6 --practice 2 --seed 1 --comparisons 2"
    other = studies.prepare(tmp_path / "other", *words.split(), systems=2, count=20)
    studies.rate(study, RATES)
    with pytest.raises(InputError, match=r"r001\.jsonl, line \d+: trial \d+ of this study shows something else"):
        count_answers(other, read_raters(study))
    text = (study.raters / "r001.jsonl").read_text().replace('"system1"', '"system9"', 1)
    (study.raters / "r001.jsonl").write_text(text)
    with pytest.raises(InputError, match=r"r001\.jsonl, line 1: the rater judges other systems than this study's"):
        count_answers(study, read_raters(study))


def test_nobody_to_score(study):
    with pytest.raises(InputError, match=r"raters: no answers yet; pose-gan study run .*study shows the images"):
        study_score.main([str(study.folder)])
    studies.rate(study, RATES, 1, simulated=True)
    with pytest.raises(InputError, match="all 1 raters are simulated; --simulated scores such a rehearsal"):
        study_score.main([str(study.folder)])
    for path in study.raters.iterdir():
        path.unlink()
    studies.rate(study, RATES, 1)
    with pytest.raises(InputError, match="--simulated: none of the 1 raters is simulated"):
        study_score.main([str(study.folder), "--simulated"])
    assert not (study.folder / "scores").exists()


# ------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def written(judged, tmp_path_factory):
    output = tmp_path_factory.mktemp("scores")
    words = ["--bootstrap", "500", "--over", "both", "--output_dir", str(output)]
    assert study_score.main([str(judged.folder), *words]) == 0
    return output


def test_the_table_stands_beside_the_papers(written):
    lines = (written / "study.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:9]]
    assert cells[0] == ["model", "raters", "R2G", "G2R", "accuracy", "d′"]
    assert [line[0] for line in cells[2:5]] == ["system1", "system2", "all systems"]
    assert cells[5][:4] == ["Ma et al. (paper, Market-1501)", "", "11.2", "5.5"]
    assert cells[6][:4] == ["Full (paper, Market-1501)", "30", "22.67", "50.24"]
    record = json.loads((written / "scores.json").read_text())
    for line, row in zip(cells[2:5], record["systems"], strict=True):
        low, high = (100 * row["g2r"][end] for end in ("low", "high"))
        assert line[3] == f"{100 * row['g2r']['value']:.1f} [{low:.1f}, {high:.1f}]"
    assert "a bootstrap over raters and images" in (written / "study.md").read_text()


def test_csv_holds_the_same_numbers(written):
    rows = list(csv.DictReader((written / "study.csv").open()))
    record = json.loads((written / "scores.json").read_text())
    for row, system in zip(rows[:3], record["systems"], strict=True):
        assert (row["model"], row["kind"], int(row["raters"])) == (system["name"], "measured", system["raters"])
        assert int(row["real_wrong"]) / int(row["real"]) == pytest.approx(float(row["r2g"]), abs=1e-6)
        for name in ("r2g", "g2r", "accuracy", "d_prime"):
            for tail, key in (("", "value"), ("_low", "low"), ("_high", "high")):
                assert float(row[name + tail]) == pytest.approx(system[name][key], rel=1e-5)
    paper = rows[4]
    assert (paper["dataset"], paper["real_wrong"], paper["generated"]) == ("market", "374", "1650")
    assert (float(paper["r2g"]), float(paper["g2r"])) == (0.2267, 0.5024)


def test_every_trial_is_in_answers_csv(written, judged):
    rows = list(csv.DictReader((written / "answers.csv").open()))
    assert len(rows) == 14 * len(trials_of(judged, 1))
    counted = [row for row in rows if row["counts"] == "1"]
    assert {row["left_out"] for row in rows} == {"", "practice"}
    assert all((row["left_out"] == "") == (row["counts"] == "1") for row in rows)
    record = json.loads((written / "scores.json").read_text())
    wrong = sum(row["wrong"] == "1" for row in counted if row["kind"] == "real")
    assert wrong == record["systems"][2]["real_wrong"]
    preferred = sum(row["system"] == "system1" for row in counted if row["kind"] == "comparison")
    assert preferred == record["preferences"][0]["preferred"]
    images = list(csv.DictReader((written / "images.csv").open()))
    assert sum(int(row["judged"]) for row in images) == record["systems"][2]["real"] + record["systems"][2]["generated"]


def test_latex_holds_the_table_and_no_foreign_signs(written):
    text = (written / "study.tex").read_text()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert r"Full (paper, DeepFashion) & 30 & 12.42 & 24.61 &  &  \\" in text
    assert text.isascii()


def test_the_page_contains_its_pictures(written, judged):
    text = (written / "study.html").read_text()
    assert not re.search(r'(?:src|href)="(?!data:image/png)', text)
    assert "<script" not in text
    scores = score(count_answers(judged, read_raters(judged)), "both", 500)
    shown = [one for system in ("", "system1", "system2") for one in page.most_confused(scores, system)]
    assert [int(number) for number in re.findall(r'alt="image (\d+)"', text)] == [one.image.number for one in shown]
    assert all(html.escape(remark, False).replace("'", "&#39;") in text for remark in tables.remarks_of(scores))


def test_scores_repeat_and_depend_on_the_seed(judged, written, tmp_path):
    texts = []
    for seed in ("0", "1"):
        words = ["--bootstrap", "500", "--over", "both", "--output_dir", str(tmp_path / seed), "--seed", seed]
        study_score.main([str(judged.folder), *words])
        texts.append((tmp_path / seed / "study.csv").read_text())
    assert texts[0] == (written / "study.csv").read_text()
    assert texts[0] != texts[1]


def test_names_are_escaped(tmp_path):
    strips = studies.draw_strips(tmp_path / "s", 12)
    words = "--count_real 4 --count_generated 4 --practice 0"
    folder = tmp_path / "one"
    study_prepare.main([*words.split(), "--strips", f"<b>_&|{{}}={strips}", "--output_dir", str(folder)])
    study = studies.read_study(folder)
    studies.rate(study, {"real": 0.5, "<b>_&|{}": 0.5}, 2)
    study_score.main([str(folder)])
    scores = folder / "scores"
    assert r"\<b>\_&\|{}" in (scores / "study.md").read_text()
    assert r"$<$b$>$\_\&|\{\} &" in (scores / "study.tex").read_text()
    assert "<b>_" not in (scores / "study.html").read_text()


@pytest.mark.parametrize(
    ("raters", "words"),
    [
        (1, ["One rater gives no interval"]),
        (3, ["One rater gives no interval", "With 2 raters an interval holds the true rate less often"]),
        (20, []),
    ],
)
def test_few_raters_are_told_what_intervals_can_tell(study, raters, words):
    studies.rate(study, RATES, raters)
    text = " ".join(tables.remarks_of(score(count_answers(study, read_raters(study)), resamples=100)))
    for phrase in ("One rater gives no interval", "With 2 raters an interval holds the true rate less often"):
        assert (phrase in text) == (phrase in words)
    both = " ".join(tables.remarks_of(score(count_answers(study, read_raters(study)), "both", 100)))
    assert ("rather too wide than too narrow" in both) == (raters > 1)
    assert "holds the true rate less often" not in both


def test_a_study_of_comparisons_alone(tmp_path, capsys):
    words = "--count_real 0 --count_generated 0 --practice 0 --comparisons 8"
    study = studies.prepare(tmp_path, *words.split(), systems=3)
    studies.rate(study, {}, 6, prefer_first=0.9)
    assert study_score.main([str(study.folder)]) == 0
    shown = capsys.readouterr().out
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.splitlines() if " of " in line]
    counted = {(line[0], line[1]): line[3] for line in lines if len(line) == 4}
    assert list(counted) == [
        ("system1", "all others"),
        ("system2", "all others"),
        ("system3", "all others"),
        ("system1", "system2"),
        ("system1", "system3"),
        ("system2", "system3"),
    ]
    first = {pair: int(text.split()[0]) for pair, text in counted.items()}
    assert first["system1", "all others"] == first["system1", "system2"] + first["system1", "system3"]
    assert first["system2", "all others"] == 48 - first["system1", "system2"] + first["system2", "system3"]
    assert counted["system3", "all others"].endswith(" of 96")
    assert "With 6 raters an interval holds" in shown


@pytest.mark.parametrize(
    "words", [["--bootstrap", "0"], ["--over", "images"], ["--tolerance_ms", "x"], ["--tolerance_ms", "-1"]]
)
def test_flags_that_do_not_fit(judged, words, capsys):
    with pytest.raises(SystemExit):
        study_score.main([str(judged.folder), *words])
    assert words[0] in capsys.readouterr().err
