"""Trials of evidence: what a run of speech says for and against a voiceprint as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.format import seconds
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings
from engine.spans.interface import Mark
from models.calibration.evidence_streams import Scorers, TakeoverStream, Talk, rivals

MOST_RIVALS = 12  # other speakers whom a stream is compared with

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceTrial:
    """A stream's own speech against one voiceprint, at each of its N places.

    ``speech_s`` ``(N,)`` is the net speech until there in seconds, ``llr`` ``(N,)`` the
    log-likelihood ratio of all of it. ``speaker`` numbers who speaks; ``enrol_s`` is the speech
    behind the voiceprint.
    """

    speaker: int
    source: str
    degraded: bool
    target: bool
    speech_s: Float64
    llr: Float64
    enrol_s: float


def runs(
    scorer: CalibratedScorer, stream: TakeoverStream, marks: Sequence[Mark]
) -> list[tuple[float, PreparedEmbeddings]]:
    """All the speech of a stream until each place, in seconds and ready to be compared."""
    speech_s = [seconds(mark.position) for mark in marks]
    asked = [(0, mark.position) for mark in marks]
    embeddings, heard = stream.spans.heard(asked)
    prepared = scorer.worth(scorer.prepare(embeddings, np.array(speech_s)), heard)
    return [(length, prepared.take([row])) for row, length in enumerate(speech_s)]


def evidence_trials(
    scorers: Scorers, streams: Sequence[TakeoverStream], talks: Sequence[Talk], seed: int
) -> list[EvidenceTrial]:
    """Each stream against its speaker and at most :data:`MOST_RIVALS` others."""
    rng, found = np.random.default_rng(seed), []
    for stream in streams:
        scorer = scorers[stream.talk.source]
        own = runs(scorer, stream, stream.own)
        speech_s = np.array([s for s, _ in own])
        others = rivals(stream.talk, talks)
        chosen = rng.permutation(len(others))[:MOST_RIVALS]
        for talk in (stream.talk, *(others[i] for i in chosen)):
            llr = np.array([single_llr(scorer, talk.enrolled, prepared) for _, prepared in own])
            about = stream.talk.speaker, talk.source, stream.talk.split > 0, talk is stream.talk
            found.append(EvidenceTrial(*about, speech_s, llr, float(talk.enrolled.speech_s[0])))
    return found


def single_llr(
    scorer: CalibratedScorer, enrolled: PreparedEmbeddings, test: PreparedEmbeddings
) -> float:
    """The log-likelihood ratio of one pair, enrolled and tested."""
    llr = scorer.compare(enrolled, test).llr
    return float(llr[0])
