"""Reads a record, an exam and the consents, and makes reports of them. It blocks.

All else in this room is given what it needs; only this module reads.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from streamer.exams.book import Exams
from streamer.exams.errors import ExamError, UnknownExam
from streamer.exams.exam import Candidate, Rules
from streamer.exams.exam import Exam as ExamFacts
from streamer.records.book import Book, StreamFacts
from streamer.records.chain import REGISTER
from streamer.records.verification import Verification
from streamer.reports import words, zones
from streamer.reports.clips import DeletedClips
from streamer.reports.consents import consents_of_claimed, own_consents
from streamer.reports.exam_report import ExamCover, ExamReading
from streamer.reports.findings import chain_of, of_removed, without_report
from streamer.reports.known_as import known_as
from streamer.reports.report import Exam, Report, Session, Verdict
from streamer.reports.sessions import session

Names = Callable[[], Mapping[str, str]]  # names by reference, of everybody who is enrolled


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for a report, when (s since 1970), and in which zone it tells times of day."""

    who: str
    at: float
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class _Whole:
    """What all sessions of one report share: what a check found, and what was erased."""

    checked: Verification
    deleted: DeletedClips


@dataclass(frozen=True, slots=True)
class Subject:
    """Of what a report is: a stream, an exam, or one candidate of an exam."""

    stream: str | None = None
    exam: str | None = None
    candidate: str | None = None


class Library:
    """Reports of what is recorded. ``exams`` is None where no exams are kept.

    ``told`` is what becomes of each candidate's report before it is given out.

    Methods raise :class:`~streamer.records.errors.UnknownStream`,
    :class:`~streamer.exams.errors.UnknownExam`, and what the databases refuse.
    """

    def __init__(
        self,
        book: Book,
        exams: Exams | None,
        names: Names,
        told: Callable[[Report], Report] = lambda report: report,
    ) -> None:
        self.book, self._exams, self._names, self._told = book, exams, names, told

    def stream(self, stream: str, asked: Asked) -> Report:
        """The report of one stream, whoever it was."""
        facts = self.book.facts(stream)
        exam, candidate = self._exam(facts.exam), self._candidate(facts)
        whole = self._whole(self.book.verify(stream=stream))
        return self._report(exam, candidate, [facts], whole, asked)

    def candidate(self, exam: str, who: str, asked: Asked) -> Report:
        """All streams of somebody on an exam's roster, in one report."""
        exams = self._kept()
        found, candidate = exams.exam(exam), exams.candidate(exam, who)
        own = self._streams(Subject(exam=exam, candidate=who))
        whole = self._whole(self.book.verify(exam=exam))
        return self._report(found, candidate, own, whole, asked)

    def exam(self, exam: str, asked: Asked) -> ExamReading:
        """Everybody on the roster, and whoever else was heard in the exam."""
        exams = self._kept()
        found, roster = exams.exam(exam), exams.roster(exam)
        checked = self.book.verify(exam=exam)
        cover = ExamCover(
            made_at=_at(asked.at, asked.zone),
            made_by=asked.who,
            zone=zones.shown(asked.zone),
            software=software(),
            exam=_told(found, asked.zone),
        )
        reports = self._reports(found, roster, self._whole(checked), asked)
        register = chain_of(checked.head, checked, REGISTER)
        return ExamReading(cover, reports, lambda told: without_report(checked, told), register)

    def _reports(
        self,
        exam: ExamFacts,
        roster: Sequence[Candidate],
        whole: _Whole,
        asked: Asked,
    ) -> Iterator[Report]:
        """A report at a time: those on the roster first."""
        known = {one.id for one in roster}
        by_candidate: dict[str, list[StreamFacts]] = {}
        others: list[StreamFacts] = []
        for facts in self.book.streams(exam=exam.id):
            candidate = facts.candidate or ""
            theirs = by_candidate.setdefault(candidate, []) if candidate in known else others
            theirs.append(facts)
        for one in roster:
            yield self._report(exam, one, by_candidate.get(one.id, []), whole, asked)
        for facts in others:
            yield self._report(exam, None, [facts], whole, asked)

    def note_export(self, subject: Subject, asked: Asked, form: str) -> None:
        """Write into the record of each stream who takes a report of it, before it is made."""
        streams = [facts.stream for facts in self._streams(subject)]
        self.book.export(streams, asked.who, asked.at, form)

    def report(self, subject: Subject, asked: Asked) -> Report | ExamReading:
        """What the subject asks for."""
        if subject.stream is not None:
            return self.stream(subject.stream, asked)
        assert subject.exam is not None
        if subject.candidate is not None:
            return self.candidate(subject.exam, subject.candidate, asked)
        return self.exam(subject.exam, asked)

    def _streams(self, subject: Subject) -> list[StreamFacts]:
        if subject.stream is not None:
            return [self.book.facts(subject.stream)]
        exams = self._kept()
        assert subject.exam is not None
        exams.exam(subject.exam)
        found = self.book.streams(exam=subject.exam)
        if subject.candidate is None:
            return found
        candidate = exams.candidate(subject.exam, subject.candidate)
        return [facts for facts in found if facts.candidate == candidate.id]

    def _whole(self, checked: Verification) -> _Whole:
        return _Whole(checked, DeletedClips(self.book))

    def _kept(self) -> Exams:
        if self._exams is None:
            raise UnknownExam("no exams are kept here")
        return self._exams

    def _report(
        self,
        exam: ExamFacts | None,
        candidate: Candidate | None,
        streams: Sequence[StreamFacts],
        whole: _Whole,
        asked: Asked,
    ) -> Report:
        zone = asked.zone
        sessions = (self._session(facts, whole, zone) for facts in streams)
        told = [one for one in sessions if one is not None]
        if candidate is not None:
            told = [known_as(one, candidate.shown) for one in told]
        own, clips = own_consents(self._exams, candidate, zone)
        verdicts = sorted((v for one in told for v in one.verdicts), key=_given)
        report = Report(
            made_at=_at(asked.at, zone),
            made_by=asked.who,
            zone=zones.shown(zone),
            software=software(),
            candidate=candidate.shown if candidate else _who(streams),
            candidate_reference=candidate.candidate if candidate else "",
            accommodations=candidate.accommodations if candidate else (),
            consent=own,
            clips_consent=clips,
            exam=_told(exam, zone) if exam else None,
            verdicts=tuple(verdicts),
            sessions=tuple(told),
            record_problems=tuple(of_removed(whole.checked, candidate, told)),
        )
        return self._told(report)

    def _session(self, facts: StreamFacts, whole: _Whole, zone: tzinfo) -> Session | None:
        """None where nothing of a stream could be written."""
        head = self.book.head(facts.stream)
        entries = self.book.history(facts.stream, limit=head.count)
        incidents = self.book.incidents(facts.stream)
        if not entries:
            return None
        return session(
            facts.stream,
            entries,
            incidents,
            consents=consents_of_claimed(self._exams, self._names(), entries, zone),
            chain=chain_of(head, whole.checked, facts.stream, REGISTER),
            deleted_clips=whole.deleted.of(facts.stream, entries, zone),
            zone=zone,
        )

    def _exam(self, exam: str | None) -> ExamFacts | None:
        """The exam of a stream; None where it is not kept any more."""
        if exam is None or self._exams is None:
            return None
        try:
            return self._exams.exam(exam)
        except ExamError:
            return None

    def _candidate(self, facts: StreamFacts) -> Candidate | None:
        if not (facts.exam and facts.candidate and self._exams):
            return None
        try:
            return self._exams.candidate(facts.exam, facts.candidate)
        except ExamError:
            return None


def software() -> str:
    """Name and version of this program."""
    return f"voxwatch {importlib.metadata.version('voxwatch')}"


def _given(verdict: Verdict) -> datetime:
    return verdict.at


def _at(seconds: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(round(seconds, 3), zone)


def _told(exam: ExamFacts, zone: tzinfo) -> Exam:
    return Exam(
        id=exam.id,
        name=exam.name,
        began_at=_at(exam.starts_at, zone),
        ends_at=_at(exam.ends_at, zone),
        ended_at=None if exam.ended_at is None else _at(exam.ended_at, zone),
        rules=tuple(_rules(exam.rules)),
    )


def _rules(rules: Rules) -> Iterator[str]:
    """From when on something is an incident, in words."""
    yield f"a mismatch of {words.duration(rules.incident_s)} of speech"
    yield f"{words.duration(rules.undecided_s)} of speech without a decision"
    if rules.speaking:
        yield f"{words.duration(rules.silent_s)} without speech"


def _who(streams: Sequence[StreamFacts]) -> str:
    """How a stream without a candidate is called: by its label, by who was claimed, or its id."""
    for facts in streams:
        if facts.label or facts.people:
            return facts.label or words.any_of(facts.people)
    return f"stream {streams[0].stream}" if streams else "nobody"
