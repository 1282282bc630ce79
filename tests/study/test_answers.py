"""The files of raters: nothing that was answered is lost, and nothing else gets in."""

from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import studies

from pose_gan.errors import InputError
from pose_gan.study.answers import RaterFile, check_event, read_raters, state_of

ANSWER = {
    **{"event": "answer", "trial": 1, "image": 3, "part": "main", "answer": "real", "reaction_ms": 612.4},
    **{"shown_ms": 1000.3, "late_frames": 0, "hidden": False, "by": "key"},
}
COMPARED = {
    **{"event": "answer", "trial": 9, "comparison": 2, "part": "comparison", "answer": "first"},
    **{"reaction_ms": None, "hidden": False, "swapped": True},
}


@pytest.fixture
def study(tmp_path):
    return studies.prepare(tmp_path, "--count_real", "2", "--count_generated", "2", "--practice", "0", systems=2)


def begun(trial, image=3):
    return {"event": "begun", "trial": trial, "image": image}


def test_what_is_written_is_read(study):
    file = RaterFile.create(study, {"agent": "Löwe/1.0", "touch": True}, secret_sha256="ab" * 32)
    for event in ({"event": "loaded", "window": [1280, 900], "pixel_ratio": 2}, begun(1), ANSWER, COMPARED):
        file.append(event)
    file.append({"event": "finished"})
    for again in (RaterFile.open(study, "r001"), read_raters(study)[0]):
        assert again.rater == file.rater
        assert again.events == file.events
        assert [{**event, "time": ""} for event in again.events[2:4]] == [
            {**ANSWER, "time": ""},
            {**COMPARED, "time": ""},
        ]
    assert file.rater.systems == ("system1",)
    assert file.rater.browser["agent"] == "Löwe/1.0"
    assert file.events[0]["time"].endswith("Z")


def test_an_answer_is_on_the_disk_when_append_returns(study, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(os.fstat(number).st_size), real(number)))
    file = RaterFile.create(study, {})
    file.append(ANSWER)
    assert synced[-1] == file.path.stat().st_size
    assert len(synced) == 2


def test_raters_who_begin_at_once_get_numbers_of_their_own(study):
    with ThreadPoolExecutor(8) as threads:
        files = list(threads.map(lambda _: RaterFile.create(study, {}), range(24)))
    assert sorted(file.rater.number for file in files) == list(range(1, 25))
    assert [file.rater.rater for file in read_raters(study)] == [f"r{number:03}" for number in range(1, 25)]
    assert {file.rater.systems for file in files if file.rater.number % 2} == {("system1",)}


def test_the_end_of_a_killed_program_is_cut_off(study):
    file = RaterFile.create(study, {})
    file.append(begun(1))
    whole = file.path.read_bytes()
    for end in (b'{"event": "ans', b"\0\0\0", "ö".encode()[:1], b"{"):
        file.path.write_bytes(whole + end)
        assert len(read_raters(study)[0].events) == 1
        assert file.path.read_bytes() == whole + end  # reading alone changes nothing
        again = RaterFile.open(study, "r001")
        assert file.path.read_bytes() == whole
        again.append(ANSWER)
        assert len(RaterFile.open(study, "r001").events) == 2


def test_a_file_without_a_rater_is_nobody(study):
    RaterFile.create(study, {})
    (study.raters / "r002.jsonl").write_text('{"rater": "r0')
    assert len(read_raters(study)) == 1
    assert RaterFile.create(study, {}).rater.number == 3
    with pytest.raises(InputError, match=r"r002\.jsonl: holds no rater; delete it"):
        RaterFile.open(study, "r002")


def test_a_full_disk_leaves_the_file_as_it_was(study, monkeypatch):
    file = RaterFile.create(study, {})
    before = file.path.read_bytes()

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            file.append(ANSWER)
    assert file.path.read_bytes() == before
    assert file.events == []
    file.append(ANSWER)
    assert len(read_raters(study)[0].events) == 1


@pytest.mark.parametrize("line", ["{", '{"event": "answer"}', "[]", '{"event": "x"}', ""])
def test_a_damaged_line_is_named(study, line):
    file = RaterFile.create(study, {})
    file.append(begun(1))
    first, *rest = file.path.read_text().splitlines()
    file.path.write_text("\n".join([first, line, *rest]) + "\n")
    for read in (lambda: RaterFile.open(study, "r001"), lambda: read_raters(study)):
        with pytest.raises(InputError, match=r"r001\.jsonl, line 2: "):
            read()


def test_a_file_under_another_name_is_refused(study):
    file = RaterFile.create(study, {})
    file.path.rename(file.path.with_name("r007.jsonl"))
    with pytest.raises(InputError, match=r"r007\.jsonl, line 1: is of rater r001, number 1; rename the file back"):
        read_raters(study)


@pytest.mark.parametrize("rater", ["r009", "../r001", "r001.jsonl", "", "r1"])
def test_no_such_rater(study, rater):
    RaterFile.create(study, {})
    with pytest.raises(InputError, match="no rater"):
        RaterFile.open(study, rater)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": "first"}, "answer cannot be 'first'"),
        ({"answer": ["real"]}, "answer cannot be"),
        ({"reaction_ms": -1}, "reaction_ms cannot be '-1'"),
        ({"reaction_ms": float("nan")}, "reaction_ms cannot be 'nan'"),
        ({"trial": 1.5}, "trial cannot be"),
        ({"trial": True}, "trial cannot be"),
        ({"hidden": 1}, "hidden cannot be '1'"),
        ({"by": "mind"}, "by cannot be 'mind'"),
        ({"note": "x"}, "answer has the unknown field 'note'"),
        ({"event": "begin"}, "not an event"),
        ({"time": "x" * 101}, "time cannot be"),
    ],
)
def test_what_is_no_event_is_refused(study, change, message):
    file = RaterFile.create(study, {})
    before = file.path.read_bytes()
    with pytest.raises(InputError, match=message):
        file.append({**ANSWER, **change})
    assert file.path.read_bytes() == before


@pytest.mark.parametrize("name", [name for name in ANSWER if name not in ("event", "by", "late_frames")])
def test_what_lacks_a_field_is_refused(name):
    with pytest.raises(InputError, match=f"here: answer lacks '{name}'"):
        check_event({key: value for key, value in ANSWER.items() if key != name}, "here")


def test_an_endless_line_is_refused(study):
    with pytest.raises(InputError, match="at most 4,000 are written"):
        RaterFile.create(study, {"agent": "x" * 5000})


def test_how_far_a_rater_is():
    assert state_of([]).next == 1
    events = [begun(1), {**ANSWER, "trial": 1}, begun(2), begun(3), {**ANSWER, "trial": 3, "answer": None}]
    state = state_of(events)
    assert (state.next, state.interrupted, state.finished) == (4, (2,), False)
    again = state_of([*events, {**ANSWER, "trial": 1, "answer": "generated"}, {"event": "finished"}])
    assert again.answered[1]["answer"] == "real"
    assert again.finished
    late = state_of([*events, {**ANSWER, "trial": 2}])
    assert (late.next, late.interrupted) == (4, ())


def test_files_are_json_lines(study):
    file = RaterFile.create(study, {"agent": "a\nb"})
    file.append(ANSWER)
    lines = file.path.read_text().splitlines()
    assert [json.loads(line).get("event") for line in lines] == [None, "answer"]
