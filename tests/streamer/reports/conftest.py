"""Reports of a candidate who was taken over, and of one who was not."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from recorded_stream import ENROLLED_AT, NOON, taken_over, undisturbed

from streamer.records.incidents.tracker import incidents_of
from streamer.reports.claims import Consent
from streamer.reports.exam_report import ExamProof, ExamReport, verifying
from streamer.reports.judging import Judgings
from streamer.reports.report import Chain, Exam, Report, Session
from streamer.reports.sessions import session

ZONE = ZoneInfo("Europe/Berlin")
EXAM = Exam(id="e-1", name="Biology: part II", began_at=datetime.fromtimestamp(NOON, ZONE))

REGISTER = Chain(count=9, head="aa" * 32, signature="02" * 64)


def report_of(candidate: str, *sessions: Session, **facts: Any) -> Report:
    """A report that was made an hour later."""
    return Report(
        made_at=datetime.fromtimestamp(NOON + 3600, ZONE),
        made_by="token desk (1a2b3c4d)",
        zone="Europe/Berlin",
        software="voxwatch 0.4.0",
        candidate=candidate,
        exam=EXAM,
        sessions=sessions,
        **facts,
    )


@pytest.fixture
def taken() -> Report:
    """Anna was taken over, the desk acknowledged it, and a person called it a violation."""
    stream = taken_over()
    consent = Consent(
        text_version="2026-11",
        given_at=datetime.fromtimestamp(ENROLLED_AT - 5, ZONE),
        text_sha256="cd" * 32,
        language="en",
        purpose="exams",
        signed_by="candidate link",
    )
    told = session(
        stream.stream,
        stream.entries,
        incidents_of(stream.entries),
        consents={"Anna": [consent]},
        chain=Chain(count=len(stream.entries), head="ef" * 32, signature="01" * 64),
        zone=ZONE,
    )
    return report_of("Anna", told, verdicts=told.verdicts)


@pytest.fixture
def clean() -> Report:
    """Anna alone."""
    stream = undisturbed()
    told = session(stream.stream, stream.entries, [], consents={}, chain=None, zone=ZONE)
    return report_of("Zoë", told)


@pytest.fixture
def exam(taken: Report, clean: Report) -> ExamReport:
    """Both, and one who never came."""
    return ExamReport(
        made_at=taken.made_at,
        made_by=taken.made_by,
        zone=taken.zone,
        software=taken.software,
        exam=EXAM,
        candidates=(clean, report_of("Nobody"), taken),
        proof=proof_of(clean, taken),
    )


def proof_of(*reports: Report) -> ExamProof:
    """What these rest on, with the end of a register."""
    judgings = Judgings()
    for report in reports:
        judgings.add(report.sessions)
    told, verify = judgings.told(), verifying("e-1", REGISTER)
    return ExamProof(judged_by=told, register=REGISTER, verify=verify)
