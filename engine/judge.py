"""One stream's judge: embedded windows in, scores, decisions and changes of voice out.

It is told of things in the order of media time, and knows no other time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.decisions import DecisionConfig, Judgement, Recent, Seen, judge
from engine.events import AnyEvent, Change, Decision, Score, State, Utterance
from engine.scores import CohortStats, Scorer, Scores, Sides, posterior
from engine.windows import seconds


class Voices:
    """The voiceprints of several speakers, in the order of their names, laid out as one."""

    def __init__(self, voiceprints: Mapping[str, Sides]) -> None:
        self.names = tuple(sorted(voiceprints))
        parts = [voiceprints[name] for name in self.names]
        # Rows of a speaker's prototypes: from one of these to the next.
        self.rows = np.cumsum([0, *(len(part.embeddings) for part in parts)])
        self.sides = _stacked(parts) if parts else None


def _stacked(parts: list[Sides]) -> Sides:
    stats = [part.stats for part in parts if part.stats is not None]
    joined = None
    if stats:
        mean, std = np.concatenate([s.mean for s in stats]), np.concatenate([s.std for s in stats])
        joined = CohortStats(mean, std)
    embeddings = np.concatenate([part.embeddings for part in parts])
    return Sides(embeddings, np.concatenate([part.speech_s for part in parts]), joined)


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What a window is judged by: whom it is compared with, what is asked, and how strictly.

    ``claimed``: one of ``voices`` is claimed to be speaking; otherwise, who of them is it?
    """

    voices: Voices
    claimed: bool
    decisions: DecisionConfig


@dataclass(frozen=True, slots=True)
class _Standing:
    """The state that holds, and the window it rests on: its end and position in samples."""

    state: State
    speaker: str | None
    llr: float
    end: int
    position: int


class Judge:
    """Keeps the state of one stream, the voices just heard and the sums for its summary."""

    def __init__(self, scorer: Scorer, prior: float) -> None:
        scorer.require_calibration()
        self._scorer, self._prior = scorer, prior
        self._recent = Recent()
        self._standing: _Standing | None = None
        self._told: tuple[State, str | None] | None = None  # by the last decision
        self._match = 0  # samples
        self.decisions: Counter[str] = Counter()

    @property
    def match_s(self) -> float:
        """Net speech from each match to the score after it: silence is no match."""
        return seconds(self._match)

    def hear(self, seen: Seen, terms: Terms) -> list[AnyEvent]:
        """What an embedded window says."""
        change = self._changed(seen, terms.decisions)
        events: list[AnyEvent] = [] if change is None else [change]
        if terms.voices.sides is not None:
            scores = self._scores(seen, terms)
            events += scores
            events += self._judged(seen, terms, max(scores, key=lambda score: score.llr))
        return events

    def lapse(self, t: float, net_speech_s: float, reason: str, terms: Terms) -> list[AnyEvent]:
        """The state holds no longer, for a reason that no score gives."""
        self._standing = None
        if self._told is None or self._told[0] == "insufficient":
            return []
        named = self._told[1] if terms.claimed and self._told[1] in terms.voices.names else None
        return self._decided(t, Judgement("insufficient", reason), named, None, net_speech_s)

    def utterance(self, start: int, end: int, terms: Terms) -> Utterance:
        """A span of speech that has ended, by the last score within it."""
        last = self._standing
        if last is not None and last.end <= start:
            last = None
        # Where nobody is enrolled nobody can be known, however much is said.
        unscored: State = "insufficient" if terms.voices.names else "unknown"
        return Utterance(
            t=seconds(end),
            start=seconds(start),
            end=seconds(end),
            speech_s=seconds(end - start),
            state=last.state if last else unscored,
            speaker=last.speaker if last else None,
            llr=last.llr if last else None,
        )

    def _changed(self, seen: Seen, config: DecisionConfig) -> Change | None:
        before = self._recent.add(seen)
        if before is None:
            return None
        llr = self._scorer.compare(before.sides, seen.sides).llr
        assert llr is not None
        if llr[0] > config.change_llr:
            return None
        self._recent.forget()
        self._recent.add(seen)
        now, last = seconds(seen.end), self._standing
        return Change(
            t=now,
            at=seconds(seen.start),
            detected_at=now,
            llr=float(llr[0]),
            from_speaker=last.speaker if last and last.state == "match" else None,
            to_speaker=None,
        )

    def _scores(self, seen: Seen, terms: Terms) -> list[Score]:
        """One for every claimed speaker, by name; otherwise the best speaker's only."""
        voices = terms.voices
        assert voices.sides is not None
        found = self._scorer.compare(voices.sides, seen.sides)
        assert found.llr is not None
        if terms.claimed:
            return [self._score(seen, voices, found, i, None) for i in range(len(voices.names))]
        best = np.maximum.reduceat(found.llr, voices.rows[:-1])
        order = np.argsort(-best, kind="stable")[:2].tolist()
        second = voices.names[order[1]] if len(order) > 1 else None
        return [self._score(seen, voices, found, order[0], second)]

    def _score(
        self, seen: Seen, voices: Voices, found: Scores, i: int, runner_up: str | None
    ) -> Score:
        assert found.llr is not None
        start, end = voices.rows[i], voices.rows[i + 1]
        row = start + int(np.argmax(found.llr[start:end]))  # of several the nearest speaks
        llr = float(found.llr[row])
        return Score(
            t=seconds(seen.end),
            speaker=voices.names[i],
            cosine=float(found.cosine[row]),
            norm=float(found.norm[row]),
            llr=llr,
            posterior=float(posterior(llr, self._prior)),
            runner_up=runner_up,
            net_speech_s=seconds(seen.position),
            window_s=seconds(seen.samples),
        )

    def _judged(self, seen: Seen, terms: Terms, best: Score) -> list[AnyEvent]:
        judgement = judge(terms.decisions, best.llr, best.window_s, claimed=terms.claimed)
        named = best.speaker if terms.claimed or judgement.state == "match" else None
        before = self._standing
        if before is not None and before.state == "match":
            self._match += seen.position - before.position
        self._standing = _Standing(judgement.state, named, best.llr, seen.end, seen.position)
        return self._decided(best.t, judgement, named, best.llr, best.net_speech_s)

    def _decided(
        self,
        t: float,
        judgement: Judgement,
        speaker: str | None,
        llr: float | None,
        net_speech_s: float,
    ) -> list[AnyEvent]:
        if (judgement.state, speaker) == self._told:
            return []
        self._told = judgement.state, speaker
        self.decisions[judgement.state] += 1
        decision = Decision(
            t=t,
            state=judgement.state,
            speaker=speaker,
            since=t,
            llr=llr,
            net_speech_s=net_speech_s,
            reason=judgement.reason,
        )
        return [decision]
