"""The proxy before a recogniser, with the real `wyoming` package on both its sides."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest
from ports import free_port
from satellite import PIECE, WORDS, Recogniser, chunk, proxied, running, transcribed
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import async_write_event
from wyoming.info import Describe, Info

from streamer.config import Config
from streamer.server.server import Server
from voxwatch_client.past_commands import ask
from voxwatch_client.wyoming import ProxySettings, serve


@pytest.mark.parametrize(
    ("who", "claim", "prefix", "text"),
    [
        ("anna", "anna", False, WORDS),
        ("anna", "anna", True, f"[anna] {WORDS}"),
        ("anna", "", True, f"[anna] {WORDS}"),  # anybody enrolled
        ("bert", "anna", False, ""),
        ("bert", "", False, ""),
    ],
)
async def test_words_come_through_for_who_may_command(
    server: Server, pcm: Any, who: str, claim: str, prefix: bool, text: str
) -> None:
    sound = pcm(who, 3.0)
    async with proxied(server.url, claim=claim, prefix=prefix) as uri:
        told = await transcribed(uri, sound)
    assert [event.type for event in told] == ["transcript"]  # nothing of it before the verdict
    assert Transcript.from_event(told[0]).text == text
    assert Recogniser.heard == len(sound)
    assert Recogniser.languages == ["en"]


@pytest.mark.parametrize(("when_unsure", "text"), [("drop", ""), ("pass", WORDS)])
async def test_what_cannot_be_judged_goes_as_the_setting_says(
    server: Server, when_unsure: Any, text: str
) -> None:
    async with proxied(server.url, claim="anna", when_unsure=when_unsure) as uri:
        (told,) = await transcribed(uri, bytes(32_000))
        assert Transcript.from_event(told).text == text
    async with proxied("ws://127.0.0.1:9", claim="anna", when_unsure=when_unsure) as uri:
        (told,) = await transcribed(uri, bytes(32_000))
        assert Transcript.from_event(told).text == text


async def test_several_commands_on_one_connection_are_judged_each(server: Server, pcm: Any) -> None:
    async with (
        proxied(server.url, claim="anna") as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        texts = []
        for who in ("bert", "anna", "bert"):
            await satellite.write_event(Transcribe().event())
            await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
            chunk = AudioChunk(rate=16_000, width=2, channels=1, audio=pcm(who, 3.0))
            await satellite.write_event(chunk.event())
            await satellite.write_event(AudioStop().event())
            event = await satellite.read_event()
            assert event is not None
            texts.append(Transcript.from_event(event).text)
    assert texts == ["", WORDS, ""]


@pytest.mark.parametrize("stray", [False, True])
async def test_commands_sent_before_their_answers_are_judged_by_their_own_sound(
    server: Server, pcm: Any, stray: bool
) -> None:
    """Also where an end without a command comes before them, which is answered too."""
    async with (
        proxied(server.url, claim="anna") as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        if stray:
            await satellite.write_event(AudioStop().event())
        for who in ("anna", "bert", "anna"):
            await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
            await satellite.write_event(chunk(pcm(who, 3.0)))
            await satellite.write_event(AudioStop().event())
        texts = []
        for _ in range(3 + stray):
            event = await satellite.read_event()
            assert event is not None
            texts.append(Transcript.from_event(event).text)
    assert texts == [""] * stray + [WORDS, "", WORDS]


async def test_a_command_that_begins_again_without_an_end_is_judged_by_all_of_its_sound(
    server: Server, pcm: Any
) -> None:
    """The recogniser has heard all of it, too."""
    async with (
        proxied(server.url, claim="anna") as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        for who in ("bert", "anna"):
            await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
            await satellite.write_event(chunk(pcm(who, 3.0)))
        await satellite.write_event(AudioStop().event())
        event = await satellite.read_event()
    assert event is not None
    assert Transcript.from_event(event).text == ""


async def test_why_a_command_could_not_be_judged_is_in_the_log(
    server: Server, pcm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for settings, why in (
        ({"claim": "nobody"}, "'nobody' is not enrolled"),
        ({"claim": "anna", "wait_s": 0.0}, "no verdict came within 0 s"),
    ):
        async with proxied(server.url, **settings) as uri:
            (told,) = await transcribed(uri, pcm("anna", 3.0))
        assert Transcript.from_event(told).text == ""
        assert why in caplog.text


async def test_it_says_what_the_recogniser_is_under_a_name_of_its_own(server: Server) -> None:
    async with (
        proxied(server.url) as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        await satellite.write_event(Describe().event())
        event = await satellite.read_event()
    assert event is not None
    (program,) = Info.from_event(event).asr
    assert program.name == "whisper-voxwatch"
    assert program.models[0].languages == ["en"]
    assert not program.supports_transcript_streaming


async def test_samples_that_are_not_heard_count_as_not_judged(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        proxied(server.url, claim="anna") as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        await satellite.write_event(AudioStart(rate=16_000, width=4, channels=1).event())
        await satellite.write_event(AudioStop().event())
        event = await satellite.read_event()
    assert event is not None
    assert Transcript.from_event(event).text == ""
    assert "not of 16 bit" in caplog.text


@pytest.mark.parametrize("again", [False, True])
async def test_sound_that_changes_its_format_is_not_judged(
    server: Server, pcm: Any, caplog: pytest.LogCaptureFixture, again: bool
) -> None:
    other = AudioStart(rate=8_000, width=2, channels=1)
    late = AudioChunk(rate=8_000, width=2, channels=1, audio=pcm("bert", 1.0))
    async with proxied(server.url, claim="anna") as uri, speaking(uri) as satellite:
        await satellite.write_event(chunk(pcm("anna", 3.0)))
        await satellite.write_event((other if again else late).event())
        await satellite.write_event(AudioStop().event())
        event = await satellite.read_event()
    assert event is not None
    assert Transcript.from_event(event).text == ""
    assert "its sound changes its format" in caplog.text


async def test_a_satellite_that_is_cut_off_leaves_no_traceback(
    server: Server, pcm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with proxied(server.url, claim="anna") as uri:
        port = int(uri.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        await async_write_event(AudioStart(rate=16_000, width=2, channels=1).event(), writer)
        while not server.streams.all():
            await asyncio.sleep(0.01)
        writer.transport.abort()  # a reset, by the time of lingering
        while server.streams.all():
            await asyncio.sleep(0.01)
        gc.collect()
    assert not [one for one in caplog.records if one.name == "asyncio"]


@pytest.mark.parametrize("asked", [Describe(), AudioStart(rate=16_000, width=2, channels=1)])
async def test_a_recogniser_that_is_away_is_told_in_one_line(
    server: Server, caplog: pytest.LogCaptureFixture, asked: Any
) -> None:
    own, away = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    async with running(serve(own, ProxySettings(upstream=away, server=server.url))):
        while True:
            with suppress(OSError):
                async with AsyncClient.from_uri(own, read_timeout=30) as satellite:
                    await satellite.write_event(asked.event())
                    assert await satellite.read_event() is None
                    break
            await asyncio.sleep(0.01)
    (line,) = [one for one in caplog.records if one.name == "voxwatch_client"]
    assert line.message.startswith("the recogniser cannot be reached: ")
    assert not [one for one in caplog.records if one.name == "asyncio"]


@asynccontextmanager
async def speaking(uri: str) -> AsyncIterator[AsyncClient]:
    """A satellite that has begun a command."""
    async with AsyncClient.from_uri(uri, read_timeout=30) as satellite:
        await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
        yield satellite


def received(server: Server) -> int:
    """How many bytes of sound the newest stream has."""
    return max((stream.intake.received_bytes for stream in server.streams.all()), default=0)


@pytest.mark.parametrize("killed", [False, True])
async def test_a_server_that_restarts_in_the_middle_of_a_command_still_judges_it(
    settings: Callable[..., Config], enrol: Any, pcm: Any, killed: bool
) -> None:
    """Of the whole command, sent again, and of the next one."""
    config = msgspec.structs.replace(settings(), port=free_port())
    sound = pcm("anna", 3.0)
    half = len(sound) // 2
    async with AsyncExitStack() as stack:
        async with Server(config, drain_s=0.2) as server:
            enrol(server, "anna")
            uri = await stack.enter_async_context(proxied(server.url, claim="anna"))
            satellite = await stack.enter_async_context(speaking(uri))
            await satellite.write_event(chunk(sound[:half]))
            while received(server) < half:
                await asyncio.sleep(0.01)
            if killed:
                for connection in server._listener.all_connections:
                    connection.transport.abort()
        async with Server(config, drain_s=0.2):
            await satellite.write_event(chunk(sound[half:]))
            await satellite.write_event(AudioStop().event())
            event = await satellite.read_event()
            assert event is not None
            assert Transcript.from_event(event).text == WORDS
            (told,) = await transcribed(uri, pcm("bert", 3.0))
            assert Transcript.from_event(told).text == ""


async def test_a_command_of_which_too_much_comes_while_the_server_restarts_is_not_judged(
    settings: Callable[..., Config],
    enrol: Any,
    pcm: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its start is no longer held, without which the rest would be judged alone."""
    monkeypatch.setattr("voxwatch_client.spoken_command.HELD_S", 2.0)
    monkeypatch.setattr("voxwatch_client.spoken_command.AGAIN_S", 2.0)
    config = msgspec.structs.replace(settings(), port=free_port())
    sound = pcm("anna", 3.0)
    half = len(sound) // 2
    async with AsyncExitStack() as stack:
        async with Server(config, drain_s=0.2) as server:
            enrol(server, "anna")
            uri = await stack.enter_async_context(proxied(server.url, claim="anna"))
            satellite = await stack.enter_async_context(speaking(uri))
            for start in range(0, half, PIECE):
                await satellite.write_event(chunk(sound[start : min(start + PIECE, half)]))
            while received(server) < half:
                await asyncio.sleep(0.01)
        for start in range(half, len(sound), PIECE):
            await satellite.write_event(chunk(sound[start : start + PIECE]))
            await asyncio.sleep(0.02)  # with the first of it the command learns of the end
        while Recogniser.heard < len(sound):
            await asyncio.sleep(0.01)
        async with Server(config, drain_s=0.2):
            await satellite.write_event(AudioStop().event())
            event = await satellite.read_event()
    assert event is not None
    assert Transcript.from_event(event).text == ""
    assert "could not be judged" in caplog.text


async def test_a_command_too_long_to_be_held_is_still_heard_and_judged(
    server: Server, pcm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxwatch_client.spoken_command.HELD_S", 1.0)
    sound = pcm("anna", 3.0)
    async with proxied(server.url, claim="anna") as uri, speaking(uri) as satellite:
        for start in range(0, len(sound), PIECE):
            await satellite.write_event(chunk(sound[start : start + PIECE]))
            # The server is never behind, however slow this machine is.
            while received(server) < min(start + PIECE, len(sound)):
                await asyncio.sleep(0.001)
        await satellite.write_event(AudioStop().event())
        event = await satellite.read_event()
        assert event is not None
        assert Transcript.from_event(event).text == WORDS
        assert await ask(uri, 1) == []  # not all of it is there any more
