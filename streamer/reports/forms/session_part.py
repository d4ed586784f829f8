"""One session in the page: its timeline, its incidents, and what was asked and answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamer.reports import words
from streamer.reports.claims import Bounds, Claim
from streamer.reports.forms.looks import COLOURS, LACKING, POOR, TRACE, mark, weight
from streamer.reports.forms.markup import Child, Markup, element, facts, isolated, joined, table
from streamer.reports.forms.picture import NARROW, WIDE, timeline
from streamer.reports.parts import Span
from streamer.reports.report import (
    ClipDeletion,
    Gap,
    Incident,
    Note,
    Segment,
    Session,
    SoundProblem,
)

ROWS = 150  # of a table in the page; the CSV has all
BOUNDS = "Error rates asked for, and bounds on the evidence"
MORE = "{} more rows are in the CSV and in the JSON."


def session_part(session: Session, number: int, of: int) -> Markup:
    """All of a session but what proves it."""
    heading = "The session" if of == 1 else f"Session {number + 1} of {of}"
    return element(
        "section",
        element("h2", heading),
        facts(
            ("Began", words.moment(session.began_at) if of > 1 else ""),
            ("Ended", _ended(session)),
            ("Sound and speech", _lengths(session)),
            ("Clips of sound", _clips(session)),
            ("Stream", [session.stream, f" ({session.label})" if session.label else ""]),
        ),
        element("h3", "Timeline"),
        _figure(session, number),
        _incidents(session.incidents),
        _claims(session.claims),
        _notes(session.notes),
        _states(session.segments),
        _quality(session.sound, session.gaps),
    )


def when(span: Span) -> Markup:
    """A span by the clock."""
    until = (
        ""
        if span.until_at is None
        else f"\N{NO-BREAK SPACE}{words.DASH} {words.time_of_day(span.until_at)}"
    )
    return element("span", f"{words.time_of_day(span.since_at)}{until}")


def media(span: Span) -> Markup:
    """A span by the sound."""
    until = (
        "" if span.until is None else f"\N{NO-BREAK SPACE}{words.DASH} {words.clock(span.until)}"
    )
    return element("span", f"{words.clock(span.since)}{until}")


def _ended(session: Session) -> str:
    if session.ended_at is None:
        return session.ended_why or "it goes on, or its end is not in the record"
    return (
        f"{words.moment(session.ended_at)}{f' ({session.ended_why})' if session.ended_why else ''}"
    )


def _lengths(session: Session) -> str:
    matched = (
        "" if session.match_s is None else f", {words.duration(session.match_s)} of it matched"
    )
    received, speech = words.duration(session.received_s), words.duration(session.speech_s)
    sent = "; a recording, whose times of day are those of its arrival"
    return (
        f"{received} of sound, {speech} of speech{matched}{sent if session.live is False else ''}"
    )


def _clips(session: Session) -> str:
    """What the candidate said when it began, and how many are gone since."""
    said = [words.CLIPS[session.clips]] if session.clips else []
    with_sound = [one for one in session.incidents if one.clip_sha256 is not None]
    gone = sum(one.clip_deleted is not None for one in with_sound)
    said += [f"of {words.counted(len(with_sound), 'clip')} {gone} deleted since"] if gone else []
    return "; ".join(said)


def _figure(session: Session, number: int) -> Markup:
    pictures = [
        timeline(session, width, 2 * number + at) for at, width in enumerate((WIDE, NARROW))
    ]
    return element("figure", pictures, _legend(session), class_="figure")


def _legend(session: Session) -> Markup:
    states = dict.fromkeys(segment.state for segment in session.segments)
    items: list[Child] = [
        _key(_swatch(12, COLOURS[state][0]), words.state(state, None))
        for state in states
        if state in COLOURS and state != "lapsed"
    ]
    if session.evidence:
        line = element("polyline", points="0,9 8,3 14,7 22,2", **TRACE)
        items.append(_key(line, "evidence for the claimed person, between its bounds"))
    for kind, heavy in sorted({(one.kind, weight(one)) for one in session.incidents}):
        sign = mark(kind, heavy, "translate(11 6.5) scale(0.8)")
        items.append(_key(sign, words.worded(words.INCIDENTS, kind)))
    if session.sound:
        items.append(_key(_swatch(6, POOR), "poor sound"))
    if any(gap.lacks for gap in session.gaps):
        items.append(_key(_swatch(6, LACKING), "something is lacking"))
    return element("ul", items, class_="legend")


def _swatch(height: int, colour: str) -> Markup:
    return element("rect", y=6 - height / 2, width=22, height=height, fill=colour)


def _key(mark: Markup, said: str) -> Markup:
    return element("li", element("svg", mark, viewBox="0 0 22 12", aria_hidden="true"), said)


def _incidents(found: Sequence[Incident]) -> Markup:
    if not found:
        return joined([element("h3", "Incidents"), element("p", "None.")])
    rows = (_incident(number, one) for number, one in enumerate(found, 1))
    columns = {"No.": 5, "Time of day": 15, "Media time": 15, "What": 30}
    columns |= {"Evidence": 15, "State and notes": 20}
    return joined([element("h3", "Incidents"), table(columns, rows)])


def _incident(number: int, one: Incident) -> Iterable[Child]:
    yield str(number)
    yield when(one)
    yield media(one)
    yield [element("span", one.title, class_="what"), one.reason, _late(one)]
    yield ", ".join(_figures(one)) or words.DASH
    yield [
        element("span", one.state, class_=f"tag {one.state}"),
        _acknowledged(one),
        _written(one.notes),
        _sound(one),
    ]


def _late(one: Incident) -> Child:
    """When its sound came, where it was said before."""
    return None if one.came_at is None else element("p", words.late(one.came_at))


def _sound(one: Incident) -> Markup:
    """That there is sound of it, and which; or what became of it."""
    if one.clip_sha256 is None:
        return joined([])
    gone = one.clip_deleted
    told = "Sound is kept" if gone is None else _deleted(gone)
    return element("div", f"{told}, sha256 {one.clip_sha256}", class_="digest")


def _deleted(gone: ClipDeletion) -> str:
    if gone.at is None:
        return "Sound was kept and is lacking; the record does not say when or why"
    by = f" by {gone.who}" if gone.who else ""
    why = f": {gone.why}" if gone.why else ""
    return f"Sound was deleted {words.moment(gone.at)}{by}{why}"


def _figures(one: Incident) -> Iterable[str]:
    if one.evidence is not None:
        yield words.llr(one.evidence)
    if one.speech_s is not None:
        yield f"{words.duration(one.speech_s)} of speech"
    if one.share is not None:
        yield f"{words.percent(round(one.share, 2))} of the speech"
    if one.voice:
        yield words.voice(one.voice)
    if one.count > 1:
        yield f"{one.count} times"


def _acknowledged(one: Incident) -> Child:
    if one.acknowledged_at is None:
        return None
    by = f" by {one.acknowledged_by}" if one.acknowledged_by else ""
    return element("p", f"Acknowledged{by} at {words.time_of_day(one.acknowledged_at)}.")


def _written(notes: Sequence[Note]) -> Child:
    return [
        element("p", f"Note by {note.who} at {words.time_of_day(note.at)}: ", isolated(note.text))
        for note in notes
    ]


def _claims(claims: Sequence[Claim]) -> Markup:
    """Who was claimed; each claim with its own span, so that none rewrites what was before it."""
    heading = (
        "What was asked"
        if len(claims) < 2
        else f"What was asked: {len(claims)} claims, one after the other"
    )
    rows = ((when(one), media(one), isolated(one.question), bounds(one.bounds)) for one in claims)
    columns = {"Time of day": 20, "Media time": 20, "Question": 20, BOUNDS: 40}
    return joined([element("h3", heading), table(columns, rows)])


def bounds(b: Bounds | None) -> str:
    """The error rates that were asked for, and the bounds on the evidence."""
    if b is None:
        return words.DASH
    alarms = (
        ""
        if b.false_alarms_per_hour is None
        else f", {words.counted(b.false_alarms_per_hour, 'false takeover')} an hour"
    )
    return (
        f"{words.percent(b.false_accept)} false matches, {words.percent(b.miss)} false"
        f" mismatches{alarms};"
        f" match from {words.llr(b.accept_llr)}, mismatch from {words.llr(b.reject_llr)}"
    )


def _notes(notes: Sequence[Note]) -> Markup:
    if not notes:
        return Markup()
    rows = ((words.time_of_day(note.at), note.who, isolated(note.text)) for note in notes)
    columns = {"Time of day": 15, "Who": 25, "Note": 60}
    return joined(
        [
            element("h3", "Notes from the desk"),
            table(columns, rows),
        ]
    )


def _states(segments: Sequence[Segment]) -> Markup:
    told = [one for one in segments if one.state != "lapsed"]
    if not told:
        return joined([element("h3", "Who spoke"), element("p", "Nothing was decided.")])
    rows = ((when(one), media(one), _state(one), one.reason) for one in told[:ROWS])
    columns = {"Time of day": 20, "Media time": 20, "State": 25, "Why": 35}
    return joined([element("h3", "Who spoke"), table(columns, rows), _left_out(len(told))])


def _left_out(count: int) -> Markup:
    return element("p", MORE.format(count - ROWS), class_="soft") if count > ROWS else Markup()


def _state(one: Segment) -> Child:
    told = one.evidence is not None and one.state != "insufficient"
    evidence = f" ({words.llr(one.evidence)})" if told and one.evidence is not None else ""
    return [isolated(words.state(one.state, one.speaker)), evidence]


def _quality(sound: Sequence[SoundProblem], gaps: Sequence[Gap]) -> Markup:
    spans: list[tuple[Span, str]] = [
        (one, ", ".join(words.worded(words.PROBLEMS, problem) for problem in one.problems))
        for one in sound
    ]
    spans += [(one, f"{words.GAPS[one.kind]}: {one.detail}") for one in gaps]
    heading = element("h3", "Sound and gaps")
    if not spans:
        said = (
            "The sound was good enough throughout, and nothing is lacking in it or in the record."
        )
        return joined([heading, element("p", said)])
    spans.sort(key=lambda pair: pair[0].since_at)
    rows = ((when(span), media(span), said) for span, said in spans[:ROWS])
    columns = {"Time of day": 20, "Media time": 20, "What": 60}
    return joined(
        [
            heading,
            table(columns, rows),
            _left_out(len(spans)),
        ]
    )
