"""Tells Open edX when learners are heard and what their attempts came to, and tries again.

What is still to be told stands in the database: a server that was killed goes on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from streamer.edx.book import Attempt, EdxBook
from streamer.edx.lms import Lms, LmsError
from streamer.edx.review import Heard, Incident, heard, review
from streamer.records.book import Book, StreamFacts
from streamer.records.errors import RecordError

log = logging.getLogger("voxwatch.server")

LOOK_S = 2.0  # between two looks at an attempt on which something is to be told soon
LONGEST_LOOK_S = 60.0  # between two looks at one whose learner has not come for long
LATER = 0.01  # of the time since something was due, that passes until the next look at least
SETTLE_S = 15.0  # after its end until it is reviewed: the last turn may be written yet
AGAIN_S = 60.0  # between two looks at whether somebody has judged an attempt since its review
LONGEST_AGAIN_S = 3600.0
REVIEWED_S = 30 * 86_400.0  # after its end, that an attempt's judgement may still change
AWAITED_S = 31 * 86_400.0  # after which nobody comes to an attempt any more
FIRST_RETRY_S, LAST_RETRY_S = 4.0, 3600.0
NEVER = 1e18  # when an attempt is looked at on which nothing is to be told any more


class Courier:
    """Blocks: call it in a thread. ``incidents`` are those of a stream."""

    def __init__(
        self,
        book: EdxBook,
        record: Book,
        incidents: Callable[[str], Iterable[Incident]],
        lms: Lms,
    ) -> None:
        self._book, self._record, self._incidents, self._lms = book, record, incidents, lms

    def deliver(self, now: float) -> None:
        """Tell what is due at ``now`` (s since 1970). Raises for a database that fails."""
        for attempt in self._book.due(now):
            try:
                changes = self._tell(attempt, now)
            except (LmsError, RecordError) as error:
                changes = self._failed(attempt, error, now)
            self._book.change(attempt, **changes)

    def _tell(self, attempt: Attempt, now: float) -> dict[str, object]:
        """What changes with the attempt by what Open edX was told. Raises :class:`LmsError`."""
        if attempt.ended_at is None:
            return self._ready(attempt, now)
        if now < attempt.ended_at + SETTLE_S:
            return {"next_at": attempt.ended_at + SETTLE_S}
        if now > attempt.ended_at + REVIEWED_S:
            return {"next_at": NEVER}
        streams = self._streams(attempt)
        entries = sum(stream.entries for stream in streams)
        again_s = _later(now - attempt.ended_at, AGAIN_S, LONGEST_AGAIN_S)
        if attempt.review is not None and entries == attempt.entries:
            return {"next_at": now + again_s}
        found = review(self._heard(attempt, streams), self._of(streams))
        if found != attempt.review:
            self._lms.reviewed(attempt.id, found, now)
        return {"review": found, "entries": entries, "tries": 0, "next_at": now + again_s}

    def _ready(self, attempt: Attempt, now: float) -> dict[str, object]:
        """Nothing is to be told of it before its end once Open edX knows that they are heard."""
        waited_s = now - attempt.created_at
        if attempt.ready_at is not None or waited_s > AWAITED_S:
            return {"next_at": NEVER}
        if not self._streams(attempt):
            return {"next_at": now + _later(waited_s, LOOK_S, LONGEST_LOOK_S)}
        self._lms.ready(attempt.id, now)
        return {"ready_at": now, "tries": 0, "next_at": NEVER}

    def _failed(
        self, attempt: Attempt, error: LmsError | RecordError, now: float
    ) -> dict[str, object]:
        log.warning("an attempt could not be reported: %s", error)
        if isinstance(error, LmsError) and error.final:
            return {"next_at": NEVER}
        wait_s = min(FIRST_RETRY_S * 2.0 ** min(attempt.tries, 20), LAST_RETRY_S)
        return {"tries": attempt.tries + 1, "next_at": now + wait_s}

    def _streams(self, attempt: Attempt) -> list[StreamFacts]:
        """Those that lie within it, at least in part."""
        since_at, until_at = attempt.created_at, attempt.ended_at
        found = self._record.streams(exam=attempt.exam, person=attempt.candidate)
        found = [one for one in found if one.ended_at is None or one.ended_at >= since_at]
        return [one for one in found if until_at is None or one.started_at <= until_at]

    def _heard(self, attempt: Attempt, streams: list[StreamFacts]) -> Heard | None:
        if not streams or attempt.ended_at is None:
            return None
        since_at = max(attempt.created_at, min(one.started_at for one in streams))
        entries = (self._record.history(one.stream) for one in streams)
        return heard(since_at, attempt.ended_at, entries)

    def _of(self, streams: list[StreamFacts]) -> list[Incident]:
        return [incident for one in streams for incident in self._incidents(one.stream)]


def _later(waited_s: float, least_s: float, most_s: float) -> float:
    """How long to wait until the next look, where nothing came for so long."""
    return min(max(LATER * waited_s, least_s), most_s)
