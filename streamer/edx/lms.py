"""Open edX as we call it: it is told when a learner is heard, and what an attempt came to.

It blocks: call it in a thread.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from streamer.edx.errors import EdxError

TIMEOUT_S = 20.0
ANSWER_BYTES = 1 << 20
EARLY_S = 10.0  # before its end, from when on an access token is not used any more
ATTEMPT = "/api/edx_proctoring/v1/proctored_exam/attempt/{id}/{what}"
TOKEN = "/oauth2/access_token"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


class LmsError(EdxError):
    """Open edX could not be reached, or refused. ``final``: trying again is of no use."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float
    token_type: str = "JWT"


class Lms:
    """One installation, at ``url``, where we are the client ``id`` with ``secret``."""

    def __init__(self, url: str, id: str, secret: str, tls: ssl.SSLContext | None = None) -> None:
        self._place, self._id, self._secret, self._tls = urlsplit(url), id, secret, tls
        self._lock = threading.Lock()
        self._token: tuple[str, float] = ("", 0.0)

    def ready(self, attempt: str, now: float) -> None:
        """The learner is heard, and may start the exam. Raises :class:`LmsError`."""
        self._post(attempt, "ready", {"status": "ready"}, now)

    def reviewed(self, attempt: str, review: Any, now: float) -> None:
        """What an attempt came to. Raises :class:`LmsError`."""
        self._post(attempt, "reviewed", review, now)

    def _post(self, attempt: str, what: str, content: Any, now: float) -> None:
        headers = {"Authorization": self._authorization(now), "Content-Type": JSON}
        path = ATTEMPT.format(id=attempt, what=what)
        status, _ = self._send(path, msgspec.json.encode(content), headers)
        if status in (401, 403):
            self._token = ("", 0.0)
            raise LmsError("Open edX does not let its client report attempts: see its user's group")
        if not 200 <= status < 300:
            final = status in (400, 404, 410, 412)
            raise LmsError(f"Open edX answered {status} to `{what}`", final=final)

    def _authorization(self, now: float) -> str:
        with self._lock:
            if self._token[1] <= now:
                self._token = self._ask_for_token(now)
            return self._token[0]

    def _ask_for_token(self, now: float) -> tuple[str, float]:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._id,
            "client_secret": self._secret,
            "token_type": "jwt",
        }
        status, body = self._send(TOKEN, urlencode(form).encode(), {"Content-Type": FORM})
        if status != 200:
            raise LmsError(f"Open edX gives its client no token (status {status})")
        try:
            token = msgspec.json.decode(body, type=_Token)
        except ValueError as error:
            raise LmsError("Open edX answered with no token") from error
        return f"JWT {token.access_token}", now + token.expires_in - EARLY_S

    def _send(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Redirects are not followed: they would take the secret elsewhere."""
        try:
            connection = self._connection()
            try:
                path = self._place.path.rstrip("/") + path
                connection.request("POST", path, body, headers | {"Accept": JSON})
                response = connection.getresponse()
                return response.status, response.read(ANSWER_BYTES)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:  # no header, that token
            raise LmsError(f"Open edX does not answer ({type(error).__name__})") from error

    def _connection(self) -> http.client.HTTPConnection:
        place = self._place
        host = place.hostname or ""
        if place.scheme != "https":
            return http.client.HTTPConnection(host, place.port, timeout=TIMEOUT_S)
        tls = self._tls or ssl.create_default_context()
        return http.client.HTTPSConnection(host, place.port, timeout=TIMEOUT_S, context=tls)
