"""What strangers and bad luck do to `pose-gan study run`: broken requests, lost files, connections that never end."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from judges import Judge, judged
from studies import prepare

from pose_gan.errors import InputError
from pose_gan.programs import study_run
from pose_gan.study.answers import RaterFile, read_raters
from pose_gan.study.plan import StudyFolder, read_study
from pose_gan.web import server as web_server
from pose_gan.web.judging import page
from pose_gan.web.raters import Raters
from pose_gan.web.server import Guard, bind

BAD = [None, True, -1, 10**400, 1e300, "", "x" * 5000, "\0", "\ud800", [], {}, [[[[]]]]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> StudyFolder:
    words = ["--count_real", "3", "--count_generated", "3", "--practice", "0", "--comparisons", "1"]
    return prepare(tmp_path_factory.mktemp("study"), *words, systems=2)


@pytest.fixture
def study(prepared, tmp_path) -> StudyFolder:
    return read_study(shutil.copytree(prepared.folder, tmp_path / "study"))


def test_no_request_breaks_the_server(study):
    """Each field of each request with values that no page sends: words, and files that can be read."""

    async def run():
        async with judged(study) as server:
            judge = Judge(server)
            await judge.begin()
            good = {"event": "answer", "trial": 1, "reaction_ms": 512.5, "hidden": False, "by": "key", "answer": "real"}
            good |= {"shown_ms": 1000.0, "late_frames": 0, "visit": judge.visit}
            await judge.tell(event="begun", trial=1)
            for name in good:
                for value in BAD:
                    if (name, value) not in (("hidden", True), ("by", None)):
                        status, answer = await judge.tell(**{**good, name: value})
                        assert status in (400, 409), (name, value, answer)
                        assert str(study.folder) not in answer["error"]
            for name, value in [
                ("window", [10**400, 1]),
                ("window", [1]),
                ("pixel_ratio", 1e300),
                ("pixel_ratio", "1"),
            ]:
                assert (await judge.tell(event="loaded", visit="another", **{name: value}))[0] == 400
            assert (await judge.tell(**good))[0] == 200
            for depth in (50, 900, 20_000):
                body = f'{{"event": {"[" * depth}{"]" * depth}, "visit": "{judge.visit}"}}'
                assert (await server.fetch(f"/api/raters/{judge.secret}/events", body)).code == 400
            for content in ("\0", "NaN", "[]", '{"event": NaN}', ""):
                assert (await server.fetch(f"/api/raters/{judge.secret}/events", content)).code in (400, 409)

    asyncio.run(run())
    (file,) = read_raters(study)
    assert [event["event"] for event in file.events] == ["loaded", "begun", "answer"]


def test_a_rater_who_cannot_begin_leaves_nothing(study):
    async def run():
        async with judged(study) as server:
            for secret in (" " * 32, "/" * 32, "\0" * 32, "a" * 31 + "\n"):
                status, answer = await server.ask("/api/raters", {"secret": secret})
                assert (status, answer["error"]) == (400, "secret: expected 32 random letters and digits")
            status, answer = await server.ask("/api/raters", {"secret": "a" * 32, "browser": {"touch": 10**4200}})
            assert status == 400
            assert str(study.folder) not in answer["error"]
            assert not list(study.raters.iterdir())
            assert await Judge(server).begin() == "r001"

    asyncio.run(run())


def test_a_name_that_was_freed_has_one_rater(study):
    """Somebody deletes a file while its page is open; the answers of that page do not go to the next rater's file."""

    async def run():
        async with judged(study) as server:
            old, new = Judge(server), Judge(server)
            await old.begin()
            (study.raters / "r001.jsonl").unlink()
            assert await new.begin() == "r001"
            assert (await old.tell(event="begun", trial=1))[0] == 404
            await new.finish()

    asyncio.run(run())
    assert [event["event"] for event in RaterFile.open(study, "r001").events][-1] == "finished"


def test_a_folder_that_is_away_for_a_time(study, tmp_path):
    """Such as that of another machine: the rater is not told to begin anew."""

    async def run():
        async with judged(study) as server:
            judge = Judge(server)
            await judge.begin()
            study.folder.rename(tmp_path / "away")
            status, answer = await judge.tell(event="begun", trial=1)
            assert status == 507
            assert "Nothing is lost" in answer["error"]
            (tmp_path / "away").rename(study.folder)
            await judge.finish()

    asyncio.run(run())


def test_connections_that_never_end_are_closed(study, monkeypatch):
    monkeypatch.setattr(web_server, "IDLE_S", 0.2)
    monkeypatch.setattr(web_server, "SLOWEST_S", 0.2)
    head = b"POST /api/raters HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n"

    async def run():
        async with judged(study) as server:
            for sent in (b"", b"GET / HTTP/1.1\r\n", head + b"{"):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(sent)
                assert await asyncio.wait_for(reader.read(), 20) == b""
                writer.close()
            await Judge(server).begin()

    asyncio.run(run())


def test_images_that_were_exchanged_are_not_shown(study):
    first, second = study.image_path(1), study.image_path(2)
    first.write_bytes(second.read_bytes())
    with pytest.raises(InputError, match=r"images/0001\.png: is not the image that was prepared"):
        page(Raters(study), Guard())


@pytest.mark.parametrize("content", [b"\xff\0", b"a b&c", b"", b"x" * 10**6])
def test_a_token_that_was_damaged_is_replaced(study, monkeypatch, capsys, content):
    (study.folder / ".token").write_bytes(content)
    tokens = []
    for _ in range(2):
        monkeypatch.setattr(web_server, "serve", lambda page, *_: tokens.append(page.settings["guard"].token))
        study_run.main([str(study.folder), "--port", "0", "--host", "0.0.0.0"])
    assert tokens[0] == tokens[1] == (study.folder / ".token").read_text()
    assert len(tokens[0]) > 16
    capsys.readouterr()


def test_a_host_that_is_not_ours():
    for host in ("nobody.invalid", "192.0.2.200"):
        with pytest.raises(InputError, match=rf"--host {host}: is no name or address of this machine"):
            bind(0, host)
