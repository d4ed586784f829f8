"""The protocol's side of the rival; Resemblyzer itself is no dependency and not run here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "resemblyzer_rival.py"


@pytest.fixture(scope="module")
def rival() -> ModuleType:
    spec = importlib.util.spec_from_file_location("resemblyzer_rival", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Encoder:
    """Embeds a sound as its mean and one; partial windows of 1.6 s, 16 a second."""

    def __init__(self) -> None:
        self.embedded = 0

    def embed_utterance(self, sound: Any, return_partials: bool = False, rate: float = 1.3) -> Any:
        if not return_partials:
            self.embedded += 1
            return np.array([sound.mean(), 1], np.float32)
        assert rate == 16
        starts = range(0, len(sound) - 25600 + 8000, 1000)
        slices = [slice(start, start + 25600) for start in starts]
        partials = np.array([[sound[part].mean(), 1] for part in slices], np.float32)
        return None, partials, slices


def test_each_partial_window_is_compared_when_it_ends(rival: ModuleType) -> None:
    encoder, enrolments = Encoder(), {}
    audio = SimpleNamespace(normalize_volume=lambda sound, target, increase_only: sound)
    hparams = SimpleNamespace(audio_norm_target_dBFS=-30, sampling_rate=16000)
    enrolment = np.full(32000, 0.5, np.float32)
    stream = np.concatenate([np.full(30000, 0.5), np.full(18000, -0.5)]).astype(np.float32)
    for _ in range(2):
        pairs = rival.answer(encoder, audio, hparams, enrolments, enrolment, stream)
    assert encoder.embedded == 1  # an enrolment is embedded once
    assert pairs.dtype == np.dtype("<f4")
    assert pairs[0].tolist() == pytest.approx([1.6, 1.25])
    assert np.diff(pairs[:10, 0]) == pytest.approx(1 / 16, rel=1e-4)
    assert pairs[:, 0].max() == 3.0  # what is filled up with silence ends with the sound
    assert pairs[-1, 1] < 1


def test_the_thresholds_are_those_of_the_demonstration(rival: ModuleType) -> None:
    assert (rival.ACCEPT, rival.REJECT, rival.RATE) == (0.75, 0.65, 16)
