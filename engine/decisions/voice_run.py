"""One run of speech as it is told apart: what it is, whose it is, and the watch for its end."""

from __future__ import annotations

import numpy as np

from engine.decisions.change_detector import ChangeDetector, EmbeddedWindow, SpeakerChange
from engine.decisions.evidence import Evidence
from engine.decisions.session_voices import SessionVoices, Voice
from engine.format import SAMPLE_RATE_HZ
from engine.model.manifest import DecisionFigures
from engine.scoring.scorer import CalibratedScorer, Sides


class VoiceRun:
    """A run that begins at ``begins``, in samples of net speech; ``turn`` is what it began by."""

    def __init__(
        self,
        scorer: CalibratedScorer,
        evidence: DecisionFigures,
        begins: int,
        turn: SpeakerChange | None,
    ) -> None:
        before = None if turn is None else np.asarray(turn.voice.embeddings[0], np.float32)
        self._scorer, self.run = scorer, Evidence(begins, before)
        self.detector = ChangeDetector(scorer, evidence, begins)
        self.voice: Voice | None = None
        self.sides: Sides | None = None  # the run so far

    @property
    def speech_s(self) -> float:
        """Net speech that the run counts for."""
        return self.run.samples / SAMPLE_RATE_HZ

    def join(self, seen: EmbeddedWindow, voices: SessionVoices, but: Voice | None) -> Sides:
        """A window more: what the run is by now, and with its first window who it is."""
        embedding = self.run.add(seen.embedding, seen.position, seen.samples)
        if self.voice is None:
            self.voice = voices.enter(embedding, self.speech_s, but)
        whole = self.run.begins == seen.position - seen.samples  # the window is the run
        self.sides = seen.sides if whole else self._scorer.sides(embedding[None], self.speech_s)
        return self.sides

    def end(self, voice: Sides, speech_s: float) -> Voice:
        """The run is over, and was of this voice; whose it was."""
        assert self.voice is not None
        self.voice.hear(voice.embeddings[0], speech_s)
        return self.voice
