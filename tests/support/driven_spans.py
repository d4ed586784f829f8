"""Spans by a frames graph, driven by hand: what is said, and answers to the jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from frames_model import DELAY_BLOCKS
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.jobs import FramesJob, FramesResult, Result
from engine.model.encoder import Encoder
from engine.serving.inference import answer_one
from engine.spans.frames import FrameSpans
from engine.speech.vad import SileroVad

Float32 = NDArray[np.float32]
S = SAMPLE_RATE_HZ
PAUSE = round(0.6 * S)


def speech(seconds: float, seed: int = 0) -> Float32:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * S))).astype(np.float32)


def embedded(job: FramesJob, encoder: Encoder) -> Result:
    """The answer to a job."""
    return answer_one(job, encoder, detector())


def saying(
    encoder: Encoder, heads: Callable[[Float32], list[Float32]]
) -> Callable[[FramesJob], Result]:
    """Answers jobs with ``heads`` of the blocks that come out, by their numbers."""
    told = 0

    def reply(job: FramesJob) -> Result:
        nonlocal told
        result = embedded(job, encoder)
        assert isinstance(result, FramesResult)
        number = np.arange(told, told + len(result.sums), dtype=np.float32) - DELAY_BLOCKS
        told += len(number)
        return replace(result, heads=np.stack(heads(number), axis=1).astype(np.float32))

    return reply


@cache
def detector() -> SileroVad:
    """What answers jobs of another kind."""
    return SileroVad()


def settle(
    spans: FrameSpans, encoder: Encoder, reply: Callable[[FramesJob], Result] | None = None
) -> list[FramesJob]:
    """Answer all jobs, of which one is under way at a time; those there were."""
    done: list[FramesJob] = []
    while jobs := spans.jobs(len(done) + 1):
        (job,) = jobs
        assert isinstance(job, FramesJob)
        assert not spans.jobs(99)
        done.append(job)
        spans.receive_result(reply(job) if reply else embedded(job, encoder))
    assert spans.waiting_since is None
    return done
