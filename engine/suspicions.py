"""Whether a stream's sound is what was declared, by its bytes and its rate, and is new."""

from __future__ import annotations

from engine.arrival.moments import Arrival
from engine.arrival.pace import Pace
from engine.audio.pcm import PcmDecoder
from engine.audio.repeats import Repeat
from engine.audio.suspicion import Suspicion
from engine.format import SAMPLE_RATE_HZ


class Suspicions:
    """What is suspected of the sound that ``decoder`` decodes; its bytes say more than its rate.

    ``current`` is what is suspected now.
    """

    def __init__(self, decoder: PcmDecoder) -> None:
        self._decoder, self._pace = decoder, Pace(decoder.rate_hz)
        self._counted = 0  # bytes that are still to come of a message that has been counted
        self._form: Suspicion | None = None
        self._rate: Suspicion | None = None
        self.current: Suspicion | None = None

    def arrived(self, data: bytes, arrived: Arrival | None) -> None:
        """Sound has come, where it is said when."""
        if arrived is None or arrived.clock_s is None:
            return
        new = len(data) + arrived.more_bytes - self._counted
        self._counted = arrived.more_bytes
        if new <= 0:
            return
        self._pace.receive(new / self._decoder.bytes_per_s, arrived.clock_s)
        self._rate = _rate(self._pace, self._decoder)

    def take(self, before: int, now: int) -> list[tuple[int, Suspicion | None]]:
        """From which samples on what is suspected, wherever it has changed.

        ``before`` to ``now`` is what has come: of another rate it is all of that.
        """
        changes: list[tuple[int, Suspicion | None]] = []
        if self._rate is not None:
            self._note(before, changes)
        for place, form in self._decoder.found:
            self._form = form
            self._note(min(place, now), changes)
        self._decoder.found.clear()
        self._note(now, changes)
        return changes

    def take_repeats(self) -> list[tuple[int, Repeat | None]]:
        """From which samples on the sound is what had come before, or no longer."""
        found, rate = self._decoder.repeats.found, self._decoder.rate_hz
        changes = [(place * SAMPLE_RATE_HZ // rate, repeat) for place, repeat in found]
        found.clear()
        return changes

    def _note(self, place: int, changes: list[tuple[int, Suspicion | None]]) -> None:
        suspected = self._form or self._rate
        if suspected != self.current:
            self.current = suspected
            changes.append((place, suspected))


def _rate(pace: Pace, decoder: PcmDecoder) -> Suspicion | None:
    hz, declared_hz = pace.likely_hz or pace.doubted_hz, decoder.rate_hz
    if hz is None:
        return None
    channels = ""  # Another number of them makes the same pace.
    if hz == 2 * declared_hz and decoder.channels == 1:
        channels = " or, of two channels, with channels=2,"
    elif 2 * hz == declared_hz and decoder.channels == 2:
        channels = " or, of one channel, with channels=1,"
    sure = pace.likely_hz is not None
    comes = "comes" if sure else "has come so far"
    advice = (
        f"sound {comes} at {hz / declared_hz:.2g} times the declared rate of {declared_hz} Hz:"
        f" start with sample_rate={hz},{channels} or with live=false if it is a file"
    )
    return Suspicion("rate-suspect", f"sample_rate={hz}", advice, sure)
