"""What a server of this process has written of a stream."""

from __future__ import annotations

import asyncio
from typing import Any

from streamer.records.entries import AnyEntry, Ended
from streamer.records.errors import RecordError
from streamer.server.server import Server

WAIT_S = 20.0


async def history(server: Server, stream: str, ended: bool = True) -> list[AnyEntry]:
    """The record of a stream, once all of it is written; with its end, where it is to have one."""
    book, writer = server.context.book, server.context.writer
    assert book is not None
    assert writer is not None
    async with asyncio.timeout(WAIT_S):
        while True:
            entries = (
                [] if writer.figures().waiting else await asyncio.to_thread(tell, book, stream)
            )
            if entries and (not ended or isinstance(entries[-1], Ended)):
                return entries
            await asyncio.sleep(0.02)


def tell(book: Any, stream: str) -> list[AnyEntry]:
    try:
        found: list[AnyEntry] = book.history(stream)
    except RecordError:
        return []  # it is not there yet
    return found
