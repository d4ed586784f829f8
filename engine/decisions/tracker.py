"""One stream over time: embedded windows in, scores, decisions and changes of voice out.

Windows come in the order of media time, and there is no other time. Speech is divided into runs,
each taken to be of one voice. A run as a whole gives the evidence (``evidence``), the bounds on
it make the states (``states``), and the run ends where another voice begins
(``change_detector``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from engine.decisions.change_detector import EmbeddedWindow, LeadingSpeaker, SpeakerChange
from engine.decisions.config import DecisionConfig
from engine.decisions.evidence import Evidence
from engine.decisions.score_events import score_events
from engine.decisions.session_voices import SessionVoices, Voice
from engine.decisions.states import TRANSITIONS, Trigger, alike, weigh, words
from engine.decisions.tracker_settings import TrackerSettings
from engine.decisions.turn_verdict import TurnSpeech, score_turn, turn_verdict
from engine.decisions.voice_run import VoiceRun
from engine.events import AnyEvent, Change, Decision, State, Utterance
from engine.format import SAMPLE_RATE_HZ, seconds
from engine.model.manifest import DecisionFigures
from engine.scoring.identify import EnrolledVoiceprints, Float64, Ranking, rank
from engine.scoring.scorer import CalibratedScorer, CalibratedScores, PreparedEmbeddings
from engine.spans.interface import SpeechEmbeddings

__all__ = ["EmbeddedWindow", "EnrolledVoiceprints", "Tracker", "TrackerSettings"]


@dataclass(frozen=True, slots=True, eq=False)
class _CurrentState:
    """The state that holds and the settings it was decided by.

    ``end`` and ``position`` are those of the last window, as in :class:`WindowPlace`.
    """

    state: State
    speaker: str | None
    llr: float
    asked: DecisionConfig
    end: int
    position: int


class Tracker:
    """Keeps the state of one stream, its voices and sums; silence of ``forget_s`` ends a run."""

    def __init__(self, scorer: CalibratedScorer, prior: float, forget_s: float = 30.0) -> None:
        self._figures = scorer.calibration.evidence or DecisionFigures()
        self._scorer, self._prior = scorer, prior
        self._forget = forget_s * SAMPLE_RATE_HZ
        self._voices = SessionVoices(scorer)
        self._voice_run: VoiceRun | None = None
        self._last: EmbeddedWindow | None = None
        self._current: _CurrentState | None = None
        self._told: tuple[State, str | None] | None = None  # by the last decision
        self._match = 0  # samples
        self.decisions: Counter[str] = Counter()

    @property
    def match_s(self) -> float:
        """Net speech from each match to the score after it: silence is no match."""
        return seconds(self._match)

    def add(self, window: EmbeddedWindow, settings: TrackerSettings) -> list[AnyEvent]:
        """What an embedded window says."""
        voice_run = self._voice_run or self._run(window.place.speech_start, None)
        self._pause(window, voice_run.evidence)
        scores = self._compare(settings.enrolled, window.prepared)
        leading = self._lead(settings.enrolled, scores)
        change = voice_run.detector.check(window, leading, settings.decisions)
        ended: Voice | None = None
        if change is not None:
            ended = voice_run.end(change.voice, change.voice_samples / SAMPLE_RATE_HZ)
            voice_run = self._run(change.position, change)
        run = voice_run.join(window, self._voices, ended)
        voice_run.detector.add(window, run, voice_run.evidence.samples)
        self._voice_run, self._last = voice_run, window
        events: list[AnyEvent] = []
        if change is not None and ended is not None:
            events.append(self._change(window, change, ended, voice_run))
        if scores is not None:
            run_scores = scores if run is window.prepared else self._compare(settings.enrolled, run)
            assert run_scores is not None
            evidence = self._weighed(settings.enrolled, run_scores)
            events += score_events(
                window,
                settings.enrolled,
                scores,
                evidence,
                self._prior,
                every=settings.claimed,
            )
            events += self._decide(window, settings, scores, evidence, voice_run, change)
        return events

    def lapse(
        self,
        t: float,
        net_speech_s: float,
        reason: str,
        settings: TrackerSettings,
        *,
        forget: bool = False,
    ) -> list[AnyEvent]:
        """The state holds no longer, for a reason that no score gives.

        With ``forget`` the speech so far does not count either: whoever is next is anybody.
        """
        if forget and self._voice_run is not None and self._voice_run.prepared is not None:
            self._voice_run.end(self._voice_run.prepared, self._voice_run.speech_s)
            self._voice_run = self._last = None
        state = TRANSITIONS[self._current.state if self._current else "insufficient"]["lapse"]
        self._current = None
        if self._told is None or self._told[0] == state:
            return []
        named = (
            self._told[1] if settings.claimed and self._told[1] in settings.enrolled.names else None
        )
        decision = Decision(
            t=t,
            state=state,
            speaker=named,
            since=t,
            llr=None,
            net_speech_s=net_speech_s,
            reason=reason,
            accept_llr=settings.decisions.accept_llr,
            reject_llr=settings.decisions.reject_llr,
        )
        return self._decided(decision)

    def utterance(
        self,
        spans: SpeechEmbeddings,
        turn: TurnSpeech,
        settings: TrackerSettings,
    ) -> Utterance:
        """The verdict on a turn that has ended, by its own speech."""
        heard = self._last is not None and self._last.place.position > turn.start
        voice = self._voice_run.voice if self._voice_run is not None and heard else None
        scores = score_turn(self._scorer, self._figures, spans, turn, settings)
        label = voice.label if voice else None
        return turn_verdict(spans, turn, settings, scores, self._prior, label)

    def _run(self, begins: int, change: SpeakerChange | None) -> VoiceRun:
        return VoiceRun(self._scorer, self._figures, begins, change)

    def _pause(self, window: EmbeddedWindow, run: Evidence) -> None:
        """Silence since the last window lets what was heard before it count for less."""
        if self._last is not None:
            passed = window.place.end - self._last.place.end
            silence = passed - (window.place.position - self._last.place.position)
            if silence > 0:
                run.age(max(0.0, 1 - silence / self._forget))

    def _compare(
        self, enrolled: EnrolledVoiceprints, test: PreparedEmbeddings
    ) -> CalibratedScores | None:
        return None if enrolled.prepared is None else self._scorer.table(enrolled.prepared, test)

    def _lead(
        self, enrolled: EnrolledVoiceprints, scores: CalibratedScores | None
    ) -> LeadingSpeaker | None:
        """Whom the scores speak of: who is matched, or else the nearest."""
        if scores is None:
            return None
        llr = enrolled.by_speaker(scores.llr[0])
        last = self._current
        if last is not None and last.state == "match" and last.speaker in enrolled.number:
            return LeadingSpeaker(float(llr[enrolled.number[last.speaker]]), True)
        return LeadingSpeaker(float(llr.max()), False)

    def _weighed(self, enrolled: EnrolledVoiceprints, run: CalibratedScores) -> Float64:
        """The evidence for each speaker, before they are held against each other."""
        llr = enrolled.by_speaker(run.llr[0])
        return np.asarray(self._figures.slope * llr + self._figures.offset, np.float64)

    def _change(
        self, window: EmbeddedWindow, change: SpeakerChange, ended: Voice, voice_run: VoiceRun
    ) -> Change:
        assert voice_run.voice is not None
        now = seconds(window.at)
        return Change(
            t=now,
            at=seconds(change.at),
            detected_at=now,
            llr=change.llr,
            from_speaker=ended.called,
            to_speaker=voice_run.voice.called,
        )

    def _meant(
        self, settings: TrackerSettings, evidence: Float64, before: _CurrentState | None
    ) -> Ranking:
        """Who is decided on: the matched one, unless another is beyond doubt; else the best."""
        best = rank(evidence)
        matched = before is not None and before.state == "match"
        if before is None or not matched or before.speaker not in settings.enrolled.number:
            return best
        if best.evidence >= settings.decisions.accept_llr:
            return best
        return rank(evidence, settings.enrolled.number[before.speaker])

    def _next(
        self,
        settings: TrackerSettings,
        evidence: Float64,
        speech_s: float,
        change: SpeakerChange | None,
    ) -> tuple[State, Ranking, Trigger]:
        """The state by this evidence, whom it is of, and what led to it."""
        before = self._current
        state: State = before.state if before is not None else "insufficient"
        if change is not None:
            state, before = TRANSITIONS[state]["alarm"], None
        elif before is not None and before.asked != settings.decisions:
            state, before = TRANSITIONS[state]["revised"], None
        found = self._meant(settings, evidence, before)
        little = speech_s < settings.decisions.decide_s
        trigger = "little" if little else weigh(settings.decisions, found, claimed=settings.claimed)
        return TRANSITIONS[state][trigger], found, trigger

    def _decide(
        self,
        window: EmbeddedWindow,
        settings: TrackerSettings,
        scores: CalibratedScores,
        evidence: Float64,
        voice_run: VoiceRun,
        change: SpeakerChange | None,
    ) -> list[AnyEvent]:
        assert voice_run.voice is not None
        state, found, trigger = self._next(settings, evidence, voice_run.speech_s, change)
        is_named = settings.claimed or state == "match"
        named = settings.enrolled.names[found.speaker] if is_named else None
        if state == "match":
            voice_run.voice.name = named
        config, before = settings.decisions, self._current
        if before is not None and before.state == "match":
            self._match += window.place.position - before.position
        llr = float(settings.enrolled.by_speaker(scores.llr[0])[found.speaker])
        place = window.place
        self._current = _CurrentState(state, named, llr, config, place.end, place.position)
        said = found.anybody if trigger in ("reject", "nobody") else found.evidence
        both = alike(config, found, settings.enrolled.names)
        t = seconds(window.at)
        reason = words(config, trigger, said, voice_run.speech_s, both)
        since = t if change is None else seconds(change.at)
        decision = Decision(
            t=t,
            state=state,
            speaker=named,
            since=since,
            llr=llr,
            net_speech_s=seconds(window.place.position),
            reason=reason if change is None else f"another voice since {since:.1f} s; {reason}",
            evidence=said,
            accept_llr=config.accept_llr,
            reject_llr=config.reject_llr,
            voice=voice_run.voice.label,
        )
        return self._decided(decision)

    def _decided(self, decision: Decision) -> list[AnyEvent]:
        """The decision, where it says something new."""
        if (decision.state, decision.speaker) == self._told:
            return []
        self._told = decision.state, decision.speaker
        self.decisions[decision.state] += 1
        return [decision]
