"""Who is it? All enrolled voices are compared at once, and the list is an open set.

A stranger is compared with everybody, and the more people are enrolled, the likelier it is that
one of them happens to be like him. A bound on the best LLR alone would accept more strangers
the longer the list grows. So the best is held against everything else that could be true: each
of the others enrolled, and a stranger:

    evidence = L_best - log(1 + sum of exp(L_j) over the others).

With a calibrated LLR these are the odds of the best against the rest, each of the others and
the stranger being as likely beforehand. Whether it is anybody enrolled at all is the likelihood
ratio of a mixture of them, ``log(mean of exp(L_j))``. For one voice both are that voice's LLR:
verification is the case of a list of one.

On 154 held-out speakers, with the accept bound of 1 % false accepts, the share of strangers
accepted grew with the list from 0 to 1.9 % (114 enrolled, 8 s) by the best LLR alone; by the
evidence none was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.scoring.scorer import PreparedEmbeddings

Float64 = NDArray[np.float64]


class EnrolledVoiceprints:
    """The voiceprints of everybody enrolled, in the order of their names, stacked as one."""

    def __init__(self, voiceprints: Mapping[str, PreparedEmbeddings]) -> None:
        self.names = tuple(sorted(voiceprints))
        self.number = {name: number for number, name in enumerate(self.names)}
        parts = [voiceprints[name] for name in self.names]
        # Rows of a speaker's prototypes: from one of these to the next.
        self.rows = np.cumsum([0, *(len(part.embeddings) for part in parts)])
        self.prepared = PreparedEmbeddings.stack(parts) if parts else None

    def by_speaker(self, llr: Float64) -> Float64:
        """Of ``llr`` ``(..., rows)`` each speaker's: of several prototypes the nearest speaks."""
        if len(self.rows) == llr.shape[-1] + 1:
            return llr
        return np.asarray(np.maximum.reduceat(llr, self.rows[:-1], axis=-1), np.float64)

    def row(self, speaker: int, llr: Float64) -> int:
        """The row of a speaker's nearest prototype."""
        start, end = self.rows[speaker], self.rows[speaker + 1]
        return int(start + np.argmax(llr[start:end]))


@dataclass(frozen=True, slots=True)
class Ranking:
    """A speaker and the best of the others, by their numbers, and the evidence for the speaker.

    ``anybody`` is the evidence that it is any of those enrolled.
    """

    speaker: int
    runner_up: int | None
    evidence: float
    anybody: float


def rank(llr: Float64, speaker: int | None = None) -> Ranking:
    """Where a speaker stands among the LLRs ``(N,)`` of all; by default the best, of equals the
    first."""
    if speaker is None:
        speaker = int(np.argmax(llr))
    own = float(llr[speaker])
    if len(llr) == 1:
        return Ranking(speaker, None, own, own)
    others = llr.copy()
    others[speaker] = -np.inf
    runner_up = int(np.argmax(others))
    highest = float(others[runner_up])
    rest = highest + float(np.log(np.exp(others - highest).sum()))
    anybody = float(np.logaddexp(own, rest)) - math.log(len(llr))
    return Ranking(speaker, runner_up, own - float(np.logaddexp(0.0, rest)), anybody)


def shares(llr: Float64) -> Float64:
    """The probabilities ``(..., N + 1)`` of each of ``llr`` ``(..., N)`` and, last, of a stranger.

    Each of them is as likely beforehand.
    """
    whole = np.concatenate([llr, np.zeros((*llr.shape[:-1], 1))], axis=-1)
    weight = np.exp(whole - whole.max(axis=-1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True), np.float64)
