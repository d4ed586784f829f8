"""Who sits in which exam, as links and streams need it: read again whenever the exams change."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from msgspec.structs import replace

from streamer.exams.book import Exams
from streamer.exams.errors import BadLink, ExamError
from streamer.exams.exam import Candidate, Exam, Seat
from streamer.exams.links import is_link, read_link
from streamer.records.entries import ClipsAnswer
from streamer.server.auth import Grant, token_digest
from streamer.store.errors import StoreError
from streamer.store.store import Store
from streamer.wire.errors import WireError
from streamer.wire.requests import Role, StartStream

log = logging.getLogger("voxwatch.server")

# After the end of an exam, or of a link, for which a stream may still tell what it knows.
LINGER_S = 30.0
ROLES: frozenset[Role] = frozenset({"stream", "enrol"})
HOLDER = "candidate link"


@dataclass(frozen=True, slots=True)
class Sitting:
    """A candidate in an exam, until ``expires_at`` (seconds since 1970) where a link says so.

    ``clips`` is what they last said of whether sound may be kept.
    """

    exam: Exam
    candidate: Candidate
    clips: ClipsAnswer = "unanswered"
    expires_at: float | None = None

    def start(self, asked: StartStream) -> StartStream:
        """What a candidate's stream is started with: only the format of the sound is theirs."""
        rules = self.exam.rules
        return replace(
            asked,
            live=True,
            claim=[self.candidate.voiceprint],
            window_s=None,
            hop_s=None,
            false_accept=rules.false_accept,
            miss=rules.miss,
            label=self.candidate.shown,
            exam=self.exam.id,
            candidate=self.candidate.id,
        )


class Seats:
    """Implements :class:`streamer.server.auth.Links`. :meth:`refresh` blocks: call it in a thread.

    What it knows may be a second old where another process has changed it.
    """

    def __init__(self, exams: Exams, store: Store) -> None:
        self.exams, self._store = exams, store
        self._lock = threading.Lock()
        self._version: int | None = None
        self._sittings: dict[str, Sitting] = {}
        # Candidates and links, noted since they were read.
        self._opened: set[tuple[str, int]] = set()

    def refresh(self) -> None:
        """Read the exams again if they changed. Raises :class:`ExamError`, ``StoreError``."""
        with self._lock:
            if (version := self.exams.version) == self._version:
                return
            exams = {exam.id: exam for exam in self.exams.exams()}
            allowing = self.exams.consents.allowing_clips()
            self._sittings = {
                one.id: Sitting(exams[one.exam], one, _clips(one, allowing))
                for one in self.exams.everybody()
            }
            self._opened.clear()
            self._version = version

    async def refreshed(self) -> None:
        """As :meth:`refresh`, from the event loop. Raises :class:`WireError`."""
        try:
            await asyncio.to_thread(self.refresh)
        except ExamError as error:
            raise WireError("store-failed", str(error)) from error

    def grant(self, token: str, now: float) -> Grant | None:
        """What a candidate link allows: nothing, where it holds no more; None: it is none."""
        if not is_link(token):
            return None
        try:
            reference, renewed, expires_at = read_link(self._store.vault.key, token)
        except BadLink:
            return Grant()
        sitting = self._sittings.get(reference.hex())
        if sitting is None:
            return Grant()
        seat = Seat(
            exam=sitting.exam.id,
            candidate=sitting.candidate.id,
            link=renewed,
            expires_at=expires_at,
        )
        if expires_at <= now or sitting.exam.ended_at is not None or not self.holds(seat, now):
            return Grant()
        return Grant(ROLES, HOLDER, scores=False, digest=token_digest(token), seat=seat)

    def holds(self, seat: Seat, now: float) -> bool:
        """Whether what a link allowed is so still, or was until a moment ago."""
        sitting = self._sittings.get(seat.candidate)
        if sitting is None or sitting.candidate.forgotten or sitting.candidate.link != seat.link:
            return False
        ended_at = sitting.exam.ended_at
        ends = seat.expires_at if ended_at is None else min(seat.expires_at, ended_at)
        return now < ends + LINGER_S

    async def sitting(self, asked: StartStream, grant: Grant) -> Sitting | None:
        """In which exam a stream is, by whose link or by what it asks for. Raises `WireError`."""
        if grant.seat is not None:
            sitting = self.of(grant.seat)
            await asyncio.to_thread(self.note_opened, sitting)
            return sitting
        if asked.exam is None and asked.candidate is None:
            return None
        if asked.exam is None or asked.candidate is None:
            raise WireError("bad-parameter", "exam and candidate belong together")
        await self.refreshed()
        return self.find(asked.exam, asked.candidate)

    def note_opened(self, sitting: Sitting) -> None:
        """Note that a link was opened, the first time. Nobody is kept out where that fails."""
        candidate = sitting.candidate
        if candidate.opened_at is not None or (candidate.id, candidate.link) in self._opened:
            return
        try:
            self.exams.note_opened(candidate, round(time.time(), 3))
            self._opened.add((candidate.id, candidate.link))
        except (ExamError, StoreError) as error:
            log.warning("that a link was opened could not be written down: %s", error)

    def of(self, seat: Seat) -> Sitting:
        """Whose seat that is. Raises :class:`WireError` where nobody has it any more."""
        sitting = self._sittings.get(seat.candidate)
        if sitting is None or sitting.candidate.forgotten:
            raise WireError("unauthorised", "this link holds no more: ask for another")
        return dataclasses.replace(sitting, expires_at=seat.expires_at)

    def find(self, exam: str, who: str) -> Sitting:
        """Somebody by what the examiner calls them, or by their id. Raises :class:`WireError`."""
        for sitting in self._sittings.values():
            candidate = sitting.candidate
            named = who in (candidate.candidate, candidate.id) and not candidate.forgotten
            if candidate.exam == exam and named:
                if sitting.exam.ended_at is not None:
                    raise WireError("bad-parameter", "exam: it is over")
                return sitting
        raise WireError("bad-parameter", "candidate: nobody of that id is on the exam's roster")

    def names(self) -> dict[str, str]:
        """Names by reference, of all who have one still."""
        return {one: s.candidate.name for one, s in self._sittings.items() if s.candidate.name}

    def now(self, candidate: str) -> Sitting | None:
        """How it stands with somebody, by their id; None where there is no such line."""
        return self._sittings.get(candidate)


def _clips(candidate: Candidate, allowing: Collection[str]) -> ClipsAnswer:
    if candidate.id in allowing:
        return "agreed"
    return "unanswered" if candidate.clips_refused_at is None else "refused"
