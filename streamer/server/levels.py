"""How loud a stream is, for monitors that draw its waveform."""

from __future__ import annotations

import time

from engine.audio.quality import PeakMeter
from engine.session import Session
from streamer.server.hub import Hub
from streamer.server.outbox import Message
from streamer.wire.messages import Level

STEP_S = 0.02  # sound behind one peak
LEAST_STEPS = 5  # a tenth of a second to a level message


class Levels:
    """Publishes the peaks of one stream's sound while somebody wants them, else measures none."""

    def __init__(self, stream: str, session: Session, hub: Hub) -> None:
        self._stream, self._session, self._hub = stream, session, hub
        self._published_at = 0.0

    def publish(self) -> None:
        """Sound has come: tell the peaks since the last message, if that is long enough ago."""
        meter = self._session.meter
        if not len(self._hub) or not self._hub.wants_levels(self._stream):
            self._session.meter = None
        elif meter is None:
            self._session.meter = PeakMeter()
        elif (now := time.monotonic()) - self._published_at >= LEAST_STEPS * STEP_S * 0.9:
            self._published_at = now
            if peaks := meter.take():
                level = Level(t=self._session.received_s, step_s=STEP_S, peaks=peaks)
                self._hub.publish(self._stream, Message(level))
