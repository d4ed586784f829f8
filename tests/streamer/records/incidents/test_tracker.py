"""Incidents are spans with a reason, the same live and from the record afterwards."""

from __future__ import annotations

import re

import msgspec
import pytest
from recorded_incidents import kinds, matched, the_one
from recorded_stream import NOON, RecordedStream, taken_over, taken_over_unseen, undisturbed

from engine import events
from streamer.records.incidents.ledger import KINDS, MOST
from streamer.records.incidents.tracker import IncidentTracker, incidents_of
from streamer.records.incidents.words import lasted, without_figures
from streamer.records.rules import IncidentRules
from streamer.reports import words
from streamer.wire.incidents import Incident


def test_nothing_is_an_incident_while_the_right_one_speaks() -> None:
    assert kinds(undisturbed()) == []


def test_a_takeover_is_one_incident_from_its_change_to_the_end() -> None:
    found = the_one(taken_over_quietly())
    assert (found.kind, found.since, found.until) == ("takeover", 60.0, 90.0)
    assert found.since_at == NOON + 60.0
    assert (found.voice, found.evidence, found.severity) == ("voice-2", -6.0, 9)
    assert 20 < found.speech_s < 30
    assert found.reason.startswith(
        "another voice (voice-2) spoke from 1:00.0 to 1:30.0 in place of the expected one, 2"
    )
    assert without_figures(found.reason) != found.reason
    assert "-6" not in without_figures(found.reason)


def test_a_takeover_is_one_too_where_doubt_is_told_before_it() -> None:
    """As the engine does: another voice is likely half a second before it is a change."""
    stream = matched()
    stream.decide(61.5, "uncertain", cause="another-voice")
    stream.take_over(60.0, 62.0)
    stream.decide(63.5, "mismatch", since=60.0, evidence=-6.0, reject_llr=-3.0)
    stream.score(64, 90, [-6.0, -7.0])
    stream.end(90.0, 80.0)
    assert (the_one(stream).kind, the_one(stream).since) == ("takeover", 60.0)


def test_what_was_said_while_the_network_kept_it_is_dated_by_when_it_was_said() -> None:
    """A takeover of 15 s, all of whose sound came in one moment, lasts 15 s."""
    stream = taken_over_unseen()
    found = the_one(stream)
    assert (found.kind, found.since, found.until) == ("takeover", 70.0, 85.0)
    assert (found.since_at, found.until_at) == (NOON + 70.0, NOON + 85.0)
    assert found.came_at == NOON + 90.0
    live = IncidentTracker()
    told = [one for entry in stream.entries for one in live.receive(entry)]
    assert told[-1] == found
    assert told[0].since_at == found.since_at, "it is told so from the first"


def test_what_came_as_it_was_said_has_one_time() -> None:
    stream = matched()
    stream.take_over(60.0, 62.0)
    found = the_one(stream)
    assert (found.since_at, found.came_at) == (NOON + 60.0, None)


def test_a_stream_that_ends_in_a_takeover_ends_in_one() -> None:
    stream = matched()
    stream.decide(61.5, "uncertain", cause="another-voice")
    stream.take_over(60.0, 62.0)
    stream.end(62.5, 55.0)
    assert the_one(stream).kind == "takeover"


def taken_over_quietly() -> RecordedStream:
    stream = matched()
    stream.take_over(60.0, 62.0)
    stream.decide(62.0, "uncertain", since=60.0)
    stream.decide(63.5, "mismatch", since=60.0, evidence=-6.0, reject_llr=-3.0)
    stream.score(64, 90, [-6.0, -7.0])
    stream.say(60.0, 88.0, "mismatch", -12.0)
    stream.end(90.0, 80.0)
    return stream


def test_a_takeover_is_told_at_its_change_and_again_when_it_is_decided() -> None:
    tracker, told = IncidentTracker(), list[Incident]()
    for entry in taken_over_quietly().entries:
        told += tracker.receive(entry)
    assert [one.t for one in told[:2]] == [62.0, 63.5]
    assert {one.id for one in told} == {"s-1/1"}
    assert "not decided yet" in told[0].reason
    assert told[0].evidence is None
    assert told[1].evidence == -6.0
    assert [one.until for one in told][-1] == 90.0
    assert all(one.until is None for one in told[:-1])


def test_somebody_who_takes_over_for_a_moment_spoke_in_between() -> None:
    stream = matched()
    stream.take_over(60.0, 62.0)
    stream.decide(62.0, "uncertain", since=60.0)
    stream.score(61, 63, [-5.0])
    stream.decide(66.0, "match", since=64.0)
    stream.say(64.0, 70.0, "match", 8.0)
    stream.end(75.0, 70.0)
    found = the_one(stream)
    assert (found.kind, found.since, found.until) == ("other-voice", 60.0, 64.0)
    assert found.share is not None


def test_a_voice_that_stays_another_is_a_mismatch_after_enough_speech() -> None:
    stream = RecordedStream()
    stream.score(2, 6, [-5.0])
    stream.decide(4.0, "mismatch", evidence=-5.0, reject_llr=-3.0)
    assert kinds(stream) == []
    stream.score(6, 20, [-5.0])
    found = the_one(stream)
    assert (found.kind, found.since, found.until) == ("mismatch", 4.0, None)
    stream.decide(20.0, "match", since=19.0)
    ended = the_one(stream)
    assert ended.until == 19.0
    assert "(evidence -5.0, the bound is -3.0)" in ended.reason


def test_a_mismatch_that_does_not_last_is_none() -> None:
    stream = matched()
    stream.decide(61.0, "mismatch")
    stream.score(61, 63, [-4.0])
    stream.decide(61.5, "match", since=61.4)
    stream.score(63, 90, [6.0])
    assert kinds(stream) == []


def test_a_mismatch_in_which_the_stream_ends_is_told() -> None:
    stream = matched()
    stream.decide(61.0, "mismatch", since=60.0)
    stream.say(60.0, 62.0, "mismatch", -7.0)
    assert kinds(stream) == []
    stream.end(64.0, 60.0)
    assert (the_one(stream).kind, the_one(stream).speech_s) == ("other-voice", 2.0)


def test_nobody_is_another_where_nobody_is_expected() -> None:
    stream = RecordedStream()
    start = stream.entries[0]
    stream.entries[0] = msgspec.structs.replace(start, mode="changes", claims=(), voiceprints=())
    stream.say(1.0, 16.0, "unknown", 0.0)
    stream.say(20.0, 26.0, "unknown", 0.0)
    stream.take_over(19.0, 21.0)
    assert kinds(stream) == []


def test_others_in_between_are_one_incident_with_share_and_number() -> None:
    stream = matched()
    stream.say(60.0, 62.0, "mismatch", -7.0)
    stream.say(63.0, 70.0, "match", 8.0)
    stream.say(71.0, 72.5, "mismatch", -6.0)
    found = the_one(stream)
    assert (found.kind, found.count, found.speech_s) == ("other-voice", 2, 3.5)
    assert (found.since, found.until) == (60.0, 72.5)
    assert found.share == pytest.approx(3.5 / 67.5, abs=1e-3)
    assert "somebody else spoke 2 times from 1:00.0 to 1:12.5: 3.5 s of speech, 5 %" in found.reason


def test_short_turns_of_others_count_together() -> None:
    stream = matched()
    stream.say(60.0, 60.6, "mismatch", -7.0)
    assert kinds(stream) == []
    stream.say(65.0, 65.6, "mismatch", -7.0)
    assert the_one(stream).count == 2
    apart = matched()
    apart.say(60.0, 60.6, "mismatch", -7.0)
    apart.say(200.0, 200.6, "mismatch", -7.0)
    assert "other-voice" not in kinds(apart)


def test_whoever_is_enrolled_is_no_takeover_where_all_may_speak() -> None:
    stream = RecordedStream()
    stream.decide(2.7, "match", speaker="Anna")
    told = events.Change(
        t=10.0, at=8.0, detected_at=10.0, llr=-4.0, from_speaker="Anna", to_speaker="Berta"
    )
    stream.tell(told)
    stream.end(20.0, 18.0)
    assert kinds(stream) == []


def test_two_voices_at_once_for_long_enough() -> None:
    stream = matched(rules=IncidentRules(overlap_s=1.0))
    stream.overlap(61.0, 61.6)
    assert kinds(stream) == []
    stream.overlap(65.0, 65.6)
    stream.overlap(70.0, 73.0)
    found = the_one(stream)
    assert (found.kind, found.count, found.since, found.until) == ("overlap", 3, 61.0, 73.0)
    assert found.speech_s == pytest.approx(4.2)
    assert found.reason == "two voices at once 3 times from 1:01.0 to 1:13.0, for 4.2 s in all"
    stream.overlap(140.0, 142.0)
    assert kinds(stream) == ["overlap", "overlap"]


def test_two_voices_at_once_are_told_while_they_go_on() -> None:
    stream = matched()
    stream.tell(events.Overlap(t=61.5, start=61.0, end=None))
    stream.score(61, 64, [1.0])
    assert kinds(stream) == []  # it may be over by now
    stream.score(64, 66, [1.0])
    assert the_one(stream).until is None
    stream.tell(events.Overlap(t=70.5, start=61.0, end=70.0))
    assert (the_one(stream).until, the_one(stream).count) == (70.0, 1)


def test_much_speech_without_a_decision() -> None:
    stream = RecordedStream()
    stream.decide(3.0, "uncertain", cause="near-bound", advice="evidence +2.9, needs +4.6")
    stream.score(3, 62, [2.0])
    assert kinds(stream) == []
    stream.score(62, 70, [2.0])
    found = the_one(stream)
    assert (found.kind, found.since, found.until) == ("undecided", 3.0, None)
    assert "60 s of speech" in found.reason
    assert "near the bound" in found.reason
    assert "near the bound" not in without_figures(found.reason)
    stream.decide(71.0, "match", since=70.5)
    assert the_one(stream).until == 70.5


def test_for_whom_it_is_allowed_incidents_are_notes() -> None:
    noted = matched(rules=IncidentRules(notes_only=True))
    noted.say(60.0, 62.0, "mismatch", -7.0)
    assert the_one(noted).note_only
    plain = matched()
    plain.say(60.0, 62.0, "mismatch", -7.0)
    assert not the_one(plain).note_only


def test_it_stays_open_until_somebody_acknowledges_it() -> None:
    stream = matched()
    stream.say(60.0, 62.0, "mismatch", -7.0)
    assert the_one(stream).acknowledged_at is None
    stream.act(70.0, "note", incident="s-1/1", text="hm")
    assert the_one(stream).acknowledged_at is None
    stream.act(71.0, "acknowledge", incident="s-1/1")
    stream.act(72.0, "acknowledge", incident="s-1/1")
    found = the_one(stream)
    assert (found.acknowledged_by, found.acknowledged_at) == ("desk", NOON + 71.0)


def test_what_happens_after_it_was_acknowledged_is_another_incident() -> None:
    stream = matched()
    stream.say(60.0, 62.0, "mismatch", -7.0)
    stream.act(64.0, "acknowledge", incident="s-1/1")
    stream.say(70.0, 72.0, "mismatch", -7.0)
    first, second = incidents_of(stream.entries)
    assert (first.count, second.count) == (1, 1)
    assert second.acknowledged_at is None


def test_kinds_are_in_the_order_of_need() -> None:
    assert KINDS[0] == "takeover"
    assert KINDS[-1] == "dropped"
    assert sorted(KINDS) == sorted(set(KINDS))


def test_a_stream_that_has_lost_its_start_has_incidents_all_the_same() -> None:
    assert [one.kind for one in incidents_of(taken_over_quietly().entries[1:])] == ["takeover"]


def test_so_many_are_held_and_no_more() -> None:
    stream = RecordedStream(rules=IncidentRules(silent_s=1e4))
    for number in range(MOST + 5):
        stream.say(number * 100.0, number * 100.0 + 2, "mismatch", -7.0)
    found = incidents_of(stream.entries)
    assert len(found) == MOST
    assert found[-1].id == f"s-1/{MOST + 5}"


def test_reasons_are_sentences_with_figures() -> None:
    for one in incidents_of(taken_over().entries):
        assert re.search(r"\d", one.reason), one.reason
        assert one.reason[0].islower()


@pytest.mark.parametrize("seconds", [0.0, 3.57, 9.97, 19.6, 59.99, 75.9, 99.9])
def test_how_long_it_lasted_is_cut_off_as_in_a_report(seconds: float) -> None:
    said = lasted(seconds)
    assert said in (words.duration(seconds), f"{int(seconds)} s")
