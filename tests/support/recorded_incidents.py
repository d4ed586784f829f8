"""Incidents of streams that are recorded by hand."""

from __future__ import annotations

from typing import Any

from recorded_stream import RecordedStream

from streamer.records.incidents.tracker import incidents_of
from streamer.wire.incidents import Incident


def kinds(stream: RecordedStream) -> list[str]:
    return [one.kind for one in incidents_of(stream.entries)]


def the_one(stream: RecordedStream) -> Incident:
    (found,) = incidents_of(stream.entries)
    return found


def matched(**facts: Any) -> RecordedStream:
    """Anna is matched, and speaks for a minute."""
    stream = RecordedStream(**facts)
    stream.decide(2.7, "match", evidence=7.3)
    stream.score(3, 60, [7.0, 8.0])
    stream.say(1.0, 58.0, "match", 9.0)
    return stream
