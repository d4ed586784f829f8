"""Consents as a report tells them: of those who were claimed, and a candidate's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo

from streamer.exams.book import Exams
from streamer.exams.consents import CLIPS_PURPOSE
from streamer.exams.exam import Candidate, ConsentRow
from streamer.records.entries import AnyEntry, Terms
from streamer.reports import words
from streamer.reports.claims import Consent

DAY_S = 86_400.0


def consents_of_claimed(
    exams: Exams | None, names: Mapping[str, str], entries: Iterable[AnyEntry], zone: tzinfo
) -> dict[str, Sequence[Consent]]:
    """All consents of those who were claimed, by name; ``names`` are by reference."""
    if exams is None:
        return {}
    claimed = {p.speaker for e in entries if isinstance(e, Terms) for p in e.voiceprints}
    known = {name: reference for reference, name in names.items() if name in claimed}
    return {
        name: [_consent(row, zone) for row in exams.consents.of(person=bytes.fromhex(reference))]
        for name, reference in known.items()
    }


def own_consents(
    exams: Exams | None, candidate: Candidate | None, zone: tzinfo
) -> tuple[Consent | None, Consent | None]:
    """What the candidate agreed to last on the page of their link, and by itself to clips."""
    if exams is None or candidate is None:
        return None, None
    rows = exams.consents.of(candidate=candidate.id)
    of_clips = [row.purpose.startswith(CLIPS_PURPOSE) for row in rows]
    return (
        _last([row for row, clips in zip(rows, of_clips, strict=True) if not clips], zone),
        _last([row for row, clips in zip(rows, of_clips, strict=True) if clips], zone),
    )


def _last(rows: Sequence[ConsentRow], zone: tzinfo) -> Consent | None:
    return _consent(rows[-1], zone) if rows else None


def _consent(row: ConsentRow, zone: tzinfo) -> Consent:
    term = "until it is deleted"
    if row.term_s is not None:
        term = f"for {words.counted(round(row.term_s / DAY_S, 2), 'day')}"
    return Consent(
        text_version=row.text_version,
        given_at=_at(row.given_at, zone),
        text_sha256=row.text_sha256,
        language=row.language,
        purpose=row.purpose,
        term=term,
        signed_by=row.signer,
        withdrawn_at=None if row.withdrawn_at is None else _at(row.withdrawn_at, zone),
    )


def _at(seconds: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(round(seconds, 3), zone)
