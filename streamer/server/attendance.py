"""One connection attends a stream: what it says, and what it is told, until either is over."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from streamer.server.connection import Connection
from streamer.server.descriptions import ready
from streamer.server.live_stream import LiveStream
from streamer.server.reading import Reader
from streamer.wire.errors import WireError

log = logging.getLogger("voxwatch.server")


async def attend(
    stream: LiveStream, connection: Connection, reader: Reader, resume_from: int | None
) -> None:
    """Until everything is told and the connection closed, the client gone, or it is displaced."""
    if resume_from is not None:
        _resume(stream, resume_from)
    if reader.told:
        await connection.say([msgspec.json.encode(ready(stream, resume_from=resume_from))])
        connection.outbox = stream.outbox
    if await _talk(stream, connection, reader):
        await stream.stream.close()  # whatever ended it, nothing more will be told
        await connection.part(*stream.closing)


def _resume(stream: LiveStream, resume_from: int) -> None:
    stream.outbox.resume(resume_from)
    stream.context.counts.resumed += 1
    stream.record.resumed()
    log.info("stream %s resumed", stream.id)


async def _talk(stream: LiveStream, connection: Connection, reader: Reader) -> bool:
    """Hear and tell at the same time. Whether the stream is over: else it goes on elsewhere.

    The tasks are not ended by :func:`streamer.tasks.beside`: a stream that goes on over another
    connection has to have taken the last message of this one, or nothing of it.
    """
    receiving = stream.intake.receive(connection, reader.read, stream.obey)
    reading = asyncio.create_task(receiving)
    writing = asyncio.create_task(connection.flush() if reader.told else stream.outbox.drain())
    overflow = asyncio.create_task(stream.outbox.overflow())
    displaced = asyncio.create_task(connection.displaced.wait())
    tasks = [reading, writing, overflow, displaced]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if displaced.done():
            async with stream.intake.taking:
                reading.cancel()  # while it hears, or with a message that was not counted
            return False
        if overflow.done() and isinstance(error := overflow.exception(), WireError):
            await stream.intake.cut(error)
            await stream.told.wait()  # for the record, and for a client that comes back
        elif reading.done() and isinstance(error := reading.exception(), WireError):
            stream.fail(error)
        elif reading.done() or writing.exception() is not None:
            await asyncio.wait([reading])  # what was being handed over is taken
            await reading
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return True
