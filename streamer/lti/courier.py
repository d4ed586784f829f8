"""Flags incidents at platforms, tries again, and ends what is kept of an attempt that is over.

What is still to be told stands in the database: a server that was killed goes on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from streamer.exams.errors import ExamError
from streamer.lti.book import Attempt
from streamer.lti.control import SEVERITY, ControlService, takes_flags
from streamer.lti.errors import PlatformError, Refused
from streamer.lti.messages import Launch
from streamer.lti.tool import SETTLE_S, SITTING_S, Tool
from streamer.records.errors import RecordError
from streamer.wire.incidents import Incident

log = logging.getLogger("voxwatch.server")

KILLED_S = 60.0  # from a look that a kill broke off until the next
FIRST_RETRY_S, LAST_RETRY_S = 4.0, 3600.0
GIVEN_UP_S = 86_400.0  # after the end of an attempt, when a platform takes no flags of it
NEVER = 1e18  # when an attempt is looked at of which nothing is to be told any more


class Courier:
    """Blocks: call it in a thread. ``incidents`` are those of a stream."""

    def __init__(
        self, tool: Tool, control: ControlService, incidents: Callable[[str], Iterable[Incident]]
    ) -> None:
        self._tool, self._control, self._incidents = tool, control, incidents

    def deliver(self, now: float) -> None:
        """Tell what is due at ``now`` (s since 1970). Raises for a database that fails."""
        book, again_at = self._tool.book, now + KILLED_S
        for attempt in book.due(now):
            book.change(attempt.id, was_due_at=attempt.next_at, next_at=again_at)
            try:
                changes = self._look(attempt, now)
            except (PlatformError, RecordError, Refused) as error:
                changes = self._failed(attempt, error, now)
            book.change(attempt.id, was_due_at=again_at, **changes)

    def _look(self, attempt: Attempt, now: float) -> dict[str, object]:
        """What changes with an attempt by what was told of it. Raises :class:`PlatformError`."""
        launch, until = attempt.launch, _end(attempt)
        if launch is None or self._is_forgotten(attempt):
            return _done()
        flagged = attempt.flagged
        if takes_flags(launch):
            for incident in self._unknown(attempt, until):
                self._flag(launch, incident, now)
                flagged = (*flagged, incident.id)
                self._tool.book.change(attempt.id, flagged=flagged)
        if now >= until + SETTLE_S:
            return _done()
        return {"tries": 0, "next_at": until + SETTLE_S}

    def _flag(self, launch: Launch, incident: Incident, now: float) -> None:
        platform = self._tool.platform(launch.place.issuer, launch.place.client)
        try:
            self._control.flag(platform, self._tool.keys.signing(now), launch, incident)
        except PlatformError as error:
            if not error.final:
                raise
            log.warning("an incident is not flagged: %s", error)

    def _unknown(self, attempt: Attempt, until: float) -> list[Incident]:
        """Incidents by which somebody else may have spoken, of which the platform knows nothing."""
        book = self._tool.record
        streams = book.streams(exam=attempt.exam, person=attempt.candidate)
        found = [(stream, one) for stream in streams for one in self._incidents(stream.stream)]
        return [
            one
            for stream, one in found
            if one.kind in SEVERITY
            and not one.note_only
            and one.id not in attempt.flagged
            # Sound that waited at the client is older than the stream, which is of the attempt.
            and max(stream.started_at, one.since_at) >= attempt.created_at
            and one.since_at <= until
        ]

    def _is_forgotten(self, attempt: Attempt) -> bool:
        try:
            return self._tool.exams.candidate(attempt.exam, attempt.candidate).forgotten
        except ExamError:
            return True

    def _failed(self, attempt: Attempt, error: Exception, now: float) -> dict[str, object]:
        log.warning("an attempt could not be reported: %s", error)
        if now > _end(attempt) + GIVEN_UP_S:
            return _done()
        wait_s = min(FIRST_RETRY_S * 2.0 ** min(attempt.tries, 20), LAST_RETRY_S)
        return {"tries": attempt.tries + 1, "next_at": now + wait_s}


def _end(attempt: Attempt) -> float:
    """When it was over, or has to be."""
    return attempt.created_at + SITTING_S if attempt.ended_at is None else attempt.ended_at


def _done() -> dict[str, object]:
    """Nothing is to be told any more, and who it was for is not kept here."""
    return {"launch": None, "tries": 0, "next_at": NEVER}
