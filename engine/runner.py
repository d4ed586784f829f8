"""Answers the jobs of a session or an enrolment one after another, in the calling thread.

For files and tests. A server batches the jobs of many streams instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.errors import VoxwatchError
from engine.events import AnyEvent
from engine.exchange import Exchange
from engine.jobs import EmbedJob, EmbedResult, Job, JobFailure, Result, VadJob, VadResult
from engine.model.encoder import Encoder
from engine.speech.vad import SileroVad


class Runner:
    """Detector and encoder behind any number of streams; keeps nothing between jobs."""

    def __init__(self, encoder: Encoder, vad: SileroVad) -> None:
        self._encoder, self._vad = encoder, vad

    def settle(self, exchange: Exchange[Any]) -> Iterator[AnyEvent]:
        """Run every job the stream has, those that follow from the answers too; its events."""
        while jobs := exchange.jobs_to_run():
            for job in jobs:
                exchange.receive_result(self.answer(job))
            yield from exchange.events()
        yield from exchange.events()

    def answer(self, job: Job) -> Result:
        """The result of one job; an encoder that fails is an answer too, not a low score."""
        return self._detect(job) if isinstance(job, VadJob) else self._embed(job)

    def _detect(self, job: VadJob) -> VadResult:
        probabilities, state = np.empty(len(job.frames), np.float32), job.state
        for i, frame in enumerate(job.frames):
            one, state = self._vad(frame[None], state)
            probabilities[i] = one[0]
        return VadResult(job.number, probabilities, state)

    def _embed(self, job: EmbedJob) -> EmbedResult | JobFailure:
        try:
            return EmbedResult(job.number, self._encoder.embed(job.samples[None])[0])
        except VoxwatchError as error:
            return JobFailure(job.number, str(error))
