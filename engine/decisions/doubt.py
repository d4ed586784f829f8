"""Why nothing is decided yet, and what would help.

Where the evidence stays between the bounds the figures are asked what they leave open: is it the
sound, are two of those enrolled alike, may another voice have begun, is there little speech, or
little of the enrolment? What more speech would bring is foreseen by the calibration: a score of
two voices grows with the speech behind it as its model says (``engine.scoring.scorer``), and
saturates. Where even a minute of the same would leave the ratio between the bounds, that is said,
and whether it is the noise that does so. What a room does to the sound is no noise.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from engine.audio.quality import NOISY_SNR_DB, QualityFigures
from engine.decisions.config import DecisionConfig
from engine.decisions.states import alike
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import Cause, Problem
from engine.model.manifest import DecisionFigures
from engine.scoring.identify import Ranking
from engine.scoring.scorer import CalibratedScorer, CalibratedScores, Float32
from engine.scoring.worth import CLEAN_DB, grown_worth_s

MUCH_S = 60.0  # of net speech: more than this says nothing new
FULL_ENROLMENT_S = 20.0  # of net speech, which an enrolment wants by default
NEAR_LLR = 2.0  # Evidence that lacks no more than this is near its bound.
GO_ON = ": go on"
QUIETER = "go somewhere quieter"
SOUND: tuple[tuple[Literal["noisy", "clipped", "quiet"], str], ...] = (
    ("noisy", QUIETER),
    ("clipped", "move back or lower the input level"),
    ("quiet", "speak up or move closer to the microphone"),
)


@dataclass(frozen=True, slots=True)
class OpenTrial:
    """Some speech whose evidence lies between the bounds, and the voiceprint it was held against.

    ``cosine`` and ``norm`` are the scores of its ``speech_s`` net seconds with the nearest
    prototype, which has ``enrolled_s``; ``heard`` ``(3,)`` says how it was heard, as
    :meth:`engine.spans.interface.Spans.heard` does. ``alike`` names two who are both like it,
    ``change`` says that another voice is likelier to have begun than not, and ``turn`` that no
    more speech comes.
    """

    evidence: float
    cosine: float
    norm: float
    speech_s: float
    enrolled_s: float
    sound: QualityFigures | None = None
    heard: Float32 | None = None
    alike: str = ""
    change: bool = False
    turn: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why nothing is decided: a code, and in words what it is and what helps.

    ``attainable_llr`` is the evidence that much more of the same speech would come to, and
    ``enrolled_s`` the net speech of the voiceprint, where there is one.
    """

    cause: Cause
    advice: str
    attainable_llr: float | None = None
    enrolled_s: float | None = None


def fields_of(doubt: Doubt | None) -> dict[str, Any]:
    """The fields of a decision or a verdict that say it."""
    return {} if doubt is None else asdict(doubt)


def open_trial(
    settings: TrackerSettings, found: Ranking, scores: CalibratedScores, speech_s: float
) -> OpenTrial:
    """Speech of which ``scores`` ``(1, rows)`` with every prototype leave ``found`` open."""
    enrolled, speaker = settings.enrolled, found.speaker
    assert enrolled.prepared is not None
    row = enrolled.row(speaker, scores.llr[0])
    return OpenTrial(
        found.evidence,
        cosine=float(scores.cosine[0, row]),
        norm=float(scores.norm[0, row]),
        speech_s=speech_s,
        enrolled_s=float(enrolled.prepared.speech_s[row]),
        alike=alike(settings.decisions, found, enrolled.names),
    )


def too_little(speech_s: float, needed_s: float) -> Doubt:
    """There is less speech than is judged at all."""
    return Doubt("little-speech", f"{speech_s:.1f} s of speech, {needed_s:g} s are needed{GO_ON}")


def why_open(
    scorer: CalibratedScorer, figures: DecisionFigures, config: DecisionConfig, trial: OpenTrial
) -> Doubt:
    """What keeps the evidence of ``trial`` between the bounds; of several things the plainest."""

    now_s, much_s = (_worth_s(scorer, trial, one) for one in (trial.speech_s, MUCH_S))
    quiet_s = _worth_s(scorer, replace(trial, heard=_without_noise(trial.heard)), MUCH_S)

    def foreseen(enrolled_s: float, tested_s: float) -> float:
        speech_s, later_s = (trial.enrolled_s, now_s), (enrolled_s, tested_s)
        return float(figures.evidence(scorer.foreseen(trial.norm, trial.cosine, speech_s, later_s)))

    most = foreseen(trial.enrolled_s, much_s)
    fuller = foreseen(max(trial.enrolled_s, FULL_ENROLMENT_S), much_s)
    quiet = foreseen(trial.enrolled_s, quiet_s)
    # With less speech than this what was said weighs more than who said it: nothing is foreseen.
    short = trial.speech_s < scorer.calibration.half_speech_s
    cause, advice = (
        _of_sound(trial.sound)
        or _of_voices(trial)
        or _of_speech(config, trial, (most, fuller, quiet), short=short)
    )
    return Doubt(cause, advice, round(most, 2), round(trial.enrolled_s, 1))


def _worth_s(scorer: CalibratedScorer, trial: OpenTrial, speech_s: float) -> float:
    """What so much speech that is heard like that of ``trial`` is worth in usual, clean speech."""
    if trial.heard is None:
        return speech_s
    return grown_worth_s(scorer.calibration, trial.speech_s, trial.heard, speech_s)


def _without_noise(heard: Float32 | None) -> Float32 | None:
    """How the same would be heard in quiet: in the same room, where there is no noise.

    Much noise takes from an embedding's magnitude, too.
    """
    if heard is None:
        return None
    snr_db, c50_db, magnitude = heard
    usual = math.nan
    return np.array([CLEAN_DB, c50_db, usual if snr_db < NOISY_SNR_DB else magnitude], np.float32)


def _of_sound(sound: QualityFigures | None) -> tuple[Cause, str] | None:
    for problem, help_words in SOUND:
        if sound is not None and problem in sound.problems:
            return problem, f"the sound is {problem}{_figure(problem, sound)}: {help_words}"
    return None


def _figure(problem: Problem, sound: QualityFigures) -> str:
    if problem == "noisy" and sound.snr_db is not None:
        return f" ({sound.snr_db:.0f} dB above the noise)"
    if problem == "quiet" and sound.level_dbfs is not None:
        return f" ({sound.level_dbfs:.0f} dBFS)"
    return f" ({100 * sound.clipped:.1f} % of it)" if problem == "clipped" else ""


def _of_voices(trial: OpenTrial) -> tuple[Cause, str] | None:
    if trial.alike:
        return "like-voices", f"{trial.alike} have like voices: claim one of them"
    if trial.change:
        return "another-voice", "another voice may have begun: more speech will tell"
    return None


def _of_speech(
    config: DecisionConfig, trial: OpenTrial, foreseen: tuple[float, float, float], *, short: bool
) -> tuple[Cause, str]:
    """By the evidence ``foreseen`` of much more: of the same, with a full enrolment, and in quiet.

    A ``short`` trial is no ground to say that more of it would not tell.
    """
    bound, (most, fuller, quiet) = config.accept_llr, foreseen
    open_still = config.reject_llr < most < bound
    if open_still and not short and not config.reject_llr < quiet < bound:
        return "noisy", f"more speech in this noise cannot decide: {QUIETER}"
    if open_still and fuller >= bound:
        return "short-enrolment", f"the enrolment has {trial.enrolled_s:.0f} s: enrol more"
    if short or not open_still:
        sure = "may" if open_still else "would" if trial.turn else "will"
        told = f"a longer turn {sure} tell" if trial.turn else f"more speech {sure} tell"
        return "more-speech", f"{trial.speech_s:.1f} s of speech so far: {told}"
    needs = f"evidence {trial.evidence:+.1f}, needs {bound:+.1f}"
    helps = "enrol more, with this microphone, or accept a higher error rate"
    if bound - max(most, trial.evidence) <= NEAR_LLR:
        words = f"this voice is near the bound: {needs}, and much more speech gives {most:+.1f}"
        return "near-bound", f"{words}: {helps}"
    words = f"more speech of this kind cannot decide: {needs}, and much more gives {most:+.1f}"
    return "saturated", f"{words}: {helps}"
