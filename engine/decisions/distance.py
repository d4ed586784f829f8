"""Is another voice at the microphone, or far from it, as a television is?

Whoever takes over speaks about as loud as the one before; a voice in the background is far below.
Twice as far is 6 dB less in the open, so that 12 dB below, four times as far, the one is as likely
as the other. Where the network says how clear the sound is (C50: the early part of a room's
response over the rest), a voice whose clarity has fallen too is the likelier to be far, and one
that is as clear as the voice before is the likelier to speak low.

The other way round, a voice becomes louder by another one alone. In 79 utterances of held-out
speakers the middle level of a second was 8 dB above that of the speech before it at 1 of 730
places, and nowhere 10 dB, while at one in twenty it was 10 dB below: sentences fade, and nobody
comes nearer within one. Between a television and who speaks beside it lie 10 dB and more. But from
one sentence to the next and from one recording to another levels differ by as much: taken for any
change, such a rise made 19 false ones an hour out of 12 on the benchmark's conversations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.audio.speech_levels import SpeechLevels
from engine.format import SAMPLE_RATE_HZ
from engine.spans.interface import SpeechEmbeddings

# A voice that is EVEN_DB below the one before is near or far with the same probability, and each
# DB_A_NAT more multiply the odds that it is far by e. Less than LEAST_DB below nobody asks.
EVEN_DB, DB_A_NAT, LEAST_DB = 12.0, 1.5, 6.0
# The same holds of the fall in C50. The network knows that to some decibels only, so that it
# counts for MOST_NATS at most.
CLARITY_EVEN_DB, CLARITY_DB_A_NAT, MOST_NATS = 4.0, 4.0, 2.0
CLARITY = "c50_db"
# Each RISE_DB_A_NAT by which the level exceeds that before by more than LEAST_RISE_DB multiply the
# odds of another voice by e, of which MOST_RISE_NATS at most count.
LEAST_RISE_DB, RISE_DB_A_NAT, MOST_RISE_NATS = 5.0, 1.5, 3.5
RISE_SAMPLES = SAMPLE_RATE_HZ  # 1 s of speech on either side at least, or nobody asks

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

    def louder_log_odds(self, dbfs: float | None, before: Place, since: Place) -> float:
        """By how much it is likelier that another voice speaks since then, for it is louder.

        The voice before was as loud as ``dbfs``.
        """
        if min(place[1] - place[0] for place in (before, since)) < RISE_SAMPLES:
            return 0.0
        nats = (-self.below_db(dbfs, since) - LEAST_RISE_DB) / RISE_DB_A_NAT
        return min(max(nats, 0.0), MOST_RISE_NATS)

    def _clarity(self, place: Place) -> float | None:
        """Mean C50 in dB, where the network says it."""
        heads = self.spans.heads(*place)
        if CLARITY not in heads.names or not len(heads.values):
            return None
        return float(heads.values[:, heads.names.index(CLARITY)].mean())
