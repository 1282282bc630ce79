"""The page of `pose-gan serve` in a real browser, without a window."""

from __future__ import annotations

import asyncio
from typing import Any

import chromium
import numpy as np
import pytest
from chromium import SHIFT, Page
from PIL import Image
from websites import Site

from pose_gan.poses.keypoints import read_annotations
from pose_gan.poses.skeleton import COCO18

READY = "'ready' in document.documentElement.dataset && !document.getElementById('result').hidden"


@pytest.fixture(autouse=True)
def browser() -> None:
    chromium.executable()  # skips


def joint(name: str, skeleton: str = "pose") -> str:
    """The selector of a joint's element."""
    return f"#{skeleton}-skeleton g.joint:nth-of-type({COCO18.index(name) + 1}) .dot"


async def place(page: Page, name: str, skeleton: str = "pose") -> np.ndarray:
    """Where a joint is drawn: (x, y) in pixels of the generator."""
    values = await page.evaluate(
        f"(() => {{ const c = document.querySelector({joint(name, skeleton)!r}); "
        "return [c.cx.baseVal.value, c.cy.baseVal.value]; })()"
    )
    return np.array(values)


async def shown(page: Page, selector: str = "#result") -> str:
    """What a canvas shows, as text."""
    return await page.evaluate(f"document.querySelector({selector!r}).toDataURL()")


async def answered(page: Page, site: Site) -> None:
    """Waits until the generator has been idle for a moment."""
    count = -1
    while count != len(site.generator.batches):
        count = len(site.generator.batches)
        await asyncio.sleep(0.15)
    await page.until(READY)


async def target(page: Page, site: Site) -> Any:
    """The target pose that the generator saw last."""
    await answered(page, site)
    return site.generator.batches[-1]["target_keypoints"][0]


async def drag_a_joint(page: Page, site: Site) -> None:
    """The picture follows; a limb keeps its length, unless it should not."""
    before, elbow = await shown(page), await place(page, "Lelb")
    length = np.linalg.norm(await place(page, "Lwri") - elbow)
    start = await page.middle(joint("Lwri"))
    await page.drag(start, (start[0] - 30, start[1] - 60))
    pose = await target(page, site)
    assert await shown(page) != before
    np.testing.assert_allclose(await place(page, "Lelb"), elbow)
    wrist = await place(page, "Lwri")
    assert np.linalg.norm(wrist - elbow) == pytest.approx(length, abs=0.01)
    np.testing.assert_allclose(pose[COCO18.index("Lwri")][::-1] + 0.5, wrist, atol=0.01)

    await page.click("#keep-lengths")
    start = await page.middle(joint("Lwri"))
    await page.drag(start, (start[0] + 20, start[1] + 20))
    await answered(page, site)
    unit = (await place(page, "Lwri") - wrist) / 20  # pixels of the generator per pixel of the screen
    assert unit == pytest.approx([unit[0], unit[0]], rel=0.05)
    assert 0.05 < unit[0] < 0.5
    await page.click("#pose-undo")
    np.testing.assert_allclose(await place(page, "Lwri"), wrist)


async def use_the_keyboard(page: Page, site: Site) -> None:
    """Arrows move a joint by 1 and 10 pixels, Delete makes it missing, and its button brings it back."""
    row = COCO18.index("Rkne")
    await page.evaluate(f"document.querySelectorAll('#pose-skeleton g.joint')[{row}].focus()")
    before = await target(page, site)
    await page.press("ArrowLeft")
    await page.press("ArrowUp", SHIFT)
    np.testing.assert_allclose((await target(page, site))[row] - before[row], (-10, -1), atol=0.011)
    label = await page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("right knee: ")
    await page.press("Tab")
    assert (await page.evaluate("document.activeElement.getAttribute('aria-label')")).startswith("right ankle")
    await page.press("Delete")
    assert (await target(page, site))[row + 1].tolist() == [-1, -1]
    assert await page.evaluate("document.activeElement.textContent") == "+ right ankle"
    await page.evaluate("document.activeElement.click()")
    assert (await target(page, site))[row + 1].min() >= 0
    await page.evaluate(f"document.querySelectorAll('#pose-skeleton g.joint')[{COCO18.index('Rhip')}].focus()")
    await page.press("Delete")
    await page.until("document.getElementById('result-note').textContent.includes('right hip')")
    await page.evaluate("document.activeElement.click()")


async def change_whole_poses(page: Page, site: Site) -> None:
    await page.click("#as-source")
    pose = await target(page, site)
    np.testing.assert_allclose(pose, site.generator.batches[-1]["source_keypoints"][0])
    await page.click("#mirror")
    mirrored = await target(page, site)
    width = site.generator.batches[-1]["source_image"].shape[2]
    np.testing.assert_allclose(mirrored[COCO18.index("Lwri")], (1, -1) * pose[COCO18.index("Rwri")] + (0, width - 1))
    await page.click("input[value=pose]")
    await page.click("#thumbnails button:nth-child(2)")
    await page.until("document.querySelector('#thumbnails button:nth-child(2)').classList.contains('is-pose')")
    assert not np.allclose(await target(page, site), mirrored)
    await page.click("input[value=source]")


async def save_a_row(page: Page, site: Site) -> None:
    start = await page.middle(joint("nose", "source"))
    await page.drag(start, (start[0] + 12, start[1] + 12))
    await page.click("#save")
    await page.until("document.getElementById('source-note').textContent.startsWith('Saved.')")
    saved = read_annotations(site.rows)
    assert saved.names == ("a.png",)
    x, y = await place(page, "nose", "source")
    np.testing.assert_array_equal(saved.keypoints[0][0], np.floor((y, x)))


async def upload_files(page: Page, site: Site, folder: Any) -> None:
    bad = folder / "letter.jpg"
    bad.write_text("Dear photo,")
    await page.give_file("#upload", bad)
    await page.until(
        "document.getElementById('source-note').textContent.includes('letter.jpg cannot be used: not an image')"
    )
    assert "bad" in await page.evaluate("document.getElementById('source-note').className")
    dark = folder / "night.png"
    Image.new("RGB", (90, 120)).save(dark)
    await page.give_file("#upload", dark)
    await page.until("document.getElementById('source-note').textContent.startsWith('No person was found')")
    assert await page.text("#source-name") == "night.png"
    await page.give_file("#upload", folder / "large.png")
    await page.until("document.getElementById('source-name').textContent == 'large.png'")
    await page.until("document.getElementById('source-picture').naturalWidth > 0")
    assert await page.evaluate("document.getElementById('source-note').hidden")


async def play_the_walk(page: Page, site: Site) -> None:
    await answered(page, site)
    count = len(site.generator.batches)
    await page.click("#walk")
    while len(site.generator.batches) < count + 20:
        await asyncio.sleep(0.05)
    assert await page.evaluate("document.getElementById('walk').getAttribute('aria-pressed')") == "true"
    ankles = [batch["target_keypoints"][0][COCO18.index("Rank")][1] for batch in site.generator.batches[count:]]
    assert np.ptp(ankles) > 2
    await page.click("#walk")
    await answered(page, site)
    assert await page.evaluate("document.getElementById('walk').getAttribute('aria-pressed')") == "false"


async def show_the_layers(page: Page, site: Site) -> None:
    await page.click("#layers summary")
    await page.until("!document.getElementById('pictures').classList.contains('waiting')")
    pictures = [await shown(page, f"#pictures figure:nth-child({number}) canvas") for number in range(1, 5)]
    assert len(set(pictures)) == 4
    await page.evaluate(
        "(() => { const part = document.getElementById('part'); "
        "part.value = '2'; part.dispatchEvent(new Event('change')); })()"
    )
    third = "#pictures figure:nth-child(3) canvas"
    await page.until(f"document.querySelector('{third}').toDataURL() != {pictures[2]!r}")
    await page.click("#layers summary")


async def drag_with_a_finger(page: Page, site: Site) -> None:
    await page.resize(400, 850, phone=True)
    await asyncio.sleep(0.2)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400
    await page.click("#as-source")
    before = await target(page, site)
    start = await page.middle(joint("Rank"))
    await page.touch(start, (start[0] + 15, start[1] - 25))
    after = await target(page, site)
    assert np.abs(after - before)[COCO18.index("Rank")].max() > 3


def test_the_page_in_a_browser(open_site, folder):
    """One session of one user, since the start of the browser takes the longest."""

    async def run():
        async with open_site() as site, chromium.opened() as page:
            await page.resize(1280, 900)
            await page.get(f"{site.address}/")
            await page.until(READY)
            assert await page.text("#source-name") == "a.png"
            await drag_a_joint(page, site)
            await use_the_keyboard(page, site)
            await change_whole_poses(page, site)
            await save_a_row(page, site)
            await play_the_walk(page, site)
            await show_the_layers(page, site)
            await upload_files(page, site, folder)
            await drag_with_a_finger(page, site)
            unexpected = [error for error in page.errors if "400 (Bad Request)" not in error]
            assert not unexpected

    asyncio.run(run())


def test_the_page_without_images_says_how_to_begin(open_site, monkeypatch):
    async def run():
        async with open_site(estimator=False, rows=False) as site, chromium.opened() as page:
            # The same page as for a server without a folder
            script = "(f => window.fetch = async a => { const r = await f(a); if (a != '/api/start') return r; "
            script += "return new Response(JSON.stringify({...await r.json(), images: 0})) })(window.fetch)"
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
            await page.get(f"{site.address}/")
            await page.until("'ready' in document.documentElement.dataset")
            assert "Drop a photo here" in await page.text("#source-empty")
            assert await page.evaluate("document.getElementById('images').hidden")
            assert "--keypoints_output" in await page.text("#save-how")
            assert await page.evaluate("document.getElementById('save').disabled")
            assert await page.evaluate("document.getElementById('save-hint').hidden")
            assert not page.errors

    asyncio.run(run())
