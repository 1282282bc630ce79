"""The page of `pose-gan study run` in a real browser, without a window."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from pathlib import Path

import chromium
import numpy as np
import pytest
from chromium import Page
from judges import Judge, judged
from studies import prepare

from pose_gan.programs import study_run, study_score
from pose_gan.study.answers import RaterFile, read_raters, state_of
from pose_gan.study.plan import StudyFolder, trials_of
from pose_gan.web.raters import Rehearsal
from pose_gan.web.server import files_of

SHOWN = "!!document.querySelector('.timed.shown')"
ASKED = "!!document.querySelector('.choice')"
OVER = "document.querySelector('h1')?.textContent == 'The rehearsal is over'"


@pytest.fixture(autouse=True)
def browser() -> None:
    chromium.executable()  # skips


def study_of(folder: Path, words: str, **more: int) -> StudyFolder:
    return prepare(folder, *words.split(), **more)


def title(words: str) -> str:
    return f"document.querySelector('h1')?.textContent == {words!r}"


async def left(page: Page) -> str:
    """The answer on the left side."""
    return await page.text(".answer[data-side=left] b")


def answers(study: StudyFolder, rater: str = "r001") -> list[dict]:
    return [event for event in RaterFile.open(study, rater).events if event["event"] == "answer"]


# ------------------------------------------------------------------------------------- one rater, step by step


async def begin_when_the_window_is_large_enough(page: Page) -> None:
    await page.until(title("Real or generated?"))
    assert "There are 8 images. Each is shown for 0.2 seconds" in await page.text("#words")
    await page.resize(180, 300)
    await page.press("Enter")  # the button has the focus
    await page.until(title("This window is too small"))
    assert await page.evaluate("document.querySelector('button.large').disabled")
    await page.resize(800, 700, dark=True)
    await page.until("!document.querySelector('button.large').disabled")
    await page.click("button.large")


async def answer_by_key_mouse_and_finger(page: Page) -> list[str]:
    """Keys while an image is shown change nothing. Returns the answers."""
    await page.until(title("Practice"))
    assert "they do not count" in await page.text("#words")
    await page.press("Enter")
    await page.until(SHOWN)
    for key in ("f", "j", "ArrowLeft", "Enter"):
        await page.press(key)
    await page.until(ASKED)
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(128, 128, 128)"
    given = [await left(page)]
    await page.press("f")

    await page.until(f"{ASKED} && document.getElementById('progress-words').textContent == 'Practice 2 of 2'")
    place = await page.middle(".answer[data-side=right]")
    given.append({"real": "generated", "generated": "real"}[await left(page)])
    await page.drag(place, place, 1)
    await page.until(title("Now it counts"))
    await page.resize(400, 700, phone=True)
    await page.press("Enter")
    await page.until(ASKED)
    given.append(await left(page))
    place = await page.middle(".answer[data-side=left]")
    await page.touch(place, place, 0)
    return given


async def hide_the_tab(page: Page) -> None:
    await page.resize(800, 700)
    await page.until(SHOWN)
    hide = "Object.defineProperty(document, 'hidden', {get: () => %s, configurable: true})"
    await page.evaluate(f"{hide % 'true'}, document.dispatchEvent(new Event('visibilitychange')), 0")
    assert not await page.evaluate(SHOWN)
    await page.evaluate(f"{hide % 'false'}, 0")
    await page.until(ASKED)
    await page.press("ArrowRight")


async def load_the_page_again(page: Page) -> None:
    await page.until(SHOWN)
    await page.reload()
    await page.until(title("Welcome back"))
    words = await page.text("#words")
    assert "7 questions are left." in words  # of 12
    assert "is left out" in words
    await page.click("button.large")


async def load_it_again_while_an_answer_waits(page: Page) -> None:
    await page.until(ASKED)
    await page.evaluate("window.fetch = () => Promise.reject(new Error('gone')), 0")
    await page.press("j")
    await page.until("document.getElementById('trouble').textContent.includes('Your answers are kept')")
    await page.reload()
    await page.until(title("Welcome back"))
    assert "6 questions are left." in await page.text("#words")
    await page.click("button.large")


async def fail(page: Page) -> None:
    """A fault that nobody thought of does not leave the rater before a page that has stopped."""
    await page.until(ASKED)
    await page.evaluate("document.createElement = () => { throw new Error('broken') }, 0")
    await page.press("j")
    await page.until("document.getElementById('trouble').textContent.includes('The page failed (broken)')")
    await page.evaluate("window.isOld = true")
    await page.click("#trouble button")
    await page.until_new()
    await page.until(title("Welcome back"))


async def go_to_the_end(page: Page) -> None:
    while not await page.evaluate(title("Thank you!")):
        if await page.evaluate(ASKED):
            await page.press("j")
        elif await page.evaluate("!!document.querySelector('button.large')"):
            await page.click("button.large")
        await asyncio.sleep(0.05)


def test_one_rater_in_a_browser(tmp_path):
    """A rater of two starts of the program, since the start of the browser takes the longest."""
    words = "--count_real 4 --count_generated 4 --practice 2 --comparisons 2 --display_ms 200"
    study = study_of(tmp_path, words, systems=2)

    async def run():
        async with chromium.opened() as page:
            async with judged(study) as server:
                await page.get(f"{server.address}/")
                await begin_when_the_window_is_large_enough(page)
                given = await answer_by_key_mouse_and_finger(page)
                await hide_the_tab(page)
                await load_the_page_again(page)
                await load_it_again_while_an_answer_waits(page)
                await page.until(ASKED)
            await page.press("f")  # nobody answers
            await page.until("document.getElementById('trouble').textContent.includes('Your answers are kept')")
            async with judged(study, port=server.port) as server:  # with another key
                await page.until("document.getElementById('trouble').hidden")
                await page.until(ASKED)
                other = Judge(server)
                key = "Object.entries(localStorage).find(([name]) => name.startsWith('pose-gan study'))[1]"
                other.secret = json.loads(await page.evaluate(key))["secret"]
                await other.load()
                await page.press("f")
                await page.until("document.getElementById('trouble').textContent.includes('in another window')")
                await page.reload()
                await page.until(title("Welcome back"))
                await page.click("button.large")
                await fail(page)
                await go_to_the_end(page)
                assert await page.evaluate("localStorage.length") == 0
                await page.click("button.large")
                await page.until(title("Real or generated?"))
            expected = ("Failed to load resource", "Error: broken")
            unexpected = [error for error in page.errors if not any(words in error for words in expected)]
            assert not unexpected
            return given

    given = asyncio.run(run())
    state = state_of(RaterFile.open(study, "r001").events)
    assert state.finished
    assert len(state.interrupted) == 2  # by the page that was loaded again, and by the other window
    told = answers(study)
    assert len(told) == 10
    assert len({one["trial"] for one in told}) == 10
    assert [one["answer"] for one in told[:3]] == given
    assert [one["by"] for one in told[:5]] == ["key", "mouse", "touch", "key", "key"]
    assert [one["hidden"] for one in told] == [False, False, False, True, *[False] * 6]
    assert told[3]["shown_ms"] < 200
    assert all(one["shown_ms"] >= 190 for one in told if one["part"] != "comparison" and not one["hidden"])
    assert all(one["answer"] in ("first", "second") for one in told[-2:])


def test_the_page_loads_nothing_from_elsewhere():
    files = files_of("common", "study")
    assert {"index.html", "main.js", "study.css", "jspsych.min.js", "jspsych.LICENSE.txt", ""} <= files.keys()
    assert b"MIT License" in files["jspsych.LICENSE.txt"][1]
    assert b"sourceMappingURL" not in files["jspsych.min.js"][1]
    for name, (_, content) in files.items():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        if not name.startswith("jspsych"):  # names addresses in its messages
            assert not re.search(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text), name
            for linked in re.findall(r"from \"\./([^\"]+)\"", text):
                assert linked in files, f"{name} imports {linked}"
    for linked in re.findall(r"(?:src|href)=\"([^\"]+)\"", files["index.html"][1].decode()):
        assert linked in files


# ------------------------------------------------------------------------------------- simulated raters


def test_simulated_raters_answer_as_they_are_told(tmp_path):
    words = "--count_real 6 --count_generated 6 --practice 2 --comparisons 2"
    study, rehearsal = study_of(tmp_path, words, systems=2, count=16), Rehearsal(0.25, 0.5, 3)

    async def run():
        async with judged(study, rehearsal) as server, chromium.opened() as page:
            await page.get(f"{server.address}/")
            await page.until(OVER)
            assert not page.errors

    asyncio.run(run())
    files = read_raters(study)
    assert len(files) == 3
    for file in files:
        trials = trials_of(study, file.rater.number)
        told = answers(study, file.rater.rater)
        asked = rehearsal.answers(study, file.rater.number, trials)
        assert [one["reaction_ms"] for one in told] == [one["reaction_ms"] for one in asked]
        assert [one["answer"] for one in told[:14]] == [one["answer"] for one in asked[:14]]
        assert all(one["shown_ms"] == 1000 for one in told[:14])
        assert state_of(file.events).finished
        assert file.rater.simulated


@pytest.mark.slow
def test_images_are_shown_for_one_second(tmp_path):
    """A simulated rater who looks and presses keys: the time is measured by the frames of the screen."""
    study, rehearsal = study_of(tmp_path, "--count_real 4 --count_generated 4 --practice 0"), Rehearsal(0.25, 0.5, 1)

    async def run():
        async with judged(study, rehearsal) as server, chromium.opened() as page:
            await page.get(f"{server.address}/?simulate=visual")
            await page.until(OVER)

    asyncio.run(run())
    told, asked = answers(study), rehearsal.answers(study, 1, trials_of(study, 1))
    shown = np.array([one["shown_ms"] for one in told])
    np.testing.assert_allclose(shown, 1000, atol=20)
    assert [one["answer"] for one in told] == [one["answer"] for one in asked]
    late = np.array([one["reaction_ms"] - two["reaction_ms"] for one, two in zip(told, asked, strict=True)])
    assert np.median(np.abs(late)) < 20
    assert all(one["by"] == "key" for one in told)


@pytest.mark.slow
def test_the_whole_way_of_30_raters(tmp_path, capsys):
    """Known rates go in at `study run --simulate`, and come out of `study score` within their intervals."""
    study = prepare(tmp_path, count=130)
    r2g, g2r = 0.2267, 0.5024  # the paper's Full on Market-1501
    words = [str(study.folder), "--port", "0", "--simulate", f"{r2g},{g2r}"]
    program = threading.Thread(target=study_run.main, args=[words], daemon=True)
    program.start()
    text = ""
    while "Ctrl-C ends it" not in text:
        time.sleep(0.05)
        text += capsys.readouterr().out

    async def run():
        async with chromium.opened() as page:
            await page.get(re.findall(r"http://\S+", text)[0])
            while program.is_alive():
                await asyncio.sleep(0.2)
            assert not page.errors

    asyncio.run(run())
    assert study_score.main([str(study.folder), "--simulated", "--output_dir", str(tmp_path / "scores")]) == 0
    assert len(read_raters(study)) == 30
    scores = json.loads((tmp_path / "scores/scores.json").read_text())
    (system,) = scores["systems"]
    assert (system["real"], system["generated"]) == (1650, 1650)
    for name, rate in (("r2g", r2g), ("g2r", g2r)):
        assert system[name]["low"] <= rate <= system[name]["high"], system[name]
        assert system[name]["high"] - system[name]["low"] < 0.07
