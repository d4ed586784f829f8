"""Wyoming: a speech-to-text service that names and gates the speaker, before another one.

Home Assistant and voice satellites talk to it as to the recogniser behind it. Sound goes on to both
the recogniser and a voxwatch server as it comes; only the transcript waits, for the verdict on its
own command. A command of nobody who may gets an empty transcript. Words on the way
(``transcript-chunk``) would be out before the verdict, so they are left out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial

from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.server import AsyncEventHandler, AsyncServer

from voxwatch_client.connection import address
from voxwatch_client.errors import ClientError, reason
from voxwatch_client.past_commands import KEPT, PastCommand, PastCommands, offer, places
from voxwatch_client.spoken_command import Command, Settings, unheard

log = logging.getLogger("voxwatch_client")

UPSTREAM_S = 10.0  # to connect to the recogniser
INFO_S = 5.0  # for it to say what it is
ANSWER_S = 30.0  # for a transcript, while another command waits to begin
TAKE_S = 30.0  # to take an event, from when the sockets are full
OTHER_FORMAT = "its sound changes its format"
ON_THE_WAY = ("transcript-start", "transcript-chunk", "transcript-stop")


class ProxySettings(Settings, frozen=True, kw_only=True):
    """What a proxy does: ``upstream`` is the recogniser, ``keep`` how many commands are kept."""

    upstream: str
    prefix: bool = False
    keep: int = KEPT


class SpeakerProxy(AsyncEventHandler):
    """One connection of a satellite or of Home Assistant."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        settings: ProxySettings,
        among: set[SpeakerProxy],
        past: PastCommands,
    ) -> None:
        super().__init__(reader, writer)
        self._past = past
        self._among, self.gone = among, asyncio.Event()
        among.add(self)
        self._settings = settings
        self._upstream: AsyncClient | None = None
        self._answering: asyncio.Task[None] | None = None
        self._command: Command | None = None
        self._early = False  # its transcript came before its end
        self._answered = asyncio.Event()  # no transcript is due
        self._answered.set()

    async def handle_event(self, event: Event) -> bool:
        """Pass an event on, and hear what it carries."""
        try:
            await self._handle(event)
        except OSError as error:
            if self._is_running:  # else the connection was cut off from here
                log.warning("the recogniser cannot be reached: %s", error)
            return False
        return True

    async def _handle(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self.write_event(await self._info())
            return
        if AudioStart.is_type(event.type):
            await self._wait_for_answer()
            self._begin(AudioStart.from_event(event))
        elif AudioChunk.is_type(event.type) and self._command:
            self._hear(AudioChunk.from_event(event), self._command)
        elif AudioStop.is_type(event.type):
            await self._wait_for_answer()
            self._end()
        await self._pass_on(event)

    async def _pass_on(self, event: Event) -> None:
        """To the recogniser. Raises ``ConnectionError`` where that takes nothing any more."""
        upstream = await self._connected()
        try:
            async with asyncio.timeout(TAKE_S):
                await upstream.write_event(event)
        except TimeoutError as error:
            raise ConnectionError("it takes no more sound") from error

    async def _wait_for_answer(self) -> None:
        """Until the recogniser has answered what came before: a transcript names no command.

        Raises ``ConnectionError``.
        """
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._answered.wait()
        except TimeoutError as error:
            raise ConnectionError("it has not answered the command before this one") from error

    async def run(self) -> None:
        """Until the other side leaves, which it may do without a word."""
        with suppress(ConnectionError):
            await super().run()

    async def stop(self) -> None:
        """Let go of the connection; nothing that is due comes any more."""
        self._answered.set()
        await super().stop()

    async def disconnect(self) -> None:
        """The other side has gone: nobody waits for what the recogniser has not taken yet."""
        tasks = [self._answering, self._command and self._command.task]
        running = [task for task in tasks if task and task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        _abort(self._upstream)
        if self._upstream:
            with suppress(OSError):  # it may have been reset
                await self._upstream.disconnect()
        self._among.discard(self)
        self.gone.set()

    def cut_off(self) -> None:
        """End both connections, whatever is on the way on them."""
        self.writer.transport.abort()
        _abort(self._upstream)

    def _begin(self, start: AudioStart) -> None:
        """A command begins; one that had no end goes on, as its sound does for the recogniser."""
        self._early = False
        if self._command is None:
            self._command = Command(self._settings, start.rate, start.width, start.channels)
        elif not self._command.is_of(start.rate, start.width, start.channels):
            self._command.refuse(OTHER_FORMAT)

    def _hear(self, piece: AudioChunk, command: Command) -> None:
        """Each piece says its format, by which the recogniser may read it."""
        if command.is_of(piece.rate, piece.width, piece.channels):
            command.hear(piece.audio)
        else:
            command.refuse(OTHER_FORMAT)

    def _end(self) -> None:
        if self._command:
            self._command.end()
        if not self._early:
            self._answered.clear()
        self._early = False

    async def _connected(self) -> AsyncClient:
        if self._upstream is None:
            upstream = AsyncClient.from_uri(self._settings.upstream, connect_timeout=UPSTREAM_S)
            await upstream.connect()
            self._upstream = upstream
            self._answering = asyncio.create_task(self._answer(upstream), name="transcripts")
        return self._upstream

    async def _answer(self, upstream: AsyncClient) -> None:
        """What the recogniser says, its transcripts when they may be; without it nobody waits."""
        try:
            while (event := await _said(upstream)) is not None:
                if Transcript.is_type(event.type):
                    event = await self._gated(Transcript.from_event(event))
                if event.type not in ON_THE_WAY:
                    await self.write_event(event)
        finally:
            await self.stop()

    async def _gated(self, transcript: Transcript) -> Event:
        command, settings = self._command, self._settings
        self._early = self._answered.is_set()
        verdict = await command.verdict() if command else unheard(settings)
        self._command = None
        self._answered.set()
        log.info("a command: %s", verdict.state)
        if command and command.trouble:
            log.warning("a command could not be judged: %s", command.trouble)
        if command and (sound := command.sound):
            self._past.add(
                PastCommand(
                    at=time.time(),
                    rate=command.rate,
                    channels=command.channels,
                    speaker=verdict.speaker,
                    pcm=sound,
                )
            )
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


async def _said(upstream: AsyncClient) -> Event | None:
    """The next thing that the recogniser says; None once it has left, however it did."""
    try:
        return await upstream.read_event()
    except (OSError, EOFError) as error:  # reset, or gone in the middle of an event
        log.warning("the recogniser broke off: %s", error)
        return None


def _abort(upstream: AsyncClient | None) -> None:
    """Its own `disconnect` waits until everything is taken, by a recogniser that hangs for ever."""
    if upstream and (writer := upstream._writer):
        writer.transport.abort()


def _renamed(info: Info) -> Info:
    for program in info.asr:
        program.name = f"{program.name}-voxwatch"
        program.description = f"{program.description or program.name}, for known voices"
        program.supports_transcript_streaming = False
    info.tts, info.handle, info.intent, info.wake = [], [], [], []
    return info


async def serve(
    uri: str,
    settings: ProxySettings,
    *,
    discoverable: bool = False,
    listening: Callable[[], object] = lambda: None,
) -> None:
    """Listen at ``uri`` (``tcp://HOST:PORT``) until cancelled.

    ``listening`` is called once satellites can connect. ``discoverable`` announces it by zeroconf,
    where Home Assistant finds it by itself. Where the last commands cannot be offered to this user
    alone, none are kept. Raises :class:`ClientError` for an address that cannot be listened at and
    for one that no server can ever have.
    """
    address(settings.server, "/")
    server, past = AsyncServer.from_uri(uri), PastCommands(settings.keep)
    proxies: set[SpeakerProxy] = set()
    try:
        await server.start(partial(SpeakerProxy, settings=settings, among=proxies, past=past))
    except OSError as error:
        raise ClientError(f"{uri} cannot be listened at: {reason(error)}") from error
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_leave, server, proxies)
        # After the port: another proxy that has it also has the place for its past commands.
        await _offer(past, uri, stack)
        if discoverable:
            await _announce(uri)
        listening()
        await asyncio.Event().wait()


async def _leave(server: AsyncServer, proxies: set[SpeakerProxy]) -> None:
    await server.stop()
    for proxy in proxies:
        proxy.cut_off()
    await asyncio.gather(*(proxy.gone.wait() for proxy in proxies))


async def _offer(past: PastCommands, uri: str, stack: AsyncExitStack) -> None:
    """Offer the past commands until ``stack`` is closed, or else keep none."""
    if not past.most:
        return
    try:
        await stack.enter_async_context(offer(past, places(uri)[0]))
    except (ClientError, OSError) as error:
        log.warning("no commands are kept for enrolments: %s", error)
        past.keep_none()


async def _announce(uri: str) -> None:
    from wyoming.zeroconf import HomeAssistantZeroconf

    port = int(uri.rpartition(":")[2])
    await HomeAssistantZeroconf(port, name=f"voxwatch-{port}").register_server()
