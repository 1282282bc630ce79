"""A headless Chromium that tests drive through its DevTools protocol, with Tornado as the client: nothing to install.

The functions are coroutines, so that the page and its server can share one event loop.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-sandbox",  # a sandbox needs rights that containers lack; only our own page is opened
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
)
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Delete": 46, "Tab": 9, "Enter": 13}
KEYS |= {letter: ord(letter.upper()) for letter in "fj"}
SHIFT = 8
PATIENCE = 60.0  # seconds until something that is waited for must have happened


def executable() -> str:
    """The browser's path; skips the test if there is none."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine; install one, or name it in the variable CHROMIUM")
    return path


@contextlib.asynccontextmanager
async def opened(width: int = 1280, height: int = 900) -> AsyncIterator[Page]:
    """A page of a browser of its own, which ends with the block."""
    path = executable()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [path, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield await _connected(Path(profile) / "DevToolsActivePort", process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _connected(file: Path, process: subprocess.Popen[bytes]) -> Page:
    deadline = time.monotonic() + PATIENCE
    while not file.exists() or not file.read_text().count("\n"):
        assert process.poll() is None, f"the browser ended with status {process.returncode}"
        assert time.monotonic() < deadline, "the browser did not start"
        await asyncio.sleep(0.05)
    port = file.read_text().splitlines()[0]
    answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json/list")
    address = next(tab["webSocketDebuggerUrl"] for tab in json.loads(answer.body) if tab["type"] == "page")
    page = Page(await websocket_connect(address, max_message_size=1 << 28))
    for domain in ("Page", "Runtime", "DOM", "Log"):
        await page.call(f"{domain}.enable")
    return page


class Page:
    """A page of the browser. `errors` collects what its console says of errors."""

    def __init__(self, connection: Any) -> None:
        self.errors: list[str] = []
        self._connection = connection
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while (message := await self._connection.read_message()) is not None:
            values = json.loads(message)
            if "id" in values:
                self._answers.pop(values["id"]).set_result(values)
            elif values["method"] == "Runtime.exceptionThrown":
                details = values["params"]["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description", details["text"]))
            elif values["method"] == "Log.entryAdded" and values["params"]["entry"]["level"] == "error":
                entry = values["params"]["entry"]
                self.errors.append(f"{entry['text']} {entry.get('url', '')}")

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A call of the protocol."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._connection.write_message(json.dumps({"id": number, "method": method, "params": parameters}))
        values = await asyncio.wait_for(answer, PATIENCE)
        assert "error" not in values, f"{method}: {values['error']}"
        return values["result"]

    async def get(self, address: str) -> None:
        await self.call("Page.navigate", url=address)
        await self.until("document.readyState == 'complete'")

    async def reload(self) -> None:
        await self.evaluate("window.isOld = true")
        await self.call("Page.reload")
        await self.until_new()

    async def until_new(self) -> None:
        """Waits for the next page, where the variable `isOld` of this one is not set."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):  # asked in the moment between the two pages
                if await self.evaluate("!window.isOld && document.readyState == 'complete'"):
                    return
            await asyncio.sleep(0.02)
        raise AssertionError("the page was not loaded again")

    async def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script: str) -> Any:
        """Waits until an expression is true, and returns its value."""
        deadline = time.monotonic() + PATIENCE
        while not (value := await self.evaluate(script)):
            assert time.monotonic() < deadline, f"never true: {script}; errors: {self.errors}"
            await asyncio.sleep(0.05)
        return value

    async def text(self, selector: str) -> str:
        return await self.evaluate(f"document.querySelector({selector!r}).textContent.trim()")

    async def click(self, selector: str) -> None:
        await self.evaluate(f"document.querySelector({selector!r}).click()")

    async def middle(self, selector: str) -> tuple[float, float]:
        """(x, y) of the middle of an element in the window, after it was scrolled into view."""
        box = await self.evaluate(
            f"(() => {{ const e = document.querySelector({selector!r}); "
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); const b = e.getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return box[0], box[1]

    async def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 8) -> None:
        """Drags with the left button of the mouse."""
        await self._mouse("mouseMoved", start)
        await self._mouse("mousePressed", start)
        for step in range(1, steps + 1):
            x, y = (a + (b - a) * step / steps for a, b in zip(start, end, strict=True))
            await self._mouse("mouseMoved", (x, y))
        await self._mouse("mouseReleased", end)

    async def _mouse(self, kind: str, place: tuple[float, float]) -> None:
        pressed = {"button": "left", "buttons": 1, "clickCount": 1}
        await self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], **pressed)

    async def touch(self, start: tuple[float, float], end: tuple[float, float], steps: int = 8) -> None:
        """Drags with a finger."""
        await self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": start[0], "y": start[1]}])
        for step in range(1, steps + 1):
            x, y = (a + (b - a) * step / steps for a, b in zip(start, end, strict=True))
            await self.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=[{"x": x, "y": y}])
        await self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    async def press(self, key: str, modifiers: int = 0) -> None:
        code = {"key": key, "code": f"Key{key.upper()}" if len(key) == 1 else key, "modifiers": modifiers}
        code["windowsVirtualKeyCode"] = KEYS[key]
        text = {"type": "keyDown", "text": "\r"} if key == "Enter" else {"type": "rawKeyDown"}  # it presses buttons
        await self.call("Input.dispatchKeyEvent", **text, **code)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    async def give_file(self, selector: str, path: Path) -> None:
        """Gives a file to an input of files."""
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    async def resize(self, width: int, height: int, dark: bool = False, phone: bool = False) -> None:
        """The window's size, and the colours that the user prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        await self.call("Emulation.setDeviceMetricsOverride", **size)
        await self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, path: Path, whole: bool = True) -> None:
        """Writes a PNG of the page."""
        answer = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))
