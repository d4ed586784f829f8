"""A stream that may lose its connection and go on over another one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from streamer.server.caller import Caller
from streamer.server.connection import Connection
from streamer.server.limits.shares import Client
from streamer.server.live_stream import LiveStream
from streamer.server.reading import Beginning
from streamer.wire.requests import StartStream


@dataclass(frozen=True, slots=True)
class Call:
    """A telephone call, which knows no session: by this its stream is found when it comes back."""

    caller: str
    name: str
    start: StartStream


@dataclass(slots=True, eq=False)
class ResumableStream:
    """A stream, and the connections that attend it or wait to: only the newest will stay."""

    stream: LiveStream
    place: Client | None  # that it takes until it is over
    call: Call | None = None
    connections: list[Connection] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    expiry: asyncio.TimerHandle | None = None


def call_of(caller: Caller, beginning: Beginning) -> Call | None:
    """The call that begins so; None where it is no telephone's."""
    if not beginning.call:
        return None
    return Call(caller.client[0], beginning.call, beginning.start)


class CallLocks:
    """One connection of a call after the other: while the first opens its stream the others wait.

    Two that come at the same moment would otherwise each find that the call has no stream.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def of(self, call: Call) -> asyncio.Lock:
        """What a connection of that call holds until the call has its stream."""
        return self._locks.setdefault((call.caller, call.name), asyncio.Lock())


def begun_already(streams: Iterable[ResumableStream], call: Call) -> ResumableStream | None:
    """The stream of the same call: it goes on over another connection, as that of a session."""
    for held in streams:
        if held.call == call and not held.stream.intake.finalized:
            return held
    return None
