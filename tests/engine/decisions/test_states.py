"""The table of states: every pair, against what each signal is meant to do."""

from __future__ import annotations

from itertools import product

import pytest

from engine.decisions.config import DecisionConfig
from engine.decisions.states import STATES, TRANSITIONS, TRIGGERS, Trigger, weigh, words
from engine.events import State
from engine.scoring.identify import Ranking

CONFIG = DecisionConfig(false_accept=0.01, miss=0.05)


def meant(state: State, signal: Trigger) -> State:
    """The rules in words, apart from the table."""
    settled = state in ("match", "mismatch", "unknown")
    if signal == "lapse":
        return "insufficient"
    if signal in ("accept", "reject", "nobody"):
        said: dict[Trigger, State] = {"accept": "match", "reject": "mismatch", "nobody": "unknown"}
        return said[signal]
    if signal == "doubt":
        return "uncertain"
    if signal in ("alarm", "revised"):
        return "uncertain" if settled else state
    if signal == "between" and state == "insufficient":
        return "uncertain"
    return state


@pytest.mark.parametrize(("state", "signal"), list(product(STATES, TRIGGERS)))
def test_every_way_is_in_the_table_and_meant(state: State, signal: Trigger) -> None:
    assert TRANSITIONS[state][signal] == meant(state, signal)


def test_the_table_has_nothing_else() -> None:
    assert set(TRANSITIONS) == set(STATES)
    assert all(set(row) == set(TRIGGERS) for row in TRANSITIONS.values())


@pytest.mark.parametrize(
    ("evidence", "claimed", "signal"),
    [
        (4.56, True, "accept"),  # ln(0.95 / 0.01) = 4.554
        (4.55, True, "between"),
        (4.56, False, "accept"),
        (-2.98, True, "between"),  # ln(0.05 / 0.99) = -2.986
        (-2.99, True, "reject"),
        (-2.99, False, "nobody"),
    ],
)
def test_wald_bounds_divide_the_evidence(evidence: float, claimed: bool, signal: Trigger) -> None:
    ranking = Ranking(0, None, evidence, evidence)
    assert weigh(CONFIG, ranking, claimed=claimed) == signal


def test_a_rival_who_fits_too_is_no_reason_to_call_it_nobody() -> None:
    assert weigh(CONFIG, Ranking(0, 1, -5.0, 4.0), claimed=False) == "between"


@pytest.mark.parametrize("signal", ["little", "between", "accept", "reject", "nobody"])
def test_the_reason_says_the_figures(signal: Trigger) -> None:
    said = words(CONFIG, signal, 1.25, 3.04)
    bounds = {"little": ["3.0", "1.5"], "between": ["1.2", "-3.0", "4.6"], "accept": ["1.2", "4.6"]}
    assert all(figure in said for figure in bounds.get(signal, ["1.2", "-3.0", "3.0"]))
