"""Who looks at which streams, noted in their record: once an hour for each token and stream.

Whoever watches waits for nothing: what they saw is written together, a second later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import NoReturn

from streamer.records.book import Book
from streamer.server.context import Context
from streamer.server.record_requests import ask_book
from streamer.wire.errors import WireError

WRITE_S = 1.0  # between two writes of what was seen

log = logging.getLogger("voxwatch.server")


async def note_viewings(context: Context) -> NoReturn:
    """Write what was seen, for ever."""
    while True:
        await asyncio.sleep(WRITE_S)
        for who, streams in context.viewings.take().items():
            await _note(context, who, streams)


async def _note(context: Context, who: str, streams: Iterable[str]) -> None:
    """One by one where they cannot be written together, as one of them was damaged."""
    if context.book is None:
        return
    streams = sorted(streams)
    try:
        there: set[str] = await ask_book(context, Book.view, streams, who, round(time.time(), 3))
    except WireError:
        if len(streams) > 1:
            for stream in streams:
                await _note(context, who, [stream])
        else:
            log.warning("who looks at stream %s cannot be noted just now", streams[0])
        return
    context.viewings.noted(who, there, time.monotonic())
