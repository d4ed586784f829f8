"""The report of an exam: its cover, a report of each candidate, and what is kept of them all.

A candidate's report has megabytes, and an exam hundreds of candidates: they are made one after the
other, and of each only a line is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from streamer.reports.judging import Judging, Judgings
from streamer.reports.parts import Part
from streamer.reports.report import Chain, Exam, Incident, Report, Signed, Verdict

VERIFY_REPORT = "voxwatch records verify --report FILE"
EXAM_SUMMARY = "voxwatch-exam-summary-1"
VERIFY_STREAM = "voxwatch records verify STREAM --head ENTRIES:HEAD"


class ExamCover(Part, frozen=True, kw_only=True):
    """What is known of an exam before anybody's report is made."""

    format: str = "voxwatch-exam-report-1"
    made_at: datetime
    made_by: str
    zone: str
    software: str
    exam: Exam


class ExamProof(Part, frozen=True, kw_only=True):
    """What the whole rests on: by what was judged, the register's head, and how to check.

    ``verify`` are commands; each stream's own head is with its session.
    """

    judged_by: tuple[Judging, ...] = ()
    register: Chain
    verify: tuple[str, ...]


class ExamReport(ExamCover, frozen=True, kw_only=True):
    """The whole as JSON has it: all candidates, those who never came too."""

    candidates: tuple[Report, ...] = ()
    proof: ExamProof
    register_problems: tuple[str, ...] = ()
    signed: Signed | None = None


class ExamSummary(ExamCover, frozen=True, kw_only=True):
    """What the page of an exam is made from, and carries: a line of each candidate."""

    format: str = EXAM_SUMMARY
    lines: tuple[CandidateLine, ...] = ()
    proof: ExamProof
    register_problems: tuple[str, ...] = ()
    signed: Signed | None = None


class SignedFiles(Part, frozen=True, kw_only=True):
    """The SHA-256 of each other file in the ZIP of a report, by name; of a page, its own."""

    format: str = "voxwatch-report-files-1"
    files: dict[str, str]
    signed: Signed | None = None


class CandidateLine(Part, frozen=True, kw_only=True):
    """A candidate as the exam's own page and table tell of them.

    ``gravest`` is the incident that needs a look first, an open one if there is any, and
    ``worst_kind`` the kind of the worst of all. ``unjudged`` counts the open ones that began after
    the verdict, or all where there is none. ``chains`` are by stream.
    """

    candidate: str
    candidate_reference: str
    accommodations: tuple[str, ...]
    verdict: Verdict | None
    sessions: int
    began_at: datetime | None
    received_s: float
    speech_s: float
    incidents: int
    open_incidents: int
    unjudged: int
    gravest: Incident | None
    worst_kind: str | None
    chains: tuple[tuple[str, Chain | None], ...]


def line_of(report: Report) -> CandidateLine:
    """What is kept of a candidate's report."""
    found = report.incidents
    worst = max(found, key=_severity, default=None)
    open_ = [one for one in found if one.state == "open"]
    judged_at = report.verdict.at if report.verdict else None
    return CandidateLine(
        candidate=report.candidate,
        candidate_reference=report.candidate_reference,
        accommodations=report.accommodations,
        verdict=report.verdict,
        sessions=len(report.sessions),
        began_at=report.began_at,
        received_s=sum(session.received_s for session in report.sessions),
        speech_s=report.speech_s,
        incidents=len(found),
        open_incidents=len(open_),
        unjudged=sum(judged_at is None or one.since_at > judged_at for one in open_),
        gravest=max(found, key=_needs_a_look, default=None),
        worst_kind=worst.kind if worst else None,
        chains=tuple((session.stream, session.chain) for session in report.sessions),
    )


class ExamReading:
    """The report of an exam as it is read, a candidate at a time.

    ``register`` is the end of the register's chain. ``unreported`` gives what a check found in
    it, and of streams other than those that the reports tell of.
    """

    def __init__(
        self,
        cover: ExamCover,
        reports: Iterable[Report],
        unreported: Callable[[set[str]], Sequence[str]],
        register: Chain,
    ) -> None:
        self.cover = cover
        self._reports, self._unreported, self._register = reports, unreported, register
        self._judgings = Judgings()
        self._streams: set[str] = set()
        self.made = 0  # reports so far

    def candidates(self) -> Iterator[Report]:
        """Everybody's report, each made when it is asked for, once."""
        for report in self._reports:
            self._streams.update(session.stream for session in report.sessions)
            self._judgings.add(report.sessions)
            self.made += 1
            yield report

    def proof(self) -> ExamProof:
        """What all of them rest on, once they were made."""
        verify = verifying(self.cover.exam.id, self._register)
        return ExamProof(judged_by=self._judgings.told(), register=self._register, verify=verify)

    def register_problems(self) -> tuple[str, ...]:
        """What no report told, once all of them were made."""
        return tuple(self._unreported(self._streams))


def verifying(exam: str, register: Chain) -> tuple[str, ...]:
    """Commands that hold an exam's report to the record."""
    whole = f"voxwatch records verify --exam {exam} --head {register.count}:{register.head}"
    return VERIFY_REPORT, whole, VERIFY_STREAM


def _severity(one: Incident) -> int:
    return one.severity


def _needs_a_look(one: Incident) -> tuple[bool, int]:
    return one.state == "open", one.severity
