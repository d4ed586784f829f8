"""A browser as far as LTI needs one: it keeps cookies, and posts what a platform has it post."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from server_requests import ask

from streamer.server.server import Server

WAIT_S = 120.0  # for what has to come; nothing takes as long


class Browser:
    """Keeps cookies by their path. Forms come from pages of ``origin``."""

    def __init__(self, server: Server, origin: str) -> None:
        self.server, self.origin = server, origin
        self.cookies: dict[str, tuple[str, str]] = {}

    async def get(self, path: str) -> Any:
        """The response of the server."""
        return await self._ask("GET", path)

    async def post(self, path: str, form: dict[str, str]) -> Any:
        """The response of the server to a form."""
        return await self._ask("POST", path, urlencode(form).encode(), {"Origin": self.origin})

    async def _ask(self, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
        plain = path.partition("?")[0]
        own = [
            f"{name}={v}" for name, (v, place) in self.cookies.items() if plain.startswith(place)
        ]
        given = (headers or {}) | ({"Cookie": "; ".join(own)} if own else {})
        response = await ask(self.server, method, path, body, headers=given)
        if cookie := response.headers["Set-Cookie"]:
            found = re.match(r"([^=]+)=([^;]*); Path=([^;]+)", cookie)
            assert found is not None
            self.cookies[found[1]] = (found[2], found[3])
        return response


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """What ``look`` finds, once it finds something."""
    async with asyncio.timeout(WAIT_S):
        while not (found := await look()):
            await asyncio.sleep(0.1)
    return found


def of_form(page: str) -> tuple[str, dict[str, str]]:
    """Where the form of a page goes, and its fields."""
    action = re.search(r'<form[^>]*?action="([^"]+)"', page, re.DOTALL)
    assert action is not None, page
    fields = re.findall(r'<input[^>]*?name="([^"]+)"[^>]*?value="([^"]*)"', page)
    return html.unescape(action[1]), {name: html.unescape(value) for name, value in fields}
