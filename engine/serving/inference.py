"""Computes a batch: jobs in, an answer to each out. Never raises, knows no stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from engine.errors import VoxwatchError
from engine.jobs import (
    EmbedJob,
    EmbedResult,
    Job,
    JobFailure,
    Result,
    VadJob,
    VadResult,
)
from engine.model.backend import Backend
from engine.speech.vad import SileroVad

J = TypeVar("J", VadJob, EmbedJob)


@dataclass(frozen=True, slots=True)
class Answers:
    """An answer to each job of a batch, in its order, and what they cost.

    ``frames`` and ``calls`` are the detector's; ``cpu_s`` is of the calling thread.
    """

    results: tuple[Result, ...]
    wall_s: float
    cpu_s: float
    frames: int
    calls: int


def answer(jobs: Sequence[Job], backend: Backend, vad: SileroVad) -> Answers:
    """Run a batch: detections of any lengths, or windows of one length."""
    began, cpu = time.perf_counter(), time.thread_time()
    detections = [job for job in jobs if isinstance(job, VadJob)]
    windows = [job for job in jobs if isinstance(job, EmbedJob)]
    results = [
        *_each(detections, lambda some: _detect(some, vad)),
        *_each(windows, lambda some: _embed(some, backend)),
    ]
    lengths = [len(job.frames) for job in detections]
    return Answers(
        tuple(results),
        time.perf_counter() - began,
        time.thread_time() - cpu,
        sum(lengths),
        max(lengths, default=0),
    )


def _each(jobs: Sequence[J], run: Callable[[Sequence[J]], list[Result]]) -> list[Result]:
    """All at once; if that fails, each by itself, so that it fails only whose fault it is."""
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


def _embed(jobs: Sequence[EmbedJob], backend: Backend) -> list[Result]:
    embeddings = backend.embed(np.stack([job.samples for job in jobs]))
    return [EmbedResult(job.number, row) for job, row in zip(jobs, embeddings, strict=True)]


def _reason(error: Exception) -> str:
    if isinstance(error, VoxwatchError):
        return str(error)
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"the model failed: {first}"
