"""Figures of a bundle that decisions over time need, as its manifest holds them."""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec

from engine.speech.vad import SAMPLE_RATE_HZ

Positive = Annotated[float, msgspec.Meta(gt=0)]
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


class Quick(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The alarm of a takeover with a glance: the last ``glance_s`` seconds of each window are
    looked at by themselves, for the rest of it may still hold the voice before."""

    takeover: Alarm
    glance_s: Positive


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Figures of decisions over time, fitted on streams of speakers held out of training.

    The evidence is ``slope`` times the LLR of a run's averaged embedding plus ``offset``.
    The defaults are those of the first bundled model; ``scripts/fit_evidence.py`` fits them.
    """

    slope: Positive = 1.0
    offset: float = 0.0
    takeover: Alarm = Alarm(claim=1.16, voice=0.82, offset=-1.82, log_rate=5.0, decay=1.85)
    change: Alarm = Alarm(claim=0.0, voice=1.65, offset=-1.76, log_rate=5.2, decay=1.57)
    quick: Quick | None = None  # half as much again for the encoder to do
    fitted: Figures = {}

    def glance_samples(self, samples: int) -> int:
        """How many at the end of a window of ``samples`` are embedded by themselves.

        None of a window that is no longer than a glance: it is one.
        """
        wanted = 0 if self.quick is None else round(self.quick.glance_s * SAMPLE_RATE_HZ)
        return wanted if wanted < samples else 0
