"""Gaps by the clock: what is a pause, what is the network, and what is a file."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from engine.arrival.gaps import GAP_S, SETTLE_S, Gap, Gaps, Heard, Quiet, Sound, Stall
from engine.arrival.moments import Arrival

RATE = 32_000
STALL_S = 3.0


@dataclass
class Sender:
    """Sends at times of a clock, and wakes the gaps whenever they ask for it."""

    gaps: Gaps = field(default_factory=lambda: Gaps(RATE, STALL_S))
    now: float = 100.0
    heard: list[Heard] = field(default_factory=list)
    sent_s: float = 0.0

    def send(self, seconds: float) -> None:
        self.sent_s += seconds
        data = bytes(round(seconds * RATE))
        self.heard += self.gaps.receive(data, Arrival(self.now, self.now))

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.gaps.next_s) is not None and due <= until:
            self.now = max(due, self.now)
            self.heard += self.gaps.pass_time(Arrival(self.now, self.now))
        self.now = until

    def live(self, seconds: float, piece_s: float = 0.02) -> None:
        """Speak for so long, in real time."""
        for _ in range(round(seconds / piece_s)):
            self.wait(piece_s)
            self.send(piece_s)

    def found(self, kind: type[Heard]) -> list[Heard]:
        self.heard += self.gaps.settle()
        passed = sum(len(one.data) for one in self.heard if isinstance(one, Sound))
        assert passed == pytest.approx(self.sent_s * RATE, abs=16)  # nothing is lost
        return [one for one in self.heard if isinstance(one, kind)]

    @property
    def gap_s(self) -> list[float]:
        return [one.gap_s for one in self.found(Gap) if isinstance(one, Gap)]


def test_sound_in_real_time_has_no_gaps_and_waits_for_nothing() -> None:
    sender = Sender()
    sender.live(10.0)
    assert all(isinstance(one, Sound) for one in sender.heard)
    assert len(sender.heard) == 500


@pytest.mark.parametrize("pause_s", [0.5, 1.5, 5.0, 90.0])
def test_a_client_that_sends_speech_only_has_pauses(pause_s: float) -> None:
    sender = Sender()
    sender.live(2.0)
    sender.wait(pause_s)
    sender.live(2.0)
    assert sender.gap_s == [pytest.approx(pause_s, abs=0.03)]


def test_a_whole_command_in_one_message_was_said_until_it_came() -> None:
    sender = Sender()
    sender.live(1.0)
    sender.wait(10.0)
    sender.send(2.0)
    assert sender.gap_s == [pytest.approx(8.0, abs=0.03)]


@pytest.mark.parametrize("outage_s", [0.4, 1.2, 5.0, 25.0])
def test_sound_that_was_kept_by_the_network_is_no_pause(outage_s: float) -> None:
    sender = Sender()
    sender.live(3.0)
    sender.wait(outage_s)
    for _ in range(round(outage_s / 0.1)):
        sender.wait(0.001)
        sender.send(0.1)
    sender.live(3.0)
    assert sender.gap_s == []


def test_a_slow_network_catches_up_while_the_sound_is_held() -> None:
    sender = Sender()
    sender.live(3.0)
    sender.wait(2.0)
    for _ in range(40):  # at three times the pace
        sender.wait(0.1 / 3)
        sender.send(0.1)
    assert sender.gap_s == []


def test_jitter_is_no_pause() -> None:
    sender = Sender()
    for i in range(200):
        late = 0.25 if i % 10 == 0 else 0.0
        sender.wait(late)
        sender.send(0.1)
        sender.wait(0.1 - late if late <= 0.1 else 0.0)
        if late > 0.1:
            sender.now -= late - 0.1  # what follows is on time again
    assert sender.gap_s == []


@pytest.mark.parametrize("burst_s", [0.5, 1.0, 2.0, 4.0])
def test_a_source_that_sends_in_bursts_has_no_gaps_and_stalls_at_most_once(burst_s: float) -> None:
    sender = Sender()
    for _ in range(20):
        sender.wait(burst_s)
        for _ in range(round(burst_s / 0.1)):
            sender.send(0.1)
    assert sender.gap_s == []
    assert len(sender.found(Quiet)) <= 1
    assert len([one for one in sender.found(Stall)]) <= 2


def test_a_file_that_is_sent_faster_than_real_time_has_no_gaps() -> None:
    sender = Sender()
    for _ in range(20):
        sender.send(10.0)
        sender.wait(2.5)
    assert sender.gap_s == []
    assert sender.found(Quiet) == sender.found(Stall) == []


def test_a_file_whose_pace_says_nothing_has_no_gaps_at_all() -> None:
    gaps = Gaps(RATE, STALL_S)
    for _ in range(3):
        assert gaps.receive(b"1234", Arrival(None, 0.0)) == [Sound(b"1234", Arrival(None, 0.0))]
        assert gaps.next_s is None
        assert gaps.pass_time(Arrival(None, 100.0)) == []


def test_sound_that_stops_is_quiet_and_then_stalled_and_said_to_be_back() -> None:
    sender = Sender()
    sender.live(5.0)
    stopped = sender.now
    sender.wait(60.0)
    (quiet,) = sender.found(Quiet)
    (stall,) = sender.found(Stall)
    assert sender.heard.index(quiet) < sender.heard.index(stall)
    assert isinstance(stall, Stall)
    assert not stall.back
    assert stall.now.clock_s == pytest.approx(stopped + STALL_S, abs=0.1)
    assert sender.gaps.next_s is None  # nothing is left to be told
    sender.live(1.0)
    _, back = sender.found(Stall)
    assert isinstance(back, Stall)
    assert back.back
    assert back.gap_s == pytest.approx(60.0, abs=0.1)
    assert sender.gap_s == [pytest.approx(60.0, abs=0.1)]


@pytest.mark.parametrize("outage_s", [5.0, 25.0, 60.0])
def test_sound_that_is_back_says_how_much_of_it_came_late(outage_s: float) -> None:
    """Of an hour's outage a client has kept half a minute."""
    kept_s = min(outage_s, 30.0)
    for piece_s in (0.1, 1.0):
        sender = Sender()
        sender.live(3.0)
        sender.wait(outage_s)
        for _ in range(round(kept_s / piece_s)):
            sender.send(piece_s)
        sender.live(3.0)
        _, back = sender.found(Stall)
        assert isinstance(back, Stall)
        assert back.late_s == pytest.approx(kept_s, abs=GAP_S + 0.1)


def test_no_more_came_late_than_can_have_been_said_meanwhile() -> None:
    sender = Sender()
    sender.live(3.0)
    sender.wait(5.0)
    sender.send(20.0)  # at once
    sender.live(1.0)
    _, back = sender.found(Stall)
    assert isinstance(back, Stall)
    assert back.late_s == pytest.approx(back.gap_s) == pytest.approx(5.0, abs=0.2)


def begun(kept_s: float) -> Sender:
    """A stream whose client says that it has kept so much."""
    sender = Sender(Gaps(RATE, STALL_S, kept_s))
    sender.gaps.begin(Arrival(sender.now, sender.now))
    return sender


@pytest.mark.parametrize("piece_s", [0.1, 1.0])
@pytest.mark.parametrize("kept_s", [2.0, 12.0, 28.0])
def test_sound_that_was_kept_for_the_stream_came_late(kept_s: float, piece_s: float) -> None:
    """The session before it was lost."""
    sender = begun(kept_s)
    sender.wait(1.0)
    for _ in range(round((kept_s + 1.0) / piece_s)):
        sender.send(piece_s)
    sender.live(3.0)
    assert sender.gap_s == []
    (back,) = sender.found(Stall)
    assert isinstance(back, Stall)
    assert back.back
    assert back.late_s == pytest.approx(kept_s + 1.0, abs=GAP_S + 0.1)
    sender.wait(1.5)
    sender.live(1.0)
    assert sender.gap_s == [pytest.approx(1.5, abs=GAP_S)], "it is not ahead of the clock"


def test_what_is_said_to_be_kept_and_does_not_come_at_once_is_not_late() -> None:
    sender = begun(20.0)
    sender.wait(0.1)
    sender.live(5.0)
    (back,) = sender.found(Stall)
    assert isinstance(back, Stall)
    assert back.late_s == pytest.approx(0.0, abs=0.05)


def test_a_stream_for_which_sound_was_kept_that_never_comes_is_stalled() -> None:
    sender = begun(20.0)
    sender.wait(10.0)
    (stall,) = sender.found(Stall)
    assert isinstance(stall, Stall)
    assert (stall.back, stall.gap_s) == (False, pytest.approx(STALL_S, abs=0.1))


def test_of_sound_that_only_stopped_nothing_came_late() -> None:
    sender = Sender()
    sender.live(3.0)
    sender.wait(25.0)
    sender.live(3.0)
    _, back = sender.found(Stall)
    assert isinstance(back, Stall)
    assert back.late_s == pytest.approx(0.0, abs=0.05)


def test_sound_ahead_of_the_clock_that_stops_is_a_pause_once_it_is_stalled() -> None:
    sender = Sender()
    sender.send(6.0)  # at once
    sender.wait(5.0)
    assert len(sender.found(Stall)) == 1
    sender.send(2.0)
    assert sender.gap_s == [pytest.approx(3.0)]


def test_sound_is_held_for_a_moment_only() -> None:
    sender = Sender()
    sender.live(1.0)
    sender.wait(20.0)
    count = len(sender.heard)
    sender.live(SETTLE_S + 0.1)
    assert isinstance(sender.heard[count], Gap)
    assert isinstance(sender.heard[-1], Sound)


def test_a_flood_after_a_long_gap_is_not_kept() -> None:
    sender = Sender()
    sender.send(0.1)
    sender.wait(1000.0)
    for _ in range(400):
        sender.send(0.1)
    assert len([one for one in sender.heard if isinstance(one, Sound)]) > 300


def test_a_stream_that_never_gets_any_sound_is_stalled_since_it_began() -> None:
    sender = Sender()
    sender.gaps.begin(Arrival(sender.now, sender.now))
    began = sender.now
    sender.wait(100.0)
    (stall,) = sender.heard
    assert isinstance(stall, Stall)
    assert not stall.back
    assert stall.now.clock_s == began + STALL_S
    assert sender.gaps.next_s is None
    sender.live(2.0)
    _, back = sender.found(Stall)
    assert isinstance(back, Stall)
    assert (back.back, back.gap_s) == (True, pytest.approx(100.0, abs=0.03))
    assert sender.gap_s == []  # before the first sound there is no pause


@pytest.mark.parametrize("late_s", [0.4, 1.2, 2.9])
def test_sound_that_is_late_to_begin_is_neither_a_gap_nor_a_source_in_bursts(late_s: float) -> None:
    sender = Sender()
    sender.gaps.begin(Arrival(sender.now, sender.now))
    sender.wait(late_s)
    sender.live(1.0)
    assert all(isinstance(one, Sound) for one in sender.heard)
    stopped = sender.now
    sender.wait(STALL_S)
    assert len(sender.found(Quiet)) == 1
    assert sender.gaps.next_s is None or sender.gaps.next_s <= stopped + STALL_S + 0.1


def test_a_stream_that_ended_before_any_sound_is_not_stalled() -> None:
    gaps = Gaps(RATE, STALL_S)
    gaps.begin(Arrival(1.0, 1.0))
    assert gaps.next_s == 1.0 + STALL_S
    assert gaps.end() == []
    assert gaps.next_s is None


def test_a_file_that_begins_is_waited_for_without_end() -> None:
    gaps = Gaps(RATE, STALL_S)
    gaps.begin(Arrival(None, 0.0))
    assert gaps.next_s is None
