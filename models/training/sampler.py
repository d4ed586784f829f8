"""Batches: sequences of speech with the spans in them that are taught, and their targets.

The network is trained as it runs: over sequences in which speakers follow each other, with
spans on either side of a change, so that what the first one leaves in its states does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.format import SAMPLE_RATE_HZ
from models.network.frontend import FrontEndConfig
from models.network.streaming import BLOCK_S
from models.sound.augment import Augment
from models.sound.corpus import MAX_CODED_S, Corpus
from models.training.config import Config
from models.training.teacher import Targets, Voice

BLOCK_SAMPLES = round(BLOCK_S * SAMPLE_RATE_HZ)
LEAST_PIECE_S = 0.5  # that is taught, and that is worth beginning at a sequence's end
SHORTEST_REST_S = 1.0  # less than this after a piece goes to the piece
AFTER_A_CHANGE = 0.7  # of the spans at an end of a piece: at its beginning
LEVELS_DB = (-6.0, 3.0)  # of a piece beside the first of its sequence
PEAK = 0.5
RESAMPLING_MARGIN = 16  # samples
DRAWN_SECONDS = (2.0, 30.0)  # speech of a speaker, as far as it counts for how often it is drawn


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """``sound (B, samples)``; of each taught span its sequence, blocks, target and label."""

    sound: Tensor
    hidden: Tensor  # (B, frames, mels): features that the network is not shown
    sequence: Tensor  # (N,)
    start: Tensor  # (N,): first block
    end: Tensor  # (N,): block after the last
    targets: Tensor  # (N, D), unit vectors
    labels: Tensor  # (N,), -1: no class

    def to(self, device: torch.device) -> TrainingBatch:
        """The same batch on ``device``."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> TrainingBatch:
        """The same batch in memory that a GPU reads by itself; the data loader asks for it."""
        return self._each(Tensor.pin_memory)

    def _each(self, function: Callable[[Tensor], Tensor]) -> TrainingBatch:
        return TrainingBatch(*(function(getattr(self, f.name)) for f in fields(self)))


@dataclass(slots=True)
class _Spans:
    sequence: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    targets: list[NDArray[np.float32]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def batch(self, sound: Tensor, hidden: Tensor) -> TrainingBatch:
        return TrainingBatch(
            sound,
            hidden,
            torch.tensor(self.sequence),
            torch.tensor(self.start),
            torch.tensor(self.end),
            torch.from_numpy(np.stack(self.targets)),
            torch.tensor(self.labels),
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """Speech of one speaker; ``offset`` is where it begins in the speaker's speech, in samples."""

    sound: NDArray[np.float32]
    offset: int
    voice: Voice
    label: int


class Sampler:
    """Draws augmented batches of the speakers that are trained on."""

    def __init__(
        self,
        corpus: Corpus,
        config: Config,
        heldout: list[str],
        targets: Targets,
        augment: Augment,
    ) -> None:
        self._corpus, self._targets, self._augment = corpus, targets, augment
        self._data, self._batch = config.data, config.batch
        kept = set(heldout)
        self.speakers = [s for s in corpus.by_speaker if s not in kept]
        unlabelled = set(config.data.unlabelled_sources)
        labelled = [s for s in self.speakers if corpus.by_speaker[s][0].source not in unlabelled]
        self._label = {s: i for i, s in enumerate(labelled)}
        self.classes = len(labelled) * len(config.data.speeds)
        seconds = np.array([corpus.span(s)[1] / SAMPLE_RATE_HZ for s in self.speakers])
        # Balanced over speakers, leaning to those with more to draw from.
        weight = np.sqrt(np.clip(seconds, *DRAWN_SECONDS))
        self._probability = weight / weight.sum()
        self._coded: set[str] = set()
        if config.data.coded_share > 0:
            cache = config.data.cache
            self._coded = set((cache / "coded.txt").read_text().splitlines())
            self._coded_samples = np.memmap(cache / "coded.i16", dtype="<i2", mode="r")
        self._coded_probability = config.augment.opus / max(config.data.coded_share, 1e-9)
        self._speed_probability = config.augment.speed

    def class_centres(self) -> NDArray[np.float32]:
        """Teacher targets ``(classes, D)`` in the order of the labels: the classifier's start."""
        return np.stack([v[s].mean for v in self._targets.voices for s in self._label])

    def batch(self, rng: np.random.Generator) -> TrainingBatch:
        """Augmented speech; all randomness is from ``rng``."""
        settings, spans = self._batch, _Spans()
        samples = round(settings.length_s * SAMPLE_RATE_HZ)
        sound = np.zeros((settings.sequences, samples), np.float32)
        for i in range(settings.sequences):
            changes, position = rng.random() >= settings.one_speaker, 0
            while position <= samples - LEAST_PIECE_S * SAMPLE_RATE_HZ:
                wanted = self._wanted(samples - position, rng) if changes else samples - position
                piece = self._piece(wanted, rng)
                level_db = rng.uniform(*LEVELS_DB) if position else 0.0
                gain = PEAK * 10 ** (level_db / 20) / (np.abs(piece.sound).max() + 1e-6)
                sound[i, position : position + len(piece.sound)] = piece.sound * gain
                self._teach(spans, i, position, piece, rng)
                position += len(piece.sound)
        self._augment.generator.manual_seed(int(rng.integers(2**62)))
        augmented = self._augment(torch.from_numpy(sound))
        frames = samples // FrontEndConfig().hop_samples
        hidden = self._augment.feature_mask(len(sound), frames, FrontEndConfig().n_mels)
        return spans.batch(augmented, hidden)

    def _wanted(self, left: int, rng: np.random.Generator) -> int:
        """Samples of the next piece of a sequence with changes."""
        wanted = int(min(left, rng.uniform(*self._batch.piece_s) * SAMPLE_RATE_HZ))
        return left if left - wanted < SHORTEST_REST_S * SAMPLE_RATE_HZ else wanted

    def _piece(self, wanted: int, rng: np.random.Generator) -> _Piece:
        """At most ``wanted`` samples of some speaker, at some speed, coded or not."""
        name = self.speakers[rng.choice(len(self.speakers), p=self._probability)]
        speed = 0
        if rng.random() < self._speed_probability:
            speed = int(rng.integers(len(self._data.speeds)))
        start, length = self._corpus.span(name)
        samples = self._corpus.samples
        if name in self._coded and rng.random() < self._coded_probability:
            samples, length = self._coded_samples, min(length, MAX_CODED_S * SAMPLE_RATE_HZ)
        factor = self._data.speeds[speed]
        needed = int(wanted * factor) + RESAMPLING_MARGIN
        offset = int(rng.integers(max(length - needed, 0) + 1))
        x = samples[start + offset : start + min(offset + needed, length)].astype(np.float32)
        if factor != 1.0:
            x = soxr.resample(x, SAMPLE_RATE_HZ * factor, SAMPLE_RATE_HZ, quality="MQ")
        label = self._label.get(name, -1)
        if label >= 0:
            label += speed * len(self._label)
        voice = self._targets.voices[speed][name]
        return _Piece(x[:wanted], int(offset / factor), voice, label)

    def _teach(
        self, spans: _Spans, sequence: int, position: int, piece: _Piece, rng: np.random.Generator
    ) -> None:
        """The whole of a piece, and spans of it, as far as they are whole blocks."""
        first = -(-position // BLOCK_SAMPLES)
        last = (position + len(piece.sound)) // BLOCK_SAMPLES
        if last - first < LEAST_PIECE_S / BLOCK_S:
            return
        chosen = [(first, last), *(self._span(first, last, rng) for _ in range(self._batch.spans))]
        for start, end in chosen:
            begin = piece.offset + start * BLOCK_SAMPLES - position
            target = piece.voice.of_span(
                begin, begin + (end - start) * BLOCK_SAMPLES, self._batch.local_target
            )
            spans.sequence.append(sequence)
            spans.start.append(start)
            spans.end.append(end)
            spans.targets.append(target)
            spans.labels.append(piece.label)

    def _span(self, first: int, last: int, rng: np.random.Generator) -> tuple[int, int]:
        size = min(last - first, round(rng.uniform(*self._batch.span_s) / BLOCK_S))
        if rng.random() >= self._batch.at_an_end:
            start = int(rng.integers(first, last - size + 1))
        else:
            start = first if rng.random() < AFTER_A_CHANGE else last - size
        return start, start + size
