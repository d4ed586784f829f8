"""What serving knows of the logic of a stream, which is a session or an enrolment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from engine.arrival.moments import Arrival
from engine.events import AnyEvent
from engine.jobs import Job, Result


class Conversation(Protocol):
    """Sound and results go in, and jobs and events come out. It does no I/O of its own."""

    @property
    def waiting(self) -> bool:
        """Whether there is a job to run, or an unanswered one that the end has to wait for."""

    @property
    def received_s(self) -> float:
        """Seconds of sound taken in."""

    @property
    def backlog_s(self) -> float:
        """Seconds of sound that are neither scored nor found to be silence yet."""

    def begin(self, now: Arrival, /) -> None:
        """The stream begins: from now on sound is waited for."""

    def receive_pcm(self, data: bytes, arrived: Arrival, /) -> None:
        """Take in sound, in pieces of any size. Raises :class:`AudioError` for other bytes."""

    def pass_time(self, now: Arrival, /) -> None:
        """No more sound has come until now."""

    @property
    def next_s(self) -> float | None:
        """When to call :meth:`pass_time` next, by the clock of the arrivals; None: not at all."""

    def receive_eof(self) -> None:
        """No more sound follows."""

    def jobs_to_run(self) -> list[Job]:
        """Jobs that were not given out before. Each of them will be answered."""

    def receive_result(self, result: Result, /) -> None:
        """The answer to a job."""

    def events(self) -> Iterator[AnyEvent]:
        """Events ready to be told, each once, in order."""

    def set_overload(self, hop_s: float, late_s: float, /) -> None:
        """The server is ``late_s`` late: score once every ``hop_s`` at most, and say so.

        ``hop_s`` is the shortest hop that the server can serve; a stream whose own hop is longer
        keeps its own. ``hop_s`` 0 ends the overload: the stream goes back to its own hop.
        """
