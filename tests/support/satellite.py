"""A recogniser, the proxy before it, and a satellite that talks to the two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from ports import free_port
from wyoming.asr import Transcribe, Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.server import AsyncEventHandler, AsyncTcpServer

from voxwatch_client.wyoming import ProxySettings, serve

PIECE = 2048
WORDS = "open the door"
INSTALLED: dict[str, Any] = {
    "attribution": Attribution("nobody", "http://localhost"),
    "installed": True,
    "version": "1",
}
PROGRAM = AsrProgram(
    name="whisper",
    description="It hears",
    models=[AsrModel(name="m", description="", languages=["en"], **INSTALLED)],
    supports_transcript_streaming=True,
    **INSTALLED,
)


class Recogniser(AsyncEventHandler):
    """Says the same words of everything, and counts what it hears."""

    heard: int
    languages: list[str | None]

    async def handle_event(self, event: Event) -> bool:
        whose = type(self)
        if Describe.is_type(event.type):
            await self.write_event(Info(asr=[PROGRAM]).event())
        elif Transcribe.is_type(event.type):
            whose.languages.append(Transcribe.from_event(event).language)
        elif AudioChunk.is_type(event.type):
            whose.heard += len(AudioChunk.from_event(event).audio)
        elif AudioStop.is_type(event.type):
            await self.write_event(TranscriptChunk(text=WORDS).event())
            await self.write_event(Transcript(text=WORDS).event())
        return True


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[asyncio.Task[Any]]:
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def recognising() -> AsyncIterator[str]:
    """The address of a recogniser, which listens when this is entered."""
    Recogniser.heard, Recogniser.languages = 0, []
    server = AsyncTcpServer("127.0.0.1", 0)
    await server.start(Recogniser)
    assert server._server is not None
    try:
        # Its asyncio server is private, and nothing else tells a port that the system chose.
        yield f"tcp://127.0.0.1:{server._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    finally:
        await server.stop()
        while server._handlers:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def proxy(server: str, upstream: str, **settings: Any) -> AsyncIterator[str]:
    """The address of a proxy before the recogniser at ``upstream``."""
    own = f"tcp://127.0.0.1:{free_port()}"
    given = ProxySettings(upstream=upstream, server=server, **{"wait_s": 10.0, **settings})
    listening = asyncio.Event()
    async with running(serve(own, given, listening=listening.set)) as serving:
        begun = asyncio.create_task(listening.wait())
        await asyncio.wait({begun, serving}, return_when=asyncio.FIRST_COMPLETED)
        if not listening.is_set():  # somebody took the port meanwhile: nobody would listen, ever
            begun.cancel()
            await serving
        yield own


@asynccontextmanager
async def proxied(server: str, **settings: Any) -> AsyncIterator[str]:
    """The address of a proxy before a recogniser; both listen when this is entered."""
    async with recognising() as upstream, proxy(server, upstream, **settings) as own:
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


def chunk(pcm: bytes) -> Event:
    return AudioChunk(rate=16_000, width=2, channels=1, audio=pcm).event()
