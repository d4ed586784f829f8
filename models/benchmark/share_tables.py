"""Tables of how much of the speech passes in each state."""

from __future__ import annotations

from collections.abc import Sequence

from models.benchmark.estimates import Draws, percent, ratio
from models.benchmark.outcomes import STATES, shares
from models.benchmark.results import ConversationResult
from models.benchmark.tables import Cells, System, Table


def interjection_table(
    results: Sequence[ConversationResult], systems: Sequence[System], draws: Draws
) -> Table:
    """What short interjections by a stranger do to an accepted claim."""
    table = Table(
        "interjections",
        "Interjections of 0.6 to 2 s by a stranger",
        "Share of the claimed speaker's, and of the stranger's, net speech in each state: live, and"
        " in the end, by the verdict on the turn or part of one that it is in.",
    )
    return shares_into(
        table, [r for r in results if r.truth.kind == "interjection"], systems, draws
    )


def shares_table(
    results: Sequence[ConversationResult], systems: Sequence[System], draws: Draws
) -> Table:
    """How much of the speech passes in each state."""
    table = Table(
        "states",
        "Share of the net speech in each state",
        "Per cent, by who speaks; all conversations with a claim together.",
    )
    return shares_into(table, results, systems, draws)


def shares_into(
    table: Table, results: Sequence[ConversationResult], systems: Sequence[System], draws: Draws
) -> Table:
    """Rows of shares of the speech in each state."""
    for system in systems:
        heard = [(r, s) for r in results if (s := system.states(r)) is not None]
        found = [shares(result.truth, states) for result, states in heard]
        weights = draws.weights([result.truth for result, _ in heard])
        for own in (True, False):
            total = [sum(one[own].values()) for one in found]
            if sum(total) <= 0:
                continue
            row: Cells = {
                "system": system.name,
                "who speaks": "claimed speaker" if own else "stranger",
            }
            for state in STATES:
                spent = [one[own][state] for one in found]
                row[f"{state} %"] = percent(ratio(spent, total, weights))
            table.rows.append(row)
    return table
