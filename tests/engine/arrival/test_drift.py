"""A sender whose clock runs a little fast or slow, for hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import pytest

from engine.arrival.gaps import Gap, Gaps, Heard, Quiet, Sound, Stall
from engine.arrival.moments import Arrival, Moments
from engine.arrival.pace import Pace
from engine.format import SAMPLE_RATE_HZ

BYTES_PER_S, STALL_S = 2 * SAMPLE_RATE_HZ, 3.0
PIECE_S = 0.1  # by the sender's clock
NOON = 1_795_867_200.0  # 2026-11-28 12:00:00 UTC
HOUR_S = 3600.0


@dataclass
class Sender:
    """Sends what a clock that is ``drift`` times ours measures off, from noon on."""

    drift: float
    now: float = 0.0
    sent: int = 0  # pieces
    heard: list[Heard] = field(default_factory=list)  # but sound
    media: int = 0  # samples that were passed on
    held: int = 0  # the most samples that were not passed on at once
    suspected: bool = False

    def __post_init__(self) -> None:
        self.gaps, self.pace, self.moments = (
            Gaps(BYTES_PER_S, STALL_S),
            Pace(SAMPLE_RATE_HZ),
            Moments(),
        )

    @property
    def arrival(self) -> Arrival:
        return Arrival(self.now, NOON + self.now)

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.gaps.next_s) is not None and due <= until:
            self.now = max(due, self.now)
            self.heed(self.gaps.pass_time(self.arrival))
        self.now = until

    def live(self, seconds: float) -> None:
        """Speak for so long, by our clock."""
        data = bytes(round(PIECE_S * BYTES_PER_S))
        for _ in range(round(seconds * self.drift / PIECE_S)):
            self.wait(PIECE_S / self.drift)
            self.suspected |= self.pace.receive(PIECE_S, self.now)
            self.sent += 1
            self.heed(self.gaps.receive(data, self.arrival))
            self.held = max(self.held, self.sent * len(data) // 2 - self.media)

    def heed(self, heard: list[Heard]) -> None:
        for one in heard:
            if not isinstance(one, Sound):
                self.heard.append(one)
                continue
            self.media += len(one.data) // 2
            self.moments.note(self.media, one.arrived.unix_s)

    def at(self, sample: int) -> float:
        """The time of day of ``sample``, in seconds since noon."""
        told = self.moments.of(sample)
        assert told is not None
        return datetime.fromisoformat(told).timestamp() - NOON


DRIFTS = pytest.mark.parametrize("drift", [0.995, 0.999, 1.001, 1.005])


@DRIFTS
def test_six_hours_by_another_clock_are_neither_suspected_nor_stalled_nor_late(
    drift: float,
) -> None:
    sender = Sender(drift)
    for _ in range(6 * 60):
        began, before = sender.now, sender.media
        sender.live(60.0)
        middle, half = (before + sender.media) // 2, (began + sender.now) / 2
        assert sender.at(middle) == pytest.approx(half, abs=1.0)
        assert sender.at(sender.media) == pytest.approx(sender.now, abs=1.0)
    assert sender.now > 5.99 * HOUR_S
    assert sender.heard == []
    assert not sender.suspected
    assert sender.held == 0  # all of it was passed on when it came


@DRIFTS
def test_a_pause_after_an_hour_by_another_clock_is_as_long_as_it_is(drift: float) -> None:
    sender = Sender(drift)
    sender.live(HOUR_S)
    for pause_s in (0.8, 2.0):
        sender.wait(pause_s)
        sender.live(2.0)
    gaps = [one.gap_s for one in sender.heard if isinstance(one, Gap)]
    assert gaps == [pytest.approx(0.8, abs=0.05), pytest.approx(2.0, abs=0.05)]


@DRIFTS
def test_sound_that_stops_after_an_hour_by_another_clock_is_quiet_soon(drift: float) -> None:
    sender = Sender(drift)
    sender.live(HOUR_S)
    sender.wait(1.5)
    assert [type(one) for one in sender.heard] == [Quiet]
    sender.wait(2.0)
    assert [type(one) for one in sender.heard] == [Quiet, Stall]
