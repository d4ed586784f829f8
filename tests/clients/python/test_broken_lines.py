"""The client on a line that breaks: nothing is lost and nothing doubled, or there is an error."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted_server import Line, Scripted, serving
from whole_streams import SWIFT, check_complete, sound, stream_all

from voxwatch_client import (
    ConnectionFailed,
    ServerError,
    connect,
    inbox,
    messages,
    sync,
)
from voxwatch_client.messages import (
    Failure,
    Quality,
    Summary,
)


async def test_nothing_is_lost_or_doubled_when_the_line_is_cut(
    server: Scripted, line: Line
) -> None:
    pcm = sound(40.01)

    def cut(count: int) -> None:
        if count % 57 == 0:
            line.cut()

    told, reconnections = await stream_all(line.url, pcm, disturb=cut)
    check_complete(server, pcm, told)
    assert reconnections >= 3
    assert len(server.sessions) == 1


async def test_nothing_is_lost_on_a_line_that_goes_dead(server: Scripted, line: Line) -> None:
    pcm = sound(40)

    def silence(count: int) -> None:
        if count in (30, 200):
            line.silence()

    told, reconnections = await stream_all(line.url, pcm, disturb=silence)
    check_complete(server, pcm, told)
    assert reconnections == 2


async def test_a_dead_line_is_noticed_even_when_no_ping_can_be_sent(
    server: Scripted, line: Line
) -> None:
    # 10 s of sound of eight channels at 192 kHz is more than any socket takes.
    options: dict[str, Any] = {"encoding": "pcm_f32le", "sample_rate": 192_000, "channels": 8}
    async with connect(line.url, timing=SWIFT, **options) as stream:
        line.silence()
        await stream.send(bytes(40_000_000))
        async with asyncio.timeout(30):
            while not stream.reconnections:
                await asyncio.sleep(0.01)


async def test_the_end_of_the_sound_is_said_again(server: Scripted, line: Line) -> None:
    server.may_take.clear()
    async with connect(line.url, timing=SWIFT) as stream:
        await stream.send(sound(1))
        await stream.finalize()
        while stream._work.is_set() or not stream._sound.all_sent:
            await asyncio.sleep(0.01)
        line.cut()
        async with asyncio.timeout(30):
            while not stream.reconnections:
                await asyncio.sleep(0.01)
        server.may_take.set()
        told = [event async for event in stream]
    assert isinstance(told[-1], Summary)
    assert server.only.finals >= 1


async def test_settings_are_told_again_unless_sound_after_them_was_taken(
    server: Scripted, line: Line
) -> None:
    async with connect(line.url, timing=SWIFT) as stream:
        await stream.configure(claim="bob")
        await stream.send(sound(0.1))
        told = [await anext(stream), await anext(stream)]
        assert [type(message) for message in told] == [messages.Configured, Quality]
        line.cut()
        while stream.reconnections < 1:
            await asyncio.sleep(0.01)
        await stream.send(sound(0.1))
        await anext(stream)
        assert len(server.controls) == 1
        line.silence()
        await stream.configure(miss=0.2)
        await stream.configure(false_accept=0.02)
        assert isinstance(await anext(stream), messages.Configured)
        assert server.controls[-1] == {
            "type": "configure",
            "claim": None,
            "miss": 0.2,
            "false_accept": 0.02,
        }


async def test_a_restarted_server_is_a_clear_error(server: Scripted, line: Line) -> None:
    async with connect(line.url, timing=SWIFT) as stream:
        await stream.send(sound(0.1))
        await anext(stream)
        server.sessions.clear()
        line.cut()
        with pytest.raises(ServerError) as caught:
            await anext(stream)
        assert caught.value.code == "unknown-session"
        with pytest.raises(ServerError, match="unknown-session"):
            await stream.send(b"00")
        place, unheard = stream.unheard()
        assert unheard == sound(0.1)[place:]


async def test_what_was_not_heard_is_had_without_asyncio_too(server: Scripted) -> None:
    def talk() -> tuple[int, bytes]:
        with sync.connect(server.url) as stream:
            stream.send(sound(0.1))
            return stream.unheard()

    place, unheard = await asyncio.to_thread(talk)
    assert unheard == sound(0.1)[place:]


async def test_a_server_that_stays_away_is_given_up() -> None:
    server = Scripted(resume_s=0.3)
    async with serving(server) as listening, connect(server.url, timing=SWIFT) as stream:
        await stream.send(sound(0.1))
        await anext(stream)
        listening.close(close_connections=False)
        for connection in listening.connections:
            connection.transport.abort()
        with pytest.raises(ConnectionFailed, match=r"not regained within 0.3 s.*no server"):
            await anext(stream)


async def test_events_that_are_not_read_stop_the_reading_and_none_is_lost(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "UNREAD_EVENTS", 10)
    pcm = sound(20)
    async with connect(server.url) as stream:
        sending = asyncio.create_task(stream.send(pcm))
        while len(stream._inbox._unread) < 10:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(stream._inbox._unread) == 10
        told = [await anext(stream) for _ in range(200)]
        await sending
        await stream.finalize()
        told += [event async for event in stream]
    check_complete(server, pcm, told)


async def test_who_never_reads_is_told_instead_of_waiting_for_ever(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "UNREAD_EVENTS", 10)
    monkeypatch.setattr(inbox, "UNREAD_S", 0.05)
    async with connect(server.url) as stream:
        with pytest.raises(ConnectionFailed, match="read while sending"):
            await stream.send(sound(120))


async def test_a_hole_in_the_events_is_an_error(server: Scripted) -> None:
    async with connect(server.url) as stream:
        while not server.sessions:
            await asyncio.sleep(0.01)
        server.only.say(Failure(t=0, code="window-failed", message="never sent"))
        await stream.send(sound(0.1))
        with pytest.raises(ServerError, match="left numbers out"):
            await anext(stream)
