"""What the server refuses, and the words with which it does so, on a real port."""

from __future__ import annotations

import asyncio
import json
import re
import socket

import pytest
from tornado.httpclient import HTTPClientError
from tornado.websocket import websocket_connect

from pose_gan.errors import InputError
from pose_gan.web.server import bind, files_of


def test_our_page_is_answered_with_headers_that_keep_others_out(open_site):
    async def run():
        async with open_site() as site:
            for path in ("/", "/main.js", "/style.css", "/api/start", "/api/images"):
                answer = await site.fetch(path)
                assert answer.code == 200, path
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "script-src 'self'" in policy
                assert "frame-ancestors 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert "Access-Control-Allow-Origin" not in answer.headers

    asyncio.run(run())


def test_the_page_loads_nothing_from_elsewhere():
    files = files_of("common", "serve")
    assert {"index.html", "main.js", "serve.css", ""} <= files.keys()
    for name, (_, content) in files.items():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text.replace("://${location", "")), name
        assert "style=" not in text, f"{name}: the policy forbids styles in the text"
    html = files["index.html"][1].decode()
    for linked in re.findall(r"(?:src|href)=\"([^\"]+)\"", html):
        assert linked in files or linked == "style.css"
    for name, (_, content) in files.items():
        for linked in re.findall(r"from \"\./([^\"]+)\"", content.decode()):
            assert linked in files, f"{name} imports {linked}"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.7:8000", "evil.example:80", "[::2]", "[::1"]
)
def test_other_names_for_this_machine_are_refused(open_site, host):
    """DNS rebinding: the page of another site calls us by that site's name."""

    async def run():
        async with open_site() as site:
            for path in ("/", "/api/start", "/api/nothing"):
                answer = await site.fetch(path, Host=host)
                assert answer.code == 403
                assert "call it by 127.0.0.1" in json.loads(answer.body)["error"]

    asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost:8000", "[::1]:8000", "LOCALHOST"])
def test_names_of_this_machine_are_answered_whatever_the_port(open_site, host):
    """A port that SSH forwards has another number at the browser's side."""

    async def run():
        async with open_site() as site:
            assert (await site.fetch("/api/start", Host=host)).code == 200

    asyncio.run(run())


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", ""])
def test_requests_of_other_pages_are_refused(open_site, origin):
    async def run():
        async with open_site() as site:
            for path, body in (("/api/start", None), ("/api/sources", b"x"), ("/api/rows", b"{}")):
                answer = await site.fetch(path, body, Origin=origin)
                assert answer.code == 403
                assert "another page" in json.loads(answer.body)["error"]
            with pytest.raises(HTTPClientError, match="403"):
                await site.live(Origin=origin)
            answer = await site.fetch("/api/start", Sec_Fetch_Site="cross-site")
            assert answer.code == 403

    asyncio.run(run())


@pytest.mark.parametrize("key", [None, "", "wrong", "schlüssel"])
def test_what_changes_something_needs_the_key_of_our_page(open_site, key):
    async def run():
        async with open_site() as site:
            for path in ("/api/sources", "/api/rows", "/api/pose", "/", "/api/start"):
                answer = await site.fetch(path, b"{}", X_Key=key)
                assert answer.code == 403
                assert "load it again" in json.loads(answer.body)["error"]
            with pytest.raises(HTTPClientError, match="403"):
                await websocket_connect(f"ws://127.0.0.1:{site.port}/api/live?key=wrong")

    asyncio.run(run())


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/..%2f..%2fpyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/serve/index.html",
        "/index.html%00",
        "/api/sources/..%2f..%2frows.csv",
        "/api/images/../a.png",
        "/api/images/a.png",
        "/api/images/-1",
    ],
)
def test_nothing_that_is_sent_becomes_a_path(open_site, path):
    async def run():
        async with open_site() as site:
            answer = await site.fetch(path)
            assert answer.code in (400, 404)
            assert "error" in json.loads(answer.body)

    asyncio.run(run())


def test_servers_for_other_machines_ask_for_the_token_once(open_site):
    async def run():
        async with open_site(token="s3cret") as site:
            for path in ("/", "/api/start", "/?token=wrong"):
                assert (await site.fetch(path)).code == 403
            answer = await site.fetch("/?token=s3cret")
            assert answer.code == 200
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert (await site.fetch("/api/start", Cookie=cookie.partition(";")[0])).code == 200
            assert (await site.fetch("/api/start", Cookie="pose-gan=other")).code == 403

    asyncio.run(run())


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000, b'{"source": {"a": 1}}', b'{"image": true}']
)
def test_bodies_that_are_no_requests_are_answered_in_words(open_site, body):
    async def run():
        async with open_site() as site:
            for path in ("/api/sources", "/api/rows", "/api/pose"):
                answer = await site.fetch(path, body, Content_Type="application/json")
                assert answer.code in ((200, 400) if b"true" in body else (400,)), path
                assert answer.code == 200 or json.loads(answer.body)["error"]

    asyncio.run(run())


def test_a_port_that_is_taken_is_told_in_words():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match=r"--port [0-9]+: cannot be had on 127\.0\.0\.1.*give another one"):
            bind(taken.getsockname()[1])


def test_only_this_machine_is_listened_to():
    for taken in bind(0):
        assert taken.getsockname()[0] == "127.0.0.1"
        taken.close()
