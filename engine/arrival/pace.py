"""The rate at which sound comes, against the rate that was declared: of sound in real time."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
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
# An interval so much longer than those before, and than the sound that comes after it, is a pause,
# and says nothing.
PAUSE_S = 1.0
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
# Before any pace is sure the sound so far may come as that of another rate would: by the density of
# its pace, so many times as likely as at any pace up to that of a file, as recorded sound or a
# starved sender may come at. Sound has to lead or lag by more than a usual network's delay swings.
LIKELIER, SWINGS_S = 25.0, 0.15
# Recorded sound comes in bursts: on a busy machine mostly 3.8 to 7 times as fast as it was spoken.
BURST = 3.2
# The squared deviation of a delay, in square seconds, that may be before any is known.
USUAL_SQUARES = 2 * 0.01**2
# Delays that are like their neighbours tell less: N of them as much as N (1 - r) / (1 + r) others,
# where r is the correlation of neighbours. Those of a sender that sleeps between pieces are a
# random walk, of which a line makes r 7.5 / N too small, and tells no more than 0.65 delays do.
WALK, LEAST_UNLIKE = 7.5, 0.65
DOUBTED_LEAST_S = 0.2  # of the clock, of which less makes nothing clearer
DOUBTED_MOST = 400  # of the latest arrivals
# Once a pace is known another is in doubt as soon as the sound of the last BENT_S seconds leads or
# lags behind it by LEADS_S, and comes earlier or later than all sound before by half of that. A
# delay that grows makes sound lag as well, but seldom on a line to within STEADY_S.
BENT_S, LEADS_S, STEADY_S = 1.5, 0.3, 0.05


@dataclass(frozen=True, slots=True)
class _Line:
    """Sound over the clock: how steep, over how long, and how far a point is from it at most.

    ``error`` is the standard error of ``pace``, as a share of it.
    """

    pace: float
    lasted_s: float
    off_s: float
    error: float


class Pace:
    """Measures one stream. ``likely_hz`` is another rate that it comes at, if it does.

    Sound may come in bursts: what counts is how much of it had come at each time, and that this
    lies on a line. Another rate than the one known is believed where it comes to more sound, or to
    less, than a delay that swings explains. ``doubted_hz`` is another that the sound looks like, so
    far or, once a rate is known, lately: so a network may, too, for a moment.
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
        self._over = self._known = self._bent = False
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
            if interval_s > max(PAUSE_S + seconds, 4 * self._interval_s):
                self._forget(len(self._clock))
            self._interval_s = interval_s
        self._clock.append(now)
        self._sound.append(self._sound_s)
        self.doubted_hz = self._doubted_now() if self._known else self._doubted()
        if now - self._looked < self._step_s(now):
            return False
        self._looked = now
        self._forget(next(i for i, at in enumerate(self._clock) if now - at <= MOST_S))
        return self._look(now)

    def _step_s(self, now: float) -> float:
        assert self._began is not None
        known_hz = self._rate_hz if self.likely_hz is None else self.likely_hz
        settled = now - self._began > WATCHED_S and self._last in (None, known_hz)
        settled = settled and not self._bent
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
        self.likely_hz, self._known, self._bent = likely_hz, True, False
        self._forget(len(self._clock))
        return True

    def _doubted(self) -> int | None:
        """The rate that the sound so far comes at, if clearly another than was declared."""
        clock, sound = np.array(self._clock[-DOUBTED_MOST:]), np.array(self._sound[-DOUBTED_MOST:])
        if clock[-1] - clock[0] < DOUBTED_LEAST_S:
            return self.doubted_hz  # as before a pause
        lead_s = (sound[-1] - sound[0]) - (clock[-1] - clock[0])
        if abs(lead_s) < SWINGS_S:
            return None
        later = (len(clock) - 1) // 2
        hz = self._likelier(_line(clock, sound))
        # Sound that had been kept comes first in a burst, and then at its own pace.
        return hz if hz and self._is_nearer(hz, _line(clock[later:], sound[later:])) else None

    def _doubted_now(self) -> int | None:
        """The rate that sound comes at lately, if it seems to be another than the one known.

        Of what came before that nothing is measured then.
        """
        now, known = self._clock[-1], self._known_pace
        first = bisect_left(self._clock, now - BENT_S)
        lead_s = self._sound[-1] - self._sound[first] - known * (now - self._clock[first])
        if abs(lead_s) < LEADS_S * known:
            self._bent = self._bent and now - self._clock[0] < BENT_S
            return self.doubted_hz if self._bent else None
        bend = None if self._bent else self._bend(first, lead_s)
        if bend is not None:
            self._bent = True
            self._forget(bend)
        if not self._bent or len(self._clock) < 2:
            return self.doubted_hz
        pace = _line(np.array(self._clock), np.array(self._sound)).pace
        rates = [hz for hz in RATES_HZ if abs(hz / self._rate_hz - known) > NEAR * known]
        hz = min(rates, key=lambda rate: abs(math.log(pace * self._rate_hz / rate)))
        return None if abs(hz / self._rate_hz - 1) < NEAR else hz

    def _bend(self, first: int, lead_s: float) -> int | None:
        """From which arrival on sound came at another pace than the one known, if it did.

        By the arrival ``first`` it still came at that one, and leads or lags by ``lead_s`` since.
        """
        clock, sound = np.array(self._clock), np.array(self._sound)
        later, known = slice(first, None), self._known_pace
        if len(clock) - first < LEAST_POINTS or clock[-1] - clock[first] < BENT_S / 2:
            return None
        line = _line(clock[later], sound[later])
        if line.pace > FILE or (lead_s < 0 and line.off_s > STEADY_S * known):
            return None
        delays = clock - sound / known if lead_s < 0 else sound / known - clock
        if first < LEAST_POINTS or delays[-1] < delays[:first].max() + LEADS_S / 2:
            return None
        # A little later, as it may have come a little later than all before at its own pace, too.
        return int(np.flatnonzero(delays <= delays[:first].max() + LEADS_S / 10)[-1]) + 1

    @property
    def _known_pace(self) -> float:
        """Seconds of sound, by the declared rate, that come in one by the rate that is known."""
        return (self.likely_hz or self._rate_hz) / self._rate_hz

    def _likelier(self, line: _Line) -> int | None:
        """The rate at which sound of this pace is likelier than at any pace, if one is."""
        rates = [hz for hz in self._others if hz <= BURST * self._rate_hz]
        off = {hz: abs(math.log(line.pace * self._rate_hz / hz)) for hz in rates}
        hz = min(off, key=lambda rate: off[rate])
        deviations = off[hz] / line.error
        density = math.exp(-(deviations**2) / 2) / (math.sqrt(2 * math.pi) * line.error)
        return hz if density * math.log(FILE) > LIKELIER else None

    def _is_nearer(self, hz: int, line: _Line) -> bool:
        """Whether the pace is nearer to that of ``hz`` than to the declared one."""
        return abs(math.log(line.pace * self._rate_hz / hz)) < abs(math.log(line.pace))

    def _forget(self, count: int) -> None:
        """The oldest arrivals."""
        del self._clock[:count], self._sound[:count]

    def _measured(self) -> float | None:
        """Seconds of sound a second of the clock, where that is sure."""
        clock, sound = np.array(self._clock), np.array(self._sound)
        lately = clock >= clock[-1] - SHORT_S
        for window in (lately, slice(None)):
            if len(clock[window]) >= LEAST_POINTS and clock[-1] - clock[window][0] >= LEAST_S:
                line = _line(clock[window], sound[window])
                if line.off_s < SURE * line.pace * line.lasted_s and self._sure(line):
                    return line.pace
        return None

    def _sure(self, line: _Line) -> bool:
        """Whether it is the pace that is known, or no swing of the delay makes it another."""
        known = self._known_pace
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


def _line(clock: Float64, sound: Float64) -> _Line:
    """The line of least squares through ``sound`` ``(N,)``, which grows, over ``clock``."""
    count, lasted_s = len(clock), float(clock[-1] - clock[0])
    clock, sound = clock - clock.mean(), sound - sound.mean()
    spread = float(np.dot(clock, clock))
    pace = float(np.dot(clock, sound)) / spread
    delays = clock - sound / pace
    squares = float(np.dot(delays, delays))
    alike = float(np.dot(delays[1:], delays[:-1])) / squares + WALK / count if squares else 0.0
    alike = min(max(alike, 0.0), 1.0)
    unlike = max(count * (1 - alike) / (1 + alike), LEAST_UNLIKE)
    error = math.sqrt((squares / unlike + USUAL_SQUARES / count) / spread)
    return _Line(pace, lasted_s, pace * float(np.max(np.abs(delays))), error)
