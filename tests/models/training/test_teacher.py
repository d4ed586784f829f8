"""Windows of the teacher: stored once, and what they say of a span."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.format import unit
from models.network.campplus import CAMPPlus, features
from models.sound.corpus import Corpus
from models.training.teacher import (
    Targets,
    Voice,
    at_speed,
    is_taught,
    read_windows,
    teacher_embed,
    window_starts,
    write_windows,
)

RATE = 16_000


def loudness(windows: np.ndarray) -> np.ndarray:
    found = [[len(w), np.abs(w).max(), 1.0] for w in windows]
    return np.array(found, np.float32)


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [(0.4, [0]), (2.9, [0]), (3.0, [0]), (4.0, [0]), (4.5, [0, 1.5]), (6.0, [0, 3.0])],
)
def test_windows_cover_the_speech_but_for_a_short_rest(seconds: float, starts: list[float]) -> None:
    assert window_starts(round(seconds * RATE)) == [round(s * RATE) for s in starts]


def test_windows_are_stored_once_and_read_back(corpus: Corpus, tmp_path: Path) -> None:
    assert not is_taught(corpus, tmp_path, 1.1)
    write_windows(corpus, loudness, tmp_path, 1.1)
    assert is_taught(corpus, tmp_path, 1.1)
    assert not is_taught(corpus, tmp_path, 1.0)
    windows = read_windows(tmp_path, 1.1)
    assert list(windows) == list(corpus.by_speaker)
    for speaker, rows in windows.items():
        speech = at_speed(corpus.speech(speaker), 1.1)
        assert len(rows) == len(window_starts(len(speech)))
        assert rows[0, 0] == 3 * RATE
        assert rows[0, 1] == pytest.approx(np.abs(speech[: 3 * RATE]).max())

    def failing(_: np.ndarray) -> np.ndarray:
        raise AssertionError("what is there is not embedded again")

    write_windows(corpus, failing, tmp_path, 1.1)


def test_a_span_is_taught_by_the_windows_it_lies_in() -> None:
    windows = np.eye(3, dtype=np.float32)
    voice = Voice(windows, np.array([0, 48_000, 96_000]), unit(windows.mean(axis=0)))
    np.testing.assert_allclose(voice.of_span(0, 48_000, 1.0), windows[0])
    np.testing.assert_allclose(voice.of_span(24_000, 72_000, 1.0), unit(np.array([1.0, 1.0, 0.0])))
    np.testing.assert_allclose(voice.of_span(0, 48_000, 0.0), voice.mean, rtol=1e-6)
    between = unit(0.4 * voice.mean + 0.6 * windows[2])
    np.testing.assert_allclose(voice.of_span(100_000, 110_000, 0.6), between, rtol=1e-6)
    # Past the last window, as a rest too short for one of its own is: the mean of all.
    np.testing.assert_allclose(voice.of_span(150_000, 160_000, 1.0), voice.mean, rtol=1e-6)


def test_what_the_teacher_says_of_everybody_is_taken_off(corpus: Corpus, tmp_path: Path) -> None:
    def common(windows: np.ndarray) -> np.ndarray:
        spectrum = np.abs(np.fft.rfft(windows, n=32))[:, :8]
        return np.asarray(1000 + spectrum / spectrum.sum(axis=1, keepdims=True), np.float32)

    write_windows(corpus, common, tmp_path, 1.0)
    targets = Targets(corpus, tmp_path, (1.0,))
    means = np.stack([targets.voices[0][s].mean for s in corpus.by_speaker])
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1, rtol=1e-5)
    cosines = means @ means.T
    assert cosines[~np.eye(len(means), dtype=bool)].mean() < 0.3


def test_the_network_is_the_teacher() -> None:
    torch.manual_seed(0)
    network = CAMPPlus().eval()
    windows = np.random.default_rng(0).standard_normal((10, 8000)).astype("f4")
    found = teacher_embed(network, torch.device("cpu"))(windows)
    with torch.inference_mode():
        for window, embedding in zip(windows, found, strict=True):
            alone = network(features(torch.from_numpy(window)).unsqueeze(0))[0].numpy()
            np.testing.assert_allclose(embedding, alone, atol=1e-3)
