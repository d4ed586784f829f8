"""What is true of one conversation: who speaks when, and where speech was detected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.benchmark.conversations import RenderedConversation
from models.benchmark.plans import Kind

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """One conversation as it is scored, times in seconds of media.

    ``spans`` ``(S, 2)`` is the speech that the detector heard; ``stranger_at_s`` where the
    first stranger begins, ``None`` where there is none. ``voices``: the claimed speaker and
    the stranger, by number, whom the bootstrap draws.
    """

    name: str
    kind: Kind
    claimed: str
    similar: bool | None
    condition: str
    enrol_s: float
    voices: tuple[int, ...]
    spans: Float64
    begins_s: float
    ends_s: float
    stranger_at_s: float | None
    turns: tuple[tuple[float, float, bool], ...]  # start, end, whether the claimed speaker's

    def speech_s(self, start_s: float, end_s: float) -> float:
        """Net speech between two moments."""
        return overlap_s(self.spans, start_s, end_s)


def overlap_s(spans: Float64, start_s: float, end_s: float) -> float:
    """How much of ``spans`` ``(S, 2)`` lies between two moments."""
    inside = np.minimum(spans[:, 1], end_s) - np.maximum(spans[:, 0], start_s)
    return float(np.maximum(inside, 0).sum())


def truth_of(
    conversation: RenderedConversation,
    claimed: str,
    spans: Float64,
    voices: tuple[int, ...],
    enrol_s: float,
) -> Truth:
    """The truth of a conversation, with the speech that the detector heard in it."""
    plan, turns = conversation.plan, conversation.turns
    return Truth(
        name=plan.name,
        kind=plan.kind,
        claimed=claimed,
        similar=plan.similar,
        condition=plan.condition,
        enrol_s=enrol_s,
        voices=voices,
        spans=spans,
        begins_s=turns[0].start_s,
        ends_s=turns[-1].end_s,
        stranger_at_s=0.0 if plan.kind == "impostor" else conversation.stranger_at_s,
        turns=tuple((turn.start_s, turn.end_s, turn.speaker == claimed) for turn in turns),
    )
