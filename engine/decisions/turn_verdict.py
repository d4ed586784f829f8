"""The verdict on one turn, by its own speech alone.

What was said before can make no turn a match: the embedding is of exactly the turn's speech, and
the bounds are those that the user's error rates ask for. A short turn is scored too; that there
is little of it the calibration knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.decisions.states import FROM_EVERY_STATE, alike, weigh, words
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import Problem, State, Utterance
from engine.format import SAMPLE_RATE_HZ, seconds
from engine.model.manifest import DecisionFigures
from engine.scoring.identify import Ranking, rank
from engine.scoring.scorer import CalibratedScorer, posterior
from engine.spans.interface import SpeechEmbeddings

LEAST_SAMPLES = round(0.4 * SAMPLE_RATE_HZ)  # Less speech than 0.4 s says nothing of a voice.


@dataclass(frozen=True, slots=True)
class TurnSpeech:
    """A turn, or the part of it that is one voice's: net speech ``[start, end)``.

    It was known to be over at media sample ``at``; ``problems`` are those of its sound.
    """

    start: int
    end: int
    at: int
    problems: tuple[Problem, ...] = ()

    @property
    def speech_s(self) -> float:
        """Net seconds of speech."""
        return seconds(self.end - self.start)


@dataclass(frozen=True, slots=True)
class TurnScores:
    """Whom the speech of a turn is like: the LLRs as they are, and as evidence to be bounded."""

    llr: Ranking
    evidence: Ranking


def score_turn(
    scorer: CalibratedScorer,
    figures: DecisionFigures,
    spans: SpeechEmbeddings,
    turn: TurnSpeech,
    settings: TrackerSettings,
) -> TurnScores | None:
    """The scores of exactly this speech.

    ``None`` where nobody is enrolled, there is too little of it or its embedding failed.
    """
    enrolled, short = settings.enrolled, turn.end - turn.start < LEAST_SAMPLES
    if enrolled.prepared is None or short or spans.failure(turn.start, turn.end) is not None:
        return None
    heard = scorer.prepare(spans.embeddings([(turn.start, turn.end)]), turn.speech_s)
    llr = enrolled.by_speaker(scorer.table(enrolled.prepared, heard).llr)[0]
    evidence = rank(figures.evidence(llr))
    return TurnScores(rank(llr, evidence.speaker), evidence)


def turn_verdict(
    spans: SpeechEmbeddings,
    turn: TurnSpeech,
    settings: TrackerSettings,
    scores: TurnScores | None,
    prior: float,
    voice: str | None,
) -> Utterance:
    """What is told of a turn that has ended. ``voice`` is the session's label of the voice."""
    config, names, timeline = settings.decisions, settings.enrolled.names, spans.timeline
    # Where nobody is enrolled nobody can be known, however much is said.
    state: State = "insufficient" if names else "unknown"
    reason = _unscored(spans, turn, settings)
    speaker = llr = evidence = None
    if scores is not None:
        found = scores.evidence
        trigger = weigh(config, found, claimed=settings.claimed)
        state = FROM_EVERY_STATE.get(trigger, "uncertain")
        llr, evidence = scores.llr.evidence, found.evidence
        named = settings.claimed or state == "match"
        speaker = names[found.speaker] if named else None
        said = found.anybody if trigger in ("reject", "nobody") else evidence
        reason = words(config, trigger, said, turn.speech_s, alike(config, found, names))
    start, end = timeline.begins(turn.start), timeline.ends(turn.end)
    return Utterance(
        t=seconds(turn.at),
        start=seconds(start),
        end=seconds(end),
        speech_s=turn.speech_s,
        state=state,
        speaker=speaker,
        llr=llr,
        voice=voice,
        posterior=None if llr is None else float(posterior(llr, prior)),
        evidence=evidence,
        accept_llr=config.accept_llr,
        reject_llr=config.reject_llr,
        problems=turn.problems,
        reason=reason,
    )


def _unscored(spans: SpeechEmbeddings, turn: TurnSpeech, settings: TrackerSettings) -> str:
    """Why a turn has no scores, if it has none."""
    if not settings.enrolled.names:
        return "nobody is enrolled"
    if turn.end - turn.start < LEAST_SAMPLES:
        return f"{turn.speech_s:.2f} s of speech, {seconds(LEAST_SAMPLES):g} s are needed"
    return spans.failure(turn.start, turn.end) or ""
