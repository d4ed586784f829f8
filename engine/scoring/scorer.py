"""From two embeddings to one number: cosine, normalised score, log-likelihood ratio.

Normalisation is adaptive symmetric (AS-norm): the cosine is taken relative to the mean
and standard deviation of each side's cosines with its nearest cohort speakers (Matejka et
al., "Analysis of Score Normalization in Multilingual Speaker Recognition", Interspeech
2017).

Calibration turns that score into a natural-log likelihood ratio (LLR) that knows how much
net speech stood behind either side. Its form follows from a Gaussian model. Let a voice
have one direction, and let an embedding of ``d`` seconds miss it by noise whose variance
falls as ``h / d``: the cosine of two embeddings of one speaker then shrinks by

    g = 1 / sqrt((1 + h / d_enrol) (1 + h / d_test))

while that of two speakers, once normalised, stays a standard normal. For equal variances
the LLR is ``m g s - (m g)^2 / 2``: a slope linear and an offset quadratic in ``g``.
Both saturate as speech grows, so that durations beyond those it was fitted on are safe.
Speech counts for as much usual, clean speech as it is worth (:mod:`engine.scoring.worth`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import BundleError
from engine.model.bundle import Bundle
from engine.model.manifest import Calibration
from engine.scoring.worth import UNKNOWN, worth_s

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

STD_FLOOR = 1e-4  # Least deviation of cohort cosines, so that nothing is divided by 0.


@dataclass(frozen=True, slots=True)
class CohortStats:
    """Mean and standard deviation ``(N,)`` of N embeddings' cosines with their cohort."""

    mean: Float64
    std: Float64

    def take(self, rows: ArrayLike) -> CohortStats:
        """The statistics at ``rows``, any of them any number of times."""
        rows = np.asarray(rows)
        return CohortStats(self.mean[rows], self.std[rows])


@dataclass(frozen=True, slots=True)
class PreparedEmbeddings:
    """N embeddings with all that their scores need and no other side of a trial changes.

    ``embeddings`` float32 ``(N, D)`` of unit length, ``speech_s`` ``(N,)`` net seconds or, as
    :meth:`CalibratedScorer.worth` gives them, those of usual speech that they are worth,
    ``stats`` their place in the cohort, ``None`` without normalisation.
    """

    embeddings: Float32
    speech_s: Float64
    stats: CohortStats | None

    def take(self, rows: ArrayLike) -> PreparedEmbeddings:
        """The embeddings at ``rows``, any of them any number of times."""
        rows = np.asarray(rows)
        stats = None if self.stats is None else self.stats.take(rows)
        return PreparedEmbeddings(self.embeddings[rows], self.speech_s[rows], stats)

    @classmethod
    def stack(cls, parts: Sequence[PreparedEmbeddings]) -> PreparedEmbeddings:
        """The embeddings of all ``parts``, of which there is one at least, as one."""
        stats = [part.stats for part in parts if part.stats is not None]
        joined = None
        if stats:
            mean = np.concatenate([one.mean for one in stats])
            joined = CohortStats(mean, np.concatenate([one.std for one in stats]))
        embeddings = np.concatenate([part.embeddings for part in parts])
        return cls(embeddings, np.concatenate([part.speech_s for part in parts]), joined)


@dataclass(frozen=True, slots=True)
class Scores:
    """N trials, as arrays ``(N,)``, or ``(T, N)`` from a table.

    ``norm`` is the normalised score, which is the cosine where nothing normalises.
    """

    cosine: Float64
    norm: Float64


@dataclass(frozen=True, slots=True)
class CalibratedScores(Scores):
    """Scores with their log-likelihood ratios ``llr``, in nats."""

    llr: Float64


@dataclass(frozen=True, slots=True)
class TrialScore:
    """One trial: cosine, normalised score, and log-likelihood ratio in nats."""

    cosine: float
    norm: float
    llr: float


class Scorer:
    """Scores by the normalisation of one bundle. Stateless."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, manifest = bundle, bundle.manifest
        self._cohort = bundle.cohort if manifest.normalisation else None
        self._top = manifest.normalisation.top if manifest.normalisation else 0
        self._size = manifest.embedding_size

    def prepare(self, embeddings: Float32, speech_s: ArrayLike) -> PreparedEmbeddings:
        """Prepare embeddings ``(N, D)`` of ``speech_s`` net seconds, one figure or ``(N,)``.

        Raises ``ValueError`` for a wrong shape or for net speech that is not positive.
        """
        embeddings = np.asarray(embeddings, np.float32)
        if embeddings.ndim != 2 or embeddings.shape[1] != self._size:
            raise ValueError(f"embeddings must be (N, {self._size}), got {embeddings.shape}")
        seconds = np.full(len(embeddings), speech_s, np.float64)
        if not (seconds > 0).all():
            raise ValueError("net speech must be longer than nothing")
        stats = None
        if self._cohort is not None:
            stats = cohort_stats(embeddings, self._cohort, self._top)
        return PreparedEmbeddings(embeddings, seconds, stats)

    def compare(self, enrol: PreparedEmbeddings, test: PreparedEmbeddings) -> Scores:
        """Scores of row against row; one row meets every row of the other side."""
        cosine = np.asarray((enrol.embeddings * test.embeddings).sum(axis=1), np.float64)
        if enrol.stats is None or test.stats is None:
            return Scores(cosine, cosine)
        return Scores(cosine, as_norm(cosine, enrol.stats, test.stats))

    def table(self, enrol: PreparedEmbeddings, test: PreparedEmbeddings) -> Scores:
        """Every row of ``enrol`` against every row of ``test``, as arrays ``(T, N)``.

        Row by row and not as one matrix product: a row's score does not depend on who else
        is enrolled, and BLAS does not wait for a second thread on a busy machine. Ten thousand
        voiceprints take half a millisecond.
        """
        cosine = np.vecdot(enrol.embeddings, test.embeddings[:, None]).astype(np.float64)
        if enrol.stats is None or test.stats is None:
            return Scores(cosine, cosine)
        column = CohortStats(test.stats.mean[:, None], test.stats.std[:, None])
        return Scores(cosine, as_norm(cosine, enrol.stats, column))


class CalibratedScorer(Scorer):
    """A scorer whose scores are log-likelihood ratios as well.

    Raises :class:`BundleError` for a bundle without a calibration.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        if bundle.manifest.calibration is None:
            raise BundleError(
                "this model bundle is not calibrated: run `voxwatch calibrate` on it first"
            )
        self.calibration: Calibration = bundle.manifest.calibration

    def compare(self, enrol: PreparedEmbeddings, test: PreparedEmbeddings) -> CalibratedScores:
        """As :meth:`Scorer.compare`, calibrated."""
        return self._calibrated(super().compare(enrol, test), enrol.speech_s, test.speech_s)

    def table(self, enrol: PreparedEmbeddings, test: PreparedEmbeddings) -> CalibratedScores:
        """As :meth:`Scorer.table`, calibrated."""
        tested_s = test.speech_s[:, None]
        return self._calibrated(super().table(enrol, test), enrol.speech_s, tested_s)

    def score(
        self,
        enrol: Float32,
        enrol_speech_s: float,
        test: Float32,
        test_speech_s: float,
        heard: ArrayLike = UNKNOWN,
    ) -> TrialScore:
        """Score of one embedding ``(D,)`` against another, each with its net seconds.

        ``heard`` ``(3,)`` says how the test was heard, as :meth:`worth` has it.
        """
        tested = self.worth(self.prepare(test[None], test_speech_s), heard)
        scores = self.compare(self.prepare(enrol[None], enrol_speech_s), tested)
        return TrialScore(float(scores.cosine[0]), float(scores.norm[0]), float(scores.llr[0]))

    def worth(self, test: PreparedEmbeddings, heard: ArrayLike) -> PreparedEmbeddings:
        """Embeddings of a test, by how it was ``heard`` ``(N, 3)``.

        That is with which SNR and C50 in dB, and the logarithm of its embedding's magnitude.
        They count by the usual, clean speech that theirs is worth (:mod:`engine.scoring.worth`):
        to be held against voiceprints, and not against other spans of the same stream.
        """
        return replace(test, speech_s=worth_s(self.calibration, test.speech_s, heard))

    def gain(self, enrol: PreparedEmbeddings, test: PreparedEmbeddings) -> Float64:
        """``g`` of the module's docstring, row by row: what the speech of both sides is worth."""
        return speech_gain(self.calibration.half_speech_s, enrol.speech_s, test.speech_s)

    def foreseen(
        self,
        norm: float,
        cosine: float,
        speech_s: tuple[float, float],
        later_s: tuple[float, float],
    ) -> Float64:
        """The LLR that scores would have with other speech behind the enrolment and the test.

        Both scores of one voice grow with ``g`` of the module's docstring.
        """
        half_s = self.calibration.half_speech_s
        grown = speech_gain(half_s, *later_s) / speech_gain(half_s, *speech_s)
        return llr(self.calibration, norm * grown, cosine * grown, *later_s)

    def _calibrated(
        self, scores: Scores, enrol_s: ArrayLike, test_s: ArrayLike
    ) -> CalibratedScores:
        ratio = llr(self.calibration, scores.norm, scores.cosine, enrol_s, test_s)
        return CalibratedScores(scores.cosine, scores.norm, ratio)


def cohort_stats(embeddings: Float32, cohort: Float32, top: int) -> CohortStats:
    """Mean and deviation of the ``top`` largest cosines of each embedding with the cohort.

    ``embeddings`` ``(N, D)`` and ``cohort`` ``(M, D)`` have unit rows; ``top <= M``.
    """
    if not 1 <= top <= len(cohort):
        raise ValueError(f"top must lie between 1 and the cohort's {len(cohort)}, got {top}")
    # The same sums the other way round: the larger matrix as it lies, which takes BLAS half as
    # long as with its transpose.
    cosines = np.ascontiguousarray((cohort @ embeddings.T).T)
    cosines.partition(len(cohort) - top, axis=1)
    nearest = cosines[:, len(cohort) - top :].astype(np.float64)
    mean = nearest.sum(axis=1) / top
    nearest -= mean[:, None]
    std = np.sqrt(np.vecdot(nearest, nearest) / top)
    return CohortStats(mean, np.maximum(std, STD_FLOOR))


def as_norm(cosine: Float64, enrol: CohortStats, test: CohortStats) -> Float64:
    """Adaptive symmetric normalisation of cosines ``(N,)`` by the statistics of both sides."""
    by_enrol = (cosine - enrol.mean) / enrol.std
    by_test = (cosine - test.mean) / test.std
    return np.asarray(0.5 * (by_enrol + by_test), np.float64)


def speech_gain(half_speech_s: float, enrol_s: ArrayLike, test_s: ArrayLike) -> Float64:
    """``g`` of the module's docstring: 0 without speech, towards 1 with much of it."""
    enrol, test = np.asarray(enrol_s, np.float64), np.asarray(test_s, np.float64)
    return np.asarray(1 / np.sqrt((1 + half_speech_s / enrol) * (1 + half_speech_s / test)))


def llr(
    calibration: Calibration,
    norm: ArrayLike,
    cosine: ArrayLike,
    enrol_s: ArrayLike,
    test_s: ArrayLike,
) -> Float64:
    """Natural-log likelihood ratios of scores with their net speech in seconds."""
    g = speech_gain(calibration.half_speech_s, enrol_s, test_s)
    slope, raw, offset = calibration.slope, calibration.cosine, calibration.offset
    ratio: Any = (slope[0] + slope[1] * g) * np.asarray(norm, np.float64)
    ratio = ratio + (raw[0] + raw[1] * g) * np.asarray(cosine, np.float64)
    return np.asarray(ratio + offset[0] + offset[1] * g + offset[2] * g * g, np.float64)


def posterior(llr: ArrayLike, prior: float) -> Float64:
    """Probability that both voices are one, from a natural-log LLR and the prior in (0, 1)."""
    if not 0 < prior < 1:
        raise ValueError(f"a prior lies strictly between 0 and 1, got {prior}")
    logit = np.asarray(llr, np.float64) + np.log(prior / (1 - prior))
    # tanh, unlike exp, does not overflow for a ratio beyond doubt.
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)), np.float64)
