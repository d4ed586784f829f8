"""Voiceprints: prototypes stay apart and are compared with the speech that is behind each."""

from __future__ import annotations

import numpy as np
import pytest

from engine.model.bundle import Bundle
from engine.scoring.scorer import CalibratedScorer
from engine.scoring.voiceprints import Prototype, Voiceprint


def unit(seed: int, size: int) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    return vector / np.linalg.norm(vector)


def test_sides_keep_prototypes_apart(spectral_bundle: Bundle) -> None:
    size = spectral_bundle.manifest.embedding_size
    prototypes = (Prototype(unit(1, size), 20.0), Prototype(unit(2, size), 12.5))
    prepared = Voiceprint("anna", prototypes).prepare(CalibratedScorer(spectral_bundle))
    np.testing.assert_array_equal(prepared.embeddings, [p.embedding for p in prototypes])
    assert prepared.speech_s.tolist() == [20.0, 12.5]


def test_another_models_voiceprint_does_not_fit(spectral_bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="embeddings must be"):
        Voiceprint("anna", (Prototype(unit(1, 5), 20.0),)).prepare(
            CalibratedScorer(spectral_bundle)
        )


def test_a_voiceprint_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one prototype"):
        Voiceprint("anna", ())
