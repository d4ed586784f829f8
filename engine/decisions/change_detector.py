"""Detects by CUSUM that another voice has begun, from windows against the speech before them.

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

from engine.decisions.change_point import BACK_SAMPLES, locate
from engine.decisions.config import DecisionConfig
from engine.format import SAMPLE_RATE_HZ
from engine.model.manifest import AlarmFigures, DecisionFigures
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings
from engine.speech.windows import WindowPlace

Float32 = NDArray[np.float32]

LEAST_HEIGHT = 1e-9  # nats; stands for 0 where the budget allows an alarm at any doubt
LEAST_BEFORE_SAMPLES = SAMPLE_RATE_HZ  # A run of less than 1 s is nothing to compare with.


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedWindow:
    """A window that was embedded: its place, and its embedding ready to be compared.

    ``at`` is the media sample of the sound by which it was known.
    """

    place: WindowPlace
    prepared: PreparedEmbeddings
    at: int

    @property
    def embedding(self) -> Float32:
        """Of the window, ``(D,)``."""
        return np.asarray(self.prepared.embeddings[0], np.float32)


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
    """A change of voice, after ``position`` samples of net speech, at media sample ``at``.

    ``llr`` is that of the last window and the speech before it. ``voice`` spoke until then,
    for ``voice_samples``.
    """

    position: int
    at: int
    llr: float
    voice: PreparedEmbeddings
    voice_samples: float


@dataclass(frozen=True, slots=True, eq=False)
class _PastWindow:
    """An earlier window, and the voice of the run after it, with its samples of speech."""

    window: EmbeddedWindow
    run: PreparedEmbeddings
    run_samples: float


class ChangeDetector:
    """Tells when another voice than that of one run has begun. Each run has its own detector.

    For every window call :meth:`check`, and then :meth:`add` what the run has become by it.
    """

    def __init__(self, scorer: CalibratedScorer, figures: DecisionFigures, begins: int) -> None:
        self._scorer, self._begins = scorer, begins
        self._figures = figures
        self._recent: deque[_PastWindow] = deque()  # those that share speech with the last window
        self._past: deque[_PastWindow] = deque()  # those before, as far as a change is looked for
        self._takeover = self._change = 0.0  # of the height at which there is an alarm

    def check(
        self, window: EmbeddedWindow, leading: LeadingSpeaker | None, config: DecisionConfig
    ) -> SpeakerChange | None:
        """The change of voice, where this window leaves no doubt about one."""
        scores = self.measure(window, leading)
        if scores is None or not self._alarmed(scores, leading, config):
            return None
        before, windows = self._past[-1], [past.window for past in (*self._past, *self._recent)]
        position, at = locate([*windows, window], before.run.embeddings[0], self._begins)
        return SpeakerChange(position, at, scores.voice, before.run, before.run_samples)

    def measure(
        self, window: EmbeddedWindow, leading: LeadingSpeaker | None
    ) -> ChangeScores | None:
        """The window against the speech before it; ``None`` while there is too little."""
        self._settle(window)
        if not self._past or self._past[-1].run_samples < LEAST_BEFORE_SAMPLES:
            return None
        last = self._recent[-1] if self._recent else self._past[-1]
        fresh = min(1.0, (window.place.position - last.window.place.position) / window.place.length)
        claim = 0.0 if leading is None else leading.llr
        return ChangeScores(claim, self._against(window), fresh)

    def _against(self, window: EmbeddedWindow) -> float:
        """The LLR of a window and the run before it, as far as they share no speech."""
        begins = window.place.speech_start
        apart = (past for past in reversed(self._recent) if past.window.place.position <= begins)
        llr = self._scorer.compare(next(apart, self._past[-1]).run, window.prepared).llr
        return float(llr[0])

    def add(self, window: EmbeddedWindow, run: PreparedEmbeddings, run_samples: float) -> None:
        """The window belongs to the run, which is by now ``run``."""
        self._recent.append(_PastWindow(window, run, run_samples))

    def _settle(self, window: EmbeddedWindow) -> None:
        """Windows that share no speech with ``window`` are what it is compared with."""
        while self._recent and self._recent[0].window.place.position <= window.place.speech_start:
            self._past.append(self._recent.popleft())
        while (
            len(self._past) > 1
            and self._past[0].window.place.position < window.place.position - BACK_SAMPLES
        ):
            self._past.popleft()

    def _alarmed(
        self, scores: ChangeScores, leading: LeadingSpeaker | None, config: DecisionConfig
    ) -> bool:
        change, takeover = self._figures.change, self._figures.takeover
        self._change = _climbed(self._change, scores, change, config.false_changes_per_hour)
        if leading is None or not leading.matched:
            self._takeover = 0.0
            return self._change > 1
        budget = config.false_alarms_per_hour
        self._takeover = _climbed(self._takeover, scores, takeover, budget)
        return self._takeover > 1


def _climbed(level: float, scores: ChangeScores, alarm: AlarmFigures, per_hour: float) -> float:
    """One step of the CUSUM, of its height for so many false alarms an hour."""
    return max(0.0, level + scores.step(alarm) / max(alarm.height(per_hour), LEAST_HEIGHT))
