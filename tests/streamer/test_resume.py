"""A stream outlives its connections: nothing is lost, nothing told twice, no byte counted twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from streamer.config import Config
from streamer.server.server import Server


@pytest.fixture
async def lonely(settings: Callable[..., Config]) -> AsyncIterator[Server]:
    """A server on which sessions wait long enough."""
    async with Server(settings(limits={"resume_s": 30.0}), drain_s=1.0) as running:
        yield running


@pytest.fixture
async def watchful(settings: Callable[..., Config]) -> AsyncIterator[Server]:
    """The same, on which dead connections are found soon."""
    async with Server(settings(limits={"resume_s": 30.0}), ping_s=1.0, drain_s=1.0) as running:
        yield running


def without_number(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    left_out = {"seq", "at_time"}
    told = [m for m in messages if m["type"] != "ready"]
    return [{k: v for k, v in m.items() if k not in left_out} for m in told]


async def whole(server: Server, dial: Any, sound: bytes) -> list[dict[str, Any]]:
    """What a stream is told that is never interrupted."""
    async with dial(server, claim="anna") as client:
        await client.sound(sound)
        await client.say(type="finalize")
        assert await client.rest() == 1000
    told: list[dict[str, Any]] = client.seen
    return told


async def test_drops_lose_and_repeat_nothing(
    lonely: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(lonely, "anna")
    sound = pcm("anna", 5.0) + pcm("bert", 5.0)
    alone = await whole(lonely, dial, sound)
    told: list[dict[str, Any]] = []
    query: dict[str, Any] = {"claim": "anna"}
    for drop_at in (40_001, 123_457, 250_000, None):
        async with dial(lonely, **query) as client:
            ready = await client.hear()
            assert ready["resumed"] is bool(told)
            assert ready["seq"] == len(told)
            await client.sound(sound[ready["received_bytes"] : drop_at], 3_001)
            if drop_at is None:
                await client.say(type="finalize")
                assert await client.rest() == 1000
            else:
                await client.until("score")
                client.connection.transport.abort()
            told += client.seen[1:]
        query = {"session": ready["session"], "resume_from": len(told) + 1}
    assert [m["seq"] for m in told] == list(range(1, len(told) + 1))
    assert without_number(told) == without_number(alone)


async def test_a_summary_that_was_missed_is_told_again(lonely: Server, dial: Any, pcm: Any) -> None:
    async with dial(lonely, claim="") as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 2.0))
        await client.say(type="finalize")
        await client.until("vad")
        client.connection.transport.abort()
    async with dial(lonely, session=ready["session"], resume_from=1) as client:
        again = await client.hear()
        assert again["received_bytes"] == 64_000
        await client.say(type="finalize")  # it cannot know that the first one arrived
        assert await client.rest() == 1000
    assert [m["seq"] for m in client.seen] == list(range(len(client.seen)))
    assert client.seen[-1]["type"] == "summary"
    async with dial(lonely, session=ready["session"], resume_from=1) as client:
        assert await client.rest() == 1008
        assert client.seen[-1]["code"] == "unknown-session"


async def test_a_new_connection_takes_over_from_one_that_still_lives(
    lonely: Server, dial: Any, pcm: Any
) -> None:
    async with dial(lonely, claim="") as old:
        ready = await old.hear()
        await old.sound(pcm("anna", 1.0))
        await old.until("vad")
        async with dial(lonely, session=ready["session"], resume_from=1) as new:
            again = await new.hear()
            assert (again["resumed"], again["received_bytes"]) == (True, 32_000)
            assert await old.rest() == 1008
            assert old.seen[-1]["code"] == "taken-over"
            await new.sound(pcm("anna", 1.0, seed=1))
            await new.say(type="finalize")
            assert await new.rest() == 1000
    assert new.seen[-1]["received_s"] == pytest.approx(2.0)


async def test_a_client_that_comes_back_need_not_wait_for_its_dead_connection(
    server: Server, dial: Any, pcm: Any
) -> None:
    async with dial(server, claim="") as old:
        ready = await old.hear()
        await old.sound(pcm("anna", 1.0))
        await old.until("vad")
        old.connection.transport.pause_reading()  # it hears nothing, and does not answer either
        async with dial(server, session=ready["session"], resume_from=1) as new:
            assert (await new.hear())["received_bytes"] == 32_000
            async with dial(server, session=ready["session"], resume_from=1) as newest:
                assert (await newest.hear())["received_bytes"] == 32_000
                assert await new.rest() == 1008
                await newest.say(type="finalize")
                assert await newest.rest() == 1000
        old.connection.transport.abort()


async def test_a_half_open_connection_is_found_and_its_stream_waits(
    watchful: Server, dial: Any, pcm: Any
) -> None:
    """The client's machine is gone: its socket is open and says nothing, not even pong."""
    async with dial(watchful, claim="") as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 1.0))
        await client.until("vad")
        client.connection.transport.pause_reading()
        (held,) = watchful.streams._streams.values()
        async with asyncio.timeout(10):
            while held.connections:
                await asyncio.sleep(0.05)
        client.connection.transport.abort()
    async with dial(watchful, session=ready["session"], resume_from=2) as client:
        assert (await client.hear())["received_bytes"] == 32_000


async def test_a_client_that_answers_pings_stays(watchful: Server, dial: Any) -> None:
    async with dial(watchful, claim="") as client:
        await client.hear()
        await asyncio.sleep(2.5)  # several pings
        await client.say(type="finalize")
        assert await client.rest() == 1000


async def test_a_client_that_takes_its_leave_is_not_waited_for(lonely: Server, dial: Any) -> None:
    async with dial(lonely, claim="") as client:
        await client.hear()
    async with asyncio.timeout(10):
        await lonely.streams.empty()


async def test_a_session_ends_when_nobody_comes(settings: Callable[..., Config], dial: Any) -> None:
    async with Server(settings(limits={"resume_s": 0.2})) as server:
        async with dial(server, claim="") as client:
            ready = await client.hear()
            client.connection.transport.abort()
        async with asyncio.timeout(10):
            await server.streams.empty()
        async with dial(server, session=ready["session"], resume_from=1) as client:
            assert await client.rest() == 1008
            assert client.seen[-1]["code"] == "unknown-session"


async def test_what_is_no_longer_held_is_a_gap(
    settings: Callable[..., Config], dial: Any, pcm: Any
) -> None:
    async with Server(settings(limits={"resume_events": 3}), drain_s=1.0) as server:
        async with dial(server, claim="") as client:
            ready = await client.hear()
            await client.sound(pcm("anna", 9.0))
            for _ in range(5):
                last = await client.hear()
            client.connection.transport.abort()
        for number in (1, 10_000):
            async with dial(server, session=ready["session"], resume_from=number) as client:
                assert await client.rest() == 1008
                assert client.seen[-1]["code"] == "gap"
        async with dial(server, session=ready["session"], resume_from=last["seq"] + 1) as client:
            assert (await client.hear())["seq"] == last["seq"]


async def test_a_file_is_taken_as_fast_as_it_is_scored_and_no_faster(
    settings: Callable[..., Config], dial: Any, pcm: Any
) -> None:
    limits = {"backlog_s": 2.0}
    async with (
        Server(settings(limits=limits), drain_s=1.0) as server,
        dial(server, claim="") as client,
    ):
        await client.hear()
        live = server.streams.all()[0]
        backlogs: list[float] = []

        async def watch() -> None:
            while True:
                backlogs.append(live.session.backlog_s)
                await asyncio.sleep(0.002)

        watching = asyncio.create_task(watch())
        sending = asyncio.create_task(client.sound(10 * pcm("anna", 4.0), 1 << 20))
        await client.until("quality")
        await sending
        await client.say(type="finalize")
        assert await client.rest() == 1000
        assert not watching.done()
        watching.cancel()
    assert client.seen[-1]["received_s"] == pytest.approx(40.0)
    assert 0 < max(backlogs) < 4.0  # the bound, and the piece that went over it
