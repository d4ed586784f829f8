"""All exams and their rosters, in the database of records: blocking, called in a thread.

What names somebody on a roster is sealed with a key of that line, which
:class:`streamer.exams.roster_keys.RosterKeys` keeps. Where the key is destroyed the line stays,
without a name, so that records of the exam still fit together.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Collection, Iterator, Sequence

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.engine import Connection, Engine

from streamer.database import explained, migrate, reading, writing
from streamer.exams.consents import Consents
from streamer.exams.errors import BadLink, BadRoster, ExamError, UnknownCandidate
from streamer.exams.exam import MAX_NAME, Candidate, Entry, Exam, Rules, Seat
from streamer.exams.lines import add_line, change_line, lines, opened, own_voiceprint, place
from streamer.exams.link_notes import note_expiries
from streamer.exams.links import make_link, read_link
from streamer.exams.roster_keys import RosterKeys
from streamer.exams.rows import exam_of, found, last_number
from streamer.exams.tables import CANDIDATES, CHANGES, EXAMS, HISTORY
from streamer.store import audit
from streamer.store.person_keys import PersonKey, new_person
from streamer.store.store import Store

WHAT = "database of exams"
GRACE_S = 3600.0  # after the planned end of an exam, for which candidates' links still hold
LONGEST_S = 31 * 86_400.0  # of an exam


class Exams:
    """Any thread may call it. ``now`` is in seconds since 1970."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine, self._vault = engine, store.vault
        self.keys = RosterKeys(store.vault)
        self.consents = Consents(self._reading, self.writing)
        with explained(engine, WHAT, ExamError):
            migrate(engine, HISTORY)

    @property
    def version(self) -> int:
        """A number that grows with every change that is told, by whichever process."""
        with self._reading() as connection:
            return connection.scalar(sa.select(CHANGES.c.count)) or 0

    # Exams.

    def create(self, name: str, starts_at: float, ends_at: float, rules: Rules, now: float) -> Exam:
        """A new exam without candidates. Raises :class:`ExamError`."""
        name = name.strip()
        if not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise ExamError(f"an exam's name has 1 to {MAX_NAME} printable characters")
        if not 0 < ends_at - starts_at <= LONGEST_S:
            days = f"{LONGEST_S / 86_400:g} days"
            raise ExamError(f"an exam ends after it starts, and within {days}")
        made = Exam(
            id=secrets.token_hex(4),
            name=name,
            starts_at=starts_at,
            ends_at=ends_at,
            rules=rules,
            created_at=now,
        )
        fields = msgspec.structs.asdict(made) | {"rules": msgspec.json.encode(rules).decode()}
        with self.writing() as connection:
            connection.execute(EXAMS.insert().values(**fields))
        return made

    def exams(self) -> list[Exam]:
        """Every exam, the latest start first."""
        query = sa.select(EXAMS).order_by(EXAMS.c.starts_at.desc(), EXAMS.c.id)
        with self._reading() as connection:
            return [exam_of(row) for row in connection.execute(query).mappings()]

    def exam(self, exam: str) -> Exam:
        """One of them. Raises :class:`UnknownExam`."""
        with self._reading() as connection:
            return found(connection, exam)

    def end(self, exam: str, now: float) -> Exam:
        """The exam is over: its links hold no more. Raises :class:`UnknownExam`."""
        with self.writing() as connection:
            ended = found(connection, exam)
            if ended.ended_at is None:
                change = EXAMS.update().where(EXAMS.c.id == exam).values(ended_at=now)
                connection.execute(change)
                ended = msgspec.structs.replace(ended, ended_at=now)
        return ended

    # Rosters.

    def add(self, exam: str, entries: Sequence[Entry]) -> list[Candidate]:
        """Put people on the roster, all or none.

        Somebody who is on it already gets what the line says now, and keeps their link. Where no
        voiceprint is named they have one for this exam alone, or keep the one they had. Raises
        :class:`UnknownExam`, :class:`BadRoster`.
        """
        twice = len(entries) - len({entry.candidate for entry in entries})
        if twice:
            raise BadRoster("a candidate is on the roster twice")
        with self._alone():
            keys = self.keys.change()
            with self._reading() as connection:
                found(connection, exam)
                rows, number = lines(connection, exam), last_number(connection, exam)
            known = {one.candidate: one for one in (opened(row, keys) for row in rows)}
            people = {
                entry.candidate: new_person(place(exam, entry.candidate))
                for entry in entries
                if entry.candidate not in known
            }
            self.keys.add(keys, people.values())  # for whose way to the disk no transaction waits
            with self.writing() as connection:
                for given in entries:
                    line = known.get(given.candidate)
                    voiceprint = line.voiceprint if line else own_voiceprint(exam, given.candidate)
                    entry = replace(given, voiceprint=given.voiceprint or voiceprint)
                    if line is not None:
                        change_line(connection, keys, line, entry)
                        continue
                    number += 1
                    add_line(connection, people[entry.candidate], exam, number, entry)
            for person in people.values():
                keys.confirm(person.person)
        wanted = {entry.candidate for entry in entries}
        return [one for one in self.roster(exam) if one.candidate in wanted]

    def roster(self, exam: str) -> list[Candidate]:
        """Everybody on it, in its order. Raises :class:`UnknownExam`."""
        with self._reading() as connection:
            found(connection, exam)
            rows = lines(connection, exam)
        keys = self.keys.read()  # which may wait for others, and so in no transaction
        return [opened(row, keys) for row in rows]

    def everybody(self) -> list[Candidate]:
        """Everybody on any roster."""
        with self._reading() as connection:
            rows = lines(connection)
        keys = self.keys.read()
        return [opened(row, keys) for row in rows]

    def candidate(self, exam: str, who: str) -> Candidate:
        """Somebody by what the examiner calls them, or by their id.

        Raises :class:`UnknownExam`, :class:`UnknownCandidate`.
        """
        for one in self.roster(exam):
            if who in (one.candidate, one.id) and who:
                return one
        raise UnknownCandidate(f"{who[:MAX_NAME]!r} is not on the roster of this exam")

    # Links.

    def link(self, candidate: Candidate, *, expires_at: float | None = None) -> tuple[str, float]:
        """The token of somebody's link and when it expires: by default an hour after the exam.

        Raises :class:`ExamError` where it would be of no use.
        """
        (made,) = self.links([candidate], expires_at=expires_at)
        return made

    def links(
        self, candidates: Sequence[Candidate], *, expires_at: float | None = None
    ) -> list[tuple[str, float]]:
        """As :meth:`link`, of each of them."""
        exams = {exam: self.exam(exam) for exam in {one.exam for one in candidates}}
        given = []
        for one in candidates:
            exam = exams[one.exam]
            if exam.ended_at is not None or one.forgotten:
                over = exam.ended_at is not None
                why = "the exam is over" if over else "the candidate was deleted"
                raise ExamError(f"{why}: there is nothing to come in for")
            until = exam.ends_at + GRACE_S if expires_at is None else expires_at
            given.append((one, float(int(until))))
        note_expiries(self.writing, given)
        key = self._vault.key
        return [
            (make_link(key, bytes.fromhex(one.id), one.link, until), until) for one, until in given
        ]

    def renew_link(self, candidate: Candidate) -> Candidate:
        """Make the links that somebody was given until now hold no more."""
        with self.writing() as connection:
            line = CANDIDATES.c.reference == bytes.fromhex(candidate.id)
            values = {"opened_at": None, "link_expires_at": None}
            another = CANDIDATES.update().where(line).values(link=CANDIDATES.c.link + 1, **values)
            connection.execute(another)
        return msgspec.structs.replace(candidate, link=candidate.link + 1, **values)

    def note_opened(self, candidate: Candidate, now: float) -> None:
        """Note that somebody has opened their link, if it is the one that holds.

        It changes nobody's seat: were it told, 200 who arrive within a minute would make every
        server read all rosters once a second.
        """
        line, link = CANDIDATES.c.reference == bytes.fromhex(candidate.id), CANDIDATES.c.link
        first = line & (link == candidate.link) & CANDIDATES.c.opened_at.is_(None)
        with self.writing(told=False) as connection:
            connection.execute(CANDIDATES.update().where(first).values(opened_at=now))

    def read(self, token: str) -> Seat:
        """What a link says, of whichever line that is. Raises :class:`BadLink`."""
        reference, renewed, expires_at = read_link(self._vault.key, token)
        query = sa.select(CANDIDATES.c.exam).where(CANDIDATES.c.reference == reference)
        with self._reading() as connection:
            exam = connection.scalar(query)
        if exam is None:
            raise BadLink("nobody is on a roster for this link any more")
        return Seat(exam=exam, candidate=reference.hex(), link=renewed, expires_at=expires_at)

    # The end of what is known of somebody.

    def withdraw(self, candidate: Candidate, now: float) -> None:
        """Note that somebody has taken their consent back."""
        self._note(candidate, withdrawn_at=now)

    def agreed_again(self, candidate: Candidate) -> None:
        """Note that somebody who had withdrawn has agreed once more."""
        self._note(candidate, withdrawn_at=None)

    def note_clips(self, candidate: Candidate, refused_at: float | None) -> None:
        """Note when somebody refused that sound is kept; None: they agreed."""
        self._note(candidate, clips_refused_at=refused_at)

    def forget(self, candidate: Candidate, who: str, now: float) -> None:
        """Destroy what names somebody on a roster; the line stays, and says nothing of them."""
        entry = audit.Entry(now, who, "delete", bytes.fromhex(candidate.id))
        with self._alone():
            self.keys.destroy(bytes.fromhex(candidate.id), entry)
            with self.writing():
                pass  # servers read it anew

    def forget_voiceprint(self, name: str, who: str, now: float) -> list[Candidate]:
        """Forget everybody on a roster whose voiceprint that is; who they were."""
        gone = [one for one in self.everybody() if one.voiceprint == name]
        for one in gone:
            self.forget(one, who, now)
        return gone

    def forget_over(self, before: float, who: str, now: float, held: Collection[str] = ()) -> int:
        """Forget who sat exams that ended before, but for the ids ``held``; how many they were."""
        over = {one.id for one in self.exams() if (one.ended_at or one.ends_at) < before}
        known = [one for one in self.everybody() if one.exam in over and not one.forgotten]
        gone = [one for one in known if one.id not in held]
        for one in gone:
            self.forget(one, who, now)
        return len(gone)

    def rewrap(self, key: bytes) -> None:
        """The store is about to have another key: write the keys of rosters for it, too."""
        with self._reading() as connection:
            rows = lines(connection)
        keys, entries = self.keys.read(), []
        for one in (opened(row, keys) for row in rows):
            reference = bytes.fromhex(one.id)
            if not one.forgotten and (line := keys.key_of(reference)) is not None:
                entries.append(PersonKey(reference, place(one.exam, one.candidate), line))
        self.keys.rewrap(entries, key)

    @contextlib.contextmanager
    def writing(self, *, told: bool = True) -> Iterator[Connection]:
        """All of it or nothing, while nobody else writes; servers read anew what is ``told``."""
        with self._alone(), writing(self.engine) as connection:
            yield connection
            if told:
                connection.execute(CHANGES.update().values(count=CHANGES.c.count + 1))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else writes. This lock comes first, and any transaction after it.

        Whoever waited for it within a transaction would wait for somebody here who waits for them.
        """
        with (
            self._vault.exclusively(),
            explained(self.engine, WHAT, ExamError),  # within: else it is told to be the store
        ):
            yield

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One moment of the tables."""
        with explained(self.engine, WHAT, ExamError), reading(self.engine) as connection:
            yield connection

    def _note(self, candidate: Candidate, **columns: float | None) -> None:
        with self.writing() as connection:
            line = CANDIDATES.c.reference == bytes.fromhex(candidate.id)
            connection.execute(CANDIDATES.update().where(line).values(**columns))
