"""Until when links hold, noted beside the lines of a roster, for what the wall warns of.

A link is given out anew whenever a learner's page is looked at, often until a little later each
time. What is noted already is near enough then, and no page fails for the sake of a note.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from sqlalchemy.engine import Connection

from streamer.exams.errors import ExamError
from streamer.exams.exam import Candidate
from streamer.exams.tables import CANDIDATES
from streamer.store.errors import StoreError

NEAR_S = 60.0  # so much later than what is noted is not written

log = logging.getLogger("voxwatch.exams")


def note_expiries(
    writing: Callable[..., AbstractContextManager[Connection]],
    given: Sequence[tuple[Candidate, float]],
) -> None:
    """Note until when somebody's link holds, by the latest of it. It changes nobody's seat.

    Where that cannot be written just now it is left out, with a warning in the log.
    """
    later = [(one, until) for one, until in given if not _near(one.link_expires_at, until)]
    if not later:
        return
    try:
        with writing(told=False) as connection:
            for one, until in later:
                _note(connection, one, until)
    except (ExamError, StoreError) as error:
        log.warning("until when links hold cannot be noted just now: %s", error)


def _near(noted: float | None, until: float) -> bool:
    return noted is not None and noted >= until - NEAR_S


def _note(connection: Connection, candidate: Candidate, until: float) -> None:
    """Others may have noted a later one meanwhile, or made the link anew."""
    line, link = CANDIDATES.c.reference == bytes.fromhex(candidate.id), CANDIDATES.c.link
    latest = CANDIDATES.c.link_expires_at
    later = line & (link == candidate.link) & (latest.is_(None) | (latest < until))
    connection.execute(CANDIDATES.update().where(later).values(link_expires_at=until))
