"""A report for who may not see figures: they could be climbed by, as scores could."""

from __future__ import annotations

import msgspec

from streamer.records.incidents import words
from streamer.reports.report import Incident, Report, Segment, Session, Turn


def without_figures(report: Report) -> Report:
    """The report without scores, evidence, and the reasons of decisions, in which they stand."""
    return msgspec.structs.replace(
        report, sessions=tuple(_session(session) for session in report.sessions)
    )


def _session(session: Session) -> Session:
    return msgspec.structs.replace(
        session,
        segments=tuple(_segment(one) for one in session.segments),
        turns=tuple(_turn(one) for one in session.turns),
        incidents=tuple(_incident(one) for one in session.incidents),
        evidence=(),
    )


def _segment(segment: Segment) -> Segment:
    return msgspec.structs.replace(segment, evidence=None, reason="")


def _turn(turn: Turn) -> Turn:
    return msgspec.structs.replace(turn, llr=None, evidence=None, reason="")


def _incident(incident: Incident) -> Incident:
    return msgspec.structs.replace(
        incident, evidence=None, reason=words.without_figures(incident.reason)
    )
