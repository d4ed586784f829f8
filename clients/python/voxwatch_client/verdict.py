"""A whole recording to a server, one verdict back; see `voxwatch_client`."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from voxwatch_client import messages
from voxwatch_client.addresses import is_loopback
from voxwatch_client.errors import ConnectionFailed, ServerError

PATH = "/v1/verify"
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
ANSWER_S = 120.0  # for the server to take the recording and judge it


def verify(
    url: str,
    recording: bytes,
    *,
    claim: str | Sequence[str] | None = None,
    encoding: messages.Encoding | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
    channel: int | None = None,
    false_accept: float | None = None,
    miss: float | None = None,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> messages.Verdict:
    """The server's verdict on a recording of at most 60 s, as it is: WAV, FLAC, Ogg,
    and MP3, M4A, WebM, AAC or AMR where the server has the extra ``media``.

    Raw PCM has ``encoding``, ``sample_rate`` in Hz or ``channels``. Of several channels
    ``channel`` is listened to, from 0. The rest is as in :func:`voxwatch_client.connect`. It waits:
    call :func:`verify_async` from asyncio. Raises :class:`ConnectionFailed`, :class:`ServerError`.
    """
    claims = claim if isinstance(claim, str) else msgspec.json.encode(list(claim or ())).decode()
    asked = {
        "claim": claims if claim else None,
        "encoding": encoding,
        "sample_rate": sample_rate,
        "channels": channels,
        "channel": channel,
        "false_accept": false_accept,
        "miss": miss,
    }
    request = urllib.request.Request(_address(url, asked), data=recording, method="POST")
    request.add_header("Content-Type", "application/octet-stream")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    return _answer(request, tls)


async def verify_async(url: str, recording: bytes, **options: Any) -> messages.Verdict:
    """:func:`verify`, with the same options, in a thread."""
    return await asyncio.to_thread(verify, url, recording, **options)


def _address(url: str, asked: Mapping[str, object]) -> str:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ConnectionFailed(f"{url!r} is no address of a server: write http://HOST:PORT")
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    path = parts.path.rstrip("/") + PATH
    return urlunsplit((SCHEMES[parts.scheme], parts.netloc, path, query, ""))


def _answer(request: urllib.request.Request, tls: ssl.SSLContext | None) -> messages.Verdict:
    handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=tls)]
    if is_loopback(urlsplit(request.full_url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=ANSWER_S) as answer:
            return msgspec.json.decode(answer.read(), type=messages.Verdict)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error.code, error.read()) from error
    except (OSError, http.client.HTTPException) as error:
        why = error.reason if isinstance(error, urllib.error.URLError) else error
        message = f"no verdict from the server ({why}): is `voxwatch serve` running?"
        raise ConnectionFailed(message, transient=True) from error
    except msgspec.MsgspecError as error:
        raise ConnectionFailed("the server does not answer as voxwatch does") from error


def _refused(status: int, body: bytes) -> ServerError:
    try:
        told = msgspec.json.decode(body, type=messages.Refusal).error
    except msgspec.MsgspecError:
        return ServerError(f"http-{status}", "the server does not answer as voxwatch does")
    return ServerError(told.code, told.message)
