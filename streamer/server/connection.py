"""One client's connection: a websockets connection with our closing words and keepalive."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from socket import SO_RCVBUF, SO_SNDBUF, SOL_SOCKET
from typing import Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.exceptions import ConnectionClosed, TooManyFragments
from websockets.frames import CloseCode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from engine import events
from streamer.server.auth import NOBODY
from streamer.server.outbox import Message, Outbox
from streamer.tasks import beside
from streamer.wire.errors import WireError
from streamer.wire.parsing import Target
from streamer.wire.requests import Role

# Four seconds of 16 kHz, 16 bit each way: more would only hide that one side is behind.
KERNEL_BYTES = 1 << 17
PART_S = 3.0  # for the last words to a client; one that does not read is cut off then


class Protocol(ServerProtocol):
    """Says why before it refuses a message for its size; the library itself only closes."""

    outbox: Outbox

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        """Fail the connection (RFC 6455, section 7.1.7)."""
        if code == CloseCode.MESSAGE_TOO_BIG and self.state is OPEN:
            message = f"a message has at most {self.max_message_size} bytes: send smaller pieces"
            for text in _last_texts(self.outbox, WireError("message-too-big", message)):
                self.send_text(text)
        super().fail(code, reason)


class Connection(ServerConnection):
    """A connection, with the outbox that numbers what it is sent.

    With more than ``sockets`` of them on the server, whatever they are for, it is cut off.
    """

    def __init__(
        self, protocol: ServerProtocol, server: Server, *, sockets: int, **options: Any
    ) -> None:
        ours = Protocol(max_size=protocol.max_message_size, logger=protocol.logger)
        ours.outbox = Outbox(first=0)
        super().__init__(ours, server, **options)
        self._ours, self._sockets = ours, sockets
        self.number = secrets.token_hex(4)  # public, for the log
        self.heard_at = self.loop.time()
        self.displaced = asyncio.Event()  # another connection has taken over what it attended
        self.target = Target("", {}, None)  # and the roles: set when the connection is admitted
        self.roles: frozenset[Role] = NOBODY

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket. What the kernel holds for it counts as much as what we hold."""
        super().connection_made(transport)
        if (socket := transport.get_extra_info("socket")) is not None:
            socket.setsockopt(SOL_SOCKET, SO_RCVBUF, KERNEL_BYTES)
            socket.setsockopt(SOL_SOCKET, SO_SNDBUF, KERNEL_BYTES)
        if len(self.server.handler_tasks) > self._sockets:
            self.transport.abort()

    @property
    def outbox(self) -> Outbox:
        """Where the messages to this client wait."""
        return self._ours.outbox

    @outbox.setter
    def outbox(self, outbox: Outbox) -> None:
        self._ours.outbox = outbox

    @property
    def address(self) -> str:
        """The client's address, to count by; it goes into no log."""
        peer = self.remote_address
        return str(peer[0]) if isinstance(peer, tuple) else str(peer)

    def data_received(self, data: bytes) -> None:
        """Bytes from the socket."""
        self.heard_at = self.loop.time()
        super().data_received(data)

    async def hear(self) -> str | bytes:
        """The next message. Raises ``ConnectionClosed``, and :class:`WireError` for bad UTF-8.

        As :meth:`recv`, which would close without a word. Cancelling it loses nothing.
        """
        try:
            return await self.recv_messages.get()
        except EOFError:
            await asyncio.shield(self.connection_lost_waiter)
            raise self.close_exc from None
        except TooManyFragments as error:
            raise WireError("message-too-big", "a message has too many fragments") from error
        except UnicodeDecodeError as error:
            raise WireError("text-not-utf8", "a text message is not UTF-8") from error

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
        texts = _last_texts(self.outbox, error)
        try:
            async with asyncio.timeout(PART_S):
                if texts:
                    await self.say(texts)
                await beside(self.close(code, reason), self._let_go())
        except (TimeoutError, ConnectionClosed):
            self.transport.abort()

    async def _let_go(self) -> None:
        """Drop what still comes: the client's close frame lies behind what it was sending."""
        with contextlib.suppress(EOFError, UnicodeDecodeError, TooManyFragments):
            while True:
                await self.recv_messages.get()

    async def keepalive(self) -> None:
        """Find out when nobody is there any more: cut off a client that a ping does not stir.

        Whatever comes in is a sign of life, so a client that sends costs no pings; and one
        that we do not read from, for flow control, is not taken for dead.
        """
        assert self.ping_interval is not None
        assert self.ping_timeout is not None
        while True:
            await asyncio.sleep(self.ping_interval)
            asked_at = self.loop.time()
            if asked_at - self.heard_at < self.ping_interval or self.state is not OPEN:
                continue
            self.protocol.send_ping(b"")
            self.send_data()
            await asyncio.sleep(self.ping_timeout)
            if self.heard_at < asked_at and not self.recv_messages.paused:
                self.transport.abort()

    @property
    def left(self) -> bool:
        """Whether the client itself took its leave, rather than being lost."""
        received = self.protocol.close_rcvd
        return received is not None and received.code in (1000, 1001, 1005)


def _last_texts(outbox: Outbox, error: WireError | None) -> list[bytes]:
    last = None
    if error is not None and not outbox.ended:
        last = Message(events.Failure(t=outbox.t, code=error.code, message=str(error)))
    outbox.end(last)
    return outbox.texts()
