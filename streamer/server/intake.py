"""What a client sends, taken the same way for a live stream and for an enrolment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal, NoReturn

from engine.errors import AudioError, VoxwatchError, WrongFormat
from engine.serving.engine import Stream
from streamer.server.caller import Caller
from streamer.server.connection import Connection
from streamer.server.context import Context
from streamer.server.idle_limit import IdleLimit
from streamer.server.limits.behind import Behind
from streamer.server.sound import ClientSound
from streamer.wire.errors import WireError
from streamer.wire.messages import Received
from streamer.wire.parsing import parse_control
from streamer.wire.requests import StartEnroll, StartStream, StreamControl
from streamer.wire.unknown import text_as_sound, too_early

Kind = Literal["stream", "enrolment", "recording"]
Said = bytes | StreamControl  # sound, or what is to be done with it
A: dict[Kind, str] = {
    "stream": "a stream",
    "enrolment": "an enrolment",
    "recording": "a recording",
}


ENDING_S = 60.0  # of sound that are left when a stream is told that it ends soon,
ENDING_SHARE = 0.1  # or so much of a shorter one
IDLE_S = 10.0  # before a stream ends as nothing comes; of a short wait the half
MESSAGE_S = 0.001  # that a message counts for at least, however little sound is in it
AHEAD_S = 1.0  # of real time, that a stream beyond its client's quota may be
PACE_S = 5.0  # between two looks at whether the quota still is exhausted
TOLD_BYTES, TOLD_S = 1 << 14, 2.0  # of Opus, after which it is told how much of it was taken


class Intake:
    """Hands a client's sound to the engine, within the server's limits.

    ``received_bytes`` counts what the engine has taken, to the byte, over all connections.
    ``on_sound`` is called after each piece, ``on_behind`` with the seconds of live sound that wait
    when they have become many or few, ``on_ending`` with the limit by which it ends soon. Of Opus,
    which is decoded here, ``on_received`` is told now and then how many bytes were taken.
    What is refused raises :class:`WireError`.
    """

    def __init__(
        self,
        context: Context,
        stream: Stream,
        start: StartStream | StartEnroll,
        kind: Kind,
        caller: Caller,
        on_sound: Callable[[], None] = lambda: None,
        on_behind: Callable[[float], None] = lambda behind_s: None,
        on_ending: Callable[[str], None] = lambda why: None,
        on_received: Callable[[Received], None] = lambda told: None,
    ) -> None:
        self._context, self._stream, self._kind, self._on_sound = context, stream, kind, on_sound
        self._client = caller.client[0]  # by whom sound is counted
        self._on_ending, self._ending = on_ending, False
        self._on_behind, self._behind, self._opened_at = on_behind, Behind(), time.monotonic()
        self._sound = ClientSound(start)
        self._on_received, self._told_bytes, self._told_s = on_received, 0, 0.0
        self.received_bytes = 0
        self.finalized = False  # no more sound may come
        self.cut_short = False  # what still comes is let go: the client cannot know yet
        self.why: WireError | None = None  # it was, where that is told after the summary
        self._unread_bytes: Callable[[], int] = int  # of the connection, while there is one
        self.taking = asyncio.Lock()  # held while a message is taken: a part would not be counted

    async def receive(
        self,
        connection: Connection,
        read: Callable[[], Awaitable[Said]],
        obey: Callable[[StreamControl], Awaitable[None]],
    ) -> NoReturn:
        """Take what ``read`` reads of the connection. Raises ``WireError``, ``ConnectionClosed``.

        One message at a time, and the next only when the engine has room for its sound: the
        socket's own flow control makes the client wait. A stream from which nothing comes is cut,
        and what is wrong behind its `finalize` is told when all before it has been judged.
        """
        try:
            await self._receive(connection, read, obey)
        except TimeoutError as error:
            idle = WireError("idle", self._idle("send sound or keepalive"))
            if self._kind != "stream":
                raise idle from error
            await self.cut(idle)
        except WireError as error:
            if not self.finalized or self._kind != "stream":
                raise
            self.cut_short, self.why = True, self.why or error
        while True:
            with suppress(WireError):  # the first that was wrong is told
                await read()

    async def _receive(
        self,
        connection: Connection,
        read: Callable[[], Awaitable[Said]],
        obey: Callable[[StreamControl], Awaitable[None]],
    ) -> NoReturn:
        """Raises :class:`TimeoutError` when nothing comes for too long."""
        idle_s, incoming = self._context.config.limits.idle_s, connection.recv_messages
        self._stream.made_to_wait = lambda: connection.waits
        self._unread_bytes = lambda: connection.unread_bytes
        async with IdleLimit(idle_s, max(idle_s / 2, idle_s - IDLE_S), self._warn_idle) as idle:
            while True:
                if not self.finalized:
                    idle.begins()
                said = await read()
                idle.ends()
                if isinstance(said, bytes):
                    async with self.taking:
                        messages, incoming.messages = max(1, incoming.messages), 0
                        await self.take(said, messages)
                    self._look_behind()
                    await self._keep_pace()
                else:
                    await obey(said)

    def _idle(self, advice: str) -> str:
        idle_s = self._context.config.limits.idle_s
        return f"nothing came for {idle_s:g} s: {advice} (limits.idle_s)"

    def _warn_idle(self) -> None:
        self._on_ending(f"it ends when {self._idle('send sound or keepalive')}")

    def _look_behind(self) -> None:
        """Tell a live stream how much of its sound waits. Files wait as a matter of course."""
        if not self._stream.live or not self._behind.due(now := time.monotonic()):
            return
        # Less than that is late where sound came ahead of its time.
        late_s = now - self._opened_at - self._stream.conversation.received_s
        if (told_s := self._behind.look(now, min(self.waiting_s, late_s))) is not None:
            self._on_behind(told_s)

    @property
    def waiting_s(self) -> float:
        """Seconds of sound that have come and wait: unread, or not dealt with."""
        conversation = self._stream.conversation
        unread_s = self._sound.seconds(
            self._unread_bytes(), self.received_bytes, conversation.received_s
        )
        return unread_s + conversation.backlog_s

    async def _keep_pace(self) -> None:
        """Beyond the client's quota no stream is faster than real time, and none is ended."""
        if self._kind == "stream" and not self.finalized:
            while (early_s := self._ahead_s()) > 0 and self._over_quota():
                await asyncio.sleep(min(early_s, PACE_S))

    def _ahead_s(self) -> float:
        lived_s = time.monotonic() - self._opened_at
        return self._stream.conversation.received_s - lived_s - AHEAD_S

    def _over_quota(self) -> bool:
        return self._context.quota.exhausted(self._client, time.monotonic())

    async def finalize(self) -> None:
        """No more sound comes: the engine deals with what it has and says the rest."""
        self.finalized = True
        await self._stream.finalize()

    async def cut(self, why: WireError | None) -> None:
        """As :meth:`finalize`, by the server: sound that still comes is let go."""
        self.cut_short, self.why = True, why
        await self.finalize()

    @property
    def torn(self) -> int:
        """Bytes at the end that were not heard, as they are no whole page or block of Opus."""
        return self._sound.torn

    async def take(self, sound: bytes, messages: int = 1) -> None:
        """Hand on sound that came in so many messages; waits while the backlog is full."""
        if self.finalized:
            if self.cut_short:
                return
            kind = self._kind
            raise WireError("bad-message", f"sound after finalize: open another {kind} for it")
        least_s = max(messages * MESSAGE_S, self._sound.least_s(len(sound)))
        try:
            for piece in self._sound.pieces(sound):
                self._stream.decoded(self._sound.take_cost_s())
                least_s -= self._spend(len(piece) / self._sound.bytes_per_s)
                if not await self._take_pcm(piece):
                    break
            if least_s > 0:
                self._spend(least_s)
        except WireError:  # too long: no fault of the engine
            raise
        except WrongFormat as error:
            raise WireError("wrong-format", str(error)) from error
        except AudioError as error:
            raise WireError("bad-sound", str(error)) from error
        except VoxwatchError as error:
            raise WireError("engine-failed", str(error)) from error
        except RuntimeError:
            if not self.cut_short:
                raise
            return  # the stream ended while this message waited for room
        self.received_bytes += len(sound)
        self._tell_received()

    def _spend(self, seconds: float) -> float:
        self._context.quota.spend(self._client, seconds, time.monotonic())
        return seconds

    async def _take_pcm(self, pcm: bytes) -> bool:
        """Whether there may be more."""
        if not pcm:
            await asyncio.sleep(0)  # much of Opus may be no sound, and take long to be found so
        await self._stream.send(pcm)
        self._context.counts.sound_s += len(pcm) / self._sound.bytes_per_s
        self._on_sound()
        await self._check_length()
        return not self.finalized

    def _tell_received(self) -> None:
        t = self._stream.conversation.received_s
        untold = self.received_bytes - self._told_bytes
        if self._sound.is_opus and (untold >= TOLD_BYTES or t - self._told_s >= TOLD_S):
            self._told_bytes, self._told_s = self.received_bytes, t
            self._on_received(Received(t=t, received_bytes=self.received_bytes))

    async def _check_length(self) -> None:
        most_s = self._context.config.limits.stream_s
        left_s = most_s - self._stream.conversation.received_s
        if not self._ending and left_s <= min(ENDING_S, ENDING_SHARE * most_s):
            self._ending = True
            left = f"{max(0.0, left_s):.0f} s of sound are left of limits.stream_s"
            self._on_ending(f"{left}, {most_s:g} s: start another")
        if self._stream.conversation.received_s > most_s:
            most = f"{A[self._kind]} has at most {most_s:g} s of sound (limits.stream_s)"
            too_long = WireError("stream-too-long", f"{most}: start another")
            if self._kind != "stream":
                raise too_long
            await self.cut(too_long)


async def read_wire(connection: Connection) -> Said:
    """What a client of our own wire says next. Raises ``WireError``, ``ConnectionClosed``."""
    message = await connection.hear()
    return checked_sound(message) if isinstance(message, bytes) else parse_control(message)


def checked_sound(message: bytes) -> bytes:
    """A binary message, which is sound. Raises :class:`WireError` for JSON in it."""
    if (refused := text_as_sound(message)) is not None:
        raise refused
    return message


async def first_text(connection: Connection, start_s: float) -> str:
    """The first message. Raises :class:`WireError` when it is sound, or does not come."""
    try:
        async with asyncio.timeout(start_s):
            message = await connection.hear()
    except TimeoutError as error:
        message = f"no start came within {start_s:g} s (limits.start_s)"
        raise WireError("idle", message) from error
    if isinstance(message, bytes):
        raise too_early(message)
    return message
