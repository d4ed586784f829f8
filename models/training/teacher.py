"""What the teacher says of the training speech: embeddings once, targets for any span.

The teacher is CAM++ (:mod:`models.network.campplus`), used only while training: a run reads its
embeddings of windows of every speaker's speech, made once at every speed that is trained on,
and needs neither its weights nor its time after that. Windows are stored as the network gives
them, in files of 100 speakers, so that an interrupted preparation goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from engine.format import SAMPLE_RATE_HZ, unit
from models.network.campplus import CAMPPlus, window_features
from models.sound.corpus import Corpus

WINDOW_SAMPLES = 3 * SAMPLE_RATE_HZ
LEAST_REST_SAMPLES = SAMPLE_RATE_HZ  # after the last whole window, for one more at the end
SPEAKERS_A_FILE = 100
WINDOWS_AT_ONCE = {"cpu": 8, "cuda": 256}  # some 0.2 and 5 GB of activations

Float32 = NDArray[np.float32]
Embed = Callable[[Float32], Float32]  # (N, WINDOW_SAMPLES) to (N, D)


def window_starts(length: int) -> list[int]:
    """Where the windows of speech of ``length`` samples begin; one that is shorter has one."""
    if length < WINDOW_SAMPLES:
        return [0]
    starts = list(range(0, length - WINDOW_SAMPLES + 1, WINDOW_SAMPLES))
    if length - WINDOW_SAMPLES - starts[-1] > LEAST_REST_SAMPLES:
        starts.append(length - WINDOW_SAMPLES)
    return starts


def at_speed(speech: Float32, speed: float) -> Float32:
    """Speech said faster, and higher with it: another voice, as a teacher hears it."""
    if speed == 1.0:
        return speech
    return np.asarray(soxr.resample(speech, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ), np.float32)


def teacher_embed(network: CAMPPlus, device: torch.device) -> Embed:
    """``network`` as a function of windows."""
    network = network.to(device)

    @torch.inference_mode()
    def embed(windows: Float32) -> Float32:
        parts = torch.split(torch.from_numpy(windows), WINDOWS_AT_ONCE.get(device.type, 8))
        found = [network(window_features(part.to(device))).cpu().numpy() for part in parts]
        return np.concatenate(found).astype(np.float32)

    return embed


def speed_folder(folder: Path, speed: float) -> Path:
    """Where the windows at that speed lie."""
    return folder / f"windows_{speed:g}"


def is_taught(corpus: Corpus, folder: Path, speed: float) -> bool:
    """Whether :func:`write_windows` has been through with this speed."""
    place = speed_folder(folder, speed)
    return all(
        (place / f"{first:05d}.npz").exists()
        for first in range(0, len(corpus.by_speaker), SPEAKERS_A_FILE)
    )


def write_windows(
    corpus: Corpus, embed: Embed, folder: Path, speed: float, workers: int = 0
) -> None:
    """Store the teacher's embeddings of all windows of all speakers at ``speed``.

    ``workers`` processes read and resample the speech.
    """
    place = speed_folder(folder, speed)
    place.mkdir(parents=True, exist_ok=True)
    groups = _Groups(corpus, speed)
    missing = [i for i in range(len(groups)) if not groups.path(place, i).exists()]
    loader = DataLoader(groups, batch_size=None, sampler=missing, num_workers=workers)
    for index, rows in tqdm(loader, total=len(missing), desc=f"teacher x{speed:g}"):
        path = groups.path(place, index)
        partial = path.with_suffix(".part.npz")
        np.savez(
            partial,
            e=embed(np.concatenate([row.numpy() for row in rows])),
            first=np.cumsum([0, *map(len, rows)]),
            names=np.array(groups.names[index]),
        )
        partial.replace(path)


class _Groups(Dataset[tuple[int, list[Tensor]]]):
    """Of a hundred speakers at a time the windows ``(n, WINDOW_SAMPLES)`` of each."""

    def __init__(self, corpus: Corpus, speed: float) -> None:
        self._corpus, self._speed = corpus, speed
        names = list(corpus.by_speaker)
        firsts = range(0, len(names), SPEAKERS_A_FILE)
        self.names = [names[first : first + SPEAKERS_A_FILE] for first in firsts]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[int, list[Tensor]]:
        speeches = (at_speed(self._corpus.speech(s), self._speed) for s in self.names[index])
        return index, [torch.from_numpy(_windows(speech)) for speech in speeches]

    @staticmethod
    def path(place: Path, index: int) -> Path:
        return place / f"{index * SPEAKERS_A_FILE:05d}.npz"


def _windows(speech: Float32) -> Float32:
    """``(n, WINDOW_SAMPLES)``; speech that does not fill one is said again and again."""
    if len(speech) < WINDOW_SAMPLES:
        repeats = -(-WINDOW_SAMPLES // len(speech))
        return np.tile(speech, repeats)[None, :WINDOW_SAMPLES]
    return np.stack([speech[s : s + WINDOW_SAMPLES] for s in window_starts(len(speech))])


def read_windows(folder: Path, speed: float) -> dict[str, Float32]:
    """By speaker, the raw embeddings ``(windows, D)`` that :func:`write_windows` stored."""
    windows = {}
    for path in sorted(speed_folder(folder, speed).glob("*[0-9].npz")):
        with np.load(path) as stored:
            e, first = stored["e"].astype(np.float32), stored["first"]
            for i, name in enumerate(stored["names"]):
                windows[str(name)] = e[first[i] : first[i + 1]]
    return windows


@dataclass(frozen=True, slots=True)
class Voice:
    """One speaker at one speed, as the teacher hears it: unit vectors about the mean of all."""

    windows: Float32  # (windows, D)
    starts: NDArray[np.int64]  # of the windows, in samples of the speech at that speed
    mean: Float32  # (D,)

    def of_span(self, start: int, end: int, local: float) -> Float32:
        """Unit target of samples ``[start, end)`` of the speech.

        ``local`` is the share of the windows that the span lies in, each by how much of it;
        the rest is the mean of the speaker: what is short tells little about itself.
        """
        overlap = np.minimum(self.starts + WINDOW_SAMPLES, end) - np.maximum(self.starts, start)
        weight = np.clip(overlap, 0, None).astype(np.float32)
        if not weight.any():
            weight = np.ones_like(weight)
        own: Float32 = unit((weight @ self.windows).astype(np.float32))
        return unit(((1 - local) * self.mean + local * own).astype(np.float32))


class Targets:
    """The teacher's view of all training speech, by speed and speaker."""

    def __init__(self, corpus: Corpus, folder: Path, speeds: tuple[float, ...]) -> None:
        raw = [read_windows(folder, speed) for speed in speeds]
        # Everything the teacher says of anybody has a large part in common, which tells
        # nothing: it is taken off before angles are compared.
        means = [raw[0][s].mean(axis=0) for s in corpus.by_speaker]
        self.centre: Float32 = np.mean(means, axis=0, dtype=np.float32)
        self.voices: list[dict[str, Voice]] = []
        for speed, windows in zip(speeds, raw, strict=True):
            lengths = {s: int(corpus.span(s)[1] / speed) for s in corpus.by_speaker}
            self.voices.append(
                {s: _voice(windows[s] - self.centre, lengths[s]) for s in corpus.by_speaker}
            )


def _voice(windows: Float32, length: int) -> Voice:
    own = unit(windows)
    # Resampling may round a length that lies on an edge to the other side of it.
    starts = np.array(window_starts(length), np.int64)[: len(own)]
    return Voice(own[: len(starts)], starts, unit(own.mean(axis=0)))
