"""A server and the clock: streams whose sound stops, and files, which have none."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from server_record import history

from engine import events
from streamer.config import Config
from streamer.records.entries import Told
from streamer.records.lateness import Lateness
from streamer.server.mqtt import publisher as mqtt
from streamer.server.server import Server


@pytest.fixture
async def impatient(settings: Callable[..., Config]) -> AsyncIterator[Server]:
    async with Server(settings(stall_s=1.0), drain_s=1.0) as running:
        yield running


async def test_a_stream_whose_sound_stops_is_stalled_for_all_who_follow_it(
    impatient: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(impatient, "anna")
    async with dial(impatient, "/v1/monitor") as watching, dial(impatient, claim="anna") as client:
        await watching.hear()
        await client.sound(pcm("anna", 5.0))
        await client.until("decision", state="match")
        for _ in range(4):  # the connection is alive, and the sound is not
            await client.say(type="keepalive")
            await asyncio.sleep(0.1)
        stalled = await client.until("stalled")
        assert stalled["stalled"] is True
        lapse = await client.until("decision")
        assert lapse["state"] == "insufficient"
        assert re.match(r"no sound for [1-9]", lapse["reason"])  # at least `stall_s`
        (turn,) = client.of("utterance")
        assert turn["state"] == "match"
        assert (await watching.until("stalled"))["stalled"] is True
        async with dial(impatient, "/v1/monitor") as late:
            (entry,) = (await late.hear())["streams"]
        assert (entry["stalled"], entry["speaking"]) == (True, False)
        assert entry["state"] == "insufficient"
        await client.sound(pcm("bert", 3.0))
        back = await client.until("stalled")
        assert back["stalled"] is False
        assert back["gap_s"] > 1.0
        await client.say(type="finalize")
        assert await client.rest() == 1000
    first, second = client.of("utterance")
    assert second["state"] != "match"
    assert second["start"] >= first["end"]


async def test_a_file_never_stalls(impatient: Server, dial: Any, enrol: Any, pcm: Any) -> None:
    enrol(impatient, "anna")
    async with dial(impatient, claim="anna") as live, dial(impatient, live="false") as file:
        for client in (live, file):
            await client.sound(pcm("anna", 3.0))
        await live.until("stalled")
        await file.sound(pcm("anna", 1.0))
        await file.say(type="finalize")
        assert await file.rest() == 1000
        assert file.of("stalled") == []
        assert len(file.of("utterance")) == 1


async def test_every_message_tells_the_time_of_day(impatient: Server, dial: Any, pcm: Any) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    async with dial(impatient, "/v1/monitor") as watching, dial(impatient, claim="") as client:
        await client.sound(pcm("anna", 2.0))
        await client.say(type="finalize")
        assert await client.rest() == 1000
        await watching.until("closed")
    for seen in (client.seen, watching.seen):
        times = [datetime.fromisoformat(message["at_time"]) for message in seen]
        assert times == sorted(times)
        assert before <= times[0] <= times[-1] <= datetime.now(UTC)


def test_stalls_go_to_mqtt() -> None:
    assert events.Stalled in mqtt.KINDS


async def test_a_connection_that_drops_is_a_stall_and_what_it_kept_is_no_pause(
    impatient: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(impatient, "anna")
    sound = pcm("anna", 8.0)
    async with dial(impatient, "/v1/monitor") as watching:
        async with dial(impatient, claim="anna") as client:
            ready = await client.hear()
            await client.sound(sound[:128_000])
            await client.until("decision", state="match")
            client.connection.transport.abort()
        assert (await watching.until("stalled"))["stalled"] is True
        resumed = {"session": ready["session"], "resume_from": client.seen[-1]["seq"] + 1}
        async with dial(impatient, **resumed) as again:
            taken = (await again.hear())["received_bytes"]
            await again.sound(sound[taken:])
            await again.say(type="finalize")
            assert await again.rest() == 1000
    told = client.seen[1:] + again.seen[1:]
    assert [m["seq"] for m in told] == list(range(1, len(told) + 1))
    assert [m["stalled"] for m in told if m["type"] == "stalled"] == [True, False]
    turns = [m for m in told if m["type"] == "utterance"]
    assert turns[-1]["state"] == "match"
    assert [m["state"] for m in told if m["type"] == "decision"][-1] == "match"


async def test_a_stream_that_never_gets_any_sound_is_stalled_for_all_who_follow_it(
    impatient: Server, dial: Any, pcm: Any
) -> None:
    async with dial(impatient, "/v1/monitor") as watching, dial(impatient, claim="") as client:
        assert (await client.until("stalled"))["stalled"] is True
        assert (await watching.until("stalled"))["stalled"] is True
        async with dial(impatient, "/v1/monitor") as late:
            (entry,) = (await late.hear())["streams"]
        assert (entry["stalled"], entry["state"]) == (True, None)
        await client.sound(pcm("anna", 2.0))
        assert (await client.until("stalled"))["stalled"] is False


async def test_a_file_that_is_late_to_begin_never_stalls(
    impatient: Server, dial: Any, pcm: Any
) -> None:
    async with dial(impatient, claim="") as live, dial(impatient, live="false") as file:
        await live.until("stalled")
        await file.sound(pcm("anna", 1.0))
        await file.say(type="finalize")
        assert await file.rest() == 1000
    assert file.of("stalled") == []


@pytest.mark.parametrize("kept_s", [0, 6])
async def test_what_was_kept_for_a_new_stream_is_dated_by_when_it_was_said(
    server: Server, dial: Any, pcm: Any, kept_s: float
) -> None:
    """The stream before it was lost, and the client says how much it could not send."""
    async with dial(server, claim="", kept_s=kept_s) as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 6.0))
        await client.say(type="finalize")
        assert await client.rest() == 1000
    entries, lateness = await history(server, ready["stream"]), Lateness()
    for entry in entries:
        lateness.receive(entry)
    told = [one.event for one in entries if isinstance(one, Told)]
    stalls = [one for one in told if isinstance(one, events.Stalled)]
    late = [(one.t, one.stalled, one.late_s > 1) for one in stalls]
    assert late == ([(0.0, False, True)] if kept_s else [])
    said_at = lateness.said_at(0.5)
    assert said_at is None if not kept_s else said_at < entries[0].at


@pytest.mark.parametrize("kept_s", [-1, 61, "long"])
async def test_more_than_any_client_keeps_is_no_parameter(
    server: Server, dial: Any, kept_s: Any
) -> None:
    async with dial(server, claim="", kept_s=kept_s) as client:
        assert (await client.until("error"))["code"] == "bad-parameter"
