"""The protocol of a connection: what is answered, and the last words to a client. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from websockets.frames import PONG, CloseCode, Frame
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from engine import events
from streamer.server.outbox import Message, Outbox
from streamer.server.telephony.leading import SUBPROTOCOLS
from streamer.wire.errors import WireError


class Protocol(ServerProtocol):
    """Says why before it refuses a message for its size; the library itself only closes.

    It answers no ping while the client leaves unread what it was sent (RFC 6455, section 5.5.3,
    leaves out all answers but the last): the answers would wait in memory, without a bound.
    """

    outbox: Outbox
    unread = False  # the client does not read what it is sent

    def send_frame(self, frame: Frame) -> None:
        """A frame to the client."""
        if not (self.unread and frame.opcode is PONG):
            super().send_frame(frame)

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """One of those that the client offers; whoever offers others goes on without."""
        return next((one for one in subprotocols if one in SUBPROTOCOLS), None)

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        """Fail the connection (RFC 6455, section 7.1.7)."""
        if code == CloseCode.MESSAGE_TOO_BIG and self.state is OPEN:
            most = f"a message has at most {self.max_message_size} bytes (limits.message_bytes)"
            message = f"{most}: send smaller pieces"
            for text in last_texts(self.outbox, WireError("message-too-big", message)):
                self.send_text(text)
        super().fail(code, reason)


def failure(error: WireError, t: float) -> events.Failure:
    """The error as it is told, at media time ``t``."""
    retry_s = msgspec.UNSET if error.retry_s is None else error.retry_s
    return events.Failure(t=t, code=error.code, message=str(error), retry_s=retry_s)


def last_texts(outbox: Outbox, error: WireError | None) -> list[bytes]:
    """What still waits to be told, and the error as the last of it; nothing follows."""
    last = None
    if error is not None and not outbox.ended:
        last = Message(failure(error, outbox.t))
    outbox.end(last)
    return outbox.texts()
