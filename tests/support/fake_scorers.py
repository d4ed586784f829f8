"""Scorers that need no model, for tests of what stands on scores."""

from __future__ import annotations

from pathlib import Path

from engine.model.bundle import Bundle
from engine.model.manifest import Calibration, Manifest, Normalisation
from engine.scoring.scorer import CalibratedScorer, Float32

CLEAR = Calibration(half_speech_s=1.0, slope=(10.0, 0.0), offset=(-5.0, 0.0, 0.0))


def fake_scorer(
    embedding_size: int, calibration: Calibration = CLEAR, cohort: Float32 | None = None
) -> CalibratedScorer:
    """The scorer of a bundle without a network.

    As :data:`CLEAR` calibrates it, equal embeddings have an LLR of 5 and orthogonal ones of -5,
    whatever the speech. The five nearest of a ``cohort`` normalise the scores.
    """
    manifest = Manifest(
        name="fake",
        version="1",
        licence="none",
        source="test",
        architecture={},
        front_end={},
        embedding_size=embedding_size,
        normalisation=None if cohort is None else Normalisation(top=5),
        calibration=calibration,
    )
    return CalibratedScorer(Bundle(manifest, Path(), cohort))
