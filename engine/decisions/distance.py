"""Is another voice at the microphone, or far from it, as a television is?

Whoever takes over speaks about as loud as the one before; a voice in the background is far below.
Twice as far is 6 dB less in the open, so that 12 dB below, four times as far, the one is as likely
as the other. Where the network says how clear the sound is (C50: the early part of a room's
response over the rest), a voice whose clarity has fallen too is the likelier to be far, and one
that is as clear as the voice before is the likelier to speak low.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.audio.speech_levels import SpeechLevels
from engine.spans.interface import SpeechEmbeddings

# A voice that is EVEN_DB below the one before is near or far with the same probability, and each
# DB_A_NAT more multiply the odds that it is far by e. Less than LEAST_DB below nobody asks.
EVEN_DB, DB_A_NAT, LEAST_DB = 12.0, 1.5, 6.0
# The same holds of the fall in C50. The network knows that to some decibels only, so that it
# counts for MOST_NATS at most.
CLARITY_EVEN_DB, CLARITY_DB_A_NAT, MOST_NATS = 4.0, 4.0, 2.0
CLARITY = "c50_db"

Place = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Distances:
    """How far voices of one stream are, by what is known of its speech."""

    levels: SpeechLevels
    spans: SpeechEmbeddings

    def below_db(self, dbfs: float | None, since: Place) -> float:
        """How far the level since then is below ``dbfs``; 0 where one of them is not known."""
        low = self.levels.median_dbfs(*since)
        return 0.0 if dbfs is None or low is None else dbfs - low

    def far_log_odds(self, dbfs: float | None, before: Place, since: Place) -> float:
        """Log odds that another voice since then is far and not at the microphone.

        The voice before was as loud as ``dbfs``.
        """
        odds = (self.below_db(dbfs, since) - EVEN_DB) / DB_A_NAT
        clear, dull = self._clarity(before), self._clarity(since)
        if clear is not None and dull is not None:
            nats = (clear - dull - CLARITY_EVEN_DB) / CLARITY_DB_A_NAT
            odds += float(np.clip(nats, -MOST_NATS, MOST_NATS))
        return odds

    def _clarity(self, place: Place) -> float | None:
        """Mean C50 in dB, where the network says it."""
        heads = self.spans.heads(*place)
        if CLARITY not in heads.names or not len(heads.values):
            return None
        return float(heads.values[:, heads.names.index(CLARITY)].mean())
