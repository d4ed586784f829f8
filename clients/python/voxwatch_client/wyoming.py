"""Wyoming: a speech-to-text service that names and gates the speaker, before another one.

Home Assistant and voice satellites talk to it as to the recogniser behind it. Sound goes on to both
the recogniser and a voxwatch server as it comes; only the transcript waits, for the verdict on its
own command. A command of nobody who may gets an empty transcript. Words on the way
(``transcript-chunk``) would be out before the verdict, so they are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.server import AsyncEventHandler, AsyncServer

import voxwatch_client
from voxwatch_client.errors import ClientError
from voxwatch_client.messages import Utterance
from voxwatch_client.verdicts import GateVerdict, WhenUnsure, verdict_of

log = logging.getLogger("voxwatch_client")

UPSTREAM_S = 10.0  # to connect to the recogniser
INFO_S = 5.0  # for it to say what it is
CHUNKS = 500  # of sound that wait for the server, some ten seconds: then it is given up
WIDTH = 2  # bytes of a sample that we can hear
ON_THE_WAY = ("transcript-start", "transcript-chunk", "transcript-stop")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy does. ``claim``: names who may command; empty: anybody enrolled."""

    upstream: str
    server: str
    claim: str | Sequence[str] = ()
    token: str | None = None
    when_unsure: WhenUnsure = "drop"
    wait_s: float = 2.0
    prefix: bool = False
    label: str = "wyoming"
    options: dict[str, Any] = {}


class SpeakerProxy(AsyncEventHandler):
    """One connection of a satellite or of Home Assistant."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        settings: Settings,
        among: set[SpeakerProxy],
    ) -> None:
        super().__init__(reader, writer)
        self._among, self.gone = among, asyncio.Event()
        among.add(self)
        self._settings = settings
        self._upstream: AsyncClient | None = None
        self._answering: asyncio.Task[None] | None = None
        self._command: Command | None = None

    async def handle_event(self, event: Event) -> bool:
        """Pass an event on, and hear what it carries."""
        try:
            await self._handle(event)
        except OSError as error:
            log.warning("the recogniser cannot be reached: %s", error)
            return False
        return True

    async def _handle(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self.write_event(await self._info())
            return
        if AudioStart.is_type(event.type):
            self._begin(AudioStart.from_event(event))
        elif AudioChunk.is_type(event.type) and self._command:
            self._command.hear(AudioChunk.from_event(event).audio)
        elif AudioStop.is_type(event.type) and self._command:
            self._command.end()
        await (await self._connected()).write_event(event)

    async def disconnect(self) -> None:
        """The other side has gone."""
        tasks = [self._answering, self._command and self._command.task]
        running = [task for task in tasks if task and task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._upstream:
            await self._upstream.disconnect()
        self._among.discard(self)
        self.gone.set()

    def _begin(self, start: AudioStart) -> None:
        if self._command:
            self._command.task.cancel()
        self._command = Command(self._settings, start)

    async def _connected(self) -> AsyncClient:
        if self._upstream is None:
            upstream = AsyncClient.from_uri(self._settings.upstream, connect_timeout=UPSTREAM_S)
            await upstream.connect()
            self._upstream = upstream
            self._answering = asyncio.create_task(self._answer(upstream), name="transcripts")
        return self._upstream

    async def _answer(self, upstream: AsyncClient) -> None:
        """What the recogniser says, its transcripts when they may be."""
        while (event := await upstream.read_event()) is not None:
            if Transcript.is_type(event.type):
                event = await self._gated(Transcript.from_event(event))
            if event.type not in ON_THE_WAY:
                await self.write_event(event)
        await self.stop()

    async def _gated(self, transcript: Transcript) -> Event:
        command, settings = self._command, self._settings
        verdict = await command.verdict() if command else unheard(settings)
        log.info("a command: %s", verdict.state)
        text = transcript.text if verdict.allowed else ""
        if text and settings.prefix and verdict.speaker:
            text = f"[{verdict.speaker}] {text}"
        return Transcript(text, transcript.context, transcript.language).event()

    async def _info(self) -> Event:
        """What the recogniser is, under a name that says what stands before it."""
        async with AsyncClient.from_uri(
            self._settings.upstream, connect_timeout=UPSTREAM_S, read_timeout=INFO_S
        ) as upstream:
            await upstream.write_event(Describe().event())
            while (event := await upstream.read_event()) is not None:
                if Info.is_type(event.type):
                    return _renamed(Info.from_event(event)).event()
        raise ConnectionError("the recogniser does not say what it is")


class Command:
    """One command on its way to the server, from the start of its sound to the verdict."""

    def __init__(self, settings: Settings, start: AudioStart) -> None:
        self._settings, self._start = settings, start
        self._sound: asyncio.Queue[bytes | None] = asyncio.Queue(CHUNKS)
        self._heard = start.width == WIDTH
        self.task = asyncio.create_task(self._judge(), name="voxwatch")

    def hear(self, pcm: bytes) -> None:
        """Sound of the command; more of it than the server takes makes it unheard."""
        try:
            self._sound.put_nowait(pcm)
        except asyncio.QueueFull:
            self._heard = False
            self.task.cancel()

    def end(self) -> None:
        """All of the sound has come."""
        with contextlib.suppress(asyncio.QueueFull):
            self._sound.put_nowait(None)

    async def verdict(self) -> GateVerdict:
        """The verdict on the whole command; it has ended, whether that was said or not."""
        self.end()
        settings = self._settings
        done, _ = await asyncio.wait({self.task}, timeout=settings.wait_s)
        if not (done and self._heard) or self.task.cancelled() or self.task.exception():
            return unheard(settings)
        return verdict_of(self.task.result(), settings.when_unsure)

    async def _judge(self) -> tuple[Utterance, ...]:
        """The turns of the command."""
        settings, start = self._settings, self._start
        if not self._heard:
            raise ClientError(f"samples of {start.width} bytes are not heard: send 16 bit")
        async with voxwatch_client.connect(
            settings.server,
            claim=settings.claim,
            sample_rate=start.rate,
            channels=start.channels,
            label=settings.label,
            token=settings.token,
            **settings.options,
        ) as stream:
            while (piece := await self._sound.get()) is not None:
                await stream.send(piece)
            await stream.finalize()
            told = [message async for message in stream]
        return tuple(message for message in told if isinstance(message, Utterance))


def unheard(settings: Settings) -> GateVerdict:
    """The verdict on what the server has not judged."""
    return GateVerdict.of_state("unavailable", settings.when_unsure)


def _renamed(info: Info) -> Info:
    for program in info.asr:
        program.name = f"{program.name}-voxwatch"
        program.description = f"{program.description or program.name}, for known voices"
        program.supports_transcript_streaming = False
    info.tts, info.handle, info.intent, info.wake = [], [], [], []
    return info


async def serve(uri: str, settings: Settings, *, discoverable: bool = False) -> None:
    """Listen at ``uri`` (``tcp://HOST:PORT``) until cancelled.

    ``discoverable`` announces it by zeroconf, where Home Assistant finds it by itself.
    """
    server = AsyncServer.from_uri(uri)
    if discoverable:
        from wyoming.zeroconf import HomeAssistantZeroconf

        port = int(uri.rpartition(":")[2])
        await HomeAssistantZeroconf(port, name=f"voxwatch-{port}").register_server()
    proxies: set[SpeakerProxy] = set()
    try:
        await server.run(partial(SpeakerProxy, settings=settings, among=proxies))
    finally:
        await server.stop()
        await asyncio.gather(*(proxy.gone.wait() for proxy in proxies))
