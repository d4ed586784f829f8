from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from benchmark_results import DRAWS, OURS, OWN, THEIRS, Make, heard, value, values

from engine.decisions.config import DecisionConfig
from models.benchmark.engine import TurnVerdict, record_of
from models.benchmark.outcomes import STATES, States
from models.benchmark.results import ConversationResult
from models.benchmark.tables import (
    System,
    commands_table,
    decisions_table,
    follow_all,
    points_table,
    takeover_table,
)

IMPOSTOR: dict[str, Any] = {
    "kind": "impostor",
    "stranger_at_s": 0.0,
    "turns": ((1.0, 20.0, False),),
}


def test_a_claimed_speaker_is_accepted_rejected_or_never_decided(truth: Make) -> None:
    some = [
        heard(truth(**OWN), ours=[(2.0, "uncertain"), (3.0, "match")]),
        heard(truth(**OWN), ours=[(5.0, "match"), (6.0, "mismatch")]),
        heard(truth(**OWN), ours=[(4.0, "unknown"), (7.0, "match")]),
        heard(truth(**OWN), ours=[(2.0, "uncertain")]),
    ]
    (row,) = decisions_table(some, [OURS], DRAWS).rows
    assert (row["system"], row["who speaks"], row["streams"]) == ("ours", "claimed speaker", 4)
    assert value(row["wrong %"]) == 25
    assert value(row["undecided %"]) == 25
    assert value(row["speech p50 s"]) == 4.0
    assert value(row["speech p95 s"]) == math.inf  # who was never accepted
    assert "ever %" not in row


def test_speech_and_the_clock_are_told_apart(truth: Make) -> None:
    (row,) = decisions_table([heard(truth(**OWN), ours=[(7.0, "match")])], [OURS], DRAWS).rows
    assert [value(row[f"{kind} p50 s"]) for kind in ("speech", "clock")] == [5.0, 6.0]
    assert [value(row[f"{kind} p95 s"]) for kind in ("speech", "clock")] == [5.0, 6.0]


def test_an_impostor_is_rejected_by_either_no_and_counted_by_pitch(truth: Make) -> None:
    like, unlike = truth(**IMPOSTOR), truth(**IMPOSTOR | {"similar": False})
    some = [
        heard(like, ours=[(2.0, "match")]),
        heard(like, ours=[(3.0, "mismatch"), (9.0, "match")]),
        heard(unlike, ours=[(4.0, "unknown")]),
    ]
    table = decisions_table(some, [OURS], DRAWS)
    assert [(row["who speaks"], row["streams"]) for row in table.rows] == [
        ("impostor", 3),
        ("impostor, similar pitch", 2),
        ("impostor, other pitch", 1),
    ]
    assert values(table, "wrong %") == pytest.approx([100 / 3, 50, 0])
    assert values(table, "ever %") == pytest.approx([200 / 3, 100, 0])
    assert values(table, "undecided %") == [0, 0, 0]
    assert values(table, "speech p50 s") == [3.0, 2.0, 3.0]


def test_only_what_a_system_heard_counts_for_it(truth: Make) -> None:
    some = [
        heard(truth(**OWN), ours=[(2.0, "match")], theirs=[(2.0, "mismatch")]),
        heard(truth(**OWN), ours=[(2.0, "match")]),
        heard(truth(), ours=[(2.0, "match")]),  # a takeover decides nothing about one voice
    ]
    table = decisions_table(some, [OURS, THEIRS, System("deaf", lambda result: None)], DRAWS)
    assert [(row["system"], row["streams"]) for row in table.rows] == [("ours", 2), ("theirs", 1)]
    assert values(table, "wrong %") == [0, 100]
    assert decisions_table([], [OURS], DRAWS).rows == []


def test_only_takeovers_of_an_accepted_claim_are_watched(truth: Make) -> None:
    some = [
        heard(truth(), ours=[(2.0, "match"), (12.0, "mismatch")]),
        heard(truth(), ours=[(2.0, "match")]),
        heard(truth(), ours=[(12.0, "mismatch")]),
    ]
    (row,) = takeover_table(some, [OURS], DRAWS).rows
    assert (row["system"], row["takeovers"]) == ("ours", "clean, similar pitch")
    assert row["accepted"] == "2 of 3"
    assert value(row["delay p50 s"]) == 2.0
    assert value(row["delay p95 s"]) == math.inf
    assert value(row["missed %"]) == 50
    assert row["hours"] == f"{2 * 7 / 3600:.2f}"


def test_takeovers_that_found_nothing_accepted_have_a_row_without_delays(truth: Make) -> None:
    (row,) = takeover_table([heard(truth(), ours=[])], [OURS], DRAWS).rows
    assert row["accepted"] == "0 of 1"
    for column in ("delay p50 s", "clock p50 s", "missed %", "false alarms /h"):
        assert math.isnan(value(row[column]))


def test_takeovers_are_told_apart_by_pitch_and_sound(truth: Make) -> None:
    late: States = [(2.0, "match"), (13.0, "mismatch")]
    soon: States = [(2.0, "match"), (11.0, "mismatch")]
    degraded = truth(kind="degraded-takeover")
    some = [
        heard(truth(), ours=late, theirs=late),
        heard(truth(similar=False), ours=soon),
        heard(degraded, ours=soon),
    ]
    table = takeover_table(some, [OURS, THEIRS], DRAWS)
    assert [(row["system"], row["takeovers"]) for row in table.rows] == [
        ("ours", "clean, similar pitch"),
        ("ours", "clean, other pitch"),
        ("ours", "degraded"),
        ("theirs", "clean, similar pitch"),
    ]
    assert values(table, "clock p50 s") == [3.0, 1.0, 1.0, 3.0]


def test_false_alarms_are_counted_in_clean_and_in_degraded_speech_apart(truth: Make) -> None:
    twice: States = [(2.0, "match"), (3.0, "uncertain"), (4.0, "match"), (5.0, "mismatch")]
    quiet: States = [(2.0, "match")]
    some = [heard(truth(kind=kind), ours=quiet) for kind in ("takeover", "degraded-takeover")]
    some += [heard(truth(**OWN | {"kind": kind}), ours=twice) for kind in ("single", "switch")]
    some += [heard(truth(**OWN | {"kind": "silence"}), ours=quiet)]
    some += [heard(truth(**OWN | {"kind": "interjection"}), ours=twice)]
    clean, degraded = takeover_table(some, [OURS], DRAWS).rows
    own_s, before_s = 17, 7  # of speech from 2 s on, to the end and to the takeover
    assert value(clean["false alarms /h"]) == pytest.approx(2 * 3600 / (own_s + before_s))
    assert value(degraded["false alarms /h"]) == pytest.approx(2 * 3600 / (2 * own_s + before_s))


def test_doubt_alarms_only_in_a_system_that_says_so(truth: Make) -> None:
    doubt: States = [(2.0, "match"), (12.0, "uncertain")]
    table = takeover_table([heard(truth(), ours=doubt, theirs=doubt)], [OURS, THEIRS], DRAWS)
    assert values(table, "missed %") == [0, 100]


def test_impostors_are_not_watched(truth: Make) -> None:
    some = [heard(truth(**IMPOSTOR), ours=[]), heard(truth(), theirs=[]), heard(truth(), ours=[])]
    assert [result for result, _ in follow_all(some, OURS)] == [some[2]]


def test_a_command_is_a_match_if_all_of_the_claimed_speakers_is_or_any_of_a_strangers(
    truth: Make,
) -> None:
    said = ((0.0, 5.0, True), (8.0, 10.0, False), (12.0, 14.0, True))
    turns = {"kind": "command", "turns": said}
    match, no = TurnVerdict(0.0, 5.0, "match"), TurnVerdict(8.0, 9.0, "mismatch")
    yes, own = (
        replace(no, start_s=9.2, end_s=10.0, state="match"),
        replace(no, start_s=12.0, end_s=13.9),
    )

    def row(number: int, *verdicts: TurnVerdict) -> dict[str, float]:
        claimed = replace(record_of([]), verdicts=verdicts)
        result = ConversationResult(truth(**turns), (), claimed, None, {}, {})
        found = commands_table([result], DRAWS).rows[number]
        return {state: value(found[f"{state} %"]) for state in STATES}

    assert row(0, match, no, own)["mismatch"] == 100
    assert row(0, match, no, yes, own)["match"] == 100
    assert row(1, match, no, replace(own, state="match"))["match"] == 100
    half = replace(own, end_s=12.9, state="match"), replace(own, start_s=13.0, state="uncertain")
    assert row(1, match, no, *half)["uncertain"] == 100


def test_stated_rates_stand_beside_measured_ones(truth: Make) -> None:
    some = [
        heard(truth(**IMPOSTOR), strict=[(4.0, "mismatch")]),
        heard(truth(**IMPOSTOR), strict=[(2.0, "match")]),
        heard(truth(**IMPOSTOR), strict=[]),
        heard(truth(**IMPOSTOR), strict=[(9.0, "uncertain")]),
        heard(truth(**IMPOSTOR), other=[(2.0, "match")]),
        heard(truth(**OWN), strict=[(3.0, "match")]),
        heard(truth(**OWN), strict=[(7.0, "match")]),
        heard(truth(), strict=[(2.0, "mismatch")]),
    ]
    points = [("strict", DecisionConfig(false_accept=0.005, miss=0.1)), ("none", DecisionConfig())]
    strict, none = points_table(some, points, DRAWS).rows
    assert strict["stated"] == "strict"
    assert (strict["false accepts, stated %"], strict["false rejects, stated %"]) == ("0.5", "10")
    assert value(strict["false accepts %"]) == 25
    assert value(strict["false accepts, undecided %"]) == 50
    assert value(strict["false accepts, decided p50 s"]) == math.inf
    assert value(strict["false rejects %"]) == 0
    assert value(strict["false rejects, decided p50 s"]) == 2.0
    assert math.isnan(value(none["false accepts %"]))
