"""The score events of a span: one for each speaker who is claimed, or for the best of all."""

from __future__ import annotations

from dataclasses import dataclass

from engine.events import Score
from engine.format import seconds
from engine.scoring.identify import EnrolledVoiceprints, Float64, rank
from engine.scoring.scorer import CalibratedScores, posterior


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """The last speech of a turn: net speech ``[start, end)``, known at media sample ``at``."""

    start: int
    end: int
    at: int

    @property
    def place(self) -> tuple[int, int]:
        """Where it begins and ends."""
        return self.start, self.end


def score_events(
    span: ScoredSpan,
    enrolled: EnrolledVoiceprints,
    scores: CalibratedScores,
    evidence: Float64,
    prior: float,
    *,
    every: bool,
) -> list[Score]:
    """What a span's ``scores`` ``(1, rows)`` say of ``every`` speaker, by name, or of the best.

    ``evidence`` ``(speakers,)`` is that they speak now, and ``prior`` the probability of a claim.
    """
    if every:
        chosen: list[tuple[int, int | None]] = [(i, None) for i in range(len(enrolled.names))]
    else:
        best = rank(enrolled.by_speaker(scores.llr[0]))
        chosen = [(best.speaker, best.runner_up)]
    return [
        _score(span, enrolled, scores, float(evidence[speaker]), prior, speaker, runner_up)
        for speaker, runner_up in chosen
    ]


def _score(
    span: ScoredSpan,
    enrolled: EnrolledVoiceprints,
    scores: CalibratedScores,
    evidence: float,
    prior: float,
    speaker: int,
    runner_up: int | None,
) -> Score:
    row = enrolled.row(speaker, scores.llr[0])
    llr = float(scores.llr[0, row])
    return Score(
        t=seconds(span.at),
        speaker=enrolled.names[speaker],
        cosine=float(scores.cosine[0, row]),
        norm=float(scores.norm[0, row]),
        llr=llr,
        posterior=float(posterior(llr, prior)),
        runner_up=None if runner_up is None else enrolled.names[runner_up],
        net_speech_s=seconds(span.end),
        window_s=seconds(span.end - span.start),
        evidence=evidence,
    )
