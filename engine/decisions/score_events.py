"""The score events of a window: one for each speaker who is claimed, or for the best of all."""

from __future__ import annotations

from engine.decisions.change_detector import EmbeddedWindow
from engine.events import Score
from engine.format import seconds
from engine.scoring.identify import EnrolledVoiceprints, Float64, rank
from engine.scoring.scorer import CalibratedScores, posterior


def score_events(
    window: EmbeddedWindow,
    enrolled: EnrolledVoiceprints,
    scores: CalibratedScores,
    evidence: Float64,
    prior: float,
    *,
    every: bool,
) -> list[Score]:
    """What a window's ``scores`` ``(1, rows)`` say of ``every`` speaker, by name, or of the best.

    ``evidence`` ``(speakers,)`` is that of the run, and ``prior`` the probability of a claim.
    """
    if every:
        chosen: list[tuple[int, int | None]] = [(i, None) for i in range(len(enrolled.names))]
    else:
        best = rank(enrolled.by_speaker(scores.llr[0]))
        chosen = [(best.speaker, best.runner_up)]
    return [
        _score(window, enrolled, scores, evidence, prior, speaker, runner_up)
        for speaker, runner_up in chosen
    ]


def _score(
    window: EmbeddedWindow,
    enrolled: EnrolledVoiceprints,
    scores: CalibratedScores,
    evidence: Float64,
    prior: float,
    speaker: int,
    runner_up: int | None,
) -> Score:
    row = enrolled.row(speaker, scores.llr[0])
    llr = float(scores.llr[0, row])
    return Score(
        t=seconds(window.at),
        speaker=enrolled.names[speaker],
        cosine=float(scores.cosine[0, row]),
        norm=float(scores.norm[0, row]),
        llr=llr,
        posterior=float(posterior(llr, prior)),
        runner_up=None if runner_up is None else enrolled.names[runner_up],
        net_speech_s=seconds(window.place.position),
        window_s=seconds(window.place.length),
        evidence=rank(evidence, speaker).evidence,
    )
