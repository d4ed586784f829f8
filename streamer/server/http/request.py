"""One request over plain HTTP: its head, then its body, then the answer, by h11."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import h11
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.http11 import Response

from streamer.server.auth import Grant
from streamer.server.caller import Caller
from streamer.server.http.head import MOST_BYTES
from streamer.server.http.responses import FileResponse
from streamer.server.proxies import Asker
from streamer.wire.errors import WireError
from streamer.wire.parsing import Target

READ_BYTES = 1 << 14  # at a time: a body in pieces of a byte takes the loop 40 ms then
WRITE_BYTES = 1 << 16  # at a time
HEAD_S = 5.0  # from the connection to all of the request but its body
BODY_S = 30.0  # for the body
UNREAD_S = 30.0  # that a client may leave WRITE_BYTES of its answer unread
LINGER_S = 2.0  # for a client to read the answer while it is still sending


class Request:
    """What a client asks for. ``method`` and ``path`` (as it was sent) are known with the head.

    ``target`` (with the query), ``fields`` (of the route's path), ``asker``, and ``caller`` where
    the route has roles, are set before it is answered.
    """

    target: Target
    asker: Asker

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str
    ) -> None:
        self._reader, self._writer, self.peer = reader, writer, peer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_BYTES)
        self.method, self.address, self.headers = "", "", Headers()
        self.fields: dict[str, str] = {}
        self.caller = Caller(Grant(), "")
        self.body_bytes = 0
        self.held = contextlib.ExitStack()  # what is let go when the client has its answer, or left
        # A drained answer is with the kernel, or under TLS with the transport below. No limit of 0:
        # TLS would wait then, with nothing left to write, until the next thing happens.
        writer.transport.set_write_buffer_limits(high=1, low=0)

    @property
    def path(self) -> str:
        """The address without its query, percent-encoded as it came."""
        return self.address.partition("?")[0]

    def cut_off(self) -> None:
        """Close its connection at once, without a word."""
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has left, for who makes an answer that takes long.

        Whoever ends their half of the connection has left, too. Raises ``ConnectionError``.
        """
        while await self._reader.read(READ_BYTES):
            pass
        raise ConnectionError("the client left")

    async def send(self, response: Response) -> None:
        """Answer, and wait until the client has it: it may be sending still what nobody reads."""
        if self.method == "HEAD":
            response.body = b""
        await self._write(response.serialize())
        if isinstance(response, FileResponse) and self.method != "HEAD":
            while piece := await asyncio.to_thread(response.file.read, WRITE_BYTES):
                await self._write(piece)
        if not self._writer.can_write_eof() and self._is_whole():  # TLS has no half of a close
            async with asyncio.timeout(UNREAD_S):
                self._writer.close()
                await self._writer.wait_closed()
            return
        async with asyncio.timeout(LINGER_S):
            if self._writer.can_write_eof():
                self._writer.write_eof()
            while await self._reader.read(READ_BYTES):
                pass

    async def _write(self, content: bytes) -> None:
        """Pass it on, and hold no more of it than a piece."""
        for at in range(0, len(content), WRITE_BYTES):
            self._writer.write(content[at : at + WRITE_BYTES])
            async with asyncio.timeout(UNREAD_S):
                await self._writer.drain()

    async def read_head(self) -> None:
        """Read all but the body. Raises :class:`WireError`."""
        event = await self._event(HEAD_S)
        if not isinstance(event, h11.Request):
            raise ConnectionError("the client left")
        self.method = event.method.decode("ascii")
        self.address = event.target.decode("ascii", "replace")
        try:
            for name, value in event.headers:
                self.headers[name.decode("ascii")] = value.decode("latin-1")
        except InvalidHeader as error:  # control characters, which h11 lets through
            raise WireError(
                "bad-message", "a header has characters that it may not have"
            ) from error

    async def body(self) -> bytes:
        """Read the body, which a client may hold back until it is asked. Raises `WireError`.

        A handler asks for it once, and after all that can be refused without it.
        """
        too_big = WireError("message-too-big", f"the body has at most {self.body_bytes} bytes")
        if int(self.headers.get("Content-Length", "0")) > self.body_bytes:
            raise too_big
        if self._http.they_are_waiting_for_100_continue:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        pieces, size = [], 0
        until = asyncio.get_running_loop().time() + BODY_S
        while isinstance(event := await self._event(until=until), h11.Data):
            pieces.append(bytes(event.data))
            size += len(event.data)
            if size > self.body_bytes:
                raise too_big
        if not isinstance(event, h11.EndOfMessage):
            raise ConnectionError("the client left")
        return b"".join(pieces)

    def _is_whole(self) -> bool:
        """Whether the client has sent all of its request."""
        if self._http.their_state is h11.SEND_BODY:
            with contextlib.suppress(h11.RemoteProtocolError):
                self._http.next_event()  # the end, of a request without a body
        return self._http.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)

    async def _event(self, within_s: float | None = None, *, until: float | None = None) -> Any:
        """The next part of the request. Raises :class:`WireError`."""
        if within_s is not None:
            until = asyncio.get_running_loop().time() + within_s
        try:
            async with asyncio.timeout_at(until):
                while (event := self._http.next_event()) is h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(READ_BYTES))
                    await asyncio.sleep(0)
        except TimeoutError as error:
            raise WireError("idle", "the request did not come in time") from error
        except h11.RemoteProtocolError as error:
            raise WireError("bad-message", f"this is no HTTP: {error}") from error
        return event
