"""The server of `pose-gan study run`: what it takes from whom, and what it tells, on a real port."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from judges import Judge, judged
from PIL import Image
from scipy.stats import binom
from studies import prepare
from tornado.httpclient import HTTPError
from websites import Server

from pose_gan.errors import InputError
from pose_gan.programs import study_run
from pose_gan.study.answers import RaterFile, read_raters, state_of
from pose_gan.study.plan import StudyFolder, read_study, trials_of
from pose_gan.web.addresses import address_of, hosts_of, is_here, names_of
from pose_gan.web.raters import Rehearsal
from pose_gan.web.server import Guard

ANSWER = {"event": "answer", "answer": "real", "reaction_ms": 512.5, "shown_ms": 1000.0, "hidden": False}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> StudyFolder:
    """Two systems, of which a rater judges one: 2 images for practice, 3 + 3 that count, 3 comparisons."""
    words = ["--count_real", "3", "--count_generated", "3", "--practice", "2", "--comparisons", "3"]
    return prepare(tmp_path_factory.mktemp("study"), *words, systems=2)


@pytest.fixture
def study(prepared, tmp_path) -> StudyFolder:
    return read_study(shutil.copytree(prepared.folder, tmp_path / "study"))


def events(study: StudyFolder, rater: str = "r001") -> list[dict]:
    return RaterFile.open(study, rater).events


# ------------------------------------------------------------------------------------- what raters do


def test_a_rater_goes_the_whole_way(study):
    lines: list[str] = []

    async def run():
        async with judged(study, tell=lines.append) as server:
            judge = Judge(server)
            assert await judge.begin() == "r001"
            todo = await judge.todo()
            assert (todo["left"], todo["counts"]) == ("real", {"practice": 2, "main": 6, "comparison": 3})
            await judge.finish(lambda trial: "left" if trial["part"] == "comparison" else "generated")
            assert (await judge.todo())["trials"] == []
            assert (await judge.todo())["finished"]

    asyncio.run(run())
    assert lines == ["r001 begins", "r001 has finished: 11 answers to 11 questions"]
    kinds = Counter(event["event"] for event in events(study))
    assert kinds == {"loaded": 1, "begun": 8, "answer": 11, "finished": 1}
    trials = trials_of(study, 1)
    answers = [event for event in events(study) if event["event"] == "answer"]
    assert [(one["trial"], one["part"], one.get("image")) for one in answers] == [
        (trial.trial, trial.part, trial.image) for trial in trials
    ]
    # "left" is the image that stood there, whatever column of comparisons.csv it comes from
    asked = [(one["answer"], one["swapped"], one["comparison"]) for one in answers if one["part"] == "comparison"]
    wanted = [("second" if one.swapped else "first", one.swapped, one.comparison) for one in trials if one.comparison]
    assert asked == wanted
    assert len({swapped for _, swapped, _ in asked}) == 2


def test_the_images_of_a_comparison_stand_where_the_answer_says(study):
    async def run():
        async with judged(study) as server:
            judge = Judge(server)
            await judge.begin()
            told = [trial for trial in (await judge.todo())["trials"] if trial["part"] == "comparison"]
            for trial, of in zip(told, trials_of(study, 1)[-3:], strict=True):
                row = study.comparisons[of.comparison or 0]
                pair = [row.second, row.first] if of.swapped else [row.first, row.second]
                assert trial["images"] == [f"images/{number}.png" for number in pair]
                assert trial["target"] == f"images/{row.target}.png"

    asyncio.run(run())


def test_the_side_of_real_is_not_tied_to_the_system(study):
    async def run():
        async with judged(study) as server:
            sides = []
            for number in range(1, 9):
                judge = Judge(server)
                await judge.begin()
                todo = await judge.todo()
                sides.append((study.study.systems_of(number), todo["left"]))
            assert set(Counter(sides).values()) == {2}

    asyncio.run(run())


def test_many_raters_at_once_lose_and_double_nothing(study):
    async def run():
        async with judged(study) as server:

            async def one() -> str:
                judge = Judge(server)
                name = await judge.begin()
                await judge.finish()
                return name

            names = await asyncio.gather(*(one() for _ in range(6)))
            assert sorted(names) == [f"r{number:03}" for number in range(1, 7)]

    asyncio.run(run())
    for file in read_raters(study):
        assert Counter(event["event"] for event in file.events) == {
            "loaded": 1,
            "begun": 8,
            "answer": 11,
            "finished": 1,
        }
        assert state_of(file.events).interrupted == ()


def test_what_is_told_twice_is_written_once(study):
    async def run():
        async with judged(study) as server:
            judge = Judge(server)
            await judge.begin()
            again = {"secret": judge.secret, "browser": {}}
            assert await server.ask("/api/raters", again) == (200, {"rater": "r001"})
            known = (200, {"new": False, "more": True})
            assert await judge.tell(event="loaded", window=[800, 600], pixel_ratio=2) == known
            first, second = (await judge.todo())["trials"][:2]
            await judge.answer(first, "generated")
            assert await judge.tell(**ANSWER, trial=1) == known
            assert (await judge.tell(event="begun", trial=second["trial"]))[1]["new"]
            assert await judge.tell(event="begun", trial=second["trial"]) == known

    asyncio.run(run())
    assert [event["event"] for event in events(study)] == ["loaded", "begun", "answer", "begun"]
    assert events(study)[2]["answer"] == "generated"
    assert len(read_raters(study)) == 1


def test_an_image_that_was_begun_is_not_shown_again(study):
    lines: list[str] = []

    async def run():
        async with judged(study, tell=lines.append) as server:
            judge = Judge(server)
            await judge.begin()
            trials = (await judge.todo())["trials"]
            await judge.answer(trials[0])
            await judge.tell(event="begun", trial=2)
            todo = await judge.load()
            assert [trial["trial"] for trial in todo["trials"]] == list(range(3, 12))
            assert (todo["interrupted"], todo["begun"], todo["trials"][0]["place"]) == (1, True, 1)
            status, answer = await judge.tell(event="begun", trial=2)
            assert (status, answer["error"]) == (400, "trial 2 cannot begin now; load the page again")
            assert (await judge.tell(**ANSWER, trial=2))[0] == 400
            await judge.finish()

    asyncio.run(run())
    assert lines[1:] == ["r001 goes on at 3 of 11", "r001 has finished: 10 answers to 11 questions, 1 interrupted"]


def test_a_new_start_of_the_program_goes_on(study):
    async def run():
        async with judged(study) as server:
            judge = Judge(server)
            await judge.begin()
            for trial in (await judge.todo())["trials"][:4]:
                await judge.answer(trial)
            await judge.tell(event="begun", trial=5)
        with (study.raters / "r001.jsonl").open("ab") as file:
            file.write(b'{"event": "answ')  # killed while it wrote
        async with judged(study) as server:
            judge.server.port = server.port
            status, words = await judge.tell(event="finished")
            assert (status, words["error"]) == (403, "the page is of an earlier start of this server; load it again")
            judge.server = server  # the page gets the new key by itself, without being loaded again
            assert await judge.tell(**ANSWER, trial=5) == (200, {"new": True, "more": True})
            await judge.finish()

    asyncio.run(run())
    assert state_of(events(study)).finished
    assert not state_of(events(study)).interrupted
    assert sorted(state_of(events(study)).answered) == list(range(1, 12))


def test_another_window_takes_over(study):
    async def run():
        async with judged(study) as server:
            old = Judge(server)
            await old.begin()
            new = Judge(server)
            new.secret = old.secret
            await new.load()
            for event in ({"event": "begun", "trial": 1}, {"event": "finished"}, {"event": "answer", "trial": 1}):
                status, answer = await old.tell(**event)
                assert (status, answer["error"]) == (409, "You went on in another window. Close this one.")
            await new.finish()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"event": "begun", "trial": 2}, "cannot begin now"),
        ({"event": "begun", "trial": 0}, "trial must be 1 to 11, got 0"),
        ({"event": "begun", "trial": "1"}, "trial must be 1 to 11"),
        ({"event": "begun", "trial": True}, "trial must be 1 to 11"),
        ({"event": "begun"}, "trial must be"),
        ({"event": "answer", "trial": 1, "answer": "real", "reaction_ms": 1}, "cannot be answered now"),
        ({"event": "answer", "trial": 9, "answer": "left", "reaction_ms": 1}, "cannot be answered now"),
        ({"event": "finished"}, "not an event of this moment"),
        ({"event": "rm -rf"}, "not an event of this moment"),
        ({"event": ["begun"]}, "not an event of this moment"),
        ({}, "not an event of this moment"),
        ({"event": "loaded", "visit": 3}, "a visit is a text"),
        ({"event": "loaded", "visit": "x" * 200}, "visit cannot be"),
        ({"event": "loaded", "visit": "x", "window": "wide"}, "window cannot be"),
    ],
)
def test_events_out_of_order_are_refused(study, event, words):
    async def run():
        async with judged(study) as server:
            judge = Judge(server)
            await judge.begin()
            status, answer = await judge.tell(**event)
            assert status == 400
            assert words in answer["error"]
            assert len(events(study)) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"answer": "maybe"}, "answer cannot be 'maybe'"),
        ({"answer": None}, "an answer and its time are missing"),
        ({"answer": None, "reaction_ms": None}, "an answer and its time are missing"),  # there is no limit
        ({"reaction_ms": -1}, "reaction_ms cannot be"),
        ({"reaction_ms": "1"}, "reaction_ms cannot be"),
        ({"shown_ms": None}, "shown_ms cannot be"),
        ({"hidden": "no"}, "hidden cannot be"),
        ({"by": "x" * 5000}, "by cannot be"),
        ({"late_frames": 1.5}, "late_frames cannot be"),
    ],
)
def test_answers_of_another_kind_are_refused(study, changed, words):
    async def run():
        async with judged(study) as server:
            judge = Judge(server)
            await judge.begin()
            await judge.tell(event="begun", trial=1)
            status, told = await judge.tell(**(ANSWER | {"trial": 1} | changed))
            assert status == 400
            assert words in told["error"]
            # what a page says of the image and of its part does not count
            lies = {"image": 99, "part": "practice", "time": "never"}
            assert (await judge.tell(**ANSWER, trial=1, **lies))[0] == 200

    asyncio.run(run())
    written = events(study)[-1]
    assert written["image"] == trials_of(study, 1)[0].image
    assert written["time"] != "never"


def test_with_a_limit_an_image_may_stay_without_an_answer(study):
    settings = json.loads((study.folder / "study.json").read_text())
    settings["study"]["answer_limit_s"] = 2.0
    (study.folder / "study.json").write_text(json.dumps(settings))

    async def run():
        async with judged(read_study(study.folder)) as server:
            judge = Judge(server)
            await judge.begin()
            assert (await server.ask("/api/start"))[1]["limit_ms"] == 2000
            none = ANSWER | {"answer": None, "reaction_ms": None, "by": None}
            for trial in (await judge.todo())["trials"]:
                if trial["part"] == "comparison":
                    status, answer = await judge.tell(**none, trial=trial["trial"])
                    assert (status, answer["error"]) == (400, "trial 9: an answer and its time are missing")
                    break
                await judge.tell(event="begun", trial=trial["trial"])
                assert (await judge.tell(**none, trial=trial["trial"]))[0] == 200

    asyncio.run(run())
    assert [event["answer"] for event in events(study) if event["event"] == "answer"] == [None] * 8


# ------------------------------------------------------------------------------------- what nobody learns


def test_nothing_tells_real_images_from_generated_ones(study):
    before = study.content(1)
    Image.new("RGB", (8, 16)).save(study.image_path(1))  # much shorter than the others
    key, digests = study.folder / "key.csv", [hashlib.sha256(one).hexdigest() for one in (before, _file(study, 1))]
    key.write_text(key.read_text().replace(*digests))
    study = read_study(study.folder)
    assert len(before) > len(_file(study, 1))

    async def run():
        async with judged(study) as server:
            judge = Judge(server)
            await judge.begin()
            told = json.dumps([await judge.todo(), (await server.ask("/api/start"))[1]["key"]])
            for word in ("system1", "system2", "kind", "a00", "b00", '"target": "b', "rehearsal"):
                assert word not in told
            assert set((await judge.todo())["trials"][0]) == {"trial", "part", "place", "images"}
            answers = [await server.fetch(f"/images/{number}.png") for number in study.images]
            assert len({len(answer.body) for answer in answers}) == 1
            assert len({str(sorted(set(answer.headers) - {"Date"})) for answer in answers}) == 1
            for number, answer in zip(study.images, answers, strict=True):
                assert answer.code == 200
                assert answer.headers["Content-Type"] == "image/png"
                _same_pixels(answer.body, study.image_path(number))

    asyncio.run(run())


def _file(study: StudyFolder, number: int) -> bytes:
    return study.image_path(number).read_bytes()


def _same_pixels(content: bytes, path: Path) -> None:
    served, stored = Image.open(io.BytesIO(content)), Image.open(path)
    served.verify()  # all chunks, with their sums
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(stored))


@pytest.mark.parametrize(
    "path",
    [
        "/key.csv",
        "/study.json",
        "/raters/r001.jsonl",
        "/images/../key.csv",
        "/images/..%2fkey.csv",
        "/images/0.png",
        "/images/9999.png",
        "/images/-1.png",
        "/images/1.PNG",
        "/images/1",
        "/..%2f..%2fpyproject.toml",
        "/study/index.html",
        "/.token",
        "/api/raters/r001",
        "/api/raters/..%2f..%2fkey.csv",
    ],
)
def test_nothing_that_is_sent_becomes_a_path(study, path):
    async def run():
        async with judged(study) as server:
            await Judge(server).begin()
            answer = await server.fetch(path)
            assert answer.code in (400, 404)
            assert "error" in json.loads(answer.body)

    asyncio.run(run())


def test_a_secret_is_needed(study):
    async def run():
        async with judged(study) as server:
            judge = Judge(server)
            await judge.begin()
            stored = RaterFile.open(study, "r001").rater.secret_sha256
            assert judge.secret not in (study.raters / "r001.jsonl").read_text()
            for secret in (judge.secret[:-1] + ("a" if judge.secret[-1] != "a" else "b"), "A" * 32, stored[:32]):
                event = {"event": "begun", "trial": 1, "visit": judge.visit}
                for asked in (server.ask(f"/api/raters/{secret}"), server.ask(f"/api/raters/{secret}/events", event)):
                    status, answer = await asked
                    assert (status, answer["error"]) == (404, "This study does not know this rater. Begin anew.")
            for secret in (stored, "", "../" * 10, "x" * 33, judge.secret.lower() + "%00"):
                assert (await server.fetch(f"/api/raters/{secret}")).code == 404
            for secret in (None, 7, "short", "ä" * 32, ["x"] * 32):
                status, answer = await server.ask("/api/raters", {"secret": secret})
                assert (status, answer["error"]) == (400, "secret: expected 32 random letters and digits")
            assert len(events(study)) == 1
            assert len(read_raters(study)) == 1

    asyncio.run(run())


def test_other_pages_and_names_are_refused(study):
    async def run():
        async with judged(study) as server:
            judge = Judge(server)
            await judge.begin()
            path = f"/api/raters/{judge.secret}/events"
            body = json.dumps({"event": "begun", "trial": 1, "visit": judge.visit})
            for headers in (
                {"Host": "evil.example"},
                {"Origin": "http://evil.example"},
                {"Sec_Fetch_Site": "cross-site"},
                {"X_Key": "wrong"},
                {"X_Key": None},
                {"Host": "192.168.1.7"},
            ):
                assert (await server.fetch(path, body, **headers)).code == 403, headers
            answer = await server.fetch("/")
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
            assert len(events(study)) == 1

    asyncio.run(run())


def test_bodies_that_are_too_large_are_not_read(study):
    async def run():
        async with judged(study) as server:
            judge = Judge(server)
            await judge.begin()
            body = json.dumps({"event": "begun", "trial": 1, "visit": judge.visit, "more": "x" * 10**6})
            with contextlib.suppress(HTTPError, OSError):  # the connection may be closed before the answer
                assert (await server.fetch(f"/api/raters/{judge.secret}/events", body)).code >= 400
            status, _answer = await server.ask("/api/raters", {"secret": "y" * 32, "browser": {"agent": "x" * 50_000}})
            assert status == 200
            assert len(RaterFile.open(study, "r002").rater.browser["agent"]) == 300
            await judge.finish()

    asyncio.run(run())


# ------------------------------------------------------------------------------------- disks


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes, as if the disk were full."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_full_disk_is_told_and_nothing_is_lost(study):
    lines: list[str] = []

    async def run():
        async with judged(study, tell=lines.append) as server:
            judge = Judge(server)
            await judge.begin()
            path = study.raters / "r001.jsonl"
            before = path.read_bytes()
            with largest_file(len(before) + 10):  # part of the line fits
                status, answer = await judge.tell(event="begun", trial=1)
            with largest_file(10):
                assert (await server.ask("/api/raters", {"secret": "x" * 32}))[0] == 507
            assert status == 507
            assert answer["error"].startswith("The server cannot write to its disk (File too large).")
            assert path.read_bytes() == before
            await judge.finish()
            assert await server.ask("/api/raters", {"secret": "x" * 32}) == (200, {"rater": "r002"})

    asyncio.run(run())
    assert all("an answer cannot be written" in line for line in lines[1:3])
    assert lines[3] == "r001 has finished: 11 answers to 11 questions"
    assert sorted(state_of(events(study)).answered) == list(range(1, 12))


def test_a_folder_that_cannot_be_written_to_has_no_raters(study):
    study.raters.write_text("in the way")
    lines: list[str] = []

    async def run():
        async with judged(study, tell=lines.append) as server:
            secret = {"secret": "x" * 32}
            assert (await server.ask("/api/raters", secret))[0] == 507
            study.raters.unlink()
            assert await server.ask("/api/raters", secret) == (200, {"rater": "r001"})

    asyncio.run(run())
    assert "cannot be written" in lines[0]


# ------------------------------------------------------------------------------------- other machines


def test_other_machines_need_the_token_and_may_use_numbers(study):
    async def run():
        guard = Guard(hosts_of("0.0.0.0"), token="s3cret", numbers=True)
        async with judged(study, guard=guard) as server:
            for path in ("/", "/api/start", "/images/1.png"):
                assert (await server.fetch(path)).code == 403
            first = await server.fetch("/?token=s3cret", Host="192.168.7.9:8000")
            assert first.code == 200
            cookie = first.headers["Set-Cookie"].partition(";")[0]
            assert (await server.fetch("/api/start", Cookie=cookie, Host="[fd00::7]:8000")).code == 200
            assert (await server.fetch("/api/start", Cookie=cookie, Host="evil.example")).code == 403
            # another server of this machine, whose cookie the browser sends too
            assert (await server.fetch("/?token=s3cret", Cookie="pose-gan-000000000000=other")).code == 200

    asyncio.run(run())


def test_ipv6_is_listened_to(study):
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")

    async def run():
        async with judged(study, host="::1", guard=Guard(hosts_of("::1"))) as server:
            address = address_of("::1", server.port)
            assert address == f"http://[::1]:{server.port}/"
            page = await asyncio.to_thread(lambda: urllib.request.urlopen(address).read())
            assert b"<title>Real or generated?" in page

    asyncio.run(run())


def test_names_of_hosts():
    assert names_of("box.local") == ["box.local"]
    for everywhere, here in (("0.0.0.0", "127.0.0.1"), ("::", "::1")):
        names = names_of(everywhere)
        assert names[-1] == here
        assert len(names) == len(set(names))
        assert not any(is_here(name) for name in names[:-1])
        assert socket.gethostname().lower() in hosts_of(everywhere)
    assert hosts_of("127.0.0.1") == ("127.0.0.1", "localhost", "::1")
    assert all(map(is_here, ("127.1.2.3", "::1", "LocalHost")))
    assert not any(map(is_here, ("0.0.0.0", "::", "box", "192.168.1.7")))
    assert address_of("fd00::1", 8000, "t") == "http://[fd00::1]:8000/?token=t"


# ------------------------------------------------------------------------------------- rehearsals, and the program


def test_simulated_raters_err_as_often_as_asked_for(study):
    rehearsal, wrong, count = Rehearsal(0.2, 0.6, 400), Counter(), Counter()
    for number in range(1, 401):
        trials = trials_of(study, number)
        answers = rehearsal.answers(study, number, trials)
        assert answers == rehearsal.answers(study, number, trials)
        for trial, answer in zip(trials, answers, strict=True):
            kind = study.images[trial.image].kind if trial.image else "comparison"
            count[kind] += 1
            wrong[kind] += answer["answer"] == ("left" if kind == "comparison" else kind)
            assert answer["reaction_ms"] > 0
    for kind, rate in (("real", 0.8), ("generated", 0.4), ("comparison", 0.5)):
        low, high = binom.interval(0.9999, count[kind], rate)
        assert low <= wrong[kind] <= high, kind


def test_answers_are_told_to_simulated_raters_only(study):
    async def run():
        async with judged(study, Rehearsal(0.2, 0.6, 1)) as server:
            simulated = Judge(server)
            await simulated.begin()
            assert all("rehearsal" in trial for trial in (await simulated.todo())["trials"])
            status, answer = await server.ask("/api/raters", {"secret": "x" * 32})
            assert (status, answer["error"]) == (400, "The rehearsal has all its raters.")
        assert read_raters(study)[0].rater.simulated
        async with judged(study) as server:
            simulated.server = server
            status, answer = await server.ask(f"/api/raters/{simulated.secret}")
            assert (status, answer["error"]) == (
                404,
                "This rater belongs to a rehearsal, or this is one. Begin anew.",
            )
            real = Judge(server)
            await real.begin()
        async with judged(study, Rehearsal(0.2, 0.6, 1)) as server:
            assert (await server.ask(f"/api/raters/{real.secret}"))[0] == 404

    asyncio.run(run())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--raters", "3"], "--raters counts simulated raters"),
        (["--simulate", "0.2,0.4", "--raters", "0"], "--raters must be 1 or more"),
        (["--port", "70000"], "--port must be 0 to 65535"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid: is no name or address"),
    ],
)
def test_flags_that_do_not_fit(study, words, message):
    with pytest.raises(InputError, match=message):
        study_run.main([str(study.folder), *words])


@pytest.mark.parametrize("rates", ["0.5", "a,b", "0.2,1.5", "nan,0.1", "-1,0"])
def test_rates_that_are_none(study, rates, capsys):
    with pytest.raises(SystemExit):
        study_run.main([str(study.folder), f"--simulate={rates}"])
    assert "expected two shares from 0 to 1" in capsys.readouterr().err


def test_no_study(tmp_path):
    with pytest.raises(InputError, match="not the folder of a study"):
        study_run.main([str(tmp_path)])


def test_the_program(study, capsys):
    """A rehearsal of one rater for other machines; it ends by itself."""
    words = [str(study.folder), "--port", "0", "--host", "0.0.0.0", "--simulate", "0.2,0.4", "--raters", "1"]
    ended: list[int] = []
    program = threading.Thread(target=lambda: ended.append(study_run.main(words)), daemon=True)
    program.start()
    text = ""
    while "Ctrl-C ends it" not in text:
        assert program.is_alive()
        time.sleep(0.02)
        text += capsys.readouterr().out
    token = (study.folder / study_run.TOKEN).read_text()
    if os.name == "posix":
        assert (study.folder / study_run.TOKEN).stat().st_mode & 0o077 == 0
    address = next(line.split()[0] for line in text.splitlines() if line.endswith("Ctrl-C ends it"))
    assert address.startswith("http://127.0.0.1:")
    port = address.split(":")[2].partition("/")[0]
    with pytest.raises(InputError, match=r"study: in use by process \d+"):
        study_run.main([str(study.folder), "--port", port])
    assert address.endswith(f"/?token={token}")
    assert text.splitlines()[0] == f"{study.folder}: 0 raters have finished"

    async def rate():
        server = Server(int(port), "")
        cookie = (await server.fetch(f"/?token={token}")).headers["Set-Cookie"].partition(";")[0]
        fetch = server.fetch
        server.fetch = lambda *args, **headers: fetch(*args, Cookie=cookie, **headers)  # pyright: ignore[reportAttributeAccessIssue]
        server.key = (await server.ask("/api/start"))[1]["key"]
        judge = Judge(server)
        await judge.begin()
        for trial in (await judge.todo())["trials"]:
            told = trial["rehearsal"] | {"event": "answer", "trial": trial["trial"], "hidden": False}
            if trial["part"] != "comparison":
                await judge.tell(event="begun", trial=trial["trial"])
                told["shown_ms"] = 1000
            assert (await judge.tell(**told))[0] == 200
        assert await judge.tell(event="finished") == (200, {"new": True, "more": False})

    asyncio.run(rate())
    program.join(30)
    assert ended == [0]
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "r001 begins",
        "r001 has finished: 11 answers to 11 questions",
        "ended",
        f"{study.folder}: 1 rater has finished (1 of a rehearsal)",
    ]
    assert not (study.folder / ".in-use").exists()
