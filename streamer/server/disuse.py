"""From time to time: who was matched is noted, and who is not needed any more is deleted."""

from __future__ import annotations

import asyncio
import logging

from streamer.config import DAY_S
from streamer.exams.disuse import delete_unused, note_uses
from streamer.exams.errors import ExamError
from streamer.records.errors import RecordError
from streamer.server.context import Context
from streamer.store.audit import EXPIRY
from streamer.store.errors import StoreError

log = logging.getLogger("voxwatch.server")


async def purge(context: Context) -> None:
    """Delete whose time has run out, by whichever setting. Raises ``StoreError``."""
    names, context.used = context.used, set()
    try:
        await asyncio.to_thread(_purge, context, names)
    except StoreError:
        context.used |= names  # to be noted the next time: who is in use is not to be deleted
        raise
    except (ExamError, RecordError):
        context.used |= names
        log.warning("the database of exams cannot be written just now")


def _purge(context: Context, names: set[str]) -> None:
    config, store, exams = context.config, context.store, context.exams
    now = store.now()
    store.purge(now)
    if names:
        note_uses(store, exams.consents, names, now)
    since = exams.consents.noted_since(now)
    if config.unused_days is not None and now > since:
        gone = delete_unused(store, exams.consents, config.unused_days * DAY_S, now)
        if gone:
            log.info("%d voiceprints were deleted after unused_days", len(gone))
    if config.records_days is not None:
        held = context.book.held() if context.book is not None else ()
        exams.forget_over(now - config.records_days * DAY_S, EXPIRY, now, held)
