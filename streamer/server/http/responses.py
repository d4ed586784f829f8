"""Whole responses, and the headers that each of them has."""

from __future__ import annotations

import email.utils
import http
import math
from typing import Any

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Response

from streamer.reports.spool import Spool
from streamer.wire.errors import BAD_REQUEST, HTTP_STATUS, WireError
from streamer.wire.messages import Refusal, WhatIsWrong

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
HTML = "text/html; charset=utf-8"
NO_STORE = "no-store"
NOTHING = "default-src 'none'; frame-ancestors 'none'"
RETRY_S = 1  # after which to try again, told to whom there was no room for

PROTECTION = {
    "Content-Security-Policy": NOTHING,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know `frame-ancestors`
}
STRICT = "max-age=31536000"


class FileResponse(Response):
    """A response whose body is in a file, which whoever sends it closes."""

    def __init__(self, file: Spool, content_type: str, *, policy: str) -> None:
        told = respond(200, b"", content_type, policy=policy)
        del told.headers["Content-Length"]
        told.headers["Content-Length"] = str(file.size)
        super().__init__(told.status_code, told.reason_phrase, told.headers)
        self.file = file


def respond(
    status: int,
    body: bytes,
    content_type: str = TEXT,
    *,
    cache: str = NO_STORE,
    policy: str = NOTHING,
) -> Response:
    """A whole response, after which the connection is closed."""
    headers = Headers(
        {
            "Date": email.utils.formatdate(usegmt=True),
            "Connection": "close",
            "Content-Length": str(len(body)),
            "Content-Type": content_type,
            "Cache-Control": cache,
            "Content-Security-Policy": policy,
        }
    )
    response = Response(status, http.HTTPStatus(status).phrase, headers, body)
    protect(response, secure=False)
    return response


def respond_json(status: int, content: Any) -> Response:
    """What msgspec can write as JSON."""
    return respond(status, msgspec.json.encode(content), JSON)


def refuse(error: WireError) -> Response:
    """What is told to whom something is refused."""
    told = Refusal(error=WhatIsWrong(code=error.code, message=str(error)))
    response = respond_json(HTTP_STATUS.get(error.code, BAD_REQUEST), told)
    if error.code == "overloaded" or error.retry_s is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_s or RETRY_S))
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, section 15.5.2
    return response


def protect(response: Response, *, secure: bool) -> None:
    """Add the headers that every response has; ``secure``: it goes over TLS."""
    found = PROTECTION | ({"Strict-Transport-Security": STRICT} if secure else {})
    for name, value in found.items():
        if name not in response.headers:
            response.headers[name] = value
