"""Computes jobs: a batch of them for the pool's threads, or a whole stream's one by one.

There is one way from a job to its answer, for a live server and for files alike. An error that
a model raises becomes the answer to its job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import VoxwatchError
from engine.events import AnyEvent
from engine.jobs import (
    EmbedJob,
    EmbedResult,
    FramesJob,
    FramesResult,
    Job,
    JobFailure,
    Result,
    VadJob,
    VadResult,
)
from engine.model.frames import FramesOutput
from engine.serving.conversation import Conversation
from engine.speech.vad import SileroVad

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
J = TypeVar("J", VadJob, EmbedJob, FramesJob)


class Embedder(Protocol):
    """A backend or an encoder, which runs the network of a bundle."""

    def embed(self, waveforms: Float32, /) -> Float32:
        """Unit embeddings ``(B, D)`` of ``waveforms`` ``(B, samples)``."""

    def run_frames(self, sound: Float32, frames: Int64, states: Float32, /) -> FramesOutput:
        """New sound of ``B`` streams through a frames graph."""


@dataclass(frozen=True, slots=True)
class Answers:
    """An answer to each job of a batch, in the batch's order, and what they cost.

    ``frames`` and ``calls`` count the detector's; ``cpu_s`` is the calling thread's CPU time.
    """

    results: tuple[Result, ...]
    wall_s: float
    cpu_s: float
    frames: int
    calls: int


def answer(jobs: Sequence[Job], embedder: Embedder, vad: SileroVad) -> Answers:
    """The answers to a batch: detections of any lengths, or windows or frames of one length."""
    began, cpu = time.perf_counter(), time.thread_time()
    detections = [job for job in jobs if isinstance(job, VadJob)]
    windows = [job for job in jobs if isinstance(job, EmbedJob)]
    frames = [job for job in jobs if isinstance(job, FramesJob)]
    results = [
        *_each(detections, lambda some: _detect(some, vad)),
        *_each(windows, lambda some: _embed(some, embedder)),
        *_each(frames, lambda some: _run_frames(some, embedder)),
    ]
    lengths = [len(job.frames) for job in detections]
    return Answers(
        tuple(results),
        time.perf_counter() - began,
        time.thread_time() - cpu,
        sum(lengths),
        max(lengths, default=0),
    )


def answer_one(job: Job, embedder: Embedder, vad: SileroVad) -> Result:
    """The answer to one job."""
    return answer([job], embedder, vad).results[0]


def settle(conversation: Conversation, respond: Callable[[Job], Result]) -> Iterator[AnyEvent]:
    """Answer every job of ``conversation`` and those that follow, and yield its events.

    The jobs run in the calling thread, one after the other, for files and tests.
    Raises ``RuntimeError`` when a detection of speech failed, as the stream cannot go on.
    """
    while jobs := conversation.jobs_to_run():
        for job in jobs:
            conversation.receive_result(respond(job))
        yield from conversation.events()
    yield from conversation.events()


def _each(jobs: Sequence[J], run: Callable[[Sequence[J]], list[Result]]) -> list[Result]:
    """Run all jobs at once. If that fails, run each alone, so that only the faulty ones fail."""
    if not jobs:
        return []
    try:
        return run(jobs)
    except Exception as error:  # whatever a model raises is the answer to its job
        if len(jobs) > 1:
            return [result for job in jobs for result in _each([job], run)]
        return [JobFailure(jobs[0].number, _reason(error))]


def _detect(jobs: Sequence[VadJob], vad: SileroVad) -> list[Result]:
    found = vad.detect([job.frames for job in jobs], [job.state for job in jobs])
    return [VadResult(job.number, *one) for job, one in zip(jobs, found, strict=True)]


def _embed(jobs: Sequence[EmbedJob], embedder: Embedder) -> list[Result]:
    embeddings = embedder.embed(np.stack([job.samples for job in jobs]))
    return [EmbedResult(job.number, row) for job, row in zip(jobs, embeddings, strict=True)]


def _run_frames(jobs: Sequence[FramesJob], embedder: Embedder) -> list[Result]:
    found = embedder.run_frames(
        np.stack([job.samples for job in jobs]),
        np.array([job.frames for job in jobs], np.int64),
        np.stack([job.states for job in jobs]),
    )
    # Copies: a view of the states would keep those of the whole batch in memory.
    return [
        FramesResult(job.number, found.sums[i], found.heads[i], found.states[i].copy())
        for i, job in enumerate(jobs)
    ]


def _reason(error: Exception) -> str:
    if isinstance(error, VoxwatchError):
        return str(error)
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"the model failed: {first}"
