"""What the LTI service looks at: incidents, once the record has them."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

from streamer.records.errors import RecordError, UnknownStream
from streamer.server.lti import UNRECORDED_S, LtiService


class Record:
    """Of three streams: one that can be read, one that somebody changed, and one not yet there."""

    def incidents(self, stream: str) -> list[Any]:
        if stream == "changed":
            raise RecordError("the record of stream changed: an entry cannot be read")
        if stream == "late":
            raise UnknownStream("there is no record of stream late")
        return [SimpleNamespace(id="whole/1")]

    def facts(self, stream: str) -> Any:
        return SimpleNamespace(candidate=f"candidate of {stream}")


class Book:
    """Notes whose attempts are to be looked at."""

    def __init__(self) -> None:
        self.looked_at: list[str | None] = []

    def look_at(self, candidate: str | None, at: float) -> None:
        self.looked_at.append(candidate)


def test_a_record_that_cannot_be_read_holds_up_no_other() -> None:
    tool, nothing = SimpleNamespace(book=Book(), record=Record()), cast(Any, None)
    service, now = LtiService(nothing, cast(Any, tool), nothing, nothing), time.time()
    service._happened = {
        "changed/0": ("changed", now - UNRECORDED_S - 60),
        "changed/1": ("changed", now),
        "late/1": ("late", now),
        "whole/1": ("whole", now),
    }
    service._look_at(dict(service._happened))
    assert tool.book.looked_at == ["candidate of whole"]
    assert set(service._happened) == {"changed/1", "late/1"}
