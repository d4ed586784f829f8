"""Figures of a bundle that decisions over time need, as its manifest holds them."""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec

from engine.vad import SAMPLE_RATE_HZ

Positive = Annotated[float, msgspec.Meta(gt=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Figures = dict[str, Any]


class Alarm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the LLRs of a window tell that another voice has begun, and how often they err.

    A window speaks for the voice going on by ``claim`` times its LLR against the speaker that
    was matched, ``voice`` times that against the speech before it, ``glance`` times that of its
    last part alone against the speech before that, and ``offset``. While
    nobody takes over, the CUSUM of the opposite, each second of speech counted once, exceeds
    a height ``h`` ``exp(log_rate - decay h)`` times an hour of speech.
    """

    claim: float
    voice: float
    glance: float = 0.0
    offset: float
    log_rate: float
    decay: Positive

    def height(self, per_hour: float) -> float:
        """Where false alarms come ``per_hour`` times an hour of speech."""
        return max(0.0, (self.log_rate - math.log(per_hour)) / self.decay)


class Alarms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of another voice: while somebody is matched, and while nobody is.

    ``glance_s`` is how much of the end of each window is looked at by itself, in seconds: the
    rest of it may still hold the voice before. 0 is nothing.
    """

    takeover: Alarm
    change: Alarm
    glance_s: Seconds = 0.0

    def glance_samples(self, samples: int) -> int:
        """How many at the end of a window of ``samples`` are embedded by themselves.

        None of a window that is no longer than a glance: it is one.
        """
        wanted = round(self.glance_s * SAMPLE_RATE_HZ)
        return wanted if wanted < samples else 0


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Figures of decisions over time, fitted on streams of speakers held out of training.

    The evidence is ``slope`` times the LLR of a run's averaged embedding plus ``offset``.
    The defaults are those of the first bundled model; ``scripts/fit_evidence.py`` fits them.
    """

    slope: Positive = 1.0
    offset: float = 0.0
    takeover: Alarm = Alarm(claim=1.16, voice=0.82, offset=-1.82, log_rate=5.0, decay=1.85)
    change: Alarm = Alarm(claim=0.0, voice=1.65, offset=-1.76, log_rate=5.2, decay=1.57)
    quick: Alarms | None = None  # with a glance: half as much again for the encoder to do
    fitted: Figures = {}

    def alarms(self, *, glance: bool) -> Alarms:
        """Those with a glance if there are any and they are wanted, or else those without."""
        if glance and self.quick is not None:
            return self.quick
        return Alarms(takeover=self.takeover, change=self.change)
