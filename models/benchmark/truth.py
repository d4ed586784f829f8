"""What a system said of one conversation beside what is true of it.

Speech is counted as the engine's detector heard it, for every system: a delay of 2 s means 2 s
of the stranger's voice, not of the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.events import State
from models.benchmark.plans import Kind
from models.benchmark.sound import Conversation

STATES: tuple[State, ...] = ("match", "uncertain", "insufficient", "mismatch", "unknown")
NO: frozenset[State] = frozenset({"mismatch", "unknown"})  # "this is not the claimed speaker"

Float64 = NDArray[np.float64]
States = Sequence[tuple[float, State]]


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

    @property
    def genuine(self) -> bool:
        """Whether only the claimed speaker is heard."""
        return all(own for _, _, own in self.turns)

    def speech_s(self, start_s: float, end_s: float) -> float:
        """Net speech between two moments."""
        return overlap_s(self.spans, start_s, end_s)


def overlap_s(spans: Float64, start_s: float, end_s: float) -> float:
    """How much of ``spans`` ``(S, 2)`` lies between two moments."""
    inside = np.minimum(spans[:, 1], end_s) - np.maximum(spans[:, 0], start_s)
    return float(np.maximum(inside, 0).sum())


def truth_of(
    conversation: Conversation,
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


@dataclass(frozen=True, slots=True)
class FirstDecision:
    """The first `match` or `mismatch` of a stream, with the speech and the time it took."""

    state: State
    speech_s: float
    wall_s: float


def first_decision(truth: Truth, states: States) -> FirstDecision | None:
    """What the stream was first decided to be, if it ever was."""
    for t, state in states:
        if state == "match" or state in NO:
            return FirstDecision(state, truth.speech_s(0.0, t), max(0.0, t - truth.begins_s))
    return None


@dataclass(frozen=True, slots=True)
class Watch:
    """How a stream was watched: alarms while the claimed speaker spoke, and the takeover.

    ``watched_s`` is the claimed speaker's net speech after the first acceptance, until the
    takeover. ``followed``: whether the claim stood accepted when the stranger came;
    ``delay_s`` is then the stranger's net speech until the alarm, infinite where none came
    (``wall_s``: on the clock).
    """

    false_alarms: int
    watched_s: float
    followed: bool
    delay_s: float
    wall_s: float


def watch(truth: Truth, states: States, alarms: frozenset[State] = NO) -> Watch:
    """Follow the claim through one conversation.

    An alarm is one of the states ``alarms`` where the claim stood accepted; it is one alarm
    until the claim is accepted again.
    """
    end_s = truth.ends_s + 10.0 if truth.stranger_at_s is None else truth.stranger_at_s
    accepted_at: float | None = None
    accepted, false = False, 0
    for t, state in states:
        if t > end_s and truth.stranger_at_s is not None:
            break
        if state == "match":
            accepted_at = t if accepted_at is None else accepted_at
            accepted = True
        elif state in alarms:
            false += accepted
            accepted = False
    watched_s = 0.0 if accepted_at is None else truth.speech_s(accepted_at, end_s)
    followed = accepted and truth.stranger_at_s is not None
    delay_s = wall_s = float("inf")
    alarm_at = next((t for t, state in states if t > end_s and state in alarms), None)
    if followed and alarm_at is not None:
        delay_s, wall_s = truth.speech_s(end_s, alarm_at), alarm_at - end_s
    return Watch(false, watched_s, followed, delay_s, wall_s)


def by_threshold(t: Float64, value: Float64, accept: float, reject: float) -> States:
    """The states of a system that compares a running score with fixed bounds, as they change."""
    level = (value >= reject).astype(int) + (value >= accept)
    names: tuple[State, ...] = ("mismatch", "uncertain", "match")
    first = np.append(True, level[1:] != level[:-1])[: len(level)]
    return [(float(t[i]), names[level[i]]) for i in np.flatnonzero(first)]


def shares(truth: Truth, states: States) -> dict[bool, dict[State, float]]:
    """Seconds of speech in each state, while the claimed speaker (True) or another speaks."""
    found = {own: dict.fromkeys(STATES, 0.0) for own in (True, False)}
    edges: States = [(0.0, "insufficient"), *states, (float("inf"), "insufficient")]
    for (start, state), (end, _) in pairwise(edges):
        for a, b, own in truth.turns:
            low, high = max(a, start), min(b, end)
            if high > low:
                found[own][state] += truth.speech_s(low, high)
    return found
