"""Which events become entries, and what of them is kept."""

from __future__ import annotations

from typing import Any

from recorded import ALICE, BOB

from engine import events
from streamer.records.entries import Scores, Told
from streamer.records.recorder import Recorder
from streamer.records.references import References

NOW = 1_800_000_000.25


def recorder(**names: str) -> Recorder:
    return Recorder(References(names or {"Alice": ALICE, "Bob": BOB}))


def score(t: float, speaker: str = "Alice") -> events.Score:
    return events.Score(
        t=t,
        speaker=speaker,
        cosine=0.5,
        norm=1.0,
        llr=t,
        posterior=0.5,
        runner_up=None,
        net_speech_s=t,
        window_s=3.0,
        evidence=2 * t,
    )


def lag(behind_s: float, reason: events.LagReason = "overload", dropped: int = 0) -> events.Lag:
    return events.Lag(t=1.0, reason=reason, behind_s=behind_s, hop_s=None, dropped=dropped)


def decision(**fields: Any) -> events.Decision:
    settings: dict[str, Any] = {
        "t": 4.0,
        "state": "match",
        "speaker": "Alice",
        "since": 3.0,
        "llr": 4.0,
        "net_speech_s": 3.0,
        "reason": "",
    }
    return events.Decision(**(settings | fields))


def told(entry: object) -> Any:
    assert isinstance(entry, Told)
    return entry.event


def test_of_the_scores_one_a_second_is_kept_of_each_speaker() -> None:
    one = recorder()
    times = [0.5, 0.9, 1.0, 1.5, 2.0, 2.5, 7.2, 7.9]
    kept = [one.receive(score(t), NOW) for t in times]
    assert [e.t for e in kept if isinstance(e, Scores)] == [0.5, 1.0, 2.0, 7.2]
    other = one.receive(score(7.95, "Bob"), NOW)
    assert isinstance(other, Scores)
    assert (other.speaker, other.llr, other.evidence) == (BOB, 7.95, 15.9)


def test_a_score_of_the_only_one_who_is_claimed_does_not_repeat_who_that_is() -> None:
    one = Recorder(References({"Alice": ALICE, "Bob": BOB}), "Alice")
    kept = [one.receive(score(1.0), NOW), one.receive(score(1.0, "Bob"), NOW)]
    one.renew(References({"Alice": ALICE, "Bob": BOB}), "Bob")
    kept += [one.receive(score(2.0), NOW), one.receive(score(2.0, "Bob"), NOW)]
    assert [e.speaker for e in kept if isinstance(e, Scores)] == ["", BOB, ALICE, ""]


def test_of_events_no_more_decimals_are_kept_than_of_scores() -> None:
    fields = {"llr": 4.00049, "evidence": -1.23456789, "accept_llr": 4.553876891600541}
    kept = told(recorder().receive(decision(**fields), NOW))
    assert (kept.llr, kept.evidence, kept.accept_llr) == (4.0, -1.235, 4.554)
    assert kept.reject_llr is None


def test_of_an_outage_its_beginning_and_its_end_are_kept() -> None:
    one = recorder()
    notices = [lag(0.0), lag(2.0), lag(5.0), lag(3.0), lag(0.0), lag(0.0), lag(1.0)]
    notices += [lag(0.0, dropped=2)]
    kept = [told(e).behind_s for n in notices if (e := one.receive(n, NOW))]
    assert kept == [2.0, 0.0, 1.0]
    assert one.receive(lag(9.0, "slow-consumer"), NOW) is not None  # another one


def test_references_stand_where_names_stood() -> None:
    one = recorder()
    change = events.Change(
        t=5.0, at=4.0, detected_at=5.0, llr=3.0, from_speaker="Alice", to_speaker="voice-2"
    )
    kept = told(one.receive(change, NOW))
    assert (kept.from_speaker, kept.to_speaker) == (ALICE, "voice-2")
    advice = "Alice and Bob have like voices: claim one of them"
    kept = told(one.receive(decision(advice=advice), NOW))
    assert kept.speaker == ALICE
    assert kept.advice == f"{ALICE} and {BOB} have like voices: claim one of them"


def test_of_an_error_the_code_is_kept_and_no_words_of_a_client() -> None:
    failure = events.Failure(t=1.0, code="unknown-speaker", message="'Zoe' is not enrolled")
    kept = told(recorder().receive(failure, NOW))
    assert (kept.code, kept.message) == ("unknown-speaker", "")


def test_a_name_within_a_word_is_no_name() -> None:
    one = recorder(Al=ALICE, And=BOB)
    kept = told(one.receive(decision(speaker="Al", reason="Also Al, And so on"), NOW))
    assert kept.reason == f"Also {ALICE}, {BOB} so on"


def test_a_name_without_a_reference_is_not_kept() -> None:
    kept = told(recorder().receive(decision(speaker="Carol"), NOW))
    assert kept.speaker == "somebody"


def test_the_time_of_day_is_that_of_the_sound_where_it_is_known() -> None:
    one = recorder()
    timed = decision(at_time="2026-11-28T12:00:00.500Z")
    entry = one.receive(timed, NOW)
    assert entry is not None
    assert entry.at == 1_795_867_200.5
    assert told(entry).at_time is not timed.at_time
    entry = one.receive(decision(), NOW)
    assert entry is not None
    assert entry.at == NOW


def test_the_end_has_the_summary() -> None:
    one = recorder()
    summary = events.Summary(
        t=9.0, received_s=9.0, speech_s=5.0, match_s=4.0, decisions={"match": 1}, model="tiny"
    )
    assert one.receive(summary, NOW) is None
    ended = one.end(1000, "", NOW)
    assert ended.summary == summary
    assert (ended.t, ended.code, ended.at) == (9.0, 1000, NOW)
