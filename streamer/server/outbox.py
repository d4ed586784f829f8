"""What waits to be sent to one client, numbered, bounded, and kept for one that comes back.

Sans-IO but for :meth:`Outbox.wait`. A message gets its sequence number when it is first
taken, so those that were coalesced before leave no gap. What was taken is kept for a while:
a client that lost its connection asks for it again from the first number it lacks.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import NamedTuple, NoReturn

import msgspec

from engine import events
from engine.arrival.moments import rfc3339
from streamer.wire.errors import WireError
from streamer.wire.messages import Level


class Message:
    """An event encoded once, whoever and however many it is sent to."""

    __slots__ = ("event", "head", "key", "stream", "tail")

    def __init__(self, event: events.Event) -> None:
        if event.seq is not msgspec.UNSET:
            raise ValueError("the event has a number already: number it where it is handed out")
        if event.at_time is msgspec.UNSET:  # the engine tells the time of its own events
            event = msgspec.structs.replace(event, at_time=rfc3339(time.time()))
        body = msgspec.json.encode(event)
        self.event = event
        self.head = b'{"type":"' + _type(event).encode() + b'","seq":'
        self.tail = body[body.index(b",") :]  # what follows the type, which has no comma
        self.stream = ""  # public id, for those who follow several
        self.key = _key(event)

    def within(self, stream: str) -> Message:
        """The same message, with the public id of its stream added."""
        named = object.__new__(Message)
        named.event, named.head, named.stream = self.event, self.head, stream
        named.tail = b',"stream":"' + stream.encode() + b'"' + self.tail
        named.key = None if self.key is None else (stream, *self.key)
        return named

    def numbered(self, number: int) -> bytes:
        """The JSON text with its sequence number."""
        return self.head + str(number).encode() + self.tail


def _type(event: events.Event) -> str:
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def _key(event: events.Event) -> tuple[str, ...] | None:
    """What a later message may stand in for; ``None``: nothing, it must be told."""
    if isinstance(event, events.Score):
        return ("score", event.speaker)
    return ("level",) if isinstance(event, Level) else None


class Sent(NamedTuple):
    """A message on its way, and the text to send."""

    number: int
    message: Message
    text: bytes


def slow_consumer() -> WireError:
    """Why a client was given up."""
    message = "the client does not read what it is told: messages were lost (limits.outbox)"
    return WireError("slow-consumer", message)


class Outbox:
    """The messages for one client, in order.

    Bounded: past half of ``limit`` waiting messages, and again after every eighth of it, only the
    newest score of each speaker is left (a ``lag`` event tells how many went); everything else is
    told. With ``limit``
    messages waiting after that the client is given up: :attr:`slow`, and what comes but a summary
    is dropped.
    Of what was sent the last ``kept`` texts are kept.
    """

    def __init__(self, *, first: int = 1, limit: int = 1024, kept: int = 0) -> None:
        self._next = first
        self._limit = limit
        self._waiting: deque[Message] = deque()
        self._coalesce_past = limit // 2
        self._sent: deque[bytes] = deque(maxlen=kept)  # texts alone: some 300 bytes a message
        self._again = 0  # how many of the newest sent messages are to be sent once more
        self._coalesced = 0
        self._behind_from = 0.0  # media time of the oldest message that was coalesced
        self._stirred = asyncio.Event()
        self.given_up = asyncio.Event()
        self.t = 0.0  # media time of the newest message
        self.ended = False
        self.coalesced = 0  # over the outbox's life

    def __len__(self) -> int:
        return len(self._waiting) + self._again

    @property
    def slow(self) -> bool:
        """Whether the client was given up: it is too far behind."""
        return self.given_up.is_set()

    @property
    def next_number(self) -> int:
        """The sequence number of the next new message."""
        return self._next

    def put(self, message: Message) -> None:
        """Add a message. Never waits, never fails: see :attr:`slow`."""
        if self.ended or (self.slow and not isinstance(message.event, events.Summary)):
            return
        self._waiting.append(message)
        self.t = message.event.t
        if len(self._waiting) > self._coalesce_past:
            self._coalesce()
            if len(self._waiting) > self._limit:
                self.given_up.set()
        self._stirred.set()

    def end(self, last: Message | None = None) -> None:
        """Nothing follows but ``last``. Who was given up gets a summary and that, and no more."""
        if self.ended:
            return
        if self.slow:
            told = (one for one in self._waiting if isinstance(one.event, events.Summary))
            self._waiting = deque(told)
            self._again = self._coalesced = 0
        if last is not None:
            self._waiting.append(last)
        self.ended = True
        self._stirred.set()

    def take(self) -> list[Sent]:
        """All new messages, each with its number."""
        self._stirred.clear()
        self._coalesce_past = self._limit // 2
        if self._coalesced:
            self._waiting.appendleft(self._lag())
        taken = []
        while self._waiting:
            message = self._waiting.popleft()
            sent = Sent(self._next, message, message.numbered(self._next))
            self._next += 1
            self._sent.append(sent.text)
            taken.append(sent)
        return taken

    def texts(self) -> list[bytes]:
        """All there is to send: what was asked for again, then what is new."""
        again = list(self._sent)[-self._again :] if self._again else []
        self._again = 0
        return again + [sent.text for sent in self.take()]

    def resume(self, number: int) -> None:
        """Send again from ``number`` on. Raises :class:`WireError` ``gap`` if that is gone."""
        count = self._next - number
        if not 0 <= count <= len(self._sent):
            raise WireError("gap", f"message {number} is no longer held: start a new stream")
        self._again = count
        self._stirred.set()

    async def wait(self) -> None:
        """Until there is something to send, or the end has come; see also :attr:`given_up`."""
        if not (len(self) or self.ended):
            await self._stirred.wait()

    async def drain(self) -> None:
        """Let everything go until the end, where nobody is told."""
        while not self.ended or len(self):
            await self.wait()
            self.texts()

    async def overflow(self) -> NoReturn:
        """Wait until the client is given up. Raises :class:`WireError` ``slow-consumer`` then."""
        await self.given_up.wait()
        raise slow_consumer()

    def _coalesce(self) -> None:
        newest = {m.key: m for m in self._waiting if m.key is not None}
        keep = deque(m for m in self._waiting if m.key is None or newest[m.key] is m)
        gone = len(self._waiting) - len(keep)
        if gone and not self._coalesced:
            self._behind_from = self._waiting[0].event.t
        self._waiting = keep
        # Not at every message: who reads nothing would cost as much as all others together.
        next_step = len(keep) + self._limit // 8
        self._coalesce_past = min(self._limit, max(self._limit // 2, next_step))
        self._coalesced += gone
        self.coalesced += gone

    def _lag(self) -> Message:
        t = self._waiting[-1].event.t
        lag = events.Lag(
            t=t,
            reason="slow-consumer",
            behind_s=round(max(0.0, t - self._behind_from), 3),
            hop_s=None,
            dropped=self._coalesced,
        )
        self._coalesced = 0
        return Message(lag)
