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
from tqdm import tqdm

from engine.format import SAMPLE_RATE_HZ, unit
from models.network.campplus import CAMPPlus, features
from models.sound.corpus import Corpus

WINDOW_SAMPLES = 3 * SAMPLE_RATE_HZ
LEAST_REST_SAMPLES = SAMPLE_RATE_HZ  # after the last whole window, for one more at the end
LEAST_SAMPLES = SAMPLE_RATE_HZ // 2  # that the teacher can tell a voice from: said again below it
SPEAKERS_A_FILE = 100

Float32 = NDArray[np.float32]
Embed = Callable[[Float32], Float32]


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


def teacher_embed(network: CAMPPlus) -> Embed:
    """``network`` as a function of one waveform ``(samples,)``: its embedding ``(192,)``."""

    def embed(waveform: Float32) -> Float32:
        with torch.inference_mode():
            found = network(features(torch.from_numpy(waveform)).unsqueeze(0))[0]
        return np.asarray(found.numpy(), np.float32)

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


def write_windows(corpus: Corpus, embed: Embed, folder: Path, speed: float) -> None:
    """Store the teacher's embeddings of all windows of all speakers at ``speed``."""
    place = speed_folder(folder, speed)
    place.mkdir(parents=True, exist_ok=True)
    names = list(corpus.by_speaker)
    for first in tqdm(range(0, len(names), SPEAKERS_A_FILE), desc=f"teacher x{speed:g}"):
        path = place / f"{first:05d}.npz"
        if path.exists():
            continue
        group = names[first : first + SPEAKERS_A_FILE]
        rows = [_speaker_windows(at_speed(corpus.speech(s), speed), embed) for s in group]
        partial = path.with_suffix(".part.npz")
        np.savez(
            partial,
            e=np.concatenate(rows),
            first=np.cumsum([0, *map(len, rows)]),
            names=np.array(group),
        )
        partial.replace(path)


def _speaker_windows(speech: Float32, embed: Embed) -> Float32:
    if len(speech) < WINDOW_SAMPLES:
        repeats = -(-LEAST_SAMPLES // len(speech))
        return embed(np.tile(speech, repeats))[None]
    pieces = [speech[s : s + WINDOW_SAMPLES] for s in window_starts(len(speech))]
    return np.stack([embed(piece) for piece in pieces])


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
