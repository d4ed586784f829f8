"""What a server said and nobody has read yet: each number once, in order, bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Generic, TypeVar

import msgspec

from voxwatch_client.errors import ClientError, ConnectionFailed, ServerError
from voxwatch_client.messages import Event

UNREAD_EVENTS = 4096  # half an hour of them: then receiving stops until some are read
UNREAD_S = 60.0

Message = TypeVar("Message")


def number_of(message: Event) -> int:
    """A message's sequence number. Raises :class:`ServerError` where the server left it out."""
    if isinstance(message.seq, msgspec.UnsetType):
        raise ServerError("bad-message", "the server sent a message without its number")
    return message.seq


class Inbox(Generic[Message]):
    """For one task that receives and one that reads.

    Who receives waits in :meth:`room` while it is ``full``, so that the server sees a slow
    consumer.
    """

    def __init__(self, last_seq: int) -> None:
        self.last_seq = last_seq
        self._unread: deque[Message] = deque()
        self._failure: ClientError | None = None
        self._ended = False
        self._arrived, self._read = asyncio.Event(), asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no more should be received for now."""
        return len(self._unread) >= UNREAD_EVENTS

    def add(self, message: Any) -> bool:
        """Take in a message; False for one that was told before. Raises where one is missing."""
        number = number_of(message)
        if number <= self.last_seq:
            return False
        if number > self.last_seq + 1:
            raise ServerError("gap", "events are missing: the server left numbers out")
        self.last_seq = number
        self._unread.append(message)
        self._arrived.set()
        return True

    def end(self, failure: ClientError | None) -> None:
        """Nothing more comes; after what is unread, reading raises ``failure`` if there is one."""
        self._failure, self._ended = failure, True
        self._arrived.set()

    async def take(self) -> Message:
        """The next message. Raises ``StopAsyncIteration`` at the end."""
        while not self._unread:
            if self._failure:
                raise self._failure
            if self._ended:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        self._read.set()
        return self._unread.popleft()

    async def room(self) -> None:
        """Wait while it is full, but not for ever.

        Whoever sends without reading would otherwise wait for the server, which waits for them.
        """
        while self.full:
            self._read.clear()
            try:
                async with asyncio.timeout(UNREAD_S):
                    await self._read.wait()
            except TimeoutError:
                raise ConnectionFailed(
                    f"{UNREAD_EVENTS} events were not read for {UNREAD_S:g} s: read while sending"
                ) from None
