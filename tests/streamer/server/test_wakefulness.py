"""A clock that has jumped says that the server did not run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from streamer.config import Config
from streamer.records.entries import Suspended
from streamer.records.incidents.tracker import incidents_of
from streamer.records.rules import IncidentRules
from streamer.server.server import Server
from streamer.server.wakefulness import AWAY_S, MOST, Wakefulness
from tests.streamer.server.test_incidents import ended_record


def test_a_server_that_looks_each_second_was_never_away() -> None:
    wakefulness = Wakefulness()
    for second in range(100):
        wakefulness.look(1000.0 + second)
    wakefulness.look(1099.0 + AWAY_S)  # it was busy
    wakefulness.look(900.0)  # the clock was put back
    assert (wakefulness.count, wakefulness.after(0)) == (0, [])


def test_each_is_told_of_what_came_after_they_began() -> None:
    wakefulness = Wakefulness()
    for at in (1000.0, 1160.0, 1161.0, 1300.0):
        wakefulness.look(at)
    assert wakefulness.after(0) == [(1000.0, 1160.0), (1161.0, 1300.0)]
    assert wakefulness.after(1) == [(1161.0, 1300.0)]
    assert wakefulness.after(2) == []


def test_of_very_many_the_last_are_known() -> None:
    wakefulness = Wakefulness()
    for at in range(MOST + 10):
        wakefulness.look(60.0 * at)
    assert wakefulness.count == MOST + 9
    assert len(wakefulness.after(0)) == MOST
    assert wakefulness.after(MOST + 8) == [(60.0 * (MOST + 8), 60.0 * (MOST + 9))]


async def test_nobody_is_silent_in_a_server_that_was_suspended(
    settings: Callable[..., Config], dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the record, in front of all that is told of the time after."""
    rules = IncidentRules(silent_s=120.0)
    async with (
        Server(settings(incidents=rules), drain_s=1.0) as server,
        dial(server, live="true") as client,
    ):
        ready = await client.until("ready")
        (stream,) = server.streams.all()
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 600.0)
        await client.say(type="keepalive")
        stream.record.dropped("closed with 1006")
        stream.record.resumed()
        stream.pass_time(time.time())
        assert [one.kind for one in stream.record.incidents] == []
        await client.say(type="finalize")
        await client.rest()
        entries = await ended_record(server, ready["stream"])
    jumps = [one.until - one.since for one in entries if isinstance(one, Suspended)]
    assert len([jump for jump in jumps if jump > 590.0]) == 1  # the machine may stall, too
    assert [one.kind for one in incidents_of(entries)] == []
