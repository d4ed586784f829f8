"""Voices that are levels of sound, with a detector and an encoder that tell them exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fake_scorers import fake_scorer

from engine.decisions.config import DecisionConfig
from engine.events import AnyEvent
from engine.format import SAMPLE_RATE_HZ
from engine.jobs import EmbedResult, Job, Result, VadJob, VadResult
from engine.scoring.scorer import PreparedEmbeddings
from engine.session import Session
from engine.session_config import SessionConfig

SIZE = 8
SCORER = fake_scorer(SIZE)
VOICES = {"anna": 0.2, "berta": 0.5}  # a voice is the level of its samples


def voice(level: float) -> np.ndarray:
    """Embedding of a level: one axis for each tenth."""
    embedding = np.zeros((1, SIZE), np.float32)
    embedding[0, round(level * 10) % SIZE] = 1.0
    return embedding


def enrolled(*names: str) -> dict[str, PreparedEmbeddings]:
    return {name: SCORER.prepare(voice(VOICES[name]), 10.0) for name in names}


def answer(job: Job) -> Result:
    """A detector of loudness and an encoder of level: deterministic, and right."""
    if isinstance(job, VadJob):
        return VadResult(job.number, (np.abs(job.frames).mean(axis=1) > 0.05) * 1.0, job.state)
    levels = np.round(np.abs(job.samples) * 10).astype(int) % SIZE
    shares = np.bincount(levels, minlength=SIZE).astype(np.float32)  # two voices: in between
    return EmbedResult(job.number, shares / np.linalg.norm(shares))


def pcm(*parts: tuple[float, float]) -> bytes:
    """Parts of (level, seconds) as s16le."""
    levels = [np.resize([level, -level], round(s * SAMPLE_RATE_HZ)) for level, s in parts]
    return (np.concatenate(levels) * 32767).astype("<i2").tobytes()


def run(
    session: Session,
    pieces: list[bytes],
    order: Callable[[list[Job]], list[Job]] = lambda jobs: jobs,
    reply: Callable[[Job], Result] = answer,
) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    pending: list[Job] = []
    for piece in [*pieces, None]:
        if piece is None:
            session.receive_eof()
        else:
            session.receive_pcm(piece)
        pending += session.jobs_to_run()
        while pending:
            pending = order(pending)
            session.receive_result(reply(pending.pop(0)))
            pending += session.jobs_to_run()
            events += session.events()
    events += session.events()
    assert not session.waiting
    return events


def run_open(session: Session, piece: bytes) -> list[AnyEvent]:
    """Sound that is not the last."""
    session.receive_pcm(piece)
    while jobs := session.jobs_to_run():
        for job in jobs:
            session.receive_result(answer(job))
    return list(session.events())


def of(kind: type, events: list[AnyEvent]) -> list:
    return [event for event in events if isinstance(event, kind)]


SOUND = pcm((0.0, 0.7), (0.2, 4.0), (0.0, 1.0), (0.2, 2.0), (0.5, 5.0), (0.0, 0.5))


# Voices that are told apart as little as these need a budget that allows an alarm.
ALARMED = SessionConfig(decisions=DecisionConfig(false_alarms_per_hour=20.0))
