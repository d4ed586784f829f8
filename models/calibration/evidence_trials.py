"""Trials of evidence: what a run of speech says for and against a voiceprint as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.decisions.evidence import Evidence
from engine.format import SAMPLE_RATE_HZ
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings
from models.calibration.evidence_streams import Scorers, TakeoverStream, Talk, rivals

MOST_RIVALS = 12  # other speakers whom a stream is compared with

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceTrial:
    """A stream's own speech against one voiceprint, after each of its N windows.

    ``speech_s`` ``(N,)`` is the net speech of the run in seconds, ``llr`` ``(N,)`` the
    log-likelihood ratio of its averaged embedding. ``speaker`` numbers who speaks.
    """

    speaker: int
    source: str
    degraded: bool
    target: bool
    speech_s: Float64
    llr: Float64


def runs(
    scorer: CalibratedScorer, stream: TakeoverStream
) -> list[tuple[float, PreparedEmbeddings]]:
    """The run after each window of the whole stream, as if nobody took over."""
    run, found = Evidence(stream.windows[0].place.speech_start), []
    for window in stream.windows:
        embedding = run.add(window.embedding, window.place.position, window.place.length)
        speech_s = run.samples / SAMPLE_RATE_HZ
        found.append((speech_s, scorer.prepare(embedding[None], speech_s)))
    return found


def evidence_trials(
    scorers: Scorers, streams: Sequence[TakeoverStream], talks: Sequence[Talk], seed: int
) -> list[EvidenceTrial]:
    """Each stream against its speaker and at most :data:`MOST_RIVALS` others."""
    rng, found = np.random.default_rng(seed), []
    for stream in streams:
        scorer = scorers[stream.talk.source]
        own = runs(scorer, stream)[: len(stream.own)]
        speech_s = np.array([s for s, _ in own])
        others = rivals(stream.talk, talks)
        chosen = rng.permutation(len(others))[:MOST_RIVALS]
        for talk in (stream.talk, *(others[i] for i in chosen)):
            llr = np.array([single_llr(scorer, talk.enrolled, prepared) for _, prepared in own])
            degraded, target = stream.talk.split > 0, talk is stream.talk
            found.append(
                EvidenceTrial(stream.talk.speaker, talk.source, degraded, target, speech_s, llr)
            )
    return found


def single_llr(
    scorer: CalibratedScorer, enrolled: PreparedEmbeddings, test: PreparedEmbeddings
) -> float:
    """The log-likelihood ratio of one pair, enrolled and tested."""
    llr = scorer.compare(enrolled, test).llr
    return float(llr[0])
