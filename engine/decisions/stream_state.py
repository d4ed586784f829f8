"""The state of a stream: what is decided of who speaks, and when that is told.

The state follows from how likely it is that each person speaks now, by the bounds of the user's
error rates (:mod:`engine.decisions.states`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from engine.decisions.belief import Belief
from engine.decisions.change_filter import ChangeFilter
from engine.decisions.config import DecisionConfig
from engine.decisions.doubt import GO_ON, Doubt, fields_of, open_trial, too_little, why_open
from engine.decisions.known_speech import KnownSpeech
from engine.decisions.session_voices import Voice
from engine.decisions.states import TRANSITIONS, Trigger, alike, weigh, words
from engine.decisions.told import ToldDecisions
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import Change, Decision, State
from engine.format import seconds
from engine.model.manifest import DecisionFigures
from engine.scoring.identify import Float64, Ranking, rank
from engine.scoring.scorer import CalibratedScorer
from engine.spans.interface import LEAST_SAMPLES, SpeechEmbeddings

HOLDING_LOG_ODDS = math.log(3)  # That it is nobody holds while the odds for it are three to one.


@dataclass(frozen=True, slots=True)
class _CurrentState:
    """The state that holds, at net sample ``position``, and the error rates it was decided by."""

    state: State
    speaker: str | None
    asked: DecisionConfig
    position: int


@dataclass(frozen=True, slots=True, eq=False)
class _EnteredState:
    """The state entered at a place, by what ``trigger``, and whom it was found to be about."""

    state: State
    speaker: str | None
    found: Ranking
    trigger: Trigger


class StreamState:
    """Keeps the state, what was told of it, and for how long it was a match."""

    def __init__(self, scorer: CalibratedScorer, figures: DecisionFigures) -> None:
        self._scorer, self._figures = scorer, figures
        self._begins = 0  # what is known: the speech before is forgotten
        self._current: _CurrentState | None = None
        self._told = ToldDecisions()
        self._match = 0  # samples

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each state was entered."""
        return self._told.counts

    @property
    def match_s(self) -> float:
        """Net speech from each match to the place after it: silence is no match."""
        return seconds(self._match)

    @property
    def matched(self) -> bool:
        """Whether somebody is matched now."""
        return self._current is not None and self._current.state == "match"

    def forget(self, position: int) -> None:
        """What was said before ``position`` says nothing of who speaks."""
        self._begins = position

    def lapse(
        self, t: float, net_speech_s: float, reason: str, settings: TrackerSettings
    ) -> Sequence[Decision]:
        """The state holds no longer, for a reason that no score gives."""
        state = TRANSITIONS[self._current.state if self._current else "insufficient"]["lapse"]
        self._current, last = None, self._told.last
        if last is None or last.state == state:
            return []
        known = settings.claimed and last.speaker in settings.enrolled.names
        named = last.speaker if known else None
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
            false_accept=settings.decisions.false_accept,
        )
        return self._told.add(decision, 0)

    def begin(self, t: float, position: int, settings: TrackerSettings) -> Sequence[Decision]:
        """After ``t`` seconds of the stream: where nobody spoke yet, that nothing can be said."""
        names, config = settings.enrolled.names, settings.decisions
        if self._told.last is not None or not names or settings.suspicion is not None:
            return []
        if position - self._begins >= LEAST_SAMPLES:  # of which something will be said
            return []
        little = too_little(seconds(position - self._begins), config.decide_s)
        decision = Decision(
            t=t,
            state="insufficient",
            speaker=names[0] if settings.claimed and len(names) == 1 else None,
            since=t,
            llr=None,
            net_speech_s=seconds(position),
            reason=little.advice.removesuffix(GO_ON),
            accept_llr=config.accept_llr,
            reject_llr=config.reject_llr,
            false_accept=config.false_accept,
            **fields_of(little),
        )
        return self._told.add(decision, position)

    def suspect(self, t: float, position: int, settings: TrackerSettings) -> Sequence[Decision]:
        """The sound seems to be other than declared: nothing is said of who speaks."""
        self._current, suspicion = None, settings.suspicion
        if suspicion is None or not settings.enrolled.names:
            return []
        decision = Decision(
            t=t,
            state="insufficient",
            speaker=None,
            since=t,
            llr=None,
            net_speech_s=seconds(position),
            reason=suspicion.advice,
            cause=suspicion.problem,
            advice=suspicion.advice,
            false_accept=settings.decisions.false_accept,
        )
        return self._told.add(decision, position)

    def evidence(self, belief: Belief) -> Float64:
        """That each person speaks now, ``(N,)``: what the user's bounds are held against."""
        return self._figures.evidence(belief.odds)

    def _ranking(self, belief: Belief, speaker: int | None = None) -> Ranking:
        """The evidence for a person, or for the likeliest of all, and that it is any of them."""
        evidence = self.evidence(belief)
        found = rank(evidence, speaker)
        anybody = float(self._figures.evidence(np.array(belief.anybody)))
        return replace(found, evidence=float(evidence[found.speaker]), anybody=anybody)

    def _meant(self, belief: Belief, settings: TrackerSettings) -> Ranking:
        """Who is decided on: the matched one, unless another is beyond doubt; else the best."""
        best, held = self._ranking(belief), self._current
        if held is None or held.state != "match" or held.speaker not in settings.enrolled.number:
            return best
        if best.evidence >= settings.decisions.accept_llr:
            return best
        return self._ranking(belief, settings.enrolled.number[held.speaker])

    def _trigger(self, belief: Belief, found: Ranking, known: KnownSpeech) -> Trigger:
        """What leads to the next state."""
        config, held = known.settings.decisions, self._current
        if seconds(known.mark.position - self._begins) < config.decide_s:
            return "little"
        trigger = weigh(config, found, claimed=known.settings.claimed)
        if held is None or trigger == "accept":
            return trigger
        matched = held.state == "match"
        # A match is given up as seldom as the user asks, and not at the bound of a first decision.
        if matched and -belief.odds[found.speaker] <= self._alarm_height(config):
            return "between"
        if trigger != "between":
            return trigger
        return "between" if not matched and -belief.anybody >= HOLDING_LOG_ODDS else "doubt"

    def _alarm_height(self, config: DecisionConfig) -> float:
        """The log odds, of a change or against who is matched, at which a match is given up."""
        return self._figures.takeover.height(config.false_alarms_per_hour)

    def decide(
        self,
        followed: ChangeFilter,
        spans: SpeechEmbeddings,
        belief: Belief,
        known: KnownSpeech,
        change: Change | None,
        llr: Float64 | None,
        voice: Voice | None,
    ) -> Sequence[Decision]:
        """What is decided by the ``belief`` of the filter that is ``followed``, where that is news.

        ``llr`` ``(N,)`` are the ratios of the span that is scored here, ``voice`` is who speaks.
        """
        position, held = known.mark.position, self._current
        if held is not None and held.state == "match" and belief.far is None:
            self._match += position - held.position
        entered = self._enter(belief, known, changed=change is not None)
        if entered.state == "match" and voice is not None:
            if voice.denied_s < known.settings.decisions.decide_s:
                voice.name = voice.name or entered.speaker
            # Somebody else is matched: another voice has begun, which is not yet told.
            voice = voice if voice.name == entered.speaker else None
        asked = known.settings.decisions
        self._current = _CurrentState(entered.state, entered.speaker, asked, position)
        began = None if change is None else change.at
        if not self._told.wants(entered.state, entered.speaker, position, began):
            return []
        decision = _decision(entered, known, seconds(position - followed.start), began)
        decision = structs.replace(
            decision,
            llr=None if llr is None else float(llr[entered.found.speaker]),
            voice=None if voice is None else voice.label,
            **fields_of(self._doubt(followed, spans, belief, known, entered, held)),
        )
        return self._told.add(decision, position, changed=change is not None)

    def _enter(self, belief: Belief, known: KnownSpeech, *, changed: bool) -> _EnteredState:
        """The state that follows from the ``belief``, and from whether the voice ``changed``."""
        settings, held = known.settings, self._current
        state: State = "insufficient" if held is None else held.state
        if changed:
            state, self._current = TRANSITIONS[state]["alarm"], None
        elif held is not None and held.asked != settings.decisions:
            state, self._current = TRANSITIONS[state]["revised"], None
        found = self._meant(belief, settings)
        trigger = self._trigger(belief, found, known)
        state = TRANSITIONS[state][trigger]
        is_named = settings.claimed or state == "match"
        named = settings.enrolled.names[found.speaker] if is_named else None
        held = self._current
        if held is not None and held.state == state == "mismatch":
            named = held.speaker  # All of them are denied: who of them is nearest is no news.
        return _EnteredState(state, named, found, trigger)

    def _doubt(
        self,
        followed: ChangeFilter,
        spans: SpeechEmbeddings,
        belief: Belief,
        known: KnownSpeech,
        entered: _EnteredState,
        held: _CurrentState | None,
    ) -> Doubt | None:
        """Why the state is open, where it is.

        What was decided and is in doubt now may mean another voice, until that has lasted.
        """
        mark, settings = known.mark, known.settings
        if entered.state == "insufficient":
            speech_s = seconds(mark.position - self._begins)
            return too_little(speech_s, settings.decisions.decide_s)
        if entered.state != "uncertain":
            return None
        place = followed.start, mark.position
        scores = followed.scores(spans, place, settings.enrolled)
        assert scores is not None
        voice = followed.voice(spans, *place)
        trial = open_trial(settings, entered.found, scores, float(voice.speech_s[0]))
        was_settled = held is not None and held.state not in ("insufficient", "uncertain")
        change = was_settled or belief.log_odds > 0
        heard = followed.heard(spans, place)
        trial = replace(trial, sound=known.sound, heard=heard, change=change)
        return why_open(self._scorer, self._figures, settings.decisions, trial)


def _decision(
    entered: _EnteredState, known: KnownSpeech, speech_s: float, began: float | None
) -> Decision:
    """The decision as it is told, but for scores, voice and doubts.

    ``began`` is when another voice began, if one did, and ``speech_s`` what it has said.
    """
    mark, settings, found = known.mark, known.settings, entered.found
    config, t = settings.decisions, seconds(mark.at)
    against = entered.trigger in ("reject", "nobody")
    said = found.anybody if against else found.evidence
    both = alike(config, found, settings.enrolled.names)
    reason = words(config, entered.trigger, said, speech_s, both)
    since = t if began is None else began
    return Decision(
        t=t,
        state=entered.state,
        speaker=entered.speaker,
        since=since,
        llr=None,
        net_speech_s=seconds(mark.position),
        reason=reason if began is None else f"another voice since {since:.1f} s; {reason}",
        evidence=said,
        accept_llr=config.accept_llr,
        reject_llr=config.reject_llr,
        false_accept=config.false_accept,
    )
