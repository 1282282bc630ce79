"""Workers join, compare, agree and fail together: here they are threads, in `test_workers.py` processes."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from workers import addresses

from pose_gan.errors import InputError
from pose_gan.training import joining
from pose_gan.training import team as team_module
from pose_gan.training.team import LostWorkerError, Team


def together(count: int, work: Callable[[Team], Any], places: dict[int, list[str]] | None = None) -> list[Any]:
    """What each worker of a team returns or raises."""
    common = addresses(count)
    results: list[Any] = [None] * count

    def one(index: int) -> None:
        team = Team((places or {}).get(index, common), index)
        try:
            with team.joined():
                results[index] = work(team)
        except BaseException as error:
            results[index] = error

    threads = [threading.Thread(target=one, args=(index,), daemon=True) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results


def test_values_arrive_in_order():
    def work(team: Team) -> list[Any]:
        time.sleep(0.1 * ((team.index + 1) % 3))
        return [team.gather({"number": team.index, "turn": turn}) for turn in range(20)]

    expected = [[{"number": worker, "turn": turn} for worker in range(3)] for turn in range(20)]
    assert together(3, work) == [expected] * 3


def test_one_alone_needs_nobody():
    with Team().joined():
        assert Team().gather(5) == [5]
        assert Team().agree(lambda: "done") == "done"
        Team().compare({"seed": 1})


def test_what_fails_on_one_fails_on_all_and_they_can_go_on():
    def work(team: Team) -> tuple[str, str]:
        def action() -> str:
            if team.index == 1:
                raise InputError("a.jpg: no image")
            return "fine"

        with pytest.raises(InputError) as caught:
            team.agree(action)
        return str(caught.value), team.agree(lambda: "fine again")

    for worker, (message, after) in enumerate(together(3, work)):
        assert after == "fine again"
        expected = "a.jpg: no image" if worker == 1 else r"worker 1 (localhost:"
        assert message.startswith(expected)
        assert message.endswith("a.jpg: no image")


def test_what_the_chief_does_alone_may_fail_too():
    def work(team: Team) -> str:
        def save() -> None:
            assert team.is_chief
            raise OSError(28, "No space left on device")

        with pytest.raises(OSError if team.is_chief else LostWorkerError) as caught:
            team.chief_alone(save)
        return str(caught.value)

    for message in together(2, work):
        assert "No space left on device" in message


def test_differences_from_the_chief_are_named_on_all():
    values = [{"keras": "3.15", "seed": 0}, {"keras": "3.15", "seed": 0}, {"keras": "3.14", "extra": 1}]
    for error in together(3, lambda team: team.compare(values[team.index])):
        assert isinstance(error, InputError)
        assert "worker 1" not in str(error)
        for part in (
            "has keras 3.14, the chief 3.15",
            "has seed nothing, the chief 0",
            "has extra 1, the chief nothing",
        ):
            assert part in str(error), error


def test_a_failure_is_told_to_those_who_wait():
    """The chief waits for worker 2, worker 1 for the chief; both hear why worker 2 is gone."""

    def work(team: Team) -> None:
        if team.index == 2:
            raise MemoryError("out of memory")
        team.gather(None)

    results = together(3, work)
    assert isinstance(results[2], MemoryError)
    for error in results[:2]:
        assert isinstance(error, LostWorkerError)
        assert str(error).startswith("worker 2 (localhost:")
        assert str(error).endswith("ended: out of memory")


def test_strangers_at_the_port_are_sent_away():
    places = addresses(2)

    def stranger() -> None:
        host, _, port = places[0].rpartition(":")
        for words in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"{}\n",
            b"[1]\n",
            b'{"worker": "one"}\n',
            b"[" * 60_000 + b"\n",
            b"\xff" * 70_000,
        ):
            for _ in range(100):
                try:
                    with socket.create_connection((host, int(port))) as connection:
                        connection.sendall(words)
                    break
                except OSError:
                    time.sleep(0.02)

    results: list[Any] = [None, None]

    def one(index: int) -> None:
        team = Team(places, index)
        with team.joined():
            results[index] = team.gather(index)

    threads = [threading.Thread(target=one, args=(0,), daemon=True), threading.Thread(target=stranger, daemon=True)]
    for thread in threads:
        thread.start()
    threads[1].join(30)
    one(1)
    threads[0].join(30)
    assert results == [[0, 1], [0, 1]]


def test_workers_that_were_started_wrongly_are_refused(monkeypatch):
    """One that comes when the chief has refused another one finds no chief."""
    monkeypatch.setattr(joining, "JOIN_SECONDS", 3.0)
    common, others = addresses(3), addresses(3)
    for error in together(3, lambda team: None, {0: common, 1: common, 2: [common[0], *others[1:]]}):
        assert isinstance(error, InputError)
        assert "worker 2 was started with the addresses" in str(error) or "could not be reached" in str(error)


def test_a_number_that_is_given_twice_is_refused():
    places, results = addresses(3), []

    def one(index: int) -> None:
        with pytest.raises(InputError) as caught, Team(places, index).joined():
            pass
        results.append(str(caught.value))

    threads = [threading.Thread(target=one, args=(index,), daemon=True) for index in (0, 1, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == 3
    assert all("worker 1 was started twice; give each its own number" in text for text in results)


def test_who_does_not_come_is_named(monkeypatch, capsys):
    monkeypatch.setattr(joining, "JOIN_SECONDS", 1.2)
    places = addresses(3)
    with pytest.raises(InputError, match=rf"worker 1 \({places[1]}\), worker 2 .* did not come within 1 s"):
        Team(places, 0).joined().__enter__()
    assert "waiting for worker 1" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"worker 0 .*, the chief, could not be reached for 1 s"):
        Team(places, 1).joined().__enter__()


@pytest.mark.parametrize("index", [0, 1])
def test_a_port_that_is_taken_is_named(index):
    """And no other worker needs to be there for it."""
    with socket.create_server(("", 0)) as held:
        places = addresses(2)
        places[index] = f"localhost:{held.getsockname()[1]}"
        with pytest.raises(InputError, match=rf"worker {index} \({places[index]}\).* cannot have its port .*in use"):
            Team(places, index).joined().__enter__()


def test_a_worker_that_left_while_others_waited_may_come_again():
    """It was ended and started again, before the last one came."""
    places, results = addresses(3), []
    host, _, port = places[0].rpartition(":")

    def one(index: int) -> None:
        team = Team(places, index)
        with team.joined():
            results.append(team.gather(index))

    threads = [threading.Thread(target=one, args=(index,), daemon=True) for index in range(3)]
    threads[0].start()
    hello = json.dumps({"worker": 1, "addresses": places}).encode() + b"\n"
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection((host, int(port))) as early:
            early.sendall(hello)
            break
        time.sleep(0.02)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [[0, 1, 2]] * 3


def test_silence_is_a_loss(monkeypatch):
    """A connection that stays open, over which nothing comes."""
    monkeypatch.setattr(team_module, "SILENCE_SECONDS", 1.0)
    places = addresses(2)

    def silent() -> None:
        host, _, port = places[0].rpartition(":")
        for _ in range(200):
            try:
                with socket.create_connection((host, int(port))) as connection:
                    connection.sendall(
                        b'{"worker": 1, "addresses": ["%s", "%s"]}\n' % tuple(p.encode() for p in places)
                    )
                    time.sleep(2)
                return
            except OSError:
                time.sleep(0.02)

    thread = threading.Thread(target=silent, daemon=True)
    thread.start()

    def joined(places: list[str]) -> None:
        team = Team(places, 0)
        with team.joined():
            team.gather(None)

    with pytest.raises(LostWorkerError, match=r"worker 1 .* has given no sign of life for 1 s"):
        joined(places)
    thread.join()
