"""A public encoder as teacher for distillation, used only while training.

The teacher is Resemblyzer's GE2E encoder (Wan et al., arXiv 1710.10467; code and
weights Apache-2.0), whose weights lie inside its PyPI package: unpack the wheel
anywhere and pass the path of ``pretrained.pt``. Nothing of it is needed, or kept,
once a student is trained. The arithmetic below is ours, from the package's
published parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
import torch.nn.functional as F
import torchaudio
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from engine.format import SAMPLE_RATE_HZ, unit
from models.network.checkpoint import CheckpointError, read_checkpoint
from models.sound.corpus import Corpus

PARTIAL_FRAMES = 160  # 1.6 s of 10 ms frames, the length that the teacher was trained on
PARTIAL_HOP_FRAMES = 80
HOP_S = PARTIAL_HOP_FRAMES / 100
MEAN_WINDOWS = 16  # in a speaker's mean, at most
TARGETS_FILE = "teacher.npz"
TARGET_LEVEL_DB = -30.0
WIDTH = 256


class Teacher(nn.Module):
    """GE2E encoder: mel power ``(B, 160, 40)`` to unit embeddings ``(B, 256)``."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, WIDTH, 3, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.mel = torchaudio.transforms.MelSpectrogram(
            16000,
            n_fft=400,
            hop_length=160,
            n_mels=40,
            norm="slaney",
            mel_scale="slaney",
            pad_mode="constant",
        )
        state = read_checkpoint(weights).get("model_state", {})
        try:
            own = {k: state[k] for k in self.state_dict() if k.startswith(("lstm.", "linear."))}
            self.load_state_dict({**self.state_dict(), **own})
        except (KeyError, RuntimeError, TypeError) as error:
            raise CheckpointError(
                f"{weights} does not hold Resemblyzer's encoder: README says where it comes from"
            ) from error
        self.eval()

    def forward(self, frames: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(frames)
        return F.normalize(F.relu(self.linear(hidden[-1])), dim=1)

    def partials(self, waveform: Tensor) -> Tensor:
        """Overlapping 1.6 s pieces of a waveform ``(samples,)``: ``(N, 160, 40)``."""
        level_db = 10 * torch.log10(waveform.square().mean() + 1e-12)
        gain_db = max(TARGET_LEVEL_DB - float(level_db), 0.0)
        frames: Tensor = self.mel(waveform * 10 ** (gain_db / 20)).T
        if len(frames) < PARTIAL_FRAMES:
            repeats = -(-PARTIAL_FRAMES // len(frames))
            frames = frames.repeat(repeats, 1)[:PARTIAL_FRAMES]
        return frames.unfold(0, PARTIAL_FRAMES, PARTIAL_HOP_FRAMES).transpose(1, 2)


@torch.inference_mode()
def speaker_windows(
    corpus: Corpus, weights: Path, speed: float = 1.0, batch: int = 256
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Teacher embeddings ``(N, 256)`` of every 1.6 s of every speaker, 0.8 s apart.

    Second comes where each speaker's rows begin, ``(speakers + 1,)``. ``speed`` changes
    tempo and pitch together, which makes a new voice; windows are of the changed speech.
    """
    teacher = Teacher(weights)
    queue: list[Tensor] = []
    embeddings: list[Tensor] = []
    counts = [0]
    for speaker in tqdm(corpus.by_speaker, unit="speaker", desc=f"teacher x{speed}"):
        speech = corpus.speech(speaker)
        if speed != 1.0:
            speech = soxr.resample(speech, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ)
        partials = teacher.partials(torch.from_numpy(speech))
        queue.append(partials)
        counts.append(len(partials))
        if sum(map(len, queue)) >= batch:
            embeddings.append(teacher(torch.cat(queue)))
            queue = []
    if queue:
        embeddings.append(teacher(torch.cat(queue)))
    return torch.cat(embeddings).numpy(), np.cumsum(counts)


def speaker_means(windows: NDArray[np.float32], first: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean embedding of each speaker, ``(speakers, 256)``, not normalised.

    Of at most ``MEAN_WINDOWS`` windows, spread evenly over the speaker's speech.
    """
    means = []
    for start, end in pairwise(first):
        chosen = np.unique(np.linspace(start, end - 1, MEAN_WINDOWS).round().astype(int))
        means.append(windows[chosen].mean(axis=0))
    return np.stack(means)


@dataclass(frozen=True, slots=True)
class Targets:
    """What :func:`write_targets` stored: unit vectors, by speed."""

    speakers: list[str]
    speeds: tuple[float, ...]
    means: NDArray[np.float32]  # (speeds, speakers, size)
    windows: list[NDArray[np.float16]]  # of each speed, (N, size)
    first: NDArray[np.int64]  # (speeds, speakers + 1): where each speaker's windows begin

    def of_crop(
        self, speed: int, speaker: int, start_s: float, crop_s: float, share: float
    ) -> NDArray[np.float32]:
        """Unit target ``(size,)`` of a crop of the speaker's (changed) speech.

        ``share`` of it is the mean of the windows with their middle in the crop, or of the
        nearest one, and the rest the speaker's mean.
        """
        mean: NDArray[np.float32] = self.means[speed, speaker]
        if share <= 0:
            return mean
        low, high = self.first[speed, speaker : speaker + 2]
        # Window i starts after i hops and is two long: its middle lies at i + 1.
        begin = low + min(max(ceil(start_s / HOP_S) - 1, 0), high - low - 1)
        end = min(max(low + floor((start_s + crop_s) / HOP_S), begin + 1), high)
        local = unit(self.windows[speed][begin:end].astype(np.float32).mean(axis=0))
        return unit(((1 - share) * mean + share * local).astype(np.float32))


def write_targets(
    corpus: Corpus, weights: Path, output: Path, speeds: tuple[float, ...], size: int = 192
) -> None:
    """Distillation targets of speakers and of windows: centred, rotated to ``size``, unit length.

    The teacher's outputs are non-negative and share a large common part; on held-out
    training speakers removing it lowered the teacher's own error from 8.6 % to 5.1 %
    (117 Common Voice speakers, one trial each side). Fewer speakers than ``size`` have fewer
    principal axes: the targets are 0 on the others. :func:`read_targets` reads the file.
    """
    embedded = [speaker_windows(corpus, weights, speed) for speed in speeds]
    means = np.stack([speaker_means(*pair) for pair in embedded])
    centre = means[speeds.index(1.0)].mean(axis=0)
    _, _, rotation = np.linalg.svd(means[speeds.index(1.0)] - centre, full_matrices=False)

    def turned(x: NDArray[np.float32]) -> NDArray[np.float32]:
        axes = unit((x - centre) @ rotation[:size].T)
        missing = size - axes.shape[-1]
        return np.pad(axes, [(0, 0)] * (axes.ndim - 1) + [(0, missing)])

    stored: dict[str, Any] = {
        "speakers": np.array(list(corpus.by_speaker)),
        "speeds": np.array(speeds),
        "targets": turned(means),
        "first": np.stack([first for _, first in embedded]),
    }
    for i, (windows, _) in enumerate(embedded):
        stored[f"windows_{i}"] = turned(windows).astype(np.float16)
    partial = output.with_suffix(".part.npz")
    np.savez(partial, **stored)
    partial.replace(output)


def read_targets(path: Path) -> Targets:
    """Targets that :func:`write_targets` wrote."""
    with np.load(path) as stored:
        speeds = tuple(float(s) for s in stored["speeds"])
        return Targets(
            speakers=[str(s) for s in stored["speakers"]],
            speeds=speeds,
            means=stored["targets"].astype(np.float32),
            windows=[stored[f"windows_{i}"] for i in range(len(speeds))],
            first=stored["first"],
        )
