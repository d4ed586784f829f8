"""Requests of control connections about the record: reading it, and acting on it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from streamer.records.book import Book, StreamFacts
from streamer.records.entries import Acted, AnyEntry, Scores, Told
from streamer.records.errors import RecordError, UnknownClip, UnknownStream
from streamer.server.auth import Grant
from streamer.server.context import Context
from streamer.server.figures import without_figures
from streamer.wire.errors import WireError
from streamer.wire.requests import Act, History, Recorded

PAGE = 500  # entries in an answer
FACTS = ("stream", "label", "candidate", "started_at", "ended_at")
LACKING = {"acknowledge": "incident", "note": "text", "verdict": "verdict"}


class RecordRequests:
    """Of one connection. Raises :class:`WireError` for whatever cannot be."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def history(self, request: History, grant: Grant) -> dict[str, Any]:
        """A page of a stream's record: that it is looked at is noted in the record itself."""
        stream, viewings = request.stream, self._context.viewings
        if viewings.is_due(grant.who, stream, time.monotonic()):
            there = await self._ask(Book.view, (stream,), grant.who, round(time.time(), 3))
            viewings.noted(grant.who, there, time.monotonic())
        found: list[AnyEntry] = await self._ask(Book.history, stream, request.after, PAGE + 1)
        page = found[:PAGE]
        figures = self._context.config.scores and grant.scores
        shown = page if figures else [e for one in page if (e := _plain(one)) is not None]
        return {
            "entries": shown,
            "after": request.after + len(page),
            "more": len(found) > PAGE,
            "clips": sorted(await self._ask(Book.clips, stream)),
        }

    async def recorded(self, request: Recorded) -> list[dict[str, Any]]:
        """Whose streams there were in an exam, oldest first, and from when to when."""
        found: list[StreamFacts] = await self._ask(Book.streams, request.exam)
        return [{name: getattr(one, name) for name in FACTS} for one in found]

    async def act(self, request: Act, grant: Grant) -> Acted:
        """Write down what somebody did."""
        needed = LACKING.get(request.act)
        if needed and not getattr(request, needed):
            raise WireError("bad-parameter", f"{request.act} needs {needed}")
        acted = Acted(
            at=round(time.time(), 3),
            t=await self._ask(Book.last_t, request.stream),
            who=grant.who,
            act=request.act,
            incident=request.incident,
            text=request.text,
            verdict=request.verdict if request.act == "verdict" else None,
        )
        await self._ask(Book.act, request.stream, acted)
        return acted

    async def _ask(self, method: Any, *arguments: Any) -> Any:
        return await ask_book(self._context, method, *arguments)


async def ask_book(context: Context, method: Any, *arguments: Any) -> Any:
    """A method of the record, called in a thread of the record's own. Raises :class:`WireError`.

    A disk that does not answer holds these threads, and none that streams need.
    """
    if context.book is None:
        raise WireError("no-records", "this server keeps no records (records = false)")
    call = asyncio.get_running_loop().run_in_executor
    try:
        return await call(context.book_threads, method, context.book, *arguments)
    except UnknownClip as error:
        raise WireError("not-found", str(error)) from error
    except UnknownStream as error:
        raise WireError("unknown-stream", str(error)) from error
    except RecordError as error:
        raise WireError("record-failed", str(error)) from error


def _plain(entry: AnyEntry) -> AnyEntry | None:
    """The entry without figures to climb by, for a token that is told none."""
    if isinstance(entry, Scores):
        return None
    if isinstance(entry, Told) and (event := without_figures(entry.event)) is not entry.event:
        return None if event is None else msgspec.structs.replace(entry, event=event)
    return entry
