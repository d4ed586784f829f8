"""`/v1/monitor`: what happens in every stream, for those who watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

from streamer.server.connection import Connection
from streamer.server.context import Context
from streamer.server.descriptions import state
from streamer.server.outbox import Message
from streamer.server.streams import Streams
from streamer.server.workers.following import OtherStreams
from streamer.server.workers.peers import Peers
from streamer.tasks import beside
from streamer.wire import messages
from streamer.wire.errors import WireError
from streamer.wire.parsing import Target

KNOWN = frozenset({"stream", "levels"})
NOTE_S = 1.0  # between two looks at whom it was told of since


async def monitor(
    context: Context, streams: Streams, connection: Connection, target: Target
) -> None:
    """One connection. Raises :class:`WireError`, ``ConnectionClosed``."""
    if unknown := target.query.keys() - KNOWN:
        raise WireError("bad-parameter", f"a monitor has no parameter {min(unknown)!r}")
    stream = target.query.get("stream") or None
    levels = target.query.get("levels", "0") == "1"
    # Another worker is told of this worker's streams alone.
    peers = Peers() if connection.of_worker else context.peers
    figures, limit = context.tells_figures(connection.caller), context.config.limits.outbox
    async with OtherStreams(peers, stream, levels, figures) as others:
        with context.hub.follow(
            stream=stream, levels=levels, figures=figures, first=0, limit=limit
        ) as following:
            outbox = connection.outbox = following.outbox
            ours = [state(s) for s in streams.all() if stream in (None, s.id)]
            told = (*ours, *others.states)
            outbox.put(Message(messages.MonitorReady(t=0.0, server=context.server, streams=told)))
            following.seen |= {one.stream for one in told}

            def note() -> None:
                if not connection.of_worker:  # which notes it itself
                    seen, who = following.seen | others.seen, connection.caller.grant.who
                    context.viewings.saw(who, seen, time.monotonic())

            await beside(
                connection.flush(),
                _listen(connection),
                outbox.overflow(),
                others.follow(outbox),
                _note(note),
            )


async def _listen(connection: Connection) -> NoReturn:
    """A monitor has nothing to say but ``{"type": "keepalive"}``, which it need not."""
    while True:
        message = await connection.hear()
        if isinstance(message, bytes):
            raise WireError("wrong-frame", "a monitor sends no sound")


async def _note(note: Callable[[], None]) -> NoReturn:
    """Note whom the monitor was told of, from time to time and at its end."""
    try:
        while True:
            note()
            await asyncio.sleep(NOTE_S)
    finally:
        note()
