"""What a system's states make of one conversation: first decision, alarms, shares of speech.

Speech is counted as the engine's detector heard it, for every system: a delay of 2 s means 2 s
of the stranger's voice, and not of the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.events import State
from models.benchmark.truth import Truth

STATES: tuple[State, ...] = ("match", "uncertain", "insufficient", "mismatch", "unknown")
NO: frozenset[State] = frozenset({"mismatch", "unknown"})  # "this is not the claimed speaker"

Float64 = NDArray[np.float64]
States = Sequence[tuple[float, State]]  # seconds of media, and the state from then on


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
class FollowedClaim:
    """What became of a claim: alarms while the claimed speaker spoke, and the takeover.

    ``accepted_s`` is the claimed speaker's net speech after the first acceptance, until the
    takeover. ``stood`` says whether the claim was accepted when the stranger began. If it was,
    ``delay_s`` is the stranger's net speech until the alarm and ``wall_s`` the seconds on the
    clock, both infinite where no alarm came.
    """

    false_alarms: int
    accepted_s: float
    stood: bool
    delay_s: float
    wall_s: float


def follow_claim(truth: Truth, states: States, alarms: frozenset[State] = NO) -> FollowedClaim:
    """Follow the claim through one conversation.

    An alarm is one of the states ``alarms`` where the claim was accepted; it is one alarm
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
    accepted_s = 0.0 if accepted_at is None else truth.speech_s(accepted_at, end_s)
    stood = accepted and truth.stranger_at_s is not None
    delay_s = wall_s = float("inf")
    alarm_at = next((t for t, state in states if t > end_s and state in alarms), None)
    if stood and alarm_at is not None:
        delay_s, wall_s = truth.speech_s(end_s, alarm_at), alarm_at - end_s
    return FollowedClaim(false, accepted_s, stood, delay_s, wall_s)


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
