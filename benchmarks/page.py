"""The page of `pose-gan serve`: images a second through its WebSocket, against the generator alone.

The client asks for the next image when it has the last one, as the page does while a joint is dragged. `http` is the
usual form of such a page: a request with a connection of its own per image, and a PNG as the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import http.server
import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image
from tornado.websocket import websocket_connect

from benchmarks.harness import Options, Table, ratio
from benchmarks.inputs import SHAPE, pose_pairs, size_text
from benchmarks.processor import Used, in_turns
from pose_gan.config import ModelConfig
from pose_gan.networks import build_generator, compiled
from pose_gan.poses.drawing import to_float, to_uint8
from pose_gan.web.photos import as_png
from pose_gan.web.server import Guard, bind, listen
from pose_gan.web.serving import LARGEST, page
from pose_gan.web.studio import LAYERS, Studio

IMAGES = {0.1875: 40, 1.0: 8}  # width of the generator → images
QUICK = {0.125: 3}
ALONE, LIVE, LAYERED, HTTP = (
    "the generator alone",
    "the page: question, image",
    "the page: question, image and four layers",
    "HTTP: a connection and a PNG per image",
)
Run = Callable[[dict[str, Any]], Any]


def run(options: Options) -> list[Table]:
    columns = {
        "form": "form",
        "ms": "ms an image",
        "rate": "images/s",
        "share": "% of the generator's rate",
        "processor": "processor ms an image",
        "processor_share": "% of it that the generator takes",
    }
    tables = []
    for width, count in (QUICK if options.quick else IMAGES).items():
        generator = compiled(build_generator(ModelConfig(image_size=SHAPE, width=width)))
        used = _measure(generator, count, options.few_repeats)
        rows = [
            {
                "form": form,
                "ms": 1000 * one.seconds / count,
                "rate": ratio(count, one.seconds),
                "share": 100 * used[ALONE].seconds / one.seconds,
                "processor": 1000 * one.processor / count,
                "processor_share": 100 * used[ALONE].processor / one.processor,
            }
            for form, one in used.items()
        ]
        title = f"The page, {size_text(SHAPE)}, width {width:g}: {count} images one after the other"
        tables.append(Table(title, columns, rows, ["Server and client are one process, on the loopback."]))
    return tables


def _measure(generator: Run, count: int, repeats: int) -> dict[str, Used]:
    poses = pose_pairs(count, SHAPE)[1].numpy().tolist()
    picture = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    studio = Studio(generator, ModelConfig(image_size=SHAPE))
    opened = studio.upload(as_png(picture), "photo.png")

    def alone() -> None:
        for pose in poses:
            np.asarray(generator(_batch(picture, opened["pose"], pose)))

    def plain() -> None:
        for pose in poses:
            assert ask_over_http(other.server_port, {"pose": pose}).shape == picture.shape

    async def live(client: Any, layers: Sequence[str]) -> None:
        for number, pose in enumerate(poses):
            asked = {"n": number, "source": opened["id"], "source_pose": opened["pose"], "pose": pose}
            await client.write_message(json.dumps({**asked, "layers": list(layers)}))
            answer = await client.read_message()
            assert np.frombuffer(answer, np.uint8, offset=4).size == (1 + len(layers)) * picture.size

    with served(studio) as address, served_plainly(generator, picture, opened["pose"]) as other:
        loop = asyncio.new_event_loop()
        client = loop.run_until_complete(_connected(address))
        forms = {
            ALONE: alone,
            LIVE: lambda: loop.run_until_complete(live(client, ())),
            LAYERED: lambda: loop.run_until_complete(live(client, LAYERS)),
            HTTP: plain,
        }
        try:
            return in_turns(forms, repeats, warm_up=1)
        finally:
            client.close()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()


async def _connected(address: str) -> Any:
    return await websocket_connect(address)


def _batch(picture: np.ndarray, source_pose: Any, pose: Any) -> dict[str, np.ndarray]:
    poses = {"source_keypoints": source_pose, "target_keypoints": pose}
    return {"source_image": to_float(picture)[None]} | {n: np.array([v], np.float32) for n, v in poses.items()}


@contextlib.contextmanager
def served(studio: Studio) -> Iterator[str]:
    """The page in a thread of its own. Gives the address of its WebSocket."""
    loop, ended, guard, sockets = asyncio.new_event_loop(), asyncio.Event(), Guard(), bind(0)

    async def serve() -> None:
        server = listen(page(studio, guard), sockets, LARGEST)
        await ended.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield f"ws://127.0.0.1:{sockets[0].getsockname()[1]}/api/live?key={guard.key}"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@contextlib.contextmanager
def served_plainly(generator: Run, picture: np.ndarray, source_pose: Any) -> Iterator[http.server.HTTPServer]:
    """The usual form: `POST {"pose": …}`, and a PNG as the answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = as_png(to_uint8(np.asarray(generator(_batch(picture, source_pose, asked["pose"])))[0]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask_over_http(port: int, asked: dict[str, Any]) -> np.ndarray:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.request("POST", "/", json.dumps(asked))
        return np.asarray(Image.open(io.BytesIO(connection.getresponse().read())))
    finally:
        connection.close()
