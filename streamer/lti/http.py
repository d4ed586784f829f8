"""How this tool calls platforms: within a time, and nowhere else than it was told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import requests

from streamer.lti.errors import PlatformError

TIMEOUT_S = 20.0
KEPT_S = 300.0  # that a platform's keys are taken as they were
AGAIN_S = 5.0  # between two questions for a key that was not there


class Session(requests.Session):
    """Follows no redirect, which would take a token elsewhere, and waits no longer than said."""

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        """As the library's. Raises its exceptions, also for a redirect."""
        named.setdefault("timeout", TIMEOUT_S)
        response = super().request(*arguments, **named | {"allow_redirects": False})
        if response.is_redirect or response.is_permanent_redirect:
            raise requests.TooManyRedirects("the platform answers from elsewhere")
        return response


class PublicKeys:
    """The public keys of platforms, which may change them at any time. Any thread may ask.

    A key that is not known is asked for, so that a platform's new one holds at once; one that the
    platform took away holds for ``KEPT_S`` at most.
    """

    def __init__(self, session: Session, clock: Callable[[], float] = time.monotonic) -> None:
        self._session, self._clock = session, clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, list[dict[str, Any]]]] = {}

    def of(self, url: str, key: object) -> list[dict[str, Any]]:
        """The keys at an address, of which one should be ``key``. Raises :class:`PlatformError`."""
        with self._lock:
            asked_at, keys = self._kept.get(url, (-float("inf"), []))
            age_s = self._clock() - asked_at
            known = any(one.get("kid") == key for one in keys)
            if age_s >= (KEPT_S if known else AGAIN_S):
                keys = self._ask(url)
                self._kept[url] = self._clock(), keys
            return keys

    def _ask(self, url: str) -> list[dict[str, Any]]:
        try:
            found = self._session.get(url).json()["keys"]
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise PlatformError("the platform's public keys cannot be read") from error
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
