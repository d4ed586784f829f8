"""The client of `voxwatch_client` for programs without asyncio.

    with connect("ws://localhost:8765", claim="alice", sample_rate=48000) as stream:
        stream.send(pcm)
        stream.finalize()
        for event in stream:
            ...

The asynchronous client runs in a thread of its own, so that a broken connection is resumed
whatever the program is doing, and one thread may send while another reads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Generic, TypeVar

import voxwatch_client as client
from voxwatch_client import messages
from voxwatch_client.control import ControlClient
from voxwatch_client.errors import ConnectionFailed, ServerError
from voxwatch_client.inbox import Message
from voxwatch_client.opening import Ready
from voxwatch_client.stream import ClientStream
from voxwatch_client.verdict import verify

__all__ = [
    "ConnectionFailed",
    "ServerError",
    "SyncStream",
    "connect",
    "control",
    "enroll",
    "verify",
]

T = TypeVar("T")


class _Loop:
    """An event loop in a thread, for callers in other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="voxwatch client", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``; a caller that is interrupted cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SyncStream(Generic[Ready, Message]):
    """A :class:`~voxwatch_client.stream.ClientStream` whose methods wait."""

    def __init__(self, stream: ClientStream[Ready, Message], loop: _Loop) -> None:
        self._stream: ClientStream[Ready, Message] = stream
        self._loop = loop

    @property
    def ready(self) -> Ready:
        """What the server said first."""
        return self._stream.ready

    @property
    def reconnections(self) -> int:
        """How often the stream went on after a broken connection."""
        return self._stream.reconnections

    def send(self, pcm: bytes) -> None:
        """Send sound, in pieces of any size; waits while there is no room for more of it."""
        self._loop.run(self._stream.send(pcm))

    def finalize(self) -> None:
        """No more sound follows: the server tells the rest, and the events end."""
        self._loop.run(self._stream.finalize())

    def configure(
        self,
        *,
        claim: str | Sequence[str] | None = None,
        false_accept: float | None = None,
        miss: float | None = None,
    ) -> None:
        """Other names or bounds for the sound that is sent after it, as those below."""
        self._loop.run(self._stream.configure(claim=claim, false_accept=false_accept, miss=miss))

    def turn(self) -> None:
        """A new turn begins here: a button was pushed to talk, or a wake word said."""
        self._loop.run(self._stream.turn())

    def reset(self) -> None:
        """Forget who has spoken: from here on it may be anybody."""
        self._loop.run(self._stream.reset())

    def mute(self, on: bool) -> None:
        """What comes is our own loudspeaker, which is heard and never judged, or no longer is."""
        self._loop.run(self._stream.mute(on))

    def unheard(self) -> tuple[int, bytes]:
        """From which byte on the server is not known to have heard the stream, and that sound."""

        async def asked() -> tuple[int, bytes]:  # where nothing else touches it
            return self._stream.unheard()

        return self._loop.run(asked())

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        try:
            return self._loop.run(self._stream.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None


class SyncControl:
    """A :class:`~voxwatch_client.control.ControlClient` whose requests wait."""

    def __init__(self, requests: ControlClient, loop: _Loop) -> None:
        self._requests, self._loop = requests, loop

    def request(self, kind: str, **fields: Any) -> Any:
        """The result of a request. Raises :class:`ServerError` where the server refuses."""
        return self._loop.run(self._requests.request(kind, **fields))


@contextmanager
def connect(
    url: str, **options: Any
) -> Iterator[SyncStream[messages.Ready, messages.StreamMessage]]:
    """:func:`voxwatch_client.connect`, with the same options, for ``with``."""
    with _entered(client.connect(url, **options)) as (opened, loop):
        yield SyncStream(opened, loop)


@contextmanager
def enroll(
    url: str, name: str, **options: Any
) -> Iterator[SyncStream[messages.EnrollReady, messages.EnrollMessage]]:
    """:func:`voxwatch_client.enroll`, with the same options, for ``with``."""
    with _entered(client.enroll(url, name, **options)) as (opened, loop):
        yield SyncStream(opened, loop)


@contextmanager
def control(url: str, **options: Any) -> Iterator[SyncControl]:
    """:func:`voxwatch_client.control`, with the same options, for ``with``."""
    with _entered(client.control(url, **options)) as (opened, loop):
        yield SyncControl(opened, loop)


@contextmanager
def _entered(context: AbstractAsyncContextManager[T]) -> Iterator[tuple[T, _Loop]]:
    loop = _Loop()
    try:
        opened = loop.run(_enter(context))
        try:
            yield opened, loop
        finally:
            loop.run(_leave(context))
    finally:
        loop.close()


async def _enter(context: AbstractAsyncContextManager[T]) -> T:
    return await context.__aenter__()


async def _leave(context: AbstractAsyncContextManager[Any]) -> None:
    # Not the caller's exception: asynccontextmanager would raise it again, in this thread.
    await context.__aexit__(None, None, None)
