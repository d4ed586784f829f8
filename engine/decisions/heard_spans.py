"""The spans that are asked for at one place in the speech, all in one call each of what it takes.

A call costs as much as the few rows in it, so that a step asks once for every span it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ, unit
from engine.scoring.identify import EnrolledVoiceprints
from engine.scoring.scorer import CalibratedScorer, CalibratedScores, PreparedEmbeddings
from engine.spans.interface import Spans

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Place = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class NearVoice:
    """What was said in a segment until ``end`` by the voice at the microphone.

    ``embedding`` ``(D,)`` and ``samples`` are of its speech alone, which ended at ``ended``: a
    voice in the background spoke since then and counts for nobody. ``dbfs`` is how loud it was.
    """

    embedding: Float32
    samples: int
    ended: int
    end: int
    dbfs: float | None


class HeardSpans:
    """Embeddings of the spans ``asked``, ready to be compared, and their scores.

    Of a span that reaches back before the end of ``near`` that stands for what was said until
    then. ``scores`` ``(S, rows)`` are those with all the prototypes of ``enrolled``, where there
    are any.
    """

    def __init__(
        self,
        scorer: CalibratedScorer,
        spans: Spans,
        enrolled: EnrolledVoiceprints,
        asked: Sequence[Place],
        near: NearVoice | None = None,
    ) -> None:
        self._row = {place: row for row, place in enumerate(asked)}
        embeddings, samples = _embedded(spans, asked, near)
        self.prepared: PreparedEmbeddings = scorer.prepare(embeddings, samples / SAMPLE_RATE_HZ)
        self.scores: CalibratedScores | None = None
        if enrolled.prepared is not None:
            self.scores = scorer.table(enrolled.prepared, self.prepared)

    def __contains__(self, place: Place) -> bool:
        return place in self._row

    def of(self, place: Place) -> tuple[PreparedEmbeddings, CalibratedScores | None]:
        """One of the spans, and its scores ``(1, rows)``. Raises ``KeyError`` for any other."""
        rows, scores = [self._row[place]], self.scores
        if scores is not None:
            scores = CalibratedScores(scores.cosine[rows], scores.norm[rows], scores.llr[rows])
        return self.prepared.take(rows), scores


def _embedded(
    spans: Spans, asked: Sequence[Place], near: NearVoice | None
) -> tuple[Float32, Int64]:
    """Unit embeddings ``(S, D)`` and the speech in each, in samples."""
    samples = np.array([end - start for start, end in asked])
    if near is None or all(start >= near.end for start, _ in asked):
        return spans.embeddings(asked), samples
    known = [(max(start, near.end), end) for start, end in asked]
    rows = [row for row, (start, end) in enumerate(known) if start < end]
    embeddings = np.zeros((len(asked), len(near.embedding)), np.float32)
    samples = np.maximum([end - start for start, end in known], 0)
    if rows:
        found = spans.embeddings([known[row] for row in rows])
        embeddings[rows] = found * samples[rows, None].astype(np.float32)
    back = [row for row, (start, _) in enumerate(asked) if start < near.end]
    embeddings[back] += near.embedding * np.float32(near.samples)
    samples[back] += near.samples
    return unit(embeddings), samples
