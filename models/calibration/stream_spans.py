"""A whole stream's speech at once, to be asked for spans as a live stream's is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.jobs import EmbedJob, EmbedResult
from engine.model.encoder import Encoder
from engine.model.frames import FRAME_SAMPLES, SpanPooling
from engine.model.manifest import unheard
from engine.spans.interface import Mark, Spans
from engine.spans.timeline import Timeline
from engine.spans.windows import WindowSpans
from engine.speech.windows import WindowConfig

BATCH = 16  # windows that are embedded at once

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Ints = NDArray[np.intp]
Place = tuple[int, int]
Pause = tuple[int, float]  # the sample of net speech that follows it, and its seconds


class PooledStream:
    """The spans of speech that went through a frames graph in one pass."""

    def __init__(self, sound: Float32, encoder: Encoder, pauses: Sequence[Pause] = ()) -> None:
        self._pooling = SpanPooling(encoder.bundle)
        figures = self._pooling.figures
        self.grain, delay = figures.block_samples, figures.delay_blocks
        self.timeline = Timeline()
        for start, piece in _apart(sound, pauses):
            self.timeline.push(start, len(piece))
        blocks = -(-len(sound) // self.grain) + delay
        padded = np.zeros((1, blocks * self.grain), np.float32)
        padded[0, : len(sound)] = sound
        frames = np.array([len(sound) // FRAME_SAMPLES], np.int64)
        states = np.zeros((1, figures.state_size), np.float32)
        found = encoder.run_frames(padded, frames, states)
        self._total = _running(found.sums[0, delay:])
        self._heads = _running(found.heads[0, delay:])

    def failure(self, start: int, end: int) -> str | None:
        """Nothing fails in a pass that was made."""
        return None

    def heard(self, spans: Sequence[Place]) -> tuple[Float32, Float32]:
        """Unit embeddings ``(N, D)``, and how the spans were heard ``(N, 3)``."""
        said, (first, last) = unheard(len(spans)), self._edges(spans)
        sums = (self._total[last] - self._total[first]).astype(np.float32)
        embeddings, said[:, -1] = self._pooling.embed(sums)
        columns = self._pooling.figures.acoustics
        if columns is not None:
            total = (self._heads[last] - self._heads[first])[:, columns]
            said[:, :-1] = total / (last - first)[:, None]
        return embeddings, said

    def _edges(self, spans: Sequence[Place]) -> tuple[Ints, Ints]:
        first, last = np.round(np.array(spans) / self.grain).astype(np.intp).T
        return first, last

    def marks(self, hop: int) -> list[Mark]:
        """Places every ``hop`` samples and at the end, known as late as in a live stream."""
        end, ahead = self.timeline.position, self.grain * self._pooling.figures.delay_blocks
        places = range(hop, end, hop)
        return [*(Mark(0, p, min(p + ahead, end)) for p in places), Mark(0, end, end, True)]


def _running(blocks: Float32) -> Float64:
    """Sums of all blocks before each, and of all of them."""
    sums = np.cumsum(blocks, axis=0, dtype=np.float64)
    return np.concatenate([np.zeros((1, *sums.shape[1:])), sums])


def spoken(
    sound: Float32, encoder: Encoder, pauses: Sequence[Pause] = ()
) -> tuple[Spans, list[Mark]]:
    """Net speech, ``sound`` ``(samples,)``, said with these pauses, in order, and its places."""
    config = WindowConfig()
    if encoder.bundle.manifest.frames is not None:
        stream = PooledStream(sound, encoder, pauses)
        return stream, stream.marks(round(config.hop_s * SAMPLE_RATE_HZ))
    spans = WindowSpans(encoder.bundle.manifest, config)
    marks: list[Mark] = []
    for start, piece in _apart(sound, pauses):
        marks += spans.push(start, piece)
    marks += spans.end_turn(spans.timeline.media)
    by_length: dict[int, list[EmbedJob]] = defaultdict(list)
    for job in spans.jobs(1):
        if isinstance(job, EmbedJob):
            by_length[len(job.samples)].append(job)
    for jobs in by_length.values():
        for some in (jobs[i : i + BATCH] for i in range(0, len(jobs), BATCH)):
            embeddings = encoder.embed(np.stack([job.samples for job in some]))
            for job, embedding in zip(some, embeddings, strict=True):
                spans.receive_result(EmbedResult(job.number, embedding))
    return spans, marks


def _apart(sound: Float32, pauses: Sequence[Pause]) -> Iterator[tuple[int, Float32]]:
    """The pieces of the sound between pauses, each with the media sample of its start."""
    start = silence = 0
    for place, pause_s in pauses:
        yield start + silence, sound[start:place]
        start, silence = place, silence + round(pause_s * SAMPLE_RATE_HZ)
    yield start + silence, sound[start:]
