"""A server for pages of this machine: what every page of it shares.

**What is refused.** A page of another site may send requests to a server of this machine, and may give its own name to
this machine's address (DNS rebinding). Therefore a request is answered only if the name by which it calls the server is
one of this machine (`Host`), and if the page that sends it is ours (`Origin`, `Sec-Fetch-Site`). A request that changes
something also carries a key that only our page can read. Pages load nothing from elsewhere and run no script but their
own (`Content-Security-Policy`). Files are looked up in a table that is made at the start: nothing that a browser sends
becomes a path.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import hmac
import importlib.resources
import ipaddress
import json
import secrets
import socket
import webbrowser
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import tornado.httpserver
import tornado.httputil
import tornado.log
import tornado.netutil
import tornado.web

from pose_gan.errors import InputError, reason
from pose_gan.evaluation.pages import page_template
from pose_gan.web.addresses import LOOPBACK, address_of, names_of

KEY_HEADER = "X-Key"
COOKIE = "pose-gan"
IDLE_S = 60.0  # seconds until a connection without requests is closed, so that nobody can hold all of them
SLOWEST_S = 120.0  # seconds for the body of a request
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Server": "pose-gan",
}


@dataclass(frozen=True)
class Guard:
    """Decides which requests are answered.

    Attributes:
        hosts: names by which the server may be called, without the port.
        key: what requests that change something carry, in the header `X-Key` or as `?key=`.
        token: what the address of the first page must carry as `?token=`, for servers that other machines reach; a
            cookie holds it from then on. None: no token is asked for.
        numbers: whether the server may also be called by any IP address, as other machines do; they are no names, which
            DNS rebinding needs.
    """

    hosts: tuple[str, ...] = LOOPBACK
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    token: str | None = None
    numbers: bool = False

    def refusal(self, request: tornado.httputil.HTTPServerRequest, needs_key: bool = False) -> str | None:
        """The reason why a request is not answered; None if it is."""
        host = request.headers.get("Host", "")
        try:
            name = urlsplit(f"//{host}").hostname if host else None
        except ValueError:  # an open bracket
            name = None
        if name not in self.hosts and not (self.numbers and _is_number(name)):
            return f"this server does not answer to the name {host[:80]!r}; call it by {self.hosts[0]}"
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"{request.protocol}://{host}":
            return f"requests of another page ({origin[:80]}) are refused"
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return "requests of another page are refused"
        if self.token is not None and not self._knows_token(request):
            return "the address lacks the token of this server; open the whole address that the program printed"
        if needs_key and not _same(request.headers.get(KEY_HEADER) or _argument(request, "key"), self.key):
            return "the page is of an earlier start of this server; load it again"
        return None

    @property
    def cookie(self) -> str:
        """The cookie's name. All servers of a machine share the cookies of a browser, whatever their ports are."""
        return f"{COOKIE}-{hashlib.sha256((self.token or '').encode()).hexdigest()[:12]}"

    def _knows_token(self, request: tornado.httputil.HTTPServerRequest) -> bool:
        cookie = request.cookies.get(self.cookie)
        return _same(cookie.value if cookie else _argument(request, "token"), self.token or "")


def _is_number(name: str | None) -> bool:
    try:
        ipaddress.ip_address(name or "")
    except ValueError:
        return False
    return True


def _argument(request: tornado.httputil.HTTPServerRequest, name: str) -> str:
    values = request.query_arguments.get(name, [b""])
    return values[-1].decode("utf-8", "replace")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


class Guarded(tornado.web.RequestHandler):
    """What all handlers share: the guard, the headers, and errors as `{"error": words}`."""

    needs_key = False  # for requests without a body that change something or cost much

    def set_default_headers(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        guard: Guard = self.settings["guard"]
        if refusal := guard.refusal(self.request, self.needs_key or self.request.method not in ("GET", "HEAD")):
            raise tornado.web.HTTPError(403, "%s", refusal)
        if guard.token is not None:
            self.set_cookie(guard.cookie, guard.token, httponly=True, samesite="Strict")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None))[1]
        words = self._reason
        if isinstance(error, InputError):
            self.set_status(400)
            words = str(error)
        elif isinstance(error, tornado.web.HTTPError) and error.args:
            words = error.args[0]
        self.finish({"error": words})

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, InputError):  # the page shows it
            super().log_exception(typ, value, tb)

    def body_table(self) -> dict[str, Any]:
        """The JSON object of the request's body. Raises InputError: it holds something else."""
        return table(self.request.body)


def table(text: bytes | str) -> dict[str, Any]:
    """The JSON object in `text`. Raises InputError: it is something else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the request is not JSON: {reason(error)}") from None
    if not isinstance(values, dict):
        raise InputError("the request is no JSON object")
    return values


class File(Guarded):
    """Answers with the file of a table that bears the requested name: `{name: (type, content)}`."""

    def initialize(self, files: dict[str, tuple[str, bytes]]) -> None:
        self._files = files

    def get(self, name: str) -> None:
        if name not in self._files:
            raise tornado.web.HTTPError(404, "%s", "there is no such page")
        kind, content = self._files[name]
        self.set_header("Content-Type", kind)
        self.finish(content)


def files_of(*folders: str) -> dict[str, tuple[str, bytes]]:
    """The files of folders of `pose_gan/web/static` by name, with their types; `index.html` is also named ``.

    They include `style.css`, which all pages of the package share.
    """
    files = {"style.css": (TYPES[".css"], page_template("style.css.j2").render().encode())}
    for folder in folders:
        for file in (importlib.resources.files("pose_gan.web") / "static" / folder).iterdir():
            suffix = f".{file.name.rpartition('.')[2]}"
            if suffix in TYPES:
                files[file.name] = (TYPES[suffix], file.read_bytes())
    if "index.html" in files:
        files[""] = files["index.html"]
    return files


def application(handlers: list[Any], guard: Guard, **settings: Any) -> tornado.web.Application:
    """An application whose handlers are `Guarded`; other addresses are answered as politely."""

    class Nothing(Guarded):
        def prepare(self) -> None:
            super().prepare()
            raise tornado.web.HTTPError(404, "%s", "there is no such page")

    return tornado.web.Application(
        handlers, default_handler_class=Nothing, guard=guard, log_function=lambda handler: None, **settings
    )


def bind(port: int, host: str = LOOPBACK[0]) -> list[socket.socket]:
    """Takes a port, so that a program knows early whether it can have it; 0: any free one.

    Raises: InputError: it cannot be had, or `host` is no name of this machine.
    """
    try:
        return tornado.netutil.bind_sockets(port, host)
    except (OSError, OverflowError) as error:
        if isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
            raise InputError(f"--host {host}: is no name or address of this machine ({reason(error)})") from None
        raise InputError(
            f"--port {port}: cannot be had on {host} ({reason(error)}); another program may use it: give another one, "
            "or 0 for any free one"
        ) from None


def listen(application: tornado.web.Application, sockets: list[socket.socket], largest: int) -> Any:
    """Begins to answer in the running event loop.

    Args:
        application: what answers.
        sockets: from `bind`.
        largest: number of bytes of the largest request; the connection of a larger one is closed.
    Returns: the server; its `stop()` ends it.
    """
    server = tornado.httpserver.HTTPServer(
        application,
        max_body_size=largest,
        max_buffer_size=largest,
        idle_connection_timeout=IDLE_S,
        body_timeout=SLOWEST_S,
    )
    server.add_sockets(sockets)
    return server


def serve(
    application: tornado.web.Application,
    sockets: list[socket.socket],
    largest: int,
    open_browser: bool = False,
    ended: asyncio.Event | None = None,
) -> None:
    """Answers until Ctrl-C, after it printed the address. Args: as `listen`; `ended`: ends it too when it is set."""

    async def run() -> None:
        server = listen(application, sockets, largest)
        host, port = sockets[0].getsockname()[:2]
        addresses = [address_of(one, port, application.settings["guard"].token) for one in names_of(host)]
        for address in addresses[:-1]:
            print(f"{address} shows the page to other machines", flush=True)
        print(f"{addresses[-1]} shows the page; Ctrl-C ends it", flush=True)
        if open_browser and not webbrowser.open(addresses[-1]):
            print("no browser could be opened; open the address yourself", flush=True)
        try:
            await (ended or asyncio.Event()).wait()
        finally:
            server.stop()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
    print("ended")
