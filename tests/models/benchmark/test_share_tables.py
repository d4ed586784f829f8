from __future__ import annotations

import pytest
from benchmark_results import DRAWS, OURS, OWN, THEIRS, Make, heard, value, values
from hypothesis import given, settings
from hypothesis import strategies as st

from models.benchmark.outcomes import STATES, States
from models.benchmark.share_tables import interjection_table, shares_into, shares_table
from models.benchmark.tables import Table


def test_shares_are_of_all_the_speech_and_not_of_the_conversations(truth: Make) -> None:
    brief = truth(**OWN | {"turns": ((1.0, 5.0, True),)})
    some = [heard(brief, ours=[(1.0, "match")]), heard(truth(), ours=[(12.0, "mismatch")])]
    table = shares_table(some, [OURS], DRAWS)
    assert [row["who speaks"] for row in table.rows] == ["claimed speaker", "stranger"]
    assert values(table, "match %") == pytest.approx([100 * 4 / 12, 0])
    assert values(table, "insufficient %") == pytest.approx([100 * 8 / 12, 20])
    assert values(table, "mismatch %") == pytest.approx([0, 80])


def test_who_never_speaks_has_no_share(truth: Make) -> None:
    own = heard(truth(**OWN), ours=[])
    assert [r["who speaks"] for r in shares_table([own], [OURS], DRAWS).rows] == ["claimed speaker"]
    assert shares_table([], [OURS], DRAWS).rows == []
    assert shares_table([own], [THEIRS], DRAWS).rows == []


def test_interjections_are_a_table_of_their_own(truth: Make) -> None:
    some = [
        heard(truth(kind="interjection"), ours=[(0.0, "match")]),
        heard(truth(), ours=[(0.0, "mismatch")]),
    ]
    assert values(interjection_table(some, [OURS], DRAWS), "match %") == [100, 100]


said = st.lists(
    st.tuples(st.floats(0, 25), st.sampled_from(STATES)), max_size=8, unique_by=lambda one: one[0]
)


@settings(max_examples=25)
@given(st.lists(said, min_size=1, max_size=3))
def test_whatever_is_said_the_shares_add_up(truth: Make, every: list[States]) -> None:
    some = [heard(truth(), ours=sorted(states)) for states in every]
    rows = shares_into(Table("t", "", ""), some, [OURS], DRAWS).rows
    assert len(rows) == 2
    for row in rows:
        assert sum(value(row[f"{state} %"]) for state in STATES) == pytest.approx(100)
