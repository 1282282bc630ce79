"""Pages as other programs see them. That of `pose-gan serve` has a generator that is quick and easy to foretell."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from makers import SIZE, people
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.websocket import WebSocketClientConnection, websocket_connect

from pose_gan.estimators.base import Poses
from pose_gan.poses.skeleton import COCO18

HEIGHT, WIDTH = SIZE


class Generator:
    """Paints the source, and a bright spot at each joint of the target pose."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.may_end.set()
        self.seconds = 0.0
        self.batches: list[dict[str, Any]] = []
        self.now = self.most = 0

    def __call__(self, batch: dict[str, Any]) -> np.ndarray:
        self.batches.append(batch)
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        assert self.may_end.wait(15)
        image = batch["source_image"].copy()
        for y, x in batch["target_keypoints"][0].astype(int):
            if (y, x) != (-1, -1):
                image[0, y, x] = 1.0
        self.now -= 1
        return image


class Estimator:
    """Finds the same pose, as shares of the image, in every image that is not black."""

    name, skeleton, preferred_batch = "the test's estimator", COCO18, 1
    pose = people(1, (100, 100), seed=1, missing=0.0)[0].clip(10, 89)

    def __call__(self, images: np.ndarray) -> Poses:
        found = np.floor(self.pose / 100 * images.shape[1:3]).astype(np.int32)
        poses = np.stack([found if image.any() else np.full_like(found, -1) for image in images])
        return Poses(poses, np.ones(poses.shape[:2], np.float32))


@dataclass
class Server:
    """A running server, as other programs see it."""

    port: int
    key: str

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def fetch(self, path: str, body: bytes | str | None = None, **headers: str | None) -> HTTPResponse:
        """Asks as our own page does. A header with the value None is left out."""
        given: dict[str, str | None] = {"Origin": self.address if body is not None else None, "X-Key": self.key}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in given.items() if value is not None}
        method = "GET" if body is None else "POST"
        request = HTTPRequest(f"{self.address}{path}", method, sent, body, follow_redirects=False)
        return await AsyncHTTPClient(force_instance=True).fetch(request, raise_error=False)

    async def ask(self, path: str, values: Any = None) -> tuple[int, Any]:
        """Status and JSON answer."""
        body = None if values is None else json.dumps(values)
        kind = {} if values is None else {"Content_Type": "application/json"}
        answer = await self.fetch(path, body, **kind)
        return answer.code, json.loads(answer.body)


@dataclass
class Site(Server):
    """A running page of `pose-gan serve`."""

    generator: Generator
    rows: Path

    async def upload(self, content: bytes, name: str = "photo.png") -> tuple[int, Any]:
        answer = await self.fetch(f"/api/sources?name={name}", content, Content_Type="application/octet-stream")
        return answer.code, json.loads(answer.body)

    async def live(self, **headers: str) -> WebSocketClientConnection:
        request = HTTPRequest(f"ws://127.0.0.1:{self.port}/api/live?key={self.key}", headers=headers)
        return await websocket_connect(request)


Open = Callable[..., contextlib.AbstractAsyncContextManager[Site]]
