"""One stream over time: places in its speech in, scores, decisions, changes and verdicts out.

Places come in the order of media time, and there is no other time. At each of them the filter
(:mod:`engine.decisions.change_filter`) says how likely it is that each person speaks now, from
which the state follows (:mod:`engine.decisions.states`), and whether another voice has begun.
The end of a turn brings its verdict (:mod:`engine.decisions.turn_verdict`), which knows nothing of
all that.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from engine.decisions.belief import Belief, Hypothesis
from engine.decisions.change_filter import ChangeFilter
from engine.decisions.config import DecisionConfig
from engine.decisions.distance import Distances
from engine.decisions.known_speech import KnownSpeech
from engine.decisions.score_events import score_events
from engine.decisions.session_voices import SessionVoices, Voice
from engine.decisions.stream_state import StreamState
from engine.decisions.tracker_settings import TrackerSettings
from engine.decisions.turn_parts import Part, TurnParts
from engine.decisions.turn_verdict import TurnJudge, TurnSpeech
from engine.events import AnyEvent, Change, State, Utterance
from engine.format import SAMPLE_RATE_HZ, seconds
from engine.model.manifest import AlarmFigures
from engine.scoring.identify import Float64
from engine.scoring.scorer import CalibratedScorer
from engine.spans.interface import LEAST_SAMPLES, Mark, SpeechEmbeddings

# The gate finds no speech shorter than 0.19 s. What is shorter than this was cut off from it by a
# client's turn, reset or mute just before somebody spoke or just after, and is no turn.
SLIVER_SAMPLES = SAMPLE_RATE_HZ // 10  # 0.1 s
DENIED: tuple[State, ...] = ("mismatch", "unknown")


class Tracker:
    """Keeps the hypotheses, the state and the voices of one stream, and judges its turns."""

    def __init__(self, scorer: CalibratedScorer, prior: float) -> None:
        self._figures = scorer.calibration.decision_figures
        self._scorer, self._prior = scorer, prior
        self._judge = TurnJudge(scorer, self._figures, prior)
        self._filter = ChangeFilter(scorer, self._figures)
        self._parts = TurnParts(self._filter)
        self._voices = SessionVoices(scorer)
        self._voice: Voice | None = None  # of the segment
        self._settings: TrackerSettings | None = None  # by the last place
        self._turn = 0  # where what is judged next began: a turn, or a change within it
        self._begun = -1  # the turn of the last place
        self._state = StreamState(scorer, self._figures)

    @property
    def decisions(self) -> Mapping[str, int]:
        """How often each state was entered."""
        return self._state.counts

    @property
    def match_s(self) -> float:
        """Net speech from each match to the place after it: silence is no match."""
        return self._state.match_s

    def add(self, spans: SpeechEmbeddings, known: KnownSpeech) -> Iterator[AnyEvent]:
        """What a place says, and the verdict on the turn that ends there."""
        mark, settings = known.mark, known.settings
        self._go_on(spans, known)
        far: Hypothesis | None = None
        if settings.suspicion is not None:
            yield from self.suspect(seconds(mark.at), mark.position, settings)
        else:
            far = yield from self._weigh(spans, known)
        if mark.ends_turn:
            if far is not None:
                yield from self._leave_out(spans, known, far)
            elif mark.position - self._turn >= SLIVER_SAMPLES:
                yield from self._verdicts(spans, known, mark.position)
            self._turn = mark.position

    def begin(self, t: float, position: int, settings: TrackerSettings) -> Sequence[AnyEvent]:
        """The stream has been heard for ``t`` seconds: if nothing was said yet, that is told."""
        return self._state.begin(t, position, settings)

    def suspect(self, t: float, position: int, settings: TrackerSettings) -> Sequence[AnyEvent]:
        """The sound seems to be other than declared: nothing is said of who speaks."""
        return self._state.suspect(t, position, settings)

    def _weigh(
        self, spans: SpeechEmbeddings, known: KnownSpeech
    ) -> Generator[AnyEvent, None, Hypothesis | None]:
        """What the filter says at a place, and when a voice in the background began, if any did."""
        mark, settings = known.mark, known.settings
        scored = None if known.scored is None else known.scored.place
        distances = None if known.levels is None else Distances(known.levels, spans)
        belief = self._filter.step(spans, mark.position, settings.enrolled, scored, distances)
        change: Change | None = None
        if belief is not None:
            if self._alarmed(belief, settings.decisions):
                change = yield from self._change(spans, belief, known)
            else:
                height = self._voice_figures.height(settings.decisions.false_changes_per_hour)
                self._parts.add(spans, belief, mark.position, height)
            self._name(spans, mark)
            if settings.enrolled.names:
                llr = yield from self._score(spans, belief, known)
                yield from self._state.decide(
                    self._filter, spans, belief, known, change, llr, self._voice
                )
        return None if belief is None or change is not None else belief.far

    def reset(self, t: float, position: int, settings: TrackerSettings) -> Sequence[AnyEvent]:
        """Whoever speaks after so much net speech, in samples, may be anybody."""
        self._filter.begin_segment(position)
        self._parts.drop()
        self._voice = None
        self._voices.forget()
        self._state.forget(position)
        return self.lapse(t, seconds(position), "the speaker so far was forgotten", settings)

    def lapse(
        self, t: float, net_speech_s: float, reason: str, settings: TrackerSettings
    ) -> Sequence[AnyEvent]:
        """The state holds no longer, for a reason that no score gives."""
        return self._state.lapse(t, net_speech_s, reason, settings)

    def overall(self, spans: SpeechEmbeddings, at: int, settings: TrackerSettings) -> Utterance:
        """The verdict on all the speech so far, as if it were one turn."""
        return self._judge.verdict(spans, TurnSpeech(0, spans.position, at), settings)

    def _go_on(self, spans: SpeechEmbeddings, known: KnownSpeech) -> None:
        """Another turn, or other people, since the place before."""
        mark, settings = known.mark, known.settings
        if self._settings is not None and self._settings.enrolled is not settings.enrolled:
            self._filter.forget_people()
            self._voices.forget_people()
        self._settings = settings
        if mark.turn != self._begun:
            self._begun, timeline, places = mark.turn, spans.timeline, self._filter.places
            pause = timeline.begins(mark.turn) - timeline.ends(places.near_end(mark.turn))
            places.begin_turn(mark.turn, seconds(pause) + known.gap_s)

    def _alarmed(self, belief: Belief, config: DecisionConfig) -> bool:
        """Whether the odds of a change are beyond what the budget of false alarms allows."""
        if belief.best is None:
            return False
        matched = self._state.matched
        budget = config.false_alarms_per_hour if matched else config.false_changes_per_hour
        return belief.log_odds > self._voice_figures.height(budget)

    @property
    def _voice_figures(self) -> AlarmFigures:
        """How often the odds of another voice err, of somebody matched or of anybody."""
        return self._figures.takeover if self._state.matched else self._figures.change

    def _change(
        self, spans: SpeechEmbeddings, belief: Belief, known: KnownSpeech
    ) -> Generator[AnyEvent, None, Change]:
        """Another voice has begun: tell it, and judge what its turn had been until then."""
        assert belief.best is not None
        mark, ended = known.mark, self._voice
        self._parts.drop()
        at = self._filter.moment(spans, mark.position, belief.best.position)
        change = self._begin_voice(spans, mark, at, belief.llr)
        yield change
        if at > self._turn:
            cut = replace(known, sound=None)
            yield from self._verdicts(spans, cut, at, ended)
        return change

    def _begin_voice(self, spans: SpeechEmbeddings, mark: Mark, at: int, llr: float) -> Change:
        """Another voice has spoken since ``at``, which goes by ``llr`` with the one before."""
        ended, before = self._voice, self._filter.voice(spans, self._filter.start, at)
        if ended is not None:
            ended.add(before.embeddings[0], float(before.speech_s[0]))
        self._filter.begin_segment(at)
        after = self._filter.voice(spans, at, mark.position)
        self._voice = self._voices.enter(after.embeddings[0], float(after.speech_s[0]), ended)
        return Change(
            t=seconds(mark.at),
            at=seconds(spans.timeline.begins(at)),
            detected_at=seconds(mark.at),
            llr=llr,
            from_speaker=None if ended is None else ended.called,
            to_speaker=self._voice.called,
        )

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
        scores = self._filter.scores(spans, scored.place, settings.enrolled)
        assert scores is not None
        evidence = self._state.evidence(belief)
        yield from score_events(
            scored, settings.enrolled, scores, evidence, self._prior, every=settings.claimed
        )
        return settings.enrolled.by_speaker(scores.llr[0])

    def _leave_out(
        self, spans: SpeechEmbeddings, known: KnownSpeech, far: Hypothesis
    ) -> Iterator[AnyEvent]:
        """A voice in the background spoke at the end of the turn: it has a verdict of its own.

        What it said counts for nobody.
        """
        begun, end = max(far.position, self._turn), known.mark.position
        self._parts.drop()
        if begun - self._turn >= LEAST_SAMPLES:
            yield from self._verdicts(spans, replace(known, sound=None), begun)
        assert known.levels is not None
        below_db = Distances(known.levels, spans).below_db(far.dbfs, (self._turn, end))
        turn = TurnSpeech(self._turn, end, known.mark.at, known.sound, round(below_db, 1))
        yield self._judge.verdict(spans, turn, known.settings)
        self._filter.leave_out(spans, far, self._turn, end)

    def _verdicts(
        self, spans: SpeechEmbeddings, known: KnownSpeech, end: int, voice: Voice | None = None
    ) -> Iterator[AnyEvent]:
        """On the turn up to ``end``, of ``voice`` or of the segment's, or on each of its parts."""
        voice = voice or (self._voice if end > self._filter.start else None)
        parts = self._parts.take(spans, self._turn, end)
        if len(parts) > 1:
            known = replace(known, sound=None)
        for part in parts:
            turn = TurnSpeech(part.start, part.end, known.mark.at, known.sound)
            said = self._judge.verdict(spans, turn, known.settings)
            speaks, last = None if part.other else voice, part.end == end
            present = voice is self._voice and (last or not part.other)
            if present and self._contradicted(spans, said, part, known.settings):
                yield from self._part_voices(spans, known, part.start)
                speaks = voice = self._voice
            elif speaks is not None and said.state in DENIED:
                speaks.denied_s += said.speech_s
            yield msgspec.structs.replace(said, voice=self._label(said, speaks))
        self._turn = end

    def _contradicted(
        self, spans: SpeechEmbeddings, said: Utterance, part: Part, settings: TrackerSettings
    ) -> bool:
        """Whether a verdict is of somebody else than those on the segment's earlier turns.

        Either errs as seldom as the user asks, so that the likeliest reason is another voice, which
        the speech alone does not tell from the one before.
        """
        voice = self._voice
        if said.state != "match" or voice is None or part.start <= self._filter.start:
            return False
        if spans.failure(self._filter.start, part.end) is not None:
            return False
        if voice.name is not None:
            return voice.name != said.speaker
        return voice.denied_s >= settings.decisions.decide_s

    def _part_voices(
        self, spans: SpeechEmbeddings, known: KnownSpeech, at: int
    ) -> Iterator[AnyEvent]:
        """Verdicts say that another voice began at ``at``: tell it, and what follows."""
        mark, settings = known.mark, known.settings
        llr = self._filter.likeness(spans, at, mark.position)
        change = self._begin_voice(spans, mark, at, llr)
        yield change
        belief = self._filter.step(spans, mark.position, settings.enrolled)
        if belief is not None:
            yield from self._state.decide(
                self._filter, spans, belief, known, change, None, self._voice
            )

    def _label(self, said: Utterance, voice: Voice | None) -> str | None:
        """The label of who spoke a turn, of ``voice``'s segment unless the verdict denies that.

        A turn may be too short to be told as a change, and the end of one may be told late.
        """
        if said.state == "match":
            voice = self._voices.named(said.speaker) or voice
        if voice is None:
            return None
        denied = said.state in DENIED or said.speaker not in (None, voice.name)
        return None if denied and voice.name is not None else voice.label
