"""The plan of a study: the order for each rater, and what is refused when a study is opened."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import studies

from pose_gan.errors import InputError
from pose_gan.study.plan import Study, read_study, trials_of


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Three systems, two a rater; 5 real and 3 generated images, 4 for practice, 3 comparisons a pair of systems."""
    words = "--count_real 5 --count_generated 3 --practice 4 --comparisons 3 --systems_per_rater 2"
    return studies.prepare(tmp_path_factory.mktemp("plan"), *words.split(), systems=3, count=30)


def counts(study, trials):
    kinds = Counter()
    for trial in trials:
        kind = "comparison" if trial.image is None else study.images[trial.image].kind
        kinds[trial.part, kind] += 1
    return kinds


@pytest.mark.parametrize("rater", [1, 2, 3, 7])
def test_a_rater_sees_every_image_once_in_three_parts(study, rater):
    trials = trials_of(study, rater)
    assert [trial.trial for trial in trials] == list(range(1, len(trials) + 1))
    assert [trial.part for trial in trials] == ["practice"] * 4 + ["main"] * 11 + ["comparison"] * 9
    assert counts(study, trials) == {
        ("practice", "real"): 2,
        ("practice", "generated"): 2,
        ("main", "real"): 5,
        ("main", "generated"): 6,
        ("comparison", "comparison"): 9,
    }
    assert len({trial.image for trial in trials if trial.image}) == 15
    assert {trial.comparison for trial in trials[15:]} == set(range(1, 10))
    assert abs(sum(trial.swapped for trial in trials) - 4.5) == 0.5
    for trial in trials[:15]:
        assert trial.image is not None
        assert study.images[trial.image].part == trial.part
        assert study.images[trial.image].system == (trial.system or "")
    systems = {trial.system for trial in trials[4:15] if trial.system}
    assert systems == set(study.study.systems_of(rater)) == {t.system for t in trials[:4] if t.system}


def test_systems_take_turns(study):
    seen = Counter(system for rater in range(1, 4) for system in study.study.systems_of(rater))
    assert seen == dict.fromkeys(study.study.systems, 2)
    assert study.study.systems_of(1) == study.study.systems_of(4) == ("system1", "system2")


def test_orders_differ_between_raters_and_repeat_for_one(study):
    orders = [tuple(trial.image for trial in trials_of(study, rater)) for rater in range(1, 30)]
    assert len(set(orders)) == 29
    assert orders[0] == tuple(trial.image for trial in trials_of(read_study(study.folder), 1))


def test_places_in_the_order_are_random(study):
    """Over many raters, an image stands in the first half of the main part as often as in the second."""
    first = Counter(trial.image for rater in range(1, 601) for trial in trials_of(study, rater)[4:9])
    real = [image.number for image in study.of("main", "real")]
    assert all(5 / 11 * 600 - 50 < first[number] < 5 / 11 * 600 + 50 for number in real)
    swapped = Counter(t.comparison for rater in range(1, 601) for t in trials_of(study, rater) if t.swapped)
    assert all(250 < swapped[number] < 350 for number in study.comparisons)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.fixture
def spoilt(tmp_path):
    words = "--count_real 2 --count_generated 2 --practice 2 --comparisons 1"
    return studies.prepare(tmp_path, *words.split(), systems=2)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("study.json", '"format": 1', '"format": 9', r"study\.json: format 9 of a study is not known"),
        ("study.json", '"seed"', '"sed"', r"study\.json: study: unknown key 'sed'"),
        ("study.json", "{", "[", r"study\.json: cannot be read as JSON"),
        (
            "study.json",
            '"count_real": 2',
            '"count_real": 3',
            r"key\.csv: 2 real images in the part main, but",
        ),
        ("study.json", '"count_real": 2', '"count_real": -2', "count_real must be 0 to 1000000, got -2"),
        ("study.json", '"pg2"', '"x"', "protocol"),
        ("key.csv", "image,part", "image,pat", r"key\.csv, line 1: expected image,part,kind"),
        ("key.csv", "\n2,", "\n1,", r"key\.csv, line 3: image 1 stands twice"),
        ("key.csv", "\n2,", "\n0,", r"key\.csv, line 3: image must be a whole number above 0, got '0'"),
        ("key.csv", "real", "reel", r"key\.csv, line \d+: kind 'reel' is not known; allowed: real, generated, target"),
        ("key.csv", ",main,real,,", ",main,real,,x,y,z,", r"key\.csv, line \d+: expected 7 cells, got 10"),
        ("key.csv", "target", "real", r"key\.csv: 1 real images in the part comparison, but study\.json asks for 0"),
        ("comparisons.csv", "system1,system2", "system2,system1", r"comparisons\.csv: comparison 1: key\.csv has no "),
        ("comparisons.csv", "\n1,", "\n1,99,", r"comparisons\.csv, line 2: expected 6 cells, got 7"),
    ],
)
def test_a_spoilt_study_is_refused(spoilt, file, old, new, message):
    if new == '"x"':
        old = '"paper"'
    edit(spoilt.folder / file, old, new)
    with pytest.raises(InputError, match=message):
        read_study(spoilt.folder)


def test_absent_files_are_named(spoilt, tmp_path):
    spoilt.image_path(3).unlink()
    with pytest.raises(InputError, match=r"images/0003\.png: no such image, but .*key\.csv lists it"):
        read_study(spoilt.folder)
    (spoilt.folder / "key.csv").unlink()
    with pytest.raises(InputError, match=r"key\.csv: no such file"):
        read_study(spoilt.folder)
    with pytest.raises(InputError, match="not the folder of a study"):
        read_study(tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"systems": ()}, "got none"),
        ({"systems": ("a", "a")}, "systems need one name each, got 'a', 'a'"),
        ({"systems_per_rater": 2}, "systems_per_rater is 2, but there are 1"),
        ({"image_size": (0, 4)}, "image_size must be 1 to 4096, got 0"),
        ({"answer_limit_s": 0.0}, r"answer_limit_s must be 0\.1 to 86400, got 0\.0"),
        ({"scale": 0}, "scale must be 1 to 100, got 0"),
    ],
)
def test_settings_that_make_no_study(spoilt, change, message):
    values = {**json.loads((spoilt.folder / "study.json").read_text())["study"], "systems": ("a",), **change}
    with pytest.raises(InputError, match=message):
        Study(**values)
