"""A model bundle as a system under test."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.model.bundle import Bundle
from engine.model.encoder import Encoder, ProviderChoice, embed_speech
from engine.model.manifest import DecisionFigures
from engine.scoring.scorer import CalibratedScorer, Scorer, Scores
from models.evaluation.embeddings import Float32, Float64, Ints


class BundleSystem:
    """A model bundle as a :class:`models.evaluation.embeddings.SystemUnderTest`."""

    def __init__(
        self, bundle: Bundle, provider: ProviderChoice = "auto", *, threads: int = 1
    ) -> None:
        self.bundle = bundle
        self.encoder = Encoder(bundle, provider, threads=threads)
        calibrated = bundle.manifest.calibration is not None
        self.scorer = CalibratedScorer(bundle) if calibrated else Scorer(bundle)

    @property
    def name(self) -> str:
        """Name and version in the manifest."""
        return f"{self.bundle.manifest.name} {self.bundle.manifest.version}"

    @property
    def decision_figures(self) -> DecisionFigures:
        """How the bundle's ratios become evidence: its own figures, or general ones."""
        calibration = self.bundle.manifest.calibration
        return (calibration.evidence if calibration else None) or DecisionFigures()

    @property
    def min_speech_s(self) -> float:
        """The bundle's smallest window."""
        return self.bundle.manifest.min_window_s

    def embed(self, waveforms: Float32) -> Float32:
        """Unit embeddings ``(N, D)``; what is longer than the largest window is cut in windows."""
        if waveforms.shape[1] <= self.encoder.max_samples:
            return self.encoder.embed(waveforms)
        return np.stack([embed_speech(self.encoder, waveform) for waveform in waveforms])

    def score(
        self, enrol: Float32, enrol_s: Float64, test: Float32, test_s: Float64, pairs: Ints
    ) -> Scores:
        """Scores of ``pairs`` ``(P, 2)`` of rows; each row meets the cohort once."""
        left, right = self.scorer.prepare(enrol, enrol_s), self.scorer.prepare(test, test_s)
        return self.scorer.compare(left.take(pairs[:, 0]), right.take(pairs[:, 1]))

    def described(self) -> dict[str, Any]:
        """What a report says of the bundle."""
        manifest = self.bundle.manifest
        return {
            "sha256": manifest.model_sha256,
            "precision": manifest.precision,
            "provider": self.encoder.provider,
            "calibrated": manifest.calibration is not None,
            "normalised": manifest.normalisation is not None,
        }
