"""A place in a stream's speech of which something can be said, and all that it is decided by."""

from __future__ import annotations

from dataclasses import dataclass

from engine.audio.quality import QualityFigures
from engine.audio.speech_levels import SpeechLevels
from engine.decisions.score_events import ScoredSpan
from engine.decisions.tracker_settings import TrackerSettings
from engine.format import SAMPLE_RATE_HZ
from engine.spans.interface import Mark

LATEST_SAMPLES = 3 * SAMPLE_RATE_HZ  # of speech, that what is heard now is a part of


@dataclass(frozen=True, slots=True, eq=False)
class KnownSpeech:
    """A place that can be asked for, and the settings that it is decided by.

    ``scored`` is the span whose scores are told, if any are; ``sound`` is what was measured last,
    of a turn that ends here its own sound. Before the turn there was no sound at all
    for ``gap_s`` of the clock. ``levels`` are those of all the speech.
    """

    mark: Mark
    settings: TrackerSettings
    scored: ScoredSpan | None = None
    sound: QualityFigures | None = None
    gap_s: float = 0.0
    levels: SpeechLevels | None = None

    def clipped(self, start: int) -> float:
        """The share at full scale of the speech from ``start`` on, or of the latest if larger."""
        if self.levels is None:
            return 0.0
        end, latest = self.mark.position, self.mark.position - LATEST_SAMPLES
        return max(self.levels.clipped(max(start, one), end) for one in (start, latest))
