"""How a stream begins, and what its client says afterwards: sound and controls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from streamer.config import Limits
from streamer.server.connection import Connection
from streamer.server.intake import Said, checked_sound, first_text
from streamer.server.telephony.call import CallReader
from streamer.server.telephony.leading import after, leading
from streamer.server.telephony.media_streams import MediaStreams
from streamer.server.telephony.opening import Opening, check_parameters
from streamer.wire.errors import WireError
from streamer.wire.parsing import Target, parse_control, parse_start, start_from_query
from streamer.wire.requests import StartStream

MOST_BEFORE = 8  # messages before the start of a call

# Lets in whoever shows this token on that connection. Raises `WireError`.
Recognise = Callable[[Connection, str], Awaitable[None]]


class Reader(Protocol):
    """Reads one connection. With ``told`` its client is told what is found out."""

    told: bool

    async def read(self) -> Said:
        """What comes next. Raises :class:`WireError`, ``ConnectionClosed``."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a stream begins, and how its connection is read; ``call`` names a telephone call."""

    start: StartStream
    reader: Reader
    call: str = ""


class WireReader:
    """Reads a client of our own wire, or Asterisk that does not say so before it begins."""

    told = True

    def __init__(self, connection: Connection, start: StartStream) -> None:
        self._connection, self._start = connection, start
        self._first, self._telephone = True, False

    async def read(self) -> Said:
        """What comes next. Raises :class:`WireError`, ``ConnectionClosed``."""
        message = await self._connection.hear()
        if isinstance(message, bytes):
            self._first = False
            return checked_sound(message)
        first, self._first = self._first, False
        if first and (begun := leading(message, {})) is not None:
            self._check(begun)
            self._telephone = True
        return after(message)[0] if self._telephone else parse_control(message)

    def _check(self, begun: Opening) -> None:
        start, sound = self._start, begun.format
        declared = start.encoding, start.sample_rate, start.channels
        if declared != (sound.encoding, sound.sample_rate_hz, sound.channels):
            told = f"{sound.encoding} at {sound.sample_rate_hz} Hz comes: say so in the address"
            raise WireError("wrong-format", f"{told}, or connect with the subprotocol media")


async def begin(connection: Connection, target: Target, limits: Limits) -> Beginning:
    """Hear how a stream begins on `/v1/stream`. Raises :class:`WireError`, ``ConnectionClosed``."""
    telephone = connection.subprotocol is not None
    if target.query:
        start = start_from_query(target.query)
        if not telephone or start.session is not None:
            return Beginning(start, WireReader(connection, start))
    text = await first_text(connection, limits.start_s)
    if (begun := leading(text, target.query)) is not None:
        silent = telephone or begun.silent
        return Beginning(begun.start, CallReader(connection, after, told=not silent), begun.call)
    if telephone:
        told = f"{connection.subprotocol} begins with a text frame of its own"
        raise WireError("bad-start", told)
    start = parse_start(text)
    return Beginning(start, WireReader(connection, start))


async def begin_call(
    connection: Connection, target: Target, limits: Limits, recognise: Recognise
) -> Beginning:
    """Hear how a call begins on the address of a telephone system, and let it in.

    Raises :class:`WireError`, ``ConnectionClosed``.
    """
    check_parameters(target.query)
    streams = MediaStreams(target.query)
    try:
        async with asyncio.timeout_at(connection.came_at + limits.start_s):
            begun = await _opening(connection, streams)
    except TimeoutError as error:
        told = f"no start came within {limits.start_s:g} s (limits.start_s)"
        raise WireError("idle", told) from error
    if begun.token is not None:
        await recognise(connection, begun.token)
    if not connection.caller.grant.roles:
        raise WireError("unauthorised", "this needs a token: the parameter `token` of the call")
    connection.protocol.max_message_size = limits.message_bytes
    return Beginning(begun.start, CallReader(connection, streams.receive), begun.call)


async def _opening(connection: Connection, streams: MediaStreams) -> Opening:
    for _ in range(MOST_BEFORE):
        if (begun := streams.open(await connection.hear())) is not None:
            return begun
    raise WireError("bad-start", "the call does not start")
