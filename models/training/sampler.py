"""Batches: sequences of speech with the spans in them that are taught, and who teaches them.

The network is trained as it runs: over sequences in which speakers follow each other, with
spans on either side of a change, so that what the first one leaves in its states does no harm.
Most pieces of speech are of a voice that was made of a speaker's, and the teacher hears each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.format import INT16_PEAK, SAMPLE_RATE_HZ
from models.network.frontend import FrontEndConfig
from models.network.streaming import BLOCK_S
from models.sound.augment import Augment
from models.sound.corpus import MAX_CODED_S, Corpus
from models.sound.voices import at_speed, with_formants_at
from models.training.config import Config
from models.training.teacher import WINDOW_SAMPLES, share_of_windows, windows_of

BLOCK_SAMPLES = round(BLOCK_S * SAMPLE_RATE_HZ)
LEAST_PIECE_S = 0.5  # that is taught, and that is worth beginning at a sequence's end
SHORTEST_REST_S = 1.0  # less than this after a piece goes to the piece
AFTER_A_CHANGE = 0.7  # of the spans at an end of a piece: at its beginning
LEVELS_DB = (-6.0, 3.0)  # of a piece beside the first of its sequence
PEAK = 0.5
RESAMPLING_MARGIN = 16  # samples
DRAWN_SECONDS = (2.0, 30.0)  # speech of a speaker, as far as it counts for how often it is drawn

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """``sound (B, samples)``; of each taught span its sequence, blocks, and what teaches it."""

    sound: Tensor
    hidden: Tensor  # (B, frames, mels): features that the network is not shown
    sequence: Tensor  # (N,)
    start: Tensor  # (N,): first block
    end: Tensor  # (N,): block after the last
    share: Tensor  # (N, W): of the target of a span, what each of the teacher's windows has
    heard: Tensor  # (W, WINDOW_SAMPLES): the windows
    said: Tensor  # (W, D): what the teacher says of them; none before it was asked

    def asked(self, teacher: Callable[[Tensor], Tensor]) -> TrainingBatch:
        """The same batch with what ``teacher`` says, where that is not known."""
        if len(self.said):
            return self
        return replace(self, said=teacher(self.heard), heard=self.heard.new_zeros(0))

    def targets(self) -> Tensor:
        """Of the spans: ``(N, D)``, unit vectors."""
        assert len(self.said) == self.share.shape[1], "the teacher was not asked"
        return F.normalize(self.share @ self.said, dim=1)

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
    """What a batch teaches, as it is drawn."""

    sequence: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    share: list[tuple[int, Float32]] = field(default_factory=list)  # from which window on
    heard: list[Float32] = field(default_factory=list)
    windows: int = 0

    def batch(self, sound: Tensor, hidden: Tensor) -> TrainingBatch:
        share = torch.zeros(len(self.share), self.windows)
        for row, (first, part) in zip(share, self.share, strict=True):
            row[first : first + len(part)] = torch.from_numpy(part)
        return TrainingBatch(
            sound,
            hidden,
            torch.tensor(self.sequence),
            torch.tensor(self.start),
            torch.tensor(self.end),
            share,
            torch.from_numpy(np.concatenate(self.heard)),
            torch.zeros(0),
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """Sound of one voice, and what the teacher hears of it: the same, or one window around it."""

    sound: Float32
    context: Float32

    def __len__(self) -> int:
        return len(self.sound)


class Sampler:
    """Draws augmented batches of the speakers that are trained on."""

    def __init__(
        self, corpus: Corpus, config: Config, heldout: list[str], augment: Augment
    ) -> None:
        self._corpus, self._augment = corpus, augment
        self._voices, self._batch = config.voices, config.batch
        kept = set(heldout)
        self.speakers = [s for s in corpus.by_speaker if s not in kept]
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

    def batch(self, rng: np.random.Generator) -> TrainingBatch:
        """Augmented speech before the teacher was asked; all randomness is from ``rng``."""
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
                sound[i, position : position + len(piece)] = piece.sound * gain
                self._teach(spans, i, position, piece, rng)
                position += len(piece)
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
        """At most ``wanted`` samples of some voice, with a window's worth of it around them."""
        name = self.speakers[rng.choice(len(self.speakers), p=self._probability)]
        start, length = self._corpus.span(name)
        samples = self._corpus.samples
        if name in self._coded and rng.random() < self._coded_probability:
            samples, length = self._coded_samples, min(length, MAX_CODED_S * SAMPLE_RATE_HZ)
        voices = self._voices
        speed = _drawn(voices.speeds, voices.faster, rng)
        formants = _drawn(voices.formants, voices.shifted, rng)
        context = max(wanted, WINDOW_SAMPLES)
        needed = int(context * speed) + RESAMPLING_MARGIN
        offset = int(rng.integers(max(length - needed, 0) + 1))
        x = samples[start + offset : start + min(offset + needed, length)].astype(np.float32)
        x = with_formants_at(at_speed(x / np.float32(INT16_PEAK), speed)[:context], formants)
        size = min(wanted, len(x))
        first = int(rng.integers(len(x) - size + 1))
        return _Piece(x[first : first + size], x)

    def _teach(
        self, spans: _Spans, sequence: int, position: int, piece: _Piece, rng: np.random.Generator
    ) -> None:
        """The whole of a piece, and spans of it, as far as they are whole blocks."""
        first = -(-position // BLOCK_SAMPLES)
        last = (position + len(piece)) // BLOCK_SAMPLES
        if last - first < LEAST_PIECE_S / BLOCK_S:
            return
        heard, length = windows_of(piece.context), len(piece.context)
        chosen = [(first, last), *(self._span(first, last, rng) for _ in range(self._batch.spans))]
        for start, end in chosen:
            span = start * BLOCK_SAMPLES - position, end * BLOCK_SAMPLES - position
            share = share_of_windows(length, span, self._batch.local_target)
            spans.sequence.append(sequence)
            spans.start.append(start)
            spans.end.append(end)
            spans.share.append((spans.windows, share))
        spans.heard.append(heard)
        spans.windows += len(heard)

    def _span(self, first: int, last: int, rng: np.random.Generator) -> tuple[int, int]:
        size = min(last - first, round(rng.uniform(*self._batch.span_s) / BLOCK_S))
        if rng.random() >= self._batch.at_an_end:
            start = int(rng.integers(first, last - size + 1))
        else:
            start = first if rng.random() < AFTER_A_CHANGE else last - size
        return start, start + size


def _drawn(between: tuple[float, float], probability: float, rng: np.random.Generator) -> float:
    """A factor, its logarithm uniform, or 1."""
    if rng.random() >= probability:
        return 1.0
    low, high = (math.log(bound) for bound in between)
    return math.exp(rng.uniform(low, high))
