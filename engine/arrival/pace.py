"""The rate at which sound comes, against the rate that was declared: of sound in real time."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

# Rates of common sound cards and telephones, in Hz.
RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
LEAST_S = 2.0  # seconds of the clock without which there is no pace
# Seconds of the clock that are measured at once: the longer one where the shorter is not sure, as
# over a network whose delay swings by more than 0.3 s.
SHORT_S, MOST_S = 8.0, 32.0
# Between two looks: while the pace is not known or is another than before, and afterwards. A
# headset may change its rate at any time.
STEP_S, LATER_STEP_S = 0.5, 4.0
LEAST_POINTS = 6  # arrivals without which there is no pace
WATCHED_S = 60.0  # after which the looks become rare
PAUSE_S = 1.0  # An interval so much longer than those before is a pause, and says nothing.
SURE = 0.02  # largest error of a pace, as a share of it, by which a rate is told
NEAR = 0.03  # A pace so near the declared one is that.
# A pace so many times the declared one is that of a file. 48 kHz sent as 8 kHz has 6.0.
FILE = 6.5
AGREEING = 2  # looks in a row that say the same
# A delay that swings by so much to either side looks like another pace for as long as it swings one
# way. The line through what it does deviates from the true one by at most three times that.
SWING_S = 0.33
# Nearer to a line than that, over so long, no swing of ten or twenty seconds lies: a clean link.
CLEAN_S, CLEAN_LASTS_S = 0.002, 4.0
# Before any pace is sure the sound may lie on a line of another rate: within 15 ms, as that of a
# sound card does and a burst of recorded sound hardly ever, three times as near as to that of the
# declared one, and farther from this than a usual network's delay swings.
ON_LINE_S, NEARER, SWINGS_S = 0.015, 3.0, 0.03
# What this is asked of: so many arrivals at least and, of the latest, at most; and so many seconds.
DOUBTED_POINTS, DOUBTED_MOST, DOUBTED_LEAST_S = 5, 400, 0.2
# A command that was recorded first comes in a burst, which for so long may lie on a line of more
# than 48 kHz for 16.
BURST, BURST_S = 3.2, 0.6


@dataclass(frozen=True, slots=True)
class _Line:
    """Sound over the clock: how steep, over how long, and how far a point is from it at most."""

    pace: float
    lasted_s: float
    off_s: float


class Pace:
    """Measures one stream. ``likely_hz`` is another rate that it comes at, if it does.

    Sound may come in bursts: what counts is how much of it had come at each time, and that this
    lies on a line. Another rate than the one known is believed where it comes to more sound, or to
    less, than a delay that swings explains. Until one is sure, ``doubted_hz`` is another that
    the sound so far looks like: so a network may, too, for a moment.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._others = [hz for hz in RATES_HZ if abs(hz / rate_hz - 1) > NEAR]
        # Of each arrival the clock, and the seconds of sound by then.
        self._clock, self._sound = array("d"), array("d")
        self._sound_s = 0.0
        self._interval_s = 0.0
        self._began: float | None = None
        self._looked = 0.0
        self._last: int | None = None
        self._alike = 0
        self._over = self._known = False
        self.likely_hz: int | None = None
        self.doubted_hz: int | None = None

    def receive(self, seconds: float, now: float) -> bool:
        """So much sound, by the declared rate, came at ``now``. Whether ``likely_hz`` changed."""
        if self._over:
            return False
        if self._began is None:
            self._began = self._looked = now
        self._sound_s += seconds
        if self._clock and now == self._clock[-1]:
            self._sound[-1] = self._sound_s
            return False
        if self._clock:
            interval_s = now - self._clock[-1]
            if interval_s > max(PAUSE_S, 4 * self._interval_s):
                self._forget(len(self._clock))
            self._interval_s = interval_s
        self._clock.append(now)
        self._sound.append(self._sound_s)
        self.doubted_hz = self._doubted()
        if now - self._looked < self._step_s(now):
            return False
        self._looked = now
        self._forget(next(i for i, at in enumerate(self._clock) if now - at <= MOST_S))
        return self._look(now)

    def _step_s(self, now: float) -> float:
        assert self._began is not None
        known_hz = self._rate_hz if self.likely_hz is None else self.likely_hz
        settled = now - self._began > WATCHED_S and self._last in (None, known_hz)
        return LATER_STEP_S if settled else STEP_S

    def _look(self, now: float) -> bool:
        pace = self._measured()
        if pace is None:
            return False
        if pace > FILE:
            self._over, self.doubted_hz = True, None
            return False
        found = self._rate(pace)
        self._known = self._known or found == self._rate_hz
        self._alike = self._alike + 1 if found == self._last else 1
        self._last = found
        likely_hz = None if found == self._rate_hz else found
        if found is None or self._alike < AGREEING or likely_hz == self.likely_hz:
            return False
        self.likely_hz, self._known = likely_hz, True
        self._forget(len(self._clock))
        return True

    def _doubted(self) -> int | None:
        """The rate on whose line the sound so far lies, if clearly not on the declared one's."""
        if self._known:
            return None
        lasted_s = self._clock[-1] - self._clock[0]
        if len(self._clock) < DOUBTED_POINTS or lasted_s < DOUBTED_LEAST_S:
            return self.doubted_hz  # as before a pause, which makes nothing clearer
        clock, sound = np.array(self._clock[-DOUBTED_MOST:]), np.array(self._sound[-DOUBTED_MOST:])
        paces = np.array([self._rate_hz, *self._others]) / self._rate_hz
        off_s = np.ptp(sound - paces[:, None] * clock, axis=1) / 2
        nearest = 1 + int(np.argmin(off_s[1:]))
        clear = off_s[0] > max(SWINGS_S, NEARER * off_s[nearest]) and off_s[nearest] < ON_LINE_S
        burst = paces[nearest] > BURST and lasted_s < BURST_S
        return self._others[nearest - 1] if clear and not burst else None

    def _forget(self, count: int) -> None:
        """The oldest arrivals."""
        del self._clock[:count], self._sound[:count]

    def _measured(self) -> float | None:
        """Seconds of sound a second of the clock, where that is sure."""
        clock, sound = np.array(self._clock), np.array(self._sound)
        lately = clock >= clock[-1] - SHORT_S
        for window in (lately, slice(None)):
            line = _line(clock[window], sound[window])
            if line is not None and self._sure(line):
                return line.pace
        return None

    def _sure(self, line: _Line) -> bool:
        """Whether it is the pace that is known, or no swing of the delay makes it another."""
        known = (self.likely_hz or self._rate_hz) / self._rate_hz
        another = abs(line.pace - known)
        if another < NEAR * known or another * line.lasted_s > 3 * SWING_S * known:
            return True
        return line.off_s < CLEAN_S and line.lasted_s >= CLEAN_LASTS_S

    def _rate(self, pace: float) -> int | None:
        """The rate that sound of this pace has, if any: a suspicion stands until one is known."""
        if abs(pace - 1) < NEAR:
            return self._rate_hz
        nearest = min(RATES_HZ, key=lambda rate: abs(rate / self._rate_hz / pace - 1))
        return nearest if abs(nearest / self._rate_hz / pace - 1) < SURE else None


def _line(clock: Float64, sound: Float64) -> _Line | None:
    """The line of least squares through ``sound`` ``(N,)`` over ``clock``, if they lie on it."""
    if len(clock) < LEAST_POINTS or (lasted_s := clock[-1] - clock[0]) < LEAST_S:
        return None
    clock, sound = clock - clock.mean(), sound - sound.mean()
    pace = float(np.dot(clock, sound) / np.dot(clock, clock))
    off_s = float(np.max(np.abs(sound - pace * clock)))
    sure = pace > 0 and off_s < SURE * pace * lasted_s
    return _Line(pace, float(lasted_s), off_s) if sure else None
