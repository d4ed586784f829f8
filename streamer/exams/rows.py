"""What the tables of exams say: an exam, and the last line of its roster."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from streamer.exams.errors import UnknownExam
from streamer.exams.exam import MAX_NAME, Exam, Rules
from streamer.exams.tables import CANDIDATES, EXAMS


def found(connection: Connection, exam: str) -> Exam:
    """The exam of that id. Raises :class:`UnknownExam`."""
    row = connection.execute(sa.select(EXAMS).where(EXAMS.c.id == exam)).mappings().first()
    if row is None:
        raise UnknownExam(f"there is no exam {exam[:MAX_NAME]!r}: `voxwatch exam list`")
    return exam_of(row)


def exam_of(row: Any) -> Exam:
    """The exam that a row holds."""
    return Exam(**dict(row) | {"rules": msgspec.json.decode(row["rules"], type=Rules)})


def last_number(connection: Connection, exam: str) -> int:
    """The number of the last line of its roster; 0: there is none."""
    last = sa.select(sa.func.max(CANDIDATES.c.number)).where(CANDIDATES.c.exam == exam)
    return connection.scalar(last) or 0
