"""Pauses that are in no sound: a sender that stops, by the clock.

A client may send nothing while nobody speaks, stop in the middle of a word, or be cut off by
the network and send later what was said meanwhile. The first two are pauses and the last is
none, which only the sound that follows can tell: sound that comes after a gap is held for a
moment, until it is clear whether more of it comes at once.

The first sound is taken to begin when it comes, and what follows to have been said until it came.
So sound that runs ahead of the clock, as that of a file, has no gaps while it does. What a sender's
own fast clock gains is forgotten, or there would be no pauses any more after an hour of it. Before
the first sound there is no gap either, but a stream that never gets any sound is stalled like one
whose sound stops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.arrival.moments import Arrival

GAP_S = 0.3  # Less than this is the jitter of a network.
# Sound after a gap is held until the gap has not shrunk by CAUGHT_UP_S for SETTLE_S. It is held
# for LONGEST_SETTLE_S at most, and never more than MOST_HELD_S of it, as no client keeps more for a
# server.
CAUGHT_UP_S, SETTLE_S, LONGEST_SETTLE_S, MOST_HELD_S = 0.1, 0.25, 2.0, 30.0
# A sender's clock is off by less, as a share of the time. Sound that is ahead of the clock loses
# so much of its lead, and that of a file hardly notices.
DRIFT = 0.01
QUIET_S = 1.0  # Without sound for so long the turn is over, though sound may still be on its way.
# A source that sends in bursts is waited for as long as it lately took. A wait is forgotten by
# half in so many seconds, and no longer one than this is learned.
HALF_LIFE_S = 5.0
MOST_USUAL_S = 5.0


@dataclass(frozen=True, slots=True)
class Sound:
    """Sound to go on with."""

    data: bytes
    arrived: Arrival


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing was said, or nothing was heard, for so many seconds of the clock."""

    gap_s: float


@dataclass(frozen=True, slots=True)
class Quiet:
    """No sound comes for now: what was being said is over."""


@dataclass(frozen=True, slots=True)
class Stall:
    """No sound has come for ``gap_s``, or sound is back after so long: ``back``.

    ``late_s`` of what is back came at once: it was said before.
    """

    gap_s: float
    now: Arrival
    back: bool = False
    late_s: float = 0.0


Heard = Sound | Gap | Quiet | Stall


class Gaps:
    """Finds the gaps of one stream. Bytes and times go in, and sound and gaps come out.

    ``stall_s`` is how long no sound comes before that is told. ``kept_s`` of the sound with which
    the stream begins were said before that, as the client tells that had nowhere to send them.
    """

    def __init__(self, bytes_per_s: int, stall_s: float, kept_s: float = 0.0) -> None:
        self._bytes_per_s, self._stall_s, self._kept_s = bytes_per_s, stall_s, kept_s
        # When sound last came, but for what is held; before any: when the stream began.
        self._last: float | None = None
        self._sounded = False  # whether any sound has come
        self._said = -math.inf  # until when all of it had been said
        self._usual_s = 0.0  # between arrivals of sound without a gap
        self._quiet, self._stalled = True, False
        self._held: list[Sound] = []
        self._held_s = 0.0  # seconds of sound
        self._begun = self._came = 0.0  # when the first and the last of it came
        self._shrunk_at = self._least = 0.0  # when the gap last shrank, and to what

    def begin(self, now: Arrival) -> None:
        """The stream begins, and its first sound is waited for."""
        self._last = now.clock_s

    def receive(self, data: bytes, arrived: Arrival) -> list[Heard]:
        """Sound has come."""
        if arrived.clock_s is None:
            return [Sound(data, arrived)]
        now = self._came = arrived.clock_s
        if not self._held:
            self._begun = now
        if not self._sounded:
            self._first(now)
        self._held.append(Sound(data, arrived))
        self._held_s += len(data) / self._bytes_per_s
        gap = self._gap_s
        if gap < GAP_S or self._held_s > MOST_HELD_S:
            return self.settle()
        if len(self._held) == 1 or gap < self._least - CAUGHT_UP_S:
            self._shrunk_at, self._least = now, gap
        return self.settle() if now >= self._settled_at else []

    def _first(self, now: float) -> None:
        """The first sound has come. What was kept is looked for as after a stall of that length."""
        self._said = now
        if self._kept_s and self._last is not None:
            self._said = self._last = self._last - self._kept_s
            self._sounded = self._stalled = True

    def pass_time(self, now: Arrival) -> list[Heard]:
        """Nothing else has come until now."""
        if now.clock_s is None or self._last is None:
            return []
        if self._held:
            return self.settle() if now.clock_s >= self._settled_at else []
        heard: list[Heard] = []
        stalls = not self._stalled and now.clock_s >= self._last + self._stall_after_s
        if not self._quiet and (stalls or now.clock_s >= self._quiet_at):
            self._quiet = True
            heard.append(Quiet())
        if stalls:
            self._stalled = True
            heard.append(Stall(now.clock_s - self._last, now))
        return heard

    def settle(self) -> list[Heard]:
        """Hold nothing any longer."""
        if not self._held:
            return []
        gap, heard = self._gap_s, list[Heard]()
        wait_s = 0.0 if self._last is None else self._begun - self._last
        if gap >= GAP_S:
            heard.append(Gap(gap))
        elif self._sounded:
            usual_s = self._usual_s * 0.5 ** (wait_s / HALF_LIFE_S)
            self._usual_s = min(max(wait_s, usual_s), MOST_USUAL_S)
        if self._stalled:
            # What came faster than it can have been said; not before the last sound had come.
            late_s = min(max(0.0, self._held_s - (self._came - self._begun)), wait_s)
            heard.append(Stall(wait_s, self._held[0].arrived, back=True, late_s=late_s))
        said = max(self._said, self._came - self._held_s) + self._held_s
        self._said = max(said - DRIFT * wait_s, self._came)
        self._last, self._sounded = self._came, True
        self._quiet = self._stalled = False
        heard.extend(self._held)
        self._held, self._held_s = [], 0.0
        return heard

    def end(self) -> list[Heard]:
        """No more sound follows, and the time that passes means nothing."""
        heard, self._last = self.settle(), None
        return heard

    @property
    def next_s(self) -> float | None:
        """When :meth:`pass_time` is to be called next, by the clock of the arrivals."""
        if self._held:
            return self._settled_at
        if self._last is None or self._stalled:
            return None
        stall_at = self._last + self._stall_after_s
        return stall_at if self._quiet else min(stall_at, self._quiet_at)

    @property
    def _gap_s(self) -> float:
        """How long nothing was said before the sound that is held."""
        if self._last is None or not self._sounded:
            return 0.0
        # After a stall, sound that was ahead of the clock has ceased to be.
        until = self._last if self._stalled else self._said
        return self._came - self._held_s - until

    @property
    def _settled_at(self) -> float:
        return min(self._shrunk_at + SETTLE_S, self._begun + LONGEST_SETTLE_S)

    @property
    def _quiet_at(self) -> float:
        return self._said + self._usual_s + QUIET_S

    @property
    def _stall_after_s(self) -> float:
        return max(self._stall_s, self._usual_s + QUIET_S)
