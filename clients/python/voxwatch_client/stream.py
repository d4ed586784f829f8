"""One stream of a client, over as many connections as it takes; see `voxwatch_client`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, Generic, Self

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voxwatch_client import messages, reading
from voxwatch_client.connection import (
    break_off,
    hang_up,
    lost,
)
from voxwatch_client.controls import Control, Controls
from voxwatch_client.errors import ClientError, ServerError
from voxwatch_client.inbox import Inbox, Message, number_of
from voxwatch_client.liveness import Silence, watch
from voxwatch_client.opening import Opener, Ready
from voxwatch_client.resend import ResendBuffer
from voxwatch_client.tasks import beside

# Sound beyond what the server buffers would wait in the sockets, and our pings behind it.
# An event is due every 2 s of media time: the least window lets it come.
LEAST_WINDOW_S = 5.0
UNSURE_S = 0.5  # an event's time counts resampled sound, which differs by less than this
OPUS_BYTES_PER_S = 16_000  # 128 kbit/s: more than a browser makes of speech
PIECE_BYTES = 1 << 16
KEEPALIVES = 3  # within the time after which the server takes a stream for idle
LAST_WORDS_S = 2.0  # after a stream is over, for the server to say why and to close
OVER = (messages.Summary, messages.EnrolledAs, messages.Refused)
ABNORMAL = 1006  # RFC 6455, 7.1.5: closed without a word
# After these a session may live on; any other code is the server's last word (RFC 6455, 7.4).
DROPPED = frozenset({1001, ABNORMAL, 1011, 1012, 1013, 1014})


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How soon a dead connection is noticed, and how much sound is held, in seconds.

    Within the sum of the first two a half-open connection is given up, long before a server
    forgets the session (60 s). ``buffer_s`` of sound are held while nothing can be sent;
    then whoever sends waits.
    """

    ping_interval_s: float = 5.0
    ping_timeout_s: float = 10.0
    buffer_s: float = 30.0


class ClientStream(Generic[Ready, Message]):
    """One stream, or one enrolment, on a server; iterating over it gives what the server says.

    ``ready`` is what it said first; ``reconnections`` counts how often the stream went on.
    Once it has failed, sending and reading raise :class:`ServerError` or
    :class:`ConnectionFailed`.
    """

    ready: Ready

    def __init__(self, opener: Opener[Ready], timing: Timing) -> None:
        self._opener: Opener[Ready] = opener
        self._start, self._timing = opener.start, timing
        self.reconnections = 0
        encoding = self._start.encoding
        self._frame = (
            1 if encoding == "opus" else messages.SAMPLE_BYTES[encoding] * self._start.channels
        )
        self._final = self._over = False
        self._failure: ClientError | None = None
        self._controls = Controls()
        self._work, self._room = asyncio.Event(), asyncio.Event()  # sound: to send, and room

    async def __aenter__(self) -> Self:
        connection, self.ready = await self._opener.open()
        opus = self._start.encoding == "opus"
        rate = OPUS_BYTES_PER_S if opus else self._frame * self._start.sample_rate
        window_s = max(self.ready.limits.backlog_s, LEAST_WINDOW_S)
        held_s = max(self._timing.buffer_s, window_s)
        self._sound = ResendBuffer(int(window_s * rate), int(held_s * rate))
        self._inbox: Inbox[Message] = Inbox(number_of(self.ready))
        self._task = asyncio.create_task(self._run(connection), name="voxwatch client")
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._over:  # else it is about to end, with the connection well closed
            self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()  # a fault of ours is raised; failures of the stream are kept

    async def send(self, pcm: bytes) -> None:
        """Send sound, in pieces of any size; waits while there is no room for more of it."""
        if self._final:
            raise RuntimeError("the sound was finalized: no more can follow")
        rest = memoryview(pcm)
        self._check()
        while rest:
            while not self._sound.room:
                self._room.clear()
                await self._room.wait()
                self._check()
            count = min(len(rest), self._sound.room)
            self._sound.add(rest[:count])
            rest = rest[count:]
            self._work.set()

    async def finalize(self) -> None:
        """No more sound follows: the server tells the rest, and the events end."""
        self._final = True
        self._work.set()

    async def configure(
        self,
        *,
        claim: str | Sequence[str] | None = None,
        false_accept: float | None = None,
        miss: float | None = None,
    ) -> None:
        """Other names or bounds from here on; a `configured` among the events confirms it.

        This and the methods below hold for the sound that is sent after them.
        """
        named = claim if claim is None or isinstance(claim, str) else list(claim)
        self._ask(messages.Configure(claim=named, false_accept=false_accept, miss=miss))

    async def turn(self) -> None:
        """A new turn begins here: a button was pushed to talk, or a wake word said."""
        self._ask(messages.Turn())

    async def reset(self) -> None:
        """Forget who has spoken: from here on it may be anybody."""
        self._ask(messages.Reset())

    async def mute(self, on: bool) -> None:
        """What comes is our own loudspeaker, which is heard and never judged, or no longer is."""
        self._ask(messages.Mute(on=on))

    def unheard(self) -> tuple[int, bytes]:
        """From which byte of the stream on the server is not known to have heard it, and the sound.

        Where a stream is lost (``unknown-session``) another one begins with that.
        """
        return self._sound.start, self._sound.held

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        return await self._inbox.take()

    def _ask(self, control: Control) -> None:
        self._check()
        self._controls.add(self._sound.end, control)
        self._work.set()

    def _check(self) -> None:
        if self._failure:
            raise self._failure
        if self._over:
            raise ServerError("ended", "the server has ended the stream: it takes no more sound")

    async def _run(self, connection: ClientConnection) -> None:
        """Converse until the stream is over."""
        try:
            while not await self._conversed(connection):
                connection = await self._regained()
        except ClientError as error:
            self._failure = error
        finally:
            self._over = True
            self._inbox.end(self._failure)
            self._room.set()

    async def _conversed(self, connection: ClientConnection) -> bool:
        """Send and receive on one connection; whether the stream is over when it ends."""
        words: tuple[str, ...] = ()
        watching = watch(
            connection,
            interval_s=self._timing.ping_interval_s,
            timeout_s=self._timing.ping_timeout_s,
            listening=lambda: not self._inbox.full,
        )
        try:
            await beside(self._receive(connection), self._transmit(connection), watching)
        except ConnectionClosed as closed:
            return self._ended(closed)
        except Silence:
            await break_off(connection)
            return self._ended(None)
        except asyncio.CancelledError:
            words = (_text(messages.Close()),)  # left early: the server need not keep it
            raise
        finally:
            await hang_up(connection, *words)
        return True

    def _ended(self, closed: ConnectionClosed | None) -> bool:
        """Whether that was the end, or a drop. Raises where it was neither."""
        frame = closed.rcvd if closed else None
        code = frame.code if frame else ABNORMAL
        if self._over or code == 1000:
            return True
        if frame and code not in DROPPED:
            raise ServerError(str(code), frame.reason or "the server closed the connection")
        if not isinstance(self.ready, messages.Ready):
            raise lost(closed)  # an enrolment cannot be resumed
        return False

    async def _receive(self, connection: ClientConnection) -> None:
        message: Any = None
        while not self._over:
            await self._inbox.room()
            message = self._opener.decode(await connection.recv())
            self._accept(message)
        if isinstance(message, messages.Summary):
            await self._hear_why(connection)

    async def _hear_why(self, connection: ClientConnection) -> None:
        """Raise :class:`ServerError` where one follows the summary: it came before its time.

        A server that stops has judged all that it was sent: that is an end like any other.
        """
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                while True:
                    message = self._opener.decode(await connection.recv())
                    if getattr(message, "code", "") != "shutting-down":
                        _raise_last(message)

    def _accept(self, message: Any) -> None:
        """Take in one message."""
        _raise_last(message)
        if not self._inbox.add(message):
            return
        if isinstance(message, messages.Received):
            self._sound.taken(message.received_bytes)
        elif self._start.encoding != "opus":
            self._sound.taken(int((message.t - UNSURE_S) * self._start.sample_rate) * self._frame)
        self._controls.taken(self._sound.start)
        self._over = isinstance(message, OVER)
        self._room.set()
        self._work.set()

    async def _transmit(self, connection: ClientConnection) -> None:
        """Send what there is to send, and what this connection must be told.

        It ends without a word when the connection has closed: what was received says why.
        """
        self._controls.connected()
        finalized = False
        limits = self.ready.limits
        with suppress(ConnectionClosed):
            while True:
                self._work.clear()
                if control := self._controls.take(self._sound.sent):
                    await connection.send(_text(control))
                elif piece := self._sound.take(self._piece_bytes(limits.message_bytes)):
                    await connection.send(piece)
                elif self._final and self._sound.all_sent and not finalized:
                    finalized = True
                    await connection.send(_text(messages.Finalize()))
                elif not await _set_within(self._work, limits.idle_s / KEEPALIVES):
                    await connection.send(_text(messages.Keepalive()))

    def _piece_bytes(self, most: int) -> int:
        """How much sound may go out at once: not beyond the place of a control."""
        place, most = self._controls.next_place, min(PIECE_BYTES, most)
        return most if place is None else min(most, place - self._sound.sent)

    async def _regained(self) -> ClientConnection:
        """The session on another connection."""
        assert isinstance(self.ready, messages.Ready)
        connection, ready = await self._opener.regain(
            self.ready.session, self._inbox.last_seq + 1, self.ready.limits.resume_s
        )
        assert isinstance(ready, messages.Ready)
        try:
            self._sound.rewind(ready.received_bytes)
        except ValueError as error:
            await hang_up(connection)
            raise ServerError("gap", "sound that the server wants was let go already") from error
        self._controls.taken(ready.received_bytes)
        self.reconnections += 1
        self._room.set()
        return connection


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def _raise_last(message: Any) -> None:
    if reading.is_last(message):
        raise ServerError(message.code, message.message)


def _text(asked: msgspec.Struct) -> str:
    return msgspec.json.encode(asked).decode()
