"""A candidate has one stream, whichever was opened last, wherever the others are."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from streamer.records.book import Book
from streamer.server.context import Context
from streamer.server.live_stream import LiveStream
from streamer.server.record_requests import ask_book
from streamer.wire.errors import WireError

if TYPE_CHECKING:
    from streamer.server.streams import Streams

log = logging.getLogger("voxwatch.server")


async def make_way(context: Context, streams: Streams, stream: LiveStream) -> None:
    """End the candidate's streams on other workers, and in the record those that a kill has ended.

    What no worker knows of, and has no end in the record, was a server's that is not there any
    more. Where a worker does not answer that cannot be told, and is left.
    """
    assert stream.sitting is not None
    candidate = stream.sitting.candidate.id
    known = streams.make_way(candidate, stream.opened_at, stream.id)
    asked = {"candidate": candidate, "opened_at": stream.opened_at, "stream": stream.id}
    answers = await context.peers.ask("moved", **asked)
    if context.book is None or len(answers) < len(context.peers.others):
        return
    known += [name for others in answers for name in others]
    try:
        ended = await ask_book(context, Book.end_lost, candidate, known)
    except WireError:
        log.warning("streams of a server that was killed cannot be ended in the record just now")
        return
    for name in ended:
        log.info("stream %s had no end: its server was killed", name)
