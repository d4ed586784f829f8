"""Which of a microphone's channels is listened to: one of them, and never their sum.

In a sum channels of opposite phase cancel, and the first one may be of a socket into which nothing
is plugged. The dashboard chooses likewise (`clients/js/src/microphone/capture.ts`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

MEMORY_S = 0.5  # in which what a channel's power was fades
LOUDER = 4.0  # times the power (6 dB): a voice between two channels does not move the choice
SILENT = 1e-9  # power of a channel that gives nothing, -90 dBFS


class ChannelChoice:
    """For one microphone with ``channels`` at ``rate_hz``. ``chosen`` is the one in use, from 0."""

    def __init__(self, channels: int, rate_hz: int) -> None:
        self._powers: Float64 = np.zeros(channels)
        self._memory = MEMORY_S * rate_hz
        self.chosen = 0

    def take(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """One channel ``(N,)`` of ``samples`` ``(N, channels)``.

        It is the one in use, until another is much louder.
        """
        if len(samples):
            share = min(1.0, len(samples) / self._memory)
            power: Any = np.square(samples / 32768.0).mean(axis=0)
            self._powers += share * (power - self._powers)
            loudest = int(self._powers.argmax())
            highest, own = self._powers[loudest], self._powers[self.chosen]
            if highest > SILENT and highest > LOUDER * own:
                self.chosen = loudest
        return samples[:, self.chosen]
