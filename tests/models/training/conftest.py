"""A tiny corpus of buzzing voices, a teacher that hears their spectrum, and a configuration."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.sound.corpus import prepare
from models.training.config import load_config
from models.training.data import prepare_data

RATE = 16_000
SPEAKERS = 12
UTTERANCE_S = 2.6  # two of them: the teacher may hear two windows of a speaker
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
teacher = "{root}/teacher.pt"
coded_share = 0.5
heldout_share = 0.5
heldout_sources = ["toy"]
heldout_min_s = 3.0
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


class HearsTheSpectrum(nn.Module):
    """A teacher in place of CAM++: of features ``(N, T, 80)`` their spread, ``(N, 192)``."""

    def __init__(self) -> None:
        super().__init__()
        axes = torch.randn(80, 192, generator=torch.Generator().manual_seed(0))
        self.register_buffer("axes", axes)

    def forward(self, features: Tensor) -> Tensor:
        spread: Tensor = features.float().std(dim=1) @ self.axes
        return spread


@pytest.fixture(scope="session", autouse=True)
def teacher() -> Iterator[nn.Module]:
    """Wherever CAM++ would be loaded, once its file is there, it is this."""
    network = HearsTheSpectrum().eval()
    with pytest.MonkeyPatch.context() as patch:
        for place in ("models.training.data", "models.training.loop"):
            patch.setattr(f"{place}.load_campplus", lambda _: network)
        yield network


def voice(pitch_hz: float, seconds: float, seed: int) -> NDArray[np.float32]:
    """A buzz with a pitch: enough for a detector of speech or for the fallback of keeping all."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * pitch_hz * k * time) / k for k in range(1, 12))
    noise = 0.02 * np.random.default_rng(seed).standard_normal(len(time))
    return (0.1 * wave + noise).astype(np.float32)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, teacher: nn.Module) -> Path:
    """``train/``, ``noise/`` and a prepared ``cache/``."""
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
    (root / "teacher.pt").write_bytes(b"")
    prepare(root, root / "cache")
    prepare_data(load_config(config), torch.device("cpu"))
    return root


@pytest.fixture
def write_config(data: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration of the corpus; ``write("schedule.steps = 3")`` changes settings."""

    def write(*settings: str, name: str = "c.toml") -> Path:
        tables: dict[str, dict[str, str]] = {"": {}}
        section = ""
        for line in CONFIG.format(root=data).strip().splitlines():
            if line.startswith("["):
                section = line.strip("[]")
                continue
            key, _, value = line.partition(" = ")
            tables.setdefault(section, {})[key] = value
        for setting in settings:
            place, value = (part.strip() for part in setting.split("=", 1))
            section, _, key = place.rpartition(".")
            tables.setdefault(section, {})[key] = value
        text = ""
        for section, values in tables.items():
            text += f"[{section}]\n" if section else ""
            text += "".join(f"{key} = {value}\n" for key, value in values.items())
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
