"""What becomes of records in time: who is deleted, and whose time has run out."""

from __future__ import annotations

import asyncio
import logging
from typing import NoReturn

from streamer.config import DAY_S
from streamer.exams.errors import ExamError
from streamer.records.book import Book
from streamer.records.deletion import SERVER, Forgotten
from streamer.server.context import Context
from streamer.server.record_requests import ask_book
from streamer.store.errors import StoreError
from streamer.wire.errors import WireError

UPKEEP_S = 60.0  # between two looks at what must go
MINUTES_A_DAY = 1440  # so often the register is read as a whole, and the audit log is shortened

log = logging.getLogger("voxwatch.server")


async def forget_the_deleted(context: Context) -> None:
    """Delete or pseudonymise the records of whoever is deleted, as `records_on_deletion` says.

    Never raises: what cannot be done just now is done by :func:`keep_up`.
    """
    if context.book is None:
        return
    try:
        now = await asyncio.to_thread(context.store.now)
        rosters = await asyncio.to_thread(context.exams.everybody)
        lines = frozenset(one.id for one in rosters if one.forgotten)
        mode = context.config.records_on_deletion
        forgotten: Forgotten = await ask_book(context, Book.settle, mode, now, lines)
        # Whose clips could not be deleted when they took that back, or whose server was killed.
        if refused := [one.id for one in rosters if one.clips_refused_at is not None]:
            await ask_book(context, Book.silence, refused, SERVER, now)
    except (StoreError, ExamError, WireError):
        log.warning("records of people who were deleted cannot be changed just now")
        return
    if forgotten.deleted or forgotten.pseudonymised:
        deleted, others = len(forgotten.deleted), len(forgotten.pseudonymised)
        log.info("%d records were deleted with their people, %d pseudonymised", deleted, others)


async def keep_up(context: Context) -> NoReturn:
    """Do so from time to time, and delete what is older than its setting says.

    These are `records_days`, `register_days` and `audit_days`.
    """
    minute = 0
    while True:
        await forget_the_deleted(context)
        await _purge(context)
        if minute % MINUTES_A_DAY == 0:
            await shorten_register(context)
            await shorten_audit(context)
        await asyncio.sleep(UPKEEP_S)
        minute += 1


async def _purge(context: Context) -> None:
    days = context.config.records_days
    if days is None or context.book is None:
        return
    try:
        now = await asyncio.to_thread(context.store.now)
        gone: tuple[str, ...] = await ask_book(context, Book.purge, now - days * DAY_S, now)
    except (StoreError, WireError):
        log.warning("records whose time has run out cannot be deleted just now")
        return
    if gone:
        log.info("%d records were deleted after records_days", len(gone))


async def shorten_register(context: Context) -> None:
    """Cut what is older than `register_days`, never sooner than records are deleted."""
    records, register = context.config.records_days, context.config.register_days
    if records is None or register is None or context.book is None:
        return
    try:
        now = await asyncio.to_thread(context.store.now)
        before = now - max(records, register) * DAY_S
        gone: int = await ask_book(context, Book.shorten_register, before, now)
    except (StoreError, WireError) as error:
        log.warning("the register of records cannot be cut just now: %s", error)
        return
    if gone:
        log.info("%d entries of the register were cut after register_days", gone)


async def shorten_audit(context: Context) -> None:
    """Remove what the store's audit log has longer than `audit_days`, but for a count."""
    if (audit_s := context.config.audit_s) is None:
        return

    def shorten() -> int:
        now = context.store.now()
        return context.store.shorten_audit(now - audit_s, now)

    try:
        gone = await asyncio.to_thread(shorten)
    except StoreError as error:
        log.warning("the audit log of the store cannot be shortened just now: %s", error)
        return
    if gone:
        log.info("%d acts were removed from the audit log after audit_days", gone)
