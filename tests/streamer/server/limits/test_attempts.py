"""Attempts at a claim: by the client and the name, within an hour."""

from __future__ import annotations

import pytest

from engine.events import Decision, State, Utterance
from streamer.server.limits.attempts import HOUR_S, KEPT, Attempts, Tries

DESK, DOOR = ("desk", "10.0.0.1"), ("door", "10.0.0.1")


def test_a_name_that_was_tried_too_often_is_closed_to_who_tried_it() -> None:
    attempts = Attempts(3)
    for _ in range(3):
        assert attempts.left(DESK, ["anna"], 0.0)
        attempts.failed(DESK, ["anna"], 0.0)
    assert not attempts.left(DESK, ["anna"], 1.0)
    assert not attempts.left(("desk", "10.0.0.2"), ["bert", "anna"], 1.0)  # by the token
    assert attempts.left(DESK, ["bert"], 1.0)
    assert attempts.left(DESK, [], 1.0)
    assert attempts.left(DOOR, ["anna"], 1.0)  # and nobody locks others out


def test_of_several_names_the_one_tried_most_often_tells_how_many_tries_are_left() -> None:
    attempts = Attempts(3)
    attempts.failed(DESK, ["anna", "bert"], 0.0)
    attempts.failed(DESK, ["bert"], 0.0)
    assert [attempts.left(DESK, names, 1.0) for names in (["anna"], ["anna", "bert"], [])] == [
        2,
        1,
        3,
    ]


def test_an_hour_later_it_is_open_again() -> None:
    attempts = Attempts(1)
    attempts.failed(DESK, ["anna"], 0.0)
    assert not attempts.left(DESK, ["anna"], HOUR_S - 1)
    assert attempts.left(DESK, ["anna"], HOUR_S)


def test_what_was_forgiven_never_was() -> None:
    attempts = Attempts(3)
    for now in range(3):
        attempts.failed(DESK, ["anna", "bert"], float(now))
    attempts.forgive(DESK, "anna", 2)
    assert attempts.left(DESK, ["anna"], 3.0)
    assert not attempts.left(DESK, ["bert"], 3.0)
    attempts.forgive(DESK, "anna", 9)  # no more than there are
    attempts.forgive(DOOR, "anna", 1)
    attempts.failed(DESK, ["anna"], 4.0)
    assert attempts.left(DESK, ["anna"], 4.0)


def test_memory_is_bounded_and_the_oldest_goes() -> None:
    attempts = Attempts(1)
    for number in range(KEPT + 10):
        attempts.failed(DESK, [f"name {number}"], 0.0)
    assert attempts.left(DESK, ["name 9"], 0.0)
    assert not attempts.left(DESK, ["name 10"], 0.0)


def turn(
    state: State, start: float, *, speaker: str = "anna", background: bool = False
) -> Utterance:
    return Utterance(
        t=start + 2, start=start, end=start + 2, speech_s=2.0, state=state, speaker=speaker,
        llr=0.0, reason="", background=background,
    )  # fmt: skip


def decision(state: State, t: float) -> Decision:
    return Decision(
        t=t, state=state, speaker="anna", since=t, llr=0.0, net_speech_s=t, reason=""
    )  # fmt: skip


def failures(attempts: Attempts, name: str = "anna") -> int:
    """How many there are, by how many more it takes."""
    more = 0
    while attempts.left(DESK, [name], 0.0):
        attempts.failed(DESK, [name], 0.0)
        more += 1
    return MOST - more


MOST = 50


def test_every_turn_that_fails_is_a_try() -> None:
    attempts = Attempts(MOST)
    tries = Tries(attempts, DESK)
    tries.tell(decision("mismatch", 1.0), 0.0)
    for number in range(40):
        tries.tell(turn("mismatch", 3.0 * number), 0.0)
        tries.tell(turn("uncertain", 3.0 * number + 1), 0.0)
    tries.end(["anna"], 0.0, 200.0)
    assert failures(attempts) == 40


@pytest.mark.parametrize("told", [turn("match", 90.0), decision("match", 90.0)])
def test_a_match_makes_good_for_the_turns_before_it(told: Decision | Utterance) -> None:
    attempts = Attempts(MOST)
    tries = Tries(attempts, DESK)
    for _ in range(100):  # hours of somebody with visitors
        for number in range(9):
            tries.tell(turn("mismatch", 3.0 * number), 0.0)
        tries.tell(told, 0.0)
    tries.tell(turn("mismatch", 95.0), 0.0)
    tries.end(["anna"], 0.0, 100.0)
    assert failures(attempts) == 1


def test_a_match_of_another_makes_nothing_good() -> None:
    attempts = Attempts(MOST)
    tries = Tries(attempts, DESK)
    for number in range(20):
        tries.tell(turn("mismatch", 6.0 * number, speaker="anna"), 0.0)
        tries.tell(turn("match", 6.0 * number + 3, speaker="bert"), 0.0)
    assert failures(attempts) == 20


def test_a_voice_in_the_background_tries_nothing() -> None:
    attempts = Attempts(MOST)
    tries = Tries(attempts, DESK)
    tries.tell(turn("mismatch", 0.0, background=True), 0.0)
    tries.end([], 0.0, 3.0)
    assert failures(attempts) == 0


@pytest.mark.parametrize(
    ("states", "failed"),
    [(["mismatch"], 1), (["uncertain", "mismatch"], 1), (["mismatch", "match"], 0), ([], 0)],
)
def test_a_stream_without_a_turn_is_one_try(states: list[State], failed: int) -> None:
    attempts = Attempts(MOST)
    tries = Tries(attempts, DESK)
    for state in states:
        tries.tell(decision(state, 2.0), 0.0)
    tries.end(["anna"], 0.0, 3.0)
    tries.tell(turn("mismatch", 1.0), 0.0)  # of the try before, which has been counted
    tries.end(["anna"], 0.0, 6.0)
    assert failures(attempts) == failed
