"""The incidents of this server's streams, and of those that ended lately.

Of the latter nobody has to read the record, which of hundreds of streams would take a while.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from streamer.records.entries import Acted
from streamer.server.live_stream import LiveStream
from streamer.wire.incidents import Incident

MOST = 1000  # streams that are remembered; of older ones the record tells


class StreamIncidents(msgspec.Struct, kw_only=True):
    """A stream with its incidents as they stand. ``exam`` and ``candidate`` are ids.

    A candidate has no ``label``: the name is on the roster, and goes with it.
    """

    stream: str
    label: str
    exam: str | None
    candidate: str | None
    over: bool = False
    incidents: list[Incident]

    def wanted(self, stream: str | None, exam: str | None) -> bool:
        """Whether it is asked for, by its id or its exam; without either: while it goes on."""
        if stream is None and exam is None:
            return not self.over
        return stream in (None, self.stream) and exam in (None, self.exam)


def incidents_now(stream: LiveStream) -> StreamIncidents:
    """Of a stream that goes on."""
    candidate = None if stream.sitting is None else stream.sitting.candidate
    return StreamIncidents(
        stream=stream.id,
        label=stream.label if candidate is None else "",
        exam=None if candidate is None else candidate.exam,
        candidate=None if candidate is None else candidate.id,
        incidents=stream.record.incidents,
    )


class EndedStreams:
    """The last that ended, by their public ids."""

    def __init__(self) -> None:
        self._streams: OrderedDict[str, StreamIncidents] = OrderedDict()

    def __contains__(self, stream: str) -> bool:
        return stream in self._streams

    def all(self) -> list[StreamIncidents]:
        """In the order in which they ended."""
        return list(self._streams.values())

    def keep(self, stream: LiveStream) -> None:
        """That stream is over."""
        found = self._streams[stream.id] = incidents_now(stream)
        found.over = True
        while len(self._streams) > MOST:
            self._streams.popitem(last=False)

    def act(self, stream: str, acted: Acted) -> Incident | None:
        """Somebody did something about a stream; the incident that is other now."""
        found = self._streams[stream].incidents
        for place, one in enumerate(found):
            first = acted.act == "acknowledge" and one.acknowledged_at is None
            if first and one.id == acted.incident:
                found[place] = msgspec.structs.replace(
                    one, acknowledged_by=acted.who, acknowledged_at=acted.at
                )
                return found[place]
        return None
