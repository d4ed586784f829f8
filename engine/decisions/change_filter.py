"""When did the voice that speaks now begin? A Bayesian filter over the moments of change.

A hypothesis is a moment at which another voice may have begun: the start of every turn, and
inside a turn each place that could be asked for in the last seconds (Adams and MacKay, "Bayesian
Online Changepoint Detection", 2007, where a hypothesis is a run length). Its prior is a hazard:
small for a second of speech, larger for a pause, the more so the longer it is. Its likelihood is
that of the pooled speech since then being of another voice than the speech before it: a ratio
fitted on held-out speakers (``engine.model.manifest.AlarmFigures``), of how the speech since then
goes with the voice before and, where that is an enrolled one, with its voiceprint. It counts by
the speech on both sides, because within a stream a ratio of little speech is low by what was
said and seldom by who said it, and one of much speech is low by another voice alone.

Another voice may also be one in the background, of a television for example: how far it is
(:mod:`engine.decisions.distance`) divides each hypothesis into that and a takeover. What a voice
in the background says is left out of the segment.

Spans are pooled and scored whole at every step, and no ratio is added to another: what one
second of a voice says depends on what the seconds beside it said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.decisions.belief import Belief, Hypothesis, belief_of, log
from engine.decisions.change_places import ChangePlaces
from engine.decisions.distance import LEAST_DB, Distances
from engine.decisions.heard_spans import HeardSpans, NearVoice, Place
from engine.format import SAMPLE_RATE_HZ
from engine.model.manifest import DecisionFigures
from engine.scoring.identify import EnrolledVoiceprints
from engine.scoring.scorer import CalibratedScorer, CalibratedScores, PreparedEmbeddings
from engine.spans.interface import LEAST_SAMPLES, Spans

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
NOBODY = EnrolledVoiceprints({})

NEAR_SAMPLES = SAMPLE_RATE_HZ // 2  # A moment is looked for within 0.5 s of the best place,
STEP_SAMPLES = SAMPLE_RATE_HZ // 10  # every 0.1 s.
RECENT_SAMPLES = SAMPLE_RATE_HZ  # 1 s, by whose level it is seen whether a voice may be far.
LEAST_KNOWN = 0.1  # that somebody enrolled speaks after a stranger: with less nobody asks
EVEN = 0.5  # the probability at which a voice is as likely an enrolled person's as a stranger's


class ChangeFilter:
    """The hypotheses of one stream. A segment is the speech since the last change told."""

    def __init__(self, scorer: CalibratedScorer, figures: DecisionFigures) -> None:
        self._scorer, self._figures = scorer, figures
        self.places = ChangePlaces()
        self._known: dict[int, Hypothesis] = {}
        self._heard: HeardSpans | None = None  # what the last step asked for

    @property
    def start(self) -> int:
        """Where the segment began."""
        return self.places.start

    def begin_segment(self, position: int) -> None:
        """What was said before ``position`` is another's."""
        self.places.begin_segment(position)
        self._known.clear()

    def leave_out(self, spans: Spans, far: Hypothesis, start: int, end: int) -> None:
        """What was said from ``start`` to ``end`` is of a voice in the background."""
        place = self.start, start
        before, heard = self.voice(spans, *place), self.heard(spans, place)
        samples = round(float(before.speech_s[0]) * SAMPLE_RATE_HZ)
        ended = self.places.near_end(start)
        near = NearVoice(before.embeddings[0], samples, ended, end, far.dbfs, heard)
        self.places.leave_out(near)
        self._known.clear()
        self._heard = None

    def forget_people(self) -> None:
        """Others are enrolled from now on."""
        self._known.clear()
        self._heard = None

    def step(
        self,
        spans: Spans,
        position: int,
        enrolled: EnrolledVoiceprints,
        also: Place | None = None,
        distances: Distances | None = None,
    ) -> Belief | None:
        """What the speech up to ``position`` says.

        Nothing while the segment is too short, or where its jobs failed, which has been told.
        The span ``also`` is asked for with the rest, for :meth:`scores`. By ``distances`` other
        voices are told from those in the background.
        """
        little = position - self.start < LEAST_SAMPLES
        if little or spans.failure(self.start, position) is not None:
            return None
        hazards = self.places.hazards(spans, position)
        new = self._new(spans, hazards)
        kept = [*self._known, *new]
        begun = [one for one in kept if spans.failure(one, position) is None]
        wanted = [(self.start, position), *((one, position) for one in begun)]
        before = [(self.start, place) for place in new]
        last = self._heard
        asked = dict.fromkeys(
            [*wanted, *(one for one in before if last is None or one not in last)]
        )
        if also is not None:
            asked[also] = None
        heard = self._heard = HeardSpans(
            self._scorer, spans, enrolled, list(asked), self.places.near
        )
        for span in before:
            known = last if last is not None and span in last else heard
            self._suppose(hazards[span[1]], span, known, distances)
        hypotheses = [self._known[one] for one in begun]
        speaks = heard.speaks[: len(wanted)]
        self.places.add(position)
        if not hypotheses:
            return Belief(speaks[0])
        voice, log_weight = self._weighed(hypotheses, heard.prepared, speaks)
        log_weight = log_weight + self._louder(hypotheses, speaks[1:, -1], position, distances)
        self.places.keep(hypotheses[i].position for i in np.argsort(log_weight))
        far = self._far(hypotheses, speaks[1:, -1], position, distances)
        return belief_of(hypotheses, speaks, voice, log_weight, far)

    def moment(self, spans: Spans, position: int, near: int, since: int | None = None) -> int:
        """Where about ``near`` the voice changed, of the segment's speech up to ``position``.

        The voice before that is the one ``since`` then, or since the segment began.

        It is the place that divides the speech into the two parts least like one voice. People
        begin to speak after a pause: if there is one so near, it is that. Where the jobs of one of
        the parts failed nothing is asked of them, and with all of them it is ``near`` itself.
        """
        if self.places.is_turn(near):
            return near
        begun, least = self.start if since is None else since, max(LEAST_SAMPLES, spans.grain)
        low = max(begun + least, near - NEAR_SAMPLES)
        high = min(position - least, near + NEAR_SAMPLES)
        runs = [start for start, _ in spans.timeline.runs(low, high) if low <= start <= high]
        grid = range(near - NEAR_SAMPLES, near + NEAR_SAMPLES + 1, STEP_SAMPLES)
        possible = runs or [place for place in grid if low <= place <= high]
        parts = [((begun, place), (place, position)) for place in possible]
        parts = [two for two in parts if all(spans.failure(*part) is None for part in two)]
        if not parts:
            return near
        before = self._prepared(spans, [part for part, _ in parts])
        after = self._prepared(spans, [part for _, part in parts])
        return parts[int(self._scorer.compare(before, after).llr.argmin())][1][0]

    def likeness(self, spans: Spans, place: int, position: int) -> float:
        """The LLR of the segment's speech before ``place`` and since then: of one voice."""
        before, since = (self.start, place), (place, position)
        return float(
            self._scorer.compare(self.voice(spans, *before), self.voice(spans, *since)).llr[0]
        )

    def voice(self, spans: Spans, start: int, end: int) -> PreparedEmbeddings:
        """A span ready to be compared."""
        place = start, end
        return self._holding(spans, place, NOBODY).voice(place)

    def scores(
        self, spans: Spans, place: Place, enrolled: EnrolledVoiceprints
    ) -> CalibratedScores | None:
        """The scores ``(1, rows)`` of a span with those enrolled."""
        return self._holding(spans, place, enrolled).scores_of(place)

    def heard(self, spans: Spans, place: Place) -> Float32:
        """How a span was heard, ``(3,)``, as :meth:`engine.spans.interface.Spans.heard` says it."""
        return self._holding(spans, place, NOBODY).heard(place)

    def _holding(self, spans: Spans, place: Place, enrolled: EnrolledVoiceprints) -> HeardSpans:
        """The spans of the last step if this is one of them."""
        if self._heard is not None and place in self._heard:
            return self._heard
        return HeardSpans(self._scorer, spans, enrolled, [place], self.places.near)

    def _new(self, spans: Spans, hazards: Mapping[int, float]) -> list[int]:
        """Those that have become possible. What is not possible any more is forgotten."""
        self._known = {place: one for place, one in self._known.items() if place in hazards}
        new = [place for place in hazards if place not in self._known]
        return [place for place in new if spans.failure(self.start, place) is None]

    def _suppose(
        self, hazard: float, before: Place, heard: HeardSpans, distances: Distances | None
    ) -> None:
        """Add the hypothesis that another voice began where the span ``before`` ends."""
        place, prior = before[1], math.log(hazard / (1 - hazard))
        begun, dbfs = self._before(place, distances)
        self._known[place] = Hypothesis(
            place, prior, heard.voice(before), heard.whose(before), begun, dbfs
        )

    def _prepared(self, spans: Spans, asked: Sequence[Place]) -> PreparedEmbeddings:
        return HeardSpans(self._scorer, spans, NOBODY, asked, self.places.near).prepared

    def _before(self, place: int, distances: Distances | None) -> tuple[int, float | None]:
        """From where on the speech before ``place`` is the voice's, and how loud it was."""
        near = self.places.near
        begun = self.start if near is None else near.end
        if near is not None and place - near.end < RECENT_SAMPLES:
            return begun, near.dbfs
        return begun, None if distances is None else distances.levels.median_dbfs(begun, place)

    def _far(
        self,
        hypotheses: Sequence[Hypothesis],
        stranger: Float64,
        position: int,
        distances: Distances | None,
    ) -> Float64:
        """Log odds ``(H,)`` that a voice that began then is far from the microphone.

        It is a ``stranger``'s with these probabilities ``(H,)``. Somebody enrolled is meant however
        low he speaks: beside an assistant's loudspeaker everybody is far.
        """
        far = np.full(len(hypotheses), -np.inf)
        if distances is None:
            return far
        for row, one in enumerate(hypotheses):
            if stranger[row] < EVEN:
                continue
            recent = max(one.position, position - RECENT_SAMPLES)
            now = distances.levels.median_dbfs(recent, position)
            if now is not None and one.dbfs is not None and one.dbfs - now >= LEAST_DB:
                begun = one.begun, one.position
                far[row] = distances.far_log_odds(one.dbfs, begun, (one.position, position))
        return far

    def _louder(
        self,
        hypotheses: Sequence[Hypothesis],
        stranger: Float64,
        position: int,
        distances: Distances | None,
    ) -> Float64:
        """What a rise of the level says for each hypothesis, in nats ``(H,)``.

        It does so where somebody enrolled seems to speak up after a stranger. The speech since then
        is a ``stranger``'s with these probabilities ``(H,)``.
        """
        nats = np.zeros(len(hypotheses))
        if distances is None:
            return nats
        for row, one in enumerate(hypotheses):
            known = (1 - stranger[row]) * one.matched[-1]
            if known >= LEAST_KNOWN:
                places = (one.begun, one.position), (one.position, position)
                nats[row] = known * distances.louder_log_odds(one.dbfs, *places)
        return nats

    def _weighed(
        self, hypotheses: Sequence[Hypothesis], heard: PreparedEmbeddings, speaks: Float64
    ) -> tuple[Float64, Float64]:
        """LLRs with the voice before, and log weights beside 0 for no change, each ``(H,)``."""
        since = heard.take(np.arange(1, len(speaks)))
        before = PreparedEmbeddings.stack([one.before for one in hypotheses])
        voice, gain = self._scorer.compare(before, since).llr, self._scorer.gain(before, since)
        prior = np.array([one.log_prior for one in hypotheses])
        matched = np.array([one.matched for one in hypotheses])
        # A stranger before, who is known by his speech alone.
        other = log(matched[:, -1]) - self._figures.change.goes_on(voice, 0.0, gain)
        if matched.shape[1] > 1:
            person = matched[:, :-1].argmax(axis=1)
            own = speaks[np.arange(1, len(speaks)), person]
            claim = np.asarray(log(own) - log(speaks[1:, -1]), np.float64)
            goes_on = self._figures.takeover.goes_on(voice, claim, gain)
            other = np.logaddexp(other, log(1 - matched[:, -1]) - goes_on)
        return voice, np.asarray(prior + other, np.float64)
