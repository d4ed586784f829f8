"""The spans that are asked for at one place in the speech, all in one call each of what it takes.

A call costs as much as the few rows in it, so that a step asks once for every span it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ, unit
from engine.model.manifest import MagnitudeFigures, heard_together
from engine.scoring.identify import EnrolledVoiceprints, shares
from engine.scoring.scorer import CalibratedScorer, CalibratedScores, PreparedEmbeddings
from engine.spans.interface import Spans

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Place = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class NearVoice:
    """What was said in a segment until ``end`` by the voice at the microphone.

    ``embedding`` ``(D,)`` and ``samples`` are of its speech alone, which ended at ``ended``: a
    voice in the background spoke since then and counts for nobody. ``dbfs`` is how loud it was, and
    ``heard`` ``(3,)`` how it was heard, as :meth:`engine.spans.interface.Spans.heard` says.
    """

    embedding: Float32
    samples: int
    ended: int
    end: int
    dbfs: float | None
    heard: Float32


class HeardSpans:
    """Embeddings of the spans ``asked``, ready to be compared, and their scores.

    Of a span that reaches back before the end of ``near`` that stands for what was said until
    then. ``scores`` ``(S, rows)`` are those with all the prototypes of ``enrolled``, where there
    are any, and ``speaks`` ``(S, N + 1)`` whose each span is: of those enrolled or, last, a
    stranger's.
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
        figures = scorer.calibration.magnitude
        embeddings, samples, self._heard = _embedded(spans, asked, near, figures)
        self.prepared: PreparedEmbeddings = scorer.prepare(embeddings, samples / SAMPLE_RATE_HZ)
        self.scores: CalibratedScores | None = None
        self.speaks: Float64 = np.ones((len(asked), 1))
        if enrolled.prepared is not None:
            worth = scorer.worth(self.prepared, self._heard)
            self.scores = scorer.table(enrolled.prepared, worth)
            self.speaks = shares(enrolled.by_speaker(self.scores.llr))

    def __contains__(self, place: Place) -> bool:
        return place in self._row

    # Of one of the spans each; they raise ``KeyError`` for any other.

    def voice(self, place: Place) -> PreparedEmbeddings:
        """Its embedding."""
        return self.prepared.take([self._row[place]])

    def scores_of(self, place: Place) -> CalibratedScores | None:
        """Its scores ``(1, rows)``."""
        rows, all_of = [self._row[place]], self.scores
        if all_of is None:
            return None
        return CalibratedScores(all_of.cosine[rows], all_of.norm[rows], all_of.llr[rows])

    def whose(self, place: Place) -> Float64:
        """The probabilities ``(N + 1,)`` of whose it is."""
        return np.asarray(self.speaks[self._row[place]], np.float64)

    def heard(self, place: Place) -> Float32:
        """How it was heard, ``(3,)``."""
        return np.asarray(self._heard[self._row[place]], np.float32)


def _embedded(
    spans: Spans,
    asked: Sequence[Place],
    near: NearVoice | None,
    magnitude: MagnitudeFigures | None,
) -> tuple[Float32, Int64, Float32]:
    """Unit embeddings ``(S, D)``, samples of speech in each, and how it was heard ``(S, 3)``."""
    samples = np.array([end - start for start, end in asked])
    if near is None or all(start >= near.end for start, _ in asked):
        embeddings, heard = spans.heard(asked)
        return embeddings, samples, heard
    known = [(max(start, near.end), end) for start, end in asked]
    rows = [row for row, (start, end) in enumerate(known) if start < end]
    embeddings = np.zeros((len(asked), len(near.embedding)), np.float32)
    heard = np.zeros((len(asked), len(near.heard)), np.float32)
    samples = np.maximum([end - start for start, end in known], 0)
    if rows:
        places, weight = [known[row] for row in rows], samples[rows, None].astype(np.float32)
        found, heard[rows] = spans.heard(places)
        embeddings[rows] = found * weight
    back = [row for row, (start, _) in enumerate(asked) if start < near.end]
    embeddings[back] += near.embedding * np.float32(near.samples)
    parts = np.stack([heard[back], np.tile(near.heard, (len(back), 1))], axis=1)
    lengths = np.stack([samples[back], np.full(len(back), near.samples)], axis=1)
    heard[back] = heard_together(parts, lengths / SAMPLE_RATE_HZ, magnitude)
    samples[back] += near.samples
    return unit(embeddings), samples, heard
