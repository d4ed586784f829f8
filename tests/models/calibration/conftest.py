"""Talks of noise, and an encoder and a condition that can be looked into."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import Bundle
from engine.scoring.scorer import CalibratedScorer
from models.calibration.evidence_streams import TakeoverStream, Talk, streams

Float32 = NDArray[np.float32]
RATE = SAMPLE_RATE_HZ


class Ends:
    """An encoder whose embedding is the first and the last sample of a window."""

    manifest = SimpleNamespace(frames=None, min_window_s=0.5, max_window_s=20.0)
    bundle = SimpleNamespace(manifest=manifest)

    def __init__(self, size: int) -> None:
        self.size = size
        self.batches: list[tuple[int, ...]] = []

    def embed(self, waveforms: Float32) -> Float32:
        self.batches.append(waveforms.shape)
        embeddings = np.zeros((len(waveforms), self.size), np.float32)
        embeddings[:, :2] = waveforms[:, [0, -1]]
        return embeddings


class Listening:
    """A condition that changes nothing and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[Float32] = []
        self.kinds: list[int] = []

    def __call__(self, speech: Float32, kind: int, rng: np.random.Generator) -> Float32:
        self.given.append(speech)
        self.kinds.append(kind)
        return speech


@pytest.fixture
def scorer(spectral_bundle: Bundle) -> CalibratedScorer:
    return CalibratedScorer(spectral_bundle)


def any_source(scorer: CalibratedScorer) -> Mapping[str, CalibratedScorer]:
    return defaultdict(lambda: scorer)


@pytest.fixture
def encoder(spectral_bundle: Bundle) -> Ends:
    return Ends(spectral_bundle.manifest.embedding_size)


@pytest.fixture
def talk(scorer: CalibratedScorer) -> Talk:
    """Six seconds of noise of speaker 0, degraded: what is made of it can be listened to."""
    enrolled = scorer.prepare(np.ones((1, 24), np.float32), 20.0)
    return Talk(0, 1, "red", "en", enrolled, noise(0, 6.0), 100.0)


def noise(seed: int, seconds: float, level: float = 0.05) -> Float32:
    sound = level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return sound.astype(np.float32)


def other(talk: Talk, speaker: int, seconds: float = 6.0, **changed: Any) -> Talk:
    return replace(talk, speaker=speaker, speech=noise(speaker, seconds), **changed)


def followed(
    one: Talk, said: list[Talk], encoder: Ends, scorer: CalibratedScorer, seed: int = 0
) -> tuple[TakeoverStream, Float32]:
    """The stream of ``one`` and its sound."""
    listening = Listening()
    made = streams(said, encoder, listening, seed, progress=False)
    degraded = [stream for stream in made if stream.talk.split]
    at = [stream.talk for stream in degraded].index(one)
    return degraded[at], listening.given[at]
