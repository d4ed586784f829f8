"""Open edX's exams and attempts as they are kept: blocking, called in a thread."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from streamer.database import explained, migrate, reading, writing
from streamer.edx.errors import EdxError, NotThere
from streamer.edx.payloads import ExamSaved, Review, Status
from streamer.edx.tables import ATTEMPTS, EXAMS, HISTORY, LINKS

WHAT = "database of Open edX's exams"
USE = sa.text(
    "INSERT INTO edx_links (number, until) VALUES (:number, :until) ON CONFLICT DO NOTHING"
)


class EdxExam(msgspec.Struct, frozen=True, kw_only=True):
    """An exam of Open edX; ``exam`` is ours, in which its next attempt is."""

    id: str
    number: int
    course: str
    name: str
    due_at: float | None
    limit_s: float
    practice: bool
    active: bool
    rules: dict[str, bool]
    exam: str | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A learner sits an exam. ``candidate`` is a line of the roster of ``exam``."""

    id: str
    edx_exam: str
    exam: str
    candidate: str
    limit_s: float
    status: Status
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    ready_at: float | None = None
    review: Review | None = None
    entries: int = 0
    tries: int = 0
    next_at: float = 0.0


class EdxBook:
    """Any thread may call it. Every method may raise :class:`EdxError`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        with explained(engine, WHAT, EdxError):
            migrate(engine, HISTORY)

    # Exams.

    def save(self, saved: ExamSaved, id: str | None) -> EdxExam:
        """A new exam, or another state of one. Raises :class:`NotThere`."""
        fields = {
            "number": saved.id,
            "course": saved.course_id,
            "name": saved.title,
            "due_at": saved.due_at,
            "limit_s": saved.time_limit_mins * 60.0,
            "practice": saved.is_practice_exam,
            "active": saved.is_active and saved.is_proctored,
            "rules": msgspec.json.encode(saved.rules, order="sorted").decode(),
        }
        with self._writing() as connection:
            if id is None:
                id = secrets.token_hex(8)
                connection.execute(EXAMS.insert().values(id=id, **fields))
            else:
                there = _exam(connection, id)
                if there.rules != saved.rules:
                    fields["exam"] = None  # an exam of ours keeps its rules
                connection.execute(EXAMS.update().where(EXAMS.c.id == id).values(**fields))
            return _exam(connection, id)

    def exam(self, id: str) -> EdxExam:
        """One of them. Raises :class:`NotThere`."""
        with self._reading() as connection:
            return _exam(connection, id)

    def of_course(self, course: str) -> list[EdxExam]:
        """The exams of a course, oldest first."""
        query = sa.select(EXAMS).where(EXAMS.c.course == course).order_by(EXAMS.c.number)
        with self._reading() as connection:
            return [_exam_of(row) for row in connection.execute(query).mappings()]

    def sit_in(self, id: str, exam: str) -> None:
        """The next attempts are in this exam of ours."""
        with self._writing() as connection:
            connection.execute(EXAMS.update().where(EXAMS.c.id == id).values(exam=exam))

    # Attempts.

    def add(self, attempt: Attempt) -> None:
        """A new one."""
        values = msgspec.structs.asdict(attempt) | {"candidate": bytes.fromhex(attempt.candidate)}
        with self._writing() as connection:
            connection.execute(ATTEMPTS.insert().values(**values))

    def attempt(self, edx_exam: str, id: str) -> Attempt:
        """One of an exam. Raises :class:`NotThere`."""
        query = sa.select(ATTEMPTS).where(ATTEMPTS.c.id == id, ATTEMPTS.c.edx_exam == edx_exam)
        with self._reading() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotThere("there is no such attempt")
        return _attempt_of(row)

    def attempts(self, edx_exam: str) -> list[Attempt]:
        """Those of an exam, oldest first."""
        query = sa.select(ATTEMPTS).where(ATTEMPTS.c.edx_exam == edx_exam)
        return self._attempts(query.order_by(ATTEMPTS.c.created_at))

    def of(self, candidate: str) -> list[Attempt]:
        """Those of a line of a roster."""
        theirs = ATTEMPTS.c.candidate == bytes.fromhex(candidate)
        return self._attempts(sa.select(ATTEMPTS).where(theirs))

    def due(self, now: float) -> list[Attempt]:
        """Those to look at again by now."""
        return self._attempts(sa.select(ATTEMPTS).where(ATTEMPTS.c.next_at <= now))

    def change(self, attempt: Attempt, **values: Any) -> None:
        """Other values of an attempt, if it is still there and has the status that it had."""
        if isinstance(values.get("review"), Review):
            values["review"] = msgspec.json.encode(values["review"]).decode()
        with self._writing() as connection:
            same = (ATTEMPTS.c.id == attempt.id) & (ATTEMPTS.c.status == attempt.status)
            connection.execute(ATTEMPTS.update().where(same).values(**values))

    def delete(self, id: str) -> None:
        """Forget an attempt."""
        with self._writing() as connection:
            connection.execute(ATTEMPTS.delete().where(ATTEMPTS.c.id == id))

    # Links of instructors.

    def use_link(self, number: str, until: float, now: float) -> bool:
        """Whether a link is used for the first time."""
        with self._writing() as connection:
            connection.execute(LINKS.delete().where(LINKS.c.until < now))
            values = {"number": number[:128], "until": until}
            return connection.execute(USE, values).rowcount == 1

    def _attempts(self, query: Any) -> list[Attempt]:
        with self._reading() as connection:
            return [_attempt_of(row) for row in connection.execute(query).mappings()]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        with explained(self.engine, WHAT, EdxError), writing(self.engine) as connection:
            yield connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with explained(self.engine, WHAT, EdxError), reading(self.engine) as connection:
            yield connection


def _exam(connection: Connection, id: str) -> EdxExam:
    row = connection.execute(sa.select(EXAMS).where(EXAMS.c.id == id)).mappings().first()
    if row is None:
        raise NotThere("there is no such exam")
    return _exam_of(row)


def _exam_of(row: Any) -> EdxExam:
    return EdxExam(**dict(row) | {"rules": msgspec.json.decode(row["rules"])})


def _attempt_of(row: Any) -> Attempt:
    told = row["review"]
    review = None if told is None else msgspec.json.decode(told, type=Review)
    candidate = bytes(row["candidate"]).hex()
    return Attempt(**dict(row) | {"candidate": candidate, "review": review})
