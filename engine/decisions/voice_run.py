"""A run of speech that is taken to be of one voice: its evidence, its voice and its end."""

from __future__ import annotations

import numpy as np

from engine.decisions.change_detector import ChangeDetector, EmbeddedWindow, SpeakerChange
from engine.decisions.evidence import Evidence
from engine.decisions.session_voices import SessionVoices, Voice
from engine.format import SAMPLE_RATE_HZ
from engine.model.manifest import DecisionFigures
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings


class VoiceRun:
    """A run from ``begins`` on, in samples of net speech.

    ``change`` is the change of voice that it began by; the first run of a stream has none.
    """

    def __init__(
        self,
        scorer: CalibratedScorer,
        figures: DecisionFigures,
        begins: int,
        change: SpeakerChange | None,
    ) -> None:
        before = None if change is None else np.asarray(change.voice.embeddings[0], np.float32)
        self._scorer, self.evidence = scorer, Evidence(begins, before)
        self.detector = ChangeDetector(scorer, figures, begins)
        self.voice: Voice | None = None
        self.prepared: PreparedEmbeddings | None = None  # the run so far

    @property
    def speech_s(self) -> float:
        """Net speech that the run counts for."""
        return self.evidence.samples / SAMPLE_RATE_HZ

    def join(
        self, window: EmbeddedWindow, voices: SessionVoices, but: Voice | None
    ) -> PreparedEmbeddings:
        """A window more: what the run is by now, and with its first window who it is."""
        embedding = self.evidence.add(window.embedding, window.place.position, window.place.length)
        if self.voice is None:
            self.voice = voices.enter(embedding, self.speech_s, but)
        whole = self.evidence.begins == window.place.speech_start  # the window is the run
        self.prepared = (
            window.prepared if whole else self._scorer.prepare(embedding[None], self.speech_s)
        )
        return self.prepared

    def end(self, voice: PreparedEmbeddings, speech_s: float) -> Voice:
        """The run is over, and was of this voice; whose it was."""
        assert self.voice is not None
        self.voice.add(voice.embeddings[0], speech_s)
        return self.voice
