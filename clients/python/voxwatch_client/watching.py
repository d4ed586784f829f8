"""All streams of a server as they are now, followed over a connection that is opened again.

    async with Watch("ws://localhost:8765") as watch:
        for stream in watch.streams.values():
            print(stream.label, stream.state, stream.speaker, stream.age_s(time.monotonic()))

What is known of a stream is what its monitors are told, and when that came. After a restart of the
server the streams are those that are open then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable
from typing import Any, Self

import msgspec

from voxwatch_client.connection import address
from voxwatch_client.control import monitor
from voxwatch_client.errors import ClientError
from voxwatch_client.messages import (
    Bounds,
    Closed,
    Configured,
    Decision,
    MonitorMessage,
    MonitorReady,
    Opened,
    Score,
    Stalled,
    State,
    StreamState,
    Utterance,
    Vad,
)
from voxwatch_client.turns import Turns

log = logging.getLogger("voxwatch_client")

STREAMS = 4096  # that are known at once; a server has some hundred
FIRST_S = 2.0  # for the first connection: then it goes on behind who asks
FIRST_DELAY_S, LONGEST_DELAY_S = 0.2, 5.0  # between two attempts to reach the server

Changed = Callable[["WatchedStream | None"], None]


class WatchedStream:
    """One stream: who speaks by the last decision, and its turns. Times are seconds of its sound.

    ``told_at`` is when something was last told of it, and ``known_at`` when its state was last
    borne out by speech, on the clock of the caller.
    """

    state: State | None
    speaker: str | None
    evidence: float | None
    last: Utterance | None  # turn that was not of a television far away

    def __init__(self, opened: StreamState | Opened, stream: str, now: float) -> None:
        self.id, self.label, self.mode = stream, opened.label, opened.mode
        self.claims: tuple[str, ...] = opened.claims
        self.bounds: Bounds = opened.bounds
        self.told_at = self.known_at = now
        self.speaking = self.stalled = False
        self._begin()
        if isinstance(opened, StreamState):
            self.state, self.speaker = opened.state, opened.speaker
            self.speaking, self.stalled = opened.speaking, opened.stalled
            # Nothing was told of it since then that we know of: it is at most so old.
            self.known_at -= max(0.0, opened.received_s - (opened.since or 0.0))
            at = opened.received_s
            self.turns.receive(Vad(t=at, speech=opened.speaking, at=at))

    def _begin(self) -> None:
        self.state, self.speaker, self.evidence = None, None, None
        self.reason = self.advice = ""
        self.last = None
        self.turns = Turns(0.0, self.bounds.accept_llr, self.bounds.reject_llr)

    def receive(self, message: MonitorMessage, now: float) -> bool:
        """Take in what it says; whether who reads its state should read it again."""
        self.told_at = now
        self.turns.receive(message)
        match message:
            case Vad():
                self.speaking = message.speech
            case Stalled():
                self.stalled = message.stalled
            case Score():
                self.known_at = now
                if message.evidence is not None and self.speaker in (None, message.speaker):
                    self.evidence = message.evidence
                return False
            case Decision():
                self.state, self.speaker, self.known_at = message.state, message.speaker, now
                self.evidence, self.reason = message.evidence, message.reason
                self.advice = message.advice
            case Utterance() if not message.background:
                self.last = message
            case Configured():
                self._configure(message)
            case _:
                return False
        return True

    def age_s(self, now: float) -> float:
        """Seconds since its state was last borne out by speech."""
        return max(0.0, now - self.known_at)

    def turn_age_s(self, turn: Utterance, now: float) -> float:
        """Seconds since the end of a turn of it."""
        return max(0.0, now - self.told_at + self.turns.known_s - turn.end)

    def _configure(self, message: Configured) -> None:
        other = message.claims != self.claims
        self.mode, self.claims, self.bounds = message.mode, message.claims, message.bounds
        if other:  # what was said before is an answer to another question
            known_s, speaking = self.turns.known_s, self.speaking
            self._begin()
            self.turns.receive(Vad(t=known_s, speech=speaking, at=known_s))


class Watch:
    """Follows a server's streams as long as it is entered. Never raises for a server that is away.

    ``changed`` is told which stream is worth reading again, or None where there are others than
    before, or the connection came or went; it is called in the loop and must not wait.
    ``lost`` is why nothing can be known just now.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        changed: Changed = lambda stream: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        address(url, "/")  # raises ConnectionFailed for one that no server can ever have
        self.url, self.changed = url, changed
        self.now = clock
        self.streams: dict[str, WatchedStream] = {}
        self.lost: str | None = "the server has not been reached yet"
        self.lost_at = clock()
        self._options: dict[str, Any] = {"token": token, "tls": tls}
        self._news, self._tried = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Self:
        """Waits a little until the server was reached, or could not be."""
        self._task = asyncio.create_task(self._follow(), name="voxwatch watch")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                await self._tried.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @property
    def connected(self) -> bool:
        """Whether what is told of the streams is their present."""
        return self.lost is None

    def find(self, named: str) -> list[WatchedStream]:
        """The stream of that public id, or all with that label."""
        if named in self.streams:
            return [self.streams[named]]
        return [stream for stream in self.streams.values() if stream.label == named]

    async def news(self) -> None:
        """Wait until anything is told of any stream."""
        self._news.clear()
        await self._news.wait()

    async def _follow(self) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            try:
                async with monitor(self.url, **self._options) as messages:
                    async for message in messages:
                        delay_s = FIRST_DELAY_S
                        self._receive(message)
                self._lose("the server ended the connection")
            except ClientError as error:
                self._lose(str(error))
            finally:
                self._tried.set()
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    def _receive(self, message: MonitorMessage) -> None:
        now, which = self.now(), message.stream
        if isinstance(message, MonitorReady):
            self._begin(message, now)
        elif isinstance(which, msgspec.UnsetType):
            return
        elif isinstance(message, Opened):
            if len(self.streams) < STREAMS:
                self.streams[which] = WatchedStream(message, which, now)
                self.changed(None)
        elif isinstance(message, Closed):
            if gone := self.streams.pop(which, None):
                self.changed(gone)
                self.changed(None)
        elif (stream := self.streams.get(which)) and stream.receive(message, now):
            self.changed(stream)
        self._news.set()

    def _begin(self, ready: MonitorReady, now: float) -> None:
        gone, self.lost = self.streams, None
        told = ready.streams[:STREAMS]
        self.streams = {one.stream: WatchedStream(one, one.stream, now) for one in told}
        self._tried.set()
        for stream in (*gone.values(), *self.streams.values()):
            self.changed(stream)
        self.changed(None)

    def _lose(self, why: str) -> None:
        if why != self.lost:
            log.warning("who speaks is not known for now: %s", why)
        was_known, self.lost = self.lost is None, why
        if was_known:
            self.lost_at = self.now()
            for stream in self.streams.values():
                self.changed(stream)
            self.changed(None)
        self._news.set()
