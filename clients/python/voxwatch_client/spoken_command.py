"""One spoken command on its way to a server, from the start of its sound to the verdict."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

import voxwatch_client
from voxwatch_client.errors import ClientError, ConnectionFailed, ServerError
from voxwatch_client.messages import Utterance
from voxwatch_client.verdicts import GateVerdict, WhenUnsure, verdict_of

WIDTH = 2  # bytes of a sample that we can hear
HELD_S = 30.0  # of a command's sound: so far the server may be behind, and as much is sent again
AGAIN_S = 0.1  # between attempts to reach a server that has gone in the middle of a command
# What a stream ends with whose server stops, or comes back without it.
RESTARTED = ("ended", "shutting-down", "unknown-session")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How commands are judged. ``claim``: names who may command; empty: anybody enrolled."""

    server: str
    claim: str | Sequence[str] = ()
    token: str | None = None
    when_unsure: WhenUnsure = "drop"
    wait_s: float = 2.0
    label: str = "wyoming"
    options: dict[str, Any] = {}


class Command:
    """Its sound goes to the server as it comes; a server that restarts gets it from its start."""

    def __init__(self, settings: Settings, rate: int, width: int, channels: int) -> None:
        self._settings, self.rate, self.channels = settings, rate, channels
        self._format = rate, width, channels
        self.trouble = ""  # why there is no verdict, where the server gave none
        self._pieces: deque[bytes] = deque()  # sound, but for the first that is no longer held
        self._bytes = self._let_go = self._sent = 0
        self._most_bytes = int(HELD_S * rate * width * channels)
        self._news, self._ended, self._begun = asyncio.Event(), False, False
        self._heard = True
        self._turns: asyncio.Future[tuple[Utterance, ...]] = asyncio.Future()
        self.task = asyncio.create_task(self._judge(), name="voxwatch")
        if width != WIDTH:
            self.refuse("its samples are not of 16 bit")

    def hear(self, pcm: bytes) -> None:
        """Sound of the command; more of it than the server takes in time makes it unheard."""
        if not self._heard:
            return
        self._pieces.append(pcm)
        self._bytes += len(pcm)
        while self._bytes > self._most_bytes:
            if self._sent <= self._let_go:
                self.refuse(f"the server is {HELD_S:g} s behind")
                return
            self._bytes -= len(self._pieces.popleft())
            self._let_go += 1
        self._news.set()

    def is_of(self, rate: int, width: int, channels: int) -> bool:
        """Whether its sound has that format."""
        return self._format == (rate, width, channels)

    def refuse(self, why: str) -> None:
        """It is not judged, and that is ``why``."""
        self._heard, self.trouble = False, why
        self.task.cancel()
        self._turns.cancel()

    def end(self) -> None:
        """All of the sound has come."""
        self._ended = True
        self._news.set()

    @property
    def sound(self) -> bytes | None:
        """All of its sound, 16 bit; None where it is not all held."""
        return b"".join(self._pieces) if self._heard and not self._let_go else None

    async def verdict(self) -> GateVerdict:
        """The verdict on the whole command; it has ended, whether that was said or not."""
        self.end()
        settings = self._settings
        done, _ = await asyncio.wait({self._turns}, timeout=settings.wait_s)
        if not done:
            self.task.cancel()
            self.trouble = f"no verdict came within {settings.wait_s:g} s (--wait)"
        elif self._heard and (error := self._turns.exception()):
            self.trouble = str(error)
        if self.trouble:
            return unheard(settings)
        return verdict_of(self._turns.result(), settings.when_unsure)

    async def _judge(self) -> None:
        """Learn the turns of the command. Who waits for them bounds the time of it."""
        try:
            while not await self._told():
                self._sent = 0  # at once: what comes before the next attempt has to be held
                await asyncio.sleep(AGAIN_S)
        except ClientError as error:
            if not self._turns.done():
                self._turns.set_exception(error)
                self._turns.exception()  # nobody may ask: the satellite may have gone

    async def _told(self) -> bool:
        """Send it from its start, until a server has told all of it; or else that has restarted."""
        try:
            async with self._connect() as stream:
                self._begun = True
                async for piece in self._from_its_start():
                    await stream.send(piece)
                await stream.finalize()
                told = [message async for message in stream]
                # Whoever waits is told before the connection is closed.
                self._turns.set_result(tuple(one for one in told if isinstance(one, Utterance)))
        except ServerError as error:
            if error.code not in RESTARTED or self._let_go:
                raise
        except ConnectionFailed:
            if not self._begun or self._let_go:
                raise
        return self._turns.done()

    def _connect(self) -> AbstractAsyncContextManager[voxwatch_client.VerifyStream]:
        settings = self._settings
        return voxwatch_client.connect(
            settings.server,
            claim=settings.claim,
            sample_rate=self.rate,
            channels=self.channels,
            label=settings.label,
            token=settings.token,
            **settings.options,
        )

    async def _from_its_start(self) -> AsyncIterator[bytes]:
        while True:
            self._news.clear()
            while self._sent < self._let_go + len(self._pieces):
                piece = self._pieces[self._sent - self._let_go]
                self._sent += 1
                yield piece
            if self._ended:
                return
            await self._news.wait()


def unheard(settings: Settings) -> GateVerdict:
    """The verdict on what the server has not judged."""
    return GateVerdict.of_state("unavailable", settings.when_unsure)
