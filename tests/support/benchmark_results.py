"""Results of conversations as the tables of the benchmark take them, and what a cell says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.benchmark.estimates import Draws
from models.benchmark.outcomes import States
from models.benchmark.results import ConversationResult
from models.benchmark.tables import LEAVING, System, Table
from models.benchmark.truth import Truth
from models.evaluation.report import Estimate

Make = Callable[..., Truth]
DRAWS = Draws(2, 20, 0)
OURS = System("ours", lambda result: result.variants.get("ours"), LEAVING)
THEIRS = System("theirs", lambda result: result.variants.get("theirs"))
ALONE: dict[str, Any] = {"similar": None, "voices": (0,), "stranger_at_s": None}
OWN = ALONE | {"kind": "single", "turns": ((1.0, 20.0, True),)}


def heard(truth: Truth, **states: States) -> ConversationResult:
    """One conversation in which each system said these states."""
    return ConversationResult(truth, (), None, None, dict(states), {})


def value(figure: Any) -> float:
    """The figure of a cell."""
    assert isinstance(figure, Estimate)
    return figure.value


def values(table: Table, column: str) -> list[float]:
    """The figures of a column, from above."""
    return [value(row[column]) for row in table.rows]
