"""What is made of the entries of a stream."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from recorded_stream import (
    ENROLLED_AT,
    NOON,
    RecordedStream,
    taken_over,
    taken_over_unseen,
)

from engine import events
from streamer.records.entries import Missing, Suspended, Waited
from streamer.records.incidents.tracker import incidents_of
from streamer.reports.report import Report, Session
from streamer.reports.sessions import session

ZONE = ZoneInfo("Europe/Berlin")


def told_of(stream: RecordedStream) -> Session:
    return session(stream.stream, stream.entries, [], consents={}, chain=None, zone=ZONE)


def berlin(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, ZONE)


def test_a_takeover_is_told_from_when_the_other_voice_began(taken: Report) -> None:
    (told,) = taken.sessions
    states = [(one.state, one.since, one.until) for one in told.segments if one.state != "lapsed"]
    assert states == [
        ("insufficient", 1.7, 2.7),
        ("match", 2.7, 60.0),
        ("changed", 60.0, 63.5),
        ("mismatch", 63.5, 90.0),
    ]
    changed = next(one for one in told.segments if one.state == "changed")
    assert changed.speaker == "voice-2"


def test_times_of_day_have_a_zone_and_count_a_lost_connection(taken: Report) -> None:
    (told,) = taken.sessions
    mismatch = told.segments[-1]
    assert mismatch.since_at == berlin(NOON + 63.5 + 20)
    assert mismatch.since_at.utcoffset() == berlin(NOON).utcoffset()
    assert told.ended_at == berlin(NOON + 90 + 20)


def test_times_of_day_are_of_when_it_was_said_and_the_report_says_when_it_came() -> None:
    stream = taken_over_unseen()
    incidents = incidents_of(stream.entries)
    told = session(stream.stream, stream.entries, incidents, consents={}, chain=None, zone=ZONE)
    states = [(one.state, one.since_at, one.until_at) for one in told.segments]
    assert ("mismatch", berlin(NOON + 70), berlin(NOON + 85)) in states
    turn = next(one for one in told.turns if one.state == "mismatch")
    assert (turn.since_at, turn.until_at) == (berlin(NOON + 70), berlin(NOON + 85))
    (found,) = told.incidents
    assert (found.since_at, found.until_at) == (berlin(NOON + 70), berlin(NOON + 85))
    assert found.came_at == berlin(NOON + 90)
    (gap,) = told.gaps
    assert (gap.kind, gap.since_at, gap.until_at) == (
        "no-sound", berlin(NOON + 60), berlin(NOON + 90),
    )  # fmt: skip
    assert gap.detail == "for 30 s; the last 30 s of what was said meanwhile came then"


@pytest.mark.parametrize(("late_s", "since", "until"), [(0.0, 141.5, 150), (28.0, 113.5, 122)])
def test_what_ends_where_nothing_comes_ends_before_the_pause(
    late_s: float, since: float, until: float
) -> None:
    """Nobody is told to be matched while nothing was heard, also if a part of it came later."""
    stream = RecordedStream()
    stream.decide(3.0, "match")
    stream.score(4, 50, [7.0])
    stream.tell(events.Stalled(t=50.0, stalled=True, gap_s=3.0))
    stream.decide(50.0, "insufficient", reason="no sound for 3.0 s")
    stream.lose(50.0, 90.0)
    stream.tell(events.Stalled(t=50.0, stalled=False, gap_s=90.0, late_s=late_s))
    stream.score(51, 60, [7.0])
    stream.decide(51.5, "match")
    stream.end(60.0, 50.0)
    matches = [one for one in told_of(stream).segments if one.state == "match"]
    assert [(one.since_at, one.until_at) for one in matches] == [
        (berlin(NOON + 3), berlin(NOON + 50)),
        (berlin(NOON + since), berlin(NOON + until)),
    ]


def test_nothing_ends_before_it_began_where_late_sound_is_dated_before_what_had_come() -> None:
    """An older server may have recorded as late more than can have been said in the pause."""
    stream = RecordedStream()
    stream.decide(3.0, "match")
    stream.hear(48.0, "noisy")
    stream.decide(49.0, "mismatch", since=48.0)
    stream.lose(50.0, 10.0)
    stream.tell(events.Stalled(t=50.0, stalled=False, gap_s=10.0, late_s=30.0))
    stream.hear(51.0, "noisy")
    stream.decide(52.0, "match")
    stream.say(47.0, 52.0, "mismatch", -5.0)
    stream.end(60.0, 50.0)
    told = told_of(stream)
    spans = [*told.segments, *told.turns, *told.sound]
    assert told.turns
    assert told.sound
    assert [one for one in spans if one.until_at is None or one.until_at < one.since_at] == []


def test_poor_sound_where_nothing_comes_ends_before_the_pause() -> None:
    stream = RecordedStream()
    stream.hear(48.0, "noisy")
    stream.hear(50.0, "noisy")
    stream.lose(50.0, 90.0)
    stream.end(60.0, 50.0)
    (noisy,) = told_of(stream).sound
    assert (noisy.since_at, noisy.until_at) == (berlin(NOON + 46), berlin(NOON + 50))


def test_that_nothing_came_for_long_moves_no_time_of_day() -> None:
    stream = RecordedStream()
    stream.decide(10.0, "match")
    stream.entries.append(Waited(at=NOON + 130.0, t=10.0))
    stream.decide(60.0, "mismatch", since=20.0)
    stream.end(70.0, 60.0)
    assert told_of(stream).segments[-1].since_at == berlin(NOON + 20)


def test_that_the_server_did_not_run_is_a_gap_and_moves_no_time_of_day() -> None:
    stream = RecordedStream()
    stream.decide(10.0, "match")
    away = Suspended(at=NOON + 130.0, t=10.0, since=NOON + 11.0, until=NOON + 130.0)
    stream.entries.append(away)
    stream.decide(60.0, "mismatch", since=20.0)
    stream.end(70.0, 60.0)
    told = told_of(stream)
    (gap,) = told.gaps
    assert (gap.kind, gap.since_at, gap.until_at) == (
        "not-running", berlin(NOON + 11), berlin(NOON + 130),
    )  # fmt: skip
    what = "it did not run, as a laptop that sleeps, or was put forward"
    assert gap.detail == f"by 1 min 59 s: {what}"
    assert told.segments[-1].since_at == berlin(NOON + 20)


def test_a_file_that_is_sent_fast_is_over_when_it_was() -> None:
    stream = RecordedStream()
    stream.paused_s = -55.0  # a minute of sound came in 5 s
    stream.decide(60.0, "match", since=30.0)
    stream.end(60.0, 50.0)
    told = told_of(stream)
    assert told.ended_at == berlin(NOON + 5)
    assert all(one.since_at <= told.ended_at for one in told.segments)


def test_an_incident_has_what_the_desk_did_with_it(taken: Report) -> None:
    dropped, takeover = taken.incidents
    assert (takeover.state, dropped.state) == ("acknowledged", "open")
    assert takeover.acknowledged_at == berlin(NOON + 115)
    assert [note.text for note in takeover.notes] == ["Called the room: a sister answered."]
    assert [note.text for note in taken.sessions[0].notes] == ["Spoke with the candidate."]


def test_the_last_verdict_counts_and_those_before_it_stay(taken: Report) -> None:
    assert [one.verdict for one in taken.verdicts] == ["needs-review", "violation"]
    assert taken.verdict is not None
    assert (taken.verdict.who, taken.verdict.at) == ("desk", berlin(NOON + 140))


def test_without_a_person_there_is_no_verdict(clean: Report) -> None:
    assert clean.verdict is None


def test_another_claim_rewrites_nothing_of_what_was_before_it() -> None:
    stream = RecordedStream()
    stream.decide(3.0, "match")
    stream.claim(20.0, "Bert")
    stream.decide(22.0, "mismatch", since=15.0, speaker="Bert")  # dated before the claim held
    stream.claim(40.0, "Anna")
    stream.end(50.0, 45.0)
    told = told_of(stream)
    asked = [(claim.question, claim.since, claim.until) for claim in told.claims]
    assert asked == [
        ("Is it Anna?", 0.0, 20.0),
        ("Is it Bert?", 20.0, 40.0),
        ("Is it Anna?", 40.0, 50.0),
    ]
    states = [(one.state, one.since, one.until) for one in told.segments]
    assert ("match", 3.0, 20.0) in states
    assert ("mismatch", 20.0, 40.0) in states


def test_terms_that_say_the_same_again_are_no_other_claim() -> None:
    stream = RecordedStream()
    stream.claim(10.0, "Anna")
    stream.end(20.0, 15.0)
    assert [claim.until for claim in told_of(stream).claims] == [20.0]


def test_poor_sound_and_gaps_are_spans(taken: Report) -> None:
    (told,) = taken.sessions
    (noisy,) = told.sound
    assert (noisy.problems, noisy.since, noisy.until) == (("noisy",), 42.0, 46.0)
    (lost,) = told.gaps
    assert (lost.kind, lost.since_at, lost.until_at) == (
        "disconnected",
        berlin(NOON + 50),
        berlin(NOON + 70),
    )


def test_a_gap_in_the_record_is_told() -> None:
    stream = RecordedStream()
    missing = Missing(at=NOON + 9, t=9.0, count=12, since=NOON + 4, until=NOON + 8, why="disk full")
    stream.entries.append(missing)
    (gap,) = told_of(stream).gaps
    assert (gap.kind, gap.count, gap.since_at) == ("not-recorded", 12, berlin(NOON + 4))
    assert "disk full" in gap.detail


def late(t: float, behind_s: float, dropped: int = 0) -> events.Lag:
    return events.Lag(t=t, reason="overload", behind_s=behind_s, hop_s=None, dropped=dropped)


def test_that_the_server_was_late_is_told_for_as_long_as_it_was() -> None:
    stream = RecordedStream()
    for lag in (late(10.0, 4.9), late(12.0, 0.0), late(50.0, 1.3), late(51.0, 0.0)):
        stream.tell(lag)
    stream.end(60.0, 50.0)
    told = told_of(stream)
    assert [(gap.kind, gap.since, gap.until) for gap in told.gaps] == [
        ("late", 10.0, 12.0),
        ("late", 50.0, 51.0),
    ]
    assert told.gaps[0].detail == "the server was late, by 4.9 s at first"
    assert not any(gap.lacks for gap in told.gaps)


def test_where_the_record_has_no_end_of_a_lateness_none_is_made_up() -> None:
    """As records of before, which kept the beginnings alone."""
    stream = RecordedStream()
    for lag in (late(10.0, 4.9), late(50.0, 1.3), late(55.0, 0.5, dropped=3)):
        stream.tell(lag)
    stream.end(60.0, 50.0)
    told = told_of(stream).gaps
    assert [(gap.kind, gap.since, gap.until, gap.lacks) for gap in told] == [
        ("late", 10.0, 10.0, False),
        ("late", 50.0, 50.0, False),
        ("scores-left-out", 55.0, 55.0, True),
    ]
    assert all(gap.detail.endswith("; until when is not in the record") for gap in told)


def test_a_recording_says_that_it_is_one() -> None:
    stream = RecordedStream()
    assert told_of(stream).live
    started = stream.entries[0]
    stream.entries[0] = msgspec.structs.replace(started, live=False)
    assert told_of(stream).live is False


def test_a_stream_that_goes_on_has_no_end() -> None:
    stream = RecordedStream()
    stream.decide(3.0, "match")
    told = told_of(stream)
    assert told.ended_at is None
    assert told.segments[-1].until is None
    assert told.claims[-1].until is None


def test_consent_is_told_by_the_record_and_in_full_where_it_is_kept(taken: Report) -> None:
    (kept,) = taken.sessions[0].claims[0].enrolments
    assert kept.consent is not None
    assert (kept.consent.language, kept.consent.signed_by) == ("en", "candidate link")
    (bare,) = told_of(taken_over()).claims[0].enrolments
    assert bare.consent is not None
    assert (bare.consent.text_version, bare.consent.language) == ("2026-11", "")
    assert bare.consent.given_at == berlin(ENROLLED_AT - 5)


def test_evidence_is_one_point_a_second(taken: Report) -> None:
    seconds = [int(point.t) for point in taken.sessions[0].evidence]
    assert len(seconds) == len(set(seconds)) == 58 + 29


def test_an_accommodation_makes_a_note_of_an_incident() -> None:
    stream = taken_over()
    noted = msgspec.structs.replace(incidents_of(stream.entries)[1], note_only=True)
    told = session("s-1", stream.entries, [noted], consents={}, chain=None, zone=ZONE)
    assert told.incidents[0].state == "noted"


@pytest.mark.parametrize("count", [1, 5])
def test_entries_without_a_start_are_still_told(count: int) -> None:
    """The start may be what could not be written."""
    stream = taken_over()
    entries = stream.entries[1 : 1 + count]
    told = session("s-1", entries, [], consents={}, chain=None, zone=ZONE)
    assert told.model is None
    assert told.claims == ()
