"""One WebSocket connection to a server: opening it, and saying clearly why it cannot be."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import suppress
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from voxwatch_client.addresses import is_loopback
from voxwatch_client.errors import ConnectionFailed, reason
from voxwatch_client.tasks import beside

FIRST_WITH_PROXIES = 15  # major version of websockets
OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
MESSAGE_BYTES = 16 << 20  # an export holds every prototype of a person
SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
# RFC 6455: a server that is restarting or overloaded, and everything that is no answer at all.
TRANSIENT_STATUS = frozenset({500, 502, 503, 504})


def address(url: str, path: str) -> str:
    """The WebSocket address of ``path`` on the server at ``url``, ``ws://HOST:PORT``.

    The server's http address is as good: it is the same port.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ConnectionFailed(f"{url!r} is no address of a server: write ws://HOST:PORT")
    return urlunsplit((SCHEMES[parts.scheme], parts.netloc, parts.path.rstrip("/") + path, "", ""))


async def dial(
    url: str,
    path: str,
    *,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
    ping_s: float | None = 20.0,
) -> ClientConnection:
    """Connect to ``path`` of the server. Raises :class:`ConnectionFailed`, never hangs.

    ``ping_s`` is how often the connection is tried, and how long an answer may take; None
    leaves that to the caller. ``tls`` None trusts whom the system trusts.
    """
    target = address(url, path)
    secure = target.startswith("wss:")
    if tls and not secure:
        raise ConnectionFailed(f"{_server(target)} is not encrypted: with --ca write wss://")
    try:
        return await open_websocket(
            target,
            additional_headers={"Authorization": f"Bearer {token}"} if token else None,
            compression=None,  # sound does not shrink by it, and events are small
            **_proxy(target),
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=ping_s,
            ping_timeout=ping_s,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=MESSAGE_BYTES,
            ssl=(tls or ssl.create_default_context()) if secure else None,
        )
    except InvalidStatus as error:
        raise _refused(target, error) from error
    except (InvalidURI, InvalidHandshake) as error:
        # The server stopped, or the network cut it (EOFError): that says nothing of its language.
        cut = isinstance(error.__cause__, EOFError | OSError)
        did = "closed the connection unanswered" if cut else "does not speak WebSocket"
        message = f"{_server(target)} {did}: is this the address of voxwatch?"
        if not secure:
            message += " (a server with TLS wants wss://)"
        raise ConnectionFailed(message, transient=cut) from error
    except OSError as error:
        raise _unreachable(_server(target), error) from error


def _unreachable(server: str, error: OSError) -> ConnectionFailed:
    """No connection was made, or TLS does not hold on it; a time that ran out is one of these."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"its certificate is not trusted ({error.verify_message})"
        return ConnectionFailed(f"{server}: {why}: name the file of who vouches for it with --ca")
    if isinstance(error, ssl.SSLError):
        return ConnectionFailed(f"{server}: TLS failed: {error.reason or error}")
    said = reason(error) or "no answer"
    message = f"no server answers at {server} ({said}): is `voxwatch serve` running?"
    return ConnectionFailed(message, transient=True)


def _proxy(target: str) -> dict[str, Any]:
    """The system's proxy, but not to this machine; websockets before 15 knows of none."""
    if int(version("websockets").partition(".")[0]) < FIRST_WITH_PROXIES:
        return {}
    return {"proxy": None if is_loopback(urlsplit(target).hostname or "") else True}


def lost(error: ConnectionClosed | None) -> ConnectionFailed:
    """The connection broke where nothing can resume it."""
    said = error.rcvd.reason if error and error.rcvd else ""
    return ConnectionFailed(f"the connection was lost{': ' if said else ''}{said}", transient=True)


async def hang_up(connection: ClientConnection, *words: str) -> None:
    """Say ``words`` and close, or break the connection when that does not succeed soon."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            with suppress(ConnectionClosed):
                for word in words:
                    await connection.send(word)
            await beside(connection.close(), _let_go(connection))
    except TimeoutError:
        await break_off(connection)
    except BaseException:  # cancelled
        connection.transport.abort()
        raise


async def _let_go(connection: ClientConnection) -> None:
    """Drop what still comes: the server's close frame lies behind what nobody has read."""
    with suppress(ConnectionClosed):
        async for _ in connection:
            pass


async def break_off(connection: ClientConnection) -> None:
    """Close without a word, as for a connection that answers nothing."""
    connection.transport.abort()
    await connection.wait_closed()


def _refused(target: str, error: InvalidStatus) -> ConnectionFailed:
    status = error.response.status_code
    why = _said(error.response.body or b"") or {
        401: "it wants a token: give one whose role allows this",
        403: "it does not allow this: give a token whose role does",
        404: "it has nothing at this address: is this voxwatch?",
    }.get(status, error.response.reason_phrase)
    message = f"{_server(target)} refused (HTTP {status}): {why}"
    return ConnectionFailed(message, transient=status in TRANSIENT_STATUS)


def _said(body: bytes | bytearray) -> str:
    """The server's own words, where it is voxwatch that answers."""
    try:
        found = json.loads(body)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


def _server(target: str) -> str:
    """The address without a password that may be in it."""
    parts = urlsplit(target)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
