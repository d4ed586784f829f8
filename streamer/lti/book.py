"""Logins, exams of platforms, and attempts as they are kept: blocking, called in a thread."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from streamer.database import explained, migrate, reading, writing
from streamer.lti.errors import LtiError, NotThere, Refused
from streamer.lti.messages import Launch, Login, Place
from streamer.lti.tables import ATTEMPTS, EXAMS, HISTORY, LOGINS
from streamer.records.signing import Secret
from streamer.store.seal import BrokenSeal, Seal

WHAT = "database of LTI"
LOGIN_S = 600.0  # within which somebody has to come back from the platform


class LtiExam(msgspec.Struct, frozen=True, kw_only=True):
    """A link of a platform that is an exam; ``exam`` is ours, in which its next attempt is."""

    id: str
    place: Place
    name: str
    speaking: bool
    exam: str | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A learner's attempt. ``candidate`` is a line of the roster of ``exam``.

    ``launch`` is None once nothing is to be told to the platform any more. ``flagged`` are the ids
    of the incidents that it knows. Times in seconds since 1970.
    """

    id: str
    lti_exam: str
    exam: str
    candidate: str
    created_at: float
    heard_at: float | None = None
    ended_at: float | None = None
    launch: Launch | None = None
    flagged: tuple[str, ...] = ()
    tries: int = 0
    next_at: float = 0.0


class LtiBook:
    """Any thread may call it. Every method may raise :class:`LtiError`.

    What is sealed, and the tags by which attempts are found, follow from the records' secret.
    """

    def __init__(self, engine: Engine, secret: Secret) -> None:
        self.engine = engine
        self.seal = Seal(secret.key_for(b"lti"), b"lti")
        self._tagging = secret.key_for(b"lti attempts")
        with explained(engine, WHAT, LtiError):
            migrate(engine, HISTORY)

    # Logins.

    def expect(self, login: Login, now: float) -> None:
        """Somebody was sent to their platform, and may come back once."""
        values = {
            "state": _hashed(login.state),
            "nonce": login.nonce,
            "issuer": login.platform.issuer,
            "client": login.platform.client_id,
            "until": now + LOGIN_S,
        }
        with self.writing() as connection:
            connection.execute(LOGINS.delete().where(LOGINS.c.until < now))
            connection.execute(LOGINS.insert().values(**values))

    def take(self, state: str, now: float) -> tuple[str, str, str]:
        """Issuer, client and nonce of a login, which is gone then. Raises :class:`Refused`."""
        of = LOGINS.c.state == _hashed(state)
        with self.writing() as connection:
            found = connection.execute(sa.select(LOGINS).where(of)).mappings().first()
            connection.execute(LOGINS.delete().where(of))
        if found is None or found["until"] < now:
            raise Refused("this launch is old, or came twice: open it anew from your course")
        return found["issuer"], found["client"], found["nonce"]

    # Exams.

    def save(self, launch: Launch) -> LtiExam:
        """The exam that a launch is of, as it is now. One whose rules changed begins anew."""
        place, fields = launch.place, {"name": launch.title, "speaking": launch.speaking}
        fields |= {"context": place.context}
        with self.writing() as connection:
            there = _at(connection, place)
            if there is None:
                own = {"id": secrets.token_hex(8), "exam": None}
                given = msgspec.structs.asdict(place)
                connection.execute(EXAMS.insert().values(**given | fields | own))
            else:
                changes: dict[str, Any] = dict(fields)
                if there.speaking != launch.speaking:
                    changes["exam"] = None  # an exam of ours keeps its rules
                connection.execute(EXAMS.update().where(EXAMS.c.id == there.id).values(**changes))
            found = _at(connection, place)
        assert found is not None
        return found

    def exam(self, id: str) -> LtiExam:
        """One of them. Raises :class:`NotThere`."""
        with self.reading() as connection:
            row = connection.execute(sa.select(EXAMS).where(EXAMS.c.id == id)).mappings().first()
        if row is None:
            raise NotThere("there is no such exam")
        return _exam_of(row)

    def seen_from(self, place: Place) -> list[LtiExam]:
        """The exams of a course; where none is told, that of the link alone."""
        own = [EXAMS.c[name] == getattr(place, name) for name in ("issuer", "client", "deployment")]
        where = "context" if place.context else "link"
        query = sa.select(EXAMS).where(*own, EXAMS.c[where] == getattr(place, where))
        with self.reading() as connection:
            return [_exam_of(row) for row in connection.execute(query).mappings()]

    def sit_in(self, id: str, exam: str) -> None:
        """The next attempts are in this exam of ours."""
        with self.writing() as connection:
            connection.execute(EXAMS.update().where(EXAMS.c.id == id).values(exam=exam))

    # Attempts.

    def find(self, launch: Launch) -> Attempt | None:
        """The attempt that a launch is of."""
        found = self._attempts(sa.select(ATTEMPTS).where(ATTEMPTS.c.tag == self._tag(launch)))
        return found[0] if found else None

    def add(self, attempt: Attempt) -> Attempt:
        """A new one; if another launch of it was quicker, that one."""
        launch = attempt.launch
        assert launch is not None
        values = msgspec.structs.asdict(attempt)
        values |= {"candidate": bytes.fromhex(attempt.candidate), "tag": self._tag(launch)}
        values |= {"sealed": self._closed(values.pop("launch"), attempt.id), "flagged": "[]"}
        with self.writing() as connection:
            query = sa.select(ATTEMPTS.c.id).where(ATTEMPTS.c.tag == values["tag"])
            if connection.scalar(query) is None:
                connection.execute(ATTEMPTS.insert().values(**values))
        found = self.find(launch)
        assert found is not None
        return found

    def attempt(self, id: str) -> Attempt:
        """One of them. Raises :class:`NotThere`."""
        found = self._attempts(sa.select(ATTEMPTS).where(ATTEMPTS.c.id == id))
        if not found:
            raise NotThere("there is no such attempt")
        return found[0]

    def attempts(self, lti_exam: str) -> list[Attempt]:
        """Those of an exam, oldest first."""
        query = sa.select(ATTEMPTS).where(ATTEMPTS.c.lti_exam == lti_exam)
        return self._attempts(query.order_by(ATTEMPTS.c.created_at))

    def of(self, candidate: str) -> list[Attempt]:
        """Those of a line of a roster."""
        theirs = ATTEMPTS.c.candidate == bytes.fromhex(candidate)
        return self._attempts(sa.select(ATTEMPTS).where(theirs))

    def due(self, now: float) -> list[Attempt]:
        """Those to look at again by now."""
        return self._attempts(sa.select(ATTEMPTS).where(ATTEMPTS.c.next_at <= now))

    def look_at(self, candidate: str | None, at: float) -> None:
        """Something has happened to a candidate, or to any (None): look then at what goes on."""
        of = sa.true() if candidate is None else ATTEMPTS.c.candidate == bytes.fromhex(candidate)
        later = (ATTEMPTS.c.next_at > at) & ATTEMPTS.c.sealed.is_not(None)
        with self.writing() as connection:
            connection.execute(ATTEMPTS.update().where(of & later).values(next_at=at))

    def change(self, id: str, *, was_due_at: float | None = None, **values: Any) -> None:
        """Other values of an attempt, if it is still there.

        ``was_due_at``: only if it is still to be looked at then, so that what came in meanwhile
        (an incident, its end) is not overwritten.
        """
        if "launch" in values:
            values["sealed"] = self._closed(values.pop("launch"), id)
        if "flagged" in values:
            values["flagged"] = msgspec.json.encode(values["flagged"]).decode()
        same = ATTEMPTS.c.id == id
        if was_due_at is not None:
            same &= ATTEMPTS.c.next_at == was_due_at
        with self.writing() as connection:
            connection.execute(ATTEMPTS.update().where(same).values(**values))

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """All of it or nothing."""
        with explained(self.engine, WHAT, LtiError), writing(self.engine) as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """One moment of the tables."""
        with explained(self.engine, WHAT, LtiError), reading(self.engine) as connection:
            yield connection

    def _attempts(self, query: sa.Select[Any]) -> list[Attempt]:
        with self.reading() as connection:
            return [self._attempt_of(row) for row in connection.execute(query).mappings()]

    def _attempt_of(self, row: Any) -> Attempt:
        fields = {k: v for k, v in row.items() if k not in ("tag", "sealed")}
        fields["candidate"] = bytes(row["candidate"]).hex()
        fields["flagged"] = tuple(msgspec.json.decode(row["flagged"], type=list[str]))
        launch = None
        if row["sealed"] is not None:
            with contextlib.suppress(BrokenSeal, msgspec.MsgspecError):
                opened = self.seal.open(row["sealed"], row["id"])
                launch = msgspec.json.decode(opened, type=Launch)
        return Attempt(**fields, launch=launch)

    def _closed(self, launch: Launch | None, id: str) -> bytes | None:
        return None if launch is None else self.seal.close(msgspec.json.encode(launch), id)

    def _tag(self, launch: Launch) -> bytes:
        """Finds the attempt again, and tells nobody who has the database alone whose it is."""
        place = launch.place
        of = [place.issuer, place.client, place.deployment, place.link]
        text = msgspec.json.encode([*of, launch.user, str(launch.attempt)])
        return hmac.digest(self._tagging, text, hashlib.sha256)


def _hashed(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def _at(connection: Connection, place: Place) -> LtiExam | None:
    names = ("issuer", "client", "deployment", "link")
    query = sa.select(EXAMS).where(*(EXAMS.c[name] == getattr(place, name) for name in names))
    row = connection.execute(query).mappings().first()
    return None if row is None else _exam_of(row)


def _exam_of(row: Any) -> LtiExam:
    place = {name: row[name] for name in Place.__struct_fields__}
    own = {name: row[name] for name in ("id", "name", "speaking", "exam")}
    return LtiExam(place=Place(**place), **own)
