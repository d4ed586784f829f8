"""A tiny corpus of buzzing voices, a teacher that hears their spectrum, and a configuration."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from numpy.typing import NDArray

from models.sound.corpus import Corpus, prepare
from models.training.config import load_config
from models.training.data import TEACHER_FOLDER, prepare_data
from models.training.teacher import write_windows

RATE = 16_000
SPEAKERS = 12
UTTERANCE_S = 2.6  # two of them: the teacher has two windows of a speaker
CONFIG = """
seed = 3
[network]
channels = 16
depths = [1, 1, 1]
kernel_sizes = [7, 15]
[data]
root = "{root}"
noise = "{root}/noise"
cache = "{root}/cache"
teacher = "{root}/none.pt"
coded_share = 0.5
heldout_share = 0.5
heldout_sources = ["toy"]
heldout_min_s = 3.0
speeds = [1.0, 1.1]
[batch]
sequences = 4
length_s = 3.0
piece_s = [0.8, 1.6]
span_s = [0.6, 1.0]
[augment]
rooms = 2
[schedule]
steps = 8
warmup_steps = 2
evaluate_every = 4
checkpoint_minutes = 10.0
compile = false
"""


def hears_the_spectrum(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embeddings ``(N, 192)`` that tell voices of another pitch apart."""
    spectrum = np.abs(np.fft.rfft(windows, n=RATE))[:, : 192 * 10]
    spectrum = spectrum.reshape(len(windows), 192, 10).mean(axis=2)
    return np.log(spectrum + 1e-3).astype(np.float32)


def voice(pitch_hz: float, seconds: float, seed: int) -> NDArray[np.float32]:
    """A buzz with a pitch: enough for a detector of speech or for the fallback of keeping all."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * pitch_hz * k * time) / k for k in range(1, 12))
    noise = 0.02 * np.random.default_rng(seed).standard_normal(len(time))
    return (0.1 * wave + noise).astype(np.float32)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train/``, ``noise/`` and a prepared ``cache/`` with what the teacher says."""
    root = tmp_path_factory.mktemp("data")
    (root / "train" / "toy").mkdir(parents=True)
    (root / "noise").mkdir()
    for i in range(8):
        x = np.random.default_rng(i).standard_normal(2 * RATE).astype(np.float32) * 0.1
        sf.write(root / "noise" / f"n{i}.opus", x, RATE, format="OGG", subtype="OPUS")
    with open(root / "train" / "manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["speaker", "source", "language", "content", "start_s", "end_s"])
        for i in range(SPEAKERS):
            parts = [voice(90 + 15 * i, UTTERANCE_S, 10 * i + k) for k in range(2)]
            path = root / "train" / "toy" / f"toy-{i:02}.opus"
            sf.write(path, np.concatenate(parts), RATE, format="OGG", subtype="OPUS")
            for k in range(2):
                place = [UTTERANCE_S * k, UTTERANCE_S * (k + 1)]
                writer.writerow([f"toy-{i:02}", "toy", "xx", "read", *place])
    config = root / "prepare.toml"
    config.write_text(CONFIG.format(root=root))
    prepare(root, root / "cache")
    for speed in (1.0, 1.1):
        folder = root / "cache" / TEACHER_FOLDER
        write_windows(Corpus(root / "cache"), hears_the_spectrum, folder, speed)
    prepare_data(load_config(config), torch.device("cpu"))
    return root


@pytest.fixture
def write_config(data: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration of the corpus; ``write("schedule.steps = 3")`` changes settings."""

    def write(*settings: str, name: str = "c.toml") -> Path:
        text = CONFIG.format(root=data)
        for setting in settings:
            place, value = (part.strip() for part in setting.split("=", 1))
            section, _, key = place.rpartition(".")
            text = re.sub(rf"^{key} = .*\n", "", text, flags=re.MULTILINE)
            if not section:
                text = f"{key} = {value}\n{text}"
                continue
            if f"[{section}]" not in text:
                text += f"[{section}]\n"
            text = text.replace(f"[{section}]\n", f"[{section}]\n{key} = {value}\n")
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
