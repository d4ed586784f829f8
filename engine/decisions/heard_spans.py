"""The spans that are asked for at one place in the speech, all in one call each of what it takes.

A call costs as much as the few rows in it, so that a step asks once for every span it needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.format import SAMPLE_RATE_HZ
from engine.scoring.identify import EnrolledVoiceprints
from engine.scoring.scorer import CalibratedScorer, CalibratedScores, PreparedEmbeddings
from engine.spans.interface import Spans

Place = tuple[int, int]


class HeardSpans:
    """Embeddings of the spans ``asked``, ready to be compared, and their scores.

    ``scores`` ``(S, rows)`` are those with all the prototypes of ``enrolled``, where there are any.
    """

    def __init__(
        self,
        scorer: CalibratedScorer,
        spans: Spans,
        enrolled: EnrolledVoiceprints,
        asked: Sequence[Place],
    ) -> None:
        self._row = {place: row for row, place in enumerate(asked)}
        speech_s = np.array([end - start for start, end in asked]) / SAMPLE_RATE_HZ
        self.prepared: PreparedEmbeddings = scorer.prepare(spans.embeddings(asked), speech_s)
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
