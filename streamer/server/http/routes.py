"""The table of what can be asked for: a path, a method, who may, and what answers. Sans-IO."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from websockets.http11 import Response

from streamer.server.http.request import Request
from streamer.wire.errors import WireError
from streamer.wire.requests import Role

FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """``path`` may have fields, each a part of what lies between two slashes: ``/v1/{name}.csv``.

    ``answer`` may raise :class:`WireError`. It is asked for callers with one of ``roles``; with
    None for everybody, and then no token is looked at. A request's body has up to ``body_bytes``.
    HEAD is answered as GET, without a body. What is ``quiet`` is logged for debugging only.
    """

    method: str
    path: str
    answer: Callable[[Request], Awaitable[Response]]
    roles: frozenset[Role] | None
    body_bytes: int = 0
    quiet: bool = False


class WrongMethodError(WireError):
    """The path is there, but only for the methods ``allowed``."""

    def __init__(self, allowed: str) -> None:
        super().__init__("wrong-method", f"this is answered to {allowed}")
        self.allowed = allowed


class Routes:
    """The table. Raises ``ValueError`` for a path and method that is there twice."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        self._fielded: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        if FIELD.search(route.path):
            pattern = re.compile(_pattern(route.path))
            by_method = self._fielded.setdefault(route.path, (pattern, {}))[1]
        else:
            by_method = self._fixed.setdefault(route.path, {})
        if route.method in by_method:
            raise ValueError(f"there are two routes for {route.method} {route.path}")
        by_method[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route for ``path``, as it was sent, and its fields. Raises :class:`WireError`."""
        by_method, fields = self._at(path)
        route = by_method.get("GET" if method == "HEAD" else method)
        if route is None:
            heads = {"HEAD"} if "GET" in by_method else set()
            raise WrongMethodError(", ".join(sorted({*by_method, *heads})))
        return route, fields

    def _at(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        try:
            if (fixed := self._fixed.get(unquote(path, errors="strict"))) is not None:
                return fixed, {}
            for pattern, by_method in self._fielded.values():
                if (found := pattern.fullmatch(path)) is not None:
                    fields = found.groupdict()
                    return by_method, {k: unquote(v, errors="strict") for k, v in fields.items()}
        except ValueError as error:
            message = "the address cannot be read: percent-encode names as UTF-8"
            raise WireError("bad-parameter", message) from error
        raise WireError("not-found", "nothing is at this address")


def _pattern(path: str) -> str:
    """A regular expression for a path with fields, which hold no slash."""
    parts = FIELD.split(path)
    return "".join(
        f"(?P<{part}>[^/]+)" if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )
