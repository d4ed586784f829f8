"""From the entries of one stream, and its incidents, to what a report says of that session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo

from streamer.records.entries import (
    Acted,
    AnyEntry,
    Clip,
    Ended,
    Scores,
    Started,
    Suspended,
    Terms,
    VoiceprintFacts,
    Waited,
)
from streamer.records.lateness import Lateness
from streamer.reports import words
from streamer.reports.claims import Bounds, Claim, Consent, Enrolment
from streamer.reports.clock import Clock
from streamer.reports.lacking import gaps, sound_problems
from streamer.reports.report import (
    Chain,
    ClipDeletion,
    Incident,
    Model,
    Note,
    Point,
    Session,
    Verdict,
)
from streamer.reports.segments import Segments, turns
from streamer.wire.incidents import Incident as IncidentMessage

NONE_DELETED: Mapping[str, ClipDeletion] = {}
ASKED = {"identify": "Who of all enrolled is it?", "changes": "Does the voice change?"}


def session(
    stream: str,
    entries: Sequence[AnyEntry],
    incidents: Sequence[IncidentMessage],
    *,
    consents: Mapping[str, Sequence[Consent]],
    chain: Chain | None,
    zone: tzinfo,
    deleted_clips: Mapping[str, ClipDeletion] = NONE_DELETED,
) -> Session:
    """What is told of a stream. ``consents`` are those that are kept in full, by name.

    ``deleted_clips`` are those that are gone, by incident.

    ``entries`` has at least one.
    """
    clock = Clock(_moments(entries), zone)
    started = next((e for e in entries if isinstance(e, Started)), None)
    ended = next((e for e in entries if isinstance(e, Ended)), None)
    summary = ended.summary if ended else None
    segments = Segments()
    for entry in entries:
        segments.receive(entry)
    acts = [entry for entry in entries if isinstance(entry, Acted)]
    clips = {entry.incident: entry.sha256 for entry in entries if isinstance(entry, Clip)}
    spoken, ordered = turns(entries, clock), sorted(incidents, key=_since)
    return Session(
        stream=stream,
        label=started.label if started else "",
        began_at=clock.of(entries[0].at),
        ended_at=clock.of(ended.at) if ended else None,
        ended_why=ended.why if ended else "",
        received_s=summary.received_s if summary else max(entry.t for entry in entries),
        speech_s=summary.speech_s if summary else sum(turn.speech_s for turn in spoken),
        match_s=summary.match_s if summary else None,
        live=started.live if started else None,
        clips=started.clips if started else None,
        model=_model(started),
        claims=tuple(_claims(entries, clock, consents)),
        segments=segments.told(clock),
        turns=spoken,
        incidents=tuple(_incident(one, acts, clips, deleted_clips, clock) for one in ordered),
        sound=sound_problems(entries, clock),
        gaps=gaps(entries, clock),
        notes=tuple(_note(act, clock) for act in acts if act.act == "note" and not act.incident),
        verdicts=tuple(_verdicts(acts, clock)),
        evidence=tuple(_evidence(entries)),
        chain=chain,
    )


def _moments(entries: Iterable[AnyEntry]) -> Iterator[tuple[float, float]]:
    """Media times with the time of day at which their sound was said, as far as it is known.

    What was told before sound came late, at the same media time, stays where it was.
    """
    lateness = Lateness()
    for entry in entries:
        if _is_of_sound(entry):
            lateness.receive(entry)
            yield entry.t, lateness.said_at(entry.t) or entry.at


def _is_of_sound(entry: AnyEntry) -> bool:
    """Whether an entry was made as the sound came: people act later, and who waits hears none."""
    return not isinstance(entry, Acted | Clip | Suspended | Waited)


def _model(started: Started | None) -> Model | None:
    if started is None:
        return None
    model = started.model
    return Model(
        name=model.name, version=model.version, sha256=model.sha256, measured=started.measured
    )


def _claims(
    entries: Iterable[AnyEntry], clock: Clock, consents: Mapping[str, Sequence[Consent]]
) -> Iterator[Claim]:
    """Each claim with its span; terms that say the same as those before go on with them."""
    terms: list[Terms] = []
    end: float | None = None
    alarms: float | None = None
    for entry in entries:
        if isinstance(entry, Started):
            alarms = entry.false_alarms_per_hour
        if isinstance(entry, Terms) and not (terms and _same(terms[-1], entry)):
            terms.append(entry)
        elif isinstance(entry, Ended):
            end = entry.summary.received_s if entry.summary else entry.t
    for number, one in enumerate(terms):
        until = terms[number + 1].t if number + 1 < len(terms) else end
        yield Claim(
            since=one.t,
            until=until,
            since_at=clock.at(one.t),
            until_at=None if until is None else clock.at(until),
            question=_question(one),
            mode=one.mode,
            enrolments=tuple(_enrolment(of, consents, clock) for of in one.voiceprints),
            bounds=Bounds(
                false_accept=one.bounds.false_accept,
                miss=one.bounds.miss,
                accept_llr=one.bounds.accept_llr,
                reject_llr=one.bounds.reject_llr,
                false_alarms_per_hour=alarms,
            ),
            expected_rates=tuple(
                (rate.speech_s, rate.false_accept, rate.accepted, rate.not_accepted)
                for rate in one.expected_rates
            ),
        )


def _same(before: Terms, after: Terms) -> bool:
    kept = ("mode", "claims", "voiceprints", "bounds")
    return all(getattr(before, name) == getattr(after, name) for name in kept)


def _question(terms: Terms) -> str:
    if terms.mode == "verify":
        return f"Is it {words.any_of(terms.claims)}?"
    return ASKED.get(terms.mode, terms.mode)


def _enrolment(
    facts: VoiceprintFacts, consents: Mapping[str, Sequence[Consent]], clock: Clock
) -> Enrolment:
    """What the record says of it, with the consent of that time where it is kept in full."""
    given_at = clock.of(facts.consent_at)
    consent = Consent(text_version=facts.consent_version, given_at=given_at)
    kept = (one for one in consents.get(facts.speaker, ()) if _within(one.given_at, given_at, 1.0))
    return Enrolment(
        name=facts.speaker,
        enrolled_at=clock.of(facts.enrolled_at),
        speech_s=facts.speech_s,
        expires_at=None if facts.expires_at is None else clock.of(facts.expires_at),
        consent=next(kept, consent),
    )


def _within(one: datetime, other: datetime, seconds: float) -> bool:
    return abs((one - other).total_seconds()) <= seconds


def _since(one: IncidentMessage) -> float:
    return one.since_at


def _incident(
    one: IncidentMessage,
    acts: Iterable[Acted],
    clips: Mapping[str, str],
    deleted_clips: Mapping[str, ClipDeletion],
    clock: Clock,
) -> Incident:
    return Incident(
        id=one.id,
        kind=one.kind,
        title=words.worded(words.INCIDENTS, one.kind),
        severity=one.severity,
        since=one.since,
        until=one.until,
        since_at=clock.of(one.since_at),
        until_at=None if one.until_at is None else clock.of(one.until_at),
        came_at=None if one.came_at is None else clock.of(one.came_at),
        reason=one.reason,
        evidence=one.evidence,
        speech_s=one.speech_s or None,
        voice=one.voice,
        share=one.share,
        count=one.count,
        note_only=one.note_only,
        acknowledged_by=one.acknowledged_by,
        acknowledged_at=None if one.acknowledged_at is None else clock.of(one.acknowledged_at),
        notes=tuple(_note(act, clock) for act in acts if act.incident == one.id and act.text),
        clip_sha256=clips.get(one.id),
        clip_deleted=deleted_clips.get(one.id),
    )


def _note(act: Acted, clock: Clock) -> Note:
    return Note(who=act.who, at=clock.of(act.at), text=act.text)


def _verdicts(acts: Iterable[Acted], clock: Clock) -> Iterator[Verdict]:
    for act in acts:
        if act.act == "verdict" and act.verdict is not None:
            yield Verdict(verdict=act.verdict, who=act.who, at=clock.of(act.at), note=act.text)


def _evidence(entries: Iterable[AnyEntry]) -> Iterator[Point]:
    """The best evidence for anybody claimed, in each second."""
    best: dict[int, Point] = {}
    for entry in entries:
        if isinstance(entry, Scores) and entry.evidence is not None:
            second, point = int(entry.t), Point(round(entry.t, 2), round(entry.evidence, 2))
            if second not in best or best[second].evidence < point.evidence:
                best[second] = point
    yield from best.values()
