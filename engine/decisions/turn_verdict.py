"""The verdict on one turn, by its own speech alone.

What was said before can make no turn a match: the embedding is of exactly the turn's speech, heard
with the silence behind it, and the bounds are those that the user's error rates ask for. A short
turn is scored too; that there is little of it the calibration knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.audio.quality import QualityFigures
from engine.decisions.doubt import Doubt, fields_of, open_trial, too_little, why_open
from engine.decisions.states import FROM_EVERY_STATE, alike, weigh, words
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import State, Utterance
from engine.format import seconds
from engine.model.manifest import DecisionFigures
from engine.scoring.identify import Ranking, rank
from engine.scoring.scorer import CalibratedScorer, CalibratedScores, Float32, posterior
from engine.spans.interface import LEAST_SAMPLES, SpeechEmbeddings


@dataclass(frozen=True, slots=True)
class TurnSpeech:
    """A turn, or the part of it that is one voice's: net speech ``[start, end)``.

    It was known to be over at media sample ``at``; ``sound`` is what was measured of it. A voice in
    the background is ``below_db`` under the one before.
    """

    start: int
    end: int
    at: int
    sound: QualityFigures | None = None
    below_db: float | None = None

    @property
    def speech_s(self) -> float:
        """Net seconds of speech."""
        return seconds(self.end - self.start)


@dataclass(frozen=True, slots=True, eq=False)
class TurnScores:
    """Whom the speech of a turn is like: the LLRs as they are, and as evidence to be bounded.

    ``scores`` ``(1, rows)`` are those with every prototype. ``heard`` ``(3,)`` says how it was
    heard, as :meth:`engine.spans.interface.Spans.heard` does.
    """

    llr: Ranking
    evidence: Ranking
    scores: CalibratedScores
    heard: Float32


@dataclass(frozen=True, slots=True)
class _Judged:
    """The state of a turn, whom it is about, the evidence that it follows from, and the words."""

    state: State
    speaker: str | None
    evidence: float | None
    reason: str


class TurnJudge:
    """Gives verdicts on turns. ``prior`` is the probability of a match before anything is heard."""

    def __init__(self, scorer: CalibratedScorer, figures: DecisionFigures, prior: float) -> None:
        self._scorer, self._figures, self._prior = scorer, figures, prior

    def verdict(
        self,
        spans: SpeechEmbeddings,
        turn: TurnSpeech,
        settings: TrackerSettings,
    ) -> Utterance:
        """What is told of a turn that has ended, but for the session's label of the voice."""
        scores = self._scores(spans, turn, settings)
        judged = _judged(spans, turn, settings, scores)
        config, llr = settings.decisions, None if scores is None else scores.llr.evidence
        return Utterance(
            t=seconds(turn.at),
            start=seconds(spans.timeline.begins(turn.start)),
            end=seconds(spans.timeline.ends(turn.end)),
            speech_s=turn.speech_s,
            state=judged.state,
            speaker=judged.speaker,
            llr=llr,
            posterior=None if llr is None else float(posterior(llr, self._prior)),
            evidence=judged.evidence,
            accept_llr=config.accept_llr,
            reject_llr=config.reject_llr,
            problems=() if turn.sound is None else turn.sound.problems,
            reason=judged.reason,
            false_accept=config.false_accept,
            background=turn.below_db is not None,
            below_db=turn.below_db,
            **fields_of(self._doubt(turn, settings, scores, judged.state)),
        )

    def _scores(
        self, spans: SpeechEmbeddings, turn: TurnSpeech, settings: TrackerSettings
    ) -> TurnScores | None:
        """The scores of exactly this speech.

        ``None`` where nobody is enrolled, there is too little of it or its embedding failed.
        """
        enrolled, short = settings.enrolled, turn.end - turn.start < LEAST_SAMPLES
        if settings.suspicion is not None:
            return None
        if enrolled.prepared is None or short or spans.failure(turn.start, turn.end) is not None:
            return None
        asked = [(turn.start, turn.end)]
        embeddings, heard = spans.heard(asked, margins=True)
        worth = self._scorer.worth(self._scorer.prepare(embeddings, turn.speech_s), heard)
        scores = self._scorer.table(enrolled.prepared, worth)
        llr = enrolled.by_speaker(scores.llr)[0]
        evidence = rank(self._figures.evidence(llr))
        return TurnScores(rank(llr, evidence.speaker), evidence, scores, heard[0])

    def _doubt(
        self, turn: TurnSpeech, settings: TrackerSettings, scores: TurnScores | None, state: State
    ) -> Doubt | None:
        """Why nothing is decided of it, where that is so."""
        if settings.suspicion is not None:
            return Doubt(settings.suspicion.problem, settings.suspicion.advice)
        if scores is None:
            short = settings.enrolled.names and turn.end - turn.start < LEAST_SAMPLES
            return too_little(turn.speech_s, seconds(LEAST_SAMPLES)) if short else None
        if state != "uncertain":
            return None
        trial = open_trial(settings, scores.evidence, scores.scores, turn.speech_s)
        trial = replace(trial, sound=turn.sound, heard=scores.heard, turn=True)
        return why_open(self._scorer, self._figures, settings.decisions, trial)


def _judged(
    spans: SpeechEmbeddings, turn: TurnSpeech, settings: TrackerSettings, scores: TurnScores | None
) -> _Judged:
    """What a turn's scores say, or that it has none."""
    config, names = settings.decisions, settings.enrolled.names
    # Where nobody is enrolled nobody can be known, however much is said.
    state: State = "insufficient" if names else "unknown"
    speaker, said, reason = None, None, _unscored(spans, turn, settings)
    if scores is not None:
        found = scores.evidence
        trigger = weigh(config, found, claimed=settings.claimed)
        state = FROM_EVERY_STATE.get(trigger, "uncertain")
        named = settings.claimed or state == "match"
        speaker = names[found.speaker] if named else None
        said = found.anybody if trigger in ("reject", "nobody") else found.evidence
        reason = words(config, trigger, said, turn.speech_s, alike(config, found, names))
    if turn.below_db is not None:
        far = f"{turn.below_db:.0f} dB below the voice before: in the background"
        reason = f"{far}; {reason}" if reason else far
    return _Judged(state, speaker, said, reason)


def _unscored(spans: SpeechEmbeddings, turn: TurnSpeech, settings: TrackerSettings) -> str:
    """Why a turn has no scores, if it has none."""
    if not settings.enrolled.names:
        return "nobody is enrolled"
    if settings.suspicion is not None:
        return settings.suspicion.advice
    if turn.end - turn.start < LEAST_SAMPLES:
        return f"{turn.speech_s:.2f} s of speech, {seconds(LEAST_SAMPLES):g} s are needed"
    return spans.failure(turn.start, turn.end) or ""
