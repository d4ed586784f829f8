"""From a stream of calibrated scores to five states, and changes of voice without a claim."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from engine.events import State
from engine.scores import Sides


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    """What the user states: error rates and how much speech a decision needs.

    By Wald's bounds a claim is accepted when its odds say ``(1 - miss) / false_accept``
    and rejected when they say ``miss / (1 - false_accept)``, which for one look are the
    rates asked for whenever the LLR is calibrated.
    """

    false_accept: float = 0.01
    miss: float = 0.05
    decide_s: float = 1.5  # net speech under which no state but `insufficient` is given
    change_llr: float = -2.0  # between the speech before and after a point

    def __post_init__(self) -> None:
        if not (0 < self.false_accept < 0.5 and 0 < self.miss < 0.5):
            raise ValueError("error rates lie strictly between 0 and 0.5")

    @property
    def accept_llr(self) -> float:
        """Bound above which a claim is accepted."""
        return math.log((1 - self.miss) / self.false_accept)

    @property
    def reject_llr(self) -> float:
        """Bound below which a claim is rejected."""
        return math.log(self.miss / (1 - self.false_accept))


@dataclass(frozen=True, slots=True)
class Judgement:
    """A state with the words for it."""

    state: State
    reason: str


def judge(config: DecisionConfig, llr: float, net_speech_s: float, *, claimed: bool) -> Judgement:
    """State for one score. Without a claim, nobody fitting is `unknown`, not `mismatch`."""
    if net_speech_s < config.decide_s:
        return Judgement(
            "insufficient", f"{net_speech_s:.1f} s of speech, {config.decide_s:.1f} s are needed"
        )
    if llr >= config.accept_llr:
        return Judgement("match", f"LLR {llr:.1f} is above the bound of {config.accept_llr:.1f}")
    if llr <= config.reject_llr:
        state: State = "mismatch" if claimed else "unknown"
        return Judgement(state, f"LLR {llr:.1f} is below the bound of {config.reject_llr:.1f}")
    return Judgement("uncertain", f"LLR {llr:.1f} lies between the bounds")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A window that was embedded: its place in samples, and itself ready to be compared."""

    start: int
    end: int
    position: int
    samples: int
    sides: Sides


class Recent:
    """Embeddings of the last windows, to compare the speech after a point with that before.

    Two windows are compared when they share no speech: the one that just ended and the
    one that ended where it begins, in net speech.
    """

    def __init__(self) -> None:
        self._seen: deque[Seen] = deque()

    def add(self, window: Seen) -> Seen | None:
        """The latest earlier window without speech in common with ``window``, if any."""
        begins = window.position - window.samples
        while len(self._seen) > 1 and self._seen[1].position <= begins:
            self._seen.popleft()
        before = self._seen[0] if self._seen and self._seen[0].position <= begins else None
        self._seen.append(window)
        return before

    def forget(self) -> None:
        """Start again: after a change the speech before it belongs to somebody else."""
        self._seen.clear()
