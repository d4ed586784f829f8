"""What desks share: incidents, and what was done about them. It reaches the monitors of all desks.

Whatever is said on this worker's hub reaches the monitors of the other workers as well.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streamer.records.book import Book
from streamer.records.entries import Acted
from streamer.records.texts import ERASED
from streamer.server.context import Context
from streamer.server.figures import without_figures
from streamer.server.outbox import Message
from streamer.server.record_requests import ask_book
from streamer.server.stream_incidents import StreamIncidents, incidents_now
from streamer.server.streams import Streams
from streamer.wire.errors import WireError
from streamer.wire.incidents import Acted as ActMessage
from streamer.wire.incidents import Incident
from streamer.wire.requests import Incidents

UNTOLD = ("seq", "at_time", "t", "type")  # of an event, which this is none


class Desk:
    """Of one worker. Raises :class:`WireError` for whatever cannot be."""

    def __init__(self, context: Context, streams: Streams) -> None:
        self._context, self._streams = context, streams

    async def incidents(self, request: Incidents, *, figures: bool) -> list[dict[str, Any]]:
        """Those of a stream, or of an exam, or of all streams that go on."""
        stream, exam = request.stream, request.exam
        found = {one.stream: one for one in self.here(stream, exam)}
        for others in await self._context.peers.ask("incidents", stream=stream, exam=exam):
            for one in msgspec.convert(others, list[StreamIncidents]):
                found[one.stream] = one
        if self._context.book is not None and (stream is not None or exam is not None):
            await self._complete(found, stream, exam)
        names = self._context.seats.names()
        return [row for one in found.values() for row in _rows(one, names, figures)]

    def here(self, stream: str | None, exam: str | None) -> list[StreamIncidents]:
        """What this worker knows of."""
        known = [*self._streams.ended.all(), *map(incidents_now, self._streams.all())]
        return [one for one in known if one.wanted(stream, exam)]

    async def tell(self, stream: str, acted: Acted) -> None:
        """Let all desks know what somebody did about a stream, live or over."""
        if self.act_here(stream, acted):
            return
        if any(await self._context.peers.ask("acted", stream=stream, acted=acted)):
            return
        self._publish_act(stream, acted)
        if acted.act == "acknowledge":
            found = await ask_book(self._context, Book.incidents, stream)
            for incident in found:
                if incident.id == acted.incident:
                    self._publish(stream, incident)

    def act_here(self, stream: str, acted: Acted) -> bool:
        """The same, where it is one of this worker's streams."""
        live = next((one for one in self._streams.all() if one.id == stream), None)
        if live is None and stream not in self._streams.ended:
            return False
        self._publish_act(stream, acted)
        if live is not None:
            live.record.act(acted)
        elif (incident := self._streams.ended.act(stream, acted)) is not None:
            self._publish(stream, incident)
        return True

    async def check(self, stream: str, incident: str) -> None:
        """Raise :class:`WireError` where that is no incident of the stream."""
        known = await self.incidents(Incidents(stream=stream), figures=False)
        if incident not in [one["id"] for one in known]:
            raise WireError("bad-parameter", f"stream {stream} has no incident {incident!r}")

    async def _complete(
        self, found: dict[str, StreamIncidents], stream: str | None, exam: str | None
    ) -> None:
        """Add what only the record knows, and leave out what is not in it any more."""
        if stream is None:
            facts = await ask_book(self._context, Book.streams, exam)
        else:
            try:
                facts = [await ask_book(self._context, Book.facts, stream)]
            except WireError:
                if not found:
                    raise
                facts = []
        recorded = {one.stream: one for one in facts}
        for name in [n for n, one in found.items() if one.over]:
            if name not in recorded:
                del found[name]
            elif recorded[name].label == ERASED:
                found[name].label = ERASED
        for one in facts:
            if one.stream not in found and exam in (None, one.exam):
                found[one.stream] = StreamIncidents(
                    stream=one.stream,
                    label=one.label,
                    exam=one.exam,
                    candidate=one.candidate,
                    over=True,
                    incidents=await ask_book(self._context, Book.incidents, one.stream),
                )

    def _publish_act(self, stream: str, acted: Acted) -> None:
        if acted.act == "viewed" or acted.act == "exported":
            return
        self._publish(
            stream,
            ActMessage(
                t=acted.t,
                at=acted.at,
                who=acted.who,
                act=acted.act,
                incident=acted.incident,
                text=acted.text,
                verdict=acted.verdict,
            ),
        )

    def _publish(self, stream: str, event: ActMessage | Incident) -> None:
        self._context.hub.publish(stream, Message(event))


def _rows(one: StreamIncidents, names: dict[str, str], figures: bool) -> list[dict[str, Any]]:
    where = {"stream": one.stream, "exam": one.exam, "candidate": one.candidate}
    where |= {"label": names.get(one.candidate, "") if one.candidate else one.label}
    rows = []
    for incident in one.incidents:
        told = incident if figures else without_figures(incident)
        fields: dict[str, Any] = msgspec.to_builtins(told)
        rows.append({name: v for name, v in fields.items() if name not in UNTOLD} | where)
    return rows
