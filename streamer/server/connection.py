"""One client's connection: a websockets connection with our closing words."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from socket import SO_RCVBUF, SO_SNDBUF, SOL_SOCKET
from typing import Any, NoReturn

from websockets.asyncio.server import Server
from websockets.exceptions import ConnectionClosed, TooManyFragments
from websockets.server import ServerProtocol

from streamer.server.auth import Grant
from streamer.server.caller import Caller
from streamer.server.http.head import is_websocket
from streamer.server.incoming import Incoming, kernel_bytes
from streamer.server.keepalive import PingedConnection
from streamer.server.limits.crowd import Crowd
from streamer.server.limits.turns import SLICE_BYTES, Allowance, Turns
from streamer.server.outbox import Outbox
from streamer.server.protocol import Protocol, last_texts
from streamer.tasks import beside
from streamer.wire.errors import WireError
from streamer.wire.parsing import Target

# Four seconds of 16 kHz, 16 bit each way: more would only hide that one side is behind.
KERNEL_BYTES = 1 << 17
PART_S = 3.0  # for the last words to a client; one that does not read is cut off then
REQUEST_S = 5.0  # from the connection to its whole request
UNREAD_S = 90.0  # a client that reads nothing of what waits for it is cut off then
TEXT_S = 5e-5  # of the loop's time that a text message costs once it has been taken apart


# Goes on with a connection that has sent so many bytes, from that address.
TakeOver = Callable[[asyncio.Transport, bytes, str], None]


class Connection(PingedConnection):
    """A connection, with the outbox that numbers what it is sent.

    It belongs to a ``crowd``, which may cut it off, and its bytes are taken apart when its turn
    comes. Until then, and while too many messages wait to be heard, nothing is read from it.
    """

    def __init__(
        self,
        protocol: ServerProtocol,
        server: Server,
        *,
        crowd: Crowd,
        turns: Turns,
        plain: TakeOver,
        of_worker: bool = False,
        **options: Any,
    ) -> None:
        ours = Protocol(max_size=protocol.max_message_size, logger=protocol.logger)
        ours.outbox = Outbox(first=0)
        super().__init__(ours, server, **options)
        self._ours, self._crowd, self._turns = ours, crowd, turns
        self._plain = plain
        self._head: bytes | None = b""  # until it is known what is asked for
        self.number = secrets.token_hex(4)  # public, for the log
        self.came_at = self.heard_at = self.loop.time()
        self.displaced = asyncio.Event()  # another connection has taken over what it attended
        self.of_worker = of_worker  # another worker's, which speaks for a client or for itself
        self.target = Target("", {}, None)  # and the caller: set when the connection is admitted
        self.caller = Caller(Grant(), "")  # known when the connection is admitted
        self.revoked = asyncio.Event()  # its token holds no more
        self._allowance = Allowance(self.came_at)
        self._bytes = bytearray()  # not taken apart yet: what one read of the socket brought
        self._in_line = self.stopped = False
        self._heard = 0  # bytes of the message that is being dealt with
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket. What the kernel holds for it counts as much as what we hold."""
        super().connection_made(transport)
        self.recv_messages: Incoming = Incoming(self._regulate, self._make_room)
        if (socket := transport.get_extra_info("socket")) is not None:
            socket.setsockopt(SOL_SOCKET, SO_RCVBUF, KERNEL_BYTES)
            socket.setsockopt(SOL_SOCKET, SO_SNDBUF, KERNEL_BYTES)
        self._timers["request"] = self.loop.call_later(REQUEST_S, self._expect_request)
        self._crowd.came(self, self.peer)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, and with it what was not taken apart."""
        for timer in self._timers.values():
            timer.cancel()
        self._bytes.clear()
        self._crowd.left(self)
        super().connection_lost(exc)

    def cut_off(self) -> None:
        """Close it at once, without a word."""
        self.transport.abort()

    def _expect_request(self) -> None:
        if self.request is None:
            self.cut_off()

    @property
    def outbox(self) -> Outbox:
        """Where the messages to this client wait."""
        return self._ours.outbox

    @outbox.setter
    def outbox(self, outbox: Outbox) -> None:
        self._ours.outbox = outbox

    @property
    def peer(self) -> str:
        """The address at the other end of the socket, a client's or a proxy's."""
        peer = self.remote_address
        return str(peer[0]) if isinstance(peer, tuple) else str(peer)

    @property
    def waits(self) -> bool:
        """Whether something has come from the client that was not heard yet."""
        return self.stopped or len(self.recv_messages.frames) > 0

    @property
    def unread_bytes(self) -> int:
        """Bytes that have come and were not heard, with those that the kernel holds."""
        socket = self.transport.get_extra_info("socket")
        held = len(self._bytes) + self.recv_messages.size
        return held + (kernel_bytes(socket.fileno()) if socket is not None else 0)

    # What comes in.

    def data_received(self, data: bytes) -> None:
        """Bytes from the socket."""
        self.heard_at = self.loop.time()
        if self._head is not None:
            self._head += data
            if (ours := is_websocket(self._head)) is None:
                return
            data, self._head = self._head, None
            if not ours:
                self._hand_over(data)
                return
        self._bytes += data
        self._take_apart()

    def _take_apart(self) -> None:
        """As much of the bytes as the client's allowance and the room for messages let through."""
        while self._bytes and not self._in_line and not self.recv_messages.paused:
            if self._allowance.any_left(self.loop.time()):
                self._take_slice()
            else:
                self._in_line = True
                self._turns.wait(self)
        self._regulate()

    def take_turn(self) -> float:
        """The next slice, though the allowance is used up. The seconds it cost; 0: out of line."""
        if self._bytes and not self.recv_messages.paused:
            return self._take_slice()
        self._in_line = False
        self._regulate()
        return 0.0

    def _take_slice(self) -> float:
        began, frames = time.thread_time(), len(self.recv_messages.frames)
        piece = bytes(self._bytes[:SLICE_BYTES])
        del self._bytes[:SLICE_BYTES]
        super().data_received(piece)
        came = max(0, len(self.recv_messages.frames) - frames)
        cost_s = time.thread_time() - began + TEXT_S * came
        self._allowance.spend(cost_s)
        return cost_s

    def _make_room(self) -> None:
        self.loop.call_soon(self._take_apart)

    def _regulate(self) -> None:
        """Read from the socket only while nothing waits that was read before."""
        self._weigh()
        stop = bool(self._bytes) or self.recv_messages.paused
        if stop != self.stopped and not self.transport.is_closing():
            self.stopped = stop
            (self.transport.pause_reading if stop else self.transport.resume_reading)()

    def _weigh(self) -> None:
        unparsed = len(self.protocol.reader.buffer)
        held = len(self._bytes) + unparsed + self.recv_messages.size + self._heard
        self._crowd.holds(self, held)

    def _hand_over(self, data: bytes) -> None:
        """The socket is another's from here on; for the library this connection is lost."""
        transport, peer = self.transport, self.peer
        self.transport = _NoTransport()
        self.connection_lost(None)
        self._plain(transport, data, peer)

    async def hear(self) -> str | bytes:
        """The next message. Raises ``ConnectionClosed``, and :class:`WireError` for bad UTF-8.

        As :meth:`recv`, which would close without a word. Cancelling it loses nothing.
        """
        self._heard = 0
        try:
            message = await self.recv_messages.get()
            self._heard = len(message)
            return message
        except EOFError:
            await asyncio.shield(self.connection_lost_waiter)
            raise self.close_exc from None
        except TooManyFragments as error:
            raise WireError("message-too-big", "a message has too many fragments") from error
        except UnicodeDecodeError as error:
            raise WireError("text-not-utf8", "a text message is not UTF-8") from error

    # What goes out.

    def pause_writing(self) -> None:
        """The client does not read: more waits for it than the transport should hold."""
        super().pause_writing()
        self._ours.unread = True
        self._timers["unread"] = self.loop.call_later(UNREAD_S, self.cut_off)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        self._ours.unread = False
        self._timers.pop("unread").cancel()

    async def say(self, texts: Sequence[bytes]) -> None:
        """Send texts in one go; waits while the client does not read.

        Raises ``ConnectionClosed``.
        """
        async with self.send_context():
            for text in texts:
                self.protocol.send_text(text)

    async def flush(self) -> None:
        """Send what waits in the outbox until its end. Raises ``ConnectionClosed``."""
        outbox = self.outbox
        while not outbox.ended or len(outbox):
            await outbox.wait()
            if texts := outbox.texts():
                await self.say(texts)

    async def part(
        self, code: int = 1000, reason: str = "", error: WireError | None = None
    ) -> None:
        """Close, after what waits in the outbox and the error, if there is one. Never raises."""
        texts = last_texts(self.outbox, error)
        try:
            async with asyncio.timeout(PART_S):
                if texts:
                    await self.say(texts)
                await beside(self.close(code, reason), self._let_go())
        except (TimeoutError, ConnectionClosed):
            self.transport.abort()

    async def _let_go(self) -> None:
        """Drop what still comes: the client's close frame lies behind what it was sending.

        It goes by frames, as what was refused may have been the beginning of a message.
        """
        messages = self.recv_messages
        with contextlib.suppress(EOFError):
            while True:
                await messages.frames.get(not messages.closed)
                messages.maybe_resume()

    async def revocation(self) -> NoReturn:
        """Wait until the token holds no more. Raises :class:`WireError` then."""
        await self.revoked.wait()
        raise revoked()

    @property
    def left(self) -> bool:
        """Whether the client itself took its leave, rather than being lost."""
        received = self.protocol.close_rcvd
        return received is not None and received.code in (1000, 1001, 1005)


class _NoTransport(asyncio.Transport):
    """What a connection has whose socket was handed over."""

    def abort(self) -> None:
        """Nothing is left to be closed."""


def revoked() -> WireError:
    """What is told to whom a token no longer serves."""
    return WireError("unauthorised", "the token has expired or was taken back")
