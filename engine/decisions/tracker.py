"""One stream over time: places in its speech in, scores, decisions, changes and verdicts out.

Places come in the order of media time, and there is no other time. At each of them the filter
(:mod:`engine.decisions.change_filter`) says how likely it is that each person speaks now, from
which the state follows (:mod:`engine.decisions.states`), and whether another voice has begun.
The end of a turn brings its verdict (:mod:`engine.decisions.turn_verdict`), which knows nothing of
all that.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.audio.quality import QualityFigures
from engine.decisions.change_filter import Belief, ChangeFilter
from engine.decisions.config import DecisionConfig
from engine.decisions.doubt import Doubt, fields_of, open_trial, too_little, why_open
from engine.decisions.score_events import ScoredSpan, score_events
from engine.decisions.session_voices import SessionVoices, Voice
from engine.decisions.states import TRANSITIONS, Trigger, alike, weigh, words
from engine.decisions.told import ToldDecisions
from engine.decisions.tracker_settings import TrackerSettings
from engine.decisions.turn_verdict import TurnJudge, TurnSpeech
from engine.events import AnyEvent, Change, Decision, State, Utterance
from engine.format import seconds
from engine.model.manifest import DecisionFigures
from engine.scoring.identify import Float64, Ranking, rank
from engine.scoring.scorer import CalibratedScorer
from engine.spans.interface import Mark, SpeechEmbeddings

HOLDING_LOG_ODDS = math.log(3)  # That it is nobody holds while the odds for it are three to one.


@dataclass(frozen=True, slots=True, eq=False)
class KnownSpeech:
    """A place that can be asked for, and the settings that it is decided by.

    ``scored`` is the span whose scores are told, if any are; ``sound`` is what was measured last,
    of a turn that ends here its own sound. Before the turn there was no sound at all
    for ``gap_s`` of the clock.
    """

    mark: Mark
    settings: TrackerSettings
    scored: ScoredSpan | None = None
    sound: QualityFigures | None = None
    gap_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _CurrentState:
    """The state that holds, at net sample ``position``, and the error rates it was decided by."""

    state: State
    speaker: str | None
    asked: DecisionConfig
    position: int


class Tracker:
    """Keeps the hypotheses, the state, the voices and the sums of one stream."""

    def __init__(self, scorer: CalibratedScorer, prior: float) -> None:
        self._figures = scorer.calibration.evidence or DecisionFigures()
        self._scorer, self._prior = scorer, prior
        self._judge = TurnJudge(scorer, self._figures, prior)
        self._filter = ChangeFilter(scorer, self._figures)
        self._voices = SessionVoices(scorer)
        self._voice: Voice | None = None  # of the segment
        self._settings: TrackerSettings | None = None  # by the last place
        self._turn = 0  # where what is judged next began: a turn, or a change within it
        self._begun = -1  # the turn of the last place
        self._begins = 0  # what is known: the speech before is forgotten
        self._current: _CurrentState | None = None
        self._told = ToldDecisions()
        self._match = 0  # samples

    @property
    def decisions(self) -> Mapping[str, int]:
        """How often each state was entered."""
        return self._told.counts

    @property
    def match_s(self) -> float:
        """Net speech from each match to the place after it: silence is no match."""
        return seconds(self._match)

    def add(self, spans: SpeechEmbeddings, known: KnownSpeech) -> Iterator[AnyEvent]:
        """What a place says, and the verdict on the turn that ends there."""
        mark, settings = known.mark, known.settings
        self._go_on(spans, known)
        if settings.suspicion is not None:
            yield from self.suspect(seconds(mark.at), mark.position, settings)
        else:
            yield from self._weigh(spans, known)
        if mark.ends_turn:
            yield self._verdict(spans, known, mark.position)
            self._turn = mark.position

    def suspect(self, t: float, position: int, settings: TrackerSettings) -> Sequence[AnyEvent]:
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

    def _weigh(self, spans: SpeechEmbeddings, known: KnownSpeech) -> Iterator[AnyEvent]:
        """What the filter says at a place."""
        mark, settings = known.mark, known.settings
        scored = None if known.scored is None else known.scored.place
        belief = self._filter.step(spans, mark.position, settings.enrolled, scored)
        change: Change | None = None
        if belief is not None:
            if self._alarmed(belief, settings.decisions):
                change = yield from self._change(spans, belief, known)
            self._name(spans, mark)
            if settings.enrolled.names:
                llr = yield from self._score(spans, belief, known)
                yield from self._decide(spans, belief, known, change, llr)

    def reset(self, t: float, position: int, settings: TrackerSettings) -> Sequence[AnyEvent]:
        """Whoever speaks after so much net speech, in samples, may be anybody."""
        self._filter.begin_segment(position)
        self._voice, self._begins = None, position
        return self.lapse(t, seconds(position), "the speaker so far was forgotten", settings)

    def lapse(
        self, t: float, net_speech_s: float, reason: str, settings: TrackerSettings
    ) -> Sequence[AnyEvent]:
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

    def overall(
        self, spans: SpeechEmbeddings, position: int, at: int, settings: TrackerSettings
    ) -> Utterance:
        """The verdict on all the speech until ``position``, as if it were one turn."""
        return self._judge.verdict(spans, TurnSpeech(0, position, at), settings, None)

    def _go_on(self, spans: SpeechEmbeddings, known: KnownSpeech) -> None:
        """Another turn, or other people, since the place before."""
        mark, settings = known.mark, known.settings
        if self._settings is not None and self._settings.enrolled is not settings.enrolled:
            self._filter.forget_people()
        self._settings = settings
        if mark.turn != self._begun:
            self._begun, timeline = mark.turn, spans.timeline
            pause = timeline.begins(mark.turn) - timeline.ends(mark.turn)
            self._filter.begin_turn(mark.turn, seconds(pause) + known.gap_s)

    def _alarmed(self, belief: Belief, config: DecisionConfig) -> bool:
        """Whether the odds of a change are beyond what the budget of false alarms allows."""
        if belief.best is None:
            return False
        matched = self._current is not None and self._current.state == "match"
        figures, budget = (
            (self._figures.takeover, config.false_alarms_per_hour)
            if matched
            else (self._figures.change, config.false_changes_per_hour)
        )
        return belief.log_odds > figures.height(budget)

    def _change(
        self, spans: SpeechEmbeddings, belief: Belief, known: KnownSpeech
    ) -> Generator[AnyEvent, None, Change]:
        """Another voice has begun: tell it, and judge what its turn had been until then."""
        assert belief.best is not None
        mark = known.mark
        at = self._filter.moment(spans, mark.position, belief.best.position)
        ended, before = self._voice, self._filter.voice(spans, self._filter.start, at)
        if ended is not None:
            ended.add(before.embeddings[0], float(before.speech_s[0]))
        self._filter.begin_segment(at)
        after = self._filter.voice(spans, at, mark.position)
        self._voice = self._voices.enter(after.embeddings[0], float(after.speech_s[0]), ended)
        change = Change(
            t=seconds(mark.at),
            at=seconds(spans.timeline.begins(at)),
            detected_at=seconds(mark.at),
            llr=belief.llr,
            from_speaker=None if ended is None else ended.called,
            to_speaker=self._voice.called,
        )
        yield change
        if at > self._turn:
            cut = replace(known, sound=None)
            yield self._verdict(spans, cut, at, ended)
            self._turn = at
        return change

    def _name(self, spans: SpeechEmbeddings, mark: Mark) -> None:
        """The label of the first voice of the session."""
        if self._voice is None:
            heard = self._filter.voice(spans, self._filter.start, mark.position)
            self._voice = self._voices.enter(heard.embeddings[0], float(heard.speech_s[0]))

    def _score(
        self, spans: SpeechEmbeddings, belief: Belief, known: KnownSpeech
    ) -> Generator[AnyEvent, None, Float64 | None]:
        """Tell the scores, and return the LLRs ``(N,)`` of the people."""
        scored, settings = known.scored, known.settings
        if scored is None:
            return None
        _, scores = self._filter.heard(spans, scored.place, settings.enrolled)
        assert scores is not None
        evidence = self._evidence(belief)
        yield from score_events(
            scored, settings.enrolled, scores, evidence, self._prior, every=settings.claimed
        )
        return settings.enrolled.by_speaker(scores.llr[0])

    def _evidence(self, belief: Belief) -> Float64:
        """That each person speaks now, ``(N,)``: what the user's bounds are held against."""
        return self._figures.evidence(belief.odds)

    def _ranking(self, belief: Belief, speaker: int | None = None) -> Ranking:
        """The evidence for a person, or for the likeliest of all, and that it is any of them."""
        evidence = self._evidence(belief)
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
        if trigger != "between" or held is None:
            return trigger
        if held.state == "match":
            holds = float(belief.odds[found.speaker]) >= config.holding_log_odds
        else:
            holds = -belief.anybody >= HOLDING_LOG_ODDS
        return "between" if holds else "doubt"

    def _decide(
        self,
        spans: SpeechEmbeddings,
        belief: Belief,
        known: KnownSpeech,
        change: Change | None,
        llr: Float64 | None,
    ) -> Sequence[AnyEvent]:
        mark, settings, held = known.mark, known.settings, self._current
        config, t = settings.decisions, seconds(mark.at)
        state: State = "insufficient" if held is None else held.state
        if held is not None and held.state == "match":
            self._match += mark.position - held.position
        if change is not None:
            state, self._current = TRANSITIONS[state]["alarm"], None
        elif held is not None and held.asked != config:
            state, self._current = TRANSITIONS[state]["revised"], None
        found = self._meant(belief, settings)
        trigger = self._trigger(belief, found, known)
        state = TRANSITIONS[state][trigger]
        is_named = settings.claimed or state == "match"
        named = settings.enrolled.names[found.speaker] if is_named else None
        if state == "match" and self._voice is not None:
            self._voice.name = named
        self._current = _CurrentState(state, named, config, mark.position)
        began = None if change is None else change.at
        if not self._told.wants(state, named, mark.position, began):
            return []
        said = found.anybody if trigger in ("reject", "nobody") else found.evidence
        speech_s = seconds(mark.position - self._filter.start)
        both = alike(config, found, settings.enrolled.names)
        reason = words(config, trigger, said, speech_s, both)
        since = t if began is None else began
        decision = Decision(
            t=t,
            state=state,
            speaker=named,
            since=since,
            llr=None if llr is None else float(llr[found.speaker]),
            net_speech_s=seconds(mark.position),
            reason=reason if began is None else f"another voice since {since:.1f} s; {reason}",
            evidence=said,
            accept_llr=config.accept_llr,
            reject_llr=config.reject_llr,
            voice=None if self._voice is None else self._voice.label,
            false_accept=config.false_accept,
            **fields_of(self._doubt(spans, belief, found, known, state, held)),
        )
        return self._told.add(decision, mark.position, changed=change is not None)

    def _doubt(
        self,
        spans: SpeechEmbeddings,
        belief: Belief,
        found: Ranking,
        known: KnownSpeech,
        state: State,
        held: _CurrentState | None,
    ) -> Doubt | None:
        """Why the state is open, where it is.

        What was decided and is in doubt now may mean another voice, until that has lasted.
        """
        mark, settings = known.mark, known.settings
        if state == "insufficient":
            speech_s = seconds(mark.position - self._begins)
            return too_little(speech_s, settings.decisions.decide_s)
        if state != "uncertain":
            return None
        place = self._filter.start, mark.position
        heard, scores = self._filter.heard(spans, place, settings.enrolled)
        assert scores is not None
        trial = open_trial(settings, found, scores, float(heard.speech_s[0]))
        was_settled = held is not None and held.state not in ("insufficient", "uncertain")
        change = was_settled or belief.log_odds > 0
        trial = replace(trial, sound=known.sound, change=change)
        return why_open(self._scorer, self._figures, settings.decisions, trial)

    def _verdict(
        self, spans: SpeechEmbeddings, known: KnownSpeech, end: int, voice: Voice | None = None
    ) -> Utterance:
        turn = TurnSpeech(self._turn, end, known.mark.at, known.sound)
        voice = voice or (self._voice if end > self._filter.start else None)
        label = None if voice is None else voice.label
        return self._judge.verdict(spans, turn, known.settings, label)
