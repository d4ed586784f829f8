"""Attempts at a claim: by the client and the name, within an hour."""

from __future__ import annotations

from streamer.server.limits.attempts import HOUR_S, Attempts

DESK, DOOR = ("desk", "10.0.0.1"), ("door", "10.0.0.1")


def test_a_name_that_was_tried_too_often_is_closed_to_who_tried_it() -> None:
    attempts = Attempts(3)
    for _ in range(3):
        assert not attempts.exhausted(DESK, ["anna"], 0.0)
        attempts.failed(DESK, ["anna"], 0.0)
    assert attempts.exhausted(DESK, ["anna"], 1.0)
    assert attempts.exhausted(("desk", "10.0.0.2"), ["bert", "anna"], 1.0)  # by the token
    assert not attempts.exhausted(DESK, ["bert"], 1.0)
    assert not attempts.exhausted(DESK, [], 1.0)
    assert not attempts.exhausted(DOOR, ["anna"], 1.0)  # and nobody locks others out


def test_an_hour_later_it_is_open_again() -> None:
    attempts = Attempts(1)
    attempts.failed(DESK, ["anna"], 0.0)
    assert attempts.exhausted(DESK, ["anna"], HOUR_S - 1)
    assert not attempts.exhausted(DESK, ["anna"], HOUR_S)
