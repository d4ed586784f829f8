"""The table of states: every pair, against what each signal is meant to do."""

from __future__ import annotations

from itertools import product

import pytest

from engine.decisions import DecisionConfig
from engine.events import State
from engine.sequential import SIGNALS, STATES, TRANSITIONS, Signal, weigh

CONFIG = DecisionConfig(false_accept=0.01, miss=0.05)


def meant(state: State, signal: Signal) -> State:
    """The rules in words, apart from the table."""
    settled = state in ("match", "mismatch", "unknown")
    if signal == "lapse":
        return "insufficient"
    if signal in ("accept", "reject", "nobody"):
        said: dict[Signal, State] = {"accept": "match", "reject": "mismatch", "nobody": "unknown"}
        return said[signal]
    if signal == "alarm":
        return "uncertain" if settled else state
    if signal == "between" and state == "insufficient":
        return "uncertain"
    return state


@pytest.mark.parametrize(("state", "signal"), list(product(STATES, SIGNALS)))
def test_every_way_is_in_the_table_and_meant(state: State, signal: Signal) -> None:
    assert TRANSITIONS[state][signal] == meant(state, signal)


def test_the_table_has_nothing_else() -> None:
    assert set(TRANSITIONS) == set(STATES)
    assert all(tuple(row) == SIGNALS for row in TRANSITIONS.values())


@pytest.mark.parametrize(
    ("evidence", "speech_s", "claimed", "signal"),
    [
        (99.0, 1.4, True, "little"),
        (-99.0, 1.4, False, "little"),
        (4.56, 1.5, True, "accept"),  # ln(0.95 / 0.01) = 4.554
        (4.55, 1.5, True, "between"),
        (4.56, 1.5, False, "accept"),
        (-2.98, 9.0, True, "between"),  # ln(0.05 / 0.99) = -2.986
        (-2.99, 9.0, True, "reject"),
        (-2.99, 9.0, False, "nobody"),
    ],
)
def test_wald_bounds_divide_the_evidence(
    evidence: float, speech_s: float, claimed: bool, signal: Signal
) -> None:
    assert weigh(CONFIG, evidence, speech_s, claimed=claimed) == signal
