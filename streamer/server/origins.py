"""Which pages may connect, and under which names the server may be asked for.

A browser says by `Origin` whose page connects, and by `Host` under which name it found us. Anybody
can let a name of their own point here (DNS rebinding), and their page would look like ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_allowed(origin: str | None, host: str, allowed: Sequence[str]) -> bool:
    """Whether a request with these ``Origin`` and ``Host`` headers may go on.

    Programs send no origin. A browser's must be one of ``allowed``, or the server's own
    when that is ``localhost`` or an address in figures: a page of any other name could have
    it point here (DNS rebinding) and would then look like our own.
    """
    if origin is None:
        return True
    place = _place(origin)
    if place is None:
        return False
    if any(place == _place(entry) for entry in allowed):
        return True
    scheme = origin.partition(":")[0].lower()
    return place == _place(f"{scheme}://{host}") and _cannot_be_rebound(place[1])


def is_origin(text: str) -> bool:
    """Whether ``text`` is an origin as a browser sends it: ``https://voice.example.org``."""
    return _place(text) is not None


def hosts_of(origins: Iterable[str]) -> frozenset[str]:
    """The names in origins."""
    return frozenset(place[1] for place in map(_place, origins) if place is not None)


def host_allowed(host: str, known: frozenset[str]) -> bool:
    """Whether the server may be asked for as ``host``: by a known name, or one nobody can rebind.

    Names without a dot are of this network alone: nobody outside can let them point anywhere.
    Programs that send no host are let through: they are no browser.
    """
    if not host:
        return True
    place = _place(f"http://{host}")
    if place is None:
        return False
    return place[1] in known or "." not in place[1] or _cannot_be_rebound(place[1])


def _place(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host name and port of an origin, or None when it is none."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or not _is_bare(parts):
        return None
    return parts.scheme, parts.hostname, DEFAULT_PORTS[parts.scheme] if port is None else port


def _is_bare(parts: SplitResult) -> bool:
    return not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)


def _cannot_be_rebound(hostname: str) -> bool:
    if hostname == "localhost":
        return True
    try:
        ip_address(hostname)
    except ValueError:
        return False
    return True
