"""The teacher: which windows it hears, what they say of a span, and that a copy says the same."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.network.campplus import CAMPPlus, features, window_features
from models.sound.corpus import Corpus
from models.training.teacher import (
    WINDOW_SAMPLES,
    Teacher,
    mean_embedding,
    share_of_windows,
    teacher_embed,
    window_starts,
    windows_of,
    write_mean,
)

ROOT = Path(__file__).parents[3]
RATE = 16_000
CPU = torch.device("cpu")
NINE_S = 9 * RATE  # three windows


def campplus(seed: int) -> CAMPPlus:
    torch.manual_seed(seed)
    return CAMPPlus().eval()


def noise(count: int) -> torch.Tensor:
    return 0.1 * torch.randn(count, WINDOW_SAMPLES, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [(0.4, [0]), (2.9, [0]), (3.0, [0]), (4.0, [0]), (4.5, [0, 1.5]), (6.0, [0, 3.0])],
)
def test_windows_cover_the_speech_but_for_a_short_rest(seconds: float, starts: list[float]) -> None:
    assert window_starts(round(seconds * RATE)) == [round(s * RATE) for s in starts]
    speech = np.arange(round(seconds * RATE), dtype=np.float32)
    windows = windows_of(speech)
    assert windows.shape == (len(starts), WINDOW_SAMPLES)
    assert [row[0] for row in windows] == [round(s * RATE) for s in starts]
    assert set(windows[0]) <= set(speech)  # what is short is said again


@pytest.mark.parametrize(
    ("span_s", "local", "share"),
    [
        ((0, 3), 1.0, [1, 0, 0]),
        ((1.5, 4.5), 1.0, [0.5, 0.5, 0]),
        ((2, 4), 0.4, [0.4, 0.4, 0.2]),
        ((0, 3), 0.0, [1 / 3, 1 / 3, 1 / 3]),
        ((6.5, 7), 0.6, [0.4 / 3, 0.4 / 3, 0.6 + 0.4 / 3]),
        ((9.2, 9.9), 1.0, [1 / 3, 1 / 3, 1 / 3]),  # past the last window, as a short rest is
    ],
)
def test_a_span_is_taught_by_the_windows_it_lies_in(
    span_s: tuple[float, float], local: float, share: list[float]
) -> None:
    start, end = (round(s * RATE) for s in span_s)
    found = share_of_windows(NINE_S, (start, end), local)
    np.testing.assert_allclose(found, share, atol=1e-6)
    assert found.dtype == np.float32


def test_the_network_is_the_teacher() -> None:
    network = campplus(0)
    windows = np.random.default_rng(0).standard_normal((10, 8000)).astype("f4")
    found = teacher_embed(network, CPU)(windows)
    with torch.inference_mode():
        for window, embedding in zip(windows, found, strict=True):
            alone = network(features(torch.from_numpy(window)).unsqueeze(0))[0].numpy()
            np.testing.assert_allclose(embedding, alone, atol=1e-3)


@pytest.mark.parametrize("count", [1, 8, 9])
def test_targets_are_unit_vectors_about_what_is_said_of_everybody(count: int) -> None:
    network, windows = campplus(0), noise(count)
    with torch.inference_mode():
        said = network(window_features(windows))
    centre = said.mean(dim=0).numpy() + 0.3
    found = Teacher(partial(campplus, 0), centre, CPU, compile=False)(windows)
    wanted = nn.functional.normalize(said - torch.from_numpy(centre), dim=1)
    assert found.shape == (count, 192)
    # Of bfloat16; without the mean taken off the cosines would be near another value.
    assert float((found * wanted).sum(dim=1).min()) > 0.98
    torch.testing.assert_close(found.norm(dim=1), torch.ones(count))
    assert not found.is_inference()  # the loss is computed with them


def test_a_copy_in_another_process_loads_the_weights_anew() -> None:
    teacher = Teacher(partial(campplus, 0), np.zeros(192, np.float32), CPU, compile=False)
    windows = noise(2)
    before = len(pickle.dumps(teacher))
    said = teacher(windows)
    sent = pickle.dumps(teacher)
    assert len(sent) == before < 20_000  # seven million weights are not among it
    assert torch.equal(pickle.loads(sent)(windows), said)


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs g++")
def test_a_compiled_teacher_says_the_same_here_and_in_a_data_loader() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / "compiled_teacher.py"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    said = [f"as said by {workers} workers" for workers in (0, 0, 1, 1)]
    assert done.stdout.splitlines() == said


def test_everybody_counts_alike_in_the_mean(corpus: Corpus, tmp_path: Path) -> None:
    heard = []

    def loudest(windows: np.ndarray) -> np.ndarray:
        heard.append(windows)
        return np.abs(windows).max(axis=1, keepdims=True) * np.ones((1, 3), np.float32)

    mean = mean_embedding(corpus, loudest)
    assert np.concatenate(heard).shape == (len(corpus.by_speaker), WINDOW_SAMPLES)
    middles = []
    for name in corpus.by_speaker:
        speech = corpus.speech(name)
        first = max((len(speech) - WINDOW_SAMPLES) // 2, 0)
        middles.append(np.abs(speech[first : first + WINDOW_SAMPLES]).max())
    np.testing.assert_allclose(mean, np.full(3, np.mean(middles)), rtol=1e-5)
    write_mean(tmp_path / "mean.npy", mean)
    np.testing.assert_array_equal(np.load(tmp_path / "mean.npy"), mean)
