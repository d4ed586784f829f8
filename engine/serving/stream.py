"""One stream of sound through the engine: its sender waits, its reader is woken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from engine.errors import AudioError, EngineError
from engine.events import AnyEvent
from engine.jobs import Job, JobFailure, Result
from engine.serving.scheduler import Entry

PIECE_BYTES = 16_384  # sound is taken in pieces: half a second of 16 kHz, 16 bit


class Conversation(Protocol):
    """What a stream's logic is to the service: a session or an enrolment, sans-IO."""

    @property
    def waiting(self) -> bool:
        """Whether a job is unanswered."""

    @property
    def received_s(self) -> float:
        """Seconds of sound taken in."""

    @property
    def backlog_s(self) -> float:
        """Seconds of it that are not yet dealt with: neither scored nor found to be silence."""

    def receive_pcm(self, data: bytes, /) -> None:
        """Sound, in pieces of any size. Raises :class:`AudioError` for what is not sound."""

    def receive_eof(self) -> None:
        """No more sound."""

    def jobs_to_run(self) -> list[Job]:
        """Jobs not given out before; each will be answered."""

    def receive_result(self, result: Result, /) -> None:
        """The answer to a job."""

    def events(self) -> Iterator[AnyEvent]:
        """Events ready to be told, each once, in order."""

    def behind(self, hop_s: float, behind_s: float, /) -> None:
        """The server is ``behind_s`` late: score every ``hop_s`` at most often, and say so.

        The shortest hop that the server can serve; a stream whose own hop is longer keeps
        its own. ``hop_s`` 0 is the way back to the stream's own hop.
        """


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """``threads`` ``None`` is a thread for each core this process may use, two on a GPU.

    A live window is due ``deadline_s`` after its sound arrived, one of a stream that sends
    faster than real time after ``patience_s``. ``batching`` false runs every job by itself,
    for comparison.
    """

    threads: int | None = None
    backlog_s: float = 4.0  # sound of a stream not yet scored; its sender waits beyond
    unread_events: int = 4096  # of a stream; its sender waits beyond
    capacity: int = 1024  # windows in line, views of the streams' sound; more are refused
    ahead_s: float = 2.0  # a stream that has ever been further ahead of real time is no live one
    deadline_s: float = 0.2
    patience_s: float = 2.0
    batching: bool = True

    def __post_init__(self) -> None:
        if min(self.backlog_s, self.ahead_s, self.deadline_s, self.patience_s) <= 0:
            raise ValueError("backlog, lead, deadline and patience must be positive")
        counts = (self.unread_events, self.capacity, 1 if self.threads is None else self.threads)
        if min(counts) < 1:
            raise ValueError("threads, unread events and capacity must be positive")


class Service(Protocol):
    """What a stream needs of the engine."""

    @property
    def config(self) -> EngineConfig: ...

    @property
    def hop_s(self) -> float:
        """The hop live streams must keep; 0: their own."""

    def now(self) -> float:
        """The clock of deadlines: seconds."""

    def submit(self, stream: Stream, job: Job, arrived_s: float, /) -> JobFailure | None:
        """Put a stream's job in line; if that cannot be, its answer."""

    def forget(self, stream: Stream, /) -> None:
        """A stream is over: what it has in line will not be run."""


class Stream:
    """One stream of sound through the engine: an async iterator of its events.

    For one sending and one reading task. Send while reading: a stream with
    ``unread_events`` unread makes its sender wait.
    """

    def __init__(
        self, engine: Service, number: int, conversation: Conversation, live: bool | None
    ) -> None:
        self.conversation, self.number = conversation, number
        self.live, self._watched = live is not False, live is None
        self._engine, self._opened_s = engine, engine.now()
        self._events: deque[AnyEvent] = deque()  # bounded by the sender's waiting
        self._reader: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._ending = self._over = False
        self._failure: EngineError | None = None

    async def send(self, data: bytes) -> None:
        """Take in sound; waits while the backlog is over its bound.

        Raises :class:`AudioError` for what is not sound, :class:`EngineError` when the stream
        has failed or was closed. A send that is cancelled may have taken a part.
        """
        for start in range(0, len(data), PIECE_BYTES):
            if start:
                await asyncio.sleep(0)  # a long message must not hold up the other streams
            await self._room.wait()
            self._check()
            try:
                self.conversation.receive_pcm(data[start : start + PIECE_BYTES])
            except AudioError:
                raise  # to the sender: the sound is wrong, not the stream
            except Exception as error:  # whatever else a conversation raises ends it
                self.fail(_failure(error))
            finally:
                now = self._engine.now()
                if self._watched:
                    self._watch(now)
                self._advance(now)
                self._make_room()
            if self._failure:
                raise self._failure

    async def finish(self) -> None:
        """No more sound follows. Returns at once; the events end when all is answered."""
        if self._over or self._ending:
            return
        self._ending = True
        self._guard(self.conversation.receive_eof)
        self._advance(self._engine.now())

    async def close(self) -> None:
        """Abandon the stream: no more events come, what is in line is not run. Idempotent."""
        self._end()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> AnyEvent:
        if self._reader is not None:
            raise RuntimeError("the stream is being read by another task")
        while not self._events:
            if self._failure:
                raise self._failure
            if self._over:
                raise StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        event = self._events.popleft()
        if not self._room.is_set():
            self._make_room()
        return event

    # What follows is for the engine.

    def answered(self, entry: Entry, result: Result) -> None:
        """The answer to a job of this stream; windows that follow from it inherit its arrival."""
        self._guard(self.conversation.receive_result, result)
        self._advance(entry.arrived_s)

    def slow(self, hop_s: float, behind_s: float) -> None:
        """The server is behind, or no longer: tell the conversation."""
        self._guard(self.conversation.behind, hop_s, behind_s)
        self._advance(self._engine.now())

    def fail(self, error: EngineError) -> None:
        """The stream cannot go on. Its reader gets what was said before, then ``error``."""
        if not self._over:
            self._failure = error
            self._end()

    def _check(self) -> None:
        if self._failure:
            raise self._failure
        if self._over:
            raise EngineError("the stream is closed")
        if self._ending:
            raise RuntimeError("the stream has ended: no sound can follow")

    def _watch(self, now: float) -> None:
        """Whether this is still a live stream: a file is known by its running ahead of time."""
        lead_s = self.conversation.received_s - (now - self._opened_s)
        if lead_s > self._engine.config.ahead_s:
            self.live = self._watched = False
            if self._engine.hop_s:
                self._guard(self.conversation.behind, 0.0, 0.0)

    def _advance(self, arrived_s: float) -> None:
        """Hand on the jobs the conversation has now, and what it says."""
        try:
            while not self._over and self._refused(arrived_s):
                pass  # what was refused may bring about other jobs
            if not self._over:
                self._events.extend(self.conversation.events())
        except Exception as error:  # whatever a conversation raises
            self.fail(_failure(error))
        if self._over:
            return
        if self._ending and not self.conversation.waiting:
            self._end()
        elif self._events:
            self._wake()
        if not self._room.is_set():
            self._make_room()

    def _refused(self, arrived_s: float) -> bool:
        """Submit what there is; whether any of it was refused."""
        jobs = self.conversation.jobs_to_run()
        answers = [self._engine.submit(self, job, arrived_s) for job in jobs]
        refusals = [answer for answer in answers if answer is not None]
        for refusal in refusals:
            self.conversation.receive_result(refusal)
        return bool(refusals)

    def _guard(self, call: Callable[..., None], *values: object) -> None:
        """A conversation that fails ends its own stream, and nobody else's."""
        try:
            call(*values)
        except Exception as error:  # whatever a conversation raises
            self.fail(_failure(error))

    def _make_room(self) -> None:
        config = self._engine.config
        full = (
            self.conversation.backlog_s > config.backlog_s
            or len(self._events) >= config.unread_events
        )
        if full and not self._over:
            self._room.clear()
        else:
            self._room.set()

    def _end(self) -> None:
        self._over = True
        self._engine.forget(self)
        self._room.set()
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _failure(error: Exception) -> EngineError:
    failure = EngineError(str(error) or type(error).__name__)
    failure.__cause__ = error
    return failure
