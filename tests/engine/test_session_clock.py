"""The session and the clock: sound that stops, gaps that are pauses, and the time of day."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import numpy as np
import pytest
from fake_voices import SCORER, answer, voice

from engine.arrival.moments import Arrival, rfc3339
from engine.events import AnyEvent, Decision, Event, Stalled, Summary, Utterance, Vad
from engine.format import SAMPLE_RATE_HZ
from engine.scoring.scorer import PreparedEmbeddings
from engine.session import Session

E = TypeVar("E", bound=Event)

ANNA, BERTA = 0.2, 0.5  # a voice is the level of its samples
PIECE_S = 0.02
UNIX_S = 1_795_867_200.0  # noon


def anna() -> dict[str, PreparedEmbeddings]:
    return {"anna": SCORER.prepare(voice(ANNA), 10.0)}


class Live:
    """A client in real time, on a clock of its own."""

    def __init__(self, *, paced: bool = True) -> None:
        self.session, self.paced, self.now = Session(SCORER, anna()), paced, 50.0
        self.told: list[AnyEvent] = []

    def arrival(self) -> Arrival:
        return Arrival(self.now if self.paced else None, UNIX_S + self.now)

    def send(self, level: float, seconds: float) -> None:
        sound = np.resize([level, -level], round(seconds * SAMPLE_RATE_HZ)) * 32767
        self.session.receive_pcm(sound.astype("<i2").tobytes(), self.arrival())
        self.go_on()

    def say(self, level: float, seconds: float, pieces_s: float = PIECE_S) -> None:
        for _ in range(round(seconds / pieces_s)):
            self.wait(pieces_s)
            self.send(level, pieces_s)

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.session.next_s) is not None and due <= until:
            self.now = max(self.now, due)
            self.session.pass_time(self.arrival())
            self.go_on()
        self.now = until

    def go_on(self) -> None:
        while jobs := self.session.jobs_to_run():
            for job in jobs:
                self.session.receive_result(answer(job))
        self.told += self.session.events()

    def end(self) -> list[AnyEvent]:
        self.session.receive_eof()
        self.go_on()
        assert isinstance(self.told[-1], Summary)
        times = [event.t for event in self.told]
        assert times == sorted(times)
        return self.told

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.told if isinstance(event, kind)]


def test_sound_that_stops_in_mid_speech_leaves_no_state_that_is_current() -> None:
    live = Live()
    live.say(ANNA, 4.0)
    assert live.of(Decision)[-1].state == "match"
    assert live.of(Utterance) == []
    live.wait(1.1)
    (turn,) = live.of(Utterance)  # what was said is judged when no sound comes for a second
    assert (turn.state, turn.speech_s) == ("match", pytest.approx(4.0, abs=0.04))
    assert not live.of(Vad)[-1].speech
    assert live.of(Stalled) == []
    live.wait(100.0)
    (stalled,) = live.of(Stalled)
    assert (stalled.stalled, stalled.gap_s) == (True, pytest.approx(3.0, abs=0.05))
    last = live.of(Decision)[-1]
    assert (last.state, last.reason) == ("insufficient", "no sound for 3.0 s")


def test_somebody_else_after_a_stall_is_judged_afresh() -> None:
    live = Live()
    live.say(ANNA, 4.0)
    live.wait(90.0)
    live.say(BERTA, 2.0)
    live.end()
    assert [(u.state, u.speaker) for u in live.of(Utterance)] == [
        ("match", "anna"),
        ("mismatch", "anna"),
    ]
    assert [(s.stalled, round(s.gap_s)) for s in live.of(Stalled)] == [(True, 3), (False, 90)]
    assert [round(s.late_s, 1) for s in live.of(Stalled)] == [0.0, 0.0]
    assert "match" not in [d.state for d in live.of(Decision)[2:]]


@pytest.mark.parametrize("gap_s", [0.7, 2.0, 8.0])
def test_gaps_of_a_client_that_sends_speech_only_end_turns(gap_s: float) -> None:
    live = Live()
    for level in (ANNA, BERTA, ANNA):
        live.say(level, 2.0)
        live.wait(gap_s)
    live.end()
    states = [u.state for u in live.of(Utterance)]
    assert states == ["match", "mismatch", "match"]


def test_a_gap_counts_with_the_silence_beside_it() -> None:
    live = Live()
    live.say(ANNA, 2.0)
    live.say(0.0, 0.4)
    live.wait(0.4)
    live.say(BERTA, 2.0)
    live.end()
    assert [u.state for u in live.of(Utterance)] == ["match", "mismatch"]


def test_the_prior_of_a_change_grows_with_the_gap() -> None:
    def after(gap_s: float) -> float:
        live = Live()
        live.say(ANNA, 3.0)
        live.wait(gap_s)
        before = len(live.session._tracker._filter.places._turns)
        live.say(ANNA, 1.5)
        ((_, hazard),) = live.session._tracker._filter.places._turns[before:]
        return hazard

    short, long = after(1.0), after(60.0)
    assert short < 0.15
    assert long > 0.6


def test_what_the_network_kept_is_no_pause() -> None:
    live = Live()
    live.say(ANNA, 2.0)
    live.wait(0.8)
    for _ in range(40):
        live.send(ANNA, PIECE_S)
    live.say(ANNA, 1.2)
    live.end()
    (turn,) = live.of(Utterance)
    assert turn.speech_s == pytest.approx(4.0)


def test_a_session_that_resumes_is_back_and_still_the_same_speaker() -> None:
    live = Live()
    live.say(ANNA, 3.0)
    live.wait(10.0)
    for _ in range(100):
        live.send(ANNA, 0.1)
    live.say(ANNA, 1.0)
    live.end()
    assert [s.stalled for s in live.of(Stalled)] == [True, False]
    assert live.session._hearing._turn_gap_s == 0
    assert [d.state for d in live.of(Decision)[-2:]] == ["insufficient", "match"]
    assert sum(u.speech_s for u in live.of(Utterance)) == pytest.approx(14.0, abs=0.04)


def test_bursts_in_real_time_are_told_as_pieces_are() -> None:
    smooth, bursts = Live(), Live()
    smooth.say(ANNA, 8.0)
    bursts.say(ANNA, 8.0, pieces_s=1.0)
    for live in (smooth, bursts):
        live.end()
    assert [u.speech_s for u in bursts.of(Utterance)] == [u.speech_s for u in smooth.of(Utterance)]
    assert bursts.of(Stalled) == []


def test_the_end_may_take_its_time() -> None:
    live = Live()
    live.say(ANNA, 2.01)  # ends within a frame
    live.session.receive_eof()
    (job,) = live.session.jobs_to_run()
    assert live.session.next_s is None
    live.session.pass_time(Arrival(live.now + 60.0, UNIX_S))
    live.session.receive_result(answer(job))
    live.go_on()
    assert isinstance(live.told[-1], Summary)
    assert live.of(Stalled) == []


def test_a_file_is_told_the_same_at_any_pace() -> None:
    told = []
    for wait_s in (0.0, 0.05, 5.0):
        live = Live(paced=False)
        for level in (ANNA, ANNA, 0.0, BERTA, BERTA):
            live.send(level, 1.0)
            live.wait(wait_s)
        told.append([(type(e), e.t) for e in live.end()])
    assert told[0] == told[1] == told[2]


def test_no_time_passes_where_nobody_says_what_time_it_is() -> None:
    session = Session(SCORER, anna())
    session.receive_pcm(bytes(32_000))
    assert session.next_s is None
    assert all(not isinstance(event.at_time, str) for event in session.events())


def test_events_tell_the_time_of_day_of_their_sound() -> None:
    live = Live()
    live.say(ANNA, 2.0)
    live.say(0.0, 1.0)
    live.wait(5.0)
    live.end()
    times = [event.at_time for event in live.told]
    assert all(isinstance(at_time, str) for at_time in times)
    assert all(str(a) <= str(b) for a, b in pairwise(times))
    first, (stalled,) = live.of(Vad)[0], live.of(Stalled)
    assert str(first.at_time).startswith("2026-11-28T12:00:50.")
    assert str(stalled.at_time).startswith("2026-11-28T12:00:56.")


def test_what_is_asked_for_while_sound_is_held_comes_after_it() -> None:
    live = Live()
    live.say(ANNA, 2.0)
    live.wait(5.0)
    live.send(ANNA, 1.0)  # held: more of it may be on its way
    live.session.turn()
    live.send(BERTA, 1.0)
    live.end()
    assert [(u.start, u.end) for u in live.of(Utterance)][1:] == [
        (pytest.approx(2.0, abs=0.04), 3.0),
        (3.0, 4.0),
    ]


def test_a_stream_that_never_gets_any_sound_is_stalled() -> None:
    live = Live()
    live.session.begin(live.arrival())
    live.wait(100.0)
    (stalled,) = live.of(Stalled)
    assert (stalled.t, stalled.stalled, stalled.gap_s) == (0.0, True, 3.0)
    assert stalled.at_time == rfc3339(UNIX_S + 53.0)
    live.say(ANNA, 4.0)
    live.end()
    assert [s.stalled for s in live.of(Stalled)] == [True, False]
    assert live.of(Decision)[-1].state == "match"
    (turn,) = live.of(Utterance)
    assert (turn.state, turn.start) == ("match", pytest.approx(0.0, abs=0.1))


def test_a_stream_that_gets_no_sound_at_all_ends_as_any_other() -> None:
    live = Live()
    live.session.begin(live.arrival())
    live.wait(10.0)
    assert [type(event) for event in live.end()] == [Stalled, Summary]
