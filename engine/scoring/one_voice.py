"""Is it one voice? The parts of an enrolment compared with each other, and with earlier ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.format import unit
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings

Bools = NDArray[np.bool_]
Float32 = NDArray[np.float32]

ROUNDS = 4  # of reassignment: a score of parts settles in two or three


def unit_mean(embeddings: Float32) -> Float32:
    """The mean ``(D,)`` of unit embeddings ``(N, D)``, of unit length itself."""
    return unit(embeddings.mean(axis=0))


def agreement(embeddings: Float32) -> float:
    """Lowest cosine of one of ``embeddings`` ``(N, D)`` with the mean of the others.

    One by itself agrees with itself.
    """
    if len(embeddings) == 1:
        return 1.0
    rest = embeddings.sum(axis=0, keepdims=True) - embeddings
    return float((unit(rest) * embeddings).sum(axis=1).min())


def one_voice_llr(scorer: CalibratedScorer, embeddings: Float32, part_s: float) -> float:
    """LLR that the two sets into which the parts ``(N, D)`` fall best are one voice.

    The parts need not be in order: voices that take turns are told as well as a takeover.
    Each part holds ``part_s`` of net speech; there are at least two.
    """
    first = halves_of(embeddings)
    halves = (embeddings[first], embeddings[~first])
    (a, b), (a_s, b_s) = map(unit_mean, halves), (part_s * len(half) for half in halves)
    llr = scorer.score(a, a_s, b, b_s).llr
    return llr


def nearest_llr(
    scorer: CalibratedScorer, kept: PreparedEmbeddings, embedding: Float32, speech_s: float
) -> float:
    """LLR that ``embedding`` ``(D,)`` is the voice of the nearest of ``kept``.

    The nearest counts because streams are scored by it: a person's recordings by two
    microphones need not be alike as long as each new one is like some other.
    """
    llr = scorer.compare(kept, scorer.prepare(embedding[None], speech_s)).llr
    return float(llr.max())


def halves_of(embeddings: Float32) -> Bools:
    """Which parts go with the one and which with the other of the two least alike: 2-means."""
    cosines = embeddings @ embeddings.T
    np.fill_diagonal(cosines, np.inf)  # two different ones, be they equal
    a, b = np.unravel_index(int(cosines.argmin()), cosines.shape)
    first = cosines[a] > cosines[b]
    first[a], first[b] = True, False
    for _ in range(ROUNDS):
        nearer = embeddings @ (unit_mean(embeddings[first]) - unit_mean(embeddings[~first])) > 0
        if nearer.all() or not nearer.any():
            break
        first = nearer
    return np.asarray(first, np.bool_)
