"""The rate at which sound comes, against the rate that was declared: of sound in real time."""

from __future__ import annotations

from collections import deque

import numpy as np

# Rates of common sound cards and telephones, in Hz.
RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
LEAST_S, MOST_S = 2.0, 8.0  # seconds of the clock that are measured at once
# Between two looks: while the pace is not known or is another than before, and afterwards. A
# headset may change its rate at any time.
STEP_S, LATER_STEP_S = 0.5, 4.0
LEAST_POINTS = 6  # arrivals without which there is no pace
WATCHED_S = 60.0  # after which the looks become rare
PAUSE_S = 1.0  # An interval so much longer than those before is a pause, and says nothing.
SURE = 0.02  # largest error of a pace, as a share of it, by which a rate is told
NEAR = 0.03  # A pace so near the declared one is that.
FILE = 6.0  # A pace so many times the declared one is that of a file.
AGREEING = 2  # looks in a row that say the same


class Pace:
    """Measures one stream. ``likely_hz`` is another rate that it comes at, if it does.

    Sound may come in bursts: what counts is how much of it had come at each time, and that this
    lies on a line.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._points: deque[tuple[float, float]] = deque()  # clock, and seconds of sound by then
        self._sound_s = 0.0
        self._interval_s = 0.0
        self._began: float | None = None
        self._looked = 0.0
        self._last: int | None = None
        self._alike = 0
        self._over = False
        self.likely_hz: int | None = None

    def receive(self, seconds: float, now: float) -> bool:
        """So much sound, by the declared rate, came at ``now``. Whether ``likely_hz`` changed."""
        if self._over:
            return False
        if self._began is None:
            self._began = self._looked = now
        self._sound_s += seconds
        if self._points and now == self._points[-1][0]:
            self._points[-1] = now, self._sound_s
            return False
        if self._points:
            interval_s = now - self._points[-1][0]
            if interval_s > max(PAUSE_S, 4 * self._interval_s):
                self._points.clear()
            self._interval_s = interval_s
        self._points.append((now, self._sound_s))
        while now - self._points[0][0] > MOST_S:
            self._points.popleft()
        if now - self._looked < self._step_s(now):
            return False
        self._looked = now
        return self._look(now)

    def _step_s(self, now: float) -> float:
        assert self._began is not None
        settled = now - self._began > WATCHED_S and self._last == self.likely_hz
        return LATER_STEP_S if settled else STEP_S

    def _look(self, now: float) -> bool:
        pace = self._measured()
        if pace is None:
            return False
        if pace > FILE:
            self._over = True
            return False
        found = self._rate(pace)
        self._alike = self._alike + 1 if found == self._last else 1
        self._last = found
        if self._alike < AGREEING or found == self.likely_hz:
            return False
        self.likely_hz = found
        self._points.clear()
        return True

    def _measured(self) -> float | None:
        """Seconds of sound a second of the clock, where that is sure."""
        if len(self._points) < LEAST_POINTS or self._points[-1][0] - self._points[0][0] < LEAST_S:
            return None
        clock, sound = np.array(self._points).T
        clock, sound = clock - clock.mean(), sound - sound.mean()
        pace = float(np.dot(clock, sound) / np.dot(clock, clock))  # of the line of least squares
        off_s = float(np.max(np.abs(sound - pace * clock)))
        return pace if pace > 0 and off_s < SURE * pace * (clock[-1] - clock[0]) else None

    def _rate(self, pace: float) -> int | None:
        """The rate that sound of this pace has, if it is another than was declared."""
        if abs(pace - 1) < NEAR:
            return None
        nearest = min(RATES_HZ, key=lambda rate: abs(rate / self._rate_hz / pace - 1))
        return nearest if abs(nearest / self._rate_hz / pace - 1) < SURE else None
