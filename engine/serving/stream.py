"""One stream of sound through the engine, with a task that sends and a task that reads."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from engine.arrival.moments import Arrival
from engine.errors import AudioError, EngineError
from engine.events import AnyEvent
from engine.format import seconds
from engine.jobs import Job, JobFailure, Result, VadJob
from engine.serving.config import EngineConfig
from engine.serving.conversation import Conversation
from engine.serving.line import QueuedJob
from engine.serving.pool import InferencePool

# Time that the event loop or a line of clients takes is none in which a client sends nothing.
LATE_S = 0.25
PIECE_BYTES = 16_384  # sound is taken in pieces of this size, half a second at 16 kHz, 16 bit


class Stream:
    """One stream of sound through the engine: an async iterator of its events.

    One task sends and another reads. They must run at the same time, because a stream with
    ``unread_events`` unread events makes its sender wait.
    """

    def __init__(
        self,
        conversation: Conversation,
        pool: InferencePool,
        *,
        number: int,
        live: bool | None,
        config: EngineConfig,
        ended: Callable[[Stream], None],
    ) -> None:
        self.conversation, self.number = conversation, number
        self.live, self._watched, self._paced = live is not False, live is None, live is not False
        self._pool, self._config, self._ended = pool, config, ended
        self._opened_s = pool.now()
        self._events: deque[AnyEvent] = deque()  # bounded by the sender's waiting
        self._reader: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._waited_s = 0.0  # by senders, for room
        self._latest_s = -math.inf  # that the clock has told
        self._sender_waits = False
        # For what follows from time without sound, and when that is by the loop's clock: uvloop's
        # handle for a time that has passed does not know it.
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        # Whether sound may be there already, which whoever sends it has not come to send.
        self.made_to_wait: Callable[[], bool] = lambda: False
        self._eof = self._over = False
        self._failure: EngineError | None = None

    def begin(self) -> None:
        """The stream begins now: from here on it is told that no sound comes."""
        self._guard(self.conversation.begin, self._now())
        self._wind()

    async def send(self, data: bytes) -> None:
        """Take in sound; waits while the backlog is over its bound.

        Raises :class:`AudioError` for what is not sound, :class:`EngineError` when the stream
        has failed or was closed. A send that is cancelled may have taken a part.
        """
        arrived = self._now()
        for start in range(0, len(data), PIECE_BYTES):
            if start:
                await asyncio.sleep(0)  # so that a long message does not hold up the other streams
            await self._wait_for_room()
            self._check()
            # A call of the system, which only files need.
            began_s = 0.0 if self.live else time.thread_time()
            try:
                more = max(0, len(data) - start - PIECE_BYTES)
                piece = data[start : start + PIECE_BYTES]
                self.conversation.receive_pcm(piece, replace(arrived, more_bytes=more))
            except AudioError:
                raise  # the sound is wrong and the stream is not: it goes on
            except Exception as error:  # whatever else a conversation raises ends it
                self.fail(EngineError.by(error))
            finally:
                now = self._pool.now()
                if self._watched:
                    self._watch(now)
                self._advance(now)
                self._make_room()
                if began_s:
                    self._pool.leisure.spent(time.thread_time() - began_s)
            if self._failure:
                raise self._failure
        self._wind()

    def decoded(self, seconds: float) -> None:
        """The event loop's time that decoding took before sound was sent: files wait for it."""
        if seconds and not self.live:
            self._pool.leisure.spent(seconds)

    def ask(self, call: Callable[[], None]) -> None:
        """Ask the conversation for something, and hand on what follows from it."""
        if not self._over:
            self._guard(call)
            self._advance(self._pool.now())
            self._pool.hurry(self.number)

    async def finalize(self) -> None:
        """No more sound follows. It returns at once, and the events end when all is answered."""
        if self._over or self._eof:
            return
        self._eof = True
        self._guard(self.conversation.receive_eof)
        self._advance(self._pool.now())

    async def close(self) -> None:
        """Abandon the stream: no more events come, and its queued jobs do not run. Idempotent."""
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

    # The methods from here on are for the engine.

    def answered(self, entry: QueuedJob, result: Result) -> None:
        """The answer to a job of this stream. Windows that follow from it inherit its arrival."""
        if self._over:
            return
        self._guard(self.conversation.receive_result, result)
        self._advance(entry.arrived_s)

    def set_overload(self, hop_s: float, late_s: float) -> None:
        """Tell the conversation that the server is overloaded, or no longer is."""
        self._guard(self.conversation.set_overload, hop_s, late_s)
        self._advance(self._pool.now())

    def fail(self, error: EngineError) -> None:
        """The stream cannot go on. Its reader gets the events of before, then ``error``."""
        if not self._over:
            self._failure = error
            self._end()

    async def _wait_for_room(self) -> None:
        if self._room.is_set() and self.live:
            return
        begun, self._sender_waits = self._pool.now(), True
        try:
            await self._room.wait()
            if not self.live:
                await self._pool.leisure.wait()
        finally:
            self._waited_s += self._pool.now() - begun
            self._sender_waits = False

    def _now(self) -> Arrival:
        return Arrival(self._clock_s if self._paced else None, time.time())

    @property
    def _clock_s(self) -> float:
        """Without what was waited for. It may stand still, and never goes back."""
        self._latest_s = max(self._latest_s, self._pool.now() - self._waited_s)
        return self._latest_s

    def _wind(self, least_s: float = 0.0) -> None:
        """See to it that the conversation hears of the time that passes without sound.

        That is so much later from now at least.
        """
        due = self.conversation.next_s
        if due is None or self._over:
            return
        due += self._waited_s
        if least_s:
            due = max(due, self._pool.now() + least_s)
        if self._timer is not None:
            if self._due_s <= due:
                return
            self._timer.cancel()
        self._due_s = due
        self._timer = asyncio.get_running_loop().call_at(due, self._pass_time)

    def _pass_time(self) -> None:
        # A timer is not moved whenever sound comes: it may be early, and is then set anew.
        late_s, self._timer = self._pool.now() - self._due_s, None
        due = self.conversation.next_s
        if self._over or self._sender_waits or due is None:  # a sender that waited winds it
            return
        if self.made_to_wait() or late_s > LATE_S:
            # Sound may be there already, and is waited for: so far it is no later than it was due.
            self._waited_s += max(0.0, self._pool.now() - self._waited_s - due)
            self._wind(LATE_S)
            return
        if due <= self._clock_s:
            self._guard(self.conversation.pass_time, self._now())
            self._advance(self._pool.now())
        self._wind()

    def _check(self) -> None:
        if self._failure:
            raise self._failure
        if self._over:
            raise EngineError("the stream is closed")
        if self._eof:
            raise RuntimeError("the stream has ended: no sound can follow")

    def _watch(self, now: float) -> None:
        """Treat the stream as a file from the moment that it runs ahead of real time."""
        lead_s = self.conversation.received_s - (now - self._opened_s)
        if lead_s > self._config.ahead_s:
            self.live = self._watched = False
            if self._pool.hop_s:
                self._guard(self.conversation.set_overload, 0.0, 0.0)

    def _advance(self, arrived_s: float) -> None:
        """Hand on the jobs and the events that the conversation has now."""
        try:
            while not self._over and self._refused(arrived_s):
                pass  # what was refused may bring about other jobs
            if not self._over:
                self._events.extend(self.conversation.events())
        except Exception as error:  # whatever a conversation raises
            self.fail(EngineError.by(error))
        if self._over:
            return
        if self._eof and not self.conversation.waiting:
            self._end()
        elif self._events:
            self._wake()
        if not self._room.is_set():
            self._make_room()

    def _refused(self, arrived_s: float) -> bool:
        """Submit the jobs there are, and tell whether any of them was refused."""
        jobs = self.conversation.jobs_to_run()
        answers = [self._submit(job, arrived_s) for job in jobs]
        refusals = [answer for answer in answers if answer is not None]
        for refusal in refusals:
            self.conversation.receive_result(refusal)
        return bool(refusals)

    def _submit(self, job: Job, arrived_s: float) -> JobFailure | None:
        """Queue a job, or return the failure that answers it.

        The deadline of a window counts from the arrival of the frames that completed it, that
        of a detection from now. The beginning of a file is no more urgent than live sound.
        """
        if isinstance(job, VadJob):
            arrived_s = self._pool.now()
        due_s = arrived_s + (self._config.deadline_s if self.live else self._config.patience_s)
        if self._watched and not isinstance(job, VadJob):
            due_s = max(due_s, self._opened_s + seconds(job.due) + self._config.deadline_s)
        return self._pool.submit(
            QueuedJob(self.number, job, arrived_s, due_s, self.live, answered=self.answered)
        )

    def _guard(self, call: Callable[..., None], *values: object) -> None:
        """A conversation that fails ends its own stream, and nobody else's."""
        try:
            call(*values)
        except Exception as error:  # whatever a conversation raises
            self.fail(EngineError.by(error))

    def _make_room(self) -> None:
        config = self._config
        full = (
            self.conversation.backlog_s > config.backlog_s
            or len(self._events) >= config.unread_events
        )
        if full and not self._over:
            self._room.clear()
        else:
            self._room.set()

    def _end(self) -> None:
        if not self._over and self.conversation.waiting:
            self._pool.discard(self.number)
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._ended(self)
        self._room.set()
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
