"""A place in a stream's speech of which something can be said, and all that it is decided by."""

from __future__ import annotations

from dataclasses import dataclass

from engine.audio.quality import QualityFigures
from engine.audio.speech_levels import SpeechLevels
from engine.decisions.score_events import ScoredSpan
from engine.decisions.tracker_settings import TrackerSettings
from engine.spans.interface import Mark


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
