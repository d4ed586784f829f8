"""How good the sound of a stream is: told every two seconds, and kept for the verdicts on turns."""

from __future__ import annotations

from engine.audio.offset import OffsetRemoval
from engine.audio.quality import QualityFigures, QualityMeter
from engine.audio.repeats import Repeat
from engine.audio.suspicion import Suspicion
from engine.events import Quality
from engine.format import SAMPLE_RATE_HZ, seconds
from engine.speech.segmenter import Span

PERIOD_SAMPLES = 2 * SAMPLE_RATE_HZ  # 2 s of sound between two quality events


class SoundQuality:
    """Measures one stream. ``offset`` knows the constant offset that was taken away.

    ``last`` are the figures of the last period in which somebody spoke.
    """

    def __init__(self, offset: OffsetRemoval) -> None:
        self._meter, self._offset = QualityMeter(), offset
        self.last: QualityFigures | None = None

    def add(self, span: Span) -> None:
        """Measure a span."""
        self._meter.add(span.samples, speech=span.speech)

    def take_turn(self) -> QualityFigures:
        """The figures of the turn that ends here."""
        return self._meter.take_turn()

    def event(self, at: int, suspicion: Suspicion | None, repeat: Repeat | None) -> Quality:
        """What is told at media sample ``at`` of the sound since the event before.

        It may be suspected to be other than declared, or known to ``repeat`` what had come before.
        """
        found = self._meter.take(self._offset.until(at))
        if found.speech_share:
            self.last = found
        problems = found.problems
        if suspicion is not None:
            problems = (*problems, suspicion.problem)
        if repeat is not None:
            problems = (*problems, "repeated")
        advice = [one.advice for one in (suspicion, repeat) if one is not None]
        return Quality(
            likely=None if suspicion is None else suspicion.likely,
            advice="; ".join(advice),
            repeated_since=None if repeat is None else repeat.since_s,
            t=seconds(at),
            level_dbfs=found.level_dbfs,
            clipped=found.clipped,
            snr_db=found.snr_db,
            speech_share=found.speech_share,
            problems=problems,
        )
