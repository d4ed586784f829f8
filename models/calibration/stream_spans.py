"""A whole stream's speech, heard as a live one is, to be asked for spans."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.jobs import EmbedJob, EmbedResult, FramesJob, FramesResult, Job, Result
from engine.model.encoder import Encoder
from engine.session_config import SessionConfig
from engine.spans.interface import Mark, SpeechEmbeddings
from engine.spans.of_bundle import spans_of
from engine.speech.windows import WindowConfig

BATCH = 16  # windows that are embedded at once
PIECE = SAMPLE_RATE_HZ // 10  # samples that are pushed at once

Float32 = NDArray[np.float32]
Pause = tuple[int, float]  # the sample of net speech that follows it, and its seconds


def spoken(
    sound: Float32, encoder: Encoder, pauses: Sequence[Pause] = ()
) -> tuple[SpeechEmbeddings, list[Mark]]:
    """Net speech, ``sound`` ``(samples,)``, said with these pauses, in order, and its places.

    Pauses end turns as they do live, but for windows: of what is shorter than one nothing is known
    there. The places are known ``at`` so much net speech.
    """
    spans = spans_of(encoder.bundle, WindowConfig())
    turns, least_s = encoder.bundle.manifest.frames is not None, SessionConfig().turn_pause_s
    marks: list[Mark] = []

    def known(some: Iterable[Mark]) -> None:
        marks.extend(replace(mark, at=spans.position) for mark in some)

    for start, piece, pause_s in _apart(sound, pauses):
        for at in range(0, len(piece), PIECE):
            known(spans.push(start + at, piece[at : at + PIECE]))
        if pause_s is None or (turns and pause_s >= least_s):
            known(spans.end_turn(spans.timeline.media))
    _answer(spans, encoder)
    return spans, marks


def _answer(spans: SpeechEmbeddings, encoder: Encoder) -> None:
    """Answer every job. Windows of one length share batches; chunks come one after the other."""
    while jobs := spans.jobs(1):
        for result in [*_chunks(jobs, encoder), *_windows(jobs, encoder)]:
            spans.receive_result(result)


def _chunks(jobs: Sequence[Job], encoder: Encoder) -> Iterator[Result]:
    for job in jobs:
        if isinstance(job, FramesJob):
            frames = np.array([job.frames], np.int64)
            found = encoder.run_frames(job.samples[None], frames, job.states[None])
            yield FramesResult(job.number, found.sums[0], found.heads[0], found.states[0])


def _windows(jobs: Sequence[Job], encoder: Encoder) -> Iterator[Result]:
    by_length: dict[int, list[EmbedJob]] = defaultdict(list)
    for job in jobs:
        if isinstance(job, EmbedJob):
            by_length[len(job.samples)].append(job)
    for some in by_length.values():
        for batch in (some[i : i + BATCH] for i in range(0, len(some), BATCH)):
            embeddings = encoder.embed(np.stack([job.samples for job in batch]))
            for job, embedding in zip(batch, embeddings, strict=True):
                yield EmbedResult(job.number, embedding)


def _apart(sound: Float32, pauses: Sequence[Pause]) -> Iterator[tuple[int, Float32, float | None]]:
    """The pieces between pauses: the media sample of each, its sound and the pause after it."""
    start = silence = 0
    for place, pause_s in pauses:
        yield start + silence, sound[start:place], pause_s
        start, silence = place, silence + round(pause_s * SAMPLE_RATE_HZ)
    yield start + silence, sound[start:], None
