"""By which names a server is called: from this machine only, or from others too."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}
HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
ELSEWHERE = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}  # for documentation; nobody has them


def plain(host: str) -> str:
    """A host without the brackets that IPv6 has in addresses of pages."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def is_here(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host.lower() == "localhost"


def hosts_of(host: str) -> tuple[str, ...]:
    """The names by which a server that listens on `host` may be called."""
    names = [*names_of(host), host, *LOOPBACK]
    if not is_here(host):
        own = socket.gethostname()
        names += [own, f"{own.partition('.')[0]}.local"]
    return tuple(dict.fromkeys(name.lower() for name in names))


def names_of(host: str) -> list[str]:
    """The names by which a server that listens on `host` is best called: last the one for this machine.

    To find the addresses of this machine, nothing is sent.
    """
    if host not in EVERYWHERE:
        return [host]
    family, found = EVERYWHERE[host], []
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as way:
        way.connect((ELSEWHERE[host], 9))  # chooses the own address on the way there
        found.append(way.getsockname()[0])
    with contextlib.suppress(OSError):
        found += [entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, family)]
    others = [one for one in dict.fromkeys(map(str, found)) if not is_here(one) and "%" not in one]
    return [*others, HERE[host]]


def address_of(host: str, port: int, token: str | None = None) -> str:
    """The address of a page."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/{f'?token={token}' if token else ''}"
