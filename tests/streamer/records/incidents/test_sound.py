"""Incidents of the sound, whoever speaks in it: silence, noise, tampering, lost connections."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from recorded_incidents import kinds, matched, the_one
from recorded_stream import NOON, RecordedStream

from engine import events
from streamer.records.entries import Acted, Suspended
from streamer.records.incidents.tracker import IncidentTracker, incidents_of
from streamer.records.rules import IncidentRules


def test_silence_where_speech_is_expected() -> None:
    stream = matched()
    stream.hear(60.0)
    for t in range(62, 182, 2):
        stream.be_silent(float(t))
    found = the_one(stream)
    assert (found.kind, found.since, found.until) == ("silent", 60.0, None)
    assert "nobody has spoken since 1:00.0, for more than 2 min 0 s" in found.reason
    stream.hear(190.0)
    assert the_one(stream).until == 190.0
    allowed = IncidentRules(speaking=False)
    quiet = matched(rules=allowed)
    quiet.be_silent(500.0)
    assert kinds(quiet) == []


def test_an_act_says_nothing_of_the_time_in_a_stream_that_is_not_written_to_its_end() -> None:
    """Its server was killed, or what it said is not written yet: nobody was heard to be silent."""
    stream = matched()
    stream.hear(60.0)
    late = Acted(at=NOON + 900.0, t=60.0, who="desk", act="exported", text="report: pdf")
    assert incidents_of([*stream.entries, late]) == []


def test_an_act_on_an_incident_says_that_it_was_told() -> None:
    stream = matched()
    stream.hear(60.0)
    live = IncidentTracker()
    for entry in stream.entries:
        live.receive(entry)
    (told,) = live.pass_time(NOON + 300.0)
    act = Acted(at=NOON + 301.0, t=60.0, who="desk", act="acknowledge", incident=told.id)
    (kept,) = incidents_of([*stream.entries, act])
    assert (kept.kind, kept.acknowledged_by) == ("silent", "desk")


def test_no_sound_at_all_is_silence_too_and_is_told_in_time() -> None:
    tracker = IncidentTracker()
    stream = matched()
    stream.tell(events.Stalled(t=60.0, stalled=True, gap_s=3.0))
    for entry in stream.entries:
        tracker.receive(entry)
    assert tracker.pass_time(NOON + 170.0) == []
    (found,) = tracker.pass_time(NOON + 181.0)
    assert found.kind == "silent"
    assert found.reason.startswith("no sound has come")
    assert tracker.pass_time(NOON + 300.0) == []


def test_silence_after_sound_that_came_late_is_dated_by_when_it_was_said() -> None:
    """Of 30 s that came at once the last half is silent, and nobody speaks after that."""
    stream = matched()
    stream.keep_back(60.0, 30.0)
    stream.score(61, 76, [7.0, 8.0])
    stream.catch_up()
    stream.be_silent(196.0)
    stream.be_silent(198.0)
    found = the_one(stream)
    assert (found.kind, found.since) == ("silent", 75.0)
    assert (found.since_at, found.came_at) == (NOON + 75.0, NOON + 90.0)
    stream.score(200, 201, [7.0])
    assert the_one(stream).reason == "nobody spoke for 2 min 5 s"


def test_silence_ends_when_somebody_spoke_though_that_came_late() -> None:
    """No sound came for 150 s, but the last 30 s of what was said meanwhile came then."""
    stream = matched()
    stream.paused_s = 120.0
    stream.keep_back(60.0, 30.0)
    stream.score(61, 90, [7.0, 8.0])
    found = the_one(stream)
    assert (found.kind, found.since_at, found.came_at) == ("silent", NOON + 58.6, None)
    assert (found.until, found.until_at) == (61.0, NOON + 181.0)
    assert found.reason == "nobody spoke for 2 min 2 s; what was said then came 29 s later"


def test_silence_that_was_none_is_no_shorter_than_nothing() -> None:
    """An older server recorded as late what cannot have been said in the pause."""
    stream = matched()
    stream.be_silent(181.0)
    stream.tell(events.Stalled(t=181.0, stalled=True, gap_s=3.0))
    stream.tell(events.Stalled(t=181.0, stalled=False, gap_s=3.0, late_s=200.0))
    stream.score(182, 183, [7.0])
    found = the_one(stream)
    assert (found.since_at, found.until_at) == (NOON + 58.6, NOON + 58.6)


def test_two_at_once_do_not_end_before_they_began() -> None:
    stream = matched()
    stream.overlap(61.0, 66.0)
    stream.tell(events.Stalled(t=67.0, stalled=False, gap_s=3.0, late_s=60.0))
    stream.overlap(68.0, 72.0)
    (found,) = (one for one in incidents_of(stream.entries) if one.kind == "overlap")
    assert found.until == 72.0
    assert found.until_at == found.since_at == NOON + 61.0


def test_noise_for_long_enough() -> None:
    stream = matched()
    stream.hear(60.0)
    for t in range(62, 70, 2):
        stream.hear(float(t), "noisy")
    assert kinds(stream) == []
    for t in range(70, 84, 2):
        stream.hear(float(t), "noisy")
    found = the_one(stream)
    assert (found.kind, found.since, found.until) == ("noisy", 60.0, None)
    assert "noisy since 1:00.0, 4 dB over the noise" in found.reason
    for t in range(84, 100, 2):
        stream.hear(float(t))
    assert the_one(stream).until == 82.0


def doubted(t: float, *problems: events.Problem, since: float | None = None) -> events.Quality:
    """What is told of sound in doubt; without problems, that there is none any more."""
    advice = "" if not problems else "start with encoding=pcm_f32le"
    sound: dict[str, Any] = {"level_dbfs": -30.0, "clipped": 0.0, "snr_db": 9.0, "speech_share": 1}
    return events.Quality(t=t, problems=problems, advice=advice, repeated_since=since, **sound)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("format-suspect", "not of the kind that its sender had announced"),
        ("rate-suspect", "faster or slower than its sender had announced"),
        ("repeated", "exactly the same sound came once more"),
    ],
)
def test_sound_in_doubt_is_told_at_once(problem: events.Problem, words: str) -> None:
    """In words for a desk; those for a technician stand behind them."""
    stream = matched()
    since = 61.0 if problem == "repeated" else None
    stream.tell(doubted(63.3, problem, since=since))
    stream.tell(doubted(64.0, problem, since=since))
    found = the_one(stream)
    assert (found.kind, found.since, found.count) == ("tampering", since or 63.3, 1)
    assert found.reason.startswith(("the sound was " + words, "the sound came " + words, words))
    assert found.reason.endswith(
        f" since 1:0{found.since - 60:.1f} (technically: start with encoding=pcm_f32le)"
    )
    stream.hear(66.0)
    over = the_one(stream)
    assert over.until == 66.0
    assert f" from 1:0{found.since - 60:.1f} to 1:06.0 (technically: " in over.reason


def test_doubt_of_one_kind_that_comes_and_goes_is_one_incident() -> None:
    """A loop with pauses: each time round it is told of another second."""
    stream = matched()
    for t in (61.0, 71.0, 81.0):
        stream.tell(doubted(t + 2, "repeated", since=t))
        stream.tell(doubted(t + 6))
    found = the_one(stream)
    assert (found.count, found.since, found.until) == (3, 61.0, 87.0)
    assert " 3 times from 1:01.0 to 1:27.0 " in found.reason
    stream.tell(doubted(90.0, "format-suspect"))
    stream.tell(doubted(92.0, "rate-suspect"))
    assert kinds(stream) == ["tampering"] * 3
    stream.tell(doubted(94.0))
    stream.tell(doubted(160.0, "rate-suspect"))
    assert kinds(stream) == ["tampering"] * 4


def test_a_lost_connection_is_one_incident_an_outage() -> None:
    stream = matched()
    stream.lose(60.0, 1.0)
    assert kinds(stream) == []
    stream.lose(61.0, 12.0)
    stream.lose(62.0, 8.0)
    found = the_one(stream)
    assert (found.kind, found.count, found.severity) == ("dropped", 2, 1)
    assert found.until_at is not None
    assert found.until_at - found.since_at == pytest.approx(21.0)
    assert found.reason == "the connection was lost 2 times from 1:01.0 to 1:02.0, for 20 s in all"
    stream.paused_s += 100.0
    stream.lose(70.0, 5.0)
    assert [one for one in kinds(stream) if one == "dropped"] == ["dropped", "dropped"]


def test_notices_of_lag_are_no_incident() -> None:
    stream = matched()
    for t in range(60, 90):
        stream.tell(events.Lag(t=float(t), reason="overload", behind_s=9, hop_s=1, dropped=0))
    assert kinds(stream) == []


def test_who_speaks_while_the_server_does_not_run_is_not_silent() -> None:
    """A laptop sleeps for an hour; what had come before is read after it has woken up."""
    stream, tracker = matched(), IncidentTracker()
    for entry in stream.entries:
        tracker.receive(entry)
    since, woke = NOON + 62.0, NOON + 3662.0
    tracker.receive(Suspended(at=woke, t=60.0, since=since, until=woke))
    assert tracker.pass_time(woke + 1.0) == []
    late = RecordedStream()
    late.score(61, 62, [7.0, 7.0])
    for entry in late.entries[1:]:
        tracker.receive(entry)
    assert tracker.pass_time(woke + 100.0) == []
    (found,) = tracker.pass_time(woke + 125.0)  # and then nobody speaks
    assert (found.kind, found.since) == ("silent", 61.0)
    (over,) = tracker.receive(msgspec.structs.replace(late.entries[-1], at=woke + 130.0, t=63.0))
    assert over.reason == "nobody spoke for 2 min 11 s"
