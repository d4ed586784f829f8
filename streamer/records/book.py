"""Reading the record, and acting on it. It blocks: call it in a thread.

Whoever reads gets names and texts where references and sealed texts are stored, as far as the
people still exist and nobody has erased the texts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, select, update

from streamer.database import explained, reading
from streamer.records import deletion, register, restart, tables
from streamer.records.chain import Head
from streamer.records.deletion import Forgotten, Mode
from streamer.records.entries import Acted, AnyEntry, Started, entry_from
from streamer.records.errors import RecordError, UnknownClip
from streamer.records.incidents.tracker import incidents_of
from streamer.records.journal import Journal, find
from streamer.records.references import deleted
from streamer.records.register import RegisterEntry
from streamer.records.selection import narrowed, people_of
from streamer.records.signing import Texts
from streamer.records.texts import read_entry, read_text, readable
from streamer.records.verification import Verification, signed_head, verify
from streamer.store.seal import BrokenSeal
from streamer.wire.incidents import Incident

Names = Callable[[], Mapping[str, str]]  # names by reference, of all who are there now
REMEMBERED = 1000  # streams whose incidents are remembered


class StreamFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded stream. Times in seconds since 1970; ``ended_at`` is None while it goes on.

    ``people`` are the names of those who were claimed or recognised. ``candidate`` is the reference
    of a line of the roster of ``exam``. ``held_by``: who keeps it from being deleted.
    """

    stream: str
    label: str
    exam: str | None
    candidate: str | None
    started_at: float
    ended_at: float | None
    people: tuple[str, ...]
    entries: int
    held_by: str | None


class Book:
    """The record of all streams in a database. Any thread may use it.

    Every method may raise :class:`~streamer.records.errors.RecordError`.
    """

    def __init__(self, journal: Journal, names: Names = dict) -> None:
        self.journal, self._names = journal, names
        self._incidents: dict[str, tuple[int, list[Incident]]] = {}  # with the entries read

    def names(self) -> Mapping[str, str]:
        """Names by reference, of all who are there now."""
        return self._names()

    def close(self) -> None:
        """Close the database."""
        self.journal.engine.dispose()

    def streams(
        self, exam: str | None = None, person: str | None = None, since: float | None = None
    ) -> list[StreamFacts]:
        """Recorded streams, oldest first: of an exam, of a person's reference, begun since then."""
        names, streams, entries = self._names(), tables.streams, tables.entries
        people = tables.people
        own = narrowed(select(streams.c.stream), exam, person, since)
        first = and_(entries.c.stream == streams.c.stream, entries.c.number == 1)
        wanted = select(streams, entries.c.body).outerjoin(entries, first)
        wanted = narrowed(wanted, exam, person, since).order_by(streams.c.started_at)
        with self._reading() as connection:
            rows = connection.execute(wanted).all()
            chosen = [row.stream for row in rows]
            spoken_of = select(people.c.stream, people.c.person).where(people.c.stream.in_(own))
            of = people_of(connection.execute(spoken_of), chosen)
        return [self._facts(row, of.get(row.stream, ()), names) for row in rows]

    def facts(self, stream: str) -> StreamFacts:
        """One of :meth:`streams`. Raises :class:`UnknownStream`."""
        streams, entries, people = tables.streams, tables.entries, tables.people
        first = and_(entries.c.stream == streams.c.stream, entries.c.number == 1)
        wanted = select(streams, entries.c.body).outerjoin(entries, first)
        with self._reading() as connection:
            find(connection, stream)
            row = connection.execute(wanted.where(streams.c.stream == stream)).one()
            found = connection.scalars(select(people.c.person).where(people.c.stream == stream))
            of = sorted(found)
        return self._facts(row, of, self._names())  # which may wait for whoever writes

    def history(self, stream: str, after: int = 0, limit: int | None = None) -> list[AnyEntry]:
        """Entries in order, from number ``after + 1`` on: numbers have no gaps.

        Raises :class:`UnknownStream`.
        """
        entries, names = tables.entries, self._names()
        wanted = select(entries.c.body).where(entries.c.stream == stream, entries.c.number > after)
        with self._reading() as connection:
            row = find(connection, stream)
            bodies = connection.scalars(wanted.order_by(entries.c.number).limit(limit)).all()
        texts = self._texts(row)
        with readable(stream):
            return [read_entry(body, texts, names) for body in bodies]

    def incidents(self, stream: str) -> list[Incident]:
        """Those of a stream, as they stand. Raises :class:`UnknownStream`."""
        entries = tables.entries
        wanted = select(entries.c.body).where(entries.c.stream == stream)
        with self._reading() as connection:
            length, found = find(connection, stream).length, self._incidents.get(stream)
            if found is not None and found[0] == length:
                return found[1]
            bodies = connection.scalars(wanted.order_by(entries.c.number)).all()
        with readable(stream):
            made = incidents_of(map(entry_from, bodies))  # in which no names stand
        if len(self._incidents) >= REMEMBERED:
            self._incidents.clear()
        self._incidents[stream] = length, made
        return made

    def head(self, stream: str) -> Head:
        """The end of a stream's chain, signed. Raises :class:`UnknownStream`."""
        with self._reading() as connection:
            return signed_head(connection, self.journal.secret, find(connection, stream))

    def act(self, stream: str, acted: Acted) -> int:
        """Note what somebody did; the number of the entry. Raises :class:`UnknownStream`."""
        return self.journal.append(stream, acted).count

    def view(self, streams: Collection[str], who: str, now: float) -> set[str]:
        """Note that somebody looks at these streams' records; those that there are."""
        return self.journal.append_to_each(
            streams, lambda t: Acted(at=now, t=t, who=who, act="viewed")
        )

    def export(self, streams: Collection[str], who: str, now: float, form: str) -> set[str]:
        """Note that somebody takes a report of these streams; those that there are."""
        return self.journal.append_to_each(
            streams, lambda t: Acted(at=now, t=t, who=who, act="exported", text=f"report: {form}")
        )

    def end_lost(self, candidate: str, known: Collection[str]) -> list[str]:
        """End what a candidate's streams lack of an end, but for those that are ``known``.

        They end with the last that they said: their server was killed.
        """
        return self.journal.end_lost(candidate, known)

    def listen(self, stream: str, incident: str, who: str, now: float) -> None:
        """Note that somebody listens to an incident. Raises :class:`UnknownStream`."""
        t = self.last_t(stream)
        self.act(stream, Acted(at=now, t=t, who=who, act="viewed", incident=incident))

    def clip(self, stream: str, incident: str) -> bytes:
        """The sound of an incident, as Ogg Opus.

        Raises :class:`UnknownStream`, :class:`UnknownClip`.
        """
        clips = tables.clips
        wanted = and_(clips.c.stream == stream, clips.c.incident == incident)
        with self._reading() as connection:
            row = find(connection, stream)
            sealed = connection.scalar(select(clips.c.sealed).where(wanted))
        texts = self._texts(row)
        if sealed is None or texts is None:
            raise UnknownClip(f"there is no sound of incident {incident[:80]!r}, or not any more")
        try:
            return texts.open_clip(sealed, incident)
        except BrokenSeal as error:
            raise RecordError(f"the sound of incident {incident} was changed") from error

    def clips(self, stream: str) -> set[str]:
        """The incidents of a stream of which there is sound."""
        clips = tables.clips.c
        with self._reading() as connection:
            wanted = select(clips.incident).where(clips.stream == stream)
            return set(connection.scalars(wanted))

    def last_t(self, stream: str) -> float:
        """The media time of a stream's last entry. Raises :class:`UnknownStream`."""
        last = self.history(stream, self.facts(stream).entries - 1, 1)
        return last[0].t if last else 0.0

    def rewrap(self, store_key: bytes) -> None:
        """The store is about to have that key: seal the secret with it, too."""
        with self.journal.writing() as connection:
            sealed = self.journal.secret.sealed(store_key)
            connection.execute(update(tables.about).values(next_secret=sealed))

    def verify(
        self, stream: str | None = None, exam: str | None = None, heads: Sequence[Head] = ()
    ) -> Verification:
        """Whether anything was changed, removed or added: of a stream, of an exam, of all.

        ``heads`` were kept elsewhere; a stream of which there is one may be deleted.
        """
        with self._reading() as connection:
            if stream is not None and stream not in {head.chain for head in heads}:
                find(connection, stream)
            return verify(connection, self.journal.secret, stream, exam, heads)

    def delete(self, stream: str, who: str, why: str, now: float) -> None:
        """Delete a stream's record. Raises :class:`UnknownStream`, :class:`Held`."""
        deletion.remove(self.journal, stream, who, why, now)

    def forget(self, person: str, mode: Mode, who: str, now: float) -> Forgotten:
        """Delete or pseudonymise all records of a reference: see `streamer.records.deletion`."""
        return deletion.forget(self.journal, person, mode, who, now)

    def silence(self, candidates: Collection[str], who: str, now: float) -> tuple[str, ...]:
        """Delete the clips of lines of rosters: see `streamer.records.deletion`."""
        return deletion.silence(self.journal, candidates, who, now)

    def settle(self, mode: Mode, now: float, lines: Collection[str] = ()) -> Forgotten:
        """Forget whoever has a record and no name any more: they were deleted meanwhile.

        ``lines`` are references of rosters that were forgotten.
        """
        return deletion.settle(self.journal, self._names, lines, mode, now)

    def purge(self, before: float, now: float) -> tuple[str, ...]:
        """Delete the records of streams that ended before then, but for those that are held."""
        return deletion.purge(self.journal, before, now)

    def shorten_register(self, before: float, now: float) -> int:
        """Cut what the register may forget: see `streamer.records.restart`."""
        return restart.shorten(self.journal, before, deletion.SERVER, now)

    def held(self) -> set[str]:
        """The candidates whose record somebody holds: who they are goes with it, no earlier."""
        streams = tables.streams.c
        wanted = select(streams.candidate).where(
            streams.held_by.is_not(None), streams.candidate.is_not(None)
        )
        with self._reading() as connection:
            return set(connection.scalars(wanted))

    def register(self, stream: str | None = None) -> list[RegisterEntry]:
        """Who saw, exported or deleted what, oldest first; also which streams there were."""
        with self._reading() as connection:
            listed = register.read(connection)
            return [self._with_why(one) for one in listed if stream in (None, one.stream)]

    def erasures(self, after: int = 0) -> tuple[list[RegisterEntry], int]:
        """What the register says of clips that were erased; the number up to which it was read.

        From the entry after the number ``after`` on.
        """
        with self._reading() as connection:
            end = int(connection.execute(select(tables.about.c.length)).scalar_one())
            listed = register.read(connection, after)
            return [one for one in listed if one.act in register.ERASING], end

    def _with_why(self, note: RegisterEntry) -> RegisterEntry:
        if not note.sealed_why:
            return note
        why = read_text(note.sealed_why, self.journal.secret.reasons(note.stream))
        return msgspec.structs.replace(note, why=why, sealed_why="")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        engine = self.journal.engine
        with explained(engine, "record", RecordError), reading(engine) as connection:
            yield connection

    def _facts(self, row: Row[Any], people: Sequence[str], names: Mapping[str, str]) -> StreamFacts:
        first = None
        with contextlib.suppress(msgspec.MsgspecError):  # the others are to be found all the same
            first = None if row.body is None else read_entry(row.body, self._texts(row), names)
        return StreamFacts(
            stream=row.stream,
            label=first.label if isinstance(first, Started) else "",
            exam=row.exam,
            candidate=row.candidate,
            started_at=row.started_at,
            ended_at=row.ended_at,
            people=tuple(names.get(p, deleted(p)) for p in people if p != row.candidate),
            entries=row.length,
            held_by=row.held_by,
        )

    def _texts(self, row: Row[Any]) -> Texts | None:
        if row.text_key is None:
            return None
        try:
            return self.journal.secret.texts(row.stream, row.text_key)
        except BrokenSeal:
            return None
