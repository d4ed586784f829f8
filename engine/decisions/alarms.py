"""Figures of a bundle that decisions over time need, as its manifest holds them."""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec

Positive = Annotated[float, msgspec.Meta(gt=0)]
Figures = dict[str, Any]


class Alarm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the LLRs of a window tell that another voice has begun, and how often they err.

    A window speaks for the voice going on by ``claim`` times its LLR against the speaker that
    was matched, ``voice`` times that against the speech before it, and ``offset``. While
    nobody takes over, the CUSUM of the opposite, each second of speech counted once, exceeds
    a height ``h`` ``exp(log_rate - decay h)`` times an hour of speech.
    """

    claim: float
    voice: float
    offset: float
    log_rate: float
    decay: Positive

    def height(self, per_hour: float) -> float:
        """Where false alarms come ``per_hour`` times an hour of speech."""
        return max(0.0, (self.log_rate - math.log(per_hour)) / self.decay)


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Figures of decisions over time, fitted on streams of speakers held out of training.

    The evidence is ``slope`` times the LLR of a run's averaged embedding plus ``offset``.
    The defaults are those of the first bundled model; ``scripts/fit_evidence.py`` fits them.
    """

    slope: Positive = 1.0
    offset: float = 0.0
    takeover: Alarm = Alarm(claim=1.16, voice=0.82, offset=-1.82, log_rate=5.0, decay=1.85)
    change: Alarm = Alarm(claim=0.0, voice=1.65, offset=-1.76, log_rate=5.2, decay=1.57)
    fitted: Figures = {}
