"""The streams of the other workers, for a follower on this one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from websockets.asyncio.client import ClientConnection

from streamer.server.figures import plain
from streamer.server.outbox import Message, Outbox
from streamer.server.workers.peers import GONE, Peers
from streamer.wire import messages
from streamer.wire.incidents import Acted, Incident

AGAIN_S = 0.5  # between attempts to reach a worker that is started again
LOST = 1006  # RFC 6455, section 7.1.5: what a stream is closed with whose worker died
MONITOR = "/v1/monitor"

Told = (
    messages.StreamEvent
    | Incident
    | Acted
    | messages.Configured
    | messages.Opened
    | messages.Closed
)
_TOLD: msgspec.json.Decoder[Told | messages.Level] = msgspec.json.Decoder(Told | messages.Level)


class Found(NamedTuple):
    """A connection to another worker, and the streams that it had when it was opened."""

    connection: ClientConnection
    states: tuple[messages.StreamState, ...]


class _Named(msgspec.Struct):
    stream: str


class OtherStreams:
    """The streams of the other workers: ``states`` are those that were open when it was entered.

    An async context manager. ``stream`` is the only one that is wanted, by its public id. Without
    ``figures`` none are told.
    """

    def __init__(self, peers: Peers, stream: str | None, levels: bool, figures: bool) -> None:
        self._peers, self._figures = peers, figures
        asked = {"levels": "1" if levels else "0"} | ({"stream": stream} if stream else {})
        self._target = f"{MONITOR}?{urlencode(asked)}"
        self._found: dict[int, Found | None] = {}
        self.seen: set[str] = set()  # those of which anything was told

    async def __aenter__(self) -> OtherStreams:
        numbers = self._peers.others
        opened = await asyncio.gather(*(self._open(number) for number in numbers))
        self._found = dict(zip(numbers, opened, strict=True))
        return self

    async def __aexit__(self, *_: object) -> None:
        for found in self._found.values():
            if found is not None:
                found.connection.transport.abort()

    @property
    def states(self) -> list[messages.StreamState]:
        """How they stand."""
        return [state for found in self._found.values() if found for state in found.states]

    async def follow(self, outbox: Outbox) -> None:
        """Put into ``outbox`` what they say, for as long as it is not cancelled."""
        await asyncio.gather(*(self._follow(number, outbox) for number in self._found))

    async def _open(self, number: int) -> Found | None:
        """A connection to a worker; None where it is not there."""
        with contextlib.suppress(*GONE, TimeoutError):
            connection = await self._peers.call(number, self._target)
            ready = msgspec.json.decode(await connection.recv(), type=messages.MonitorReady)
            return Found(connection, ready.streams)
        return None

    async def _follow(self, number: int, outbox: Outbox) -> None:
        """What one of them says, and when it was started again, what it says then."""
        while True:
            if (found := self._found[number]) is not None:
                there = {state.stream for state in found.states}
                async for message in _messages(found.connection, there, self.seen):
                    if (told := message if self._figures else plain(message)) is not None:
                        outbox.put(told)
                for stream in there:  # it died, and they with it
                    outbox.put(Message(messages.Closed(t=outbox.t, code=LOST)).within(stream))
            await asyncio.sleep(AGAIN_S)
            found = self._found[number] = await self._open(number)
            for state in found.states if found else ():
                outbox.put(Message(opened_of(state)).within(state.stream))


async def _messages(
    connection: ClientConnection, there: set[str], seen: set[str]
) -> AsyncIterator[Message]:
    """What a worker says; ``there`` are its streams, and change with it as ``seen`` does."""
    with contextlib.suppress(*GONE):
        while True:
            text = await connection.recv(decode=False)
            event, stream = _TOLD.decode(text), msgspec.json.decode(text, type=_Named).stream
            if isinstance(event, messages.Opened):
                there.add(stream)
            elif isinstance(event, messages.Closed):
                there.discard(stream)
            seen.add(stream)
            yield Message(msgspec.structs.replace(event, seq=msgspec.UNSET)).within(stream)


def opened_of(state: messages.StreamState) -> messages.Opened:
    """The event by which a follower that comes later learns of a stream."""
    names = set(messages.Opened.__struct_fields__) & set(messages.StreamState.__struct_fields__)
    return messages.Opened(t=state.received_s, **{name: getattr(state, name) for name in names})
