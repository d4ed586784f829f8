"""Clients that do not read what they are told: bounded, told so, and nobody else's trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from engine.events import Vad
from streamer.config import Config
from streamer.records.entries import Ended
from streamer.server import connection
from streamer.server.connection import Connection
from streamer.server.outbox import Message, Outbox
from streamer.server.server import Server

NAMES = [f"voice {number}" for number in range(60)]


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel holds little, and nobody has long to hear the last words."""
    monkeypatch.setattr(connection, "KERNEL_BYTES", 1 << 15)
    monkeypatch.setattr(connection, "PART_S", 0.5)


def stop_reading(client: Any) -> None:
    """The kernel's buffer stays as large as it is.

    With 32 KB of it the loopback lost the word that the server had room again, now and then, and
    the client's sound waited for probes that become ever rarer, while the server waited for it.
    """
    client.transport.pause_reading()


async def deafly(dial: Any, server: Server, sound: bytes) -> Any:
    """A stream with sixty scores a window, of which nothing is read while the sound goes out."""
    async with dial(server, claim=",".join(NAMES)) as client:
        await client.hear()
        stop_reading(client.connection)
        (live,) = server.streams.all()
        with suppress(ConnectionClosed):
            await client.sound(sound)
            await client.say(type="finalize")
            async with asyncio.timeout(60):
                while not live.outbox.ended:
                    await asyncio.sleep(0.02)
        client.connection.transport.resume_reading()
        return await client.rest(), client


def dropped(client: Any) -> int:
    return sum(m["dropped"] for m in client.of("lag") if m["reason"] == "slow-consumer")


async def test_scores_are_coalesced_for_a_stream_that_does_not_read_and_nothing_else_is(
    settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any
) -> None:
    sound = pcm("anna", 8.0) + pcm("bert", 8.0)
    async with Server(settings(limits={"outbox": 200}), drain_s=1.0) as server:
        for name in NAMES:
            enrol(server, name, sounds_like="anna")
        async with dial(server, claim=",".join(NAMES)) as reader:
            await reader.sound(sound)
            await reader.say(type="finalize")
            await reader.rest()
        code, client = await deafly(dial, server, sound)
    assert code == 1000
    assert [m["seq"] for m in client.seen] == list(range(len(client.seen)))
    assert dropped(client) > 500
    assert len(client.of("score")) + dropped(client) == len(reader.of("score")) + dropped(reader)
    for kind in ("vad", "decision", "change", "utterance", "summary"):
        told, expected = (
            [{k: v for k, v in m.items() if k not in ("seq", "at_time")} for m in who.of(kind)]
            for who in (client, reader)
        )
        assert told == expected


async def test_a_stream_that_does_not_read_is_given_up_past_a_limit(
    settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any
) -> None:
    sound = 2 * pcm("anna", 8.0)
    limits = {"outbox": 40, "resume_s": 0.1}
    async with Server(settings(limits=limits), drain_s=1.0) as server:
        for name in NAMES:
            enrol(server, name, sounds_like="anna")
        await deafly(dial, server, sound)
        async with asyncio.timeout(20):
            await server.streams.empty()
    assert server.context.counts.errors["slow-consumer"] == 1


async def test_who_is_given_up_by_the_last_words_is_told_so(
    settings: Callable[..., Config],
    dial: Any,
    enrol: Any,
    pcm: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All was said before whoever looks for that had come to it."""

    async def too_late(outbox: Outbox) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Outbox, "overflow", too_late)
    async with Server(settings(limits={"outbox": 40}), drain_s=1.0) as server:
        for name in NAMES:
            enrol(server, name, sounds_like="anna")
        code, client = await deafly(dial, server, 2 * pcm("anna", 8.0))
    assert [m["type"] for m in client.seen][-2:] == ["summary", "error"]
    assert (code, client.seen[-1]["code"]) == (1008, "slow-consumer")


async def test_who_was_given_up_has_a_summary_in_the_record_and_hears_it_when_back(
    settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any
) -> None:
    sound = 2 * pcm("anna", 8.0)
    async with Server(settings(limits={"outbox": 40}), drain_s=1.0) as server:
        for name in NAMES:
            enrol(server, name, sounds_like="anna")
        async with dial(server, claim=",".join(NAMES)) as client:
            ready = await client.hear()
            stop_reading(client.connection)
            (live,) = server.streams.all()
            with suppress(ConnectionClosed):
                await client.sound(sound)
            async with asyncio.timeout(60):
                await live.told.wait()
            client.connection.transport.abort()
        number = max(1, live.outbox.next_number - 2)  # both may have been sent, or neither
        async with dial(server, session=ready["session"], resume_from=number) as client:
            assert await client.rest() == 1008
        assert [m["type"] for m in client.seen][-2:] == ["summary", "error"]
        assert client.seen[-1]["code"] == "slow-consumer"
        async with asyncio.timeout(20):
            await server.streams.empty()
        book = server.context.book
        assert book is not None
        while not isinstance((last := (await asyncio.to_thread(book.history, live.id))[-1]), Ended):
            await asyncio.sleep(0.05)
        assert last.summary is not None
        assert last.why == "slow-consumer"


async def test_a_client_that_does_not_read_is_given_up_and_others_are_not(
    settings: Callable[..., Config], dial: Any, pcm: Any
) -> None:
    limits = {"outbox": 50, "message_bytes": 1 << 16}
    async with Server(settings(limits=limits), drain_s=1.0) as server:
        url = server.url.replace("http", "ws") + "/v1/monitor"
        async with connect(url, compression=None, max_queue=1, close_timeout=0.1) as deaf:
            async with dial(server, claim="") as client:
                stream = (await client.hear())["stream"]
                stop_reading(deaf)
                following = next(iter(server.context.hub._followers))
                news = Message(Vad(t=1.0, speech=True, at=1.0))
                for _ in range(100_000):
                    server.context.hub.publish(stream, news)
                    if following.outbox.slow:
                        break
                    await asyncio.sleep(0)
                assert following.outbox.slow
                async with asyncio.timeout(20):
                    while len(server.context.hub):
                        await asyncio.sleep(0.05)
                await client.say(type="finalize")
                assert await client.rest() == 1000
            deaf.transport.abort()
    assert server.context.counts.errors["slow-consumer"] == 1


async def test_who_enrols_and_does_not_read_is_given_up(
    settings: Callable[..., Config], dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(connection: Connection) -> None:
        await asyncio.Event().wait()  # as when the client's buffers are full

    monkeypatch.setattr(Connection, "flush", stuck)
    limits = {"outbox": 8}
    async with Server(settings(limits=limits)) as server, dial(server, "/v1/enroll") as client:
        consent = {"given": True, "text_version": "2026-11"}
        await client.say(type="start", name="anna", consent=consent)
        await client.sound(bytes(32_000 * 12), 1 << 16)
        assert await client.rest() == 1008
        assert [m["code"] for m in client.seen] == ["slow-consumer"]


async def test_who_asks_and_does_not_read_is_given_up(
    settings: Callable[..., Config], dial: Any
) -> None:
    limits = {"idle_s": 0.3}
    async with Server(settings(limits=limits)) as server, dial(server, "/v1/control") as client:
        stop_reading(client.connection)
        with suppress(ConnectionClosed):
            async with asyncio.timeout(20):
                while not server.context.counts.errors["slow-consumer"]:
                    await client.say(id=1, type="status")
        client.connection.transport.abort()
    assert server.context.counts.errors["slow-consumer"] == 1
