"""A model bundle as a system under test."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.model.bundle import Bundle
from engine.model.encoder import Encoder, ProviderChoice, hear_speech
from engine.model.manifest import HEARD, DecisionFigures
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
        """How the bundle's ratios become evidence: as its calibration says, or as they are."""
        calibration = self.bundle.manifest.calibration
        return calibration.decision_figures if calibration else DecisionFigures()

    @property
    def min_speech_s(self) -> float:
        """The bundle's smallest window."""
        return self.bundle.manifest.min_window_s

    @property
    def width(self) -> int:
        """Numbers in what :meth:`embed` gives of one waveform."""
        return self.encoder.embedding_size + HEARD

    def embed(self, waveforms: Float32) -> Float32:
        """Unit embeddings and how they were heard, ``(N, D + 3)``, as `Encoder.hear` says it.

        What is longer than the largest window is cut in windows.
        """
        if waveforms.shape[1] <= self.encoder.max_samples:
            return np.concatenate(self.encoder.hear(waveforms), axis=1)
        heard = [hear_speech(self.encoder, waveform) for waveform in waveforms]
        return np.stack([np.concatenate(one) for one in heard])

    def score(
        self, enrol: Float32, enrol_s: Float64, test: Float32, test_s: Float64, pairs: Ints
    ) -> Scores:
        """Scores of ``pairs`` ``(P, 2)`` of rows; each row meets the cohort once."""
        size = self.encoder.embedding_size
        left = self.scorer.prepare(enrol[:, :size], enrol_s)
        right = self.scorer.prepare(test[:, :size], test_s)
        if isinstance(self.scorer, CalibratedScorer):
            right = self.scorer.worth(right, test[:, size:])
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
