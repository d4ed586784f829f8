"""What serving knows of a stream's logic: a session or an enrolment, sans-IO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from engine.events import AnyEvent
from engine.jobs import Job, Result


class Conversation(Protocol):
    """Sound and results go in, jobs and events come out."""

    @property
    def waiting(self) -> bool:
        """Whether there is a job to run, or an unanswered one that the end has to wait for."""

    @property
    def received_s(self) -> float:
        """Seconds of sound taken in."""

    @property
    def backlog_s(self) -> float:
        """Seconds of it that are not yet dealt with: neither scored nor found to be silence."""

    def receive_pcm(self, data: bytes, /) -> None:
        """Sound, in pieces of any size. Raises :class:`AudioError` for what is not sound."""

    def receive_eof(self) -> None:
        """No more sound follows."""

    def jobs_to_run(self) -> list[Job]:
        """Jobs not given out before; each will be answered."""

    def receive_result(self, result: Result, /) -> None:
        """The answer to a job."""

    def events(self) -> Iterator[AnyEvent]:
        """Events ready to be told, each once, in order."""

    def set_overload(self, hop_s: float, late_s: float, /) -> None:
        """The server is ``late_s`` late: score every ``hop_s`` at most often, and say so.

        ``hop_s`` is the shortest hop that the server can serve; a stream whose own hop is longer
        keeps its own. ``hop_s`` 0 ends the overload: the stream goes back to its own hop.
        """
