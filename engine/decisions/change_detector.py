"""Another voice has begun: found by CUSUM, on windows against the speech before them.

Each window is compared with the run of speech before it, as far as they share none, and with
the speaker who is matched. What speaks for another voice is added up, weighted by the share of
the window that is new, so that each second counts once (Page, "Continuous Inspection Schemes",
1954). The sum raises an alarm at a height that the user's budget of false alarms sets
(``engine.model.manifest.AlarmFigures``).

Two who speak at once are not told apart: the embedding of overlapped speech lies between the
two voices. An interjection much shorter than a window leaves no trace, and where two speak
over each other for longer there may be a change, at no time that means anything.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.decisions.change_point import BACK, locate
from engine.decisions.config import DecisionConfig
from engine.format import SAMPLE_RATE_HZ
from engine.model.manifest import AlarmFigures, DecisionFigures
from engine.scoring.scorer import CalibratedScorer, Sides

Float32 = NDArray[np.float32]

LEAST_HEIGHT = 1e-9  # where so many alarms are allowed that any doubt is one
LEAST_BEFORE = SAMPLE_RATE_HZ  # of a run: what a window can be compared with


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedWindow:
    """A window that was embedded: its place in samples, and itself ready to be compared.

    ``runs`` are those of ``engine.speech.windows.Window``.
    """

    start: int
    end: int
    position: int
    samples: int
    sides: Sides
    runs: tuple[tuple[int, int], ...]

    @property
    def embedding(self) -> Float32:
        """Of the window, ``(D,)``."""
        return np.asarray(self.sides.embeddings[0], np.float32)


@dataclass(frozen=True, slots=True)
class LeadingSpeaker:
    """The LLR of a window against the speaker meant, and whether that is a match."""

    llr: float
    matched: bool


@dataclass(frozen=True, slots=True)
class ChangeScores:
    """The LLRs by which a window says that the same voice goes on.

    ``AlarmFigures`` weighs ``claim`` and ``voice`` by the same names; ``fresh`` is the share of
    the window that is new.
    """

    claim: float
    voice: float
    fresh: float

    def step(self, alarm: AlarmFigures) -> float:
        """What the window adds to the CUSUM, or takes from it."""
        same = alarm.claim * self.claim + alarm.voice * self.voice + alarm.offset
        return -self.fresh * same


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerChange:
    """A change of voice: net speech before it and its media time, in samples.

    ``llr`` is of the last window and the speech before; ``voice`` is who spoke until then,
    with ``voice_samples`` of speech.
    """

    position: int
    at: int
    llr: float
    voice: Sides
    voice_samples: float


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """A window of the past, and the run's voice by then."""

    seen: EmbeddedWindow
    run: Sides
    run_samples: float


class ChangeDetector:
    """Waits for the end of one run's voice; each run has a detector of its own.

    For every window :meth:`hear` it, and then :meth:`add` what the run has become by it.
    """

    def __init__(self, scorer: CalibratedScorer, evidence: DecisionFigures, begins: int) -> None:
        self._scorer, self._begins = scorer, begins
        self._evidence = evidence
        self._recent: deque[_Heard] = deque()  # those that share speech with the last window
        self._past: deque[_Heard] = deque()  # those before, as far as a change is looked for
        self._takeover = self._change = 0.0  # of the height at which there is an alarm

    def hear(
        self, seen: EmbeddedWindow, lead: LeadingSpeaker | None, config: DecisionConfig
    ) -> SpeakerChange | None:
        """Where the voice turned, if after this window that is beyond doubt."""
        parts = self.measure(seen, lead)
        if parts is None or not self._alarmed(parts, lead, config):
            return None
        before, windows = self._past[-1], [heard.seen for heard in (*self._past, *self._recent)]
        position, at = locate([*windows, seen], before.run.embeddings[0], self._begins)
        return SpeakerChange(position, at, parts.voice, before.run, before.run_samples)

    def measure(self, seen: EmbeddedWindow, lead: LeadingSpeaker | None) -> ChangeScores | None:
        """The window against the speech before it; ``None`` while there is too little."""
        self._settle(seen)
        if not self._past or self._past[-1].run_samples < LEAST_BEFORE:
            return None
        last = self._recent[-1] if self._recent else self._past[-1]
        fresh = min(1.0, (seen.position - last.seen.position) / seen.samples)
        claim = 0.0 if lead is None else lead.llr
        return ChangeScores(claim, self._against(seen), fresh)

    def _against(self, seen: EmbeddedWindow) -> float:
        """The LLR of a window and the run before it, as far as they share no speech."""
        begins = seen.position - seen.samples
        apart = (heard for heard in reversed(self._recent) if heard.seen.position <= begins)
        llr = self._scorer.compare(next(apart, self._past[-1]).run, seen.sides).llr
        return float(llr[0])

    def add(self, seen: EmbeddedWindow, run: Sides, run_samples: float) -> None:
        """The window belongs to the run, which is by now ``run``."""
        self._recent.append(_Heard(seen, run, run_samples))

    def _settle(self, seen: EmbeddedWindow) -> None:
        """Windows that share no speech with ``seen`` are what it is compared with."""
        while self._recent and self._recent[0].seen.position <= seen.position - seen.samples:
            self._past.append(self._recent.popleft())
        while len(self._past) > 1 and self._past[0].seen.position < seen.position - BACK:
            self._past.popleft()

    def _alarmed(
        self, parts: ChangeScores, lead: LeadingSpeaker | None, config: DecisionConfig
    ) -> bool:
        change, takeover = self._evidence.change, self._evidence.takeover
        self._change = _climbed(self._change, parts, change, config.false_changes_per_hour)
        if lead is None or not lead.matched:
            self._takeover = 0.0
            return self._change > 1
        budget = config.false_alarms_per_hour
        self._takeover = _climbed(self._takeover, parts, takeover, budget)
        return self._takeover > 1


def _climbed(level: float, parts: ChangeScores, alarm: AlarmFigures, per_hour: float) -> float:
    """One step of the CUSUM, of its height for so many false alarms an hour."""
    return max(0.0, level + parts.step(alarm) / max(alarm.height(per_hour), LEAST_HEIGHT))
