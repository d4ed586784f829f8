"""The proxy before a recogniser, with the real `wyoming` package on both its sides."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from wyoming.asr import Transcribe, Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.server import AsyncEventHandler, AsyncServer

from streamer.config import Config
from streamer.server.server import Server
from voxwatch_client.wyoming import Settings, serve

PIECE = 2048
WORDS = "open the door"


class Recogniser(AsyncEventHandler):
    """Says the same words of everything, and counts what it hears."""

    heard: int
    languages: list[str | None]

    async def handle_event(self, event: Event) -> bool:
        whose = type(self)
        if Describe.is_type(event.type):
            owner = Attribution("nobody", "http://localhost")
            model = AsrModel(
                name="m",
                attribution=owner,
                installed=True,
                description="",
                version="1",
                languages=["en"],
            )
            program = AsrProgram(
                name="whisper",
                attribution=owner,
                installed=True,
                description="It hears",
                version="1",
                models=[model],
                supports_transcript_streaming=True,
            )
            await self.write_event(Info(asr=[program]).event())
        elif Transcribe.is_type(event.type):
            whose.languages.append(Transcribe.from_event(event).language)
        elif AudioChunk.is_type(event.type):
            whose.heard += len(AudioChunk.from_event(event).audio)
        elif AudioStop.is_type(event.type):
            await self.write_event(TranscriptChunk(text=WORDS).event())
            await self.write_event(Transcript(text=WORDS).event())
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def recognise(uri: str) -> None:
    server = AsyncServer.from_uri(uri)
    try:
        await server.run(Recogniser)
    finally:
        await server.stop()
        while server._handlers:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def proxied(server: str, **settings: Any) -> AsyncIterator[str]:
    """The address of a proxy before a recogniser; both listen when this is entered."""
    Recogniser.heard, Recogniser.languages = 0, []
    upstream, own = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    given = Settings(upstream=upstream, server=server, **{"wait_s": 10.0, **settings})
    async with running(recognise(upstream)), running(serve(own, given)):
        for uri in (upstream, own):
            while True:
                with suppress(OSError):
                    async with AsyncClient.from_uri(uri):
                        break
                await asyncio.sleep(0.01)
        yield own


async def transcribed(uri: str, pcm: bytes) -> list[Event]:
    """What a satellite is told of a command."""
    told = []
    async with AsyncClient.from_uri(uri, read_timeout=30) as satellite:
        await satellite.write_event(Transcribe(language="en").event())
        await satellite.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
        for start in range(0, len(pcm), PIECE):
            piece = pcm[start : start + PIECE]
            chunk = AudioChunk(rate=16_000, width=2, channels=1, audio=piece)
            await satellite.write_event(chunk.event())
        await satellite.write_event(AudioStop().event())
        while (event := await satellite.read_event()) is not None:
            told.append(event)
            if Transcript.is_type(event.type):
                break
    return told


@pytest.fixture
async def server(settings: Callable[..., Config], enrol: Any) -> AsyncIterator[Server]:
    async with Server(settings(), drain_s=0.2) as running_server:
        enrol(running_server, "anna")
        yield running_server


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


async def test_samples_that_are_not_heard_count_as_not_judged(server: Server) -> None:
    async with (
        proxied(server.url, claim="anna") as uri,
        AsyncClient.from_uri(uri, read_timeout=30) as satellite,
    ):
        await satellite.write_event(AudioStart(rate=16_000, width=4, channels=1).event())
        await satellite.write_event(AudioStop().event())
        event = await satellite.read_event()
    assert event is not None
    assert Transcript.from_event(event).text == ""


@pytest.mark.parametrize("asked", [Describe(), AudioStart(rate=16_000, width=2, channels=1)])
async def test_a_recogniser_that_is_away_is_told_in_one_line(
    server: Server, caplog: pytest.LogCaptureFixture, asked: Any
) -> None:
    own, away = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    async with running(serve(own, Settings(upstream=away, server=server.url))):
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
